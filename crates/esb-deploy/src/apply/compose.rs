//! Builds the `docker compose` commands that messages suggest, for the compose project that runs.
//!
//! Derives, from the labels that compose gave the Gateway's container, a command that works in any
//! folder.

use std::{collections::HashMap, path::Path};

use esb_image::docker::ContainerInfo;

use crate::deployment::Deployment;

/// What compose notes at each container of a project.
const LABEL: &str = "com.docker.compose.project";

/// `docker compose … REST` for the run's compose project.
pub fn command(run: &Deployment, gateway: Option<&ContainerInfo>, rest: &str) -> String {
    line(&run.compose_project, gateway.map(|gateway| &gateway.labels), rest)
}

fn line(project: &str, labels: Option<&HashMap<String, String>>, rest: &str) -> String {
    let label =
        |name: &str| labels?.get(&format!("{LABEL}.{name}")).filter(|text| !text.is_empty());
    let mut words = vec!["docker compose".to_owned()];
    let folder = label("working_dir").map(Path::new);
    if let Some(folder) = folder {
        words.push(format!("--project-directory {}", quoted(&folder.display().to_string())));
    }
    for (option, name) in [("--env-file", "environment_file"), ("-f", "config_files")] {
        for path in label(name).into_iter().flat_map(|list| list.split(',')) {
            // Early releases note names alone.
            let path = folder.map_or_else(|| path.into(), |folder| folder.join(path));
            words.push(format!("{option} {}", quoted(&path.display().to_string())));
        }
    }
    words.extend([format!("-p {}", quoted(project)), rest.to_owned()]);
    words.join(" ")
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_works_in_any_folder() {
        let check = |labels: &[(&str, &str)], expected: &str| {
            let labels =
                labels.iter().map(|(name, value)| (format!("{LABEL}.{name}"), (*value).to_owned()));
            assert_eq!(line("esb-dev", Some(&labels.collect()), "restart gateway"), expected);
        };
        check(&[], "docker compose -p esb-dev restart gateway");
        check(
            &[("working_dir", "/srv/esb"), ("config_files", "/srv/esb/a.yml,/srv/my esb/b.yml")],
            "docker compose --project-directory /srv/esb -f /srv/esb/a.yml -f '/srv/my esb/b.yml' -p \
             esb-dev restart gateway",
        );
        check(
            &[("working_dir", "/it's"), ("config_files", "a.yml"), ("environment_file", "/e")],
            "docker compose --project-directory '/it'\\''s' --env-file /e -f '/it'\\''s/a.yml' -p \
             esb-dev restart gateway",
        );
        assert_eq!(line("p", None, "x"), "docker compose -p p x");
    }
}
