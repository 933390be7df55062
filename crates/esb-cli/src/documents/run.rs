//! The results of `esb deploy` and `esb build`.

use esb_config::{ChangeKind, Merged, Section};
use esb_deploy::{ApplicationName, Deployment, Replaced};
use serde::Serialize;

use super::FindingFields;

/// The result of `esb deploy` and `esb build`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RunDocument {
    pub(crate) environment: String,
    pub(crate) images: Vec<MadeImage>,
    pub(crate) config: Configuration,
    pub(crate) workers: Workers,
    /// For whom the configuration was published.
    pub(crate) owners: Vec<RunOwner>,
    /// The images that the engine pulled ahead.
    pub(crate) pulled: Vec<String>,
    pub(crate) restart: Restart,
    pub(crate) changes: Vec<Change>,
    /// What was taken over from others.
    pub(crate) adopted: Vec<Adopted>,
    /// What a template of this path published before applications were recorded, and was left.
    pub(crate) left: Vec<String>,
    /// What is published and nobody is known to own.
    pub(crate) unowned: Vec<String>,
    pub(crate) findings: Vec<FindingFields>,
    pub(crate) seconds: f64,
}

/// The result of `--dry-run`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlanDocument {
    /// Always true.
    pub(crate) dry_run: bool,
    /// Whether the run would change anything.
    pub(crate) has_changes: bool,
    pub(crate) environment: String,
    pub(crate) images: Vec<PlannedImage>,
    /// For whom the configuration would be published.
    pub(crate) owners: Vec<RunOwner>,
    /// The regions, where the run's is not the published one.
    pub(crate) region: Option<Region>,
    pub(crate) changes: Vec<Change>,
    /// What would be taken over from others.
    pub(crate) adopted: Vec<Adopted>,
    /// What a template of this path published before applications were recorded, and is left.
    pub(crate) left: Vec<String>,
    /// What is published and nobody is known to own.
    pub(crate) unowned: Vec<String>,
    pub(crate) findings: Vec<FindingFields>,
    pub(crate) seconds: f64,
}

/// An image that a run made, found again or copied.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MadeImage {
    /// Repository and plain tag, without the registry.
    pub(crate) name: String,
    /// The logical id of its function; null for a base image.
    pub(crate) function: Option<String>,
    /// As functions.yml names it, or Dockerfiles for a base image.
    pub(crate) reference: String,
    /// Where an external image comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) platform: String,
    /// What was done, such as `built`, `cached` or `skipped`.
    pub(crate) action: &'static str,
    /// Why it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The engine that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) builder: Option<&'static str>,
    /// The daemon of a fleet that built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) daemon: Option<String>,
    /// What was sent to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

/// What would happen to an image.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PlannedImage {
    /// Repository and plain tag, without the registry.
    pub(crate) name: String,
    /// The logical id of its function; null for a base image.
    pub(crate) function: Option<String>,
    /// As functions.yml would name it, without a content tag while that is unknown.
    pub(crate) reference: String,
    pub(crate) platform: String,
    /// What it is built on, or copied from.
    pub(crate) from: String,
    /// `build`, `reuse`, `push` or `sync`.
    pub(crate) action: &'static str,
    pub(crate) reason: String,
    /// The daemon of a fleet that would build it.
    pub(crate) daemon: Option<String>,
    /// The size of the layers above the base, when the image is known.
    pub(crate) bytes: Option<u64>,
}

/// The configuration that a run wrote.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Configuration {
    /// The files that were generated.
    pub(crate) files: Vec<String>,
    /// The folder with what all runs of the project publish together.
    pub(crate) staging: Option<String>,
    /// The place where a Gateway reads that got the files.
    pub(crate) delivered: Option<String>,
    /// The names of published files that changed.
    pub(crate) changed: Vec<&'static str>,
    /// The command that creates new tables and buckets, when there may be some.
    pub(crate) provisioner: Option<String>,
    /// Compose projects with a Gateway that runs, where this run's has none.
    pub(crate) elsewhere: Vec<String>,
    /// The regions, where the run's is not the published one.
    pub(crate) region: Option<Region>,
}

/// A region that differs from the published one.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Region {
    /// The region that is published for all functions.
    pub(crate) published: String,
    /// The region that is written into the functions of these templates.
    pub(crate) own: String,
}

