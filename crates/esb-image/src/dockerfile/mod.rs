//! The subset of the Dockerfile language that runs no process.
//!
//! Owns reading a Dockerfile into stages and instructions whose words are not expanded yet. What
//! only another engine can do is kept as [`Instruction::Unsupported`], because it matters only in
//! stages that the image needs. Refuses to touch a file.

pub(crate) mod interpret;
mod read;
#[cfg(feature = "daemon")]
pub(crate) mod rewrite;
#[cfg(feature = "daemon")]
pub(crate) mod step_lines;
pub(crate) mod values;
pub(crate) mod words;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use esb_model::Platform;

use self::{
    read::{Reader, platform_arguments},
    words::{Variables, WordError},
};
use crate::Error;

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
    /// Values of the `ARG`s before the first `FROM`, and of the platform.
    pub(crate) global: Variables,
    pub(crate) stages: Vec<Stage>,
}

/// One `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) line: usize,
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
pub(crate) struct Copy {
    /// `ADD`, which unpacks archives.
    pub(crate) add: bool,
    /// The stage whose files are copied, by position.
    pub(crate) from: Option<usize>,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<String>,
    pub(crate) sources: Vec<String>,
    pub(crate) destination: String,
}

/// The arguments of `CMD` and `ENTRYPOINT`, which nothing expands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Exec(Vec<String>),
    Shell(String),
}

impl Script {
    /// Reads a Dockerfile's text.
    pub(crate) fn parse(text: &str, platform: Platform) -> Result<Self, Problem> {
        Self::parse_with(text, platform, &Variables::new())
    }

    /// The same with build arguments that replace the defaults of `ARG`s before the first `FROM`.
    pub(crate) fn parse_with(
        text: &str,
        platform: Platform,
        given: &Variables,
    ) -> Result<Self, Problem> {
        if text.len() > MAX_BYTES {
            return Err(Problem::invalid(1, "the file is too large"));
        }
        let text = readable(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let parsed = parse_dockerfile::parse(text)
            .map_err(|error| Problem::invalid(error.line(), syntax_reason(&error)))?;
        let escape =
            parsed.parser_directives.escape.as_ref().map_or('\\', |found| found.value.value);
        let mut reader = Reader { text, escape, platform, given, names: Vec::new() };
        let mut script = Self { escape, global: platform_arguments(platform), stages: Vec::new() };
        for raw in &parsed.instructions {
            reader.instruction(raw, &mut script)?;
        }
        Ok(script)
    }

    /// The positions of the stages that the last one needs, itself included, in order.
    pub(crate) fn needed(&self) -> BTreeSet<usize> {
        needed_stages(self.stages.len() - 1, |position| {
            let Stage { from, instructions, .. } = &self.stages[position];
            let base = if let From::Stage(base) = from { Some(*base) } else { None };
            base.into_iter().chain(instructions.iter().filter_map(|line| match &line.instruction {
                Instruction::Copy(copy) => copy.from,
                _ => None,
            }))
        })
    }

    /// Whether the embedded engine knows every instruction that the image needs.
    pub(crate) fn check(&self) -> Result<(), Problem> {
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

/// Stands for the empty list where the parser takes none; as long as the brackets.
const EMPTY_LIST: &str = "\u{80}";

/// The text as the parser reads it, every character at its place: an `ENTRYPOINT` of the empty
/// list, which is how an image loses the one of its base, is no mistake.
pub(crate) fn readable(text: &str) -> Cow<'_, str> {
    let empties = text.split_inclusive('\n').filter_map(|line| {
        let (keyword, list) = line.trim().split_once(char::is_whitespace)?;
        let inside = list.trim().strip_prefix('[')?.strip_suffix(']')?;
        let empty = keyword.eq_ignore_ascii_case("ENTRYPOINT") && inside.trim().is_empty();
        let start = line.as_ptr().addr() - text.as_ptr().addr();
        empty.then(|| start + line.find('[').unwrap_or_default())
    });
    let mut changed = Cow::Borrowed(text);
    for start in empties {
        let end = start + text[start..].find(']').unwrap_or_default() + 1;
        let spaces = " ".repeat(end - start - EMPTY_LIST.len());
        changed.to_mut().replace_range(start..end, &format!("{EMPTY_LIST}{spaces}"));
    }
    changed
}

/// The parser's message without the position, which is kept separately.
fn syntax_reason(error: &parse_dockerfile::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
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
        check("FROM a\n# c\nCOPY --link a b", 3, "--link");
        check("FROM a\nCOPY --from=other a b", 2, "no earlier stage");
        check("FROM a\nCOPY <<EOF b\nEOF\n", 2, "here-document");
        check("FROM --platform=linux/arm64 a\n", 1, "linux/arm64");
        check("FROM a\nCMD [\"a\", 1]", 2, "list");
        check("FROM a\nARG x=1 y=$x", 2, "ARG");
        check("FROM a\nHEALTHCHECK --start-interval=5s CMD x", 2, "--start-interval");
        check("FROM a\nHEALTHCHECK --interval=1.5s CMD x", 2, "`1.5s`");
        check("FROM a\nHEALTHCHECK --retries=0 CMD x", 2, "`0`");
        for keyword in ["MAINTAINER x", "ONBUILD RUN x"] {
            check(&format!("FROM a\n{keyword}"), 2, keyword.split(' ').next().unwrap());
        }
    }

    #[test]
    fn stages_that_the_image_does_not_need_may_hold_anything() {
        let text = "ARG V=1\nFROM a AS one\nRUN x\nFROM b:${V} AS Two\nCOPY x /\n\
                    FROM scratch\nCOPY --from=two /x /y\nCOPY --from=1 /x /z\n";
        let script = parse(text).unwrap();
        assert_eq!(script.needed(), [1, 2].into());
        assert_eq!(script.check(), Ok(()));
        assert_eq!(script.stages[1].from, From::Image("b:1".into()));
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
