//! Reads `esb.toml`: settings of a project, with exceptions for some environments.
//!
//! Owns the file's keys and their check. Each key means the same as the flag of that name. Flags
//! and variables take precedence, which the command line applies.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_model::FollowLinks;
use toml::{Table, Value};

use crate::{
    error::{Error, Kind},
    project::read_text,
};

/// The file's name, whatever the brand.
pub const NAME: &str = "esb.toml";

/// The most bytes that are read.
const LIMIT: u64 = 1024 * 1024;

/// Keys of the top level and of `[env.NAME]`.
pub const KEYS: [&str; 13] = [
    "templates",
    "application",
    "brand",
    "registry",
    "push-registry",
    "mirrors",
    "platform",
    "builder",
    "buildkit",
    "image-ref",
    "required-version",
    FOLLOW_LINKS,
    TRUST_REGISTRY,
];

/// `follow-links` of the table `[code]`.
const FOLLOW_LINKS: &str = "code.follow-links";

/// The key that lets a run trust the annotations of images in a registry. It is set for the whole
/// project.
pub const TRUST_REGISTRY: &str = "trust-registry";

/// Keys whose value is a list; a single text is a list of one.
const LISTS: [&str; 3] = ["templates", "mirrors", "buildkit"];

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

impl SettingsFile {
    /// Reads the file of the nearest folder from `start` upwards that is a project's root.
    ///
    /// # Errors
    /// When it cannot be read, has a key that it does not know, or asks for another version.
    pub fn find(start: &Path, given: Option<&Path>) -> Result<Self, Error> {
        let marked = |dir: &&Path| dir.join(NAME).exists() || dir.join(".git").exists();
        let root = given.or_else(|| start.ancestors().find(marked));
        let Some(path) = root.map(|root| root.join(NAME)).filter(|path| path.exists()) else {
            return Ok(Self::default());
        };
        let failed = |cause: String| {
            let mut failure = Error::new(
                Kind::Input,
                "settings",
                format!("could not use the settings in `{}`", path.display()),
            );
            failure.causes.push(cause);
            failure
        };
        let size = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
        if size > LIMIT {
            return Err(failed(format!("it has more than {LIMIT} bytes")));
        }
        let text = read_text(&path).map_err(failed)?;
        let mut file = Self::parse(&text, env!("CARGO_PKG_VERSION")).map_err(failed)?;
        file.root = root.map(Path::to_owned);
        Ok(file)
    }

    pub fn parse(text: &str, version: &str) -> Result<Self, String> {
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| error.to_string().trim().to_owned())?;
        let mut file = Self::default();
        for (key, value) in &table {
            if key != "env" {
                insert(&mut file.top, "", key, value)?;
                continue;
            }
            let Value::Table(environments) = value else {
                return Err("`env` holds tables, such as `[env.prod]`".to_owned());
            };
            for (name, values) in environments {
                let Value::Table(values) = values else {
                    return Err(format!("`env.{name}` is no table"));
                };
                let mut own = BTreeMap::new();
                for (key, value) in values {
                    if key == TRUST_REGISTRY {
                        return Err(format!("`{key}` stands at the top of the file, for all"));
                    }
                    insert(&mut own, &format!("[env.{name}] "), key, value)?;
                }
                file.environments.insert(name.clone(), own);
            }
        }
        let tables = std::iter::once(&file.top).chain(file.environments.values());
        for wanted in tables.filter_map(|table| table.get("required-version")).flatten() {
            let fits = semver::VersionReq::parse(wanted)
                .map_err(|error| format!("`required-version` is `{wanted}`: {error}"))?;
            let own = semver::Version::parse(version).map_err(|error| error.to_string())?;
            if !fits.matches(&own) {
                return Err(format!("it needs esb {wanted}, and this is {version}"));
            }
        }
        Ok(file)
    }

    /// The brand at the top level, which names the variables that name the environment.
    pub fn brand(&self) -> Option<&str> {
        self.top.get("brand")?.first().map(String::as_str)
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

    /// Whether a setting is on.
    pub fn is_on(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// All values of a setting.
    pub fn list(&self, key: &str) -> &[String] {
        self.values.get(key).map_or(&[], |setting| &setting.values)
    }
}

/// Takes a key and its value; the keys of the table `[code]` are known with its name before them.
fn insert(
    values: &mut BTreeMap<String, Vec<String>>,
    place: &str,
    key: &str,
    value: &Value,
) -> Result<(), String> {
    let Value::Table(inner) = value else {
        let key = known(key, place)?;
        let texts = strings(&key, value)?;
        if key == FOLLOW_LINKS && !matches!(&*texts[0], "project" | "anywhere") {
            return Err(format!("{place}`{FOLLOW_LINKS}` must be \"project\" or \"anywhere\""));
        }
        values.insert(key, texts);
        return Ok(());
    };
    for (name, value) in inner {
        insert(values, place, &format!("{key}.{name}"), value)?;
    }
    Ok(())
}

fn known(key: &str, place: &str) -> Result<String, String> {
    let names = KEYS.into_iter().chain(["env"]);
    if names.clone().any(|name| name == key && name != "env") {
        return Ok(key.to_owned());
    }
    let distance = |name: &&str| strsim::levenshtein(&key.to_lowercase().replace('_', "-"), name);
    let nearest = names.min_by_key(distance).filter(|name| distance(name) <= 3);
    let nearest = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(format!("{place}`{}` is not a setting{nearest}", key.escape_debug()))
}

fn strings(key: &str, value: &Value) -> Result<Vec<String>, String> {
    let wrong = || {
        let kind = match key {
            TRUST_REGISTRY => "true or false",
            _ if LISTS.contains(&key) => "a list of texts",
            _ => "a text",
        };
        format!("`{key}` must be {kind}")
    };
    match value {
        Value::Boolean(on) if key == TRUST_REGISTRY => Ok(vec![on.to_string()]),
        _ if key == TRUST_REGISTRY => Err(wrong()),
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(items) if LISTS.contains(&key) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        check("[env.prod]\ntrust-registry = true", "stands at the top of the file");
        check("mirrors = [1]", "`mirrors` must be a list of texts");
        check("env = 1", "`env` holds tables");
        check("[code]\nfollow-link = 'anywhere'", "did you mean `code.follow-links`?");
        check("[code]\nfollow-links = 'no'", "`code.follow-links` must be \"project\" or");
        check("[code]\nfollow-links = true", "`code.follow-links` must be a text");
        check("[registry]\na = 1", "`registry.a` is not a setting");
        check("required-version = '>=2'", "it needs esb >=2, and this is 0.1.0");
        check("required-version = 'new'", "`required-version` is `new`");
        check("registry =", "line 1");
    }
}
