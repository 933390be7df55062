//! `esb image ls` and `esb image prune`: this project's images in the container engine, the content
//! store and the registry.
//!
//! An image is the project's when a run in its folder made it or its application has published it.
//! It is used when a published functions.yml names it, when a container was made of it, or when it
//! is a base that still has a name. What nobody is known to have made is never removed.

mod held;
mod known;

use std::{collections::BTreeSet, fs::TryLockError, path::PathBuf};

use esb_deploy::{
    ApplicationName, Deployment, Error, Kind, Project, all_gateways_read, current, delivered,
    history, places,
};
use esb_model::STAGING_FOLDER;
use esb_oci::{EntryKind, Folder, FolderError, LockedFile};

use self::{
    held::InventoryItem,
    known::{ImageOwner, Known},
};
use crate::{
    ask,
    cli::{GlobalArgs, HeldArgs, Holder, PruneArgs},
    connections,
    documents::{HeldImage, ImagesDocument, PruneDocument},
    environment::Environment,
    exit_code::CliError,
    inputs::{self, RegistryFlags},
    interruption,
    printer::Printer,
    reporter::{TerminalReporter, bytes},
    tables,
};

/// `esb image ls`.
pub(crate) async fn list(
    args: &HeldArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let run = open(args, global, environment, printer)?;
    let held = look(args, &run, environment, printer).await?;
    show(&held, args.all, printer);
    Ok(())
}

