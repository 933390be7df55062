//! The Dockerfiles of the suite that were chosen, by topic.

use super::{Case, Expected};

/// What every context holds beside what a case asks for.
const FILES: &str = "single = one
other = two
0755 run.sh = #!/bin/sh
0640 odd = odd mode
0700 private = p
void
0700 code/
code/app.py = print
code/lib/x.so = lib
0711 code/bin/run = go
code/lib/l -> x.so
code/empty/
code/.git/config = g
code/a b.txt = spaces
code/größe/ü.py = u
hard => single
lns -> single
lnd -> code/lib
lnin -> code/lib/l
lnabs -> /code/app.py
layer/python/common.py = c
layer/file = l";

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let topics = [
        files(),
        folders(),
        patterns(),
        links(),
        replacing(),
        owners_and_modes(),
        work_folders(),
        stages(),
        archives(),
        names(),
        ignored(),
        settings(),
        variables(),
        spelling(),
        left_to_the_engine(),
    ];
    topics.into_iter().flatten().collect()
}

/// A case that starts from the suite's base, unless it says something else.
fn case(text: &str, expected: Expected) -> Case {
    let starts = text.lines().any(|line| line.starts_with("FROM"));
    let dockerfile = if starts { format!("{text}\n") } else { format!("FROM base:1\n{text}\n") };
    Case { dockerfile, shared: FILES, files: String::new(), dockerignore: String::new(), expected }
}

fn same(text: &str) -> Case {
    case(text, Expected::Same)
}

fn wrong(text: &str) -> Case {
    case(text, Expected::Wrong)
}

fn refused(text: &str, reason: &'static str) -> Case {
    case(text, Expected::Refused(reason))
}

/// Engines of version 20.10 do otherwise, as the words say: what they make does not count.
fn old(text: &str, how: &'static str) -> Case {
    case(text, Expected::Old(how))
}

impl Case {
    fn with(mut self, files: &str) -> Self {
        files.clone_into(&mut self.files);
        self
    }

    fn ignoring(mut self, dockerignore: &str) -> Self {
        dockerignore.clone_into(&mut self.dockerignore);
        self
    }
}

fn files() -> Vec<Case> {
    vec![
        same("COPY single /opt/"),
        same("COPY single /opt"),
        same("COPY single /new"),
        same("COPY single /new/"),
        same("COPY single /new/deeper/name"),
        same("COPY single /"),
        same("COPY single ."),
        same("COPY single ./"),
        same("COPY single a/b"),
        same("COPY single ../b"),
        same("COPY single /x/../y"),
        same("COPY single /opt/."),
        same("COPY /single /abs"),
        same("COPY ./single //doubled//slash"),
        same("COPY code/../single /up"),
        same("COPY single other run.sh /opt/"),
        same("COPY single other /created/"),
        same("COPY void /opt/"),
        same("COPY odd private run.sh hard /opt/"),
        same("COPY hard single /both/"),
        same("COPY single /etc/os"),
        same("COPY single /usr/su"),
        same("COPY single /tmp/x"),
        same("COPY single /exist/file\nCOPY single /exist/new"),
        same("COPY single other /opt/x"),
        same("COPY single other /new"),
        wrong("COPY nothing /opt/"),
        wrong("COPY code/nothing /opt/"),
        same("COPY single/ /opt/"),
        wrong("COPY single/x /opt/"),
        wrong("COPY single /etc/os/"),
        wrong("COPY single /etc/os/x"),
        wrong("COPY single"),
    ]
}

