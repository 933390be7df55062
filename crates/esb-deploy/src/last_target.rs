//! The target of an environment's last deploy, so that a flag which is left out by mistake is
//! noticed before functions.yml names images that nobody can pull.
//!
//! It is recorded beside the generated files. Where that record is absent, as on a machine of a CI
//! service, the published functions tell the registry.

use std::collections::BTreeSet;

use esb_config::{Owner, PublishedConfig, Section};
use serde::{Deserialize, Serialize};

use crate::{
    apply::{
        config::{self, Places},
        delivery::ConfigPlace,
    },
    deployment::Deployment,
    error::{Error, Kind},
    folders::put,
    image_names::Target,
    plan::Plan,
    project::normal,
    remedy::Remedy,
};

/// The file's name in the folder of the environment.
pub(crate) const NAME: &str = "target.json";

/// The most bytes of the file that are read.
const LIMIT: u64 = 64 * 1024;

/// Where a deploy brought images and configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastTarget {
    /// The registry as functions.yml names it; none where nothing was pushed.
    registry: Option<String>,
    /// The address that it was pushed to, which stays where a mode has another name for it.
    #[serde(default)]
    push: Option<String>,
    /// The compose project; none where only published functions tell about a deploy.
    #[serde(default)]
    project: Option<String>,
    /// Where a Gateway reads, as messages name it.
    #[serde(default)]
    delivery: Option<String>,
    /// Under which names it was published.
    #[serde(default)]
    owners: BTreeSet<Owner>,
}

/// A part of the target that differs from the last deploy's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetChange {
    /// The part.
    pub part: TargetPart,
    /// What it was; none where there was none.
    pub before: Option<String>,
    /// What it is in this run; none where there is none.
    pub after: Option<String>,
    /// Whether the run's options say it; else it follows from an option that is not given.
    pub is_chosen: bool,
}

/// The parts of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetPart {
    /// The registry that images are pushed to.
    Registry,
    /// The compose project.
    Project,
    /// The place where a Gateway reads.
    Delivery,
}

impl LastTarget {
    /// The target of a run.
    fn of(run: &Deployment, target: &Target, places: &Places) -> Self {
        let registry = target.registry.as_ref();
        let delivery = places.found.place.as_ref().map(|place| match place {
            ConfigPlace::Folder(folder) => {
                run.project.short(&normal(&run.project.current.join(folder.path())))
            }
            ConfigPlace::Container(_) => place.name(run),
        });
        Self {
            registry: registry.map(ToString::to_string),
            push: registry.map(|registry| registry.push_host().to_owned()),
            project: Some(run.compose_project.clone()),
            delivery,
            owners: run.owners().into_iter().collect(),
        }
    }

    /// The target that is recorded. A record that cannot be read is none: the next deploy writes it
    /// again.
    fn read(run: &Deployment) -> Option<Self> {
        let folder = run.project.folder_at(&run.project.generated());
        let text = folder.read(NAME, LIMIT).ok()??;
        serde_json::from_slice(&text).ok()
    }

    /// The owners under which the last run published.
    pub(crate) fn owners(run: &Deployment) -> BTreeSet<Owner> {
        Self::read(run).map(|last| last.owners).unwrap_or_default()
    }

    /// Whether images go elsewhere than before: published functions alone do not tell two names of
    /// one registry from two registries.
    fn has_other_registry(&self, now: &Self) -> bool {
        match (&self.push, &now.push) {
            (Some(before), Some(now_push)) => before != now_push && self.registry != now.registry,
            (_, now_push) => self.registry.is_some() && now_push.is_none(),
        }
    }

    /// The target that is recorded, else as far as the published functions tell it.
    pub(crate) async fn find(run: &Deployment, places: &Places) -> Result<Option<Self>, Error> {
        if let Some(last) = Self::read(run) {
            return Ok(Some(last));
        }
        let registry = published_registry(run, &config::current(places).await?);
        Ok(registry.map(|name| Self { registry: Some(name), ..Self::default() }))
    }

    /// Records the target of a run that published.
    pub(crate) fn record(run: &Deployment, target: &Target, places: &Places) -> Result<(), Error> {
        let folder = run.project.folder_at(&run.project.generated());
        let Ok(text) = serde_json::to_string_pretty(&Self::of(run, target, places)) else {
            return Ok(());
        };
        put(&folder, NAME, format!("{text}\n").as_bytes())
    }
}

/// The registry of the run's own published images; none where they have local names.
fn published_registry(run: &Deployment, published: &PublishedConfig) -> Option<String> {
    let owners = run.owners();
    let held = published
        .state
        .owners
        .iter()
        .filter(|(entry, owner)| entry.section == Section::Function && owners.contains(owner));
    let start = format!("/{}-", run.project.brand.slug());
    held.filter_map(|(entry, _)| published.config.functions.functions.get(&entry.key)).find_map(
        |function| {
            let image = function.image.as_ref()?.template();
            image.rfind(&start).map(|at| image[..at].to_owned())
        },
    )
}

impl Plan {
    /// What differs from the target of the environment's last deploy.
    pub fn target_changes(&self, run: &Deployment) -> Vec<TargetChange> {
        let Some(last) = self.site.last.as_ref().filter(|_| run.options.publish) else {
            return Vec::new();
        };
        let now = LastTarget::of(run, &self.target, &self.site.places);
        let options = &run.options;
        let is_other_project = run.compose_project != run.project.compose_project();
        let mut changes = Vec::new();
        let mut add = |part, before: &Option<String>, after: &Option<String>, is_chosen| {
            // A place that comes to those that there were takes nothing away.
            if before.is_some() && before != after {
                let (before, after) = (before.clone(), after.clone());
                changes.push(TargetChange { part, before, after, is_chosen });
            }
        };
        if last.has_other_registry(&now) {
            let is_chosen =
                options.registry.configured.is_some() || !options.destinations.is_empty();
            add(TargetPart::Registry, &last.registry, &now.registry, is_chosen);
        }
        add(TargetPart::Project, &last.project, &now.project, is_other_project);
        if last.project.is_some() {
            let is_chosen = options.site.config_to.is_some() || is_other_project;
            add(TargetPart::Delivery, &last.delivery, &now.delivery, is_chosen);
        }
        changes
    }

    /// Refuses a run that nobody was asked about and that would no longer push where the last one
    /// did, unless its options say so.
    ///
    /// # Errors
    /// When the registry would be another one, or none, by an option that is not given.
    pub fn refuse_lost_registry(&self, run: &Deployment) -> Result<(), Error> {
        let is_lost =
            |change: &TargetChange| change.part == TargetPart::Registry && !change.is_chosen;
        let Some(change) = self.target_changes(run).into_iter().find(is_lost) else {
            return Ok(());
        };
        if run.options.site.allow_local {
            return Ok(());
        }
        let before = change.before.unwrap_or_default();
        let environment = &run.project.environment;
        let now = match &change.after {
            Some(after) => format!("this one would push them to `{after}`"),
            None => "this one would not push them".to_owned(),
        };
        let text = format!(
            "the last deploy of environment `{environment}` pushed its images to `{before}`, and \
             {now}"
        );
        Err(Error::new(Kind::Input, "target", text).hint(Remedy::NameLastRegistry { before }))
    }
}
