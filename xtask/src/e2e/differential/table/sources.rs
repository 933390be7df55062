//! Sources of files: stages, archives, contexts with and without ignore rules.

use super::{super::Expected, Case, case, old, same, wrong};

/// What engines of version 20.10 do with `ADD --chown` of an archive.
pub(super) const ARCHIVE_OWNERS: &str = "what an archive holds keeps its owner";

pub(super) fn stages() -> Vec<Case> {
    let made = "FROM scratch AS made\nCOPY --chown=2:3 code /out/code\nCOPY lns layer /out/l/\n";
    let from_base = |text: &str| same(&format!("FROM base:1 AS a\nFROM scratch\n{text}"));
    let from_made = |text: &str| same(&format!("{made}FROM base:1\n{text}"));
    vec![
        from_made("COPY --from=made /out /opt/"),
        from_made("COPY --from=made /out/ /opt"),
        from_made("COPY --from=made /out/code/lib/x.so /y"),
        from_made("COPY --from=made out/code/lib /new/"),
        from_made("COPY --from=0 /out/code/app.py ."),
        from_made("COPY --from=made / /all/"),
        from_made("COPY --from=made . /all/"),
        from_made("COPY --from=made /out/*/ /opt/"),
        from_made("COPY --from=made /out/code/* /opt/"),
        from_made("COPY --from=made /out/code/*.py /opt/"),
        from_made("COPY --from=made /o*/c*/l?b/x* /opt/"),
        from_made("COPY --from=made --chown=app:staff /out/code /opt/"),
        from_made("COPY --from=made --chmod=600 /out/code/app.py /opt/"),
        from_made("COPY --from=made /out/code/app.py /out/l/file /two/"),
        from_made("COPY --from=MADE /out/code/lib/l /opt/"),
        same("FROM base:1 AS one\nCOPY single /one\nENV A=1\nUSER 7\nFROM one\nCOPY other /two-$A"),
        same("FROM base:1 AS one\nARG X=1\nFROM one\nENV Y=$X"),
        same("FROM base:1 AS one\nWORKDIR /w\nCOPY single .\nFROM scratch\nCOPY --from=one /w /w"),
        same("FROM base:1 AS one\nCOPY code /lnk/c\nFROM scratch\nCOPY --from=one /lnk/c/lib /w"),
        same("FROM base:1 AS unused\nRUN nothing\nFROM base:1\nCOPY single /x"),
        same(
            "FROM other:1 AS a\nCOPY single /a\nFROM a AS b\nCOPY other /b\nFROM base:1\nCOPY --from=b /a /b /c/",
        ),
        same(
            "FROM scratch AS a\nCOPY single /x/y\nFROM scratch\nCOPY --from=a /x /\nCOPY --from=a /x/y /z",
        ),
        from_base("COPY --from=a /etc/os /usr/su /x/"),
        from_base("COPY --from=a /opt /x"),
        from_base("COPY --from=a / /"),
        from_base("COPY --from=a /gone /opaque /turned /up/back /x/"),
        from_base("COPY --from=a --chown=8:9 /e*/s* /chain/* /x/"),
        same("FROM base:1 AS a\nCOPY single /exist/file\nFROM scratch\nCOPY --from=a /exist /x"),
        same("FROM base:1\nCOPY --from=other:1 /etc/os /x"),
        same("FROM scratch\nCOPY --from=base:1 /etc /etc\nUSER app:staff\nWORKDIR /w"),
        wrong("FROM base:1 AS a\nFROM scratch\nCOPY --from=a /loop /x"),
        wrong("FROM base:1 AS a\nFROM scratch\nCOPY --from=a /turned/in /x"),
        wrong("FROM scratch AS a\nCOPY single /x\nFROM base:1\nCOPY --from=a /nothing /y"),
        wrong("FROM base:1\nCOPY --from=0 /x /y"),
        wrong("FROM base:1\nCOPY --from=scratch /x /y"),
    ]
}

