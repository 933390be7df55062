//! Reads `esb.toml`: settings of a project, with exceptions for some environments.
//!
//! Owns the file's keys and their check. Each key means the same as the flag of that name. Flags
//! and variables take precedence, which the command line applies.

mod keys;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_model::{FollowLinks, check_environment_name, decode_text};
use esb_oci::leads_outside;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

pub use self::keys::{
    CONFIRM, ENVIRONMENT_PATTERN, Form, Holds, KEYS, Key, LEVELS, MOVING_TAG, TRUST_REGISTRY,
};
use self::keys::{FINDINGS, FOLLOW_LINKS, REQUIRED_VERSION, TABLES, known};
use crate::{
    error::{Error, Kind},
    levels::Level,
};

/// The file's name, whatever the brand.
pub const NAME: &str = "esb.toml";

/// The most bytes that are read.
const LIMIT: u64 = 1024 * 1024;

/// What helps where this program is none of them.
const GET_VERSION: &str =
    "install a release that fits, or change `required-version` if this one may be used";

/// What helps where the key's value is no list of versions.
const WRITE_VERSIONS: &str = "write versions as in \">=0.2, <0.4\" or \"=0.2.1\"";

/// The code of errors of the file.
const SETTINGS: &str = "settings";

/// A project's settings for one environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where the file lies; none when the project has none.
    pub root: Option<PathBuf>,
    values: BTreeMap<String, Setting>,
}

/// A setting with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub values: Vec<String>,
    /// Whether it stands under `[env.NAME]`.
    pub of_environment: bool,
}

/// The whole file.
#[derive(Debug, Clone, Default)]
pub struct SettingsFile {
    root: Option<PathBuf>,
    top: BTreeMap<String, Vec<String>>,
    environments: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The value around a place in the text when it is an address that somebody wrote without quotes.
fn unquoted(text: &str, at: usize) -> Option<&str> {
    let line_start = text.get(..at)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next()?;
    let value = line.split_once('=')?.1.split('#').next()?.trim();
    let is_word = |c: char| c.is_ascii_alphanumeric() || ".:/-_@".contains(c);
    (value.contains(['.', ':', '/']) && value.chars().all(is_word)).then_some(value)
}

impl SettingsFile {
    /// Reads the file of the nearest folder from `start` upwards that is a project's root.
    ///
    /// # Errors
    /// When it cannot be read, has a key that it does not know, or asks for another version.
    pub fn find(start: &Path, given: Option<&Path>) -> Result<Self, Error> {
        // A link that leads nowhere is there, and is told when it is read.
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let marked = |dir: &&Path| is_there(&dir.join(NAME)) || is_there(&dir.join(".git"));
        let root = given.or_else(|| start.ancestors().find(marked));
        let Some(path) = root.map(|root| root.join(NAME)).filter(|path| is_there(path)) else {
            return Ok(Self::default());
        };
        let failed = |code: &str, line: Option<usize>, cause: String| {
            let text = format!("could not use the settings in `{}`", path.display());
            let mut failure = Error::new(Kind::Input, code, text).in_file(&path, line);
            failure.causes.push(cause);
            failure
        };
        let unread = |error: String| failed(SETTINGS, None, error);
        let bytes = esb_oci::read_file(&path, LIMIT).map_err(|error| unread(error.to_string()))?;
        let text = decode_text(bytes).map_err(|error| unread(error.to_string()))?;
        let read = Self::of_document(&text, env!("CARGO_PKG_VERSION"));
        let mut file = read.map_err(|Wrong { at, words, advice }| {
            // Another file may hold secrets, and its words would be told.
            let is_outside = root.is_some_and(|root| leads_outside(&path, root));
            let words = if is_outside {
                "the link leads out of the project, and these are no settings".to_owned()
            } else {
                words
            };
            let code = if advice.is_some() { REQUIRED_VERSION } else { SETTINGS };
            let wrong = Wrong { at, words, advice: None };
            let (line, _) = wrong.place(&text);
            failed(code, Some(line), wrong.in_text(&text)).maybe_hint(advice)
        })?;
        file.root = root.map(Path::to_owned);
        Ok(file)
    }

    /// Reads the text of the file, for a program of that version.
    ///
    /// # Errors
    /// In words, with line and column, when it is no TOML or says something else than settings.
    pub fn parse(text: &str, version: &str) -> Result<Self, String> {
        Self::of_document(text, version).map_err(|wrong| wrong.in_text(text))
    }

