//! The schema and the parser judge the same files.

use std::collections::BTreeMap;

use esb_deploy::settings::{Holds, KEYS, SettingsFile};
use esb_model::Platform;
use jsonschema::Validator;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::*;
use crate::{cli::choices, settings_text};

/// Files that both accept, and files that both refuse.
const CASES: &[(bool, &str)] = &[
    (true, ""),
    (true, "# nothing but a comment\n"),
    // Every key.
    (true, "templates = ['a.yaml', 'b/']"),
    (true, "templates = 'a.yaml'"),
    (true, "templates = []"),
    (true, "templates = ''"),
    (true, "templates = ['a', 'a']"),
    (true, "application = 'shop'"),
    (true, "application = 'Größe 1'"),
    (true, "registry = 'registry:5010/team'"),
    (true, "registry = ''"),
    (true, "push-registry = '127.0.0.1:5010'"),
    (true, "mirrors = 'a=b'"),
    (true, "mirrors = ['a=b', 'c=oci:d']"),
    (true, "platform = 'linux/arm64'"),
    (true, "platform = 'linux/x86_64'"),
    (true, "builder = 'buildkit'"),
    (true, "buildkit = ['tcp://h:1']"),
    (true, "image-ref = 'digest'"),
    (true, "moving-tag = false"),
    (true, "confirm = 'never'"),
    (true, "required-version = '>=0.1, <2'"),
    (true, "required-version = '*'"),
    (true, "required-version = '0.*'"),
    (true, "required-version = '=0.1.2+b'"),
    (true, "required-version = '0.1.2-rc.1'"),
    (true, "brand = 'Acme Edge'"),
    (true, "trust-registry = true"),
    (true, "[code]\nfollow-links = 'anywhere'"),
    (true, "code.follow-links = 'project'"),
    (true, "code = {follow-links = 'project'}"),
    (true, "[findings]\n'esb::sam::event' = 'deny'\n'esb::sam::layer' = 'warn'"),
    (true, "findings.'esb::sam::event' = 'allow'"),
    // Empty tables.
    (true, "[code]\n[findings]\n[env]"),
    (true, "[env.prod]\n[env.dev.code]\n[env.dev.findings]"),
    // Tables of environments.
    (true, "[env.prod]\nregistry = 'a'\nmoving-tag = false\ntemplates = []"),
    (true, "[env.'a.b_c-1']\nbrand = 'a'"),
    (false, "[env.'with blank']\nbrand = 'a'"),
    (false, "[env.'größe']"),
    (false, "[env.'..']"),
    (false, "[env.'a/b']"),
    (false, "[env.'']"),
    (true, "env.prod.registry = 'a'"),
    (true, "[env.prod.findings]\n'esb::sam::event' = 'allow'"),
    (true, "[env.prod.code]\nfollow-links = 'project'"),
    (true, "[env.prod]\nrequired-version = '0.1'"),
    // Keys that are none.
    (false, "registri = 'a'"),
    (false, "push_registry = 'a'"),
    (false, "Registry = 'a'"),
    (false, "'' = 'a'"),
    (false, "schema = 1"),
    (false, "[tool]"),
    (false, "[tool.esb]\nregistry = 'a'"),
    (false, "[code]\nfollow-link = 'project'"),
    (false, "[code.follow-links]"),
    (false, "[findings]\n'esb::sam::evnt' = 'allow'"),
    (false, "[findings]\nevent = 'allow'"),
    (false, "[findings.esb]"),
    (false, "'code.follow-links' = 'project'"),
    (false, "'findings.esb::sam::event' = 'allow'"),
    (false, "[env.prod]\nregistri = 'a'"),
    (false, "[env.prod]\ntrust-registry = true"),
    (false, "[env.prod.env.dev]\nregistry = 'a'"),
    (false, "[env.prod.env]"),
    (false, "[env.prod.code]\nother = 'a'"),
    // Values of another type.
    (false, "registry = 1"),
    (false, "registry = true"),
    (false, "registry = ['a']"),
    (false, "registry = 1.5"),
    (false, "registry = inf"),
    (false, "[registry]"),
    (false, "[[registry]]"),
    (false, "application = 7"),
    (false, "templates = 1"),
    (false, "templates = ['a', 1]"),
    (false, "templates = [['a']]"),
    (false, "mirrors = {a = 'b'}"),
    (false, "buildkit = [true]"),
    (false, "trust-registry = 'true'"),
    (false, "trust-registry = 1"),
    (false, "moving-tag = 'no'"),
    (false, "code = 'project'"),
    (false, "[[code]]"),
    (false, "findings = ['esb::sam::event']"),
    (false, "[findings]\n'esb::sam::event' = false"),
    (false, "env = 'prod'"),
    (false, "env = ['prod']"),
    (false, "[[env]]"),
    (false, "env.prod = 1"),
    (false, "[[env.prod]]"),
    (false, "required-version = 1"),
    (false, "required-version = 1.2"),
    (false, "required-version = ['1']"),
    // Texts of another form.
    (false, "builder = 'dokcer'"),
    (false, "builder = 'Docker'"),
    (false, "builder = ''"),
    (false, "image-ref = 'sha'"),
    (false, "confirm = 'ask'"),
    (false, "confirm = true"),
    (false, "platform = 'arm64'"),
    (false, "platform = 'linux/amd64,linux/arm64'"),
    (false, "platform = 'windows/amd64'"),
    (false, "[code]\nfollow-links = 'no'"),
    (false, "[findings]\n'esb::sam::event' = 'off'"),
    (false, "[env.prod]\nbuilder = 'x'"),
    (false, "[env.prod.findings]\n'esb::sam::event' = 'off'"),
    (false, "brand = ''"),
    (false, "brand = '!!'"),
    (false, "application = ''"),
    (false, "application = 'a:b'"),
    (false, "application = 'a/b'"),
    (false, "application = ' a'"),
    (false, "application = \"a\\n\""),
    (false, "required-version = \"1\\n\""),
    (false, "[env.\"prod\\n\"]"),
    (true, "brand = \"a\\n\""),
    (false, "required-version = ''"),
    (false, "required-version = 'new'"),
    (false, "required-version = '>= 01'"),
    (false, "required-version = '1 2'"),
    (false, "required-version = '*, 1'"),
    (false, "[env.prod]\nrequired-version = 'new'"),
];

