//! What holds for every engine that runs processes: steps, and what is said of one that fails.

use std::{collections::BTreeMap, path::Path};

use esb_image::{Base, Builder, Error};
use esb_oci::ContentStore;

use crate::contract::support::{Bench, File, flatten, image, local, recipe, write};

/// Steps that run a program: one that works, one that fails.
pub(crate) async fn steps_run(
    builder: &dyn Builder,
    store: &ContentStore,
    folder: &Path,
    busybox: &[u8],
) {
    let root = folder.join("runs");
    write(&root, &[("index.html", "hello\n")]);
    let base = image(
        store,
        &[&[
            File("bin/busybox", 0o755, busybox),
            File("bin/sh->busybox", 0o777, b""),
            File("tmp/", 0o1777, b""),
        ]],
    );
    let name = "esb-busybox:1";
    let bases = BTreeMap::from([(
        name.to_owned(),
        Base { image: base, pullable: None, name: name.to_owned() },
    )]);
    let bench = Bench { builder, root: &root, bases, heard: <_>::default() };
    let server = recipe(
        "esb-server",
        &format!(
            "FROM {name}\nCOPY . /www/\n\
             RUN busybox echo made > /made && busybox chmod 4751 /made && echo I am said\n\
             ENTRYPOINT [ \"/bin/busybox\", \"httpd\", \"-f\", \"-v\", \"-p\", \"8080\", \"-h\", \"/www\" ]\n"
        ),
    );
    let report = bench.build(&server).await;
    let files = flatten(local(&report), 1).await;
    assert!(files.contains("4751 0:0 made \"made\\n\""), "{files}");
    assert!(files.contains("644 0:0 www/index.html \"hello\\n\""), "{files}");
    assert!(bench.heard.text().contains("I am said"), "{}", bench.heard.text());
    let again = bench.try_build(&server, true).await.unwrap();
    assert_eq!(local(&again).descriptor, local(&report).descriptor);

    let broken = recipe(
        "esb-broken",
        &format!("FROM {name}\nRUN echo first\nRUN echo what went wrong && exit 3\n"),
    );
    match bench.try_build(&broken, false).await.unwrap_err() {
        Error::Step { image, step, log, at } => {
            assert_eq!(at.line, Some(3));
            assert_eq!(image, "esb-broken");
            assert!(step.contains("echo what went wrong && exit 3"), "{step}");
            assert!(log.starts_with("what went wrong\n") && log.contains('3'), "{log}");
        }
        other => panic!("{other:?}"),
    }
    let invalid = recipe("esb-invalid", &format!("FROM {name}\nRUN --nonsense=1 true\n"));
    let error = bench.try_build(&invalid, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::Engine { reason, .. } if reason.contains("nonsense")),
        "{error}"
    );
}
