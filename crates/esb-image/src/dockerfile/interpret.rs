//! Turns instructions into steps: expands variables and patches the config.
//!
//! Owns what each instruction means for the config and which files it asks for. Refuses to touch
//! a file: what a step does to a file system is decided elsewhere.

mod instructions;

use std::collections::{BTreeMap, BTreeSet};

use esb_model::Platform;
use esb_oci::ImageConfig;

use super::{
    CopyFrom, From, Line, Problem, SCRATCH, Script,
    mode::Mode,
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
    /// Images that are only copied from.
    pub(crate) images: BTreeSet<String>,
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
    /// Whether the base's config is known.
    is_known: bool,
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
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct CopyFiles {
    /// Archives are unpacked.
    pub(crate) unpack: bool,
    /// What is copied from; none for the context.
    pub(crate) from: Option<CopyFrom>,
    pub(crate) sources: Vec<String>,
    /// Here-documents, by name: files that are copied after the sources.
    pub(crate) documents: Vec<(String, String)>,
    /// Patterns of what is left out.
    pub(crate) excludes: Vec<String>,
    /// The folders of the sources are kept.
    pub(crate) parents: bool,
    /// What is copied lies on the stage as a layer of its own: its links are not followed.
    pub(crate) link: bool,
    /// A clean path.
    pub(crate) destination: String,
    /// The destination is a folder, there or not.
    pub(crate) into_folder: bool,
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: Option<Mode>,
}

impl Plan {
    /// Interprets the stages that the image needs. `base` gives the config of an image's name.
    pub(crate) fn new<E>(
        script: &Script,
        platform: Platform,
        mut base: impl FnMut(usize, &str) -> Result<ImageConfig, E>,
    ) -> Result<Self, E>
    where
        E: std::convert::From<Problem>,
    {
        Self::interpret(script, platform, |line, name| base(line, name).map(Some))
    }

    /// Whether the embedded engine can do what a Dockerfile says, before its bases are known: an
    /// instruction passes that it can do for some value of a variable that a base may set.
    pub(crate) fn check(script: &Script, platform: Platform) -> Result<(), Problem> {
        Self::interpret(script, platform, |_, _| Ok::<_, Problem>(None)).map(drop)
    }

    fn interpret<E>(
        script: &Script,
        platform: Platform,
        mut base: impl FnMut(usize, &str) -> Result<Option<ImageConfig>, E>,
    ) -> Result<Self, E>
    where
        E: std::convert::From<Problem>,
    {
        script.check()?;
        check_fixed(script, platform)?;
        let mut stages: BTreeMap<usize, StagePlan> = BTreeMap::new();
        let mut images = BTreeSet::new();
        for position in script.needed() {
            let stage = &script.stages[position];
            // A stage's triggers are among the instructions of those that start from it.
            let mut triggers = Vec::new();
            let mut planned = match &stage.from {
                From::Stage(earlier) => stages[earlier].clone(),
                From::Image(name) => {
                    let found = base(stage.line, name)?;
                    let is_known = found.is_some();
                    let config = found.unwrap_or_else(|| empty(platform));
                    check_architecture(&config, name, platform, stage.line)?;
                    triggers = script.triggers(&config, stage.line)?;
                    StagePlan { is_known, ..StagePlan::new(Some(name.clone()), config) }
                }
                From::Scratch | From::Unsupported(_) => {
                    let mut config = empty(platform);
                    config.set("WorkingDir", "/");
                    StagePlan::new(None, config)
                }
            };
            // Values of `ENV` win over those that an `ARG` of the base stage left.
            planned.read_environment();
            let (mut has_cmd, mut is_guessed) = (false, false);
            planned.config.clear("OnBuild");
            for line in triggers.iter().chain(&stage.instructions) {
                let step = match planned.step(script, line.number, &line.instruction, &mut has_cmd)
                {
                    Ok(step) => step,
                    Err(_) if planned.may_do(script, line) => {
                        is_guessed = true;
                        continue;
                    }
                    // Which of several mistakes is the first one, only the base can tell.
                    Err(Problem::Invalid { .. }) if is_guessed => continue,
                    Err(problem) => return Err(problem.into()),
                };
                if let Some(CopyFrom::Image(name)) = step.copied_from()
                    && name != SCRATCH
                {
                    if let Some(config) = base(step.line, name)? {
                        check_architecture(&config, name, platform, step.line)?;
                    }
                    images.insert(name.clone());
                }
                planned.steps.push(step);
            }
            if position + 1 == script.stages.len() {
                let line = stage.instructions.last().map_or(stage.line, |line| line.number);
                planned.override_with(&script.overrides, line)?;
            }
            stages.insert(position, planned);
        }
        Ok(Self { stages, images })
    }

    /// Whether the content of a stage's base matters: something is copied into it or from it.
    pub(crate) fn needs_index(&self, position: usize) -> bool {
        self.stages[&position].steps.iter().any(|step| step.action != StepAction::Nothing)
            || self.copied_from().any(|from| *from == CopyFrom::Stage(position))
    }

    /// What steps copy from beside the context.
    pub(crate) fn copied_from(&self) -> impl Iterator<Item = &CopyFrom> {
        let steps = self.stages.values().flat_map(|stage| &stage.steps);
        steps.filter_map(Step::copied_from)
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

/// Tells first what only another engine does whatever a base says.
fn check_fixed(script: &Script, platform: Platform) -> Result<(), Problem> {
    let blank = StagePlan::new(None, empty(platform));
    let needed = script.needed();
    let lines = needed.iter().flat_map(|position| &script.stages[*position].instructions);
    for line in lines.filter(|line| line.variables().is_empty()) {
        let step = blank.clone().step(script, line.number, &line.instruction, &mut false);
        if let Err(problem @ Problem::Unsupported { .. }) = step {
            return Err(problem);
        }
    }
    Ok(())
}

/// A config that says nothing.
fn empty(platform: Platform) -> ImageConfig {
    ImageConfig::empty(platform.architecture.oci_name())
}

fn check_architecture(
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
    Ok(())
}

impl Step {
    /// What it copies from, when that is not the context.
    pub(crate) fn copied_from(&self) -> Option<&CopyFrom> {
        match &self.action {
            StepAction::Copy(copy) => copy.from.as_ref(),
            StepAction::Nothing | StepAction::MakeFolder { .. } => None,
        }
    }
}

impl StagePlan {
    fn new(base: Option<String>, mut config: ImageConfig) -> Self {
        if config.env("PATH").is_none() {
            config.set_env("PATH", DEFAULT_PATH);
        }
        let (steps, variables) = (Vec::new(), Variables::new());
        Self { base, steps, config, variables, is_known: true }
    }

    /// Whether it takes a variable of an unknown base for an instruction to be one that can be done.
    fn may_do(&self, script: &Script, line: &Line) -> bool {
        let names = line.variables();
        let with = |value: &str| {
            let mut guessed = self.clone();
            for name in &names {
                guessed.variables.entry(name.clone()).or_insert_with(|| value.to_owned());
            }
            guessed.step(script, line.number, &line.instruction, &mut false).is_ok()
        };
        !self.is_known && !names.is_empty() && (with("x") || with("1"))
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
