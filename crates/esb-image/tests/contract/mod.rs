//! What holds for every engine that builds: the same files and config as the others, and the same
//! words about what it used again.

pub(crate) mod support;

use std::{collections::BTreeMap, path::Path};

use esb_image::{Action, Base, Builder, EmbeddedBuilder, Error};
use esb_model::ImageRecipe;
use esb_oci::ContentStore;

use support::{Bench, FINGERPRINT, File, flatten, image, local, make_executable, recipe, write};

const BASE: &str = "agreed:1";

/// All of the contract. Images have to come into `store`.
pub(crate) async fn holds(builder: &dyn Builder, store: &ContentStore, folder: &Path) {
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
    let base = Base { image: base, pullable: None, name: BASE.to_owned() };
    let bases = BTreeMap::from([(BASE.to_owned(), base)]);
    let embedded = EmbeddedBuilder::new(store.clone(), <_>::default());
    let bench =
        |builder| Bench { builder, root: &root, bases: bases.clone(), heard: <_>::default() };
    agrees(&bench(builder), &bench(&embedded)).await;
    works_once(&bench(builder)).await;
    says_what_is_missing(&bench(builder)).await;
}

/// What both accept, they build to the same files and the same config.
async fn agrees(one: &Bench<'_>, other: &Bench<'_>) {
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
        let text = format!("FROM {BASE}\nENV LAMBDA_TASK_ROOT=/var/task\n{text}");
        let recipe = recipe(&format!("esb-agree-{number}"), &text);
        let mut made = Vec::new();
        for bench in [one, other] {
            let report = bench.build(&recipe).await;
            let image = local(&report);
            let config: serde_json::Value =
                serde_json::from_slice(image.config_bytes.as_ref().unwrap()).unwrap();
            // Each engine has fingerprints of its own.
            let mut annotations = image.manifest.annotations.clone();
            annotations.retain(|name, _| name.starts_with("org."));
            made.push((flatten(image, 0).await, settings(&config), annotations));
        }
        assert_eq!(made[0], made[1], "{text}");
    }
}

fn copying(repository: &str) -> ImageRecipe {
    recipe(repository, &format!("FROM {BASE}\nCOPY code/ /task/\n"))
}

/// Nothing is built twice, and what is built again has the same bytes.
async fn works_once(bench: &Bench<'_>) {
    let recipe = copying("esb-once");
    let first = bench.build(&recipe).await;
    assert_eq!((first.action, &*first.reason), (Action::Built, "new"));
    let again = bench.build(&recipe).await;
    assert_eq!((again.action, &*again.reason), (Action::Cached, "same content, base and recipe"));
    assert_eq!(local(&again).descriptor, local(&first).descriptor);
    let forced = bench.try_build(&recipe, true).await.unwrap();
    let reason = "the cache is not used";
    assert_eq!((forced.action, &*forced.reason), (Action::Built, reason));
    assert_eq!(local(&forced).descriptor, local(&first).descriptor);
    write(bench.root, &[("code/app.py", "changed\n")]);
    let changed = bench.build(&recipe).await;
    assert_eq!((changed.action, &*changed.reason), (Action::Built, "`code/app.py` changed"));
    assert_ne!(local(&changed).descriptor, local(&first).descriptor);
    assert_eq!(bench.heard.text().matches("build esb-once\n").count(), 4);
}

async fn says_what_is_missing(bench: &Bench<'_>) {
    let missing = recipe("esb-missing", &format!("FROM {BASE}\nCOPY nowhere /x\n"));
    let error = bench.try_build(&missing, false).await.unwrap_err();
    assert!(
        matches!(&error, Error::MissingSource { path, .. } if path == Path::new("nowhere")),
        "{error}"
    );
    let unknown = recipe("esb-unknown", "FROM elsewhere:1\nCOPY code/ /task/\n");
    let error = bench.try_build(&unknown, false).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownBase { base, .. } if base == "elsewhere:1"), "{error}");
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
