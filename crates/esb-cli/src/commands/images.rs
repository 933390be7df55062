//! `esb image ls` and `esb image prune`: this project's images in the container engine, chosen by
//! label alone.
//!
//! An image is used when a published functions.yml names it, when a container was made of it, or
//! when it is a base that still has a name. Images of others are never even looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use esb_image::{Engine as _, EngineImage};
use serde_json::{Value, json};

use crate::{
    ask,
    cli::{BuildArgs, DeployArgs, GlobalArgs, PlaceArgs, PruneArgs},
    environment::Environment,
    exit::{Exit, Failure},
    inputs::Project,
    pipeline::{self, Order, Run},
    printer::{Printer, table},
    reporter::bytes,
};

/// An image and whether something uses it.
struct Held {
    image: EngineImage,
    used: Option<String>,
}

/// `esb image ls`.
pub(crate) async fn list(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let held = look(place, global, environment, printer).await?;
    show(&held, printer);
    Ok(())
}

/// `esb image prune`.
pub(crate) async fn prune(
    args: &PruneArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let mut held = look(&args.place, global, environment, printer).await?;
    held.retain(|held| held.used.is_none());
    if !printer.json && !held.is_empty() {
        show(&held, printer);
    }
    let go = !args.dry_run && !held.is_empty() && (args.yes || asked(&held, global, environment)?);
    let mut removed = Vec::new();
    if go {
        let run = open(&args.place, global, environment, printer)?;
        let engine = run.engine().await?;
        for held in &held {
            engine.remove(&held.image.id).await?;
            removed.push(held.image.id.clone());
        }
    }
    if printer.json {
        printer.document(&json!({
            "schema": 1,
            "unused": held.iter().map(document).collect::<Vec<_>>(),
            "removed": removed,
        }));
    } else if go {
        let freed = held.iter().map(|held| held.image.size).sum();
        printer.note(&format!("removed {} images, at most {}", removed.len(), bytes(freed)));
    } else if held.is_empty() {
        printer.note("nothing is unused");
    } else {
        printer.note("nothing was removed");
    }
    Ok(())
}

/// Asks on a terminal; elsewhere the flag has to say it.
fn asked(held: &[Held], global: &GlobalArgs, environment: &Environment) -> Result<bool, Failure> {
    if !ask::may_ask(global, environment) {
        return Err(Failure::new(Exit::Usage, "prune", "nothing is removed without `--yes`")
            .hint("`--dry-run` only shows what would be removed"));
    }
    ask::agreed(&format!("remove these {} images?", held.len()), false)
}

fn open(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<Run, Failure> {
    let (build, deploy) = place.as_deploy();
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    Run::of(Project::bare(global, environment)?, &order, environment, printer)
}

/// The project's images, each with what uses it.
async fn look(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<Vec<Held>, Failure> {
    let (build, deploy): (BuildArgs, DeployArgs) = place.as_deploy();
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    let run = open(place, global, environment, printer)?;
    let brand = &run.project.brand;
    let labels = BTreeMap::from([
        (brand.label("managed"), "true".to_owned()),
        (brand.label("project"), run.compose_project.clone()),
    ]);
    let engine = run.engine().await?;
    let images = engine.list(&labels).await?;
    let mut published = published_anywhere(&brand.folder(&run.project.root).join("staging"))?;
    let places = pipeline::places(&run, &order).await?;
    published.extend(names(&pipeline::current(&places).await?));
    let containers = engine.others(&[]).await?;
    let of_containers: BTreeMap<&str, &str> = containers
        .iter()
        .map(|container| (container.image_id.as_str(), container.name.as_str()))
        .collect();
    let function = brand.label("kind");
    Ok(images
        .into_iter()
        .map(|image| {
            let is_base = !image.labels.contains_key(&function);
            let used = if let Some(name) = of_containers.get(image.id.as_str()) {
                Some(format!("container {name}"))
            } else if image.names.iter().any(|name| is_published(name, &published)) {
                Some("functions.yml".to_owned())
            } else if is_base && !image.names.is_empty() {
                Some("base".to_owned())
            } else {
                None
            };
            Held { image, used }
        })
        .collect())
}

/// Whether a name is published; one that is published by digest keeps all tags of its repository.
fn is_published(name: &str, published: &BTreeSet<String>) -> bool {
    let repository = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    };
    published.contains(name)
        || published
            .iter()
            .any(|other| other.split_once('@').is_some_and(|(named, _)| named == repository))
}

fn names(published: &esb_config::Published) -> BTreeSet<String> {
    let entries = published.config.functions.functions.values();
    entries.filter_map(|entry| Some(entry.image.as_ref()?.resolve(|_| None))).collect()
}

/// Images of every merged configuration of the project: `staging/<project>/<env>/config`.
fn published_anywhere(staging: &Path) -> Result<BTreeSet<String>, Failure> {
    let mut all = BTreeSet::new();
    for project in folders(staging) {
        for environment in folders(&project) {
            let read = esb_config::read(&environment.join("config"));
            all.extend(names(&read.map_err(|error| pipeline::config_failure(&error))?));
        }
    }
    Ok(all)
}

fn folders(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn show(held: &[Held], printer: Printer) {
    if printer.json {
        let images: Vec<Value> = held.iter().map(document).collect();
        printer.document(&json!({"schema": 1, "images": images}));
        return;
    }
    if held.is_empty() {
        printer.note("the engine has no such image of this project");
        return;
    }
    let rows: Vec<Vec<String>> = held
        .iter()
        .map(|held| {
            let id = held.image.id.trim_start_matches("sha256:");
            vec![
                held.image.names.first().cloned().unwrap_or_else(|| "<none>".to_owned()),
                id.chars().take(12).collect(),
                bytes(held.image.size),
                held.used.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let columns = ["image", "id", "size", "used by"].map(str::to_owned);
    for line in table(printer, &columns, &rows) {
        printer.out(&line);
    }
}

fn document(held: &Held) -> Value {
    json!({
        "id": held.image.id,
        "names": held.image.names,
        "bytes": held.image.size,
        "used_by": held.used,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_used() {
        let published: BTreeSet<String> =
            ["r:5010/esb-a:latest-1", "r:5010/esb-b@sha256:00"].map(str::to_owned).into();
        let check =
            |name: &str, expected| assert_eq!(is_published(name, &published), expected, "{name}");
        check("r:5010/esb-a:latest-1", true);
        check("r:5010/esb-a:latest-2", false);
        check("r:5010/esb-b:latest", true);
        check("other:5010/esb-b:latest", false);
        check("esb-a:latest-1", false);
    }
}
