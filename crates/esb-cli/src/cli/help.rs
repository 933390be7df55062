//! The layout of `-h` and `--help`: under which heading a flag stands, which ones people use every
//! day, and the examples of each command.
//!
//! Knows flags by their names alone. What a flag does is told where it is declared.

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::Cli;
use crate::completion;

const TEMPLATE: &str = "Template";
const PARAMETERS: &str = "Parameters";
const BUILD: &str = "Build";
const TARGET: &str = "Target";
const PLAN: &str = "Plan and lock";
const DELIVERY: &str = "Delivery";
const GLOBAL: &str = "Global options";

/// The heading of each flag that several commands have, by its name.
const HEADINGS: [(&str, &[&str]); 7] = [
    (TEMPLATE, &["template", "allow", "code", "output", "deny"]),
    (PARAMETERS, &["parameter", "parameters-file", "env-vars", "region", "secret-env"]),
    (
        BUILD,
        &[
            "builder",
            "buildkit",
            "buildkit-tls",
            "buildkit-server-name",
            "buildkit-registry",
            "platform",
            "no-cache",
            "allow-host-builds",
            "no-uv-install",
            "jobs",
        ],
    ),
    (
        TARGET,
        &[
            "mode",
            "to",
            "registry",
            "push-registry",
            "tag",
            "image-ref",
            "image-prewarm",
            "all-platforms",
            "image-hooks",
            "registry-insecure",
            "insecure-credentials",
            "ca-file",
            "offline",
            "mirror",
        ],
    ),
    (
        PLAN,
        &[
            "dry-run",
            "detailed-exitcode",
            "yes",
            "ask",
            "no-save-defaults",
            "update-lock",
            "locked",
            "build-only",
        ],
    ),
    (
        DELIVERY,
        &[
            "config-to",
            "project",
            "pull",
            "keep-workers",
            "restart-gateway",
            "allow-local",
            "adopt",
        ],
    ),
    (
        GLOBAL,
        &[
            "project-dir",
            "env",
            "env-file",
            "brand",
            "format",
            "progress",
            "color",
            "no-input",
            "quiet",
            "verbose",
            "help",
            "version",
        ],
    ),
];

/// The flags of every day: `-h` shows them, `--help` all.
const EVERYDAY: [&str; 25] = [
    "template",
    "parameter",
    "to",
    "registry",
    "mode",
    "dry-run",
    "yes",
    "config-to",
    "env",
    "quiet",
    "verbose",
    "help",
    "version",
    "event",
    "tail",
    "since",
    "follow",
    "trace",
    "request",
    "owner",
    "in",
    "all",
    "origin",
    "max-size",
    "deny",
];

/// The examples of each command.
const EXAMPLES: [(&str, [&str; 2]); 24] = [
    ("esb", ["esb deploy template.yaml -e dev", "esb invoke HelloWorldFunction -e dev"]),
    ("esb deploy", ["esb deploy -e dev", "esb deploy -e prod --dry-run"]),
    ("esb build", ["esb build -e dev", "esb build --to oci:images --platform linux/arm64"]),
    ("esb validate", ["esb validate template.yaml", "esb validate --deny warnings"]),
    ("esb inspect", ["esb inspect template.yaml", "esb inspect --format json"]),
    (
        "esb invoke",
        [
            "esb invoke HelloWorldFunction --event event.json",
            "esb invoke HelloWorldFunction --event '{}'",
        ],
    ),
    ("esb logs", ["esb logs HelloWorldFunction -f", "esb logs --request 6f1f0e5c-3b1f"]),
    ("esb init", ["esb init", "esb init --dry-run"]),
    ("esb explain", ["esb explain esb::sam::event", "esb explain"]),
    ("esb version", ["esb version", "esb version --format json"]),
    ("esb completions", ["esb completions bash", "esb completions fish | source"]),
    ("esb cache", ["esb cache", "esb cache gc --max-size 10GB"]),
    ("esb cache verify", ["esb cache verify", "esb cache verify --dry-run"]),
    ("esb cache gc", ["esb cache gc", "esb cache gc --max-size 10GB"]),
    ("esb config", ["esb config show --origin", "esb config ls -e prod"]),
    ("esb config show", ["esb config show", "esb config show --origin -e prod"]),
    ("esb config ls", ["esb config ls -e prod", "esb config ls --config-to /srv/config"]),
    (
        "esb config rm",
        [
            "esb config rm --owner template.yaml --dry-run",
            "esb config rm --owner shop:template.yaml",
        ],
    ),
    ("esb image", ["esb image ls", "esb image fetch --to oci:bases"]),
    ("esb image ls", ["esb image ls", "esb image ls --in registry"]),
    ("esb image prune", ["esb image prune --dry-run", "esb image prune --in store --yes"]),
    (
        "esb image import",
        ["esb image import image-import.json", "esb image import image-import.json --dry-run"],
    ),
    ("esb image verify", ["esb image verify -e prod", "esb image verify --config-to /srv/config"]),
    (
        "esb image fetch",
        ["esb image fetch --to oci:bases", "esb image fetch api/template.yaml --to oci:bases"],
    ),
];

