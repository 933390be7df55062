//! Reads stages and instructions from the lines of a Dockerfile.
//!
//! Owns the form of each instruction: its flags, pairs, lists and texts, and the names of stages.
//! What `BuildKit` refuses is a problem here, whether the stage is needed or not. Refuses to expand
//! anything but what `FROM` and the `ARG`s before it say.

use std::collections::BTreeMap;

use esb_model::Platform;

use super::{
    Command, Copy, CopyFrom, From, Healthcheck, Instruction, Line, Problem, SCRATCH, Script, Stage,
    syntax::{Heredoc, RawInstruction, Syntax, Word, json_list},
    values,
    words::{self, Variables, expand},
};

/// The arguments that every engine knows of the platform that is built for. The embedded engine
/// runs no process: it counts as running on that platform.
pub(super) fn platform_arguments(platform: Platform, target: Option<&str>) -> Variables {
    let stage = ("TARGETSTAGE".to_owned(), target.unwrap_or("default").to_owned());
    ["TARGET", "BUILD"]
        .into_iter()
        .flat_map(|of| {
            [
                ("PLATFORM", platform.to_string()),
                ("OS", "linux".to_owned()),
                ("OSVERSION", String::new()),
                ("ARCH", platform.architecture.oci_name().to_owned()),
                ("VARIANT", String::new()),
            ]
            .map(|(name, value)| (format!("{of}{name}"), value))
        })
        .chain([stage])
        .collect()
}

/// Reads one instruction after the other.
pub(super) struct Reader<'a> {
    pub(super) escape: char,
    pub(super) platform: Platform,
    /// Build arguments.
    pub(super) given: &'a Variables,
    /// Names of the stages so far, lower-case; empty for one without.
    pub(super) names: Vec<String>,
}

/// The flags of one instruction, by name.
struct Flags<'a> {
    raw: &'a RawInstruction,
    line: usize,
    values: BTreeMap<&'a str, Option<&'a str>>,
}

impl<'a> Flags<'a> {
    /// Takes the flags of an instruction, each of which has to be known.
    fn new(raw: &'a RawInstruction, known: &[&str]) -> Result<Self, Problem> {
        let (line, keyword) = (raw.line, &*raw.keyword);
        let mut values = BTreeMap::new();
        for Word { text, .. } in &raw.flags {
            let text = text.trim_start_matches("--");
            let (name, value) =
                text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let shown = name.escape_debug();
            if !known.contains(&name) {
                let reason = format!("`{keyword}` has no flag `--{shown}`");
                return Err(Problem::invalid(line, reason));
            }
            // The only one that may stand there several times.
            if values.insert(name, value).is_some() && name != "exclude" {
                return Err(Problem::invalid(line, format!("`--{shown}` stands there twice")));
            }
        }
        Ok(Self { raw, line, values })
    }

    fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some((*value).to_owned())),
            Some(None) => Err(Problem::invalid(self.line, format!("`--{name}` needs a value"))),
        }
    }

    /// The values of a flag that may stand there several times.
    fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        self.text(name)?;
        Ok(self.raw.flags(name).map(|word| word.text).collect())
    }

    /// A flag without a value, or with `true` or `false`; none where it is not set.
    fn switch(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.values.get(name) {
            None => Ok(None),
            Some(None) => Ok(Some(true)),
            Some(Some(value)) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Some(value)) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(Some(value)) => {
                let value = value.escape_debug();
                let reason = format!("`--{name}` is `{value}`, and not `true` or `false`");
                Err(Problem::invalid(self.line, reason))
            }
        }
    }
}

