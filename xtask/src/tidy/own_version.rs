//! Checks that the release's own number goes into nothing that a run makes.
//!
//! A fingerprint, an image or a record with the number in it would make every release build all
//! images again (docs/contracts/formats.md#rules).

use std::{fs, path::Path};

use super::{krates, walk};
use crate::checks::Outcome;

/// How a source can know the number.
const NUMBER: [&str; 3] = ["CARGO_PKG_", "crate_version!", "crate_name!"];

/// Sources that tell it to people and servers, or compare it with what a project wants.
const TELLERS: [&str; 5] = [
    "crates/esb-cli/src/commands/man/page.rs",
    "crates/esb-cli/src/commands/version.rs",
    "crates/esb-cli/src/sarif.rs",
    "crates/esb-deploy/src/settings.rs",
    "crates/esb-registry/src/http.rs",
];

/// Looks at the sources of all libraries and of the program.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    for krate in krates(root)? {
        let mut sources = Vec::new();
        walk(&krate.join("src"), &mut sources)?;
        for source in sources {
            let place = source.strip_prefix(root).unwrap_or(&source).display().to_string();
            if TELLERS.contains(&&*place) {
                continue;
            }
            for (number, line) in fs::read_to_string(&source)?.lines().enumerate() {
                if NUMBER.iter().any(|name| line.contains(name)) {
                    wrong.push(format!(
                        "{place}:{}: only what tells the release's number may know it; what it \
                         goes into changes with every release",
                        number + 1
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_knows_the_number_is_told() {
        let root = tempfile::tempdir().unwrap();
        for (path, told) in [
            ("crates/esb-image/src/fingerprint.rs", true),
            ("crates/esb-registry/src/http.rs", false),
        ] {
            let source = root.path().join(path);
            fs::create_dir_all(source.parent().unwrap()).unwrap();
            fs::write(&source, "//! A.\nconst V: &str = env!(\"CARGO_PKG_VERSION\");\n").unwrap();
            let mut wrong = Vec::new();
            check(root.path(), &mut wrong).unwrap();
            assert_eq!(wrong.iter().any(|line| line.starts_with(&format!("{path}:2"))), told);
        }
    }
}
