//! What is built from nothing, and what of it stays in the engine.

use std::{collections::BTreeMap, path::Path};

use esb_image::{
    Action, Built, Engine as _,
    docker::{DockerBuilder, DockerEngine},
};
use esb_oci::ContentStore;

use crate::contract::support::{
    Bench, FINGERPRINT, flatten, local, make_executable, recipe, write,
};

/// A whole context, and everything that an image gets beside its files.
pub(crate) async fn builds_from_nothing(
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
) {
    let root = folder.join("nothing");
    write(&root, &[("main.py", "x = 1\n"), ("pkg/run.sh", "#!\n"), (".hidden/secret", "s")]);
    make_executable(&root.join("pkg/run.sh"));
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    let bench =
        Bench { builder: &builder, root: &root, bases: BTreeMap::new(), heard: <_>::default() };
    let recipe = recipe(
        "esb-nothing",
        "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY . /var/task/\nENV A=\"b c\"\nCMD [ \"h.f\" ]\n",
    );
    let first = bench.build(&recipe).await;
    assert_eq!((first.action, &*first.reason), (Action::Built, "new"));
    let made = local(&first);
    assert_eq!(
        flatten(made, 0).await,
        "755 0:0 var /\n\
         755 0:0 var/task /\n\
         644 0:0 var/task/main.py \"x = 1\\n\"\n\
         755 0:0 var/task/pkg /\n\
         755 0:0 var/task/pkg/run.sh \"#!\\n\""
    );
    let config = made.parse_config().unwrap();
    assert_eq!(config.env("A"), Some("b c"));
    assert_eq!(config.list("Cmd"), Some(vec!["h.f"]));
    assert_eq!(config.label("com.example.managed"), Some("true"));
    assert_eq!(config.label(FINGERPRINT).map(str::len), Some(64));
    let text = String::from_utf8_lossy(made.config_bytes.as_ref().unwrap());
    assert!(!text.contains(".build-context") && !text.contains("buildinfo"), "{text}");
    assert!(text.contains("\"created\":\"1980-01-01T00:00:00Z\""), "{text}");

    // Times change nothing; an image that is there is used.
    write(&root, &[("main.py", "x = 1\n")]);
    let second = bench.build(&recipe).await;
    assert_eq!((second.action, &*second.reason), (Action::Cached, "same content, base and recipe"));
    assert_eq!(local(&second).descriptor, made.descriptor);
    // Another store does not know that the engine's image is what a build would make.
    let other = ContentStore::open(folder.join("other store")).unwrap();
    let elsewhere = DockerBuilder::new(engine.clone(), other.clone());
    let report =
        Bench { builder: &elsewhere, root: &root, bases: BTreeMap::new(), heard: <_>::default() }
            .build(&recipe)
            .await;
    assert_eq!(report.action, Action::Built);
    assert_eq!(local(&report).descriptor, made.descriptor);
    assert!(local(&report).layers.iter().all(|layer| other.has(&layer.descriptor)));
    // Built again from the start, it has the same bytes.
    let again = bench.try_build(&recipe, true).await.unwrap();
    assert_eq!((again.action, &*again.reason), (Action::Built, "the cache is not used"));
    assert_eq!(local(&again).descriptor, made.descriptor);

    write(&root, &[("main.py", "x = 2\n")]);
    let changed = bench.build(&recipe).await;
    assert_eq!((changed.action, &*changed.reason), (Action::Built, "`main.py` changed"));
    assert_ne!(local(&changed).descriptor, made.descriptor);

    let labels = BTreeMap::from([("com.example.managed".to_owned(), "true".to_owned())]);
    let listed = engine.list(&labels).await.unwrap();
    assert!(listed.iter().any(|image| image.names == ["esb-nothing:latest"]), "{listed:?}");

    let stays = DockerBuilder::new(engine.clone(), store.clone()).in_engine().with_prefix("r:1/");
    let report =
        Bench { builder: &stays, root: &root, bases: BTreeMap::new(), heard: <_>::default() }
            .build(&recipe)
            .await;
    let Built::InEngine { id } = report.built else { panic!("{report:?}") };
    assert_eq!(engine.find("r:1/esb-nothing:latest").await.unwrap(), Some(id));
}