fn folders() -> Vec<Case> {
    vec![
        same("COPY code /opt/"),
        same("COPY code /opt"),
        same("COPY code/ /new"),
        same("COPY code/ /new/"),
        same("COPY code/. /new/"),
        same("COPY code/lib /exist"),
        same("COPY code/lib /exist/"),
        same("COPY code/lib /exist/sub"),
        same("COPY code/empty /opt/"),
        same("COPY code/empty /opt/empty"),
        same("COPY code/empty /opt/keep"),
        same("COPY layer code/lib /merged"),
        same("COPY layer code/lib single /merged/"),
        same("COPY code ${LAMBDA_TASK_ROOT}/"),
        same("COPY . /all"),
        same("COPY . ."),
        same("COPY / /all"),
        same("COPY ./ ./"),
        same("COPY code /a\nCOPY layer /a\nCOPY layer/file /a/app.py"),
        same("COPY layer /opaque\nCOPY layer /gone"),
        same("COPY tree /tmp").with("tree/keep/x = x\ntree/sub/y = y"),
        same("COPY tree /opt").with("0777 tree/keep/\ntree/keep/x = x"),
        wrong("COPY code /etc/os"),
        wrong("COPY layer /x\nCOPY code /x/file"),
    ]
}

fn patterns() -> Vec<Case> {
    vec![
        same("COPY s* o?her /opt/"),
        same("COPY *.sh /opt/"),
        same("COPY * /opt/"),
        same("COPY code/* /opt/"),
        old("COPY */* /opt/", "a file where a pattern wants a folder ends the transfer"),
        old("COPY */lib /opt/", "a file where a pattern wants a folder ends the transfer"),
        same("COPY co*/l*/x.so /opt/"),
        same("COPY code/l?b /opt/"),
        same("COPY [so]* /opt/"),
        same("COPY [^a-r]* /opt/"),
        same("COPY code/.g* /opt/"),
        same("COPY code/[.]git /opt/"),
        same("COPY s*e /name"),
        same("COPY lay* /name"),
        same("COPY c*/ /name"),
        old("COPY **/x.so /opt/", "a file where a pattern wants a folder ends the transfer"),
        same("COPY code/**/x.so /opt/"),
        same("COPY a[[]1].txt /opt/").with("a[1].txt = bracket"),
        same("COPY a[1].txt /opt/").with("a1.txt = one"),
        wrong("COPY a\\\\*b /opt/").with("a*b = star\naxb = x"),
        same("COPY ln* /opt/"),
        same("COPY lnd/* /opt/"),
        same("COPY none* /opt/"),
        same("COPY none* /new/"),
        same("COPY none* single /opt/"),
        same("COPY nothing/* /opt/"),
        same("COPY single/* /opt/"),
        same("COPY s* o* /name"),
        refused("COPY [a /opt/", "malformed"),
    ]
}

fn links() -> Vec<Case> {
    vec![
        same("COPY single /lnk/"),
        same("COPY single /lnk"),
        same("COPY single /lnk/x"),
        same("COPY single /chain/x"),
        same("COPY single /up/x"),
        same("COPY single /lnk/back/x"),
        same("COPY code/lib /lnk"),
        same("COPY code/lib /lnk/"),
        same("COPY code/lib /lib/sub"),
        same("COPY single /lib/deep/f"),
        same("COPY single /flink"),
        same("COPY single /dangling"),
        same("COPY single /dangling/x"),
        same("COPY single /dangling/"),
        same("COPY code/lib /dangling"),
        same("WORKDIR /lnk/work\nCOPY single f"),
        same("WORKDIR /dangling\nCOPY single f"),
        same("WORKDIR /lnk\nCOPY single f"),
        same("COPY single /opt/f\nCOPY other /lnk/f"),
        same("COPY lns lnd lnin /opt/"),
        same("COPY lns /opt/name"),
        same("COPY lnd /opt/name"),
        same("COPY lnabs /opt/"),
        same("COPY lnd/x.so lnd/l /opt/"),
        same("COPY tree /opt/")
            .with("tree/a -> b\ntree/b/c = c\ntree/d -> /nowhere\ntree/e -> ../../.."),
        same("COPY tree/a /opt/").with("tree/a -> b/c\ntree/b/c = c"),
        same("COPY tree /made\nCOPY single /made/to/x").with("tree/to -> /exist"),
        same("COPY tree /made\nCOPY code/lib /made/to").with("tree/to -> sub\ntree/sub/"),
        same("COPY l /opt/").with("l -> m\nm -> single"),
        same("COPY tree/up /opt/").with("tree/up -> ../single"),
        wrong("COPY l /opt/").with("l -> l"),
        wrong("COPY l /opt/").with("l -> nowhere"),
        wrong("COPY l /opt/").with("l -> ../../../../etc/hostname"),
        wrong("COPY single /loop"),
        wrong("COPY single /loop/x"),
        wrong("COPY single /flink/x"),
    ]
}

