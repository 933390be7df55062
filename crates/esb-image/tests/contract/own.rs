//! Dockerfiles of users: build arguments, and a stage that is not the last one.

use std::{collections::BTreeMap, path::Path};

use esb_image::{Action, Base, Builder, EmbeddedBuilder, EmbeddedSettings, Error};
use esb_model::{BaseRef, ImageOverrides, OwnDockerfile, Secret};
use esb_oci::ContentStore;

use crate::contract::support::{Bench, File, flatten, image, local, recipe, write};

pub(crate) async fn own_dockerfiles(
    builder: &dyn Builder,
    store: &ContentStore,
    folder: &Path,
    busybox: &[u8],
) {
    let root = folder.join("own");
    write(&root, &[("index.html", "hello\n")]);
    let files = [File("bin/busybox", 0o755, busybox), File("bin/sh->busybox", 0o777, b"")];
    let base = image(store, &[&files]);
    let name = "esb-own-base:1";
    let bases = BTreeMap::from([(
        name.to_owned(),
        Base { image: base, pullable: None, name: name.to_owned() },
    )]);
    let bench = Bench { builder, root: &root, bases, heard: <_>::default() };
    let mut recipe = recipe(
        "esb-own",
        "ARG BASE=nothing:1\nFROM $BASE AS first\nARG WORD=none\n\
         RUN busybox echo \"$WORD\" > /word\nCMD [\"first\"]\n\
         FROM nothing:2 AS second\nRUN busybox false\n",
    );
    recipe.base = BaseRef::InDockerfile;
    let own = |word: &str| {
        let args = [("BASE", name), ("WORD", word)];
        let args = args.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        let target = Some("First".to_owned());
        Some(OwnDockerfile { args: args.into(), target, ..OwnDockerfile::default() })
    };
    recipe.own = own("one word");
    let first = bench.build(&recipe).await;
    assert!(flatten(local(&first), 1).await.ends_with("644 0:0 word \"one word\\n\""));
    let config = local(&first).parse_config().unwrap();
    assert_eq!(config.list("Cmd"), Some(vec!["first"]));
    let again = bench.build(&recipe).await;
    assert_eq!(again.action, Action::Cached);

    // What `ImageConfig` does not name stays, and stages after the target do too.
    let mut configured = own("one word");
    configured.as_mut().unwrap().overrides = ImageOverrides {
        entry_point: Some(vec!["/run".to_owned(), "$a \"b\"".to_owned()]),
        working_directory: Some("/my $dir's".to_owned()),
        command: None,
    };
    recipe.own = configured;
    let made = bench.build(&recipe).await;
    let config = local(&made).parse_config().unwrap();
    assert_eq!(config.list("Entrypoint"), Some(vec!["/run", "$a \"b\""]));
    assert_eq!(config.list("Cmd"), Some(vec!["first"]));
    assert_eq!(config.text("WorkingDir"), "/my $dir's");

    recipe.own = own("hunter2");
    let changed = bench.build(&recipe).await;
    assert_eq!((changed.action, &*changed.reason), (Action::Built, "recipe changed"));
    assert!(flatten(local(&changed), 1).await.ends_with("644 0:0 word \"hunter2\\n\""));
    assert!(!bench.heard.text().contains("hunter2"), "{}", bench.heard.text());

    let embedded = EmbeddedBuilder::new(store.clone(), EmbeddedSettings::default());
    assert!(embedded.supports(&recipe).is_err());
    let bench = Bench { builder: &embedded, ..bench };
    let error = bench.try_build(&recipe, false).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}
