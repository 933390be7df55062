//! The Docker engine and builder against a real engine, without a network beyond loopback.
#![cfg(feature = "docker")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bases;
mod builds;
mod container;
#[path = "../contract/mod.rs"]
mod contract;
mod dependencies;
mod exports;
mod forbidden;
mod forged;
mod memory;
#[path = "../contract/own.rs"]
mod own;
#[cfg(feature = "ssh")]
mod ssh;
#[path = "../contract/steps.rs"]
mod steps;
mod tls;
mod workers;

use std::{collections::BTreeMap, fs, time::Duration};

use esb_image::{
    Engine as _,
    docker::{DockerBuilder, DockerEngine, EngineAddress},
};
use esb_oci::{ArchiveImage, ContentStore, Image};
use esb_test::skip;

use contract::support::{File, image};
use forbidden::without_reading;

/// Everything in one test, for engines are slow to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_docker_engine() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = tls::Certificates::make(folder.path());
    let port = esb_test::free_port().unwrap();
    let arguments = certificates.as_ref().map_or_else(Vec::new, |made| made.arguments(port));
    let mut arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
    // It writes down every request.
    arguments.push("--debug");
    let daemon = match esb_test::DockerEngine::start_with(&folder.path().join("engine"), &arguments)
    {
        Ok(daemon) => daemon,
        Err(esb_test::Error::Missing(missing)) => return skip("a Docker engine", &missing),
        Err(error) => panic!("{error}"),
    };
    let busybox = match esb_test::ensure_packages(&["busybox-static"]) {
        Ok(()) => Some(fs::read("/bin/busybox").unwrap()),
        Err(missing) => {
            skip("steps that run", &missing);
            None
        }
    };
    let store = ContentStore::open(folder.path().join("store")).unwrap();
    let address: EngineAddress = daemon.host().parse().unwrap();
    let engine = DockerEngine::connect(&address).await.unwrap().with_store(store.clone());
    assert_eq!(
        engine.info().architecture,
        std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64")
    );
    assert!(engine.info().description.starts_with("Docker "), "{:?}", engine.info());

    if let Some(certificates) = certificates {
        tls::an_engine_behind_tls(&certificates, port).await;
    }
    #[cfg(feature = "ssh")]
    ssh::an_engine_behind_ssh(&daemon, folder.path()).await;
    let sockets = open_sockets();
    images_come_and_go(&engine, &store).await;
    builds::builds_from_nothing(&engine, &store, folder.path()).await;
    forged::nothing_is_ours_for_what_it_says(&engine, &store, folder.path()).await;
    memory::contexts_and_images_stream(&engine, &store, folder.path()).await;
    let log = folder.path().join("engine/dockerd.log");
    exports::many_images_share_a_stream(&engine, &store, folder.path(), &log).await;
    bases::a_base_is_loaded(&daemon, &engine, &store, folder.path()).await;
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    contract::holds(&builder, &store, folder.path()).await;
    bases::a_base_is_pulled(&daemon, &engine, &store, folder.path()).await;
    if let Some(busybox) = busybox {
        steps::steps_run(&builder, &store, folder.path(), &busybox).await;
        own::own_dockerfiles(&builder, &store, folder.path(), &busybox).await;
        dependencies::pip_runs_in_a_step(&engine, &store, folder.path(), &busybox).await;
        container::a_container_runs(&daemon, &engine).await;
        workers::addresses_are_held(&daemon, &engine).await;
        workers::busy_is_what_the_log_says(&daemon, &engine).await;
    }
    // No session of a build stays open.
    for _ in 0..50 {
        if open_sockets() <= sockets {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} sockets are open, and {sockets} were", open_sockets());
}

fn open_sockets() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[tokio::test]
async fn nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let address = EngineAddress::Unix(folder.path().join("docker.sock"));
    let error = DockerEngine::connect(&address).await.unwrap_err();
    let expected = format!("no container engine answers at `{address}`");
    assert_eq!(error.to_string(), expected);
}

/// Load, find, tag, list, export, remove.
async fn images_come_and_go(engine: &DockerEngine, store: &ContentStore) {
    let small = image(store, &[&[File("a", 0o644, b"1")]]);
    let large = image(store, &[&[File("a", 0o644, b"1")], &[File("b", 0o755, b"2")]]);
    let archive = |image: &Image, name: &str| {
        [ArchiveImage { image: image.clone(), names: vec![name.to_owned()] }]
    };
    engine.load(&archive(&small, "esb-small:1")).await.unwrap();
    let id = engine.find("esb-small:1").await.unwrap().unwrap();
    assert_eq!(engine.find(&id).await.unwrap().as_deref(), Some(&*id));
    assert_eq!(engine.find("esb-none:1").await.unwrap(), None);

    // What the engine has is not read.
    engine
        .load(&archive(&without_reading(large.clone(), 1), "registry:5010/large:1"))
        .await
        .unwrap();
    let unknown = without_reading(image(store, &[&[File("c", 0o644, b"3")]]), 1);
    assert!(engine.load(&archive(&unknown, "esb-unknown:1")).await.is_err());

    engine.tag("registry:5010/large:1", "esb-other:2").await.unwrap();
    let id = engine.find("registry:5010/large:1").await.unwrap().unwrap();
    let images = engine.list(&BTreeMap::new()).await.unwrap();
    let listed = images.iter().find(|image| image.id == id).unwrap();
    assert_eq!(listed.names.len(), 2);

    let exported = engine.export("esb-other:2").await.unwrap();
    assert_eq!(exported.config_bytes, large.config_bytes);
    assert_eq!(exported.layers.len(), 2);
    for (ours, theirs) in large.layers.iter().zip(&exported.layers) {
        assert_eq!(ours.descriptor, theirs.descriptor, "the compressor is the same");
        assert!(store.has(&theirs.descriptor));
    }
    engine.remove("esb-other:2").await.unwrap();
    assert_eq!(engine.find("esb-other:2").await.unwrap(), None);
    assert!(engine.find(&id).await.unwrap().is_some());
    engine.remove(&id).await.unwrap();
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.find(&id).await.unwrap(), None);
    assert!(engine.find("a/../b").await.is_err());
}