fn replacing() -> Vec<Case> {
    let over = |text: &str, files: &str| case(text, Expected::Anything).with(files);
    vec![
        same("COPY single /opt/x\nCOPY other /opt/x"),
        same("COPY run.sh /opt/x\nCOPY other /opt/x"),
        same("COPY single /turned\nCOPY single /opaque/a\nCOPY single /gone/x"),
        over("COPY tree /", "tree/opt = a file over a folder"),
        over("COPY tree /", "tree/etc/os/x = a folder over a file"),
        over("COPY tree /", "tree/etc/os/"),
        over("COPY tree /", "tree/lnk/x = a folder over a link to one"),
        over("COPY tree /", "tree/lnk = a file over a link to a folder"),
        over("COPY tree /", "tree/flink = a file over a link to a file"),
        over("COPY tree /", "tree/flink/x = a folder over a link to a file"),
        over("COPY tree /", "tree/etc/os -> passwd"),
        over("COPY tree /", "tree/opt -> etc"),
        over("COPY tree /", "tree/lnk -> exist"),
        over("COPY tree /", "tree/dangling = a file over a broken link"),
        over("COPY tree /", "tree/dangling/x = a folder over a broken link"),
        over("COPY sub /exist/", "sub = a file over a folder in a folder"),
        over("COPY tree /x\nCOPY other /x/", "tree/other/y = y"),
        over("COPY lns /made/single\nCOPY single /made/", "tree/x = x"),
        over("COPY tree /x\nCOPY more /x", "tree/l -> d\ntree/d/\nmore/l/y = y"),
        over("COPY tree /x\nCOPY more /x", "tree/l/y = y\nmore/l = file"),
        over("COPY tree /x\nCOPY more /x", "tree/l/y = y\nmore/l -> elsewhere"),
        over("COPY tree /x\nCOPY more /x", "tree/l = y\nmore/l -> elsewhere"),
        over("COPY tree /x\nCOPY more /x", "tree/l -> a\nmore/l -> b"),
        over("COPY tree /x\nCOPY more /x", "tree/l -> a\nmore/l = file"),
        over("COPY tree more /x/", "tree/l = first\nmore/l = second"),
        over("COPY tree /x", "tree/.wh.y = a name of layers"),
        over("COPY .wh.y /opt/", ".wh.y = a name of layers"),
    ]
}

