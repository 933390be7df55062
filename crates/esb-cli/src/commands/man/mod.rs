//! Manual pages: one of section 1 for each command, made from the command line's own description,
//! and one of section 5 for `esb.toml`.

mod page;

use std::fmt::Write as _;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use crate::{cli::help, environment::VARIABLES, exit_code::Exit, settings_text};

pub(crate) use page::Page;

/// Files that commands read and write.
const FILES: [(&str, &str); 8] = [
    ("esb.toml", "settings of the project, see esb.toml(5)"),
    ("esb.schema.json", "what editors check esb.toml by, written by `esb init`; to be committed"),
    ("esb.lock", "the exact versions that images are made of; to be committed"),
    ("samconfig.toml", "parameters and the stack's name, as SAM CLI keeps them"),
    (".env", "further environment variables, in the folder in which the command runs"),
    (".esb", "what was generated for each environment, in the project's root"),
    ("~/.cache/esb", "content store and caches (`ESB_CACHE_DIR`)"),
    ("~/.docker/config.json", "credentials of registries (`DOCKER_CONFIG`)"),
];

/// Commands that whoever reads about one may want.
const RELATED: [(&str, &[&str]); 11] = [
    ("deploy", &["build", "validate", "invoke", "logs", "config"]),
    ("build", &["deploy", "image", "cache"]),
    ("validate", &["explain", "inspect"]),
    ("inspect", &["validate"]),
    ("invoke", &["deploy", "logs"]),
    ("logs", &["invoke"]),
    ("init", &["deploy", "config"]),
    ("cache", &["build"]),
    ("config", &["init", "deploy"]),
    ("image", &["build", "deploy"]),
    ("explain", &["validate"]),
];

/// The files of those that commands have pages of their own for.
const OWN_FILES: [(&str, &[&str]); 1] = [("esb-init", &["esb.toml", "esb.schema.json"])];

/// How every command may end: each reads an env file, and writes to stdout.
const COMMON_EXITS: [Exit; 5] =
    [Exit::Success, Exit::Input, Exit::Usage, Exit::Local, Exit::Interrupted];

/// How else a command may end, by the name of its page.
const EXITS: [(&str, &[Exit]); 13] = [
    ("esb-deploy", &[Exit::Build, Exit::Remote, Exit::Locked, Exit::Difference, Exit::Changes]),
    ("esb-build", &[Exit::Build, Exit::Remote, Exit::Locked, Exit::Difference, Exit::Changes]),
    ("esb-invoke", &[Exit::Remote, Exit::Invoke]),
    ("esb-logs", &[Exit::Remote]),
    ("esb-cache-gc", &[Exit::Locked]),
    ("esb-cache-verify", &[Exit::Difference]),
    ("esb-config-ls", &[Exit::Remote]),
    ("esb-config-rm", &[Exit::Remote, Exit::Locked]),
    ("esb-image-ls", &[Exit::Remote]),
    ("esb-image-prune", &[Exit::Remote, Exit::Locked]),
    ("esb-image-import", &[Exit::Remote]),
    ("esb-image-verify", &[Exit::Remote, Exit::Difference]),
    ("esb-image-fetch", &[Exit::Build, Exit::Remote, Exit::Difference]),
];

/// All pages, in the order of `esb --help`.
pub(crate) fn pages() -> Vec<Page> {
    let mut root = help::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    of_command(&root, None, &mut pages);
    pages.push(of_settings());
    pages
}

