//! `esb init`: writes a commented `esb.toml` for the templates of a folder.

mod schema;
mod templates;

use std::{fs, io::Write as _, path::Path};

use esb_deploy::{Error, Kind, normal, settings::NAME};
use esb_model::SETTINGS_SCHEMA;
use toml::Value;

use crate::{
    cli::{GlobalArgs, InitArgs},
    documents::InitDocument,
    environment::Environment,
    escape,
    exit_code::CliError,
    printer::Printer,
    settings_text,
};

pub(crate) fn run(
    args: &InitArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let current = environment.current_folder()?;
    let given = global.project_dir.as_deref().unwrap_or(Path::new("."));
    let folder = normal(&current.join(given));
    if args.schema {
        // The settings themselves are not read: a newer program may be wanted for them.
        let mut above = folder.ancestors().filter(|_| global.project_dir.is_none());
        let root = above.find(|above| above.join(NAME).exists()).unwrap_or(&folder);
        return schema::run(args, root, environment, printer);
    }
    let path = folder.join(NAME);
    if path.symlink_metadata().is_ok() && !args.dry_run {
        return Err(exists(&path).into());
    }
    let found = templates::find(&folder).map_err(|error| {
        let text = format!("could not look for templates in `{}`", folder.display());
        Error::of(Kind::Input, "init", &error).during(text)
    })?;
    if found.is_empty() {
        let text = format!("found no SAM template in `{}` and below", folder.display());
        let hint = "run `esb init` in the folder of your templates; `sam init` makes a first one";
        return Err(Error::new(Kind::Input, "init", text).hint(hint).into());
    }
    let mut values = vec![("templates", Value::from(found.clone()))];
    if let Some(brand) = &global.brand {
        let brand = crate::inputs::brand(global, Some(brand))?;
        values.push(("brand", brand.slug().into()));
    }
    let text = settings_text::text(&values);
    if args.dry_run && !printer.json {
        printer.out_as_it_is(text.trim_end());
        return Ok(());
    }
    let mut schema_file = folder.join(SETTINGS_SCHEMA);
    if !args.dry_run {
        // What cannot be completed is begun again: this file is one of ours then.
        schema_file = schema::write(&folder)?;
        write(&path, &text)?;
    }
    let next = match crate::inputs::environment_name(global, environment)?.as_str() {
        "default" => "esb deploy".to_owned(),
        name => format!("esb deploy -e {name}"),
    };
    if printer.json {
        printer.document(&InitDocument {
            file: path.display().to_string(),
            schema_file: schema_file.display().to_string(),
            templates: found,
            next: vec!["esb validate".to_owned(), next],
            content: args.dry_run.then_some(text),
        });
        return Ok(());
    }
    let count = match found.len() {
        1 => "1 template".to_owned(),
        count => format!("{count} templates"),
    };
    let shown = |path: &Path| {
        let relative = path.strip_prefix(current).unwrap_or(path);
        escape::line(&relative.display().to_string()).to_string()
    };
    printer.out(&format!("Wrote `{}` with {count}:", shown(&path)));
    for template in &found {
        printer.out(&format!("  {}", escape::line(template)));
    }
    printer.out(&format!("Wrote `{}`, for editors; commit both", shown(&schema_file)));
    printer.out(&format!("Next: `esb validate`, then `{next}`"));
    Ok(())
}

fn exists(path: &Path) -> Error {
    let text = format!("`{}` is already there, and is left as it is", path.display());
    Error::new(Kind::Input, "init", text).hint(
        "`esb init --dry-run` prints what it would write, `esb init --schema` writes the schema alone",
    )
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    let file = fs::File::options().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes()).inspect_err(|_| {
            // Half a file would be taken for one that is somebody's.
            let _half = fs::remove_file(path);
        })
    });
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(path),
        _ => esb_config::Error::Io { action: "write", path: path.to_owned(), source: error }.into(),
    })
}
