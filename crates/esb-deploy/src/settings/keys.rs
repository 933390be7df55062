//! The keys of `esb.toml` and what each may hold: what the parser checks, and the schema for editors
//! says.

use esb_config::is_application_name;
use esb_model::Brand;
use toml::{Spanned, de::DeValue};

use crate::levels;

/// A key of the top level and of `[env.NAME]`. Those of a table have its name before them.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name: `registry`, `code.follow-links`.
    pub name: &'static str,
    /// What the value may be.
    pub holds: Holds,
}

/// What the value of a key may be.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    /// Any text. An address is one: it is checked where it is used, for a flag may replace it.
    Text,
    /// A text of a certain form.
    Form(Form),
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A list of texts; a single text is a list of one.
    List,
    /// True or false.
    Switch,
}

/// The form of a text.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// A regular expression of JSON Schema for it.
    pub pattern: &'static str,
    /// Tells what is wrong with a text.
    check: fn(&str) -> Result<(), String>,
}

/// `follow-links` of the table `[code]`.
pub(super) const FOLLOW_LINKS: &str = "code.follow-links";

/// The key that lets a run trust the annotations of images in a registry. It is set for the whole
/// project.
pub const TRUST_REGISTRY: &str = "trust-registry";

/// The key that says whether plain tags, which every run moves, are pushed to a registry.
pub const MOVING_TAG: &str = "moving-tag";

/// The key that says when a deploy asks before it changes something.
pub const CONFIRM: &str = "confirm";

/// The key that says which versions of the program may work on the project.
pub(super) const REQUIRED_VERSION: &str = "required-version";

/// All keys but the codes of findings.
pub const KEYS: [Key; 15] = [
    Key { name: "templates", holds: Holds::List },
    Key { name: "application", holds: Holds::Form(APPLICATION) },
    Key { name: "brand", holds: Holds::Form(BRAND) },
    Key { name: "registry", holds: Holds::Text },
    Key { name: "push-registry", holds: Holds::Text },
    Key { name: "mirrors", holds: Holds::List },
    Key { name: "platform", holds: Holds::Choice(PLATFORMS) },
    Key { name: "builder", holds: Holds::Choice(&["auto", "embedded", "docker", "buildkit"]) },
    Key { name: "buildkit", holds: Holds::List },
    Key { name: "image-ref", holds: Holds::Choice(&["content", "tag", "digest"]) },
    Key { name: MOVING_TAG, holds: Holds::Switch },
    Key { name: REQUIRED_VERSION, holds: Holds::Form(VERSIONS) },
    Key { name: FOLLOW_LINKS, holds: Holds::Choice(&["project", "anywhere"]) },
    Key { name: TRUST_REGISTRY, holds: Holds::Switch },
    Key { name: CONFIRM, holds: Holds::Choice(&["never", "auto", "always"]) },
];

/// What the keys of the table `[findings]` start with; they are codes of findings.
pub(super) const FINDINGS: &str = "findings.";

/// A regular expression of JSON Schema for the names of environments.
pub const ENVIRONMENT_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";

/// What the level of a finding may be.
pub const LEVELS: Holds = Holds::Choice(&["allow", "warn", "deny"]);

/// Tables below the top level and below `[env.NAME]`.
pub(super) const TABLES: [&str; 2] = ["code", "findings"];

/// The names of a platform that is known, in OCI's words first.
const PLATFORMS: &[&str] = &["linux/amd64", "linux/arm64", "linux/x86_64", "linux/aarch64"];

/// Other names of a choice, which are read and not proposed.
const ALIASES: [&str; 2] = ["linux/x86_64", "linux/aarch64"];

