//! Reads typed values from YAML and keeps the keys that are unknown here.
//!
//! Known keys become fields, read as the text that stands in the file (an unquoted `007` stays
//! `007`); unknown keys are kept as [`Value`]s. Limits the size and nesting of what it reads.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use crate::value::Value;

/// Most bytes that a config file may have.
pub(crate) const FILE_LIMIT: u64 = 32 * 1024 * 1024;

/// Reads one YAML document; the error says line and column, and shows nothing of the text around.
pub(crate) fn yaml<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: 64,
            max_events: 4_000_000,
            max_nodes: 2_000_000,
            max_aliases: 10_000,
        },
        // As PyYAML, which reads these files in the platform.
        legacy_octal_numbers: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false, // it may show secrets
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// A struct that is read key by key.
pub(crate) trait FromFields: Default {
    /// What the map is, for messages.
    const EXPECTED: &'static str;

    /// Takes the value of `key` from `map`.
    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error>;
}

/// Reads a map into a struct; null gives the struct's default.
pub(crate) fn from_fields<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromFields,
    D: Deserializer<'de>,
{
    struct FieldsVisitor<T>(PhantomData<T>);

    impl<'de, T: FromFields> Visitor<'de> for FieldsVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_none<E>(self) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_unit<E>(self) -> Result<T, E> {
            Ok(T::default())
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
            deserializer.deserialize_map(self)
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<T, M::Error> {
            let mut fields = T::default();
            while let Some(key) = map.next_key::<String>()? {
                fields.field(key, &mut map)?;
            }
            Ok(fields)
        }
    }

    deserializer.deserialize_option(FieldsVisitor(PhantomData))
}

/// A text value; null is none.
pub(crate) fn text<'de, M: MapAccess<'de>>(map: &mut M) -> Result<Option<String>, M::Error> {
    map.next_value()
}

/// A number that may stand in quotes; null is none.
pub(crate) fn number<'de, N, M>(map: &mut M) -> Result<Option<N>, M::Error>
where
    N: FromStr,
    M: MapAccess<'de>,
{
    let text = match map.next_value()? {
        Value::Null => return Ok(None),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => text,
        other => return Err(M::Error::custom(format!("{} is not a number", other.kind()))),
    };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|_| M::Error::custom(format!("`{}` is not a number", text.escape_debug())))
}

/// A collection; null is an empty one.
pub(crate) fn collection<'de, C, M>(map: &mut M) -> Result<C, M::Error>
where
    C: Deserialize<'de> + Default,
    M: MapAccess<'de>,
{
    Ok(map.next_value::<Option<C>>()?.unwrap_or_default())
}

/// A key that we do not know, with its value.
pub(crate) fn unknown<'de, M: MapAccess<'de>>(
    extra: &mut Vec<(String, Value)>,
    key: String,
    map: &mut M,
) -> Result<(), M::Error> {
    extra.push((key, map.next_value()?));
    Ok(())
}