fn owners_and_modes() -> Vec<Case> {
    vec![
        same("COPY --chown=5:6 single /a/b/"),
        same("COPY --chown=5 single /a/b/"),
        same("COPY --chown=5:6 code /opt/"),
        same("COPY --chown=5:6 code /exist"),
        same("COPY --chown=root single /opt/"),
        same("COPY --chown=0:0 single /exist/file"),
        same("COPY --chown=app single /opt/"),
        same("COPY --chown=app:staff code/lib /new/er/"),
        same("COPY --chown=odd:50 single /opt/"),
        same("COPY --chown=5:staff single /opt/"),
        same("COPY --chown=odd single /opt/"),
        same("ARG WHO=app\nCOPY --chown=$WHO single /opt/"),
        same("FROM scratch\nCOPY --chown=5:6 single /a/"),
        same("USER app\nCOPY single /opt/\nCOPY code/lib /made/"),
        same("COPY --chown=5:6 lns lnd /opt/"),
        same("COPY --chmod=600 single /opt/"),
        same("COPY --chmod=0755 code/lib /new/"),
        refused("COPY --chmod=4711 single /new/x", "4711"),
        same("COPY --chown=5:6 --chmod=640 code /n"),
        same("COPY --chown=1000:1001 etc/passwd /etc/passwd\nCOPY --chown=new single /opt/")
            .with("etc/passwd = new:x:31:32::/:/bin/sh"),
        same("FROM other:1\nCOPY --chown=app single /x"),
        case("COPY --chown=nobody single /opt/", Expected::Anything),
        case("COPY --chown=app:nogroup single /opt/", Expected::Anything),
        case("COPY --chown=: single /opt/", Expected::Anything),
        case("COPY --chown=app: single /opt/", Expected::Anything),
        case("COPY --chown=:staff single /opt/", Expected::Anything),
        case("COPY --chown=-1 single /opt/", Expected::Anything),
        case("COPY --chown=4294967296 single /opt/", Expected::Anything),
        case("FROM scratch\nCOPY --chown=app single /opt/", Expected::Anything),
        case("COPY --chmod=u+x single /opt/", Expected::Anything),
        case("COPY --chmod=999 single /opt/", Expected::Anything),
    ]
}

fn work_folders() -> Vec<Case> {
    vec![
        same("WORKDIR /var/task"),
        same("WORKDIR /w"),
        same("WORKDIR w"),
        same("WORKDIR /w\nWORKDIR x\nWORKDIR ..\nWORKDIR y/z\nCOPY single ."),
        same("WORKDIR ./w\nCOPY single ./"),
        same("ENV D=/q\nWORKDIR $D/r\nCOPY single ."),
        same("ENV D=r\nWORKDIR ${D:-x}\nCOPY single ."),
        same("USER 8:9\nWORKDIR /new/w"),
        same("USER 8\nWORKDIR /new"),
        same("USER app\nWORKDIR /new/w\nCOPY single x"),
        same("USER app:staff\nWORKDIR /new/w"),
        same("USER app\nWORKDIR /exist/new"),
        same("WORKDIR /w\nUSER 8\nWORKDIR /w"),
        same("FROM scratch\nWORKDIR /a/b\nCOPY single ."),
        same("FROM scratch\nCOPY single ."),
        same("FROM scratch\nCOPY single x/y\nWORKDIR z"),
        same("FROM other:1\nCOPY single x\nWORKDIR rel"),
        same("WORKDIR \"/with space\"\nCOPY single ."),
        same("WORKDIR /with space\nCOPY single ."),
        same("WORKDIR /\nCOPY single x"),
        case("WORKDIR /trailing/\nCOPY single .", Expected::Anything),
        case("WORKDIR /etc/os", Expected::Anything),
        refused("WORKDIR $NOTHING", "empty"),
        case("USER nobody\nWORKDIR /new", Expected::Anything),
        case("WORKDIR ..\nWORKDIR ../..\nCOPY single x", Expected::Anything),
    ]
}

fn stages() -> Vec<Case> {
    let made = "FROM scratch AS made\nCOPY --chown=2:3 code /out/code\nCOPY lns layer /out/l/\n";
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
        case("FROM base:1 AS a\nFROM base:1\nCOPY --from=a /etc/os /x", Expected::Anything),
        case("FROM base:1 AS a\nFROM base:1\nCOPY --from=a /opt /x", Expected::Anything),
        case("FROM base:1 AS a\nFROM scratch\nCOPY --from=a / /", Expected::Anything),
        case("FROM base:1\nCOPY --from=other:1 /etc/os /x", Expected::Anything),
        wrong("FROM scratch AS a\nCOPY single /x\nFROM base:1\nCOPY --from=a /nothing /y"),
        refused("FROM base:1\nCOPY --from=0 /x /y", "no earlier stage"),
    ]
}

fn archives() -> Vec<Case> {
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
        refused("ADD --chown=5:6 a.tar /opt/", "owner").with(TAR),
        refused("ADD --chmod=600 a.tar /opt/", "owner").with(TAR),
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

fn names() -> Vec<Case> {
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
            &(0..50).map(|n| format!("many/{n}/{n} = {n}\n")).collect::<String>(),
        ),
    ]
}

