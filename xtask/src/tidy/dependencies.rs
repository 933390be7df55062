//! Checks which crates depend on which.
//!
//! A stage never depends on a stage, values on nothing of ours but values; the terminal's packages
//! belong to the command line; and the workspace lists no package that no crate uses.

use std::{collections::BTreeSet, fs, path::Path};

use super::{krates, name_of};
use crate::checks::Outcome;

const STAGES: [&str; 6] =
    ["esb-sam", "esb-dockerfile", "esb-code", "esb-image", "esb-registry", "esb-config"];
const VALUES: [&str; 2] = ["esb-model", "esb-oci"];
/// What belongs to the command line alone.
const TERMINAL_PACKAGES: [&str; 4] = ["clap", "clap_complete", "indicatif", "annotate-snippets"];

/// Looks at every manifest.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let mut used = BTreeSet::new();
    let krates = krates(root)?;
    for krate in krates.iter().cloned().chain([root.join("xtask")]) {
        let manifest = fs::read_to_string(krate.join("Cargo.toml"))?;
        let found = dependencies_of(&manifest);
        if krates.contains(&krate) {
            of_crate(&name_of(&krate), &found, wrong);
        }
        used.extend(found.into_iter().map(|(dependency, _)| dependency));
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
    for (name, _) in dependencies_of(&manifest) {
        if !used.contains(&name) {
            wrong.push(format!("Cargo.toml lists `{name}`, which no crate uses"));
        }
    }
    Ok(())
}

fn of_crate(name: &str, found: &[(String, &str)], wrong: &mut Vec<String>) {
    let allowed: BTreeSet<&str> = match name {
        "esb-model" | "esb-runtime" | "esb-test" => BTreeSet::new(),
        "esb-oci" => BTreeSet::from(["esb-model"]),
        "esb-dockerfile" => VALUES.into_iter().chain(["esb-runtime"]).collect(),
        "esb-deploy" => STAGES.into_iter().chain(VALUES).collect(),
        "esb-cli" => {
            STAGES.into_iter().chain(VALUES).chain(["esb-deploy", "esb-runtime"]).collect()
        }
        _ => VALUES.into_iter().collect(),
    };
    for (dependency, section) in found {
        let of_tests = *section == "dev-dependencies";
        if dependency.starts_with("esb-") && !of_tests && !allowed.contains(dependency.as_str()) {
            wrong.push(format!("{name} may not depend on {dependency}"));
        }
        if name != "esb-cli" && TERMINAL_PACKAGES.contains(&dependency.as_str()) {
            wrong.push(format!("{name} may not depend on {dependency}: that is esb-cli's"));
        }
    }
}

/// What a manifest depends on, each with its section: `dependencies`, `dev-dependencies` or
/// `build-dependencies`, of whatever target.
fn dependencies_of(manifest: &str) -> Vec<(String, &'static str)> {
    const SECTIONS: [&str; 3] = ["dev-dependencies", "build-dependencies", "dependencies"];
    let mut inside = None;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end().trim_end_matches(']');
            let (section, own) = header.rsplit_once("dependencies.").unwrap_or((header, ""));
            let section = if own.is_empty() { header } else { &header[..section.len() + 12] };
            inside = SECTIONS.into_iter().find(|name| section.ends_with(name));
            // `[dependencies.NAME]` is a section of one package.
            if let Some(section) = inside.filter(|_| !own.is_empty()) {
                found.push((own.to_owned(), section));
                inside = None;
            }
        } else if let Some(section) = inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
        {
            found.push((name.trim().to_owned(), section));
        }
    }
    found.retain(|(name, _)| !name.is_empty() && !name.starts_with('#'));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_in_every_section() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\n# c\nesb-model.workspace = true\n\
                        tar = \"1\"\n[dependencies.clap]\nversion = \"4\"\n\
                        [target.'cfg(unix)'.dependencies]\nrustix = \"1\"\n\
                        [dev-dependencies]\nesb-sam = \"1\"\n[features]\nx = []\n";
        let found = dependencies_of(manifest);
        let found: Vec<_> = found.iter().map(|(name, section)| (name.as_str(), *section)).collect();
        let of = |name| (name, "dependencies");
        assert_eq!(
            found,
            [of("esb-model"), of("tar"), of("clap"), of("rustix"), ("esb-sam", "dev-dependencies")]
        );
    }

    #[test]
    fn what_is_not_allowed_is_told() {
        let of = |name: &str, section| (name.to_owned(), section);
        let (normal, tests) = ("dependencies", "dev-dependencies");
        let mut wrong = Vec::new();
        of_crate("esb-sam", &[of("esb-image", normal), of("esb-config", tests)], &mut wrong);
        of_crate("esb-deploy", &[of("clap", tests), of("esb-sam", normal)], &mut wrong);
        of_crate("esb-image", &[of("esb-deploy", normal)], &mut wrong);
        of_crate("esb-cli", &[of("clap", normal), of("esb-deploy", normal)], &mut wrong);
        assert_eq!(
            wrong,
            [
                "esb-sam may not depend on esb-image",
                "esb-deploy may not depend on clap: that is esb-cli's",
                "esb-image may not depend on esb-deploy",
            ]
        );
    }
}
