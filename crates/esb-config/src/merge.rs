//! Merges the entries of a run with those that are published, by owner.
//!
//! Pure: returns the new state of the files as values, the changes, and the conflicts. Removes what
//! the run's templates published earlier and have no longer; never touches what belongs to another
//! template or application; keeps what belongs to nobody
//! (docs/contracts/platform.md#merge-and-ownership).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    EntryKey, Error, Owner, PublishedConfig, Rendered, RunOwners, Section,
    config::ConfigSet,
    defaults, difference,
    functions::FunctionsFile,
    import::ImageImportFile,
    ledger::Ledger,
    region::{self, OwnRegion},
    resources::{BUCKET_NAME, LAYER_NAME, ResourcesFile, TABLE_NAME},
    routing::RoutingFile,
    standing,
    state::{OwnershipState, Secrets},
    value::Value,
    written_route::{self, WrittenRoute},
};

/// The merged configuration, ready to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    pub config: ConfigSet,
    pub state: OwnershipState,
    /// Old and new functions together: what may be read while routes still lead to old ones.
    pub(crate) interim_functions: FunctionsFile,
    /// Owners of old and new entries, for a run that ends half-way.
    pub(crate) interim_state: OwnershipState,
    /// In the order of sections, then keys.
    pub changes: Vec<Change>,
    /// Entries that the run took over.
    pub adopted: Vec<Adopted>,
    /// Kept entries that belong to nobody: hand-written, or from the earlier tool.
    pub unowned: Vec<EntryKey>,
    /// Kept entries that a template with the path of one of the run's published before
    /// applications were recorded.
    pub left: Vec<(EntryKey, Owner)>,
    /// Entries that replaced what another project published under the same name.
    pub replaced: Vec<EntryKey>,
    /// Defaults that are not ours and differ from what this run would write, such as
    /// `environment.AWS_REGION`.
    pub kept_defaults: Vec<String>,
    /// The region that the run's functions have of their own, where the defaults have another one.
    pub own_region: Option<OwnRegion>,
}

/// The change of one entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub entry: EntryKey,
    pub kind: ChangeKind,
    /// What is different inside, in words: names, numbers, references and values that are no
    /// secret.
    pub details: Vec<String>,
    /// The route as a template would have it, of an entry that is one.
    pub route: Option<WrittenRoute>,
}

/// An entry that the run takes over from another owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    pub entry: EntryKey,
    /// The owner before; `None` when it had none.
    pub from: Option<Owner>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

/// Merges a run's entries with the published ones.
///
/// # Errors
/// [`Error::Conflict`] when the run has a function, route or resource of another owner,
/// [`Error::NameCollision`] when another application published under the run's name,
/// [`Error::OtherProject`] when entries of another project of that name would be removed; none of
/// them when the run takes over on purpose.
pub fn merge(
    published: &PublishedConfig,
    rendered: &Rendered,
    run: &RunOwners,
) -> Result<Merged, Error> {
    let old = &published.config;
    let mut new = rendered.config.clone();
    let own_region = region::apart(&old.functions, &mut new.functions);
    let new = &new;
    let mut ledger = Ledger::new(&published.state, &rendered.state.owners, run)?;
    let (ours, wanted) = (&published.state.defaults, &new.functions.defaults);
    let settled = defaults::settle(&old.functions.defaults, wanted, ours);
    let functions = ledger.settle(
        Section::Function,
        old.functions.functions.clone().into_iter().collect(),
        new.functions.functions.clone().into_iter().collect(),
    );
    let config = ConfigSet {
        functions: FunctionsFile {
            defaults: settled.defaults,
            functions: functions.into_iter().collect(),
            extra: old.functions.extra.clone(),
        },
        routing: routing(&mut ledger, &old.routing, &new.routing),
        resources: resources(&mut ledger, &old.resources, &new.resources),
        images: images(&mut ledger, &old.images, &new.images),
    };
    let settlement = ledger.close()?;

    let digests = digests(&config, &[&rendered.state.digests, &published.state.digests]);
    let secrets = secrets(&config, published, rendered);
    let mut changes = settlement.changes;
    let known: BTreeSet<EntryKey> = changes.iter().map(|change| change.entry.clone()).collect();
    let content = changed_digests(&published.state.digests, &digests);
    changes.extend(content.into_iter().filter(|change| !known.contains(&change.entry)));
    changes.extend(difference::of_schedules(&old.functions, &config.functions));
    let is_secret = |function: &str, variable: &str| {
        let states = [&rendered.state, &published.state];
        states.iter().any(|state| state.is_secret(function, variable))
    };
    for change in changes.iter_mut().filter(|change| change.kind == ChangeKind::Changed) {
        change.details.extend(details(&change.entry, old, &config, &is_secret));
    }
    changes.sort();
    written_route::name_routes(&mut changes, &old.routing, &config.routing);
    let is_changed = |entry: &EntryKey| {
        if entry.section != Section::Function {
            return changes.iter().any(|change| change.entry == *entry);
        }
        let name = &*entry.key;
        let digest = |digests: &Digests| digests.get(name).cloned();
        old.functions.functions.get(name) != config.functions.functions.get(name)
            || digest(&published.state.digests) != digest(&digests)
    };
    let others = standing::of_other_projects(
        &published.state,
        &settlement.owners,
        &rendered.state.owners,
        run,
        is_changed,
    )?;
    let mut state = OwnershipState {
        owners: settlement.owners,
        digests,
        secrets,
        defaults: settled.ours,
        ..OwnershipState::default()
    };
    for (entry, project) in others.projects {
        state.record_project(entry, project);
    }
    Ok(Merged {
        interim_functions: with_old_functions(config.functions.clone(), &old.functions),
        interim_state: with_old_owners(state.clone(), &published.state),
        config,
        state,
        changes,
        adopted: settlement.adopted,
        unowned: settlement.unowned,
        left: settlement.left,
        replaced: others.replaced,
        kept_defaults: settled.kept,
        own_region,
    })
}

