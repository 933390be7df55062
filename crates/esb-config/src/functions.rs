//! functions.yml: what the Gateway runs, with which settings
//! (docs/contracts/platform.md#functionsyml).

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess},
};

#[cfg(test)]
use crate::schemas::files;
use crate::{
    read::{FromFields, collection, from_fields, number, text, unknown},
    text::Text,
    value::{Fields, Value},
    write,
};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FunctionsFile {
    #[cfg_attr(test, schemars(with = "Option<Defaults>"))]
    pub defaults: Defaults,
    /// By name, without any interpolation.
    pub functions: BTreeMap<String, FunctionEntry>,
    /// Keys that we do not know, as they stand in the file; so in all types of this crate.
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// Settings of every function that does not set them itself.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Defaults {
    #[cfg_attr(test, schemars(with = "Option<BTreeMap<String, String>>"))]
    pub environment: Environment,
    #[cfg_attr(test, schemars(with = "Option<Scaling>"))]
    pub scaling: Scaling,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// One function.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FunctionEntry {
    /// The reference that the Agent pulls.
    #[cfg_attr(test, schemars(with = "Option<String>", length(min = 1)))]
    pub image: Option<Text>,
    /// Seconds.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub timeout: Option<i64>,
    /// MB.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub memory_size: Option<i64>,
    #[cfg_attr(test, schemars(with = "Option<BTreeMap<String, String>>"))]
    pub environment: Environment,
    #[cfg_attr(test, schemars(with = "Option<Scaling>"))]
    pub scaling: Scaling,
    #[cfg_attr(test, schemars(with = "Option<Vec<FunctionEvent>>"))]
    pub events: Vec<FunctionEvent>,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// Environment variables. `Debug` shows their names alone, for values may be secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment(pub BTreeMap<String, Text>);

/// The limits on containers of a function, and how long calls wait for one.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Scaling {
    /// Workers at a time; 0 lets every call time out.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub max_capacity: Option<i64>,
    /// Only shown in metrics.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub min_capacity: Option<i64>,
    /// Seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub idle_timeout: Option<i64>,
    /// Seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub acquire_timeout: Option<f64>,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// An event that invokes a function; only schedules are known.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FunctionEvent {
    pub schedule: Option<ScheduleEntry>,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// A schedule that invokes a function, in UTC.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScheduleEntry {
    /// `rate(…)` or `cron(…)`; the key is `rate` for both.
    #[cfg_attr(test, schemars(with = "String", regex(pattern = files::SCHEDULE), extend("not" = files::several_lines())))]
    pub rate: Option<Text>,
    /// The payload, verbatim; none is `{}`.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub input: Option<Text>,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

impl FunctionsFile {
    /// The text of the file.
    pub fn to_yaml(&self) -> String {
        let functions = self
            .functions
            .iter()
            .map(|(name, entry)| (Text::literal(name).template().to_owned(), entry.to_value()))
            .collect();
        let mut fields = Fields::new();
        push_map(&mut fields, "defaults", self.defaults.to_fields());
        fields.push(("functions".to_owned(), Value::Map(functions)));
        fields.extend(self.extra.iter().cloned());
        write::document(&Value::Map(fields))
    }
}

impl Defaults {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        push_map(&mut fields, "environment", self.environment.to_fields());
        push_map(&mut fields, "scaling", self.scaling.to_fields());
        fields.extend(self.extra.iter().cloned());
        fields
    }
}

impl FunctionEntry {
    fn to_value(&self) -> Value {
        let mut fields = Fields::new();
        push(&mut fields, "image", self.image.as_ref().map(template));
        push(&mut fields, "timeout", self.timeout.map(Value::Int));
        push(&mut fields, "memory_size", self.memory_size.map(Value::Int));
        push_map(&mut fields, "environment", self.environment.to_fields());
        push_map(&mut fields, "scaling", self.scaling.to_fields());
        if !self.events.is_empty() {
            let events = self.events.iter().map(FunctionEvent::to_value).collect();
            fields.push(("events".to_owned(), Value::List(events)));
        }
        fields.extend(self.extra.iter().cloned());
        Value::Map(fields)
    }
}

impl Environment {
    fn to_fields(&self) -> Fields {
        self.0
            .iter()
            .map(|(name, value)| (Text::literal(name).template().to_owned(), template(value)))
            .collect()
    }
}

