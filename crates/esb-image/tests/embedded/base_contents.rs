//! Files that a build copies out of base images.

use std::io::Write as _;

use esb_image::Error;
use esb_oci::{Digest, ImageConfig, manifest::media_type};
use tar::EntryType;

use crate::fixture::{Project, added, base_of};

/// A layer of lines `type mode owner path text`: `d`, `f`, `l` for a link, `h` for a hard link, `p`
/// for a pipe.
fn layer(lines: &str) -> (Vec<u8>, Digest) {
    let mut builder = tar::Builder::new(Vec::new());
    for line in lines.lines() {
        let words: Vec<&str> = line.trim().splitn(5, ' ').collect();
        let [kind, mode, owner, path, rest @ ..] = &words[..] else { panic!("{line}") };
        let text = rest.first().copied().unwrap_or_default();
        let kind = match *kind {
            "d" => EntryType::Directory,
            "l" => EntryType::Symlink,
            "h" => EntryType::Link,
            "p" => EntryType::Fifo,
            _ => EntryType::Regular,
        };
        let mut header = tar::Header::new_ustar();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_mode(u32::from_str_radix(mode, 8).unwrap());
        header.set_uid(owner.parse().unwrap());
        header.set_gid(owner.parse().unwrap());
        let content = if kind.is_file() { text } else { "" };
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_link_name(text).unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    let tar = builder.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    (gzip.finish().unwrap(), Digest::of(&tar))
}

/// A project with `tools:1`, an image of two layers.
fn project(dockerfile: &str) -> Project {
    let mut project = Project::new(dockerfile, "single one");
    let lower = layer(
        "d 755 0 usr
d 750 5 usr/tools
f 4755 0 usr/tools/run run
f 640 7 usr/tools/gone gone
f 644 0 usr/tools/old old
h 4755 0 usr/tools/again usr/tools/run
l 777 0 bin usr/tools
d 755 0 etc
f 644 0 etc/passwd app:x:31:32::/:/bin/sh
p 644 0 pipe",
    );
    let upper = layer(
        "f 644 0 usr/tools/.wh.gone
f 600 9 bin/old new
f 644 0 turned/in in",
    );
    let mut config = ImageConfig::empty("amd64");
    config.set("Cmd", vec!["tools"]);
    let tools = base_of(media_type::OCI_MANIFEST, config, vec![lower, upper]);
    project.bases.insert("tools:1".to_owned(), tools);
    project
}

#[track_caller]
fn check(dockerfile: &str, expected: &str) {
    let project = project(dockerfile);
    let built = project.image();
    assert_eq!(added(&built), expected, "{dockerfile}");
    let other = super::fixture::builder(&project.folder.path().join("other"));
    let again = Project { builder: other, ..project };
    assert_eq!(again.image().digest(), built.digest(), "the same bytes again: {dockerfile}");
}

#[test]
fn an_image_and_a_stage_give_what_their_layers_hold() {
    let all = "t/again 4755 run, t/old 600 9:9 new, t/run 4755 run";
    check("FROM base:1\nCOPY --from=tools:1 /bin /t", &format!("t/ 755, {all}"));
    check(
        "FROM tools:1 AS a\nFROM base:1\nCOPY --from=a /usr/tools/ /t/",
        &format!("t/ 755, {all}"),
    );
    check("FROM tools:1 AS a\nFROM base:1\nCOPY --from=0 /bin/ag* /t", "t 4755 run");
    check(
        "FROM base:1\nCOPY --from=tools:1 /usr /t",
        "t/ 755, t/tools/ 750 5:5, t/tools/again 4755 run, t/tools/old 600 9:9 new, t/tools/run 4755 run",
    );
    check("FROM base:1\nCOPY --from=tools:1 --chown=1:2 --chmod=700 /bin/run /t", "t 700 1:2 run");
    check(
        "FROM base:1\nCOPY --from=tools:1 /turned/in /bin/old /t/",
        "t/ 755, t/in 644 in, t/old 600 9:9 new",
    );
    check(
        "FROM tools:1 AS a\nCOPY single /usr/tools/run\nFROM base:1\nCOPY --from=a /bin /t",
        "t/ 755, t/again 4755 run, t/old 600 9:9 new, t/run 644 one",
    );
}

#[test]
fn accounts_may_come_from_another_image() {
    check(
        "FROM base:1\nCOPY --from=tools:1 /etc/passwd /etc/passwd\nCOPY --chown=app single /x\n\
         COPY --from=tools:1 /bin/old /y",
        "etc/passwd 644 app:x:31:32::/:/bin/sh, x 644 31:32 one, y 600 9:9 new",
    );
}

#[test]
fn what_cannot_be_copied_is_told() {
    let error = project("FROM base:1\nCOPY --from=tools:1 /pipe /x").build().unwrap_err();
    let Error::Unsupported { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!((source.line, source.reason.contains("`/pipe`")), (2, true), "{error}");
    for source in ["/usr/tools/gone", "/nothing", "/bin/old/x"] {
        let dockerfile = format!("FROM base:1\nCOPY --from=tools:1 {source} /x");
        let error = project(&dockerfile).build().unwrap_err();
        assert!(matches!(&error, Error::Dockerfile { line: 2, .. }), "{source}: {error:?}");
    }
    let error = project("FROM base:1\nCOPY --from=unknown /a /b").build().unwrap_err();
    assert!(matches!(error, Error::UnknownBase { .. }), "{error:?}");
    let error = project("FROM base:1\nCOPY --from=scratch /a /b").build().unwrap_err();
    assert!(matches!(error, Error::Dockerfile { .. }), "{error:?}");
}
