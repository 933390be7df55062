//! The subset of the Dockerfile language that runs no process.
//!
//! Owns reading a Dockerfile into stages and instructions whose words are not expanded yet. What
//! only another engine can do is kept as [`Instruction::Unsupported`], because it matters only in
//! stages that the image needs. Refuses to touch a file.

#[cfg(any(feature = "docker", feature = "buildkit"))]
pub(crate) mod image_config;
pub(crate) mod interpret;
pub(crate) mod mode;
mod pattern;
mod read;
#[cfg(any(feature = "docker", feature = "buildkit"))]
pub(crate) mod rewrite;
#[cfg(any(feature = "docker", feature = "buildkit"))]
pub(crate) mod step_lines;
pub(crate) mod syntax;
pub(crate) mod values;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};

use esb_model::{ImageOverrides, ImageRecipe, OwnDockerfile, Platform};
use esb_oci::ImageConfig;

use self::{
    read::{Reader, platform_arguments},
    syntax::{Heredoc, Syntax},
    words::{Variables, WordError},
};
use crate::Error;

/// The base that holds nothing.
const SCRATCH: &str = "scratch";

/// The largest Dockerfile that is read, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A Dockerfile that cannot be built here, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    Invalid {
        line: usize,
        reason: String,
    },
    /// Another engine can do it.
    Unsupported {
        line: usize,
        reason: String,
    },
}

/// A problem of the Dockerfile, or one that already is an error of this crate.
#[derive(Debug)]
pub(crate) enum Fault {
    Problem(Problem),
    Error(Box<Error>),
}

impl std::convert::From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl std::convert::From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(Box::new(error))
    }
}

impl Problem {
    fn invalid(line: usize, reason: impl Into<String>) -> Self {
        Self::Invalid { line, reason: reason.into() }
    }

    fn unsupported(line: usize, reason: impl Into<String>) -> Self {
        Self::Unsupported { line, reason: reason.into() }
    }

    fn word(line: usize, error: WordError) -> Self {
        match error {
            WordError::Invalid(reason) => Self::Invalid { line, reason },
            WordError::Unsupported(reason) => Self::Unsupported { line, reason },
        }
    }
}

/// A Dockerfile that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    /// What starts an escape, and continues a line.
    pub(crate) escape: char,
    platform: Platform,
    /// Values of the `ARG`s before the first `FROM`, and of the platform.
    pub(crate) global: Variables,
    /// Build arguments, which replace the defaults of `ARG`s.
    pub(crate) given: Variables,
    /// The last one is built.
    pub(crate) stages: Vec<Stage>,
    /// What is replaced in the config that the last stage ends with.
    pub(crate) overrides: ImageOverrides,
    /// A directive at the top that only another engine follows: its line, and the reason.
    unsupported: Option<(usize, String)>,
}

/// One `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) line: usize,
    /// In lower case; empty for one without.
    pub(crate) name: String,
    pub(crate) from: From,
    pub(crate) instructions: Vec<Line>,
}

/// The base of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    Scratch,
    /// An earlier stage, by position.
    Stage(usize),
    Image(String),
    Unsupported(String),
}

/// An instruction and the line on which it starts, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) instruction: Instruction,
}

/// An instruction; texts are as written, before expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instruction {
    Arg(Vec<(String, Option<String>)>),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Copy(Copy),
    Workdir(String),
    User(String),
    Expose(Vec<String>),
    Entrypoint(Command),
    Cmd(Command),
    StopSignal(String),
    Volume(Vec<String>),
    Shell(Vec<String>),
    Healthcheck(Healthcheck),
    Maintainer(String),
    /// An instruction for builds on the image.
    OnBuild(String),
    Unsupported(String),
}