/// Removes every entry of one owner that nobody else has.
pub fn remove_owner(published: &PublishedConfig, owner: &Owner) -> Merged {
    let mut nothing = Rendered::default();
    nothing.config.functions.defaults = published.state.defaults.clone();
    let run = RunOwners { adopt: true, ..RunOwners::new([owner.clone()]) };
    merge(published, &nothing, &run).expect("a run without entries conflicts with nobody")
}

fn routing(ledger: &mut Ledger<'_>, old: &RoutingFile, new: &RoutingFile) -> RoutingFile {
    let by_key = |file: &RoutingFile| {
        // Schedules of the earlier tool left routes without a path, which match nothing.
        let routes = file.routes.iter().filter(|route| !route.path.is_empty()).cloned();
        let routes = routes.map(|mut route| {
            if route.method.is_empty() {
                "GET".clone_into(&mut route.method);
            }
            (route.key(), route)
        });
        routes.collect()
    };
    let routes = values(ledger.settle(Section::Route, by_key(old), by_key(new)));
    let mut file = RoutingFile { routes, extra: old.extra.clone() };
    file.sort();
    file
}

fn resources(ledger: &mut Ledger<'_>, old: &ResourcesFile, new: &ResourcesFile) -> ResourcesFile {
    let mut items = |section, key, old: &[Value], new: &[Value]| {
        let mut items = ledger.settle(section, by_name(old, key), by_name(new, key));
        items.sort_by(|(a, _), (b, _)| a.cmp(b));
        // The Provisioner skips what has no name; it is not ours to remove.
        let nameless = old.iter().filter(|item| name_of(item, key).is_none()).cloned();
        values(items).into_iter().chain(nameless).collect()
    };
    ResourcesFile {
        dynamodb: items(Section::Table, TABLE_NAME, &old.dynamodb, &new.dynamodb),
        s3: items(Section::Bucket, BUCKET_NAME, &old.s3, &new.s3),
        layers: items(Section::Layer, LAYER_NAME, &old.layers, &new.layers),
        extra: old.extra.clone(),
        root_extra: old.root_extra.clone(),
    }
}

fn images(
    ledger: &mut Ledger<'_>,
    old: &ImageImportFile,
    new: &ImageImportFile,
) -> ImageImportFile {
    let by_key = |file: &ImageImportFile| {
        let images = file.images.iter().cloned();
        images.map(|image| (image.function_name.clone(), image)).collect()
    };
    let mut images = values(ledger.settle(Section::Image, by_key(old), by_key(new)));
    images.sort_by(|a, b| a.function_name.cmp(&b.function_name));
    let push_target = if new.push_target.is_empty() { old } else { new }.push_target.clone();
    ImageImportFile { version: new.version.clone(), push_target, images }
}