const MORE: &str = "More options with `--help`.";

/// The whole command line, arranged for readers.
pub(crate) fn command() -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let root = Cli::command()
        .disable_help_flag(true)
        .arg(help.help("Print help"))
        .disable_version_flag(true)
        .arg(version.help("Print the version"));
    arranged(root, "esb")
}

fn arranged(command: Command, name: &str) -> Command {
    let mut command =
        command.mut_args(|arg| completion::with_candidates(of_group(values_once(arg))));
    let examples = EXAMPLES.iter().find(|(of, _)| *of == name).map(|(_, examples)| {
        let lines = examples.map(|example| format!("\n  {example}"));
        format!("Examples:{}", lines.concat())
    });
    if let Some(examples) = examples {
        command = command.after_help(format!("{examples}\n\n{MORE}")).after_long_help(examples);
    }
    command.mut_subcommands(|below| {
        let name = format!("{name} {}", below.get_name());
        arranged(below, &name)
    })
}

/// A flag under its heading, shown by `-h` when people use it every day.
fn of_group(arg: Arg) -> Arg {
    let Some(long) = arg.get_long().map(str::to_owned) else {
        return if arg.get_id() == "paths" { arg.help_heading(TEMPLATE) } else { arg };
    };
    let is_everyday = EVERYDAY.contains(&&*long);
    let arg = arg.hide_short_help(!is_everyday);
    let heading = HEADINGS.iter().find(|(_, flags)| flags.contains(&&*long));
    match heading {
        Some((heading, _)) => arg.help_heading(*heading),
        None => arg,
    }
}

/// The values of a choice in place of a name for them, so that they are told once. Values with a
/// meaning of their own keep their list.
fn values_once(arg: Arg) -> Arg {
    let values = arg.get_possible_values();
    let is_explained = values.iter().any(|value| value.get_help().is_some());
    if !arg.get_action().takes_values() || values.is_empty() || is_explained {
        return arg;
    }
    let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
    arg.value_name(names.join("|")).hide_possible_values(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with its full name.
    fn all(command: &Command, name: &str) -> Vec<(String, Command)> {
        let own = (name.to_owned(), command.clone());
        let below = command.get_subcommands().filter(|below| below.get_name() != "help");
        let below = below.flat_map(|below| all(below, &format!("{name} {}", below.get_name())));
        [own].into_iter().chain(below).collect()
    }

    fn every_command() -> Vec<(String, Command)> {
        let mut root = command().term_width(100);
        root.build();
        all(&root, "esb")
    }

    #[test]
    fn short_help_fits_a_screen() {
        for (name, mut command) in every_command() {
            let text = command.render_help().to_string();
            assert!(text.lines().count() <= 40, "{name}: {}\n{text}", text.lines().count());
            assert!(text.contains("\nExamples:\n  esb "), "{name}: {text}");
            assert_eq!(text.matches("\n  esb ").count(), 2, "{name}: {text}");
            assert!(text.contains(MORE), "{name}: {text}");
            let long = command.render_long_help().to_string();
            assert!(!long.contains(MORE) && !long.contains("reference"), "{name}: {long}");
        }
    }

    #[test]
    fn every_flag_stands_under_its_heading() {
        for (name, command) in every_command() {
            let flags = command.get_arguments().filter(|arg| arg.get_long().is_some());
            let is_large = ["esb deploy", "esb build"].contains(&&*name);
            for arg in flags.filter(|arg| is_large || arg.is_global_set()) {
                assert!(arg.get_help_heading().is_some(), "{name} {arg}");
            }
            if !is_large {
                continue;
            }
            let mut headings: Vec<&str> = Vec::new();
            headings.extend(command.get_arguments().filter_map(Arg::get_help_heading));
            headings.dedup();
            let place = |heading: &&str| HEADINGS.iter().position(|(known, _)| known == heading);
            let mut seen: Vec<_> = Vec::new();
            for heading in headings.iter().map(place) {
                if !seen.contains(&heading) {
                    seen.push(heading);
                }
            }
            assert!(seen.is_sorted(), "{name}: {headings:?}");
        }
    }

    #[test]
    fn help_fits_a_narrow_terminal() {
        let mut root = command().term_width(60);
        root.build();
        for (name, mut command) in all(&root, "esb") {
            let mut command = std::mem::take(&mut command).term_width(60);
            for text in [command.render_help(), command.render_long_help()] {
                let text = text.to_string();
                let longest = text.lines().filter(|line| !line.contains("Usage:"));
                let longest = longest.max_by_key(|line| line.chars().count()).unwrap_or_default();
                assert!(longest.chars().count() <= 60, "{name}: {longest}");
            }
        }
    }

    #[test]
    fn values_are_told_once() {
        for (name, mut command) in every_command() {
            if ["esb deploy", "esb build"].contains(&&*name) {
                let text = command.render_help().to_string();
                assert!(!text.contains("possible values:"), "{name}: {text}");
            }
            let text = command.render_long_help().to_string();
            assert!(!text.contains("[possible values: docker"), "{name}: {text}");
        }
    }
}
