//! `esb config ls` and `esb config rm`: list who owns what is published, and remove an owner's
//! entries.

use std::{collections::BTreeSet, path::Path};

use esb_config::{EntryKey, ListedEntry, Merged, Owner, PublishedConfig};
use esb_deploy::{
    ApplicationName, Deployment, Error, Kind, Places, Project, current, lock_folder, normal,
    places, publish_merged,
};

use crate::{
    ask,
    cli::{AccessArgs, GlobalArgs, PlaceArgs, RemoveArgs},
    connections,
    documents::{Change, EntriesDocument, Entry, RemovedOwnerDocument},
    environment::Environment,
    escape,
    exit_code::CliError,
    inputs::{self, RegistryFlags},
    interruption,
    printer::Printer,
    reporter::TerminalReporter,
    summary, tables,
};

/// The deployment of a command that only reads or removes entries, and where they lie.
async fn open(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(Deployment, Places), Error> {
    let project = inputs::bare_project(global, environment)?;
    let options = inputs::place_options(place, RegistryFlags::default(), &project, environment)?;
    let access = AccessArgs::default();
    let connections =
        connections::connections(&access, &options.registry, &project, environment, printer)?;
    let reporter = TerminalReporter::new(printer);
    let deployment = Deployment::open(project, options, connections, reporter)?;
    let places = places(&deployment).await?;
    Ok((deployment, places))
}

/// Prints every published entry with its owners.
pub(super) async fn list(
    place: &PlaceArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let (run, places) = open(place, global, environment, printer).await?;
    let published = current(&places).await?;
    if printer.json {
        let entries = published.entries();
        let entries = entries.iter().map(fields).collect();
        printer.document(&EntriesDocument { place: places.name(&run), entries });
        return Ok(());
    }
    let row = |ListedEntry { section, name, owners }: ListedEntry| {
        let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        let owners = if owners.is_empty() { "-".to_owned() } else { owners.join(", ") };
        vec![section.noun().to_owned(), name, owners]
    };
    let rows: Vec<Vec<String>> = published.listed().into_iter().map(row).collect();
    if rows.is_empty() {
        let near = near_environment(&run.project);
        let near = near.map(|name| format!("; did you mean `-e {name}`?")).unwrap_or_default();
        let text = format!("nothing is published in {}{near}", places.name(&run));
        printer.note(&escape::terminal(&text));
        return Ok(());
    }
    let head = ["kind", "entry", "owner"];
    tables::print(printer, &head, &rows);
    Ok(())
}

/// The environment of this project with a name that is nearly the one that was asked for.
fn near_environment(project: &Project) -> Option<String> {
    let wanted = &project.environment;
    let made = std::fs::read_dir(project.generated().parent()?).ok()?;
    let names = made.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| name != wanted && !name.contains('.'))
        .map(|name| (strsim::osa_distance(&name, wanted), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.len().max(2))
        .min()
        .map(|(_, name)| name)
}

fn fields((entry, owners): &(EntryKey, BTreeSet<Owner>)) -> Entry {
    let first = owners.first();
    Entry {
        section: entry.section,
        key: entry.key.clone(),
        owner: first.map(ToString::to_string),
        application: first.and_then(Owner::application).map(str::to_owned),
        template: first.map(|owner| owner.template().to_owned()),
        owners: owners.iter().map(Into::into).collect(),
    }
}

/// Removes everything that one owner alone has.
pub(super) async fn remove(
    args: &RemoveArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let (mut run, mut places) = open(&args.place, global, environment, printer).await?;
    let is_agreed = args.yes || environment.branded_is_true("YES");
    if args.dry_run || !is_agreed && ask::may_ask(global, environment) {
        let mut planned = Removal::plan(args, &run, &places, environment).await?;
        if args.dry_run {
            planned.show(true, printer);
            return Ok(());
        }
        let mut agreed = None;
        while agreed.as_ref() != Some(&planned.merged.changes) {
            if agreed.is_some() {
                printer.err("What is published has changed since it was shown.");
            }
            let owner = &planned.owner;
            let place = format!("What `{owner}` published in {}:", places.name(&run));
            printer.err(&escape::line(&place));
            let styled = |sign: &str, style| printer.styled_err(sign, style);
            for line in summary::change_lines(&planned.merged.changes, styled) {
                printer.err(&line);
            }
            // Nothing is held while a person thinks.
            drop((run, places));
            ask::consent("Remove it?").await?;
            agreed = Some(planned.merged.changes);
            (run, places) = open(&args.place, global, environment, printer).await?;
            planned = Removal::plan(args, &run, &places, environment).await?;
        }
    }
    let lock = lock_folder(&run, &places.staging)?;
    let removal = Removal::plan(args, &run, &places, environment).await?;
    interruption::leaves("some of the entries may be removed already: run the command again");
    publish_merged(&run, &places, &lock, &removal.merged).await?;
    removal.show(false, printer);
    if !printer.json {
        printer.note(&escape::line(&format!("removed from {}", places.name(&run))));
    }
    Ok(())
}

/// What the removal of an owner changes.
struct Removal {
    owner: Owner,
    merged: Merged,
}

impl Removal {
    async fn plan(
        args: &RemoveArgs,
        run: &Deployment,
        places: &Places,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let published = current(places).await?;
        let template = run.project.root.join(&args.owner);
        let named = inputs::application(&run.project, &template, environment)?;
        let locked = run.locked_application();
        let own = ApplicationName::of_template(&run.project, named.as_ref(), locked)?;
        let owner = find(&args.owner, &own.name, &published)?;
        let merged = esb_config::remove_owner(&published, &owner);
        Ok(Self { owner, merged })
    }

    fn show(&self, is_planned: bool, printer: Printer) {
        let Self { owner, merged } = self;
        if printer.json {
            return printer.document(&RemovedOwnerDocument {
                dry_run: is_planned,
                owner: owner.to_string(),
                application: owner.application().map(str::to_owned),
                template: owner.template().to_owned(),
                changes: Change::all(&merged.changes),
            });
        }
        for line in
            summary::change_lines(&merged.changes, |sign, style| printer.styled_out(sign, style))
        {
            printer.out(&line);
        }
        if is_planned {
            printer.note("dry run: nothing was removed");
        }
    }
}

/// The owner that an argument names: `APPLICATION:PATH`, `:PATH` for one from before applications
/// were recorded, `PATH` for a template of this project's application.
fn find(given: &str, application: &str, published: &PublishedConfig) -> Result<Owner, Error> {
    let owners: BTreeSet<&Owner> = published.state.owners.iter().map(|(_, owner)| owner).collect();
    let full =
        |owner: &Owner| format!("{}:{}", owner.application().unwrap_or(""), owner.template());
    if let Some(owner) = owners.iter().find(|owner| full(owner) == given) {
        return Ok((*owner).clone());
    }
    let path = normal(Path::new(given)).display().to_string();
    let fits = |owner: &&&Owner| {
        (owner.template() == path || owner.template() == given)
            && owner.application() == Some(application)
    };
    let mut found: Vec<&&Owner> = owners.iter().filter(fits).collect();
    if found.is_empty() {
        // An application alone names its owner where it has one.
        found.extend(owners.iter().filter(|owner| owner.application() == Some(given)));
    }
    if let [owner] = found.as_slice() {
        return Ok((**owner).clone());
    }
    let list = |owners: &mut dyn Iterator<Item = &Owner>| {
        owners.map(|owner| format!("`{}`", full(owner))).collect::<Vec<_>>().join(", ")
    };
    let (text, hint) = if found.is_empty() {
        let hint = if owners.is_empty() {
            "no entry has an owner".to_owned()
        } else {
            format!("owners are {}", list(&mut owners.iter().copied()))
        };
        (format!("nothing is published by `{given}`"), hint)
    } else {
        let hint = format!("name one of {}", list(&mut found.iter().map(|owner| **owner)));
        (format!("`{given}` stands for several owners"), hint)
    };
    Err(Error::new(Kind::Input, "owner", text).hint(hint))
}

#[cfg(test)]
mod tests {
    use esb_config::Section;

    use super::*;

    #[test]
    fn an_owner_by_its_name() {
        let mut published = PublishedConfig::default();
        let owners = &mut published.state.owners;
        for (key, owner) in [
            ("a", Owner::new("shop", "template.yaml")),
            ("b", Owner::new("stock", "template.yaml")),
            ("c", Owner::without_application("template.yaml")),
            ("d", Owner::new("shop", "svc/a:b.yaml")),
            ("e", Owner::new("stock", "only.yaml")),
        ] {
            owners.add(Section::Function, key, owner);
        }
        let check = |given: &str, expected: &str| {
            let found = match find(given, "shop", &published) {
                Ok(owner) => format!("{owner:?}"),
                Err(failure) => format!(
                    "{}; {}",
                    failure.message,
                    crate::hints::of_error(&failure.hint.unwrap())
                ),
            };
            assert!(found.contains(expected), "{given}: {found}");
        };
        check("stock:template.yaml", r#"Some("stock"), template: "template.yaml""#);
        check("shop:template.yaml", r#"Some("shop")"#);
        check(":template.yaml", r#"None, template: "template.yaml""#);
        check("./svc/a:b.yaml", r#"Some("shop"), template: "svc/a:b.yaml""#);
        // What may be anybody's is named as such.
        check("template.yaml", r#"Some("shop"), template: "template.yaml""#);
        check("shop", "`shop` stands for several owners; name one of `shop:svc/a:b.yaml`");
        check("stock", "`stock` stands for several owners");
        check("only.yaml", "nothing is published by `only.yaml`; owners are `:template.yaml`");
    }
}