/// The page of a command, and then those of the commands below it.
fn of_command(command: &Command, parent: Option<(&str, &Command)>, pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let shown = command.clone().mut_args(|arg| arg.hide_short_help(false)).override_usage(usage);
    let man = Man::new(shown.subcommand_help_heading("COMMANDS"));
    let (mut text, mut options) = (Vec::new(), Vec::new());
    let mut written = man.render_name_section(&mut text).is_ok()
        && man.render_synopsis_section(&mut text).is_ok()
        // Without more words than its name has a command needs no description.
        && (command.get_long_about().is_none() || man.render_description_section(&mut text).is_ok())
        && man.render_options_section(&mut options).is_ok();
    text.extend_from_slice(one_section(&String::from_utf8_lossy(&options)).as_bytes());
    let below: Vec<&Command> = visible(command).collect();
    if !below.is_empty() {
        written &= man.render_subcommands_section(&mut text).is_ok();
    }
    let mut more = Roff::new();
    let exits = exits(&name);
    table(&mut more, "EXIT STATUS", exits.iter().map(|(exit, meaning)| (&**exit, *meaning)));
    if parent.is_none() {
        table(&mut more, "ENVIRONMENT", VARIABLES.iter().copied());
        table(&mut more, "FILES", FILES);
    } else {
        more.control("SH", ["ENVIRONMENT"]);
        more.text([roman("The variables that commands read are in "), bold("esb"), roman("(1).")]);
        if let Some((_, own)) = OWN_FILES.iter().find(|(page, _)| *page == name) {
            table(&mut more, "FILES", FILES.into_iter().filter(|(file, _)| own.contains(file)));
        }
    }
    examples(&mut more, command);
    let mut related = related(command, &name, parent);
    related.push(("esb.toml".to_owned(), '5'));
    see_also(&mut more, &related);
    written &= more.to_writer(&mut text).is_ok();
    debug_assert!(written, "memory can be written to");
    pages.push(Page::new(&name, '1', &String::from_utf8_lossy(&text)));
    for child in below {
        of_command(child, Some((&name, command)), pages);
    }
}

/// The exit codes of a command and of those below it, with their meanings.
fn exits(name: &str) -> Vec<(String, &'static str)> {
    let below = format!("{name}-");
    let own = EXITS.iter().filter(|(page, _)| *page == name || page.starts_with(&below));
    let known: Vec<&Exit> = own.flat_map(|(_, exits)| *exits).chain(&COMMON_EXITS).collect();
    let exits = Exit::ALL.into_iter().filter(|(exit, _)| known.contains(&exit));
    exits.map(|(exit, meaning)| ((exit as u8).to_string(), meaning)).collect()
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set())
}

