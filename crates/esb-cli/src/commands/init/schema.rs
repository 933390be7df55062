//! Writes the schema of `esb.toml` beside it. It is committed with the project, so that editors find
//! it without a network and in a fresh clone, too.

use std::path::{Path, PathBuf};

use esb_config::READABLE;
use esb_deploy::{Error, Kind, settings::NAME};
use esb_model::SETTINGS_SCHEMA;
use esb_oci::Folder;
use serde_json::Value;

use crate::{
    cli::InitArgs, documents::InitDocument, environment::Environment, escape, exit_code::CliError,
    printer::Printer, settings_schema,
};

/// The most bytes of a file that may be an earlier schema.
const LIMIT: u64 = 1024 * 1024;

/// `esb init --schema`.
pub(super) fn run(
    args: &InitArgs,
    folder: &Path,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    if args.dry_run && !printer.json {
        printer.out_as_it_is(settings_schema::text().trim_end());
        return Ok(());
    }
    let path = if args.dry_run { folder.join(SETTINGS_SCHEMA) } else { write(folder)? };
    let file = path.display().to_string();
    if printer.json {
        let schema_file = file.clone();
        let (templates, next) = (Vec::new(), vec!["esb validate".to_owned()]);
        let content = args.dry_run.then(settings_schema::text);
        printer.document(&InitDocument { file, schema_file, templates, next, content });
        return Ok(());
    }
    let shown = path.strip_prefix(environment.current_folder()?).unwrap_or(&path);
    printer.out(&format!("Wrote `{}`", escape::line(&shown.display().to_string())));
    printer.out(&format!("Editors find it by the first line of `{NAME}`:"));
    printer.out(&format!("  #:schema {SETTINGS_SCHEMA}"));
    Ok(())
}

/// Writes the file, or replaces one that an earlier version wrote.
pub(super) fn write(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join(SETTINGS_SCHEMA);
    let folder = Folder::from(folder);
    let there = folder.read(SETTINGS_SCHEMA, LIMIT)?;
    let is_ours = |content: &Vec<u8>| {
        let schema: Option<Value> = serde_json::from_slice(content).ok();
        schema.is_some_and(|schema| schema["$id"] == settings_schema::ID)
    };
    if there.as_ref().is_some_and(|content| !is_ours(content)) {
        let text = format!("`{}` is already there, and is no schema of `{NAME}`", path.display());
        let hint = format!("move it away: `{NAME}` names its schema by that name");
        return Err(Error::new(Kind::Input, "init", text).hint(hint));
    }
    let text = settings_schema::text();
    if there.as_deref() != Some(text.as_bytes()) {
        esb_config::replace(&folder, SETTINGS_SCHEMA, text.as_bytes(), READABLE)?;
    }
    Ok(path)
}
