//! What the engine refuses, and how it says so.

use std::error::Error as _;

use esb_image::{Builder as _, Error, ErrorKind, Remedy};

use crate::fixture::Project;

#[track_caller]
fn refused(dockerfile: &str) -> Error {
    let project = Project::new(dockerfile, "file f\ncode/app.py a\nlnk/x y");
    project.build().unwrap_err()
}

#[test]
fn what_only_another_engine_can_do() {
    let check = |dockerfile: &str, line: usize, part: &str| {
        let error = refused(dockerfile);
        let Error::Unsupported { source, engine: "embedded", .. } = &error else {
            panic!("{dockerfile}: {error:?}")
        };
        assert_eq!(source.line, line, "{dockerfile}");
        assert!(source.reason.contains(part), "{dockerfile}: {}", source.reason);
        assert_eq!(error.kind(), ErrorKind::Build);
        assert_eq!(error.remedy(), Some(Remedy::UseAnotherBuilder));
    };
    check("FROM base:1\nRUN true", 2, "`RUN`");
    check("FROM base:1\n\nCOPY --link file /opt", 3, "--link");
    check("FROM base:1\nCOPY --chown=me file /x", 2, "`me`");
    check("FROM base:1\nCOPY [ab file /x", 2, "malformed");
    check("FROM base:1\nUSER me\nWORKDIR /new", 3, "`me`");
}

#[test]
fn supports_says_the_same_beforehand() {
    let check = |dockerfile: &str, expected: Option<usize>| {
        let project = Project::new(dockerfile, "");
        let found = project.builder.supports(&project.recipe).err().map(|found| found.line);
        assert_eq!(found, expected, "{dockerfile}");
    };
    check("FROM base:1\nCOPY a b\nCMD [\"x\"]", None);
    check("FROM base:1\nRUN true", Some(2));
    check("FROM base:1\nVOLUME /x\nSHELL [\"/x\"]\nHEALTHCHECK NONE", None);
    check("FROM base:1\nONBUILD RUN x", None);
    check("FROM base:1 AS unused\nRUN true\nFROM base:1", None);
    check("NONSENSE", Some(1));
}

#[test]
fn mistakes_in_a_dockerfile() {
    let check = |dockerfile: &str, line: usize, part: &str| {
        let error = refused(dockerfile);
        let Error::Dockerfile { line: found, reason, .. } = &error else {
            panic!("{dockerfile}: {error:?}")
        };
        assert_eq!(*found, line, "{dockerfile}");
        assert!(reason.contains(part), "{dockerfile}: {reason}");
    };
    check("FROM base:1\nCOPY file /etc/os/x", 2, "not a folder");
    check("FROM base:1\nCOPY lnk /x\nCOPY file /x/\nCOPY file /x/file/", 4, "not a folder");
    check("FROM base:1\nCOPY . /\n", 2, "`/lnk` is not a folder");
    check("FROM base:1\nCOPY file /a\nCOPY code /a", 3, "not a folder");
    check("FROM base:1\nNONSENSE", 2, "");
}

#[test]
fn what_is_missing() {
    let error = refused("FROM base:1\nCOPY code/none /x");
    assert!(matches!(&error, Error::MissingSource { path, .. } if path.ends_with("code/none")));
    assert_eq!(error.kind(), ErrorKind::Input);
    let error = refused("FROM other:1");
    assert!(matches!(&error, Error::UnknownBase { base, .. } if base == "other:1"));
    let mut project = Project::new("FROM base:1", "");
    project.recipe.context.folder = "none".into();
    assert!(matches!(project.build().unwrap_err(), Error::Io { .. }));
}

#[test]
fn damaged_base_layers_are_named() {
    let mut project = Project::new("FROM base:1\nCOPY file /x", "file f");
    let base = project.bases.get_mut("base:1").unwrap();
    let mut bad = esb_oci::Blob::from_bytes("x", &b"not a layer"[..]);
    bad.descriptor = base.image.layers[0].descriptor.clone();
    base.image.layers[0] = bad;
    let error = project.build().unwrap_err();
    let Error::BaseLayer { digest, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*digest, project.bases["base:1"].image.layers[0].descriptor.digest);
    assert!(error.source().is_some());
    assert_eq!(error.kind(), ErrorKind::Remote);
}

#[test]
fn malformed_dockerignores() {
    let mut project = Project::new("FROM base:1\nCOPY file /x", "file f");
    project.recipe.dockerignore = "[a".into();
    assert!(matches!(project.build().unwrap_err(), Error::Dockerignore { .. }));
}
