//! Foreign JSON, YAML and TOML as one tree of texts.
//!
//! A scalar is the text that stands in the file (an unquoted `007` stays `007`), because parameters
//! are texts. Owns nothing of what the trees mean.

use std::{ffi::OsStr, fmt, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use toml::de::{DeTable, DeValue};

/// How deep lists and maps may nest.
const DEPTH_LIMIT: usize = 64;

/// A value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    Null,
    Text(String),
    List(Vec<Tree>),
    /// In the order of the file.
    Map(Vec<(String, Tree)>),
}

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Json,
    Yaml,
    Toml,
}

impl Language {
    /// The language of a file by its name; for any other name it is YAML, as which most JSON can be
    /// read.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("json") => Self::Json,
            Some("toml") => Self::Toml,
            _ => Self::Yaml,
        }
    }
}

impl Tree {
    /// Reads a text; the error says where, and shows nothing of the text: it may hold secrets.
    pub(super) fn parse(text: &str, language: Language) -> Result<Self, String> {
        match language {
            Language::Json => serde_json::from_str(text).map_err(|error| error.to_string()),
            // YAML cannot read all JSON: tabs, for one.
            Language::Yaml if text.trim_start().starts_with(['{', '[']) => {
                serde_json::from_str(text).or_else(|_| yaml(text))
            }
            Language::Yaml => yaml(text),
            Language::Toml => toml(text),
        }
    }

    /// The value behind a key, when this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(fields) => fields.iter().find(|(name, _)| name == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Twice: first what is a list, a map or a scalar, then the scalars as they are written.
fn yaml(text: &str) -> Result<Tree, String> {
    let options = || {
        serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_documents: 1,
                max_depth: DEPTH_LIMIT,
                max_events: 100_000,
                max_nodes: 50_000,
                max_aliases: 1_000,
            },
            with_snippet: false,
        }
    };
    let failed = |error: serde_saphyr::Error| error.to_string();
    let shape: Tree = serde_saphyr::from_str_with_options(text, options()).map_err(failed)?;
    let written = |deserializer: serde_saphyr::Deserializer<'_, '_>| {
        Written(&shape).deserialize(deserializer)
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), written).map_err(failed)
}

fn toml(text: &str) -> Result<Tree, String> {
    fn tree(value: &DeValue<'_>) -> Tree {
        match value {
            DeValue::String(text) => Tree::Text(text.clone().into_owned()),
            DeValue::Integer(number) => Tree::Text(number.as_str().to_owned()),
            DeValue::Float(number) => Tree::Text(number.as_str().to_owned()),
            DeValue::Boolean(value) => Tree::Text(value.to_string()),
            DeValue::Datetime(time) => Tree::Text(time.to_string()),
            DeValue::Array(items) => {
                Tree::List(items.iter().map(|item| tree(item.get_ref())).collect())
            }
            DeValue::Table(table) => map(table),
        }
    }
    fn map(table: &DeTable<'_>) -> Tree {
        let field = |(key, value): (&toml::Spanned<DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
            (key.get_ref().clone().into_owned(), tree(value.get_ref()))
        };
        Tree::Map(table.iter().map(field).collect())
    }
    match DeTable::parse(text) {
        Ok(table) => Ok(map(table.get_ref())),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = &text[..text.floor_char_boundary(at)];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Err(format!("line {line}, column {column}: {}", error.message()))
        }
    }
}

type DeString<'a> = std::borrow::Cow<'a, str>;

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_none<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Tree, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Tree::Map(fields))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Reads the same text again, with every scalar as it is written.
struct Written<'a>(&'a Tree);

impl<'de> DeserializeSeed<'de> for Written<'_> {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        match self.0 {
            Tree::Null => deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Tree::Null),
            Tree::Text(_) => String::deserialize(deserializer).map(Tree::Text),
            Tree::List(_) => deserializer.deserialize_seq(self),
            Tree::Map(_) => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Written<'_> {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let Tree::List(shapes) = self.0 else { return Err(A::Error::custom("not a list")) };
        let mut items = Vec::new();
        for shape in shapes {
            items.extend(seq.next_element_seed(Written(shape))?);
        }
        // The end, too, has to be seen.
        seq.next_element::<IgnoredAny>()?;
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let Tree::Map(shapes) = self.0 else { return Err(A::Error::custom("not a map")) };
        let mut fields = Vec::new();
        for (_, shape) in shapes {
            if let Some(key) = map.next_key()? {
                fields.push((key, map.next_value_seed(Written(shape))?));
            }
        }
        map.next_key::<IgnoredAny>()?;
        Ok(Tree::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: Language, text: &str, expected: &str) {
        fn show(tree: &Tree) -> String {
            let all = |items: Vec<String>| items.join(" ");
            match tree {
                Tree::Null => "~".to_owned(),
                Tree::Text(text) => text.clone(),
                Tree::List(items) => format!("[{}]", all(items.iter().map(show).collect())),
                Tree::Map(fields) => {
                    let field = |(key, value): &(String, Tree)| format!("{key}={}", show(value));
                    format!("{{{}}}", all(fields.iter().map(field).collect()))
                }
            }
        }
        let shown = match Tree::parse(text, language) {
            Ok(tree) => show(&tree),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn scalars_are_as_written() {
        use Language::{Json, Toml, Yaml};
        check(
            Yaml,
            "a: 007\nb: 1.10\nc: yes\nd: ~\ne: 'x: y'\n1: ''",
            "{a=007 b=1.10 c=yes d=~ e=x: y 1=}",
        );
        check(
            Yaml,
            "- [012345678901, 1e3]\n- {k: 0x10}\n- null\n-\n",
            "[[012345678901 1e3] {k=0x10} ~ ~]",
        );
        check(Yaml, "a: &x {k: 01}\nb: *x\nc: {<<: *x, l: 2}", "{a={k=01} b={k=01} c={l=2 k=01}}");
        check(Yaml, "{\n\t\"a\": \"\\ud83d\\ude00\"}", "{a=😀}");
        check(Json, "{\"a\": [1, 2.5, true, null, \"t\"]}", "{a=[1 2.5 true ~ t]}");
        check(
            Toml,
            "a = 1.10\nb = [1, 'x']\n[c.d]\ne = true\nf = 1979-05-27",
            "{a=1.10 b=[1 x] c={d={e=true f=1979-05-27}}}",
        );
    }

    #[test]
    fn errors_say_where_and_not_what() {
        use Language::{Json, Toml, Yaml};
        check(Json, "{\"a\":\n hunter2}", "! expected value at line 2 column 2");
        check(
            Toml,
            "a = 1\nb = hunter2\n",
            "! line 2, column 5: string values must be quoted, expected literal string",
        );
        let error = Tree::parse("a: 1\nb: [hunter2", Yaml).unwrap_err();
        assert!(error.contains("line 2") && !error.contains("hunter2"), "{error}");
        let deep = "[".repeat(2000);
        assert!(Tree::parse(&deep, Yaml).is_err() && Tree::parse(&deep, Json).is_err());
        assert!(Tree::parse(&format!("a = {deep}"), Toml).is_err());
    }
}
