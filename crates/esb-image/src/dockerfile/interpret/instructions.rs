//! What each instruction does to a stage: to its config, and which files it asks for.

use std::fmt::Write as _;

use esb_model::ImageOverrides;
use esb_oci::{Glob, IgnoreRules, is_pattern};

use super::{CopyFiles, StagePlan, Step, StepAction};
use crate::{
    dockerfile::{
        Command, Copy, Healthcheck, Instruction, Problem, Script,
        mode::Mode,
        values::{Id, Owner, is_remote, owner, port_range},
        words::{Variables, expand, expand_content, expand_to_words},
    },
    paths,
};

/// Expands the words of one instruction.
struct Expansion<'a> {
    line: usize,
    escape: char,
    /// As they were before the instruction.
    variables: &'a Variables,
}

impl Expansion<'_> {
    fn text(&self, word: &str) -> Result<String, Problem> {
        expand(word, self.escape, self.variables).map_err(|error| Problem::word(self.line, error))
    }

    fn words(&self, word: &str) -> Result<Vec<String>, Problem> {
        expand_to_words(word, self.escape, self.variables)
            .map_err(|error| Problem::word(self.line, error))
    }

    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, Problem> {
        pairs.iter().map(|(name, value)| Ok((self.text(name)?, self.text(value)?))).collect()
    }

    /// A step that leaves the file system as it is.
    fn note(&self, created_by: String) -> Step {
        Step { line: self.line, created_by, action: StepAction::Nothing }
    }
}

