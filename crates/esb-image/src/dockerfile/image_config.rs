//! What a template's `ImageConfig` makes of the image of a user's Dockerfile: it replaces what it
//! names, and nothing else.
//!
//! Owns the instructions that a daemon reads for it. An `ENTRYPOINT` removes the `CMD` that another
//! stage or the base says, so that one is said again.

use std::fmt::Write as _;

use esb_model::ImageOverrides;
use esb_oci::ImageConfig;

use super::{From, Instruction, Script};

/// The instructions that do what `ImageConfig` says, for the end of the last stage of `script`.
/// `base` gives the config of an image's name. None when nothing is replaced.
pub(crate) fn lines<'a>(
    script: Option<&Script>,
    overrides: &ImageOverrides,
    base: impl Fn(&str) -> Option<&'a ImageConfig>,
) -> Option<String> {
    let ImageOverrides { entry_point, command, working_directory } = overrides;
    if overrides.is_empty() {
        return None;
    }
    let kept = script.filter(|_| entry_point.is_some()).and_then(|script| command_of(script, base));
    let mut text = "# ImageConfig of the template\n".to_owned();
    let mut line = |keyword: &str, words: String| {
        writeln!(text, "{keyword} {words}").expect("writing to a string cannot fail");
    };
    if let Some(folder) = working_directory {
        line("WORKDIR", quoted(folder));
    }
    if let Some(entry_point) = entry_point {
        line("ENTRYPOINT", serde_json::Value::from(entry_point.clone()).to_string());
    }
    if let Some(command) = command.clone().or(kept) {
        line("CMD", serde_json::Value::from(command).to_string());
    }
    Some(text)
}

/// A word that nothing expands, whatever starts an escape.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

/// What a stage leaves behind.
#[derive(Clone, Default)]
struct Left {
    command: Option<Vec<String>>,
    shell: Option<Vec<String>>,
}

/// The command that the last stage ends with.
fn command_of<'a>(
    script: &Script,
    base: impl Fn(&str) -> Option<&'a ImageConfig>,
) -> Option<Vec<String>> {
    let mut stages: Vec<Left> = Vec::with_capacity(script.stages.len());
    for stage in &script.stages {
        let mut left = match &stage.from {
            From::Stage(earlier) => stages[*earlier].clone(),
            From::Image(name) => base(name).map_or_else(Left::default, |config| {
                let list = |name| Some(config.list(name)?.into_iter().map(str::to_owned).collect());
                Left { command: list("Cmd"), shell: list("Shell") }
            }),
            From::Scratch | From::Unsupported(_) => Left::default(),
        };
        let mut has_command = false;
        for line in &stage.instructions {
            match &line.instruction {
                Instruction::Shell(shell) => left.shell = Some(shell.clone()),
                Instruction::Cmd(command) => {
                    has_command = true;
                    let shell = left.shell.as_ref();
                    let shell = shell.map(|words| words.iter().map(String::as_str).collect());
                    left.command = Some(command.words(shell));
                }
                Instruction::Entrypoint(_) if !has_command => left.command = None,
                _ => {}
            }
        }
        stages.push(left);
    }
    stages.pop()?.command.filter(|words| !words.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dockerfile: &str, overrides: &ImageOverrides, expected: &str) {
        let script = Script::parse(dockerfile, esb_model::Platform::default()).unwrap();
        let mut config = ImageConfig::empty("amd64");
        config.set("Cmd", vec!["of", "base"]);
        let lines = lines(Some(&script), overrides, |name| (name == "base").then_some(&config));
        let lines = lines.unwrap_or_default();
        let lines = lines.trim_start_matches("# ImageConfig of the template\n");
        assert_eq!(lines, expected, "{dockerfile}");
    }

    #[test]
    fn only_what_is_named_is_replaced() {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let mut named = ImageOverrides::default();
        check("FROM base\n", &named, "");
        named.entry_point = words(&["/run", "$a \"b\""]);
        let entry = "ENTRYPOINT [\"/run\",\"$a \\\"b\\\"\"]\n";
        let with = |command: &str| format!("{entry}CMD {command}\n");
        check("FROM base\n", &named, &with("[\"of\",\"base\"]"));
        check("FROM base\nENTRYPOINT x\n", &named, entry);
        check("FROM base\nCMD [\"a\"]\nENTRYPOINT x\n", &named, &with("[\"a\"]"));
        check("FROM base\nCMD []\n", &named, entry);
        check("FROM scratch\n", &named, entry);
        let shell = "FROM base AS a\nSHELL [\"/s\"]\nCMD a\nSHELL [\"/t\"]\nRUN x\nFROM a\n";
        check(shell, &named, &with("[\"/s\",\"a\"]"));
        check("FROM base\nCMD a\n", &named, &with("[\"/bin/sh\",\"-c\",\"a\"]"));
        named.command = words(&["b"]);
        check("FROM base\nCMD [\"a\"]\n", &named, &with("[\"b\"]"));
        named = ImageOverrides { working_directory: Some("/my $d'ir\\".to_owned()), ..named };
        named.entry_point = None;
        check("FROM base\n", &named, "WORKDIR '/my $d'\"'\"'ir\\'\nCMD [\"b\"]\n");
    }
}