fn ignored() -> Vec<Case> {
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

fn settings() -> Vec<Case> {
    vec![
        same("CMD [ \"app.handler\" ]"),
        same("CMD echo \"$HOME\" && x"),
        same("CMD []"),
        same("CMD [\"a\"]\nCMD b c"),
        same("ENTRYPOINT [\"/e\", \"x\"]"),
        same("ENTRYPOINT run $X"),
        same("CMD [\"a\"]\nENTRYPOINT [\"e\"]"),
        same("ENTRYPOINT [\"e\"]\nCMD [\"a\"]"),
        same("ENTRYPOINT []"),
        same("FROM other:1\nCMD x y"),
        same("FROM other:1\nENTRYPOINT x"),
        same("FROM other:1\nEXPOSE 80"),
        same("CMD [\"t\\tab\", \"\\u00e4\", \"q\\\"\"]"),
        same("CMD [ 'single quotes' ]"),
        same("LABEL a=1 b=\"x y\" c='z $A'"),
        same("LABEL of.base=no \"quoted key\"=v"),
        same("LABEL old form of it"),
        same("LABEL multi=\"a\\\nb\""),
        same("EXPOSE 80 81/udp 90-93/tcp"),
        same("EXPOSE 80\nEXPOSE 80/tcp 81"),
        same("USER 5"),
        same("USER app:staff"),
        same("ENV U=9\nUSER $U"),
        same("STOPSIGNAL SIGKILL"),
        same("STOPSIGNAL 9"),
        refused("VOLUME /data", "`VOLUME`"),
        refused("VOLUME /a /b\nVOLUME [\"/c d\", \"$LAMBDA_TASK_ROOT\"]", "`VOLUME`"),
        refused("VOLUME /new\nCOPY single /new/x", "`VOLUME`"),
        refused("FROM other:1\nVOLUME /more", "`VOLUME`"),
        refused("SHELL [\"/bin/bash\", \"-c\"]\nCMD x\nENTRYPOINT y z", "`SHELL`"),
        refused("SHELL [\"/bin/bash\"]", "`SHELL`"),
        refused("MAINTAINER Somebody <a@b>", "`MAINTAINER`"),
        refused("HEALTHCHECK NONE", "`HEALTHCHECK`"),
        refused("HEALTHCHECK CMD curl x", "`HEALTHCHECK`"),
        refused(
            "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=2s --retries=4 CMD [\"a\", \"b\"]",
            "`HEALTHCHECK`",
        ),
        refused("ONBUILD COPY x /y", "`ONBUILD`"),
        refused("ONBUILD RUN a && b\nONBUILD CMD [\"x\"]", "`ONBUILD`"),
        wrong("STOPSIGNAL 0"),
        wrong("EXPOSE x"),
        wrong("EXPOSE 80/xyz"),
        refused("ONBUILD FROM x", "`ONBUILD`"),
        wrong("ONBUILD ONBUILD CMD x"),
        wrong("HEALTHCHECK x"),
        refused("VOLUME []", "`VOLUME`"),
        wrong("SHELL x"),
        case("CMD [\"a\", 1]", Expected::Anything),
    ]
}

fn variables() -> Vec<Case> {
    vec![
        same("ENV a=1 b=\"x y\" c='z $a' d=$a-${a}b"),
        same("ENV a=1\nENV a=2 b=$a\nENV c=$b$a"),
        same("ENV old form  of it "),
        same("ENV PATH=/x:$PATH LAMBDA_TASK_ROOT=/y"),
        same("ENV a=${N:-d} b=${EMPTY:-d} c=${EMPTY:+d} e=${PATH:+d}"),
        same("ENV a=\\$x b=x\\ y c=\"q\\\"r\" d=a\\\\b"),
        same("ENV a=b\\\n  c=d \\\n# comment\n\n  e=f"),
        same("ENV a=${PATH}s b=$PATHs c=$1 d=$ e=a$"),
        same("ENV a='' b=\"\" c="),
        same("ENV a=$(x) b=`x` c=\"$PATH'\""),
        same("ENV ä=ö b=${ä}"),
        same("ENV \"quoted\"=x a.b=c d-e=f"),
        same("ARG A=1\nENV B=$A"),
        same("ARG A\nENV B=x$A"),
        same("ARG A=1\nARG A=2\nENV B=$A"),
        same("ARG A=arg\nENV A=env\nENV B=$A"),
        same("ENV A=env\nARG A=arg\nENV B=$A"),
        same("ARG A=\"x y\" \nLABEL l=$A"),
        same("ARG A=1 B=2\nENV C=$A$B"),
        same("ARG V=1\nFROM base:$V\nENV B=x$V"),
        same("ARG V=1\nFROM base:$V\nARG V\nENV B=x$V"),
        same("ARG V=1\nFROM base:$V\nARG V=2\nENV B=x$V"),
        same("ARG N=base\nARG V=$N:1\nFROM $V\nCOPY single /x"),
        same(
            "ARG TARGETARCH\nARG TARGETPLATFORM TARGETOS\nENV A=$TARGETARCH-$TARGETOS-$TARGETPLATFORM",
        ),
        same("FROM --platform=linux/amd64 base:1\nCOPY single /x"),
        same("FROM --platform=$TARGETPLATFORM base:1\nCOPY single /x"),
        same("ENV D=/opt S=single\nCOPY $S ${D}/"),
        same("ENV S=\"code/a b.txt\"\nCOPY $S /opt/"),
        same("ENV S=\"s*\"\nCOPY $S /opt/"),
        same("ENV P=\"80 81\"\nEXPOSE $P 82"),
        same("ENV K=k V=\"v w\"\nLABEL $K=$V x.$K=\"$V\""),
        same("ENV A=1\nCMD [\"$A\"]\nENTRYPOINT [\"${A}\"]"),
        same("ENV PATH="),
        same("FROM scratch\nENV A=$PATH\nCOPY single /x"),
        wrong("ENV a=${"),
        wrong("ENV a=\"x"),
        wrong("ENV a"),
        wrong("ENV a=1 b"),
        case("ENV a=${PATH#/}", Expected::Anything),
        case("ENV a=${N:?no}", Expected::Anything),
        case("ARG A=1 B=$A\nENV C=$B", Expected::Anything),
        case("ARG A=x$A\nENV C=$A", Expected::Anything),
    ]
}

fn spelling() -> Vec<Case> {
    vec![
        same("copy single /a\nCmd [\"x\"]\nenv a=b"),
        same("# escape=`\nFROM base:1\nENV a=`$x b=c`\n d=e\\f\nCOPY single /x\\y"),
        same("# comment\n\n  # indented\nFROM base:1\n  COPY single /x  \n\tENV a=b\t"),
        same("FROM base:1 as Stage\nFROM stage\nCOPY single /x"),
        same("COPY single \\\n\n# comment\n  other \\\n  /opt/"),
        same("FROM base:1\r\nCOPY single /x\r\nENV a=b\r\nCMD [\"x\"]\r"),
        same("CMD [\"a\", \\\n \"b\"]"),
        same("CMD a \\\n  b \\\n  # comment\n  c"),
        wrong("LABEL a=b # no comment=x"),
        wrong("FROM base:1\nNONSENSE x"),
        wrong("COPY single /x\nFROM"),
        wrong("FROM"),
        same("# only a comment"),
    ]
}

fn left_to_the_engine() -> Vec<Case> {
    vec![
        refused("RUN true", "`RUN`"),
        refused("COPY --link single /x", "--link"),
        refused("COPY <<EOF /x\nhello\nEOF", "here-document"),
        refused("ADD https://example.invalid/x /y", "https"),
    ]
}
