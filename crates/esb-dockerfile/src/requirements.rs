//! Tells whether a `requirements.txt` or `pyproject.toml` names anything to install.
//!
//! Reads just enough of pip's format to tell distributions that a folder already holds from those
//! that it lacks (docs/contracts/platform.md#dependencies). Resolving and installing are a
//! builder's work.

use std::collections::BTreeSet;

use esb_model::requirements::{Name, Parsed, decode, logical, parse};

/// The requirements in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// Normalised names of distributions that are wanted, or may be.
    names: BTreeSet<String>,
    /// Whether a line asks for something that has no name of a distribution, such as a file, a URL
    /// or another list, or is not understood: only the installation itself can tell then.
    opaque: bool,
    /// Whether a line asks for something on other machines only.
    elsewhere: bool,
    /// The version of Python that it is installed for.
    python: Option<(u32, u32)>,
}

impl Requirements {
    /// Parses a file for a runtime such as `python3.13`.
    pub(crate) fn parse(bytes: &[u8], runtime: &str) -> Self {
        let mut wanted = Self::for_runtime(runtime);
        match decode(bytes) {
            Ok(text) => logical(&text).iter().for_each(|line| wanted.line(&line.text)),
            Err(_) => wanted.opaque = true,
        }
        wanted
    }

    /// Reads `[project] dependencies` of a `pyproject.toml`.
    ///
    /// # Errors
    /// With the reason, when the text is no TOML.
    pub(crate) fn of_project(text: &str, runtime: &str) -> Result<Self, String> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| error.message().escape_debug().to_string())?;
        let mut wanted = Self::for_runtime(runtime);
        let project = table.get("project").and_then(toml::Value::as_table);
        let list = |key: &str| project.and_then(|project| project.get(key)?.as_array());
        for item in list("dependencies").into_iter().flatten() {
            match item.as_str() {
                Some(line) => wanted.requirement(line.trim()),
                None => wanted.opaque = true,
            }
        }
        let mut dynamic = list("dynamic").into_iter().flatten();
        wanted.opaque |= dynamic.any(|name| name.as_str() == Some("dependencies"));
        Ok(wanted)
    }

    fn for_runtime(runtime: &str) -> Self {
        let version = runtime.strip_prefix("python");
        Self { python: version.and_then(version_of), ..Self::default() }
    }

    /// Whether the file asks for nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.opaque && !self.elsewhere
    }

    /// Whether a folder with these entries already holds what the file asks for.
    pub(crate) fn are_held_by<'n>(&self, entries: impl Iterator<Item = &'n str>) -> bool {
        let held: BTreeSet<_> = entries
            .filter_map(|entry| entry.strip_suffix(".dist-info"))
            .filter_map(|stem| stem.rsplit_once('-'))
            .map(|(name, _version)| normalised(name))
            .collect();
        !self.opaque && !held.is_empty() && self.names.is_subset(&held)
    }

    fn line(&mut self, line: &str) {
        // A variable may hold anything, but for one inside of an address.
        let holds_variable =
            |word: &str| word.split_once("${").is_some_and(|(before, _)| !before.contains("://"));
        // A tab parts words as a blank does.
        let line = line.replace('\t', " ");
        match parse(&line) {
            Ok(Parsed { requirement, options }) => {
                self.opaque |= line.split_whitespace().any(holds_variable)
                    || options.iter().any(|(name, _)| !asks_for_nothing(*name));
                if !requirement.is_empty() {
                    self.requirement(&requirement);
                }
            }
            Err(_) => self.opaque = true,
        }
    }

    fn requirement(&mut self, line: &str) {
        let end = line
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let is_requirement =
            rest.is_empty() || rest.starts_with(['=', '<', '>', '!', '~', '[', '(', ';', '@', ',']);
        let is_file = rest.is_empty() && [".whl", ".zip", ".gz"].iter().any(|e| name.ends_with(e));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        // The `;` of an address may be a part of it.
        let marker = rest.split_once(';').filter(|(before, _)| !before.contains('@'));
        if !is_name || !is_requirement || is_file {
            self.opaque = true;
        } else if marker.is_some_and(|(_, marker)| self.is_elsewhere(marker)) {
            self.elsewhere = true;
        } else {
            self.names.insert(normalised(name));
        }
    }

    /// Whether a marker certainly leaves its requirement out. Only comparisons joined by `and` are
    /// understood; any other counts as one that may hold.
    fn is_elsewhere(&self, marker: &str) -> bool {
        let is_plain = !marker.contains(['(', ')']) && !marker.contains(" or ");
        is_plain && marker.split(" and ").any(|comparison| self.is_false(comparison))
    }

    fn is_false(&self, comparison: &str) -> bool {
        let operators = ["<=", ">=", "==", "!=", "<", ">"];
        let Some(at) = comparison.find(['<', '>', '=', '!', '~']) else { return false };
        let (variable, rest) = comparison.split_at(at);
        let Some(operator) = operators.iter().find(|operator| rest.starts_with(**operator)) else {
            return false;
        };
        let value = rest[operator.len()..].trim();
        let inner = ['\'', '"'].iter().find_map(|quote| {
            value.strip_prefix(*quote)?.strip_suffix(*quote).filter(|inner| !inner.contains(*quote))
        });
        let Some(value) = inner else { return false };
        let of_linux = match variable.trim() {
            "python_version" => {
                let (Some(own), Some(other)) = (self.python, version_of(value)) else {
                    return false;
                };
                return !match *operator {
                    "<=" => own <= other,
                    ">=" => own >= other,
                    "==" => own == other,
                    "!=" => own != other,
                    "<" => own < other,
                    _ => own > other,
                };
            }
            "sys_platform" => "linux",
            "platform_system" => "Linux",
            "os_name" => "posix",
            _ => return false,
        };
        match *operator {
            "==" => value != of_linux,
            "!=" => value == of_linux,
            _ => false,
        }
    }
}