/// Files that the parser refuses for what no schema can say.
const STRICTER: &[(&str, &str)] = &[
    ("a date, which editors take for a text", "registry = 2026-01-01"),
    ("a time in a list", "templates = [07:32:00]"),
    ("another version of the program", "required-version = '>=99'"),
    ("another version, for one environment", "[env.prod]\nrequired-version = '<0.1'"),
    ("a number that is too large", "required-version = '99999999999999999999'"),
];

/// The value as editors' extensions make JSON of it.
fn json(value: Value) -> Json {
    match value {
        Value::String(text) => text.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Boolean(on) => on.into(),
        Value::Datetime(date) => date.to_string().into(),
        Value::Array(items) => items.into_iter().map(json).collect(),
        Value::Table(table) => {
            Json::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

/// The validator of a program that has Python's regular expressions: their `$` also stands before a
/// line feed at the end.
fn validator_of_python() -> Validator {
    let schema = schema().to_string().replace("$\"", "\\\\n?$\"");
    jsonschema::draft7::new(&serde_json::from_str(&schema).unwrap()).unwrap()
}

/// What schema and parser say of a text that is TOML.
fn verdicts(validator: &Validator, text: &str) -> (bool, Result<(), String>) {
    let value = json(Value::Table(text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))));
    (validator.is_valid(&value), SettingsFile::parse(text, "0.1.2").map(drop))
}

#[test]
fn both_judge_the_same() {
    let validator = validator();
    for (expected, text) in CASES {
        for validator in [&validator, &validator_of_python()] {
            let (schema, parser) = verdicts(validator, text);
            assert_eq!((schema, parser.is_ok()), (*expected, *expected), "{text}\n{parser:?}");
        }
    }
    for (why, text) in STRICTER {
        let (schema, parser) = verdicts(&validator, text);
        assert!(schema && parser.is_err(), "{why}: {text}\n{parser:?}");
    }
    // What is no TOML is refused before anybody looks at a schema.
    for text in ["registry = 'a'\nregistry = 'b'", "[code]\n[code]", "registry = a", "registry"] {
        assert!(text.parse::<Table>().is_err() && SettingsFile::parse(text, "0.1.2").is_err());
    }
}

/// Values that are put in the place of others.
fn values() -> Vec<Value> {
    let texts = ["", "a", "auto", "tag", "linux/amd64", "project", "allow", "0.1", "!", "a:b", " "];
    let one = |key: &str| Table::from_iter([(key.to_owned(), Value::from("a"))]).into();
    let mut values: Vec<Value> = texts.map(Value::from).into();
    values.extend([Value::from(-1), 0.5.into(), f64::NAN.into(), true.into()]);
    values.extend([Value::Array(Vec::new()), vec!["a"].into(), vec![1].into(), vec![true].into()]);
    values.extend([Value::from(Table::new()), one("registry"), one("a"), one("follow-links")]);
    values.push(vec![one("registry")].into());
    values
}

/// A file with every key, and with every one that an environment may have.
fn everything() -> Table {
    let mut top = Table::new();
    for entry in &ENTRIES {
        let value = entry.shown().0;
        let line = format!("{} = {value}", entry.key);
        for (key, value) in line.parse::<Table>().unwrap() {
            top.insert(key, value);
        }
    }
    let level = |code: &str| (code.to_owned(), Value::from("warn"));
    let findings: Table = codes().iter().take(2).map(|entry| level(entry.code.0)).collect();
    top.insert("findings".to_owned(), findings.into());
    let mut own = top.clone();
    own.remove(TRUST_REGISTRY);
    let environments: Table =
        [("dev".to_owned(), Table::new().into()), ("prod".to_owned(), own.into())]
            .into_iter()
            .collect();
    top.insert("env".to_owned(), environments.into());
    top
}

/// Every file that differs from `table` in one place.
fn mutations(table: &Table) -> Vec<Table> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Table)| {
        let mut changed = table.clone();
        change(&mut changed);
        all.push(changed);
    };
    for (key, value) in table {
        with(&|table| drop(table.remove(key)));
        for other in values() {
            with(&|table| drop(table.insert(key.clone(), other.clone())));
        }
        let names =
            [key.to_uppercase(), key.replace('-', "_"), format!("{key}s"), format!("code.{key}")];
        for name in names {
            with(&|table| {
                let value = table.remove(key).unwrap_or(Value::from(0));
                table.insert(name.clone(), value);
            });
        }
        if let Value::Table(inner) = value {
            for changed in mutations(inner) {
                with(&|table| drop(table.insert(key.clone(), changed.clone().into())));
            }
        }
    }
    for key in KEYS.map(|key| key.name).into_iter().chain(["env", "code", "findings", "other", ""])
    {
        for value in values() {
            with(&|table| drop(table.insert(key.to_owned(), value.clone())));
        }
    }
    all
}