/// Options as one section, with a subsection for each of their groups.
fn one_section(options: &str) -> String {
    let mut text = ".SH OPTIONS\n".to_owned();
    for line in options.lines() {
        match line.strip_prefix(".SH ").map(|heading| heading.trim_matches('"')) {
            Some("OPTIONS") => continue,
            Some(heading) => {
                let (first, rest) = heading.split_at(1);
                let _ = write!(text, ".SS \"{first}{}\"", rest.to_lowercase());
            }
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn table<'a>(page: &mut Roff, heading: &str, rows: impl IntoIterator<Item = (&'a str, &'a str)>) {
    page.control("SH", [heading]);
    for (name, meaning) in rows {
        page.control("TP", []);
        page.text([bold(name)]);
        page.text([roman(meaning)]);
    }
}

fn examples(page: &mut Roff, command: &Command) {
    let Some(text) = command.get_after_long_help() else { return };
    let text = text.to_string();
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("  ").map(str::trim_end)).collect();
    if !lines.is_empty() {
        page.control("SH", ["EXAMPLES"]);
        verbatim(page, lines);
    }
}

/// Pages of the command above, of those beside, and of those below.
fn related(command: &Command, name: &str, parent: Option<(&str, &Command)>) -> Vec<(String, char)> {
    let mut names = Vec::new();
    if let Some((above, parent)) = parent {
        names.push("esb".to_owned());
        if above == "esb" {
            let found = RELATED.iter().find(|(name, _)| *name == command.get_name());
            let found = found.map_or(&[][..], |(_, related)| related);
            names.extend(found.iter().map(|other| format!("esb-{other}")));
        } else {
            names.push(above.to_owned());
            let others = visible(parent).map(|other| format!("{above}-{}", other.get_name()));
            names.extend(others.filter(|other| other != name));
        }
    }
    names.extend(visible(command).map(|below| format!("{name}-{}", below.get_name())));
    names.into_iter().map(|name| (name, '1')).collect()
}

/// The last section: other pages by their names and sections.
fn see_also(page: &mut Roff, pages: &[(String, char)]) {
    page.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (name, section) in pages {
        let comma = if line.is_empty() { "" } else { ", " };
        line.extend([roman(comma), bold(name), roman(format!("({section})"))]);
    }
    page.text(line);
}

/// The page of `esb.toml`: the file that explains every key.
fn of_settings() -> Page {
    let mut text = Roff::new();
    text.control("SH", ["NAME"]);
    text.text([roman("esb.toml - settings of a project")]);
    text.control("SH", ["DESCRIPTION"]);
    text.text([roman(
        "The file lies in the root of a project. This is all that it may hold; `esb init` writes it.",
    )]);
    text.control("SH", ["SETTINGS"]);
    verbatim(&mut text, settings_text::text(&[]).lines().collect());
    see_also(&mut text, &["esb", "esb-init", "esb-config-show"].map(|name| (name.to_owned(), '1')));
    Page::new("esb.toml", '5', &text.to_roff())
}

/// Lines that are shown as they are.
fn verbatim(page: &mut Roff, lines: Vec<&str>) {
    page.control("nf", []);
    for line in lines {
        page.text([roman(line)]);
    }
    page.control("fi", []);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `man` readers complain about characters that are not ASCII and show nothing for an option
    /// without text.
    #[test]
    fn each_command_has_a_page_that_says_what_each_option_does() {
        let pages = pages();
        let names: Vec<&str> = pages.iter().map(|page| &*page.name).collect();
        for name in ["esb.1", "esb-deploy.1", "esb-image-fetch.1", "esb-config-ls.1", "esb.toml.5"]
        {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        for page in &pages {
            assert!(page.text.is_ascii(), "{}", page.name);
            let lines: Vec<&str> = page.text.lines().collect();
            for option in lines.windows(3).filter(|lines| lines[0] == ".TP") {
                let says = option[2];
                assert!(!says.is_empty() && says != ".TP", "{}: {option:?}", page.name);
            }
            let section = |name: &str| {
                let (_, text) = page.text.split_once(&format!(".SH {name}\n"))?;
                text.split(".SH ").next()
            };
            if let (Some(name), Some(more)) = (section("NAME"), section("DESCRIPTION")) {
                let name = name.split_once(" \\- ").map_or(name, |(_, about)| about).trim();
                assert!(more.trim() != name, "{}: {name}", page.name);
            }
            let sections = page.text.lines().filter_map(|line| line.strip_prefix(".SH "));
            let sections: Vec<&str> = sections.map(|name| name.trim_matches('"')).collect();
            // In the order of man-pages(7).
            let order = [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "OPTIONS",
                "COMMANDS",
                "SETTINGS",
                "EXIT STATUS",
                "ENVIRONMENT",
                "FILES",
                "EXAMPLES",
                "SEE ALSO",
            ];
            let places = sections.iter().map(|name| order.iter().position(|one| one == name));
            let places: Vec<usize> = places.map(|place| place.expect("a known section")).collect();
            assert!(places.is_sorted(), "{}: {sections:?}", page.name);
            let last = page.text.split_once(".SH \"SEE ALSO\"\n").unwrap().1;
            for name in last.trim().split(", ") {
                let file = name.replace("\\fB", "").replace("\\fR", "").replace("\\-", "-");
                let file = file.replace('(', ".").replace(')', "");
                assert!(names.contains(&&*file) && file != page.name, "{}: {file}", page.name);
            }
        }
        let validate = &pages.iter().find(|page| page.name == "esb-validate.1").unwrap().text;
        assert!(validate.contains(r"esb validate \-\-deny warnings"), "{validate}");
        let exits = |name: &str| {
            let page = pages.iter().find(|page| page.name == format!("{name}.1"));
            let page = page.unwrap_or_else(|| panic!("{name} has no page"));
            let (_, exits) = page.text.split_once(".SH \"EXIT STATUS\"\n").unwrap();
            let exits = exits.split_once(".SH").unwrap().0.split("\\fB").skip(1);
            let numbers = exits.filter_map(|text| text.split_once("\\fR\n")?.0.parse().ok());
            numbers.collect::<Vec<u8>>()
        };
        assert_eq!(exits("esb").len(), Exit::ALL.len());
        for name in ["esb-init", "esb-completions", "esb-validate", "esb-config-show"] {
            assert_eq!(exits(name), [0, 1, 2, 9, 130], "{name}");
        }
        assert_eq!(exits("esb-invoke"), [0, 1, 2, 4, 6, 9, 130]);
        assert_eq!(exits("esb-cache"), [0, 1, 2, 5, 7, 9, 130]);
        for (name, more) in EXITS {
            assert_eq!(exits(name).len(), COMMON_EXITS.len() + more.len(), "{name}");
        }
        let init = &pages.iter().find(|page| page.name == "esb-init.1").unwrap().text;
        assert!(init.contains("\\fBesb.schema.json\\fR\n"), "{init}");
    }
}
