//! The bill of materials of the program: a `CycloneDX` 1.5 document.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{dependencies::Crate, release::Release};
use crate::{
    checks::Outcome,
    command::{command, output},
};

/// The document's file.
pub(super) fn name(release: &Release) -> String {
    format!("esb-{}.cdx.json", release.version)
}

/// The document, the same bytes for the same crates and time.
pub(super) fn document(release: &Release, crates: &[Crate]) -> Outcome<String> {
    let time = format!("@{}", release.epoch);
    let time = output(command("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &time]))?;
    let own = format!("pkg:cargo/esb-cli@{}", release.version);
    let known: BTreeSet<(&str, &str)> =
        crates.iter().map(|one| (&*one.name, &*one.version)).collect();
    let mut dependencies: Vec<Value> = crates
        .iter()
        .map(|one| {
            let used = one.uses.iter().filter(|(name, version)| known.contains(&(name, version)));
            let used: Vec<String> = used.map(|(name, version)| address(name, version)).collect();
            json!({"ref": address(&one.name, &one.version), "dependsOn": used})
        })
        .collect();
    let direct = crates.iter().filter(|one| one.is_direct);
    let direct: Vec<String> = direct.map(|one| address(&one.name, &one.version)).collect();
    dependencies.insert(0, json!({"ref": own, "dependsOn": direct}));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.trim(),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "esb",
                "version": release.version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "purl": own,
            },
        },
        "components": crates.iter().map(component).collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    Ok(format!("{document:#}\n"))
}

fn component(one: &Crate) -> Value {
    json!({
        "type": "library",
        "bom-ref": address(&one.name, &one.version),
        "name": one.name,
        "version": one.version,
        "hashes": [{"alg": "SHA-256", "content": one.checksum}],
        "licenses": [{"expression": one.licence}],
        "purl": address(&one.name, &one.version),
    })
}

/// The package URL of a crate.
fn address(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}