/// Whether an option installs nothing by itself.
fn asks_for_nothing(name: Name) -> bool {
    !matches!(name, Name::Requirement | Name::Editable)
}

/// `3` or `3.13`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
    (is_number(major) && is_number(minor)).then_some(())?;
    Some((major.parse().ok()?, minor.parse().ok()?))
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
            assert_eq!(
                Requirements::parse(text.as_bytes(), "python3.13").is_empty(),
                empty,
                "{text:?}"
            );
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
            let wanted = Requirements::of_project(text, "python3.13").unwrap();
            assert_eq!(wanted.is_empty(), empty, "{text:?}");
            assert_eq!(wanted.are_held_by(["six-1.dist-info"].into_iter()), held, "{text:?}");
        };
        check("[project]\nname = 'a'\ndependencies = ['six >= 1']\n", false, true);
        check("[project]\ndependencies = ['six', 'other[x]']\n", false, false);
        check("[tool.x]\ndependencies = ['six']\n", true, true);
        check("", true, true);
        assert!(Requirements::of_project("[project\n", "python3.13").is_err());
    }

    #[test]
    fn held_distributions() {
        let held = ["Jinja2-3.1.4.dist-info", "ruamel.yaml-0.18.dist-info", "app.py", "jinja2"];
        let check = |text: &str, expected: bool| {
            let wanted = Requirements::parse(text.as_bytes(), "python3.13");
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
        let nothing = Requirements::parse(b"tomli; python_version < '3.11'", "python3.13");
        assert!(!nothing.are_held_by(["app.py"].into_iter()));
    }

    #[test]
    fn what_is_not_understood_is_never_left_out() {
        for text in [
            "--extra-index-url https://h/simple \\\n--trusted-host h \\\n-r base.txt\n",
            "--no-index --pre -r base.txt",
            "-f /x \\\n-r base.txt",
            "--pre \\\n-r base.txt",
            "--pre --requirem=base.txt",
            "-i x -e./lib",
            "--no-deps",
            "--index-url ${INDEX}",
            "six==${VERSION}",
            "--pre\u{b}-r base.txt",
            "--pre\u{2028}-r base.txt",
            "-i 'x",
        ] {
            let wanted = Requirements::parse(text.as_bytes(), "python3.13");
            assert!(!wanted.is_empty(), "{text:?}");
            assert!(!wanted.are_held_by(["six-1.0.dist-info"].into_iter()), "{text:?}");
        }
        for bytes in [b"\xff\xfes\0".as_slice(), b"\xffsix", b"# c\ralpha==1.0\rbeta\r"] {
            let wanted = Requirements::parse(bytes, "python3.13");
            assert!(!wanted.is_empty() && !wanted.are_held_by(["six-1.0.dist-info"].into_iter()));
        }
        for text in ["[project]\ndynamic = ['dependencies']\n", "[project]\ndependencies = [1]\n"] {
            assert!(!Requirements::of_project(text, "python3.13").unwrap().is_empty(), "{text}");
        }
        let address = "-i https://u:${TOKEN}@h/ --trusted-host h";
        assert!(Requirements::parse(address.as_bytes(), "python3.13").is_empty());
    }

    #[test]
    fn markers_leave_out_only_what_is_certain() {
        let check = |marker: &str, held: bool| {
            let text = format!("alpha==1.0 ; {marker}\n");
            let wanted = Requirements::parse(text.as_bytes(), "python3.13");
            assert!(!wanted.is_empty(), "{marker}");
            assert_eq!(wanted.are_held_by(["vend-1.0.dist-info"].into_iter()), held, "{marker}");
            assert!(wanted.are_held_by(["alpha-1.0.dist-info"].into_iter()), "{marker}");
        };
        check("python_version >= \"3.9\"", false);
        check("python_version >= '3.9' and python_version < '4'", false);
        check("python_version >= '3.9' and python_version < '3.13'", true);
        check("python_version < '3.9' or os_name == 'posix'", false);
        check("(python_version < '3.9')", false);
        check("python_version == '3.*'", false);
        check("'3.9' > python_version", false);
        check("python_version < '3.9' \"", false);
        check("sys_platform == 'win32'", true);
        check("sys_platform != 'win32'", false);
        check("platform_system == \"Linux\"", false);
        check("extra == 'x'", false);
        check("python_full_version >= '3.13.1'", false);
    }
}
