//! What a build keeps in memory, as the kernel counts it.

use std::{collections::BTreeMap, fs, path::Path};

use esb_image::{
    Built,
    docker::{DockerBuilder, DockerEngine},
};
use esb_oci::ContentStore;

use crate::contract::support::{Bench, recipe};

/// Bytes of the context.
const CONTEXT: u64 = 256 * 1024 * 1024;
/// Kibibytes that a build may need more than before.
const ROOM: u64 = 48 * 1024;

/// A large context goes to the engine, and the image back, in small pieces.
pub(crate) async fn contexts_and_images_stream(
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
) {
    let root = folder.join("large");
    fs::create_dir_all(&root).unwrap();
    fs::File::create(root.join("large")).unwrap().set_len(CONTEXT).unwrap();
    let builder = DockerBuilder::new(engine.clone(), store.clone());
    let bench =
        Bench { builder: &builder, root: &root, bases: BTreeMap::new(), heard: <_>::default() };
    // The peak so far becomes what is in use now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let report = bench.build(&recipe("esb-large", "FROM scratch\nCOPY large /\n")).await;
    let grown = peak() - before;
    assert!(matches!(report.built, Built::Local(_)));
    assert!(grown < ROOM, "{grown} KiB for a context of {} KiB", CONTEXT / 1024);
}

/// The largest number of kibibytes in memory.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