impl StagePlan {
    pub(super) fn step(
        &mut self,
        script: &Script,
        line: usize,
        instruction: &Instruction,
        has_cmd: &mut bool,
    ) -> Result<Step, Problem> {
        let variables = self.variables.clone();
        let words = &Expansion { line, escape: script.escape, variables: &variables };
        Ok(match instruction {
            Instruction::Arg(pairs) => self.argument(words, pairs, script)?,
            Instruction::Env(pairs) => {
                let mut created_by = "ENV".to_owned();
                for (name, value) in words.pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.set_env(&name, &value);
                    self.variables.insert(name, value);
                }
                words.note(created_by)
            }
            Instruction::Label(pairs) => {
                let mut created_by = "LABEL".to_owned();
                for (name, value) in words.pairs(pairs)? {
                    write_pair(&mut created_by, &name, Some(&value));
                    self.config.insert("Labels", &name, value);
                }
                words.note(created_by)
            }
            Instruction::Copy(copy) => self.copy(words, copy)?,
            Instruction::Workdir(path) => self.work_folder(words, path)?,
            Instruction::User(user) => {
                let user = words.text(user)?;
                self.config.set("User", user.clone());
                words.note(format!("USER {user}"))
            }
            Instruction::Expose(ports) => self.expose(words, ports)?,
            Instruction::Entrypoint(command) => {
                let shown = self.set_command("Entrypoint", command);
                if !*has_cmd {
                    self.config.clear("Cmd");
                }
                words.note(format!("ENTRYPOINT {shown}"))
            }
            Instruction::Cmd(command) => {
                *has_cmd = true;
                let shown = self.set_command("Cmd", command);
                words.note(format!("CMD {shown}"))
            }
            Instruction::StopSignal(signal) => self.stop_signal(words, signal)?,
            Instruction::Volume(volumes) => self.volumes(words, volumes)?,
            Instruction::Shell(shell) => {
                self.config.set("Shell", shell.clone());
                words.note(format!("SHELL [{}]", shell.join(" ")))
            }
            Instruction::Healthcheck(check) => self.health_check(words, check),
            Instruction::Maintainer(author) => {
                self.config.set_author(author);
                words.note(format!("MAINTAINER {author}"))
            }
            Instruction::OnBuild(trigger) => {
                let triggers = self.config.list("OnBuild").unwrap_or_default();
                let triggers = triggers.into_iter().chain([&**trigger]).map(str::to_owned);
                self.config.set("OnBuild", triggers.collect::<Vec<_>>());
                words.note(format!("ONBUILD {trigger}"))
            }
            Instruction::Unsupported(reason) => return Err(Problem::unsupported(line, reason)),
        })
    }

    fn argument(
        &mut self,
        words: &Expansion<'_>,
        pairs: &[(String, Option<String>)],
        script: &Script,
    ) -> Result<Step, Problem> {
        let mut created_by = "ARG".to_owned();
        for (name, default) in pairs {
            if let Some(given) = script.given.get(name) {
                // It may be a secret, and everybody who has the image reads its history.
                write_pair(&mut created_by, name, None);
                self.variables.insert(name.clone(), given.clone());
                continue;
            }
            let value = match default {
                // It may use what stands before it.
                Some(value) => {
                    let words = Expansion { variables: &self.variables, ..*words };
                    Some(words.text(value)?)
                }
                None => script.global.get(name).cloned(),
            };
            write_pair(&mut created_by, name, value.as_deref());
            if let Some(value) = value {
                self.variables.insert(name.clone(), value);
            }
        }
        Ok(words.note(created_by))
    }

    fn work_folder(&mut self, words: &Expansion<'_>, path: &str) -> Result<Step, Problem> {
        let mut written = words.text(path)?;
        if written.is_empty() {
            self.config.text("WorkingDir").clone_into(&mut written);
        }
        self.enter(words.line, written)
    }

    /// Makes a folder the one in which programs start.
    fn enter(&mut self, line: usize, written: String) -> Result<Step, Problem> {
        let path = paths::clean(&self.absolute(&written));
        // An absolute path stays as it is written.
        let absolute = if written.starts_with('/') { written } else { format!("/{path}") };
        self.config.set("WorkingDir", absolute.clone());
        let owner = self.user(line)?;
        let created_by = format!("WORKDIR {absolute}");
        Ok(Step { line, created_by, action: StepAction::MakeFolder { path, owner } })
    }

    fn expose(&mut self, words: &Expansion<'_>, ports: &[String]) -> Result<Step, Problem> {
        let mut created_by = "EXPOSE".to_owned();
        for port in ports {
            for word in words.words(port)? {
                let ports = port_range(&word).ok_or_else(|| {
                    Problem::invalid(words.line, format!("`{}` is not a port", word.escape_debug()))
                })?;
                for port in ports {
                    self.config.insert("ExposedPorts", &port, serde_json::Map::new());
                }
                write!(created_by, " {word}").expect("writing to a string cannot fail");
            }
        }
        Ok(words.note(created_by))
    }

    fn stop_signal(&mut self, words: &Expansion<'_>, signal: &str) -> Result<Step, Problem> {
        let signal = words.text(signal)?;
        self.config.set("StopSignal", signal.clone());
        Ok(words.note(format!("STOPSIGNAL {signal}")))
    }

    fn volumes(&mut self, words: &Expansion<'_>, volumes: &[String]) -> Result<Step, Problem> {
        for volume in volumes {
            let path = words.text(volume)?;
            if path.trim().is_empty() {
                let reason = "a `VOLUME` whose path is empty";
                return Err(Problem::unsupported(words.line, reason));
            }
            self.config.insert("Volumes", &path, serde_json::Map::new());
        }
        Ok(words.note(format!("VOLUME [{}]", volumes.join(" "))))
    }

    fn health_check(&mut self, words: &Expansion<'_>, check: &Healthcheck) -> Step {
        let mut value = serde_json::json!({ "Test": check.test });
        for (name, number) in &check.settings {
            value[name] = (*number).into();
        }
        self.config.set("Healthcheck", value);
        words.note(format!("HEALTHCHECK {}", serde_json::Value::from(check.test.clone())))
    }

    fn copy(&self, words: &Expansion<'_>, copy: &Copy) -> Result<Step, Problem> {
        let line = words.line;
        let mut created_by = if copy.add { "ADD" } else { "COPY" }.to_owned();
        let mut say = |text: &str| created_by.extend([" ", text]);
        let flag = |value: &Option<String>| {
            let value = value.as_deref().map(|value| words.text(value)).transpose()?;
            Ok::<_, Problem>(value.filter(|value| !value.is_empty()))
        };
        if copy.parents {
            say("--parents");
        }
        let chown = flag(&copy.chown)?;
        if let Some(chown) = &chown {
            say(&format!("--chown={chown}"));
        }
        let owner = chown.as_deref().map(|chown| owner_of(chown, line)).transpose()?;
        if copy.link && chown.as_deref().is_some_and(names_owner) {
            let reason = "`--link` takes owners as numbers: there are no accounts in its layer";
            return Err(Problem::invalid(line, reason));
        }
        let chmod = flag(&copy.chmod)?;
        if let Some(chmod) = &chmod {
            say(&format!("--chmod={chmod}"));
        }
        let mode = chmod.as_deref().map(|chmod| mode_of(chmod, line)).transpose()?;
        let mut sources = Vec::new();
        for source in &copy.sources {
            let source = words.text(source)?;
            say(&source);
            sources.push(source);
        }
        check_sources(copy, &sources, flag(&copy.checksum)?.is_some(), line)?;
        let mut documents = Vec::new();
        for document in &copy.documents {
            let mut text = document.text();
            if document.expands {
                text = expand_content(&text, words.variables)
                    .map_err(|error| Problem::word(line, error))?;
            }
            say(&format!("<<{}", document.name));
            documents.push((document.name.clone(), text));
        }
        let destination = words.text(&copy.destination)?;
        say(&destination);
        let into_folder = matches!(&*destination, "" | ".")
            || destination.ends_with('/')
            || destination.ends_with("/.");
        let action = StepAction::Copy(CopyFiles {
            unpack: copy.unpack,
            from: copy.from.clone(),
            sources,
            documents,
            excludes: copy.excludes.clone(),
            parents: copy.parents,
            // Modes are set in the stage itself.
            link: copy.link && mode.is_none(),
            destination: paths::clean(&self.absolute(&destination)),
            into_folder,
            owner,
            mode,
        });
        Ok(Step { line, created_by, action })
    }

    /// The owner of folders that `WORKDIR` makes.
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

    /// Does what a template's `ImageConfig` says, as the instructions that a daemon gets for it do.
    pub(super) fn override_with(
        &mut self,
        overrides: &ImageOverrides,
        line: usize,
    ) -> Result<(), Problem> {
        let note = |created_by| Step { line, created_by, action: StepAction::Nothing };
        if let Some(folder) = &overrides.working_directory {
            let step = self.enter(line, folder.clone())?;
            self.steps.push(step);
        }
        let commands = [
            ("ENTRYPOINT", "Entrypoint", &overrides.entry_point),
            ("CMD", "Cmd", &overrides.command),
        ];
        for (keyword, setting, words) in commands {
            let Some(words) = words else { continue };
            let shown = self.set_command(setting, &Command::Exec(words.clone()));
            self.steps.push(note(format!("{keyword} {shown}")));
        }
        Ok(())
    }

    /// Sets a command and gives it as the history shows it.
    fn set_command(&mut self, setting: &str, command: &Command) -> String {
        let words = command.words(self.config.list("Shell"));
        let shown = serde_json::Value::from(words.clone()).to_string();
        if words.is_empty() {
            self.config.clear(setting);
        } else {
            self.config.set(setting, words);
        }
        shown
    }
}

