//! Manual pages: one of section 1 for each command, made from the command line's own description,
//! and one of section 5 for `esb.toml`.

use std::fmt::Write as _;

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use crate::{cli::help, environment::VARIABLES, exit_code::Exit, settings_text};

/// What the pages belong to, in their last lines.
const MANUAL: &str = "esb manual";

/// What an apostrophe is called, which the language writes otherwise than other characters.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '";

/// A manual page.
pub(crate) struct Page {
    /// The file's name, such as `esb-deploy.1`.
    pub(crate) name: String,
    /// The text in the language of `man`.
    pub(crate) text: String,
}

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
fn of_command(command: &Command, parent: Option<&str>, pages: &mut Vec<Page>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let shown = command.clone().mut_args(|arg| arg.hide_short_help(false)).override_usage(usage);
    let man = Man::new(shown);
    let mut text = Vec::new();
    let mut written = man.render_name_section(&mut text).is_ok()
        && man.render_synopsis_section(&mut text).is_ok()
        && man.render_description_section(&mut text).is_ok()
        && man.render_options_section(&mut text).is_ok();
    let below: Vec<&Command> =
        command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    if !below.is_empty() {
        written &= man.render_subcommands_section(&mut text).is_ok();
    }
    let mut more = Roff::new();
    examples(&mut more, command);
    if parent.is_none() {
        environment(&mut more);
    }
    exit_status(&mut more);
    let names = below.iter().map(|below| format!("{name}-{}", below.get_name()));
    see_also(&mut more, parent, names.collect());
    written &= more.to_writer(&mut text).is_ok();
    debug_assert!(written, "memory can be written to");
    pages.push(page(&name, '1', &String::from_utf8_lossy(&text)));
    for command in below {
        of_command(command, Some(&name), pages);
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

fn environment(page: &mut Roff) {
    page.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in VARIABLES {
        page.control("TP", []);
        page.text([bold(*name)]);
        page.text([roman(meaning.replace('`', ""))]);
    }
}

fn exit_status(page: &mut Roff) {
    page.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::ALL {
        page.control("TP", []);
        page.text([bold((exit as u8).to_string())]);
        page.text([roman(meaning.replace('`', ""))]);
    }
}

fn see_also(page: &mut Roff, parent: Option<&str>, below: Vec<String>) {
    let mut names: Vec<String> = parent.into_iter().map(str::to_owned).chain(below).collect();
    if parent.is_some_and(|parent| parent != "esb") {
        names.insert(0, "esb".to_owned());
    }
    page.control("SH", ["SEE ALSO"]);
    let names: Vec<String> =
        names.iter().map(|name| format!("{name}(1)")).chain(["esb.toml(5)".to_owned()]).collect();
    page.text([roman(names.join(", "))]);
}

/// The page of `esb.toml`: the file that explains every key.
fn of_settings() -> Page {
    let mut text = Roff::new();
    text.control("SH", ["NAME"]);
    text.text([roman("esb.toml - settings of a project")]);
    text.control("SH", ["DESCRIPTION"]);
    text.text([roman(
        "The file lies in the root of a project. This is all that it may hold; esb init writes it.",
    )]);
    text.control("SH", ["SETTINGS"]);
    verbatim(&mut text, settings_text::text(&[]).lines().collect());
    text.control("SH", ["SEE ALSO"]);
    text.text([roman("esb(1), esb-init(1), esb-config-show(1)")]);
    page("esb.toml", '5', &text.to_roff())
}

/// A page of what the sections hold. They come from several calls: what each of them says for all is
/// said once, and so are breaks of lines.
fn page(name: &str, section: char, sections: &str) -> Page {
    let source = concat!("esb ", env!("CARGO_PKG_VERSION"));
    let title = name.to_uppercase();
    let mut text =
        format!("{APOSTROPHE}\n.TH \"{title}\" \"{section}\" \"\" \"{source}\" \"{MANUAL}\"\n");
    let mut lines = sections.lines().peekable();
    while let Some(line) = lines.next() {
        if APOSTROPHE.contains(line) && line.len() > 1 {
            continue;
        }
        // An empty line before a request is no text, and one break is enough.
        let is_followed = lines.peek().is_none_or(|next| next.starts_with('.'));
        if line.is_empty() && is_followed || line == ".br" && text.ends_with("\n.br\n") {
            continue;
        }
        for c in line.chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                let _ = write!(text, "\\[u{:04X}]", u32::from(c));
            }
        }
        text.push('\n');
    }
    Page { name: format!("{name}.{section}"), text }
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
            assert!(page.text.contains(".SH \"SEE ALSO\""), "{}", page.name);
        }
        let validate = &pages.iter().find(|page| page.name == "esb-validate.1").unwrap().text;
        assert!(validate.contains(r"esb validate \-\-deny warnings"), "{validate}");
        assert!(validate.contains("\\fB7\\fR\n"), "{validate}");
    }
}
