//! A fleet of one real `BuildKit` daemon, without a network beyond loopback.
#![cfg(feature = "buildkit")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../contract/mod.rs"]
mod contract;
#[path = "../contract/own.rs"]
mod own;
#[path = "../contract/steps.rs"]
mod steps;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use contract::support::{Bench, recipe, write};
use esb_image::buildkit::{FleetBuilder, FleetSettings};
use esb_oci::ContentStore;
use esb_test::{Buildkitd, skip};

/// Everything in one test, for daemons are slow to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = match Buildkitd::start(&folder.path().join("daemon")) {
        Ok(daemon) => daemon,
        Err(esb_test::Error::Missing(missing)) => return skip("a BuildKit daemon", &missing),
        Err(error) => panic!("{error}"),
    };
    let store = ContentStore::open(folder.path().join("store")).unwrap();
    let mut settings = FleetSettings::default();
    settings.daemons.push(daemon.address().parse().unwrap());
    let fleet = FleetBuilder::new(settings, store.clone()).unwrap();
    contract::holds(&fleet, &store, folder.path()).await;
    comes_back(&fleet, &mut daemon, folder.path()).await;
    if let Err(missing) = esb_test::ensure_packages(&["busybox-static"]) {
        return skip("steps that run", &missing);
    }
    let busybox = std::fs::read("/bin/busybox").unwrap();
    steps::steps_run(&fleet, &store, folder.path(), &busybox).await;
    own::own_dockerfiles(&fleet, &store, folder.path(), &busybox).await;
}

/// A daemon that was killed fails builds, and is used again when it is back.
async fn comes_back(fleet: &FleetBuilder, daemon: &mut Buildkitd, folder: &Path) {
    let root = folder.join("back");
    write(&root, &[("a", "x\n")]);
    let bench = Bench { builder: fleet, root: &root, bases: <_>::default(), heard: <_>::default() };
    let recipe = recipe("esb-back", "FROM scratch\nCOPY a /a\n");
    bench.try_build(&recipe, true).await.unwrap();
    daemon.kill();
    bench.try_build(&recipe, true).await.unwrap_err();
    daemon.restart().unwrap();
    // It is not asked at once.
    let limit = Instant::now() + Duration::from_mins(1);
    while let Err(error) = bench.try_build(&recipe, true).await {
        assert!(Instant::now() < limit, "{error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