/// Whether a source is a path, or a pattern that can be read.
fn is_readable(source: &str) -> bool {
    let source = paths::clean(source);
    let parts = source.split('/').skip_while(|part| !is_pattern(part));
    parts.filter(|part| !part.is_empty()).all(|part| Glob::new(part).is_some())
}

/// What lies elsewhere is for another engine, and only that has a checksum; patterns have to be
/// well-formed.
fn check_sources(
    copy: &Copy,
    sources: &[String],
    has_checksum: bool,
    line: usize,
) -> Result<(), Problem> {
    if has_checksum && sources.len() != 1 {
        return Err(Problem::invalid(line, "`--checksum` is for one source"));
    }
    for source in sources {
        if copy.add && is_remote(source) {
            let source = source.escape_debug();
            return Err(Problem::unsupported(line, format!("`ADD` of `{source}`")));
        }
        if has_checksum {
            return Err(Problem::invalid(line, "`--checksum` is not for files of the context"));
        }
        if !is_readable(source) {
            let source = source.escape_debug();
            let reason = format!("the pattern `{source}`, which is malformed");
            return Err(Problem::unsupported(line, reason));
        }
    }
    let patterns = sources.iter().filter(|_| copy.parents).chain(&copy.excludes);
    IgnoreRules::new(patterns.map(String::as_str))
        .map(drop)
        .map_err(|reason| Problem::invalid(line, reason))
}

fn mode_of(text: &str, line: usize) -> Result<Mode, Problem> {
    Mode::new(text)
        .ok_or_else(|| Problem::invalid(line, format!("`{}` is not a mode", text.escape_debug())))
}

/// Whether a user or a group is named, and not numbered; `root` has the same number everywhere.
fn names_owner(text: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "root") && part.parse::<i64>().is_err();
    text.split(':').any(is_name)
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