impl Scaling {
    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        push(&mut fields, "max_capacity", self.max_capacity.map(Value::Int));
        push(&mut fields, "min_capacity", self.min_capacity.map(Value::Int));
        push(&mut fields, "idle_timeout", self.idle_timeout.map(Value::Int));
        push(&mut fields, "acquire_timeout", self.acquire_timeout.map(Value::Float));
        fields.extend(self.extra.iter().cloned());
        fields
    }
}

impl FunctionEvent {
    /// An event that is a schedule.
    pub fn schedule(rate: &str, input: Option<&str>) -> Self {
        let schedule = ScheduleEntry {
            rate: Some(Text::literal(rate)),
            input: input.map(Text::literal),
            extra: Fields::new(),
        };
        Self { schedule: Some(schedule), extra: Fields::new() }
    }

    fn to_value(&self) -> Value {
        let mut fields = Fields::new();
        if let Some(schedule) = &self.schedule {
            let mut inner = Fields::new();
            push(&mut inner, "rate", schedule.rate.as_ref().map(template));
            push(&mut inner, "input", schedule.input.as_ref().map(template));
            inner.extend(schedule.extra.iter().cloned());
            fields.push(("schedule".to_owned(), Value::Map(inner)));
        }
        fields.extend(self.extra.iter().cloned());
        Value::Map(fields)
    }
}

fn template(text: &Text) -> Value {
    Value::text(text.template())
}

fn push(fields: &mut Fields, key: &str, value: Option<Value>) {
    fields.extend(value.map(|value| (key.to_owned(), value)));
}

