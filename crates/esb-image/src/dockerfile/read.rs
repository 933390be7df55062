//! Reads stages and instructions from the parser's tree.
//!
//! Owns what the parser leaves to us: pairs of `ENV`, `LABEL` and `ARG`, flags, continued lines,
//! names of stages. Refuses to expand anything but what `FROM` and the `ARG`s before it say.

use std::collections::BTreeMap;

use esb_model::Platform;
use parse_dockerfile::{
    Command as RawCommand, Flag, HealthcheckArguments, Instruction as Raw, JsonOrStringArray,
    Source, UnescapedString,
};

use super::{
    Command, Copy, EMPTY_LIST, From, Healthcheck, Instruction, Line, Problem, Script, Stage,
    values,
    words::{self, Variables, expand},
};

/// The arguments that every engine knows of the platform that is built for.
pub(super) fn platform_arguments(platform: Platform) -> Variables {
    [
        ("TARGETPLATFORM", platform.to_string()),
        ("TARGETOS", "linux".to_owned()),
        ("TARGETARCH", platform.architecture.oci_name().to_owned()),
        ("TARGETVARIANT", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Reads one instruction after the other.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) escape: char,
    pub(super) platform: Platform,
    /// Build arguments.
    pub(super) given: &'a Variables,
    /// Names of the stages so far, lower-case; empty for one without.
    pub(super) names: Vec<String>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    pub(super) fn instruction(
        &mut self,
        raw: &Raw<'_>,
        script: &mut Script,
    ) -> Result<(), Problem> {
        let (start, instruction) = match raw {
            Raw::From(raw) => {
                let line = self.line(raw.from.span.start);
                let from = self.from(line, &raw.image.value, &raw.options, &script.global)?;
                let name = raw.as_.as_ref().map_or("", |(_, name)| &name.value);
                self.names.push(name.to_lowercase());
                script.stages.push(Stage { line, from, instructions: Vec::new() });
                return Ok(());
            }
            Raw::Arg(raw) => {
                let line = self.line(raw.arg.span.start);
                let pairs = self.arguments(line, &raw.arguments.value)?;
                if script.stages.is_empty() {
                    return self.global(line, pairs, &mut script.global);
                }
                (raw.arg.span.start, Instruction::Arg(pairs))
            }
            other => self.in_stage(other)?,
        };
        let number = self.line(start);
        let Some(stage) = script.stages.last_mut() else {
            return Err(Problem::invalid(number, "an instruction stands before `FROM`"));
        };
        stage.instructions.push(Line { number, instruction });
        Ok(())
    }

    /// An instruction that stands in a stage, and the place at which it starts.
    fn in_stage(&self, raw: &Raw<'_>) -> Result<(usize, Instruction), Problem> {
        Ok(match raw {
            Raw::Env(raw) => {
                let line = self.line(raw.env.span.start);
                let pairs = self.pairs(line, "ENV", &raw.arguments.value)?;
                (raw.env.span.start, Instruction::Env(pairs))
            }
            Raw::Label(raw) => {
                let line = self.line(raw.label.span.start);
                let pairs = self.pairs(line, "LABEL", &raw.arguments.value)?;
                (raw.label.span.start, Instruction::Label(pairs))
            }
            Raw::Copy(raw) => {
                (raw.copy.span.start, self.copy(false, &raw.options, &raw.src, &raw.dest))
            }
            Raw::Add(raw) => {
                (raw.add.span.start, self.copy(true, &raw.options, &raw.src, &raw.dest))
            }
            Raw::Workdir(raw) => {
                (raw.workdir.span.start, Instruction::Workdir(raw.arguments.value.to_string()))
            }
            Raw::User(raw) => {
                (raw.user.span.start, Instruction::User(raw.arguments.value.to_string()))
            }
            Raw::Expose(raw) => (
                raw.expose.span.start,
                Instruction::Expose(raw.arguments.iter().map(text_of).collect()),
            ),
            Raw::Entrypoint(raw) => (
                raw.entrypoint.span.start,
                self.command(&raw.arguments)
                    .map_or_else(Instruction::Unsupported, Instruction::Entrypoint),
            ),
            Raw::Cmd(raw) => (
                raw.cmd.span.start,
                self.command(&raw.arguments)
                    .map_or_else(Instruction::Unsupported, Instruction::Cmd),
            ),
            Raw::Stopsignal(raw) => (
                raw.stopsignal.span.start,
                Instruction::StopSignal(raw.arguments.value.to_string()),
            ),
            Raw::Run(raw) => (raw.run.span.start, unsupported("RUN")),
            Raw::Healthcheck(raw) => (
                raw.healthcheck.span.start,
                self.healthcheck(&raw.options, &raw.arguments)
                    .map_or_else(Instruction::Unsupported, Instruction::Healthcheck),
            ),
            Raw::Maintainer(raw) => (raw.maintainer.span.start, unsupported("MAINTAINER")),
            Raw::Onbuild(raw) => (raw.onbuild.span.start, unsupported("ONBUILD")),
            Raw::Shell(raw) => {
                let words: Vec<String> = raw.arguments.iter().map(text_of).collect();
                let is_list = !words.is_empty();
                let shell = if is_list { Instruction::Shell(words) } else { unsupported("SHELL") };
                (raw.shell.span.start, shell)
            }
            Raw::Volume(raw) => {
                let volumes = match &raw.arguments {
                    JsonOrStringArray::Json(list) => &list.value,
                    JsonOrStringArray::String(list) => list,
                };
                let volumes: Vec<String> = volumes.iter().map(text_of).collect();
                let is_list = !volumes.is_empty() && volumes != ["[]"];
                let volume =
                    if is_list { Instruction::Volume(volumes) } else { unsupported("VOLUME") };
                (raw.volume.span.start, volume)
            }
            _ => (0, unsupported("an instruction of a later Dockerfile syntax")),
        })
    }

    fn from(
        &self,
        line: usize,
        image: &str,
        flags: &[Flag<'_>],
        global: &Variables,
    ) -> Result<From, Problem> {
        let expand = |word: &str| {
            expand(word, self.escape, global).map_err(|error| Problem::word(line, error))
        };
        for flag in flags {
            let value = flag.value.as_ref().map_or("", |value| &value.value);
            if flag.name.value != "platform" {
                let name = flag.name.value.escape_debug();
                return Ok(From::Unsupported(format!("the flag `--{name}` of `FROM`")));
            }
            let platform = expand(value)?;
            if platform.parse() != Ok(self.platform) {
                let platform = platform.escape_debug();
                return Ok(From::Unsupported(format!("the platform `{platform}` of `FROM`")));
            }
        }
        let name = expand(image)?;
        if name.is_empty() {
            return Err(Problem::invalid(line, "the name after `FROM` is empty"));
        }
        if let Some(position) = self.names.iter().position(|stage| *stage == name) {
            return Ok(From::Stage(position));
        }
        Ok(if name == "scratch" { From::Scratch } else { From::Image(name) })
    }

    /// `ARG` before the first `FROM`.
    fn global(
        &self,
        line: usize,
        pairs: Vec<(String, Option<String>)>,
        global: &mut Variables,
    ) -> Result<(), Problem> {
        for (name, value) in pairs {
            if let Some(given) = self.given.get(&name) {
                global.insert(name, given.clone());
            } else if let Some(value) = value {
                let value = expand(&value, self.escape, global)
                    .map_err(|error| Problem::word(line, error))?;
                global.insert(name, value);
            }
        }
        Ok(())
    }

    fn arguments(&self, line: usize, text: &str) -> Result<Vec<(String, Option<String>)>, Problem> {
        let words = words::split(text, self.escape);
        let several = words.len() > 1;
        let pair = |word: String| {
            let Some((name, value)) = word.split_once('=') else { return Ok((word, None)) };
            if name.is_empty() {
                return Err(Problem::invalid(line, "an `ARG` has no name"));
            }
            if several && value.contains('$') {
                let reason = "an `ARG` of several values that uses others";
                return Err(Problem::unsupported(line, reason));
            }
            Ok((name.to_owned(), Some(value.to_owned())))
        };
        words.into_iter().map(pair).collect()
    }

    /// `name=value …`, or the old form `name value`.
    fn pairs(
        &self,
        line: usize,
        keyword: &str,
        text: &str,
    ) -> Result<Vec<(String, String)>, Problem> {
        let words = words::split(text, self.escape);
        if words.first().is_some_and(|word| !word.contains('=')) {
            return match text.trim().split_once(char::is_whitespace) {
                Some((name, value)) => Ok(vec![(name.to_owned(), value.trim_start().to_owned())]),
                None => {
                    Err(Problem::invalid(line, format!("`{keyword}` needs a name and a value")))
                }
            };
        }
        let pair = |word: String| match word.split_once('=') {
            Some(("", _)) => Err(Problem::invalid(line, format!("`{keyword}` has an empty name"))),
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => {
                let word = word.escape_debug();
                Err(Problem::invalid(line, format!("`{word}` in `{keyword}` has no `=`")))
            }
        };
        words.into_iter().map(pair).collect()
    }

    fn copy(
        &self,
        add: bool,
        flags: &[Flag<'_>],
        sources: &[Source<'_>],
        destination: &UnescapedString<'_>,
    ) -> Instruction {
        let mut copy = Copy {
            add,
            from: None,
            chown: None,
            chmod: None,
            sources: Vec::new(),
            destination: destination.value.to_string(),
        };
        for flag in flags {
            let (name, value) = (&*flag.name.value, flag.value.as_ref().map(text_of));
            let value = value.filter(|value| !value.contains(['"', '\'', self.escape]));
            match (name, value) {
                ("chown", Some(value)) => copy.chown = Some(value),
                ("chmod", Some(value)) => copy.chmod = Some(value),
                ("from", Some(value)) if !add => {
                    let Some(position) = self.stage(&value) else {
                        let reason = format!("`COPY --from={}`", value.escape_debug());
                        return Instruction::Unsupported(
                            reason + ", which is not an earlier stage",
                        );
                    };
                    copy.from = Some(position);
                }
                _ => {
                    let keyword = if add { "ADD" } else { "COPY" };
                    let name = name.escape_debug();
                    return Instruction::Unsupported(format!("the flag `--{name}` of `{keyword}`"));
                }
            }
        }
        for source in sources {
            match source {
                Source::Path(path) => copy.sources.push(path.value.to_string()),
                _ => return Instruction::Unsupported("a here-document".to_owned()),
            }
        }
        if destination.value.starts_with("<<") {
            return Instruction::Unsupported("a here-document".to_owned());
        }
        Instruction::Copy(copy)
    }

    fn stage(&self, name: &str) -> Option<usize> {
        let earlier = self.names.len().checked_sub(1)?;
        if let Ok(position) = name.parse::<usize>() {
            return (position < earlier).then_some(position);
        }
        let name = name.to_lowercase();
        self.names[..earlier].iter().position(|stage| *stage == name)
    }

    fn healthcheck(
        &self,
        flags: &[Flag<'_>],
        raw: &HealthcheckArguments<'_>,
    ) -> Result<Healthcheck, String> {
        let mut settings = BTreeMap::new();
        for flag in flags {
            let (name, value) = (&*flag.name.value, flag.value.as_ref().map(text_of));
            let value = value.unwrap_or_default();
            let (setting, number) = match name {
                "interval" => ("Interval", values::duration(&value)),
                "timeout" => ("Timeout", values::duration(&value)),
                "start-period" => ("StartPeriod", values::duration(&value)),
                "retries" => ("Retries", values::count(&value)),
                _ => {
                    let name = name.escape_debug();
                    return Err(format!("the flag `--{name}` of `HEALTHCHECK`"));
                }
            };
            let value = value.escape_debug();
            let number = number.ok_or_else(|| format!("`{value}` of `--{name}` in `HEALTHCHECK`"));
            settings.insert(setting, number?);
        }
        let test = match raw {
            HealthcheckArguments::None { .. } if flags.is_empty() => vec!["NONE".to_owned()],
            HealthcheckArguments::Cmd { arguments, .. } => match self.command(arguments)? {
                Command::Exec(words) => ["CMD".to_owned()].into_iter().chain(words).collect(),
                Command::Shell(text) => vec!["CMD-SHELL".to_owned(), text],
            },
            _ => return Err("a `HEALTHCHECK` that is none".to_owned()),
        };
        Ok(Healthcheck { test, settings })
    }

    fn command(&self, raw: &RawCommand<'_>) -> Result<Command, String> {
        match raw {
            RawCommand::Exec(words) => Ok(Command::Exec(words.value.iter().map(text_of).collect())),
            RawCommand::Shell(text) => {
                let text = joined(text.value, self.escape);
                if text == EMPTY_LIST {
                    return Ok(Command::Exec(Vec::new()));
                }
                // Valid JSON that is no list of texts: engines refuse it.
                if serde_json::from_str::<Vec<serde_json::Value>>(&text).is_ok() {
                    return Err("a list that holds something else than texts".to_owned());
                }
                Ok(Command::Shell(text))
            }
            _ => Err("a command of a later Dockerfile syntax".to_owned()),
        }
    }
}

fn text_of(text: &UnescapedString<'_>) -> String {
    text.value.to_string()
}

fn unsupported(what: &str) -> Instruction {
    Instruction::Unsupported(format!("`{what}`"))
}

/// Joins continued lines as Docker's reader does: comments and empty lines between them go.
fn joined(text: &str, escape: char) -> String {
    let mut joined = String::new();
    for (position, line) in text.lines().enumerate() {
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        if position > 0 && blank {
            continue;
        }
        let Some(start) = line.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
            joined.push_str(line);
            break;
        };
        joined.push_str(start);
    }
    joined.trim().to_owned()
}