/// `esb image prune`.
pub(crate) async fn prune(
    args: &PruneArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    interruption::leaves("nothing was removed");
    let is_agreed = args.yes || environment.branded_is_true("YES");
    let asks = !args.dry_run && !is_agreed && ask::may_ask(global, environment);
    let mut work = Unused::find(args, asks, global, environment, printer).await?;
    work.show(args, printer);
    if !args.dry_run && !is_agreed && !asks && !work.images.is_empty() {
        return Err(Error::new(Kind::Usage, "prune", "nothing is removed without `--yes`")
            .hint("`--dry-run` only shows what would be removed")
            .into());
    }
    while asks && !work.images.is_empty() {
        let (question, shown) = (work.question(), work.names());
        // Nothing is held while a person thinks.
        drop(work);
        ask::consent(&question).await?;
        work = Unused::find(args, false, global, environment, printer).await?;
        if work.names() == shown {
            break;
        }
        printer.note("What is unused has changed since it was shown.");
        work.show(args, printer);
    }
    let go = !args.dry_run && !work.images.is_empty();
    if go {
        interruption::leaves("some of the images may be removed already");
        held::remove(&work.run, &work.images).await?;
    }
    let held = &work.images;
    if printer.json {
        printer.document(&PruneDocument {
            unused: held.iter().map(fields).collect(),
            removed: held.iter().filter(|_| go).map(|held| held.id.clone()).collect(),
        });
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

/// The images that nothing uses.
struct Unused {
    run: Deployment,
    images: Vec<InventoryItem>,
    /// How many images stay because nobody is known to have made them.
    unknown: usize,
    /// Keeps builds away.
    _alone: Vec<LockedFile>,
}

impl Unused {
    /// Finds them; where it only looks, builds go on meanwhile.
    async fn find(
        args: &PruneArgs,
        only_looks: bool,
        global: &GlobalArgs,
        environment: &Environment,
        printer: Printer,
    ) -> Result<Self, Error> {
        let run = open(&args.held, global, environment, printer)?;
        let others = if args.held.all { history::other_projects(&run) } else { Vec::new() };
        let is_free = args.dry_run || only_looks;
        let alone = if is_free { Vec::new() } else { alone(&run.project, &others)? };
        let mut images = look(&args.held, &run, environment, printer).await?;
        images.retain(|held| held.used.is_none());
        let all = images.len();
        images.retain(|held| held.whose.is_recorded());
        let unknown = all - images.len();
        Ok(Self { run, images, unknown, _alone: alone })
    }

    fn show(&self, args: &PruneArgs, printer: Printer) {
        if printer.json {
            return;
        }
        if !self.images.is_empty() {
            show(&self.images, args.held.all, printer);
        }
        if self.unknown > 0 {
            printer.note(&format!(
                "{} more images stay: no project on this machine is known to have made them",
                self.unknown
            ));
        }
        if self.images.iter().any(InventoryItem::is_in_registry) {
            printer.warning(
                "what other machines publish cannot be seen from here: of these images, those in \
                 the registry that another one deployed from the same code would be missing there",
            );
        }
    }

    fn question(&self) -> String {
        match self.images.len() {
            1 => "Remove this image?".to_owned(),
            count => format!("Remove these {count} images?"),
        }
    }

    /// What tells the images apart.
    fn names(&self) -> Vec<(String, String, Vec<String>)> {
        let name =
            |held: &InventoryItem| (held.place().to_owned(), held.id.clone(), held.names.clone());
        self.images.iter().map(name).collect()
    }
}

fn open(
    args: &HeldArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<Deployment, Error> {
    let project = inputs::bare_project(global, environment)?;
    let flags = RegistryFlags {
        registry: args.registry.as_deref(),
        push_registry: args.push_registry.as_deref(),
        insecure: &args.access.registry_insecure,
    };
    let options = inputs::place_options(&args.place, flags, &project, environment)?;
    let connections =
        connections::connections(&args.access, &options.registry, &project, environment, printer)?;
    Deployment::open(project, options, connections, TerminalReporter::new(printer))
}

/// Keeps builds of every environment of the project away, and of those whose images may go too, as
/// long as the files live.
fn alone(project: &Project, others: &[PathBuf]) -> Result<Vec<LockedFile>, Error> {
    let others = others.iter().map(|root| brand_folder(project, Some(root)));
    let brands = std::iter::once(brand_folder(project, None)).chain(others);
    let mut environments = Vec::new();
    for brand in brands {
        environments.extend(folders(&brand)?);
    }
    let mut locks = Vec::new();
    let mut locked: Vec<std::path::PathBuf> = Vec::new();
    for folder in environments {
        let lock = folder.open_folder()?;
        // A folder of a second name would wait for its own lock.
        if locked.iter().any(|known| esb_config::is_same_folder(known, &folder.path())) {
            continue;
        }
        locked.push(folder.path());
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            let text = format!("a run works in `{}`", folder.path().display());
            return Err(Error::new(Kind::Locked, "locked", text)
                .hint("wait for it: what it builds is not published yet"));
        }
        locks.push(LockedFile::new(lock));
    }
    Ok(locks)
}

/// The images that are asked for, each with whose it is and what uses it.
async fn look(
    args: &HeldArgs,
    run: &Deployment,
    environment: &Environment,
    printer: Printer,
) -> Result<Vec<InventoryItem>, Error> {
    let mut known = Known::new(applications(run, environment)?);
    let brand = brand_folder(&run.project, None);
    for environment in folders(&brand)? {
        known.made_here(history::of_environment(run, &environment)?);
    }
    published_from(&run.project, &brand, &mut known)?;
    for root in history::other_projects(run) {
        let brand = brand_folder(&run.project, Some(&root));
        for environment in folders(&brand)? {
            let made = history::of_environment(run, &environment)?;
            known.made_elsewhere(&root.display().to_string(), made);
        }
        published_from(&run.project, &brand, &mut known)?;
    }
    let places = places(run).await?;
    known.published(&current(&places).await?);
    for published in all_gateways_read(run).await? {
        known.published(&published);
    }
    let in_default = [Holder::Engine, Holder::Store];
    let places = if args.places.is_empty() { &in_default[..] } else { &args.places };
    let mut all = Vec::new();
    for place in places {
        match place {
            Holder::Engine if args.places.is_empty() && run.engine().await.is_err() => {
                printer.warning("no container engine answers: its images are left out");
            }
            Holder::Engine => all.extend(held::in_engine(run, &known).await?),
            Holder::Store => all.extend(held::in_store(run, &known)),
            Holder::Registry => all.extend(held::in_registry(run, &known, args.all).await?),
        }
    }
    all.retain(|held| args.all || matches!(held.whose, ImageOwner::Own(_)));
    Ok(all)
}

/// The names under which the project's templates publish.
fn applications(run: &Deployment, environment: &Environment) -> Result<BTreeSet<String>, Error> {
    let project = &run.project;
    let set = environment.settings().list("templates").iter().map(String::as_str);
    let named = |template: &str| {
        let named = inputs::application(project, &project.root.join(template), environment)?;
        let locked = run.locked_application();
        Ok(ApplicationName::of_template(project, named.as_ref(), locked)?.name)
    };
    // The name of a file in it: the project's own folder is looked at too.
    set.chain(["-"]).map(named).collect()
}

/// The folder of what runs of a project keep: this one's, or another's.
fn brand_folder(project: &Project, root: Option<&PathBuf>) -> Folder {
    let folder = match root {
        Some(root) => Folder::new(root).with_links(project.links.clone()),
        None => project.folder(),
    };
    folder.join(project.brand.folder_name())
}

/// Collects the images that every merged configuration of a project names, in
/// `staging/<project>/<env>/config` and in each folder that one was delivered to.
fn published_from(project: &Project, brand: &Folder, known: &mut Known) -> Result<(), Error> {
    for compose_project in folders(&brand.join(STAGING_FOLDER))? {
        for environment in folders(&compose_project)? {
            let staging = environment.join("config");
            // Other applications publish there as well.
            let delivered = delivered(&staging)?;
            let delivered = delivered.iter().map(|folder| project.configuration_at(folder));
            for folder in delivered.chain([staging]) {
                let read = esb_config::read(&folder);
                known.published(&read?);
            }
        }
    }
    Ok(())
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

fn show(held: &[InventoryItem], all: bool, printer: Printer) {
    if printer.json {
        printer.document(&ImagesDocument { images: held.iter().map(fields).collect() });
        return;
    }
    if held.is_empty() {
        printer.note("there is no image of this project");
        return;
    }
    let row = |held: &InventoryItem| {
        let id = held.id.trim_start_matches("sha256:");
        let mut row = vec![
            held.names.first().cloned().unwrap_or_else(|| "<none>".to_owned()),
            held.place().to_owned(),
            id.chars().take(12).collect(),
            bytes(held.bytes),
            held.used.clone().unwrap_or_else(|| "-".to_owned()),
        ];
        row.extend(all.then(|| held.whose.words().to_owned()));
        row
    };
    let rows: Vec<Vec<String>> = held.iter().map(row).collect();
    let mut columns = vec!["image", "in", "id", "size", "used by"];
    columns.extend(all.then_some("owner"));
    tables::print(printer, &columns, &rows);
}

fn fields(held: &InventoryItem) -> HeldImage {
    HeldImage {
        place: held.place().to_owned(),
        id: held.id.clone(),
        names: held.names.clone(),
        bytes: held.bytes,
        used_by: held.used.clone(),
        own: matches!(held.whose, ImageOwner::Own(_)),
        owner: held.whose.name().map(str::to_owned),
    }
}
