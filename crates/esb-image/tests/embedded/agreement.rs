//! What `supports` says of a Dockerfile is what `build` does: random Dockerfiles over the whole
//! language, the same ones each time.

use esb_image::{Builder as _, Error, Unsupported};
use esb_model::{OwnDockerfile, Secret};
use fastrand::Rng;

use crate::fixture::Project;

const CASES: u64 = 800;

/// Reasons that lie in what a base or the context holds, which a Dockerfile does not tell.
const OF_CONTENT: [&str; 4] = ["`/etc/", "which a base image holds", "archive", "not UTF-8"];

/// Whether a reason lies in what only the base tells: what it holds, and its variables.
fn is_of_base(source: &Unsupported, text: &str) -> bool {
    let line = text.lines().nth(source.line - 1).unwrap_or_default();
    OF_CONTENT.iter().any(|words| source.reason.contains(words))
        || line.contains('$') && text.contains("FROM base:1")
}

/// Each line is a choice, `%` something that [`fill`] puts in.
const INSTRUCTIONS: &str = r#"ARG A
ARG A=% B=$A
ENV A=% B=x
ENV A %
LABEL a=% "b c"=%
COPY %s %d
COPY %s %s %d/
COPY ["%s", "%d"]
COPY --chown=%o %s %d
COPY --chmod=%m %s %d
COPY --chown=%o --chmod=%m %s %d
COPY --link %s %d
COPY --parents %s %d/
COPY --exclude=*.txt %s %d
COPY --from=one %d %d
COPY --from=%n %d %d
COPY <<TEXT %s %d/¶one $A¶TEXT
COPY --from
ADD %s %d
ADD --chown=%o tree.tar %d
ADD tree.tar %d/
ADD https://example.org/x %d
ADD --checksum=sha256:00 https://example.org/x %d
ADD git@example.org:x.git %d
ADD --keep-git-dir %s %d
WORKDIR %d
WORKDIR %
USER %o
USER %
EXPOSE 80 81/udp %
EXPOSE 100-102 127.0.0.1:1:2
VOLUME /a %
VOLUME ["%d"]
STOPSIGNAL %
STOPSIGNAL 9
SHELL ["/bin/sh"]
SHELL %
ENTRYPOINT ["a", "%"]
ENTRYPOINT %
CMD ["a"]
CMD a %
CMD --x
HEALTHCHECK NONE
HEALTHCHECK --interval=%i --retries=3 CMD true
HEALTHCHECK --start-interval=1.5s CMD true
HEALTHCHECK %
MAINTAINER %
ONBUILD COPY %s %d
ONBUILD %
RUN true
RUN --mount=type=cache,target=/x true
RUN <<END¶true¶END
FROM one
FROM base:1 AS two
FROM scratch
FROM --platform=$BUILDPLATFORM base:1
FROM --platform=%i base:1
NONSENSE %
# a comment"#;

/// A template with random words in the places of its marks.
fn fill(template: &str, random: &mut Rng) -> String {
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        let words: &[&str] = match (c, chars.peek()) {
            ('¶', _) => &["\n"],
            ('%', Some('s')) => &[
                "file", "sub", "sub/", "*.txt", ".", "", "$A", "../file", "[a", "sub/*", "none",
                "lnk", "\\", "[[]", "a?b",
            ],
            ('%', Some('d')) => {
                &["/", "/new", "/new/er/", "rel", ".", "/opt", "/lnk/x", "$A", "/etc/os", "../up"]
            }
            ('%', Some('o')) => &["5", "5:6", "root", "0:0", "$A", ":7", "5:", "", "a:b:c", "x y"],
            ('%', Some('m')) => {
                &["600", "0755", "4755", "u=rwX", "$A", "", "9", "77777", "a+x,g=u", "-1"]
            }
            ('%', Some('n')) => &["0", "1", "9", "other:1", "base:1", "$A", "ONE", ""],
            ('%', Some('i')) => &["1s", "1.5h", "1", "$A", "linux/arm64", "", "-1s", "linux"],
            ('%', _) => &[
                "x", "$A", "${A:-d}", "${A#x}", "${A/x/y}", "${A", "\"q\"", "'", "\\", "${A:?no}",
                "--x", "$", "", "a=b", "${Z##*.}", "${A^}", "\u{e9}",
            ],
            _ => {
                text.push(c);
                continue;
            }
        };
        if c == '%' && chars.peek().is_some_and(|c| "sdomni".contains(*c)) {
            chars.next();
        }
        text.push_str(words[random.usize(..words.len())]);
    }
    text
}

fn dockerfile(random: &mut Rng) -> String {
    let lines: Vec<&str> = INSTRUCTIONS.lines().collect();
    let mut text = String::new();
    if random.u8(..8) == 0 {
        text += ["# check=error=true\n", "# escape=`\n", "ARG A=1\n"][random.usize(..3)];
    }
    text += ["FROM base:1 AS one\n", "FROM scratch AS one\n"][random.usize(..2)];
    for _ in 0..random.usize(1..6) {
        text += &fill(lines[random.usize(..lines.len())], random);
        text += "\n";
    }
    text
}

#[test]
fn what_is_supported_is_built() {
    let mut project = Project::new("", "file f\nsub/one 1\nsub/two.txt 2\na.txt a\nlnk->file");
    let mut tree = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    tree.append_data(&mut header, "in/file", &b"x"[..]).unwrap();
    std::fs::write(project.root().join("tree.tar"), tree.into_inner().unwrap()).unwrap();
    let args = [("A".to_owned(), Secret::new("v".to_owned()))];
    let own = OwnDockerfile { args: args.into(), ..OwnDockerfile::default() };
    let (mut built, mut refused, mut wrong, mut known_late) = (0, 0, 0, 0);
    for seed in 0..CASES {
        let mut random = Rng::with_seed(seed);
        let text = dockerfile(&mut random);
        project.recipe.dockerfile.clone_from(&text);
        project.recipe.own = random.bool().then(|| own.clone());
        let supports = project.builder.supports(&project.recipe);
        let what = match (supports, project.build()) {
            (Ok(()), Ok(_)) => &mut built,
            // A daemon has no such file either, nor a base of that name.
            (Ok(()), Err(Error::MissingSource { .. } | Error::UnknownBase { .. })) => &mut wrong,
            (Ok(()), Err(Error::Dockerfile { reason, .. })) => {
                let is_told = reason.contains('`') || reason.contains("several");
                assert!(is_told, "seed {seed}: {reason}\n{text}");
                &mut wrong
            }
            (Ok(()), Err(Error::Unsupported { source, .. })) if is_of_base(&source, &text) => {
                &mut known_late
            }
            (
                Err(Unsupported { line, reason }),
                Err(Error::Dockerfile { line: l, reason: r, .. }),
            ) if line == l && reason == r => &mut wrong,
            (Err(supports), Err(Error::Unsupported { source, .. })) if supports == source => {
                let names = source.reason.contains('`');
                assert!(names && source.line <= text.lines().count(), "{source}\n{text}");
                &mut refused
            }
            (supports, made) => {
                let made = made.map(|report| report.reason);
                panic!("seed {seed}: supports says {supports:?}, build {made:?}\n{text}")
            }
        };
        *what += 1;
    }
    let tally = format!("{built} built, {refused} refused, {wrong} wrong, {known_late} known late");
    assert!(built > CASES / 20 && refused > CASES / 20 && wrong > CASES / 20, "{tally}");
    assert!(known_late < CASES / 10, "{tally}");
}