impl Reader<'_> {
    pub(super) fn instruction(
        &mut self,
        raw: &RawInstruction,
        script: &mut Script,
    ) -> Result<(), Problem> {
        let number = raw.line;
        if raw.keyword == "FROM" {
            let from = self.from(raw, &script.global)?;
            let name = self.names.last().cloned().unwrap_or_default();
            let mut instructions = Vec::new();
            if let From::Stage(position) = from {
                for line in &script.stages[position].instructions {
                    if let Instruction::OnBuild(trigger) = &line.instruction {
                        instructions.push(self.trigger(trigger, number)?);
                    }
                }
            }
            script.stages.push(Stage { line: number, name, from, instructions });
            return Ok(());
        }
        let instruction = self.in_stage(raw)?;
        let Some(stage) = script.stages.last_mut() else {
            let Instruction::Arg(pairs) = instruction else {
                return Err(Problem::invalid(number, "an instruction stands before `FROM`"));
            };
            return self.global(number, pairs, &mut script.global);
        };
        stage.instructions.push(Line { number, instruction });
        Ok(())
    }

    /// An instruction that a base asks for, as if it stood in the line of `FROM`.
    pub(super) fn trigger(&self, text: &str, line: usize) -> Result<Line, Problem> {
        let at_line = |problem: Problem| match problem {
            Problem::Invalid { reason, .. } => {
                Problem::invalid(line, format!("the trigger `{}`: {reason}", text.escape_debug()))
            }
            problem @ Problem::Unsupported { .. } => problem,
        };
        let syntax = Syntax::read(text).map_err(at_line)?;
        let [raw] = &*syntax.instructions else {
            let reason = format!("the trigger `{}` is no instruction", text.escape_debug());
            return Err(Problem::invalid(line, reason));
        };
        let instruction = match self.in_stage(raw).map_err(at_line)? {
            Instruction::Unsupported(reason) => {
                Instruction::Unsupported(format!("{reason}, a trigger of the base"))
            }
            instruction => instruction,
        };
        Ok(Line { number: line, instruction })
    }

    /// An instruction that stands in a stage.
    fn in_stage(&self, raw: &RawInstruction) -> Result<Instruction, Problem> {
        let line = raw.line;
        match &*raw.keyword {
            // These have flags, or pass over those that they have.
            "COPY" | "ADD" | "HEALTHCHECK" | "RUN" | "STOPSIGNAL" | "ARG" => {}
            _ => drop(Flags::new(raw, &[])?),
        }
        Ok(match &*raw.keyword {
            "ARG" => Instruction::Arg(self.arguments(raw)?),
            "ENV" => Instruction::Env(self.pairs(raw)?),
            "LABEL" => Instruction::Label(self.pairs(raw)?),
            "COPY" | "ADD" => self.copy(raw)?,
            "WORKDIR" => Instruction::Workdir(text(raw)?),
            "USER" => Instruction::User(text(raw)?),
            "MAINTAINER" => Instruction::Maintainer(text(raw)?),
            "STOPSIGNAL" => Instruction::StopSignal(text(raw)?),
            "EXPOSE" => Instruction::Expose(texts(raw.words(), raw)?),
            "VOLUME" => {
                let volumes = texts(raw.list_or_words()?, raw)?;
                let volumes: Vec<_> = volumes.iter().map(|path| path.trim().to_owned()).collect();
                if volumes.iter().any(String::is_empty) {
                    return Err(Problem::invalid(line, "the path of a `VOLUME` is empty"));
                }
                Instruction::Volume(volumes)
            }
            "SHELL" => match raw.list()? {
                Some(words) => Instruction::Shell(texts(words, raw)?),
                None => return Err(Problem::invalid(line, "`SHELL` needs a JSON list")),
            },
            "ENTRYPOINT" => command(&raw.arguments, line)?
                .map_or_else(|| without_command(raw), Instruction::Entrypoint),
            "CMD" => command(&raw.arguments, line)?
                .map_or_else(|| without_command(raw), Instruction::Cmd),
            "HEALTHCHECK" => Instruction::Healthcheck(health_check(raw)?),
            "ONBUILD" => on_build(raw)?,
            "RUN" => Instruction::Unsupported("`RUN`".to_owned()),
            keyword => {
                let keyword = keyword.escape_debug();
                return Err(Problem::invalid(line, format!("`{keyword}` is not an instruction")));
            }
        })
    }

    fn from(&mut self, raw: &RawInstruction, global: &Variables) -> Result<From, Problem> {
        let line = raw.line;
        let flags = Flags::new(raw, &["platform"])?;
        let words = raw.words();
        let words: Vec<&str> = words.iter().map(|word| &*word.text).collect();
        let (image, name) = match &*words {
            [image] => (*image, String::new()),
            [image, keyword, name] if keyword.eq_ignore_ascii_case("as") => {
                (*image, name.to_lowercase())
            }
            _ => return Err(Problem::invalid(line, "`FROM` needs `IMAGE` or `IMAGE AS NAME`")),
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !(name.is_empty() || starts && name.chars().all(is_name)) {
            let reason = format!("a stage cannot have the name `{}`", name.escape_debug());
            return Err(Problem::invalid(line, reason));
        }
        let platform = flags.text("platform")?.filter(|platform| !platform.is_empty());
        let from = self.base(line, image, platform.as_deref(), global);
        self.names.push(name);
        from
    }

    /// What the name after `FROM` means.
    fn base(
        &self,
        line: usize,
        image: &str,
        platform: Option<&str>,
        global: &Variables,
    ) -> Result<From, Problem> {
        let expand = |word: &str| {
            expand(word, self.escape, global).map_err(|error| Problem::word(line, error))
        };
        if let Some(platform) = platform {
            let platform = expand(platform)?;
            if platform.is_empty() {
                return Err(Problem::invalid(line, "the platform of `FROM` is empty"));
            }
            // The system or the processor alone stands for both.
            let full = format!("linux/{platform}");
            let is_same = |text: &str| text.parse() == Ok(self.platform);
            if platform != "linux" && !is_same(&platform) && !is_same(&full) {
                let platform = platform.escape_debug();
                return Ok(From::Unsupported(format!("the platform `{platform}` of `FROM`")));
            }
        }
        let name = expand(image)?;
        if name.is_empty() {
            return Err(Problem::invalid(line, "the name after `FROM` is empty"));
        }
        // Of stages with one name the last one counts.
        if let Some(position) = self.names.iter().rposition(|stage| *stage == name) {
            return Ok(From::Stage(position));
        }
        Ok(if name == SCRATCH { From::Scratch } else { From::Image(name) })
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

    fn arguments(&self, raw: &RawInstruction) -> Result<Vec<(String, Option<String>)>, Problem> {
        let words = words::split(&raw.arguments, self.escape);
        if words.is_empty() {
            return Err(nothing(raw));
        }
        let pair = |word: String| match word.split_once('=') {
            Some(("", _)) => Err(Problem::invalid(raw.line, "an `ARG` has no name")),
            Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
            None => Ok((word, None)),
        };
        words.into_iter().map(pair).collect()
    }

    /// `name=value …`, or the old form `name value`.
    fn pairs(&self, raw: &RawInstruction) -> Result<Vec<(String, String)>, Problem> {
        let (line, keyword) = (raw.line, &raw.keyword);
        let words = words::split(&raw.arguments, self.escape);
        if words.first().is_none_or(|word| !word.contains('=')) {
            return match raw.arguments.split_once(char::is_whitespace) {
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

    fn copy(&self, raw: &RawInstruction) -> Result<Instruction, Problem> {
        let add = raw.keyword == "ADD";
        let both = ["chown", "chmod", "link", "exclude"];
        let own: &[&str] =
            if add { &["keep-git-dir", "checksum", "unpack"] } else { &["from", "parents"] };
        let flags = Flags::new(raw, &[&both, own].concat())?;
        let mut words: Vec<String> =
            raw.list_or_words()?.into_iter().map(|word| word.text).collect();
        let destination = words.pop().filter(|_| !words.is_empty()).ok_or_else(|| {
            let reason = format!("`{}` needs a source and a destination", raw.keyword);
            Problem::invalid(raw.line, reason)
        })?;
        if Heredoc::of(&destination).is_some() {
            let reason = "a here-document cannot be a destination";
            return Err(Problem::invalid(raw.line, reason));
        }
        let link = flags.switch("link")? == Some(true);
        let parents = flags.switch("parents")? == Some(true);
        let unpack = flags.switch("unpack")?.unwrap_or(add);
        flags.switch("keep-git-dir")?;
        let excludes = flags.texts("exclude")?;
        if let Some(source) = words.iter().find(|source| add && values::is_remote(source)) {
            return Ok(Instruction::Unsupported(format!("`ADD` of `{}`", source.escape_debug())));
        }
        // Read as patterns, these are no comment, no root and no exception.
        let mut odd = excludes.iter().filter(|text| text.starts_with(['#', '/']));
        let mut sources = words.iter().filter(|text| parents && text.starts_with(['#', '!']));
        if let Some(odd) = odd.next().or_else(|| sources.next()) {
            let reason = format!("the pattern `{}`", odd.escape_debug());
            return Ok(Instruction::Unsupported(reason));
        }
        let (mut sources, mut documents) = (Vec::new(), Vec::new());
        for word in words {
            let begun = Heredoc::of(&word);
            let found = |begun: &Heredoc| raw.heredocs.iter().rfind(|doc| doc.name == begun.name);
            match begun.as_ref().and_then(found) {
                Some(document) if document.name.contains('/') || document.name == ".." => {
                    let name = document.name.escape_debug();
                    return Ok(Instruction::Unsupported(format!("the here-document `{name}`")));
                }
                Some(document) => documents.push(document.clone()),
                None => sources.push(word),
            }
        }
        let mut from = None;
        if let Some(name) = flags.text("from")?.filter(|name| !name.is_empty()) {
            // Engines of different age expand it or do not.
            if expand(&name, self.escape, &Variables::new()).as_ref() != Ok(&name) {
                let name = name.escape_debug();
                return Ok(Instruction::Unsupported(format!("`--from={name}`, a variable")));
            }
            from = Some(self.copied_from(raw.line, name)?);
        }
        Ok(Instruction::Copy(Copy {
            add,
            from,
            chown: flags.text("chown")?,
            chmod: flags.text("chmod")?,
            checksum: flags.text("checksum")?,
            unpack,
            link,
            parents,
            excludes,
            sources,
            documents,
            destination,
        }))
    }

    /// What `--from` names: an earlier stage by position or name, else an image.
    fn copied_from(&self, line: usize, name: String) -> Result<CopyFrom, Problem> {
        let earlier = self.names.len().saturating_sub(1);
        if let Ok(position) = name.parse::<usize>() {
            if position < earlier {
                return Ok(CopyFrom::Stage(position));
            }
            let reason = format!("`--from={position}` is not an earlier stage");
            return Err(Problem::invalid(line, reason));
        }
        let lower = name.to_lowercase();
        let stage = self.names[..earlier].iter().rposition(|stage| *stage == lower);
        Ok(stage.map_or(CopyFrom::Image(name), CopyFrom::Stage))
    }
}

/// The arguments as one text.
fn text(raw: &RawInstruction) -> Result<String, Problem> {
    if raw.arguments.is_empty() { Err(nothing(raw)) } else { Ok(raw.arguments.clone()) }
}

/// Words as texts, of which there has to be one.
fn texts(words: Vec<Word>, raw: &RawInstruction) -> Result<Vec<String>, Problem> {
    if words.is_empty() {
        return Err(nothing(raw));
    }
    Ok(words.into_iter().map(|word| word.text).collect())
}

fn nothing(raw: &RawInstruction) -> Problem {
    Problem::invalid(raw.line, format!("`{}` has no argument", raw.keyword))
}

/// A command as a list or as a text for the shell; none where nothing is said.
fn command(arguments: &str, line: usize) -> Result<Option<Command>, Problem> {
    if arguments.is_empty() {
        return Ok(None);
    }
    let list = json_list(arguments, line)?;
    Ok(Some(list.map_or_else(|| Command::Shell(arguments.to_owned()), Command::Exec)))
}

fn without_command(raw: &RawInstruction) -> Instruction {
    Instruction::Unsupported(format!("`{}` without a command", raw.keyword))
}

fn health_check(raw: &RawInstruction) -> Result<Healthcheck, Problem> {
    let line = raw.line;
    let invalid = |reason: String| Err(Problem::invalid(line, reason));
    let (kind, rest) =
        raw.arguments.split_once(char::is_whitespace).unwrap_or((&raw.arguments, ""));
    let mut settings = BTreeMap::new();
    if kind.eq_ignore_ascii_case("NONE") {
        if !rest.trim().is_empty() {
            return invalid("`HEALTHCHECK NONE` has arguments".to_owned());
        }
        return Ok(Healthcheck { test: vec!["NONE".to_owned()], settings });
    }
    let times = [
        ("interval", "Interval"),
        ("timeout", "Timeout"),
        ("start-period", "StartPeriod"),
        ("start-interval", "StartInterval"),
    ];
    let known = ["interval", "timeout", "start-period", "start-interval", "retries"];
    let flags = Flags::new(raw, &known)?;
    let wrong = |name: &str, value: &str| {
        let value = value.escape_debug();
        invalid(format!("`{value}` cannot be the value of `--{name}` of `HEALTHCHECK`"))
    };
    for (name, setting) in times {
        let Some(value) = flags.text(name)?.filter(|value| !value.is_empty()) else { continue };
        match values::duration(&value) {
            Some(0) => {}
            Some(time) => drop(settings.insert(setting, time)),
            None => return wrong(name, &value),
        }
    }
    if let Some(value) = flags.text("retries")?.filter(|value| !value.is_empty()) {
        match value.parse::<i32>() {
            Ok(0) => {}
            Ok(count @ 1..) => drop(settings.insert("Retries", count.into())),
            _ => return wrong("retries", &value),
        }
    }
    if !kind.eq_ignore_ascii_case("CMD") {
        let kind = kind.escape_debug();
        return invalid(format!("`HEALTHCHECK` has `{kind}`, and not `CMD` or `NONE`"));
    }
    let test = match command(rest.trim_start(), line)? {
        Some(Command::Exec(words)) if !words.is_empty() => {
            ["CMD".to_owned()].into_iter().chain(words).collect()
        }
        Some(Command::Shell(text)) => vec!["CMD-SHELL".to_owned(), text],
        _ => return invalid("`HEALTHCHECK CMD` has no command".to_owned()),
    };
    Ok(Healthcheck { test, settings })
}

fn on_build(raw: &RawInstruction) -> Result<Instruction, Problem> {
    let trigger = text(raw)?;
    let keyword = trigger.split(char::is_whitespace).next().unwrap_or_default().to_uppercase();
    match &*keyword {
        "ONBUILD" | "MAINTAINER" | "FROM" => {
            Err(Problem::invalid(raw.line, format!("`{keyword}` cannot be a trigger")))
        }
        _ if !raw.heredocs.is_empty() => {
            Ok(Instruction::Unsupported("a here-document of `ONBUILD`".to_owned()))
        }
        _ => Ok(Instruction::OnBuild(trigger)),
    }
}
