//! Flags of `COPY` and `ADD` that old engines do not know, and triggers of bases.

use super::{Case, old, refused, same, wrong};

/// Engines of version 20.10.
const FLAGS: &str = "they do not know the flag";

fn flag(text: &str) -> Case {
    old(text, FLAGS)
}

/// From a stage that has a base's files.
fn of_base(text: &str) -> String {
    format!("FROM base:1 AS a\nFROM scratch\n{text}")
}

pub(super) fn parents() -> Vec<Case> {
    vec![
        flag("COPY --parents code/lib/x.so code/bin /x/"),
        flag("COPY --parents code/./lib/x.so /x"),
        flag("COPY --parents code/**/*.so /x/"),
        flag("COPY --parents c*/./l?b /x/"),
        flag("COPY --parents code/empty lnd code/lib/l /x/"),
        flag("COPY --parents --chown=4:5 --chmod=u=rwX exist/sub/new /").with("exist/sub/new = n"),
        flag("COPY --parents --exclude=**/*.so code /x/"),
        flag("COPY --parents nothing* /x/"),
        flag(&of_base("COPY --parents --from=a /e*/sub/d* /x/")),
        wrong("COPY --parents code/nothing /x/"),
        wrong("COPY --parents lnd/x.so /x/"),
        wrong("COPY --parents --exclude=code code/lib /x/"),
        refused("COPY --parents !code /x/", "!code"),
        refused("COPY --parents lnd/./x.so /x/", "link"),
        refused("FROM base:1 AS a\nFROM scratch\nCOPY --parents --from=a lnk/./keep /x/", "link"),
    ]
}

pub(super) fn excludes() -> Vec<Case> {
    vec![
        flag("COPY --exclude=*.so --exclude=bin code /x/"),
        flag("COPY --exclude=**/*.so --exclude=!lib/x.so code /x/"),
        flag("COPY --exclude=* --exclude=!lib/x.so code /x/"),
        flag("COPY --exclude=single single /x/"),
        flag("COPY --exclude=lib c* lnd /x/"),
        flag("ENV A=lib\nCOPY --exclude=$A code /x/"),
        flag("ADD --exclude=lib/ code /x/"),
        flag(&of_base("COPY --from=a --exclude=sub /exist /x/")),
        wrong("COPY --exclude=[a code /x/"),
        wrong("COPY --exclude code /x/"),
        refused("COPY --exclude=/lib code /x/", "/lib"),
    ]
}

pub(super) fn links() -> Vec<Case> {
    vec![
        flag("COPY --link code/lib /opt/"),
        flag("COPY --link single /tmp/x"),
        flag("COPY --link single /lnk/x\nCOPY other /lnk/y"),
        flag("COPY --link --chown=4:5 single /exist/sub/"),
        flag("COPY --link --chown=root single /dangling"),
        flag("COPY --link --chmod=700 --chown=5 single /lnk/x"),
        wrong("COPY --link --chmod=700 --chown=app single /lnk/x"),
        flag("WORKDIR /lnk\nADD --link single ."),
        flag("FROM base:1 AS a\nCOPY --link single /lnk/x\nFROM scratch\nCOPY --from=a /lnk /z/"),
        wrong("COPY --link --chown=app single /x"),
        wrong("COPY --link=perhaps single /x"),
        refused("COPY --link single /opt", "--link"),
    ]
}

pub(super) fn modes() -> Vec<Case> {
    let symbolic = |text: &str| old(text, "they know octal modes only");
    vec![
        symbolic("COPY --chmod=u=rwX,go=rX code /x"),
        symbolic("COPY --chmod=a-w,+x single code /n/m/"),
        symbolic("COPY --chmod=u+s,g+s,+t code/lib /n/"),
        symbolic("COPY --chmod=g=u,o=g-r single run.sh /n/"),
        symbolic(&of_base("COPY --from=a --chmod=u-s /usr/su /x")),
        old("COPY --chmod=4711 code /n/x", super::copy::FOLDER_MODES),
        old("COPY --chmod=1777 code/lib /n", super::copy::FOLDER_MODES),
        wrong("COPY --chmod=10000 single /x"),
        wrong("COPY --chmod=u+q single /x"),
        wrong("COPY --chmod=999 single /x"),
    ]
}

pub(super) fn of_add() -> Vec<Case> {
    const TAR: &str = "a.tar @ d/, d/f = x, e/g = y\nrel.tar @ exist/sub/new = n";
    let add = |text: &str, why| old(text, why).with(TAR);
    vec![
        add("ADD --unpack=false a.tar /x/", FLAGS),
        add("ADD --unpack=true a.tar single /x/", FLAGS),
        add("ADD --keep-git-dir single /x", FLAGS),
        old("ADD --chown=4:5 a.tar /n/m", super::sources::ARCHIVE_OWNERS).with(TAR),
        add("ADD --chmod=700 --chown=app a.tar single /n/", super::copy::FOLDER_MODES),
        same("ADD rel.tar /").with(TAR),
        wrong("ADD --checksum=sha256:00 single /x"),
        wrong("COPY --checksum=sha256:00 single /x"),
        wrong("COPY --unpack a.tar /x").with(TAR),
        refused("ADD --checksum=sha256:00 https://example.invalid/x /y", "https"),
    ]
}

pub(super) fn triggers() -> Vec<Case> {
    let from_a = |text: &str| same(&format!("FROM base:1 AS a\n{text}"));
    vec![
        from_a("ONBUILD COPY single /s\nONBUILD ENV A=b\nFROM a\nCOPY other /o-$A"),
        from_a("ENV X=1\nONBUILD WORKDIR /q$X\nONBUILD USER 7\nFROM a\nWORKDIR r"),
        from_a("ONBUILD COPY single /s\nFROM a AS b\nFROM b\nCOPY other /o"),
        from_a("ONBUILD CMD [\"x\"]\nFROM a\nENTRYPOINT [\"y\"]"),
        from_a("ONBUILD ADD [\"code\", \"/c/\"]\nFROM a\nONBUILD USER 9"),
        same("FROM trigger:1\nCOPY other /o"),
        same("FROM trigger:1 AS a\nFROM a\nCOPY other /o"),
        same("COPY --from=trigger:1 /etc/os /o"),
        wrong("FROM base:1 AS a\nONBUILD COPY nothing /s\nFROM a"),
        refused("FROM base:1 AS a\nONBUILD RUN x\nFROM a\nCOPY single /x", "`RUN`"),
    ]
}
