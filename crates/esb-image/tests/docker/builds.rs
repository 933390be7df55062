//! What is built: from nothing, with steps that run, and as the embedded engine builds it.

use std::{collections::BTreeMap, path::Path};

use esb_image::{
    Action, Base, Builder, Built, EmbeddedBuilder, Engine as _, Error,
    docker::{DockerBuilder, DockerEngine},
};
use esb_oci::{ContentStore, ImageConfig};

use crate::support::{
    Bench, FINGERPRINT, File, flatten, image, local, make_executable, recipe, write,
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
    assert_eq!((first.action, &*first.reason), (Action::Built, "never built before"));
    let made = local(&first);
    assert_eq!(
        flatten(made, 0).await,
        "755 0:0 var /\n\
         755 0:0 var/task /\n\
         644 0:0 var/task/main.py \"x = 1\\n\"\n\
         755 0:0 var/task/pkg /\n\
         755 0:0 var/task/pkg/run.sh \"#!\\n\""
    );
    let config = ImageConfig::parse(&made.config_bytes).unwrap();
    assert_eq!(config.env("A"), Some("b c"));
    assert_eq!(config.list("Cmd"), Some(vec!["h.f"]));
    assert_eq!(config.label("com.example.managed"), Some("true"));
    assert_eq!(config.label(FINGERPRINT).map(str::len), Some(64));
    let text = String::from_utf8_lossy(&made.config_bytes);
    assert!(!text.contains(".build-context") && !text.contains("buildinfo"), "{text}");
    assert!(text.contains("\"created\":\"1980-01-01T00:00:00Z\""), "{text}");

    // Times change nothing; an image that is there is used.
    write(&root, &[("main.py", "x = 1\n")]);
    let second = bench.build(&recipe).await;
    assert_eq!((second.action, &*second.reason), (Action::Cached, "same content, base and recipe"));
    assert_eq!(local(&second).descriptor, made.descriptor);
    // Another store has to take it out of the engine again.
    let other = ContentStore::open(folder.join("other store")).unwrap();
    let elsewhere = DockerBuilder::new(engine.clone(), other.clone());
    let report =
        Bench { builder: &elsewhere, root: &root, bases: BTreeMap::new(), heard: <_>::default() }
            .build(&recipe)
            .await;
    assert_eq!(report.action, Action::Cached);
    assert_eq!(local(&report).descriptor, made.descriptor);
    assert!(local(&report).layers.iter().all(|layer| other.has(&layer.descriptor)));
    // Built again from the start, it has the same bytes.
    let again = bench.try_build(&recipe, true).await.unwrap();
    assert_eq!(
        (again.action, &*again.reason),
        (Action::Built, "earlier results were not to be used")
    );
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

/// Steps that run a program: one that works, one that fails.
pub(crate) async fn steps_run(
    engine: &DockerEngine,
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
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    let bench = Bench { builder: &builder, root: &root, bases, heard: <_>::default() };
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
    let missing = recipe("esb-missing", &format!("FROM {name}\nCOPY nowhere /x\n"));
    let error = bench.try_build(&missing, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::MissingSource { path, .. } if path == Path::new("nowhere")),
        "{error}"
    );
    let invalid = recipe("esb-invalid", &format!("FROM {name}\nRUN --nonsense=1 true\n"));
    let error = bench.try_build(&invalid, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::Engine { reason, .. } if reason.contains("nonsense")),
        "{error}"
    );
}

/// What both engines accept, they build to the same files and the same config.
pub(crate) async fn both_engines_agree(engine: &DockerEngine, store: &ContentStore, folder: &Path) {
    let root = folder.join("agree");
    write(&root, &[("code/app.py", "x\n"), ("code/bin/run", "#!\n"), ("layer/python/l.py", "y\n")]);
    make_executable(&root.join("code/bin/run"));
    std::os::unix::fs::symlink("app.py", root.join("code/link")).unwrap();
    let base = image(
        store,
        &[&[
            File("var/", 0o755, b""),
            File("var/task/", 0o755, b""),
            File("opt/", 0o755, b""),
            File("lnk->opt", 0o777, b""),
        ]],
    );
    let name = "agreed:1";
    let bases = BTreeMap::from([(
        name.to_owned(),
        Base { image: base, pullable: None, name: name.to_owned() },
    )]);
    for (number, text) in [
        "COPY layer/ /opt/\nCOPY code/ ${LAMBDA_TASK_ROOT}/\nCMD [ \"app.handler\" ]\n",
        "COPY layer/ /lnk/\nCOPY code/app.py code/bin /x/\nENV B=\"c d\" PATH=/x:$PATH\n",
        "WORKDIR /w/x\nCOPY . all/\nUSER 7:8\nEXPOSE 80\nLABEL k=\"v w\"\nSTOPSIGNAL SIGINT\n",
        "COPY --chown=3:4 code/*.py /y/\nENTRYPOINT [\"/e\"]\nCMD s h\n",
        "FROM scratch AS two\nCOPY layer/ /a/\nFROM scratch\nCOPY --from=two /a/python/ /b/\n",
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!("FROM {name}\nENV LAMBDA_TASK_ROOT=/var/task\n{text}");
        let recipe = recipe(&format!("esb-agree-{number}"), &text);
        let embedded = EmbeddedBuilder::new(store.clone(), <_>::default());
        let docker = DockerBuilder::new(engine.clone(), store.clone());
        let builders: [&dyn Builder; 2] = [&embedded, &docker];
        let mut made = Vec::new();
        for builder in builders {
            let bench = Bench { builder, root: &root, bases: bases.clone(), heard: <_>::default() };
            let report = bench.build(&recipe).await;
            let image = local(&report);
            let config: serde_json::Value = serde_json::from_slice(&image.config_bytes).unwrap();
            // Each engine has fingerprints of its own.
            let mut annotations = image.manifest.annotations.clone();
            annotations.retain(|name, _| name.starts_with("org."));
            made.push((flatten(image, 0).await, settings(&config), annotations));
        }
        assert_eq!(made[0], made[1], "{text}");
    }
}

/// The settings of a config that an engine acts on, and its labels but for the fingerprint.
fn settings(config: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    let mut settings: BTreeMap<String, serde_json::Value> =
        serde_json::from_value(config["config"].clone()).unwrap();
    settings.retain(|_, value| !value.is_null() && *value != false && *value != "");
    if let Some(labels) = settings.get_mut("Labels").and_then(|labels| labels.as_object_mut()) {
        labels.remove(FINGERPRINT);
        labels.sort_keys();
    }
    for name in ["created", "architecture", "os"] {
        settings.insert(name.to_owned(), config[name].clone());
    }
    settings
}
