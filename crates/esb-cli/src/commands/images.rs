//! `esb image ls` and `esb image prune`: this project's images in the container engine, the content
//! store and the registry, chosen by label alone.
//!
//! An image is used when a published functions.yml names it, when a container was made of it, or
//! when it is a base that still has a name. Images of others are never touched: their labels say so.

mod held;

use std::fs::{File, TryLockError};

use esb_oci::{EntryKind, Folder, FolderError};
use serde_json::{Value, json};

use self::held::{Held, Used};
use crate::{
    ask,
    cli::{BuildArgs, DeployArgs, GlobalArgs, HeldArgs, Holder, PruneArgs},
    environment::Environment,
    exit::{Exit, Failure},
    inputs::Project,
    pipeline::{self, Order, Run},
    printer::{Printer, table},
    reporter::bytes,
};

/// `esb image ls`.
pub(crate) async fn list(
    args: &HeldArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Failure> {
    let run = open(args, global, environment, printer)?;
    let held = look(args, global, &run).await?;
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
    let run = open(&args.held, global, environment, printer)?;
    let _alone = if args.dry_run { Vec::new() } else { alone(&run.project)? };
    let mut held = look(&args.held, global, &run).await?;
    held.retain(|held| held.used.is_none());
    if !printer.json && !held.is_empty() {
        show(&held, printer);
    }
    let go = !args.dry_run && !held.is_empty() && (args.yes || asked(&held, global, environment)?);
    if go {
        held::remove(&run, &held).await?;
    }
    if printer.json {
        let removed: Vec<&str> = held.iter().filter(|_| go).map(|held| held.id.as_str()).collect();
        printer.document(&json!({
            "schema": 1,
            "unused": held.iter().map(document).collect::<Vec<_>>(),
            "removed": removed,
        }));
    } else if go {
        let freed = held.iter().map(|held| held.bytes).sum();
        printer.note(&format!("removed {} images, at most {}", held.len(), bytes(freed)));
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

fn as_deploy(args: &HeldArgs) -> (BuildArgs, DeployArgs) {
    let (mut build, deploy) = args.place.as_deploy();
    build.registry.clone_from(&args.registry);
    build.push_registry.clone_from(&args.push_registry);
    build.access = args.access.clone();
    (build, deploy)
}

fn open(
    args: &HeldArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<Run, Failure> {
    let (build, deploy) = as_deploy(args);
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    Run::of(Project::bare(global, environment)?, &order, environment, printer)
}

/// Keeps builds of every environment of the project away, as long as the files live.
fn alone(project: &Project) -> Result<Vec<File>, Failure> {
    let mut locks = Vec::new();
    let mut locked: Vec<std::path::PathBuf> = Vec::new();
    for folder in folders(&project.folder().join(project.brand.folder_name()))? {
        let lock = folder.open_folder()?;
        // A folder of a second name would wait for its own lock.
        if locked.iter().any(|known| esb_config::is_same_folder(known, &folder.path())) {
            continue;
        }
        locked.push(folder.path());
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let text = format!("a run works in `{}`", folder.path().display());
            return Err(Failure::new(Exit::Locked, "locked", text)
                .hint("wait for it: what it builds is not published yet"));
        }
        locks.push(lock);
    }
    Ok(locks)
}

/// The project's images, each with what uses it.
async fn look(args: &HeldArgs, global: &GlobalArgs, run: &Run) -> Result<Vec<Held>, Failure> {
    let (build, deploy) = as_deploy(args);
    let order = Order { global, build: &build, deploy: Some(&deploy), asked: None };
    let staging = run.project.folder().join(run.project.brand.folder_name()).join("staging");
    let mut used = published_anywhere(&run.project, &staging)?;
    let places = pipeline::places(run, &order).await?;
    used.add(&pipeline::current(&places).await?);
    let in_default = [Holder::Engine, Holder::Store];
    let places = if args.places.is_empty() { &in_default[..] } else { &args.places };
    let mut all = Vec::new();
    for place in places {
        match place {
            Holder::Engine if args.places.is_empty() && run.engine().await.is_err() => {
                run.printer.warning("no container engine answers: its images are left out");
            }
            Holder::Engine => all.extend(held::in_engine(run, &used).await?),
            Holder::Store => all.extend(held::in_store(run, &used)),
            Holder::Registry => all.extend(held::in_registry(run, &used).await?),
        }
    }
    Ok(all)
}

/// What every merged configuration of the project names, `staging/<project>/<env>/config`, and each
/// folder that one was delivered to last.
fn published_anywhere(project: &Project, staging: &Folder) -> Result<Used, Failure> {
    let mut used = Used::default();
    for compose_project in folders(staging)? {
        for environment in folders(&compose_project)? {
            let staging = environment.join("config");
            // Other applications publish there as well.
            let delivered = pipeline::delivered(&staging);
            let delivered = delivered.map(|folder| project.configuration_at(&folder));
            for folder in delivered.into_iter().chain([staging]) {
                let read = esb_config::read(&folder);
                used.add(&read.map_err(|error| pipeline::config_failure(&error))?);
            }
        }
    }
    Ok(used)
}

/// The folders in a folder; a link is an error, for what it leads to could be one.
fn folders(folder: &Folder) -> Result<Vec<Folder>, FolderError> {
    let mut found = Vec::new();
    for entry in folder.entries()? {
        if matches!(entry.kind, EntryKind::Folder | EntryKind::Link) {
            let below = folder.join(&entry.name);
            found.extend(below.exists()?.then_some(below));
        }
    }
    Ok(found)
}

fn show(held: &[Held], printer: Printer) {
    if printer.json {
        let images: Vec<Value> = held.iter().map(document).collect();
        printer.document(&json!({"schema": 1, "images": images}));
        return;
    }
    if held.is_empty() {
        printer.note("there is no image of this project");
        return;
    }
    let rows: Vec<Vec<String>> = held
        .iter()
        .map(|held| {
            let id = held.id.trim_start_matches("sha256:");
            vec![
                held.names.first().cloned().unwrap_or_else(|| "<none>".to_owned()),
                held.place().to_owned(),
                id.chars().take(12).collect(),
                bytes(held.bytes),
                held.used.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let columns = ["image", "in", "id", "size", "used by"].map(str::to_owned);
    for line in table(printer, &columns, &rows) {
        printer.out(&line);
    }
}

fn document(held: &Held) -> Value {
    json!({
        "in": held.place(),
        "id": held.id,
        "names": held.names,
        "bytes": held.bytes,
        "used_by": held.used,
    })
}
