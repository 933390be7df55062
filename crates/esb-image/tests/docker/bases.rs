//! Images on bases that the engine loads or pulls.

use std::{collections::BTreeMap, path::Path, time::Duration};

use esb_image::{
    Base, BuildRequest, Builder as _, Engine as _, Error,
    docker::{DockerBuilder, DockerEngine},
};
use esb_model::NullReporter;
use esb_oci::{ArchiveImage, Blob, ContentStore, Digest, Image, Manifest};
use esb_test::skip;

use crate::{
    contract::support::{Bench, File, flatten, image, local, recipe, write},
    forbidden::Forbidden,
};

/// A base of a registry whose name nobody resolves; its layers stay its layers.
pub(crate) async fn a_base_is_loaded(
    daemon: &esb_test::DockerEngine,
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
) {
    let root = folder.join("loaded");
    write(&root, &[("src/a/b", "1"), ("unrelated", "2")]);
    let base = image(store, &[&[File("etc/base", 0o644, b"base")]]);
    let name = "registry:5010/base:1";
    let bases = BTreeMap::from([(
        name.to_owned(),
        // Nothing listens there: it is loaded instead.
        Base {
            image: base.clone(),
            pullable: Some("127.0.0.1:1/base:1".into()),
            name: name.into(),
        },
    )]);
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    let bench = Bench { builder: &builder, root: &root, bases, heard: <_>::default() };
    let other = recipe("esb-loaded-too", &format!("FROM {name}\nCOPY unrelated /\n"));
    let recipe = recipe("esb-loaded", &format!("FROM {name}\n# Function code\nCOPY src/ /task/\n"));
    let (report, other) = tokio::join!(bench.build(&recipe), bench.build(&other));
    assert_eq!(bench.heard.text().matches(&format!("load {name}\n")).count(), 1);
    assert_eq!(flatten(local(&other), 1).await, "644 0:0 unrelated \"2\"");
    let made = local(&report);
    assert_eq!(made.layers[0].descriptor, base.layers[0].descriptor);
    assert_eq!(flatten(made, 1).await, "755 0:0 task /\n755 0:0 task/a /\n644 0:0 task/a/b \"1\"");
    assert!(bench.heard.text().contains("COPY src/ /task/"), "{}", bench.heard.text());
    let config = made.parse_config().unwrap();
    assert_eq!(config.label("org.opencontainers.image.base.name"), Some(name));

    // The Dockerfile on disk can be built by hand, although nobody resolves the registry's name.
    write(&root, &[("Dockerfile", &recipe.dockerfile)]);
    let folder = root.display().to_string();
    daemon.output(["build", "--tag", "esb-by-hand", &folder]).unwrap();
    let by_hand = engine.export("esb-by-hand:latest").await.unwrap();
    assert_eq!(by_hand.layers.len(), 2);

    let none = BTreeMap::new();
    let request = BuildRequest::new(&recipe, &root, &none);

    let error = builder.build(request, &NullReporter).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownBase { base, .. } if base == name), "{error}");
}

/// A base that the engine pulls by its digest: its layers are not read here.
pub(crate) async fn a_base_is_pulled(
    daemon: &esb_test::DockerEngine,
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
) {
    let registry = match esb_test::Registry::start(&folder.join("registry")) {
        Ok(registry) => registry,
        Err(esb_test::Error::Missing(missing)) => return skip("a base that is pulled", &missing),
        Err(error) => panic!("{error}"),
    };
    let root = folder.join("pulled");
    write(&root, &[("f", "1")]);
    let pushed = format!("{}/team/base:1", registry.address());
    let layers = image(store, &[&[File("etc/pulled", 0o644, b"base")]]);
    let archive = ArchiveImage { image: layers, names: vec![pushed.clone()] };
    engine.load(&[archive]).await.unwrap();
    daemon.output(["push", &pushed]).unwrap();
    engine.remove(&engine.find(&pushed).await.unwrap().unwrap()).await.unwrap();

    let name = "registry:5010/team/base:1";
    let base = Base {
        image: in_registry(registry.address(), "team/base", "1"),
        pullable: Some(pushed),
        name: name.to_owned(),
    };
    let layer = base.image.layers[0].descriptor.clone();
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    let bases = BTreeMap::from([(name.to_owned(), base.clone())]);
    let bench = Bench { builder: &builder, root: &root, bases, heard: <_>::default() };
    let recipe = recipe("esb-pulled", &format!("FROM {name}\nCOPY f /f\n"));
    let report = bench.build(&recipe).await;
    let made = local(&report);
    assert_eq!(made.layers[0].descriptor, layer);
    let kind = made.manifest.media_type.as_deref();
    assert_eq!(kind, Some(esb_oci::manifest::media_type::OCI_MANIFEST), "whatever the base's is");
    assert_eq!(flatten(made, 1).await, "644 0:0 f \"1\"");
    assert!(bench.heard.text().contains("pull "), "{}", bench.heard.text());
    assert!(engine.find(name).await.unwrap().is_some());
}

/// An image as a registry describes it, whose layers must not be read.
fn in_registry(address: &str, repository: &str, tag: &str) -> Image {
    let get = |path: &str, accept: &str| {
        let path = format!("/v2/{repository}/{path}");
        let headers = [("Accept", accept)];
        let answer =
            esb_test::request(address, "GET", &path, &headers, &[], Duration::from_secs(5));
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        answer.body
    };
    let manifest_bytes =
        get(&format!("manifests/{tag}"), "application/vnd.docker.distribution.manifest.v2+json");
    let manifest: Manifest = serde_json::from_slice(&manifest_bytes).unwrap();
    let config_bytes = get(&format!("blobs/{}", manifest.config.digest), "*/*");
    assert_eq!(Digest::of(&config_bytes), manifest.config.digest);
    let blob = |descriptor| Blob { descriptor, source: std::sync::Arc::new(Forbidden) };
    let layers = manifest.layers.into_iter().map(blob).collect();
    let config = blob(manifest.config);
    Image::new(manifest_bytes.into(), config_bytes.into(), config, layers).unwrap()
}