#[test]
fn one_change_makes_no_difference_between_the_two() {
    let validator = validator();
    let everything = everything();
    let mut seen = [0, 0];
    for table in mutations(&everything).into_iter().chain([everything]) {
        let text = toml::to_string(&table).unwrap();
        let (schema, parser) = verdicts(&validator, &text);
        assert_eq!(schema, parser.is_ok(), "{text}\n{parser:?}");
        seen[usize::from(schema)] += 1;
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
}

/// Every text that differs from `text` in one character.
fn changed<'a>(text: &'a str, characters: &'a str) -> impl Iterator<Item = String> + 'a {
    let all: Vec<char> = text.chars().collect();
    (0..=all.len()).flat_map(move |at| {
        let (before, after) = all.split_at(at);
        let rest = after.get(1..).unwrap_or_default();
        let make = |middle: Option<char>, after: &[char]| -> String {
            before.iter().copied().chain(middle).chain(after.iter().copied()).collect()
        };
        let mut texts = vec![make(None, rest)];
        texts.extend(characters.chars().map(|c| make(Some(c), rest)));
        texts.extend(characters.chars().map(|c| make(Some(c), after)));
        texts
    })
}

#[test]
fn the_patterns_are_those_of_the_parser() {
    let validator = validator();
    let blanks = "a\u{e9} \t\n\u{0}\u{1f}\u{7f}\u{85}\u{a0}\u{1680}\u{180e}\u{2003}\u{200b}\u{2028}\u{2029}\
                  \u{202f}\u{205f}\u{3000}\u{feff}:/\\-.\u{1f600}";
    let long = "x".repeat(127);
    let versions = "019.*xX,<>=~^-+a \t";
    for (key, seed, characters) in [
        ("application", "", blanks),
        ("application", "shop one", blanks),
        ("application", &*long, " e\u{e9}\u{1f600}:"),
        ("application", &*format!("{long}x"), "\u{3000}\u{1f600}/"),
        ("brand", "-", blanks),
        ("required-version", "", versions),
        ("required-version", ">=0.1, <2", versions),
        ("required-version", " ^ 1.* ,~1.2.*", versions),
        ("required-version", "=1.2.3-0.rc.01a+b.0-1", versions),
        ("required-version", "1.x.X", versions),
        ("required-version", "*", versions),
        ("required-version", &*["1"; 32].join(","), ","),
        ("required-version", &*["1"; 31].join(","), ",1"),
        ("platform", "linux/amd64", "L/ "),
    ] {
        for value in changed(seed, characters) {
            let table: BTreeMap<&str, &str> = [(key, &*value)].into();
            let text = toml::to_string(&table).unwrap();
            let (schema, parser) = verdicts(&validator, &text);
            // Whether this version is meant is no question of the form.
            let is_fit = |words: &String| words.contains("it needs esb");
            let parser = parser.or_else(|words| is_fit(&words).then_some(()).ok_or(words));
            assert_eq!(schema, parser.is_ok(), "{text}\n{parser:?}");
        }
    }
}

fn names<T>(choices: choices::Names<T>) -> Vec<&'static str> {
    choices.iter().map(|(name, _)| *name).collect()
}

