//! The text of an `esb.toml` that explains every key: `esb init` writes it, and the reference shows
//! it.

use std::fmt::Write as _;

use esb_model::SETTINGS_SCHEMA;
use toml::Value;

/// A key with a value as TOML has it, and what it means.
pub(crate) struct Entry {
    pub(crate) key: &'static str,
    value: Shown,
    pub(crate) meaning: &'static str,
}

/// The value that the file shows.
enum Shown {
    /// What holds where nothing says otherwise.
    Default(&'static str),
    /// One of many, where there is no default.
    Example(&'static str),
}

/// All keys, in the order of the file. Those of a table come last.
pub(crate) const ENTRIES: [Entry; 15] = [
    Entry {
        key: "templates",
        value: Shown::Example(r#"["template.yaml"]"#),
        meaning: "The templates that are deployed together: files, or folders that hold a \
                  template.yaml. `--template`",
    },
    Entry {
        key: "application",
        value: Shown::Example(r#""shop""#),
        meaning: "The application's name: what is published belongs to it. Without it the name is \
                  `stack_name` of samconfig.toml, else that of this folder.",
    },
    Entry {
        key: "registry",
        value: Shown::Example(r#""registry:5010""#),
        meaning: "Registry prefix of images, as the platform names it. CONTAINER_REGISTRY, \
                  `--registry`",
    },
    Entry {
        key: "push-registry",
        value: Shown::Example(r#""127.0.0.1:5010""#),
        meaning: "Address of that registry for this machine, when it differs. \
                  HOST_REGISTRY_ADDR, `--push-registry`",
    },
    Entry {
        key: "mirrors",
        value: Shown::Example(r#"["public.ecr.aws=mirror.example:5000/aws"]"#),
        meaning: "Where images of a registry are really fetched: another registry, or \
                  HOST=oci:DIR, a layout that `esb image fetch` made. ESB_MIRRORS, `--mirror`",
    },
    Entry {
        key: "platform",
        value: Shown::Example(r#""linux/arm64""#),
        meaning: "Platform of all images. Without it, the `Architectures` of each function. \
                  `--platform`",
    },
    Entry {
        key: "builder",
        value: Shown::Default(r#""auto""#),
        meaning: "What builds images: auto, embedded, docker or buildkit. `--builder`",
    },
    Entry {
        key: "buildkit",
        value: Shown::Example(r#"["tcp://builder-1.example:1234"]"#),
        meaning: "BuildKit daemons that build what needs a process. BUILDKIT_HOST, `--buildkit`",
    },
    Entry {
        key: "image-ref",
        value: Shown::Default(r#""content""#),
        meaning: "How functions.yml names an image: content (a tag of its content), tag or \
                  digest. `--image-ref`",
    },
    Entry {
        key: "moving-tag",
        value: Shown::Default("true"),
        meaning: "Whether images are pushed under the plain tag too, which every run moves. False \
                  for registries whose tags are immutable.",
    },
    Entry {
        key: "confirm",
        value: Shown::Default(r#""auto""#),
        meaning: "When a deploy on a terminal asks before it changes anything: auto (when it removes \
                  or takes over something or leaves this machine), always or never. `--yes`",
    },
    Entry {
        key: "required-version",
        value: Shown::Example(r#"">=0.1, <0.2""#),
        meaning: "The versions of esb that may work on this project, checked before anything else \
                  in this file. A bare version allows what is compatible with it, `=0.1.2` that \
                  one alone.",
    },
    Entry {
        key: "brand",
        value: Shown::Default(r#""esb""#),
        meaning: "What names of images, labels, folders and variables start with. `--brand`",
    },
    Entry {
        key: "trust-registry",
        value: Shown::Default("false"),
        meaning: "Believe what images in the registry say about themselves, where nobody else can \
                  push. Saves builds on a machine with an empty cache.",
    },
    Entry {
        key: "code.follow-links",
        value: Shown::Default(r#""project""#),
        meaning: "How far symbolic links in code and layers may lead: project or anywhere.",
    },
];

impl Entry {
    /// The value that the file shows, and whether it is the default.
    pub(crate) fn shown(&self) -> (&'static str, bool) {
        (self.value(), matches!(self.value, Shown::Default(_)))
    }

    fn value(&self) -> &'static str {
        match self.value {
            Shown::Default(value) | Shown::Example(value) => value,
        }
    }

    fn explanation(&self, is_given: bool) -> String {
        match self.value {
            Shown::Example(_) if !is_given => {
                comment(&format!("{}. Example:", self.meaning.trim_end_matches('.')))
            }
            _ => comment(self.meaning),
        }
    }
}

/// The default of a setting, as text; none where it has no value of its own.
pub(crate) fn default(key: &str) -> Option<&'static str> {
    let entry = ENTRIES.iter().find(|entry| entry.key == key)?;
    match entry.value {
        Shown::Default(value) => Some(value.trim_matches('"')),
        Shown::Example(_) => None,
    }
}

/// The last column of a comment: a manual page indents the file, and has 80 columns.
const WIDTH: usize = 73;

pub(crate) const HEAD: &str = "Settings of this project, meant to be committed; the first line is for editors. Flags and environment \
                    variables, named behind each setting, take precedence. A setting that is \
                    commented out shows its default, or an example where it has none.";
pub(crate) const FINDINGS: &str = "The level of a finding by its code: allow (not told), warn or deny \
                                   (an error). `esb explain CODE` says what a code means. \
                                   `--allow`";
pub(crate) const PER_ENVIRONMENT: &str = "Settings of one environment (`--env prod`) come before \
                                          those above. trust-registry stands above alone, and \
                                          required-version counts for all environments";

/// The file, with the values that are given; every other setting is a comment. Editors find the
/// schema by the first line.
pub(crate) fn text(given: &[(&str, Value)]) -> String {
    let mut text = format!("#:schema {SETTINGS_SCHEMA}\n\n");
    text.push_str(&comment(HEAD));
    for entry in ENTRIES.iter().filter(|entry| !entry.key.contains('.')) {
        text.push('\n');
        let is_given = given.iter().any(|(key, _)| *key == entry.key);
        text.push_str(&entry.explanation(is_given));
        setting(&mut text, entry.key, entry.value(), given);
    }
    let mut table = "";
    for entry in &ENTRIES {
        let Some((name, key)) = entry.key.split_once('.') else { continue };
        if name != table {
            let _ = write!(text, "\n# [{name}]\n");
            table = name;
        }
        text.push_str(&entry.explanation(false));
        setting(&mut text, key, entry.value(), &[]);
    }
    text.push_str("\n# [findings]\n");
    text.push_str(&comment(&format!("{FINDINGS}. Example:")));
    text.push_str("# \"esb::sam::event\" = \"allow\"\n\n");
    text.push_str(&comment(&format!("{PER_ENVIRONMENT}:")));
    text.push_str("# [env.prod]\n# registry = \"registry.prod.example/shop\"\n");
    text
}

fn setting(text: &mut String, key: &str, example: &str, given: &[(&str, Value)]) {
    let _ = match given.iter().find(|(name, _)| *name == key) {
        Some((_, Value::Array(items))) if items.len() > 1 => {
            let items: Vec<String> = items.iter().map(|item| format!("    {item},")).collect();
            writeln!(text, "{key} = [\n{}\n]", items.join("\n"))
        }
        Some((_, value)) => writeln!(text, "{key} = {value}"),
        None => writeln!(text, "# {key} = {example}"),
    };
}

/// Words as lines of a comment.
fn comment(words: &str) -> String {
    let mut lines = vec!["#".to_owned()];
    for word in words.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("# {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use esb_deploy::{
        Options,
        settings::{self, KEYS, SettingsFile},
    };
    use esb_model::Brand;

    use super::*;
    use crate::cli::choices;

    /// A key that is added to the settings is explained here.
    #[test]
    fn every_key_is_explained_and_every_example_is_valid() {
        let mut known = KEYS.map(|key| key.name);
        let mut explained: Vec<_> = ENTRIES.iter().map(|entry| entry.key).collect();
        known.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, known);
        // The same file with all comments that are settings taken in.
        let is_setting = |line: &&str| {
            line.starts_with("# [")
                || line.split_once(" = ").is_some_and(|(key, _)| {
                    key.strip_prefix("# ").is_some_and(|key| !key.contains(' '))
                })
        };
        let text = text(&[]);
        let settings = text.lines().filter(is_setting).map(|line| line.trim_start_matches("# "));
        let settings = settings.collect::<Vec<_>>().join("\n");
        assert_eq!(settings.matches(" = ").count(), ENTRIES.len() + 2, "{settings}");
        SettingsFile::parse(&settings, "0.1.0").unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    /// What the file calls a default is what a run does without the setting.
    #[test]
    fn defaults_are_those_of_a_run() {
        let options = Options::default();
        let is = |key: &str| default(key).unwrap_or_default();
        assert_eq!(choices::named(choices::BUILDERS, is("builder")), Some(options.builder));
        assert_eq!(choices::named(choices::IMAGE_REFS, is("image-ref")), Some(options.image_ref));
        assert_eq!(is("brand"), Brand::default().slug());
        assert_eq!(is(settings::TRUST_REGISTRY), options.trust_registry.to_string());
        assert_eq!(is(settings::MOVING_TAG), options.moving_tag.to_string());
        let defaults = ENTRIES.iter().filter(|entry| matches!(entry.value, Shown::Default(_)));
        let lines: Vec<String> =
            defaults.map(|entry| format!("{} = {}", entry.key, entry.value())).collect();
        let lines = lines.join("\n");
        let file = SettingsFile::parse(&lines, "0.1.0").unwrap();
        let (given, none) = (file.settings("dev"), SettingsFile::default().settings("dev"));
        assert_eq!(given.follow_links(), none.follow_links(), "{lines}");
        assert_eq!(given.text(settings::CONFIRM), Some("auto"));
    }

    #[test]
    fn given_values_are_no_comments() {
        let list =
            |names: &[&str]| Value::Array(names.iter().map(|name| Value::from(*name)).collect());
        let one = text(&[("templates", list(&["a.yaml"]))]);
        assert!(one.contains("\ntemplates = [\"a.yaml\"]\n"), "{one}");
        let two = text(&[("templates", list(&["a.yaml", "b\".yaml"])), ("brand", "acme".into())]);
        let file = SettingsFile::parse(&two, "0.1.0").unwrap();
        let settings = file.settings("dev");
        assert_eq!(settings.list("templates"), ["a.yaml", "b\".yaml"]);
        assert_eq!(settings.text("brand"), Some("acme"));
    }
}