/// `HEALTHCHECK`, as the config has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Healthcheck {
    /// `CMD`, `CMD-SHELL` or `NONE`, and what follows it.
    pub(crate) test: Vec<String>,
    /// Nanoseconds, and a count, by the names of the config.
    pub(crate) settings: BTreeMap<&'static str, i64>,
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Copy {
    /// `ADD`, and not `COPY`.
    pub(crate) add: bool,
    /// Whose files are copied; none for the context.
    pub(crate) from: Option<CopyFrom>,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<String>,
    /// Of what is read from elsewhere.
    pub(crate) checksum: Option<String>,
    /// Archives are unpacked.
    pub(crate) unpack: bool,
    /// What is copied lies on the stage as a layer of its own.
    pub(crate) link: bool,
    /// The folders of the sources are kept.
    pub(crate) parents: bool,
    /// Patterns of what is left out, which nothing expands.
    pub(crate) excludes: Vec<String>,
    pub(crate) sources: Vec<String>,
    /// Here-documents, which are copied after the sources.
    pub(crate) documents: Vec<Heredoc>,
    pub(crate) destination: String,
}

/// What `COPY --from` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CopyFrom {
    /// An earlier stage, by position.
    Stage(usize),
    Image(String),
}

impl CopyFrom {
    pub(crate) fn stage(&self) -> Option<usize> {
        if let Self::Stage(position) = self { Some(*position) } else { None }
    }
}

/// The arguments of `CMD` and `ENTRYPOINT`, which nothing expands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Exec(Vec<String>),
    Shell(String),
}

impl Line {
    /// The names of the variables that its texts may have.
    pub(crate) fn variables(&self) -> BTreeSet<String> {
        // All texts of an instruction are in it, whichever it is.
        let text = format!("{:?}", self.instruction);
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let name = |rest: &str| rest.trim_start_matches('{').chars().take_while(is_name).collect();
        text.split('$').skip(1).map(name).collect()
    }
}

impl Command {
    /// The words that are run; those of a text are the shell's, `/bin/sh -c` without one.
    pub(crate) fn words(&self, shell: Option<Vec<&str>>) -> Vec<String> {
        match self {
            Self::Exec(words) => words.clone(),
            Self::Shell(text) => {
                let shell = shell.unwrap_or_else(|| vec!["/bin/sh", "-c"]);
                shell.into_iter().chain([&**text]).map(str::to_owned).collect()
            }
        }
    }
}

impl Script {
    /// Reads the Dockerfile of a recipe, as far as the stage that is built.
    pub(crate) fn for_recipe(recipe: &ImageRecipe) -> Result<Self, Problem> {
        if recipe.dockerfile.len() > MAX_BYTES {
            return Err(Problem::invalid(1, "the file is too large"));
        }
        Self::of(&Syntax::read(&recipe.dockerfile)?, recipe.platform, recipe.own.as_ref())
    }

    /// Reads a Dockerfile's text.
    #[cfg(test)]
    pub(crate) fn parse(text: &str, platform: Platform) -> Result<Self, Problem> {
        Self::of(&Syntax::read(text)?, platform, None)
    }

    /// The same of what was cut into lines already, with build arguments and a target.
    fn of(
        syntax: &Syntax,
        platform: Platform,
        own: Option<&OwnDockerfile>,
    ) -> Result<Self, Problem> {
        let escape = syntax.escape;
        let given = own.map(arguments).unwrap_or_default();
        let target = own.and_then(|own| own.target.as_deref());
        let mut reader = Reader { escape, platform, given: &given, names: Vec::new() };
        let check = syntax.directives.iter().find(|directive| directive.name == "check");
        let check = check.filter(|check| fails_on_style(&check.value));
        let unsupported = check.map(|check| (check.line, "`# check=error=true`".to_owned()));
        let mut global = platform_arguments(platform, target);
        for (name, value) in &mut global {
            if let Some(given) = given.get(name) {
                value.clone_from(given);
            }
        }
        let stages = Vec::new();
        let overrides = own.map(|own| own.overrides.clone()).unwrap_or_default();
        let given = given.clone();
        let mut script = Self { escape, platform, global, given, stages, overrides, unsupported };
        for raw in &syntax.instructions {
            reader.instruction(raw, &mut script)?;
        }
        if script.stages.is_empty() {
            return Err(Problem::invalid(1, "it has no `FROM`"));
        }
        if let Some(target) = target {
            script.select(target)?;
        }
        Ok(script)
    }

