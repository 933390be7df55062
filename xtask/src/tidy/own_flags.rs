//! Checks that no text of a library names a flag or a command of the program.
//!
//! A library names what helps as a value, and the command line words it: a program that embeds the
//! library has other flags. The flags and commands are those of the generated reference page. What
//! is looked at is code in backticks in strings, as all texts for people have it; flags of other
//! programs that the page has too stand in arguments, without backticks.

use std::{collections::BTreeSet, fs, path::Path};

use super::{TALKERS, krates, name_of, walk};
use crate::checks::{Outcome, Trouble};

const PAGE: &str = "docs/reference/commands.md";
/// Begins the texts that are commands, with the name of one behind it.
const PROGRAM: &str = "esb ";

/// Looks at every string of every library.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let flags = flags(&fs::read_to_string(root.join(PAGE))?);
    if flags.is_empty() {
        return Err(Trouble::Failed(format!("{PAGE} has no flags")));
    }
    for krate in krates(root)? {
        if TALKERS.contains(&name_of(&krate).as_str()) {
            continue;
        }
        let mut sources = Vec::new();
        walk(&krate.join("src"), &mut sources)?;
        for source in sources {
            let place = source.strip_prefix(root).unwrap_or(&source).display().to_string();
            for (line, named) in named(&fs::read_to_string(&source)?, &flags) {
                wrong.push(format!(
                    "{place}:{line}: `{named}` is the command line's to name, and this is a library"
                ));
            }
        }
    }
    Ok(())
}

/// The flags that a page of help texts lists, long and short.
fn flags(page: &str) -> BTreeSet<String> {
    let listed = page.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = listed.flat_map(|line| line.split([' ', ',', '=', '[', '.']).take(3));
    words.filter(|word| is_flag(word)).map(str::to_owned).collect()
}

fn is_flag(word: &str) -> bool {
    let name = word.trim_start_matches('-');
    word.starts_with('-') && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// What texts outside of comments and tests name, with the lines.
fn named(text: &str, flags: &BTreeSet<String>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let next = lines.peek().map_or("", |(_, line)| line);
        if line == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{') {
            break;
        }
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices('`') {
            let quoted = &line[at + 1..];
            let word = quoted.split([' ', '`', '=', '"']).next().unwrap_or_default();
            let is_command = quoted.starts_with(PROGRAM) && quoted.len() > PROGRAM.len();
            if flags.contains(word) || is_command {
                let named = quoted.split('`').next().unwrap_or_default();
                found.push((number + 1, named.trim_end_matches('\\').trim().to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "## esb deploy\n  -e, --env <NAME>\n          Environment\n\
                        \n  -v, --verbose...\n      --to <TO>\n          - not a flag\n";

    #[test]
    fn flags_are_read_from_help_texts() {
        let flags: Vec<_> = flags(HELP).into_iter().collect();
        assert_eq!(flags, ["--env", "--to", "--verbose", "-e", "-v"]);
    }

    #[test]
    fn a_library_that_names_a_flag_is_told() {
        let text = "// `--to` may be named here\nlet a = \"write `--to oci`\";\n\
                    command.args([\"--env\", \"x\"]);\nlet b = \"`COPY --to`, `--tone`\";\n\
                    let c = \"use `-e`, run `esb deploy` first\";\n\
                    #[cfg(test)]\nmod tests {\n    let d = \"`--to`\";\n}\n";
        let expected = [(2, "--to oci"), (5, "-e"), (5, "esb deploy")];
        let expected = expected.map(|(line, named)| (line, named.to_owned()));
        assert_eq!(named(text, &flags(HELP)), expected);
    }

    #[test]
    fn every_library_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for krate in ["esb-x", "esb-cli"] {
            let source = root.path().join("crates").join(krate).join("src");
            fs::create_dir_all(&source).unwrap();
            fs::write(source.join("lib.rs"), "const A: &str = \"give `--to`\";\n").unwrap();
        }
        fs::create_dir_all(root.path().join("docs/reference")).unwrap();
        fs::write(root.path().join(PAGE), HELP).unwrap();
        let mut wrong = Vec::new();
        check(root.path(), &mut wrong).unwrap();
        let told = "crates/esb-x/src/lib.rs:1: `--to` is the command line's to name, and this is a \
                    library";
        assert_eq!(wrong, [told]);
    }
}
