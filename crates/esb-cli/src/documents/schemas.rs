//! The schemas of the documents: made of the types, and compared with those of
//! `docs/reference/schemas`.

use std::{env, fs, path::PathBuf};

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use super::{
    CacheDocument, CollectedDocument, EntriesDocument, ErrorDocument, ExplainDocument,
    FetchDocument, ImagesDocument, ImportDocument, InitDocument, InvokeDocument, LogsDocument,
    PlanDocument, ProgressLine, PruneDocument, RemovedOwnerDocument, RunDocument, SettingsDocument,
    ValidateDocument, VerifiedCacheDocument, VerifyDocument, VersionDocument, Versioned,
};
use crate::inspect;

/// Set by `cargo xtask generate`, which writes the files.
const WRITE: &str = "ESB_WRITE_SCHEMAS";

/// The schema of a type, with the title that a reader finds it by.
fn of<T: JsonSchema>(title: &str) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

fn document<T: JsonSchema>(title: &str) -> Schema {
    of::<Versioned<T>>(title)
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas = [
        ("deploy", document::<RunDocument>("esb deploy, esb build")),
        ("dry-run", document::<PlanDocument>("esb deploy --dry-run, esb build --dry-run")),
        ("validate", document::<ValidateDocument>("esb validate")),
        ("explain", document::<ExplainDocument>("esb explain")),
        ("inspect", document::<inspect::Document<'_>>("esb inspect")),
        ("image-verify", document::<VerifyDocument>("esb image verify")),
        ("image-fetch", document::<FetchDocument>("esb image fetch")),
        ("image-import", document::<ImportDocument>("esb image import")),
        ("image-ls", document::<ImagesDocument>("esb image ls")),
        ("image-prune", document::<PruneDocument>("esb image prune")),
        ("config-show", document::<SettingsDocument>("esb config show")),
        ("config-ls", document::<EntriesDocument>("esb config ls")),
        ("config-rm", document::<RemovedOwnerDocument>("esb config rm")),
        ("invoke", document::<InvokeDocument>("esb invoke")),
        ("logs", document::<LogsDocument<'_>>("esb logs")),
        ("init", document::<InitDocument>("esb init")),
        ("cache", document::<CacheDocument>("esb cache")),
        ("cache-gc", document::<CollectedDocument>("esb cache gc")),
        ("cache-verify", document::<VerifiedCacheDocument>("esb cache verify")),
        ("version", document::<VersionDocument>("esb version")),
        ("error", document::<ErrorDocument>("A command that failed")),
        ("progress", of::<ProgressLine<'_>>("A line of --progress json")),
    ];
    let krate = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if krate.join("Cargo.toml.orig").exists() {
        return; // a package, which has no documentation beside it
    }
    let folder = krate.join("../../docs/reference/schemas");
    let mut names: Vec<String> = Vec::new();
    for (name, schema) in schemas {
        let text = format!("{:#}\n", schema.to_value());
        names.push(format!("{name}.json"));
        let path = folder.join(format!("{name}.json"));
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(path, text).unwrap();
        } else {
            let known = fs::read_to_string(path).unwrap_or_default();
            assert!(known == text, "{name}.json differs; run `cargo xtask generate`\n{text}");
        }
    }
    let there = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let there = there.map(|name| name.into_string().unwrap());
    // Schemas of files have the file's whole name before `.json`.
    let mut there: Vec<String> = there.filter(|name| name.matches('.').count() == 1).collect();
    there.sort();
    names.sort();
    assert_eq!(there, names, "a schema is of no document");
}