    /// Makes a stage the last one: by its name in any case, else by its number.
    fn select(&mut self, target: &str) -> Result<(), Problem> {
        let name = target.to_lowercase();
        let by_name = self.stages.iter().rposition(|stage| stage.name == name);
        let number = || target.parse().ok().filter(|number| *number < self.stages.len());
        let Some(position) = by_name.or_else(number) else {
            let target = target.escape_debug();
            return Err(Problem::invalid(1, format!("it has no stage `{target}`")));
        };
        self.stages.truncate(position + 1);
        Ok(())
    }

    /// The positions of the stages that the last one needs, itself included, in order.
    pub(crate) fn needed(&self) -> BTreeSet<usize> {
        needed_stages(self.stages.len() - 1, |position| {
            let Stage { from, instructions, .. } = &self.stages[position];
            let base = if let From::Stage(base) = from { Some(*base) } else { None };
            base.into_iter().chain(instructions.iter().filter_map(|line| match &line.instruction {
                Instruction::Copy(copy) => copy.from.as_ref().and_then(CopyFrom::stage),
                _ => None,
            }))
        })
    }

    /// The instructions that a base image asks for, as if they stood in a line.
    fn triggers(&self, base: &ImageConfig, line: usize) -> Result<Vec<Line>, Problem> {
        let triggers = base.list("OnBuild").unwrap_or_default();
        let given = Variables::new();
        let (escape, platform) = (self.escape, self.platform);
        let reader = Reader { escape, platform, given: &given, names: Vec::new() };
        let lines = triggers.into_iter().map(|trigger| {
            let found = reader.trigger(trigger, line)?;
            match &found.instruction {
                Instruction::Unsupported(reason) => Err(Problem::unsupported(line, reason)),
                Instruction::Copy(Copy { from: Some(_), .. }) => {
                    let reason = "`COPY --from`, a trigger of the base";
                    Err(Problem::unsupported(line, reason))
                }
                _ => Ok(found),
            }
        });
        lines.collect()
    }

    /// Whether the embedded engine knows every instruction that the image needs.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if let Some((line, reason)) = &self.unsupported {
            return Err(Problem::unsupported(*line, reason));
        }
        for position in self.needed() {
            let stage = &self.stages[position];
            if let From::Unsupported(reason) = &stage.from {
                return Err(Problem::unsupported(stage.line, reason));
            }
            for line in &stage.instructions {
                if let Instruction::Unsupported(reason) = &line.instruction {
                    return Err(Problem::unsupported(line.number, reason));
                }
            }
        }
        Ok(())
    }
}

/// Build arguments as the readers of Dockerfiles take them.
pub(crate) fn arguments(own: &OwnDockerfile) -> BTreeMap<String, String> {
    own.args.iter().map(|(name, value)| (name.clone(), value.reveal().clone())).collect()
}

/// Whether `# check=` makes faults of style errors: engines that look for them may refuse the file.
fn fails_on_style(check: &str) -> bool {
    let mut parts = check.split(';').filter_map(|part| part.split_once('='));
    let says = |(name, value): (&str, &str), wanted: (&str, &str)| {
        name.trim().eq_ignore_ascii_case(wanted.0)
            && value.split(',').any(|value| value.trim().eq_ignore_ascii_case(wanted.1))
    };
    parts.clone().any(|part| says(part, ("error", "true")))
        && !parts.any(|part| says(part, ("skip", "all")))
}

