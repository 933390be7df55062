//! From instructions to steps: variables are expanded, the config is patched.
//!
//! Owns what each instruction means for the config and which files it asks for. Refuses to touch
//! a file: what a step does to a file system is decided elsewhere.

use std::{collections::BTreeMap, fmt::Write as _};

use esb_model::Platform;
use esb_oci::ImageConfig;

use super::{
    Command, Copy, From, Instruction, Problem, Script,
    values::{Id, Owner, is_remote, is_signal, numeric_mode, owner, port_range},
    words::{Variables, expand, expand_to_words},
};
use crate::paths;

/// What Docker sets where a base has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// All that has to be done for an image.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The stages that the image needs, by position in the Dockerfile.
    pub(crate) stages: BTreeMap<usize, StagePlan>,
}

/// What one stage does. A stage that starts from another holds that one's steps too.
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

/// What a step does to the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StepAction {
    Nothing,
    Copy(CopyFiles),
    /// `WORKDIR`: a clean path, and whom the folders that are missing belong to.
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
                From::Stage(earlier) => stages[earlier].clone(),
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

    /// Whether what lies in a stage's base counts: something lands there, or is copied from there.
    pub(crate) fn needs_index(&self, position: usize) -> bool {
        let steps = self.stages.values().flat_map(|stage| &stage.steps);
        let copied_from = |step: &Step| match &step.action {
            StepAction::Copy(copy) => copy.from == Some(position),
            StepAction::Nothing | StepAction::MakeFolder { .. } => false,
        };
        self.stages[&position].steps.iter().any(|step| step.action != StepAction::Nothing)
            || steps.into_iter().any(copied_from)
    }

    /// Whether a stage gives files to somebody by a name that only its base's accounts resolve.
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
    if config.list("OnBuild").is_some_and(|triggers| !triggers.is_empty()) {
        let reason = format!("the `ONBUILD` triggers of `{}`", name.escape_debug());
        return Err(Problem::unsupported(line, reason));
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

    fn step(
        &mut self,
        script: &Script,
        line: usize,
        instruction: &Instruction,
        has_cmd: &mut bool,
    ) -> Result<Step, Problem> {
        let escape = script.escape;
        let variables = self.variables.clone();
        let expand = |word: &str| {
            expand(word, escape, &variables).map_err(|error| Problem::word(line, error))
        };
        let expand_pair = |(name, value): &(String, String)| Ok((expand(name)?, expand(value)?));
        let expand_pairs = |pairs: &[(String, String)]| {
            pairs.iter().map(expand_pair).collect::<Result<Vec<_>, Problem>>()
        };
        let note = |created_by| Step { line, created_by, action: StepAction::Nothing };
        Ok(match instruction {
            Instruction::Arg(pairs) => {
                let mut created_by = "ARG".to_owned();
                for (name, value) in pairs {
                    let name = expand(name)?;
                    let value = match value {
                        Some(value) => Some(expand(value)?),
                        None => script.global.get(&name).cloned(),
                    };
                    write_pair(&mut created_by, &name, value.as_deref());
                    if let Some(value) = value {
                        self.variables.insert(name, value);
                    }
                }
                note(created_by)
            }
            Instruction::Env(pairs) => {
                let mut created_by = "ENV".to_owned();
                for (name, value) in expand_pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.set_env(&name, &value);
                    self.variables.insert(name, value);
                }
                note(created_by)
            }
            Instruction::Label(pairs) => {
                let mut created_by = "LABEL".to_owned();
                for (name, value) in expand_pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.insert("Labels", &name, value);
                }
                note(created_by)
            }
            Instruction::Copy(copy) => self.copy(line, copy, expand)?,
            Instruction::Workdir(path) => {
                let path = expand(path)?;
                if path.is_empty() {
                    return Err(Problem::unsupported(line, "a `WORKDIR` whose path is empty"));
                }
                let clean = paths::clean(&path);
                if path.strip_prefix('/').is_some_and(|path| path != clean) {
                    let path = path.escape_debug();
                    let reason = format!("`WORKDIR {path}`, which engines write differently");
                    return Err(Problem::unsupported(line, reason));
                }
                let path = paths::clean(&self.absolute(&path));
                let absolute = format!("/{path}");
                self.config.set("WorkingDir", absolute.clone());
                let owner = self.user(line)?;
                let created_by = format!("WORKDIR {absolute}");
                Step { line, created_by, action: StepAction::MakeFolder { path, owner } }
            }
            Instruction::User(user) => {
                let user = expand(user)?;
                self.config.set("User", user.clone());
                note(format!("USER {user}"))
            }
            Instruction::Expose(ports) => {
                let mut created_by = "EXPOSE".to_owned();
                for port in ports {
                    let words = expand_to_words(port, escape, &variables)
                        .map_err(|error| Problem::word(line, error))?;
                    for word in words {
                        let ports = port_range(&word).ok_or_else(|| {
                            let word = word.escape_debug();
                            Problem::invalid(line, format!("`{word}` is no port"))
                        })?;
                        for port in ports {
                            self.config.insert("ExposedPorts", &port, serde_json::Map::new());
                        }
                        write!(created_by, " {word}").expect("writing to a string cannot fail");
                    }
                }
                note(created_by)
            }
            Instruction::Entrypoint(command) => {
                let words = self.set_command("Entrypoint", command);
                if !*has_cmd {
                    self.config.clear("Cmd");
                }
                note(format!("ENTRYPOINT {words}"))
            }
            Instruction::Cmd(command) => {
                *has_cmd = true;
                let words = self.set_command("Cmd", command);
                note(format!("CMD {words}"))
            }
            Instruction::StopSignal(signal) => {
                let signal = expand(signal)?;
                if !is_signal(&signal) {
                    let signal = signal.escape_debug();
                    return Err(Problem::invalid(line, format!("`{signal}` is no signal")));
                }
                self.config.set("StopSignal", signal.clone());
                note(format!("STOPSIGNAL {signal}"))
            }
            Instruction::Volume(volumes) => {
                for volume in volumes {
                    let path = expand(volume)?;
                    if path.trim().is_empty() {
                        return Err(Problem::unsupported(line, "a `VOLUME` whose path is empty"));
                    }
                    self.config.insert("Volumes", &path, serde_json::Map::new());
                }
                note(format!("VOLUME [{}]", volumes.join(" ")))
            }
            Instruction::Shell(words) => {
                self.config.set("Shell", words.clone());
                note(format!("SHELL [{}]", words.join(" ")))
            }
            Instruction::Healthcheck(check) => {
                let mut value = serde_json::json!({ "Test": check.test });
                for (name, number) in &check.settings {
                    value[name] = (*number).into();
                }
                self.config.set("Healthcheck", value);
                note(format!("HEALTHCHECK {}", serde_json::Value::from(check.test.clone())))
            }
            Instruction::Unsupported(reason) => return Err(Problem::unsupported(line, reason)),
        })
    }

    fn copy(
        &self,
        line: usize,
        copy: &Copy,
        expand: impl Fn(&str) -> Result<String, Problem>,
    ) -> Result<Step, Problem> {
        let mut created_by = if copy.add { "ADD" } else { "COPY" }.to_owned();
        let mut flag = |name: &str, value: &Option<String>| {
            let Some(value) = value.as_deref().map(&expand).transpose()? else { return Ok(None) };
            write!(created_by, " --{name}={value}").expect("writing to a string cannot fail");
            Ok(Some(value))
        };
        let owner = match flag("chown", &copy.chown)?.filter(|chown| !chown.is_empty()) {
            Some(chown) => Some(owner_of(&chown, line)?),
            None => None,
        };
        let mode = match flag("chmod", &copy.chmod)?.filter(|chmod| !chmod.is_empty()) {
            Some(chmod) => Some(numeric_mode(&chmod).ok_or_else(|| {
                let chmod = chmod.escape_debug();
                Problem::unsupported(line, format!("the mode `{chmod}`, which is not 0 to 777"))
            })?),
            None => None,
        };
        let sources: Vec<_> =
            copy.sources.iter().map(|source| expand(source)).collect::<Result<_, _>>()?;
        for source in &sources {
            if copy.add && is_remote(source) {
                let source = source.escape_debug();
                return Err(Problem::unsupported(line, format!("`ADD` of `{source}`")));
            }
            if source.is_empty() {
                return Err(Problem::invalid(line, "a source is empty"));
            }
            write!(created_by, " {source}").expect("writing to a string cannot fail");
        }
        let destination = expand(&copy.destination)?;
        write!(created_by, " {destination}").expect("writing to a string cannot fail");
        let into_folder = matches!(&*destination, "" | ".")
            || destination.ends_with('/')
            || destination.ends_with("/.");
        let action = StepAction::Copy(CopyFiles {
            unpack: copy.add,
            from: copy.from,
            sources,
            destination: paths::clean(&self.absolute(&destination)),
            into_folder,
            owner,
            mode,
        });
        Ok(Step { line, created_by, action })
    }

    /// Who the folders of `WORKDIR` belong to.
    fn user(&self, line: usize) -> Result<Owner, Problem> {
        match self.config.text("User") {
            "" => Ok(Owner { user: Id::Number(0), group: None }),
            user => owner_of(user, line),
        }
    }

    fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{}/{path}", self.config.text("WorkingDir"))
        }
    }

    /// Sets a command and gives it as the history shows it.
    fn set_command(&mut self, setting: &str, command: &Command) -> String {
        let words = match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => {
                let shell = self.config.list("Shell").unwrap_or_else(|| vec!["/bin/sh", "-c"]);
                let mut words: Vec<String> = shell.into_iter().map(str::to_owned).collect();
                words.push(text.clone());
                words
            }
        };
        let shown = serde_json::Value::from(words.clone()).to_string();
        if words.is_empty() {
            self.config.clear(setting);
        } else {
            self.config.set(setting, words);
        }
        shown
    }
}

fn owner_of(text: &str, line: usize) -> Result<Owner, Problem> {
    owner(text).ok_or_else(|| {
        let text = text.escape_debug();
        Problem::unsupported(line, format!("the owner `{text}`, which is neither number nor name"))
    })
}

fn write_pair(into: &mut String, name: &str, value: Option<&str>) {
    into.push(' ');
    into.push_str(name);
    if let Some(value) = value {
        into.push('=');
        into.push_str(value);
    }
}

#[cfg(test)]
mod tests;