    fn of_document(text: &str, version: &str) -> Result<Self, Wrong> {
        let document = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let words = match unquoted(text, at) {
                Some(value) => format!("`{value}` needs quotes: \"{value}\""),
                None => error.message().trim().to_owned(),
            };
            Wrong { at, words, advice: None }
        })?;
        // First of all: a newer program may know what this one does not.
        check_version(document.get_ref(), version)?;
        let mut file = Self::default();
        for (key, value) in in_order(document.get_ref()) {
            if key.get_ref() != "env" {
                insert(&mut file.top, "", key.get_ref(), key, value)?;
                continue;
            }
            let DeValue::Table(environments) = value.get_ref() else {
                return Err(wrong(value, "`env` holds tables, such as `[env.prod]`"));
            };
            for (name, values) in in_order(environments) {
                check_environment_name(name.get_ref())
                    .map_err(|error| wrong(name, error.to_string()))?;
                let DeValue::Table(table) = values.get_ref() else {
                    return Err(wrong(values, format!("`env.{}` is not a table", name.get_ref())));
                };
                let mut own = BTreeMap::new();
                for (key, value) in in_order(table) {
                    if key.get_ref() == TRUST_REGISTRY {
                        let words =
                            format!("`{TRUST_REGISTRY}` stands at the top of the file, for all");
                        return Err(wrong(key, words));
                    }
                    let place = format!("[env.{}] ", name.get_ref());
                    insert(&mut own, &place, key.get_ref(), key, value)?;
                }
                file.environments.insert(name.get_ref().to_string(), own);
            }
        }
        Ok(file)
    }

    /// The brand at the top level, which names the variables that name the environment.
    pub fn brand(&self) -> Option<&str> {
        self.top.get("brand")?.first().map(String::as_str)
    }

    /// The environments that have a table of their own.
    pub fn environments(&self) -> Vec<&str> {
        self.environments.keys().map(String::as_str).collect()
    }

    /// Whether any table names templates.
    pub fn names_templates(&self) -> bool {
        let mut tables = std::iter::once(&self.top).chain(self.environments.values());
        tables.any(|table| table.get("templates").is_some_and(|paths| !paths.is_empty()))
    }

    /// The settings of one environment.
    pub fn settings(&self, environment: &str) -> Settings {
        let of = |values: &BTreeMap<String, Vec<String>>, of_environment| {
            let one = |(key, values): (&String, &Vec<String>)| {
                (key.clone(), Setting { values: values.clone(), of_environment })
            };
            values.iter().map(one).collect::<BTreeMap<_, _>>()
        };
        let mut values = of(&self.top, false);
        if let Some(own) = self.environments.get(environment) {
            values.extend(of(own, true));
        }
        Settings { root: self.root.clone(), values }
    }
}

impl Settings {
    /// A setting with its place.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.values.get(key)
    }

    /// The first value of a setting.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.values.first().map(String::as_str)
    }

    /// How far links that lead out of code or of a layer may lead.
    pub fn follow_links(&self) -> FollowLinks {
        match self.text(FOLLOW_LINKS) {
            Some("anywhere") => FollowLinks::Anywhere,
            _ => FollowLinks::WithinProject,
        }
    }

    /// The levels of findings.
    pub fn levels(&self) -> BTreeMap<String, Level> {
        let level = |(key, setting): (&String, &Setting)| {
            let code = key.strip_prefix(FINDINGS)?;
            Some((code.to_owned(), Level::named(setting.values.first()?)?))
        };
        self.values.iter().filter_map(level).collect()
    }

    /// Whether a setting is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// Whether a setting is off.
    pub fn is_off(&self, key: &str) -> bool {
        self.text(key) == Some("false")
    }

    /// All values of a setting.
    pub fn list(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], |setting| &setting.values)
    }
}

/// What is wrong with a file, and where.
struct Wrong {
    /// A byte of its text.
    at: usize,
    words: String,
    /// How to get a program of the version that is wanted.
    advice: Option<&'static str>,
}

impl Wrong {
    /// In words, with line and column.
    fn in_text(self, text: &str) -> String {
        let (line, column) = self.place(text);
        format!("line {line}, column {column}: {}", self.words)
    }

