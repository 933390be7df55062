//! Tells whether a `requirements.txt` or `pyproject.toml` names anything to install.
//!
//! Reads just enough of pip's format to tell distributions that a folder already holds from those
//! that it lacks (docs/contracts/platform.md#dependencies). Resolving and installing are a
//! builder's work.

use std::collections::BTreeSet;

/// The requirements in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Normalised names of distributions that are wanted anywhere.
    names: BTreeSet<String>,
    /// Whether a line asks for something that has no name of a distribution: a file, a URL, another
    /// list.
    opaque: bool,
    /// Whether a line depends on where it is installed.
    conditional: bool,
}

impl Requirements {
    /// Parses a file's text; unknown options are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut wanted = Self::default();
        for line in logical_lines(text) {
            wanted.add(&line);
        }
        wanted
    }

    /// Reads `[project] dependencies` of a `pyproject.toml`.
    ///
    /// # Errors
    /// With the reason, when the text is no TOML.
    pub(crate) fn of_project(text: &str) -> Result<Self, String> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| error.message().escape_debug().to_string())?;
        let mut wanted = Self::default();
        let project = table.get("project").and_then(toml::Value::as_table);
        let list = project.and_then(|project| project.get("dependencies")?.as_array());
        for line in list.into_iter().flatten().filter_map(toml::Value::as_str) {
            wanted.add(line.trim());
        }
        Ok(wanted)
    }

    /// Whether the file asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.opaque && !self.conditional
    }

    /// Whether a folder with these entries already holds what the file asks for.
    ///
    /// Conditional requirements may rightly be missing, so they count as held where anything is.
    pub(crate) fn are_held_by<'n>(&self, entries: impl Iterator<Item = &'n str>) -> bool {
        let held: BTreeSet<_> = entries
            .filter_map(|entry| entry.strip_suffix(".dist-info"))
            .filter_map(|stem| stem.rsplit_once('-'))
            .map(|(name, _version)| normalised(name))
            .collect();
        !self.opaque && !held.is_empty() && self.names.is_subset(&held)
    }

    fn add(&mut self, line: &str) {
        if let Some(option) = line.strip_prefix('-') {
            let asks = ["r", "e", "-requirement", "-editable"];
            let option_name = option.split([' ', '=', '\t']).next().unwrap_or_default();
            // `-rother.txt` needs no space.
            let short = option.starts_with(['r', 'e']);
            self.opaque |= asks.contains(&option_name) || short;
            return;
        }
        let end = line
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let is_requirement =
            rest.is_empty() || rest.starts_with(['=', '<', '>', '!', '~', '[', '(', ';', '@', ',']);
        let is_file = rest.is_empty() && [".whl", ".zip", ".gz"].iter().any(|e| name.ends_with(e));
        if name.is_empty() || name.starts_with('.') || !is_requirement || is_file {
            self.opaque = true;
        } else if rest.contains(';') {
            self.conditional = true;
        } else {
            self.names.insert(normalised(name));
        }
    }
}

/// The lines that pip sees: continued lines joined, comments, hashes and blank lines gone.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = if line.trim_start().starts_with('#') {
            ""
        } else {
            line.split_once(" #").or_else(|| line.split_once("\t#")).map_or(line, |(line, _)| line)
        };
        if let Some(line) = line.strip_suffix('\\') {
            open.push_str(line);
            open.push(' ');
            continue;
        }
        open.push_str(line);
        let whole = std::mem::take(&mut open);
        let whole = whole.split(" --").next().unwrap_or_default().trim();
        if !whole.is_empty() {
            lines.push(whole.to_owned());
        }
    }
    let rest = open.split(" --").next().unwrap_or_default().trim().to_owned();
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// A distribution's name as it is compared: lower case, runs of separators as one `-`.
fn normalised(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '.' | '_' | '-' if plain.ends_with('-') => {}
            '.' | '_' | '-' => plain.push('-'),
            c => plain.push(c.to_ascii_lowercase()),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_files_ask_for_nothing() {
        let check = |text: &str, empty: bool| {
            assert_eq!(Requirements::parse(text).is_empty(), empty, "{text:?}");
        };
        check("", true);
        check("\u{feff}# nothing\n\n   # indented\n", true);
        check("--index-url https://example.org/simple\n-i x\n-c limits.txt\n", true);
        check("boto3", false);
        check("boto3 ; python_version < '3'", false);
        check("-r more.txt", false);
        check("-rmore.txt", false);
        check("git+https://example.org/x.git", false);
    }

    #[test]
    fn projects_ask_too() {
        let check = |text: &str, empty: bool, held: bool| {
            let wanted = Requirements::of_project(text).unwrap();
            assert_eq!(wanted.is_empty(), empty, "{text:?}");
            assert_eq!(wanted.are_held_by(["six-1.dist-info"].into_iter()), held, "{text:?}");
        };
        check("[project]\nname = 'a'\ndependencies = ['six >= 1']\n", false, true);
        check("[project]\ndependencies = ['six', 'other[x]']\n", false, false);
        check("[tool.x]\ndependencies = ['six']\n", true, true);
        check("", true, true);
        assert!(Requirements::of_project("[project\n").is_err());
    }

    #[test]
    fn held_distributions() {
        let held = ["Jinja2-3.1.4.dist-info", "ruamel.yaml-0.18.dist-info", "app.py", "jinja2"];
        let check = |text: &str, expected: bool| {
            let wanted = Requirements::parse(text);
            assert_eq!(wanted.are_held_by(held.iter().copied()), expected, "{text:?}");
        };
        check("jinja2", true);
        check("Jinja2==3.1.4 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n", true);
        check("jinja2>=3  # templates\nruamel_yaml", true);
        check("jinja2[i18n]>=3,<4\nRuamel.YAML @ https://example.org/r.whl", true);
        check("jinja2\nrequests", false);
        check("jinja2\ntomli; python_version < '3.11'", true);
        check("jinja2\n-r more.txt", false);
        check("jinja2\n./vendored", false);
        check("jinja2\nvendored/x.whl", false);
        check("x.whl", false);
        check("jinja2\n--pre\n", true);
        let nothing = Requirements::parse("tomli; python_version < '3.11'");
        assert!(!nothing.are_held_by(["app.py"].into_iter()));
    }
}