fn push_map(fields: &mut Fields, key: &str, inner: Fields) {
    if !inner.is_empty() {
        fields.push((key.to_owned(), Value::Map(inner)));
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a key of functions.yml, which the Gateway interpolates too.
fn literal_key<E: serde::de::Error>(key: String) -> Result<String, E> {
    let text = Text::from_template(key);
    text.as_literal().ok_or_else(|| {
        E::custom(format!("key `{}` holds a placeholder", text.template().escape_debug()))
    })
}

impl FromFields for FunctionsFile {
    const EXPECTED: &'static str = "a map with `functions`";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "defaults" => self.defaults = map.next_value()?,
            "functions" => {
                let functions: BTreeMap<String, FunctionEntry> = collection(map)?;
                for (key, entry) in functions {
                    self.functions.insert(literal_key(key)?, entry);
                }
            }
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for Defaults {
    const EXPECTED: &'static str = "a map of defaults";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "environment" => self.environment = map.next_value()?,
            "scaling" => self.scaling = map.next_value()?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for FunctionEntry {
    const EXPECTED: &'static str = "a function's map";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "image" => self.image = text(map)?.map(Text::from_template),
            "timeout" => self.timeout = number(map)?,
            "memory_size" => self.memory_size = number(map)?,
            "environment" => self.environment = map.next_value()?,
            "scaling" => self.scaling = map.next_value()?,
            "events" => self.events = collection(map)?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for Environment {
    const EXPECTED: &'static str = "a map of environment variables";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        let name = literal_key(key)?;
        let Some(value) = text(map)? else {
            return Err(M::Error::custom(format!(
                "environment variable `{}` has no value",
                name.escape_debug()
            )));
        };
        self.0.insert(name, Text::from_template(value));
        Ok(())
    }
}

impl FromFields for Scaling {
    const EXPECTED: &'static str = "a map of scaling settings";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "max_capacity" => self.max_capacity = number(map)?,
            "min_capacity" => self.min_capacity = number(map)?,
            "idle_timeout" => self.idle_timeout = number(map)?,
            "acquire_timeout" => self.acquire_timeout = number(map)?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for FunctionEvent {
    const EXPECTED: &'static str = "an event's map";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "schedule" => self.schedule = map.next_value()?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for ScheduleEntry {
    const EXPECTED: &'static str = "a schedule's map";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "rate" => self.rate = text(map)?.map(Text::from_template),
            "input" => self.input = text(map)?.map(Text::from_template),
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

macro_rules! deserialize_by_fields {
    ($($name:ty),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_fields(deserializer)
            }
        }
    )+};
}
pub(crate) use deserialize_by_fields;

deserialize_by_fields!(
    FunctionsFile,
    Defaults,
    FunctionEntry,
    Environment,
    Scaling,
    FunctionEvent,
    ScheduleEntry
);

/// As JSON, for the side file.
impl serde::Serialize for Defaults {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Map(self.to_fields()).serialize(serializer)
    }
}

/// The block that this program itself gives to every function
/// (docs/contracts/platform.md#defaults).
///
/// `region` is what ARNs were made with; empty when it is not known.
pub(crate) fn own_defaults(region: &str) -> Defaults {
    let filled = |(name, variable)| {
        let text = Text::placeholder(variable).expect("an identifier");
        (String::from(name), text)
    };
    let mut environment: BTreeMap<String, Text> = [
        ("GATEWAY_INTERNAL_URL", "GATEWAY_INTERNAL_URL"),
        ("LOG_LEVEL", "LOG_LEVEL"),
        ("AWS_ACCESS_KEY_ID", "RUSTFS_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "RUSTFS_SECRET_KEY"),
    ]
    .map(filled)
    .into();
    if !region.is_empty() {
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            environment.insert(name.to_owned(), Text::literal(region));
        }
    }
    Defaults {
        environment: Environment(environment),
        scaling: Scaling {
            idle_timeout: Some(300),
            acquire_timeout: Some(30.0),
            ..Scaling::default()
        },
        extra: Fields::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::yaml;

    #[test]
    fn an_empty_file_has_its_functions() {
        let empty = FunctionsFile::default().to_yaml();
        assert_eq!(empty, "\"functions\": {}\n");
        assert_eq!(yaml::<FunctionsFile>(&empty).unwrap(), FunctionsFile::default());
    }

    #[test]
    fn reads_what_people_and_the_earlier_tool_wrote() {
        let text = r#"
defaults:
  environment:
    LOG_LEVEL: INFO       # seed
    PATHS: "a:$$b:${HOME}"
  scaling: {min_capacity: 0, max_capacity: "1"}
  note: kept
functions:
  007:
    image: registry:5010/x:1.10
    timeout: "15"
    memory_size: 256
    handler: app.handler
    environment: {N: 007, ON: yes}
    events: [{schedule: {rate: rate(1 day), expression: x}}]
  bare:
  other: {environment: null, events: null}
version: 3
"#;
        let file: FunctionsFile = yaml(text).unwrap();
        let function = &file.functions["007"];
        assert_eq!(function.timeout, Some(15));
        assert_eq!(function.environment.0["N"].template(), "007");
        assert_eq!(file.functions["bare"], FunctionEntry::default());
        let expected = r#""defaults":
  "environment":
    "LOG_LEVEL": "INFO"
    "PATHS": "a:$$b:${HOME}"
  "scaling":
    "max_capacity": 1
    "min_capacity": 0
  "note": "kept"
"functions":
  "007":
    "image": "registry:5010/x:1.10"
    "timeout": 15
    "memory_size": 256
    "environment":
      "N": "007"
      "ON": "yes"
    "events":
      - "schedule":
          "rate": "rate(1 day)"
          "expression": "x"
    "handler": "app.handler"
  "bare": {}
  "other": {}
"version": 3
"#;
        assert_eq!(file.to_yaml(), expected);
        assert_eq!(yaml::<FunctionsFile>(expected).unwrap(), file);
    }

    #[test]
    fn refuses_what_it_would_lose() {
        for (text, message) in [
            ("functions: [a]", "expected"),
            ("functions: {a: {timeout: 3.5}}", "`3.5` is not a number"),
            ("functions: {a: {environment: {N: null}}}", "`N` has no value"),
            ("functions: {\"${A}\": {}}", "placeholder"),
            ("functions: {a: {}, a: {}}", "duplicate"),
            ("functions: {a: {", ""),
            ("just text", "expected"),
        ] {
            let error = yaml::<FunctionsFile>(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn errors_show_nothing_of_the_text_around() {
        let text = "functions: {a: {environment: {DB: hunter2, N: null}, timeout: []}}";
        for part in [text, &text[..text.len() - 3], &text.replace("N: null", "N: []")] {
            let error = yaml::<FunctionsFile>(part).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let environment = Environment([("DB".to_owned(), Text::literal("hunter2"))].into());
        assert_eq!(format!("{environment:?}"), "{\"DB\"}");
    }
}