/// What became of workers that ran old code.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Workers {
    /// Containers that are gone.
    pub(crate) replaced: Vec<String>,
    /// Containers that were busy to the end.
    pub(crate) busy: Vec<String>,
    /// Containers that still run.
    pub(crate) kept: Vec<Kept>,
    /// Containers that are gone and whose addresses others may have.
    pub(crate) lost: Vec<Kept>,
    /// Calls that began in the moment of a replacement.
    pub(crate) cut: usize,
    /// The Gateway that was restarted.
    pub(crate) restarted: Option<String>,
    /// How workers were looked for when none was found.
    pub(crate) none_found: Option<String>,
    /// What a person has to run.
    pub(crate) command: Option<String>,
}

/// A worker, and what hindered its replacement.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// What a Gateway takes when it starts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Restart {
    /// Functions whose `max_capacity` changed.
    pub(crate) functions: Vec<String>,
    /// The command that restarts the Gateway, when one has to be restarted.
    pub(crate) command: Option<String>,
}

/// A template and its application.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Owner {
    /// Null for what was published before applications were recorded.
    pub(crate) application: Option<String>,
    pub(crate) template: String,
}

/// A template of the run, and where its application's name comes from.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RunOwner {
    #[serde(flatten)]
    pub(crate) owner: Owner,
    pub(crate) origin: String,
}

/// A change of a published entry.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Change {
    /// The entry in words, such as ``function `hello` ``.
    pub(crate) entry: String,
    /// The kind of entry, such as `function`, `route` or `schedule`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) section: Section,
    pub(crate) key: String,
    /// `added`, `changed` or `removed`.
    #[serde(rename = "change")]
    pub(crate) kind: &'static str,
    /// What is different in it.
    pub(crate) details: Vec<String>,
}

/// An entry that a run took over.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Adopted {
    /// The entry in words, such as ``function `hello` ``.
    pub(crate) entry: String,
    /// The kind of entry, such as `function`, `route` or `schedule`.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) section: Section,
    pub(crate) key: String,
    /// Who published it; null when nobody is known to own it.
    pub(crate) from: Option<Owner>,
}

impl From<&esb_config::Owner> for Owner {
    fn from(owner: &esb_config::Owner) -> Self {
        let application = owner.application().map(str::to_owned);
        Self { application, template: owner.template().to_owned() }
    }
}

impl RunOwner {
    /// The owners that a run publishes for.
    pub(crate) fn of(run: &Deployment) -> Vec<Self> {
        let with_origin = |(owner, named): (&esb_config::Owner, &ApplicationName)| Self {
            owner: owner.into(),
            origin: named.origin.words(),
        };
        run.owners().iter().zip(run.applications()).map(with_origin).collect()
    }
}

impl Change {
    pub(crate) fn all(changes: &[esb_config::Change]) -> Vec<Self> {
        let kind = |kind| match kind {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        };
        let change = |change: &esb_config::Change| Self {
            entry: change.entry.to_string(),
            section: change.entry.section,
            key: change.entry.key.clone(),
            kind: kind(change.kind),
            details: change.details.clone(),
        };
        changes.iter().map(change).collect()
    }
}

impl Adopted {
    /// What a run took over, entry by entry.
    pub(crate) fn all(merged: Option<&Merged>) -> Vec<Self> {
        let one = |adopted: &esb_config::Adopted| Self {
            entry: adopted.entry.to_string(),
            section: adopted.entry.section,
            key: adopted.entry.key.clone(),
            from: adopted.from.as_ref().map(Owner::from),
        };
        merged.map_or(&[][..], |merged| &merged.adopted).iter().map(one).collect()
    }
}

impl Region {
    pub(crate) fn of(merged: Option<&Merged>) -> Option<Self> {
        let region = merged?.own_region.as_ref()?;
        Some(Self { published: region.published.clone(), own: region.own.clone() })
    }
}

impl From<&Replaced> for Workers {
    fn from(replaced: &Replaced) -> Self {
        let kept = |workers: &[(String, String)]| {
            let one = |(name, reason): &(String, String)| Kept {
                name: name.clone(),
                reason: reason.clone(),
            };
            workers.iter().map(one).collect()
        };
        Self {
            replaced: replaced.idle.clone(),
            busy: replaced.busy.clone(),
            kept: kept(&replaced.kept),
            lost: kept(&replaced.lost),
            cut: replaced.cut,
            restarted: replaced.restarted.clone(),
            none_found: replaced.none_found.clone(),
            command: replaced.command.clone(),
        }
    }
}
