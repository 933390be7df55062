//! The reference pages of `docs/reference`, and the manual pages.

use std::fmt::Write as _;

use clap::ValueEnum as _;

use super::man;
use crate::{
    cli::{ReferencePage, help},
    environment::VARIABLES,
    exit_code::Exit,
    explain,
    printer::Printer,
    settings_schema, settings_text,
};

/// The longest line of the page of commands.
const WIDTH: usize = 100;

/// The page that the documentation's generator asks for: `esb reference PAGE`, which is no command
/// for people.
pub(crate) fn requested(mut words: impl Iterator<Item = String>) -> Option<ReferencePage> {
    let page = words.next().filter(|word| word == "reference").and(words.next())?;
    ReferencePage::from_str(&page, false).ok()
}

/// Prints a page.
pub(crate) fn page(page: ReferencePage) {
    let text = match page {
        ReferencePage::Commands => commands(),
        ReferencePage::Variables => variables(),
        ReferencePage::ExitCodes => exit_codes(),
        ReferencePage::Findings => explain::page(),
        ReferencePage::EsbToml => settings_text::text(&[]),
        ReferencePage::EsbTomlSchema => settings_schema::text(),
        ReferencePage::Man => manual(),
    };
    Printer::out_bytes(text.as_bytes());
}

fn commands() -> String {
    let mut text = "# Commands\n\nMade from the code by `cargo xtask generate`.\n".to_owned();
    // The same on every terminal.
    let mut root = help::command().term_width(WIDTH);
    root.build();
    let mut names: Vec<String> = Vec::new();
    names.extend(
        root.get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help")
            .map(|command| command.get_name().to_owned()),
    );
    let mut section = |title: &str, command: &mut clap::Command| {
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(text, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    };
    section("esb", &mut root);
    for name in names {
        if let Some(command) = root.find_subcommand(&name) {
            // The options of all commands stand in the first section.
            let hide = |arg: clap::Arg| if arg.is_global_set() { arg.hide(true) } else { arg };
            let mut command = command.clone().mut_args(hide);
            section(&format!("esb {name}"), &mut command);
            for nested in command.get_subcommands().filter(|nested| nested.get_name() != "help") {
                let title = format!("esb {name} {}", nested.get_name());
                section(&title, &mut nested.clone().mut_args(hide));
            }
        }
    }
    text
}

/// All manual pages in one text; a comment with the name of its file stands before each.
fn manual() -> String {
    man::pages().into_iter().fold(String::new(), |mut text, page| {
        let _ = writeln!(text, ".\\\" {}", page.name);
        text.push_str(&page.text);
        text
    })
}

fn variables() -> String {
    let head = "# Environment variables\n\nMade from the code by `cargo xtask generate`. The \
                prefix `ESB_` follows the brand.\nAn empty value counts as unset. A flag wins over \
                its variable, a variable over the env file.\n\n| variable | meaning |\n|---|---|\n";
    VARIABLES.iter().fold(head.to_owned(), |mut text, (name, meaning)| {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
        text
    })
}

fn exit_codes() -> String {
    let head = "# Exit codes\n\nMade from the code by `cargo xtask generate`.\n\n| code | meaning \
                |\n|---:|---|\n";
    Exit::ALL.iter().fold(head.to_owned(), |mut text, (exit, meaning)| {
        let _ = writeln!(text, "| {} | {meaning} |", *exit as u8);
        text
    })
}