/// A character at either end of an application's name: no colon, slash, blank or invisible one.
macro_rules! end_of_name {
    () => {
        r"[^:/\\\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    };
}

const APPLICATION: Form = Form {
    pattern: concat!(
        "^",
        end_of_name!(),
        r"([^:/\\\u0000-\u001f\u007f-\u009f]{0,126}",
        end_of_name!(),
        ")?$"
    ),
    check: |text| {
        let words = || {
            format!(
                "`{}` cannot name an application: a name has 1 to 128 characters, no colon or \
                 slash, and no blanks at its ends",
                text.escape_debug()
            )
        };
        is_application_name(text).then_some(()).ok_or_else(words)
    },
};

const BRAND: Form = Form {
    pattern: "[A-Za-z0-9]",
    check: |text| Brand::new(text).map(drop).map_err(|error| error.to_string()),
};

macro_rules! number {
    () => {
        "(0|[1-9][0-9]*)"
    };
}

/// An identifier of a prerelease.
macro_rules! prerelease {
    () => {
        "(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
    };
}

/// A part of a version requirement: `>=1.2`, `1.*`, `=1.2.3-rc.1`.
macro_rules! comparator {
    () => {
        concat!(
            r" *(=|>=?|<=?|~|\^)? *",
            number!(),
            r"(\.[*xX](\.[*xX])?|\.",
            number!(),
            r"(\.[*xX]|\.",
            number!(),
            "(-",
            prerelease!(),
            r"(\.",
            prerelease!(),
            r")*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)?)? *"
        )
    };
}

/// What Cargo calls a version requirement: comparators with a comma between them.
const VERSIONS: Form = Form {
    pattern: concat!("^ *([*xX]|", comparator!(), "(,", comparator!(), "){0,31}) *$"),
    // Checked before any other key.
    check: |_| Ok(()),
};

impl Holds {
    /// What the key of that name holds.
    pub fn of(key: &str) -> Option<Self> {
        KEYS.iter().find(|known| known.name == key).map(|known| known.holds)
    }

    /// Reads a value of a key.
    pub(super) fn read(self, key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
        let wrong = |kind: &str| format!("`{key}` must be {kind}");
        match (self, value) {
            (Self::Switch, DeValue::Boolean(on)) => Ok(vec![on.to_string()]),
            (Self::Switch, _) => Err(wrong("true or false")),
            (Self::Choice(choices), DeValue::String(text)) if !choices.contains(&&**text) => {
                let told = choices.iter().filter(|choice| !ALIASES.contains(choice));
                Err(wrong(&one_of(&told.map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>())))
            }
            (Self::Form(form), DeValue::String(text)) => {
                (form.check)(text).map(|()| vec![text.to_string()])
            }
            (_, DeValue::String(text)) => Ok(vec![text.to_string()]),
            (Self::List, DeValue::Array(items)) => {
                let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
                let texts = items.iter().map(text).collect::<Option<_>>();
                texts.ok_or_else(|| wrong("a list of texts"))
            }
            (Self::List, _) => Err(wrong("a list of texts")),
            _ => Err(wrong("a text")),
        }
    }
}

/// Choices in words: `one of a, b or c`, and `a or b` where there are two.
fn one_of(choices: &[String]) -> String {
    match choices {
        [before @ .., last] if before.len() > 1 => {
            format!("one of {} or {last}", before.join(", "))
        }
        _ => choices.join(" or "),
    }
}

/// What a key holds, or why there is no such key. `raw` is what the file has of it in one piece.
pub(super) fn known(key: &str, raw: &str, place: &str) -> Result<Holds, String> {
    let code = key.strip_prefix(FINDINGS);
    let of_code = code.and_then(levels::code).map(|_| LEVELS);
    if let Some(holds) = Holds::of(key).or(of_code) {
        // `"code.follow-links"` is another key than `code.follow-links`.
        if raw.contains('.') {
            return Err(format!("{place}`{key}` is a key of a table, and stands without quotes"));
        }
        return Ok(holds);
    }
    if let Some(code) = code {
        let nearest = levels::nearest_code(code);
        let meant = nearest.map(|code| format!("; did you mean `{code}`?")).unwrap_or_default();
        return Err(format!("{place}there is no finding `{}`{meant}", code.escape_debug()));
    }
    if TABLES.contains(&key) {
        return Err(format!("{place}`{key}` is a table: `[{key}]`"));
    }
    let names = KEYS.iter().map(|key| key.name).chain(["env"]);
    let distance = |name: &&str| strsim::levenshtein(&key.to_lowercase().replace('_', "-"), name);
    // A short word is near to any; the same one stands in the wrong place.
    let is_meant = |name: &&str| *name != key && distance(name) <= 3.min(key.len() / 2);
    let nearest = names.min_by_key(distance).filter(is_meant);
    let nearest = nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Err(format!("{place}`{}` is not a setting{nearest}", key.escape_debug()))
}