/// What differs inside an entry that both states have.
fn details(
    entry: &EntryKey,
    old: &ConfigSet,
    new: &ConfigSet,
    is_secret: &dyn Fn(&str, &str) -> bool,
) -> Vec<String> {
    let key = &*entry.key;
    let item = |items: &[Value], name: &str| -> Option<Value> {
        items.iter().find(|item| name_of(item, name) == Some(key)).cloned()
    };
    let items = |of: fn(&ResourcesFile) -> &Vec<Value>, name| {
        let (old, new) = (item(of(&old.resources), name), item(of(&new.resources), name));
        old.zip(new).map(|(old, new)| difference::of_item(&old, &new)).unwrap_or_default()
    };
    match entry.section {
        Section::Function => {
            let both = old.functions.functions.get(key).zip(new.functions.functions.get(key));
            let is_secret = |variable: &str| is_secret(key, variable);
            both.map(|(old, new)| difference::of_function(old, new, &is_secret)).unwrap_or_default()
        }
        Section::Route => {
            let find = |file: &RoutingFile| {
                file.routes.iter().find(|route| route.key() == key).map(|r| r.function.clone())
            };
            let both = find(&old.routing).zip(find(&new.routing)).filter(|(old, new)| old != new);
            both.map(|(old, new)| format!("function {old} → {new}")).into_iter().collect()
        }
        Section::Table => items(|file| &file.dynamodb, TABLE_NAME),
        Section::Bucket => items(|file| &file.s3, BUCKET_NAME),
        Section::Layer | Section::Image | Section::Schedule => Vec::new(),
    }
}

fn values<T>(entries: Vec<(String, T)>) -> Vec<T> {
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn name_of<'a>(item: &'a Value, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_text)
}

fn by_name(items: &[Value], key: &str) -> Vec<(String, Value)> {
    let named =
        items.iter().filter_map(|item| Some((name_of(item, key)?.to_owned(), item.clone())));
    named.collect()
}

type Digests = BTreeMap<String, String>;

/// The digests of the functions that there are, from the first map that has one.
fn digests(config: &ConfigSet, maps: &[&Digests]) -> Digests {
    let functions = config.functions.functions.keys();
    functions
        .filter_map(|name| {
            let digest = maps.iter().find_map(|map| map.get(name))?;
            Some((name.clone(), digest.clone()))
        })
        .collect()
}

/// The secret variables of the functions that there are: of those that the run has, as it has them.
fn secrets(config: &ConfigSet, published: &PublishedConfig, rendered: &Rendered) -> Secrets {
    let functions = config.functions.functions.keys();
    functions
        .filter_map(|name| {
            let is_ours = rendered.config.functions.functions.contains_key(name);
            let state = if is_ours { &rendered.state } else { &published.state };
            Some((name.clone(), state.secrets.get(name)?.clone()))
        })
        .collect()
}

/// Functions with another image under the same reference.
fn changed_digests(old: &Digests, new: &Digests) -> Vec<Change> {
    let changed = new.iter().filter(|(name, digest)| old.get(*name).is_some_and(|o| o != *digest));
    let change = |(name, _): (&String, &String)| Change {
        entry: EntryKey::new(Section::Function, name),
        kind: ChangeKind::Changed,
        details: vec!["content of the image".to_owned()],
        route: None,
    };
    changed.map(change).collect()
}

fn with_old_functions(mut new: FunctionsFile, old: &FunctionsFile) -> FunctionsFile {
    for (name, entry) in &old.functions {
        new.functions.entry(name.clone()).or_insert_with(|| entry.clone());
    }
    new
}

fn with_old_owners(mut new: OwnershipState, old: &OwnershipState) -> OwnershipState {
    let kept: BTreeSet<EntryKey> = new.owners.iter().map(|(entry, _)| entry).collect();
    let is_gone = |entry: &EntryKey| !kept.contains(entry);
    for (entry, owner) in old.owners.iter() {
        if is_gone(&entry) {
            new.owners.add(entry.section, entry.key, owner.clone());
        }
    }
    let known = new.recorded_projects();
    for (entry, project) in old.recorded_projects() {
        if !known.contains_key(&entry) {
            new.record_project(entry, project);
        }
    }
    for (name, variables) in &old.secrets {
        new.secrets.entry(name.clone()).or_default().extend(variables.iter().cloned());
    }
    for (name, digest) in &old.digests {
        new.digests.entry(name.clone()).or_insert_with(|| digest.clone());
    }
    new
}