/// The stages that one stage needs, directly or through others, itself included. `needs` gives
/// those that a stage starts from or copies from.
pub(crate) fn needed_stages<I: IntoIterator<Item = usize>>(
    stage: usize,
    needs: impl Fn(usize) -> I,
) -> BTreeSet<usize> {
    let (mut needed, mut open) = (BTreeSet::new(), vec![stage]);
    while let Some(stage) = open.pop() {
        if needed.insert(stage) {
            open.extend(needs(stage));
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Script, Problem> {
        Script::parse(text, Platform::default())
    }

    fn only(text: &str) -> Instruction {
        let script = parse(&format!("FROM scratch\n{text}\n")).unwrap();
        script.stages[0].instructions[0].instruction.clone()
    }

    #[test]
    fn instructions() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            only("ENV a=1 b=\"x y\""),
            Instruction::Env(vec![pair("a", "1"), pair("b", "\"x y\"")])
        );
        assert_eq!(only("ENV a  b c=d "), Instruction::Env(vec![pair("a", "b c=d")]));
        assert_eq!(
            only("ARG a b=c"),
            Instruction::Arg(vec![("a".into(), None), ("b".into(), Some("c".into()))])
        );
        assert_eq!(
            only("CMD echo  hi \\\n# c\n\n there $x  "),
            Instruction::Cmd(Command::Shell("echo  hi  there $x".into()))
        );
        assert_eq!(
            only(r#"ENTRYPOINT [ "a", "\u00e4 $x" ]"#),
            Instruction::Entrypoint(Command::Exec(vec!["a".into(), "ä $x".into()]))
        );
        assert_eq!(only("CMD []"), Instruction::Cmd(Command::Exec(Vec::new())));
        for text in ["ENTRYPOINT []", "  entrypoint  [ \t ] "] {
            assert_eq!(only(text), Instruction::Entrypoint(Command::Exec(Vec::new())), "{text}");
        }
        assert_eq!(only("VOLUME /a $b"), Instruction::Volume(vec!["/a".into(), "$b".into()]));
        assert_eq!(only(r#"VOLUME ["/a b"]"#), Instruction::Volume(vec!["/a b".into()]));
        assert_eq!(only(r#"SHELL ["a", "-c"]"#), Instruction::Shell(vec!["a".into(), "-c".into()]));
        let check = |text: &str, test: &[&str], settings: &[(&'static str, i64)]| {
            let test = test.iter().map(|word| (*word).to_owned()).collect();
            let settings = settings.iter().copied().collect();
            assert_eq!(only(text), Instruction::Healthcheck(Healthcheck { test, settings }));
        };
        check("HEALTHCHECK NONE", &["NONE"], &[]);
        check("HEALTHCHECK CMD a  $b", &["CMD-SHELL", "a  $b"], &[]);
        check("HEALTHCHECK --retries=0 CMD a", &["CMD-SHELL", "a"], &[]);
        check(
            "HEALTHCHECK --interval=1.5s --start-interval=2.5ms1us cmd a",
            &["CMD-SHELL", "a"],
            &[("Interval", 1_500_000_000), ("StartInterval", 2_501_000)],
        );
        check(
            "HEALTHCHECK --interval=1m30s --retries=4 CMD [\"a\", \"b\"]",
            &["CMD", "a", "b"],
            &[("Interval", 90_000_000_000), ("Retries", 4)],
        );
        let Instruction::Copy(copy) = only(r#"COPY --chown=1:2 ["a b", "c"]"#) else {
            panic!("no copy")
        };
        assert_eq!((copy.sources, &*copy.destination), (vec!["a b".to_owned()], "c"));
        assert_eq!(copy.chown.as_deref(), Some("1:2"));
        assert_eq!(only("MAINTAINER A <b@c>"), Instruction::Maintainer("A <b@c>".into()));
        assert_eq!(only("ONBUILD COPY a  b"), Instruction::OnBuild("COPY a  b".into()));
        assert_eq!(only("STOPSIGNAL --x 9"), Instruction::StopSignal("9".into()));
        let Instruction::Copy(copy) = only("copy a \\\n  b c/") else { panic!("no copy") };
        assert_eq!((copy.sources.len(), &*copy.destination), (2, "c/"));
    }

    #[test]
    fn what_another_engine_has_to_do_is_told_with_its_line() {
        let check = |text: &str, line: usize, part: &str| {
            let problem = parse(text).and_then(|script| script.check()).unwrap_err();
            let Problem::Unsupported { line: found, reason } = &problem else {
                panic!("{problem:?}")
            };
            assert!(*found == line && reason.contains(part), "{problem:?}");
        };
        check("FROM a\n\nRUN x", 3, "`RUN`");
        check("ARG V=a\nFROM a\nCOPY --from=$V a b", 3, "$V");
        check("FROM a\nONBUILD COPY <<EOF b\nEOF\n", 2, "here-document");
        check("FROM --platform=linux/arm64 a\n", 1, "linux/arm64");
        check("# check=skip=x;error=true\nFROM a\nUSER x", 1, "check=error=true");
    }

    #[test]
    fn style_counts_where_its_faults_are_errors() {
        for text in ["skip=all;error=true", "skip=A,all; error = true", "error=false", "skip=x"] {
            let script = parse(&format!("# check={text}\nFROM a\n")).unwrap();
            assert_eq!(script.check(), Ok(()), "{text}");
        }
    }

    #[test]
    fn here_documents_hold_no_instructions() {
        let text = "FROM a\nRUN <<EOF cat\nhello $x\nEOF\nFROM scratch\nLABEL a=b\n";
        let script = parse(text).unwrap();
        assert_eq!((script.stages.len(), script.stages[1].line), (2, 5));
        assert_eq!(script.check(), Ok(()));
    }

    #[test]
    fn of_stages_with_one_name_the_last_one_counts() {
        let script = parse("FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x /a /b\n").unwrap();
        assert_eq!(script.needed(), [1, 2].into());
        assert_eq!(
            parse("FROM a AS x\nFROM b AS x\nFROM x").unwrap().stages[2].from,
            From::Stage(1)
        );
    }

    #[test]
    fn stages_that_the_image_does_not_need_may_hold_anything() {
        let text = "ARG V=1\nFROM a AS one\nRUN x\nFROM b:${V} AS Two\nCOPY x /\n\
                    FROM scratch\nCOPY --from=two /x /y\nCOPY --from=1 /x /z\n";
        let script = parse(text).unwrap();
        assert_eq!(script.needed(), [1, 2].into());
        assert_eq!(script.check(), Ok(()));
        assert_eq!(script.stages[1].from, From::Image("b:1".into()));
        let copied = parse("FROM a\nCOPY --from=Later x y\nFROM b AS later").unwrap();
        let Instruction::Copy(copy) = &copied.stages[0].instructions[0].instruction else {
            panic!("no copy")
        };
        assert_eq!(copy.from, Some(CopyFrom::Image("Later".into())));
        let chained = parse("FROM a AS one\nFROM one\n").unwrap();
        assert_eq!(chained.stages[1].from, From::Stage(0));
    }

    #[test]
    fn invalid_files() {
        let check = |text: &str, line: usize| {
            let problem = parse(text).unwrap_err();
            assert!(
                matches!(problem, Problem::Invalid { line: found, .. } if found == line),
                "{text:?}: {problem:?}"
            );
        };
        check("FROM a\nNONSENSE x", 2);
        check("FROM a\nENV x", 2);
        check("FROM a\nENV =x", 2);
        check("FROM ${X}", 1);
        check("COPY a b\nFROM a", 1);
        check("FROM a\nCMD [\"a\", 1]", 2);
        check("FROM a\nSHELL sh", 2);
        check("FROM a\nCOPY --from=0 a b", 2);
        check("FROM a\nFROM a\nCOPY --from=1 a b", 3);
        check("FROM a AS 1x", 1);
        check("ARG x=1", 1);
        check("FROM a\nONBUILD ONBUILD USER x", 2);
        check("FROM a\nHEALTHCHECK --retries=-1 CMD x", 2);
        check("FROM a\nHEALTHCHECK --interval=1us CMD x", 2);
        check("FROM a\nCOPY --chown=a --chown=b x y", 2);
        check("FROM a\nCOPY x <<EOF\nEOF\n", 2);
        // Also where nobody needs the stage.
        check("FROM a\nRUN <<EOF\nx\nFROM scratch", 2);
        for keyword in ["CMD", "ENTRYPOINT", "ENV", "LABEL", "WORKDIR", "VOLUME", "USER", "SHELL"] {
            check(&format!("FROM a\n{keyword} --x a=b"), 2);
        }
    }

    #[test]
    fn the_escape_directive_counts() {
        let script = parse("# escape=`\nFROM scratch\nCMD a `\n b\\c").unwrap();
        assert_eq!(script.escape, '`');
        assert_eq!(
            script.stages[0].instructions[0].instruction,
            Instruction::Cmd(Command::Shell("a  b\\c".into()))
        );
    }
}