    /// Line and column.
    fn place(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at).unwrap_or(text);
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

fn wrong<T>(place: &Spanned<T>, words: impl Into<String>) -> Wrong {
    Wrong { at: place.span().start, words: words.into(), advice: None }
}

/// The entries of a table as they stand in the file, so that the first mistake is told first.
fn in_order<'a, 't>(
    table: &'a DeTable<'t>,
) -> Vec<(&'a Spanned<Cow<'t, str>>, &'a Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// Refuses a file of which a table wants another version.
fn check_version(document: &DeTable<'_>, version: &str) -> Result<(), Wrong> {
    let of_environments = document.get("env").and_then(|value| value.get_ref().as_table());
    let own = of_environments.into_iter().flat_map(|tables| tables.values());
    let own = own.filter_map(|value| value.get_ref().as_table());
    for value in [document].into_iter().chain(own).filter_map(|table| table.get(REQUIRED_VERSION)) {
        let Some(wanted) = value.get_ref().as_str() else { continue };
        let fits = semver::VersionReq::parse(wanted).map_err(|error| {
            let words = format!("`{REQUIRED_VERSION}` is `{}`: {error}", wanted.escape_debug());
            Wrong { advice: Some(WRITE_VERSIONS), ..wrong(value, words) }
        })?;
        let own = semver::Version::parse(version);
        let own = own.map_err(|error| wrong(value, error.to_string()))?;
        if !fits.matches(&own) {
            let words = format!("it needs esb {wanted}, and this is {version}");
            return Err(Wrong { advice: Some(GET_VERSION), ..wrong(value, words) });
        }
    }
    Ok(())
}

/// Takes a key and its value; the keys of the table `[code]` are known with its name before them.
fn insert(
    values: &mut BTreeMap<String, Vec<String>>,
    place: &str,
    key: &str,
    at: &Spanned<Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), Wrong> {
    match value.get_ref() {
        // An empty table may be a key that is none.
        DeValue::Table(inner) if !inner.is_empty() || TABLES.contains(&key) => {
            for (name, value) in in_order(inner) {
                insert(values, place, &format!("{key}.{}", name.get_ref()), name, value)?;
            }
        }
        single => {
            let holds = known(key, at.get_ref(), place).map_err(|words| wrong(at, words))?;
            let texts = holds.read(key, single);
            let texts = texts.map_err(|words| wrong(value, format!("{place}{words}")))?;
            values.insert(key.to_owned(), texts);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_quotes_is_told() {
        for (text, value) in [
            ("registry = 127.0.0.1:5010\n", "127.0.0.1:5010"),
            ("\nregistry = 10.0.0.1/team # ours\n", "10.0.0.1/team"),
            ("[env.prod]\nregistry = registry.example:5000/a\n", "registry.example:5000/a"),
            ("required-version = 1.2.3\n", "1.2.3"),
        ] {
            let said = SettingsFile::parse(text, "1.0.0").unwrap_err();
            assert!(said.contains(&format!("`{value}` needs quotes: \"{value}\"")), "{said}");
            assert!(said.starts_with("line "), "{said}");
        }
        let said = SettingsFile::parse("registry = 'a\n", "1.0.0").unwrap_err();
        assert!(!said.contains("needs quotes"), "{said}");
    }

    #[test]
    fn an_environment_is_stronger_than_the_top() {
        let text = "registry = 'a'\nmirrors = ['x=y', 'z=w']\ntemplates = 'one'\n\
                    required-version = '>=0.1, <2'\n[env.prod]\nregistry = 'b'\n";
        let file = SettingsFile::parse(text, "1.4.0").unwrap();
        let check = |environment: &str, registry, of_environment| {
            let settings = file.settings(environment);
            assert_eq!(settings.text("registry"), Some(registry));
            assert_eq!(settings.get("registry").unwrap().of_environment, of_environment);
            assert_eq!(settings.list("mirrors"), ["x=y", "z=w"]);
            assert_eq!(settings.list("templates"), ["one"]);
        };
        check("dev", "a", false);
        check("prod", "b", true);
        let is_on = |text: &str| {
            SettingsFile::parse(text, "1.4.0").unwrap().settings("prod").is_on(TRUST_REGISTRY)
        };
        assert!(is_on("trust-registry = true"));
        assert!(!is_on("trust-registry = false") && !is_on(text));
        let text = "moving-tag = true\n[env.prod]\nmoving-tag = false\n";
        let file = SettingsFile::parse(text, "1.4.0").unwrap();
        assert!(file.settings("prod").is_off(MOVING_TAG));
        assert!(!file.settings("dev").is_off(MOVING_TAG));
    }

    #[test]
    fn links_are_followed_in_the_project_unless_a_table_says_more() {
        let check = |text: &str, environment: &str, expected: FollowLinks| {
            let settings = SettingsFile::parse(text, "1.0.0").unwrap().settings(environment);
            assert_eq!(settings.follow_links(), expected, "{text} {environment}");
        };
        check("", "dev", FollowLinks::WithinProject);
        check("[code]\nfollow-links = 'anywhere'", "dev", FollowLinks::Anywhere);
        let own = "[code]\nfollow-links = 'anywhere'\n[env.prod.code]\nfollow-links = 'project'";
        check(own, "dev", FollowLinks::Anywhere);
        check(own, "prod", FollowLinks::WithinProject);
    }

    #[test]
    fn an_environment_may_have_levels_of_its_own() {
        let text = "[findings]\n'esb::sam::event' = 'allow'\n'esb::sam::layer' = 'warn'\n\
                    [env.prod.findings]\n'esb::sam::event' = 'deny'\n";
        let file = SettingsFile::parse(text, "1.0.0").unwrap();
        let level =
            |environment: &str, code: &str| file.settings(environment).levels().get(code).copied();
        assert_eq!(level("dev", "esb::sam::event"), Some(Level::Allow));
        assert_eq!(level("prod", "esb::sam::event"), Some(Level::Deny));
        assert_eq!(level("prod", "esb::sam::layer"), Some(Level::Warn));
        assert_eq!(level("prod", "esb::sam::table"), None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |text: &str, expected: &str| {
            let error = SettingsFile::parse(text, "0.1.0").unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("registri = 'a'", "`registri` is not a setting; did you mean `registry`?");
        check("push_registry = 'a'", "did you mean `push-registry`?");
        check("xyzzyxyzzy = 1", "`xyzzyxyzzy` is not a setting");
        check("[env.prod]\nbuilderr = 'a'", "[env.prod] `builderr` is not a setting; did you mean");
        check("registry = 1", "`registry` must be a text");
        check("trust-registry = 'true'", "`trust-registry` must be true or false");
        check("moving-tag = 'no'", "`moving-tag` must be true or false");
        check("moving_tag = false", "did you mean `moving-tag`?");
        check("[env.prod]\ntrust-registry = true", "stands at the top of the file");
        check("mirrors = [1]", "`mirrors` must be a list of texts");
        check("env = 1", "`env` holds tables");
        check("[code]\nfollow-link = 'anywhere'", "did you mean `code.follow-links`?");
        check("[code]\nfollow-links = 'no'", "`code.follow-links` must be \"project\" or");
        check("[code]\nfollow-links = true", "`code.follow-links` must be a text");
        check(
            "[findings]\n'esb::sam::evnt' = 'allow'",
            "no finding `esb::sam::evnt`; did you mean `esb::sam::event`?",
        );
        check(
            "[findings]\n'esb::sam::event' = 'off'",
            "must be one of \"allow\", \"warn\" or \"deny\"",
        );
        check("[env.prod.findings]\nx = 'allow'", "[env.prod] there is no finding `x`");
        check("[registry]\na = 1", "`registry.a` is not a setting");
        check("required-version = '>=2'", "it needs esb >=2, and this is 0.1.0");
        check("required-version = 'new'", "line 1, column 20: `required-version` is `new`");
        check("required-version = '=0.1.1'", "it needs esb =0.1.1, and this is 0.1.0");
        check("required-version = '>=0.1, <0.1'", "it needs esb >=0.1, <0.1, and this");
        check("[env.prod]\nrequired-version = '0.2'", "line 2, column 20: it needs esb 0.2,");
        check("required-version = 1", "`required-version` must be a text");
        check("registry =", "line 1, column 11: ");
        check("\n# é\n  [code]\n  é = 1", "line 4, column 3: ");
        check("registry = 'a'\nregistri = 'a'\nab = 1", "line 2, column 1: `registri`");
        check("[env.prod]\nmirrors = ['a', 1]", "line 2, column 11: [env.prod] `mirrors` must be");
        check("[env.prod]\nconfirm = 'ask'", "`confirm` must be one of \"never\", \"auto\" or");
        check("builder = 'dokcer'", "`builder` must be one of \"auto\", \"embedded\",");
        check("[env.prod]\nimage-ref = 'x'", "[env.prod] `image-ref` must be one of \"content\",");
        check("platform = 'arm64'", "`platform` must be \"linux/amd64\" or \"linux/arm64\"");
        check("brand = '!!'", "line 1, column 9: `!!` cannot be a brand");
        for name in ["", "a:b", " a"] {
            let words = format!("line 1, column 15: `{name}` cannot name an application");
            check(&format!("application = '{name}'"), &words);
        }
        check("'code.follow-links' = 'project'", "`code.follow-links` is a key of a table");
        check("'findings.esb::sam::event' = 'allow'", "is a key of a table");
        check("[registri]", "`registri` is not a setting; did you mean `registry`?");
        check("[registry]", "`registry` must be a text");
        check("[code.follow-links]", "`code.follow-links` must be a text");
        check("[env.prod.env]", "[env.prod] `env` is not a setting");
        check("[env.prod]\ncode = 1", "[env.prod] `code` is a table: `[code]`");
        // A newer program may know the key.
        check("newer-key = 1\nrequired-version = '>=2'", "it needs esb >=2");
        check("registry = {a = 1}\n[code]\nnew = 1\n[env.a]\nrequired-version = '2'", "esb 2,");
        for fits in ["0.1", "=0.1.0", "^0.1.0", "~0.1", ">=0.1, <0.2", "*"] {
            SettingsFile::parse(&format!("required-version = '{fits}'"), "0.1.0").unwrap();
        }
    }
}
