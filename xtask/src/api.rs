//! Lists the public API of every library as text, one item a line, so that a change of it shows in
//! a diff.
//!
//! Read from rustdoc's JSON. Its format belongs to one version of the compiler, so that with another
//! one the pages can be neither made nor checked.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use esb_test::Missing;

use crate::{
    checks::{Outcome, Trouble},
    command::{cargo, output, root, target},
};

/// What `public-api` can read.
const FORMAT: u64 = 57;
/// A crate for this workspace's own tests.
const LEFT_OUT: &str = "esb-test";

/// A page for each library: its path below the root, and its text.
pub(crate) fn pages() -> Outcome<Vec<(String, String)>> {
    document()?;
    let mut pages = Vec::new();
    for name in libraries()? {
        let path = target().join("doc").join(name.replace('-', "_") + ".json");
        let text = page(&name, &path)?;
        pages.push((format!("docs/reference/api/{name}.txt"), text));
    }
    Ok(pages)
}

/// Lets rustdoc write what it knows of each library, with all features.
fn document() -> Outcome {
    let folder = target().join("tools");
    fs::create_dir_all(&folder)?;
    let wrapper = folder.join("rustdoc-json");
    // The variable is for rustdoc alone: many build scripts run again when it changes.
    fs::write(&wrapper, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec \"${ESB_RUSTDOC:-rustdoc}\" \"$@\"\n")?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let mut doc = cargo();
    doc.args(["doc", "--quiet", "--workspace", "--lib", "--no-deps", "--all-features"]);
    if let Some(rustdoc) = std::env::var_os("RUSTDOC") {
        doc.env("ESB_RUSTDOC", rustdoc);
    }
    doc.env("RUSTDOC", wrapper);
    output(doc.env("RUSTDOCFLAGS", "-Zunstable-options --output-format json")).map(drop)
}

/// The names of the workspace's libraries.
fn libraries() -> Outcome<Vec<String>> {
    let mut names = vec!["esb-runtime".to_owned()];
    for entry in fs::read_dir(root().join("crates"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().join("src/lib.rs").exists() && name != LEFT_OUT {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn page(name: &str, json: &Path) -> Outcome<String> {
    let told =
        |error: &dyn std::error::Error| Trouble::Failed(format!("{}: {error}", json.display()));
    let text = fs::read_to_string(json)?;
    let head: serde_json::Value = serde_json::from_str(&text).map_err(|error| told(&error))?;
    if head["format_version"] != FORMAT {
        let why = format!("this compiler writes format {}", head["format_version"]);
        return Err(Missing::new(format!("rustdoc's JSON of format {FORMAT}"), why).into());
    }
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| told(&error))?;
    let mut page =
        format!("# The public API of {name}, made from the code by `cargo xtask generate`.\n");
    for item in api.items() {
        page.push_str(&item.to_string());
        page.push('\n');
    }
    Ok(page)
}
