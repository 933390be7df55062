//! Files are opened in one place, which reads regular files only, with a limit.

use std::{fs, path::Path};

use crate::checks::Outcome;

/// Calls that wait for a pipe, or read without a limit.
const CALLS: [&str; 4] = ["fs::read(", "fs::read_to_string(", "File::open(", "fs::copy("];

/// The one place, what only sets the time of a file or folder of a store, and what is for tests.
const FREE: [&str; 4] = [
    "crates/esb-oci/src/regular.rs",
    "crates/esb-oci/src/collect.rs",
    "crates/esb-cli/src/documents/schemas.rs",
    "crates/esb-test/src/",
];

/// Tells calls outside of tests.
pub(super) fn check(root: &Path, source: &Path, wrong: &mut Vec<String>) -> Outcome {
    let place = source.strip_prefix(root).unwrap_or(source).display().to_string();
    let is_test = source.file_stem().is_some_and(|stem| stem == "tests");
    if is_test || place.contains("/tests/") || FREE.iter().any(|free| place.starts_with(free)) {
        return Ok(());
    }
    let text = fs::read_to_string(source)?;
    let own = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&text);
    for (number, line) in own.lines().enumerate() {
        for call in CALLS.iter().filter(|call| makes(line, call)) {
            wrong.push(format!(
                "{place}:{}: `{call}…)` may wait, or read without end: use `esb_oci::open_file`, \
                 `read_file` or `read_given`",
                number + 1
            ));
        }
    }
    Ok(())
}

/// Whether a line makes a call, and not one whose name only ends like that.
fn makes(line: &str, call: &str) -> bool {
    let is_code = !line.trim_start().starts_with("//");
    let before = |at: usize| line[..at].chars().next_back();
    let mut found = line.match_indices(call);
    is_code && found.any(|(at, _)| before(at).is_none_or(|c| !c.is_alphanumeric() && c != '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("lib.rs");
        let text = "// fs::read(x)\nLockFile::open(x);\nstd::fs::read(x);\nfs::read_dir(x);\n\
                    #[cfg(test)]\nmod tests {\n    fs::read(x);\n}\n";
        fs::write(&source, text).unwrap();
        let mut wrong = Vec::new();
        check(root.path(), &source, &mut wrong).unwrap();
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("lib.rs:3: `fs::read(…)`"), "{wrong:?}");
    }
}
