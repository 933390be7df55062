//! Turns instructions into steps: expands variables and patches the config.
//!
//! Owns what each instruction means for the config and which files it asks for. Refuses to touch
//! a file: what a step does to a file system is decided elsewhere.

mod instructions;

use std::collections::BTreeMap;

use esb_model::Platform;
use esb_oci::ImageConfig;

use super::{
    From, Problem, Script,
    values::{Id, Owner},
    words::Variables,
};
/// What Docker sets where a base has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that has to be done for an image.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The stages that the image needs, by position in the Dockerfile.
    pub(crate) stages: BTreeMap<usize, StagePlan>,
}

/// The plan of one stage. A stage that starts from another contains that one's steps too.
#[derive(Debug, Clone)]
pub(crate) struct StagePlan {
    /// The name after `FROM`; none for `scratch`.
    pub(crate) base: Option<String>,
    pub(crate) steps: Vec<Step>,
    /// The base's config with what the stage says, without layers and history of its own.
    pub(crate) config: ImageConfig,
    /// Variables as the last instruction left them.
    variables: Variables,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) line: usize,
    /// What the image's history says.
    pub(crate) created_by: String,
    pub(crate) action: StepAction,
}

/// The change that a step makes to the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepAction {
    Nothing,
    Copy(CopyFiles),
    /// `WORKDIR`: a clean path, and the owner of the folders that are missing.
    MakeFolder {
        path: String,
        owner: Owner,
    },
}

/// `COPY` and `ADD` with everything expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyFiles {
    /// Archives are unpacked.
    pub(crate) unpack: bool,
    /// The stage that is copied from; none for the context.
    pub(crate) from: Option<usize>,
    pub(crate) sources: Vec<String>,
    /// Here-documents, by name: files that are copied after the sources.
    pub(crate) documents: Vec<(String, String)>,
    /// A clean path.
    pub(crate) destination: String,
    /// The destination is a folder, there or not.
    pub(crate) into_folder: bool,
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: Option<u32>,
}

impl Plan {
    /// Interprets the stages that the image needs. `base` gives the config of an image's name, or
    /// nothing when nobody knows it.
    pub(crate) fn new<E>(
        script: &Script,
        platform: Platform,
        mut base: impl FnMut(usize, &str) -> Result<ImageConfig, E>,
    ) -> Result<Self, E>
    where
        E: std::convert::From<Problem>,
    {
        script.check()?;
        let mut stages: BTreeMap<usize, StagePlan> = BTreeMap::new();
        for position in script.needed() {
            let stage = &script.stages[position];
            let mut planned = match &stage.from {
                From::Stage(earlier) => {
                    let planned = stages[earlier].clone();
                    check_triggers(&planned.config, &format!("stage {earlier}"), stage.line)?;
                    planned
                }
                From::Image(name) => {
                    let config = base(stage.line, name)?;
                    check_base(&config, name, platform, stage.line)?;
                    StagePlan::new(Some(name.clone()), config)
                }
                From::Scratch | From::Unsupported(_) => {
                    let mut config = ImageConfig::empty(platform.architecture.oci_name());
                    config.set("WorkingDir", "/");
                    StagePlan::new(None, config)
                }
            };
            // Values of `ENV` win over those that an `ARG` of the base stage left.
            planned.read_environment();
            let mut has_cmd = false;
            for line in &stage.instructions {
                let step = planned.step(script, line.number, &line.instruction, &mut has_cmd)?;
                planned.steps.push(step);
            }
            stages.insert(position, planned);
        }
        Ok(Self { stages })
    }

    /// Whether the content of a stage's base matters: something is copied into it or from it.
    pub(crate) fn needs_index(&self, position: usize) -> bool {
        let steps = self.stages.values().flat_map(|stage| &stage.steps);
        let copied_from = |step: &Step| match &step.action {
            StepAction::Copy(copy) => copy.from == Some(position),
            StepAction::Nothing | StepAction::MakeFolder { .. } => false,
        };
        self.stages[&position].steps.iter().any(|step| step.action != StepAction::Nothing)
            || steps.into_iter().any(copied_from)
    }

    /// Whether a stage sets an owner by a name that only its base's accounts resolve.
    pub(crate) fn names_owners(&self, position: usize) -> bool {
        let owner = |step: &Step| match &step.action {
            StepAction::Copy(copy) => copy.owner.clone(),
            StepAction::MakeFolder { owner, .. } => Some(owner.clone()),
            StepAction::Nothing => None,
        };
        let is_name = |id: &Id| matches!(id, Id::Name(_));
        let mut owners = self.stages[&position].steps.iter().filter_map(owner);
        owners.any(|owner| is_name(&owner.user) || owner.group.as_ref().is_some_and(is_name))
    }

    /// The stage that becomes the image.
    pub(crate) fn target(&self) -> &StagePlan {
        self.stages.values().next_back().expect("a Dockerfile has a stage")
    }
}

fn check_base(
    config: &ImageConfig,
    name: &str,
    platform: Platform,
    line: usize,
) -> Result<(), Problem> {
    let architecture = config.architecture();
    if !architecture.is_empty() && architecture != platform.architecture.oci_name() {
        return Err(Problem::invalid(
            line,
            format!(
                "`{}` is for {}, not {platform}",
                name.escape_debug(),
                architecture.escape_debug()
            ),
        ));
    }
    check_triggers(config, &format!("`{}`", name.escape_debug()), line)
}

/// Triggers of a base would be instructions of the build.
fn check_triggers(config: &ImageConfig, base: &str, line: usize) -> Result<(), Problem> {
    if config.list("OnBuild").is_some_and(|triggers| !triggers.is_empty()) {
        return Err(Problem::unsupported(line, format!("the `ONBUILD` triggers of {base}")));
    }
    Ok(())
}

impl StagePlan {
    fn new(base: Option<String>, mut config: ImageConfig) -> Self {
        if config.env("PATH").is_none() {
            config.set_env("PATH", DEFAULT_PATH);
        }
        Self { base, steps: Vec::new(), config, variables: Variables::new() }
    }

    fn read_environment(&mut self) {
        for entry in self.config.env_entries() {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            self.variables.insert(name.to_owned(), value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