#[test]
fn choices_are_those_of_the_flags() {
    let choices = |key: &str| match Holds::of(key) {
        Some(Holds::Choice(choices)) => choices.to_vec(),
        _ => panic!("{key}"),
    };
    assert_eq!(choices("builder"), names(choices::BUILDERS));
    assert_eq!(choices("image-ref"), names(choices::IMAGE_REFS));
    for name in choices("platform") {
        name.parse::<Platform>().unwrap();
    }
}

#[test]
fn an_editor_explains_every_key_with_a_value() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let mut tables = vec![&schema["properties"]];
    while let Some(table) = tables.pop() {
        for (key, schema) in table.as_object().unwrap() {
            assert!(schema["description"].is_string(), "{key}");
            if let Some(inner) = schema.get("properties") {
                tables.push(inner);
            } else {
                let shown = schema.get("default").or(schema["examples"].get(0));
                let is_shown = shown.is_some_and(|value| !value.is_null());
                assert!(is_shown || schema["enum"].is_array(), "{key}");
            }
        }
    }
    // What `esb init` writes, too.
    let text = settings_text::text(&[("templates", vec!["a.yaml"].into())]);
    let (schema, parser) = verdicts(&validator(), &text);
    assert!(schema && parser.is_ok(), "{parser:?}");
}
