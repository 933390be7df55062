//! Checks that each type that the glossary names exists.

use std::{fs, path::Path};

use super::{name_of, walk};
use crate::checks::Outcome;

const PAGE: &str = "docs/glossary.md";
/// What declares a name.
const KINDS: [&str; 8] = ["struct", "enum", "trait", "type", "fn", "mod", "const", "union"];

/// Looks for each `crate::Name` of the page's tables in the sources of that crate.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let page = fs::read_to_string(root.join(PAGE))?;
    let mut sources = Vec::new();
    for krate in super::krates(root)? {
        let mut files = Vec::new();
        walk(&krate.join("src"), &mut files)?;
        let texts: Vec<String> = files.iter().filter_map(|f| fs::read_to_string(f).ok()).collect();
        sources.push((name_of(&krate).replace('-', "_"), texts));
    }
    for (number, line) in page.lines().enumerate() {
        for path in line.split('`').skip(1).step_by(2).filter(|word| word.starts_with("esb_")) {
            let (krate, rest) = path.split_once("::").unwrap_or((path, ""));
            let known = sources.iter().find(|(name, _)| name == krate).is_some_and(|(_, texts)| {
                let name = rest.rsplit("::").next().unwrap_or_default();
                rest.is_empty() || texts.iter().any(|text| declares(text, name))
            });
            if !known {
                wrong.push(format!("{PAGE}:{}: there is no `{path}`", number + 1));
            }
        }
    }
    Ok(())
}

fn declares(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let after = text[at + name.len()..].chars().next();
        let ends = !after.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let before = text[..at].trim_end().rsplit(|c: char| !c.is_alphanumeric()).next();
        ends && text[..at].ends_with(' ') && before.is_some_and(|word| KINDS.contains(&word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_more_than_a_mention() {
        let text = "use a::Store;\npub struct StoreLock;\npub(crate) enum Pin { A }\n";
        assert!(declares(text, "Pin"));
        assert!(declares(text, "StoreLock"));
        assert!(!declares(text, "Store"));
        assert!(!declares(text, "A"));
    }

    #[test]
    fn a_type_that_is_gone_is_told() {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("crates/esb-x/src");
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(root.path().join("docs")).unwrap();
        fs::write(source.join("lib.rs"), "pub struct Pin;\n").unwrap();
        let page = "| pin | … | `esb_x::Pin` |\n| old | … | `esb_x::Old`, `esb_y::Pin` |\n";
        fs::write(root.path().join(PAGE), page).unwrap();
        let mut wrong = Vec::new();
        check(root.path(), &mut wrong).unwrap();
        let told = |path| format!("docs/glossary.md:2: there is no `{path}`");
        assert_eq!(wrong, [told("esb_x::Old"), told("esb_y::Pin")]);
    }
}
