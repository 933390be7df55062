//! `esb config`: effective settings, and who owns what is published.

use esb_config::{EntryKey, Published};
use serde_json::{Value, json};

use crate::{
    cli::{ConfigCommand, GlobalArgs, PlaceArgs},
    environment::Environment,
    escape,
    exit::{Exit, Failure},
    inputs::{self, Project},
    pipeline::{self, Order, Run},
    printer::{Printer, table},
    settings,
};

pub(crate) async fn run(
    command: &ConfigCommand,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show { origin } => show(*origin, global, environment, printer),
        ConfigCommand::Ls(place) => list(place, global, environment, printer).await,
        ConfigCommand::Rm { owner, place } => {
            remove(owner, place, global, environment, printer).await
        }
    }
}

/// A setting as `show` prints it.
struct Shown {
    name: &'static str,
    value: Vec<String>,
    origin: String,
}

fn show(
    origin: bool,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let project = Project::bare(global, environment)?;
    let shown = settings(global, environment, &project);
    if printer.json {
        let values: Vec<Value> = shown
            .iter()
            .map(|one| json!({"name": one.name, "value": one.value, "origin": one.origin}))
            .collect();
        printer.document(&json!({"schema": 1, "settings": values}));
        return Ok(());
    }
    let mut head = vec!["setting".to_owned(), "value".to_owned()];
    head.extend(origin.then(|| "origin".to_owned()));
    let rows = shown.into_iter().map(|one| {
        let mut row = vec![one.name.to_owned(), one.value.join(", ")];
        row.extend(origin.then_some(one.origin));
        row
    });
    for line in table(printer, &head, &rows.collect::<Vec<_>>()) {
        printer.out(&line);
    }
    Ok(())
}

/// Every setting in effect, the strongest origin first found.
fn settings(global: &GlobalArgs, environment: &Environment, project: &Project) -> Vec<Shown> {
    let of_flag = |name, value: &str| Shown {
        name,
        value: vec![value.to_owned()],
        origin: format!("--{name}"),
    };
    let mut shown = vec![match &global.project_dir {
        Some(_) => of_flag("project-dir", &project.root.display().to_string()),
        None => Shown {
            name: "project-dir",
            value: vec![project.root.display().to_string()],
            origin: "found from the current folder".to_owned(),
        },
    }];
    shown.push(match &global.env {
        Some(name) => of_flag("env", name),
        None => of_variables("env", &["ESB_ENV", "ENV"], environment, "default"),
    });
    for (name, variables) in settings::KEYS {
        if name == "brand" && global.brand.is_some() {
            shown.push(of_flag("brand", project.brand.slug()));
            continue;
        }
        let default = match name {
            "brand" => "esb",
            "builder" => "auto",
            "image-ref" => "content",
            "templates" => "the one in the current folder",
            _ => "",
        };
        shown.push(of_variables(name, variables, environment, default));
    }
    let compose = inputs::compose_project(None, project, environment);
    for (name, variables, default) in [
        ("mode", &["ESB_MODE", "MODE"][..], "the running project's, else docker"),
        ("tag", &["ESB_TAG"], "latest"),
        ("project", &["ESB_PROJECT", "PROJECT_NAME"], &*compose),
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], "us-east-1"),
        ("config-to", &["CONFIG_DIR"], "the project's Gateway container"),
        ("cache-dir", &["ESB_CACHE_DIR"], "~/.cache"),
    ] {
        shown.push(of_variables(name, variables, environment, default));
    }
    shown
}

/// A setting that is a variable, stands in the project's file, or has its default.
fn of_variables(
    name: &'static str,
    variables: &[&str],
    environment: &Environment,
    default: &str,
) -> Shown {
    for variable in variables {
        if let Some((value, origin)) = environment.origin(variable) {
            return Shown { name, value: vec![value], origin };
        }
    }
    let settings = environment.settings();
    if let Some(setting) = settings.get(name) {
        let table = if setting.of_environment { " [env]" } else { "" };
        let origin = format!("{}{table}", settings::NAME);
        return Shown { name, value: setting.values.clone(), origin };
    }
    Shown { name, value: vec![default.to_owned()], origin: "default".to_owned() }
}

async fn list(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let (build, deploy) = place.as_deploy();
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    let project = Project::bare(global, environment)?;
    let run = Run::of(project, &order, environment, printer)?;
    let places = pipeline::places(&run, &order).await?;
    let published = pipeline::current(&places).await?;
    let entries = published.entries();
    if printer.json {
        let entries: Vec<Value> = entries
            .iter()
            .map(|(entry, owner)| {
                json!({"section": entry.section, "key": entry.key, "owner": owner})
            })
            .collect();
        let document = json!({"schema": 1, "place": places.name(&run), "entries": entries});
        printer.document(&document);
        return Ok(());
    }
    let row = |(entry, owner): (EntryKey, Option<String>)| {
        let owner = owner.unwrap_or_else(|| "-".to_owned());
        vec![entry.section.noun().to_owned(), entry.key, owner]
    };
    let rows: Vec<Vec<String>> = entries.into_iter().map(row).collect();
    if rows.is_empty() {
        printer.note(&format!("nothing is published in {}", places.name(&run)));
        return Ok(());
    }
    let head = ["kind", "entry", "owner"].map(str::to_owned);
    for line in table(printer, &head, &rows) {
        printer.out(&line);
    }
    Ok(())
}

async fn remove(
    owner: &str,
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let (build, deploy) = place.as_deploy();
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    let project = Project::bare(global, environment)?;
    let run = Run::of(project, &order, environment, printer)?;
    let places = pipeline::places(&run, &order).await?;
    let lock = pipeline::lock(&run, &places.staging)?;
    let published = pipeline::current(&places).await?;
    let merged = esb_config::remove_owner(&published, owner);
    if merged.changes.is_empty() {
        let text = format!("nothing is published by `{owner}`");
        let owners = owners(&published);
        let hint = match owners.as_slice() {
            [] => "no entry has an owner".to_owned(),
            owners => format!("owners are {}", owners.join(", ")),
        };
        return Err(Failure::new(Exit::Input, "owner", text).hint(hint));
    }
    pipeline::publish_merged(&run, &places, &lock, &merged).await?;
    if printer.json {
        printer.document(&json!({
            "schema": 1,
            "owner": owner,
            "changes": crate::summary::changes_json(&merged.changes),
        }));
        return Ok(());
    }
    for change in &merged.changes {
        printer.out(&crate::summary::change_line(change));
    }
    printer.note(&escape::terminal(&format!("removed from {}", places.name(&run))));
    Ok(())
}

fn owners(published: &Published) -> Vec<String> {
    let mut owners: Vec<String> =
        published.state.owners.iter().map(|(_, owner)| owner.to_owned()).collect();
    owners.sort();
    owners.dedup();
    owners
}
