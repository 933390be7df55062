//! A damaged store under a push: what a registry gets is what it should be.

use std::fs;

use crate::project::{Place, Project, digests, document};

/// Damages every blob that is no document, as a disk does: the size stays.
fn damage(project: &Project) -> usize {
    let blobs = fs::read_dir(project.store("store").join("blobs/sha256")).unwrap();
    let mut damaged = 0;
    for path in blobs.map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.first() != Some(&b'{') {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    damaged
}

#[test]
fn damaged_layers_are_made_again_while_they_are_pushed() {
    let project = Project::new(2);
    let Some(first) = Place::start() else { return };
    let expected = digests(&first.deploy(&project, "store", &["--to", "registry"]).0);
    for arguments in [&[][..], &["--no-cache"]] {
        assert!(damage(&project) > 2);
        // A registry that has nothing: all of it is read.
        let Some(empty) = Place::start() else { return };
        let deploy = ["deploy", "--to", "registry", "--yes"];
        let mut command = project.command("store", &[&deploy[..], arguments].concat());
        command.env("CONTAINER_REGISTRY", empty.proxy.address());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(said.contains("is damaged; it is made or fetched again"), "{arguments:?}: {said}");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let short = |digests: &std::collections::BTreeMap<String, String>| {
            digests.values().cloned().collect::<Vec<_>>()
        };
        assert_eq!(short(&digests(&found)), short(&expected), "{arguments:?}");
        let mut verify = project.command("store", &["image", "verify"]);
        verify.env("CONTAINER_REGISTRY", empty.proxy.address());
        assert_eq!(document(&mut verify)["ok"], true);
    }
}