pub(super) fn archives() -> Vec<Case> {
    const TAR: &str = "a.tar @ d/, d/f = x, +d/run = go, d/l -> f, h => d/f
a.tgz @ d/, d/f = x, e/deep/g = y
notar.tar = text";
    let add = |text: &str| same(text).with(TAR);
    let maybe = |text: &str, files: &str| case(text, Expected::Anything).with(files);
    vec![
        add("ADD a.tar /opt/"),
        add("ADD a.tar /new"),
        add("ADD a.tgz /new/deep"),
        add("ADD a.tgz /lnk/n"),
        add("ADD a.tgz /"),
        add("ADD a.tar a.tgz single /opt/"),
        add("ADD single /opt/name"),
        add("ADD code /opt/"),
        add("ADD notar.tar /opt/"),
        add("ADD *.tgz /opt/"),
        add("ADD a.* /opt/"),
        add("COPY a.tar /opt/"),
        add("ADD --chown=5:6 single /opt/"),
        add("WORKDIR /w\nADD a.tar ."),
        old("ADD --chown=5:6 a.tar /opt/", ARCHIVE_OWNERS).with(TAR),
        maybe("ADD a.tar /", "a.tar @ lnk/x = through a link, opt/y = y"),
        maybe("ADD a.tar /", "a.tar @ lnk/, lnk/x = over a link"),
        maybe("ADD a.tar /", "a.tar @ opt = over a folder"),
        maybe("ADD a.tar /", "a.tar @ exist/, exist/sub/, exist/sub/new = modes"),
        maybe("ADD a.tar /x", "a.tar @ a -> b, b/c = c, a/d = d"),
        maybe("ADD a.tar /x", "a.tar @ a = first, a = second"),
        maybe("ADD a.tar /x", "a.tar @ .wh.a = a, b = b"),
        maybe("ADD a.tar /etc/os", TAR),
    ]
}

pub(super) fn names() -> Vec<Case> {
    let deep = ["d"; 60].join("/");
    let wide = "n".repeat(200);
    vec![
        same("COPY [\"code/a b.txt\", \"/with space/\"]"),
        same("COPY [\"code/a b.txt\", \"/opt/x y\"]"),
        same("COPY code/größe /größe/"),
        same("COPY code/größe/ü.py /opt/€"),
        same("COPY long /opt/").with(&format!("long/{wide}/{wide} = long\nlong/{deep}/f = deep")),
        same(&format!("COPY single /{wide}/{wide}/{wide}")),
        same("COPY names /opt/").with(
            "names/-dash = 1\nnames/'quote' = 2\nnames/dollar$X = 3\nnames/#hash = 4\nnames/..x = 5",
        ),
        same("COPY names /opt/").with("names/back\\slash = b"),
        same("COPY 'single' \"other\" /opt/"),
        same("COPY names/dollar\\$X /opt/").with("names/dollar$X = 3"),
        same("COPY .hidden ..dots /opt/").with(".hidden = h\n..dots = d"),
        same("COPY many /opt/").with(
            &(0..50).map(|n| format!("many/{n}/{n} = {n}")).collect::<Vec<_>>().join("\n"),
        ),
    ]
}

pub(super) fn ignored() -> Vec<Case> {
    let copied = |rules: &str| same("COPY . /all/\nCOPY code* /c/").ignoring(rules);
    vec![
        copied("*.sh\ncode/lib"),
        copied("*\n!code"),
        copied("*\n!code/lib/x.so\n!single"),
        copied("**/*.py"),
        copied("**\n!code/bin"),
        copied("code/**\n!code/app.py"),
        copied("# comment\n\n  single  \n/other\n./odd\nlayer/"),
        copied("code/*\n!code/lib\ncode/lib/x.so"),
        copied("!single\nsingle"),
        copied("s?ngle\n[no]ther\n**/.git"),
        copied("code/lib/../bin"),
        old("COPY . /all/", "only what a pattern names from its start is put back in")
            .ignoring("**/lib\n!**/x.so"),
        copied("ln*"),
        copied("code/.*\nvoid\nlayer/*/*"),
        copied("layer/python/**"),
        same("COPY code/lib /opt/\nCOPY single /x").ignoring("*\n!single\n!code/lib/*"),
        same("COPY s* /opt/").ignoring("single"),
        same("COPY lnd /opt/").ignoring("code/lib/x.so"),
        wrong("COPY single /opt/").ignoring("single"),
        wrong("COPY single /opt/").ignoring("*"),
        wrong("COPY code/lib /opt/").ignoring("code"),
        wrong("COPY lns /opt/").ignoring("single"),
        wrong("COPY single /opt/").ignoring("[a"),
    ]
}
