//! routing.yml: which path and method leads to which function
//! (docs/contracts/platform.md#routingyml).
//!
//! The Gateway takes the first route that fits, so order matters: this module owns the order, and
//! the identity of a route, for paths as they stand in the file.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

#[cfg(test)]
use crate::schemas::files;
use crate::{
    functions::deserialize_by_fields,
    read::{FromFields, collection, from_fields, text, unknown},
    text::identifier,
    value::{Fields, Value},
    write,
};

/// How the file writes the rest of a path that has a name.
pub(crate) const GREEDY_START: &str = "(?P<";
pub(crate) const GREEDY_END: &str = ">.+)";
/// How the file writes the path of a route that takes everything.
pub(crate) const CATCH_ALL: &str = "/.*";

/// What `ANY` of a template stands for; the Gateway answers HEAD by GET, and OPTIONS itself.
pub(crate) const ANY: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RoutingFile {
    pub routes: Vec<RouteEntry>,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

/// One route. Text is literal here: the Gateway does not interpolate this file.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RouteEntry {
    /// A Python regex in which `{name}` is one segment; anchored at both ends.
    #[cfg_attr(test, schemars(regex(pattern = files::PATH)))]
    pub path: String,
    /// Upper-case.
    #[cfg_attr(test, schemars(extend("enum" = files::METHODS)))]
    pub method: String,
    /// The function's name.
    #[cfg_attr(test, schemars(with = "files::Target"))]
    pub function: String,
    #[cfg_attr(test, schemars(skip))]
    pub extra: Fields,
}

impl RoutingFile {
    /// The text of the file.
    pub fn to_yaml(&self) -> String {
        let routes = self.routes.iter().map(RouteEntry::to_value).collect();
        let mut fields = vec![("routes".to_owned(), Value::List(routes))];
        fields.extend(self.extra.iter().cloned());
        write::document(&Value::Map(fields))
    }

    /// Puts static paths before those with parameters, and those before greedy ones.
    pub fn sort(&mut self) {
        self.routes.sort_by_cached_key(|route| {
            (Specificity::of(&route.path), route.path.clone(), route.method.clone())
        });
    }
}

impl RouteEntry {
    fn to_value(&self) -> Value {
        let text = |key: &str, text: &str| (key.to_owned(), Value::text(text));
        let mut fields = vec![
            text("path", &self.path),
            text("method", &self.method),
            text("function", &self.function),
        ];
        fields.extend(self.extra.iter().cloned());
        Value::Map(fields)
    }

    /// The key by which two routes count as the same: method and path without the names of its
    /// parameters.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, shape(&self.path))
    }
}

/// A path without the names of its parameters: `/orders/{}`, `/files/{+}`.
fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        if let Some((length, name)) = parameter(rest) {
            shape.push_str(name);
            rest = &rest[length..];
        } else {
            shape.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    shape
}

/// The path as a template writes it: `/{proxy+}`, `/v1.0`.
pub(crate) fn template_path(path: &str) -> String {
    if path == CATCH_ALL {
        return "$default".to_owned();
    }
    let mut written = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix(GREEDY_START).and_then(|inner| inner.split_once(GREEDY_END));
        if let Some((name, after)) = named.filter(|(name, _)| identifier(name) == name.len()) {
            written.extend(["{", name, "+}"]);
            rest = after;
            continue;
        }
        let after = &rest[c.len_utf8()..];
        let escaped = after.chars().next().filter(|_| c == '\\');
        let (shown, length) = escaped.map_or((c, 0), |escaped| (escaped, escaped.len_utf8()));
        written.push(shown);
        rest = &after[length..];
    }
    written
}

/// The length and the nameless form of the parameter that a text starts with, in our form or in
/// that of SAM, which the earlier tool wrote as it was.
fn parameter(text: &str) -> Option<(usize, &'static str)> {
    let (start, ends): (&str, [(&str, &str); 2]) = if text.starts_with('{') {
        ("{", [("}", "{}"), ("+}", "{+}")])
    } else {
        (GREEDY_START, [(GREEDY_END, "{+}"), (GREEDY_END, "{+}")])
    };
    let after = text.strip_prefix(start)?;
    let name = identifier(after);
    let (end, form) = ends.into_iter().find(|(end, _)| after[name..].starts_with(end))?;
    (name > 0).then_some((start.len() + name + end.len(), form))
}

/// The sort key of a path: a smaller one comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Specificity {
    /// The least specific of the segments.
    class: SegmentKind,
    segments: Vec<SegmentKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SegmentKind {
    Static,
    Parameter,
    Greedy,
    Everything,
}

impl Specificity {
    fn of(path: &str) -> Self {
        if path == CATCH_ALL {
            return Self { class: SegmentKind::Everything, segments: Vec::new() };
        }
        let segments: Vec<SegmentKind> = path.split('/').map(SegmentKind::of).collect();
        let class = segments.iter().copied().max().unwrap_or(SegmentKind::Static);
        Self { class, segments }
    }
}

impl SegmentKind {
    /// Text that a person wrote as a regex counts as greedy.
    fn of(segment: &str) -> Self {
        let shape = shape(segment);
        if shape.contains("{+}") || has_operator(&shape.replace("{}", "")) {
            Self::Greedy
        } else if shape.contains("{}") {
            Self::Parameter
        } else {
            Self::Static
        }
    }
}

/// Whether a regex may match more than one text by repetition, choice or class.
fn has_operator(regex: &str) -> bool {
    let mut escaped = false;
    regex.chars().any(|c| {
        let plain = std::mem::take(&mut escaped);
        escaped = c == '\\' && !plain;
        !plain && matches!(c, '*' | '+' | '?' | '(' | '[' | '|')
    })
}

impl FromFields for RoutingFile {
    const EXPECTED: &'static str = "a map with `routes`";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "routes" => self.routes = collection(map)?,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

impl FromFields for RouteEntry {
    const EXPECTED: &'static str = "a route's map";

    fn field<'de, M: MapAccess<'de>>(&mut self, key: String, map: &mut M) -> Result<(), M::Error> {
        match &*key {
            "path" => self.path = text(map)?.unwrap_or_default(),
            "method" => self.method = text(map)?.unwrap_or_default().to_ascii_uppercase(),
            "function" => self.function = map.next_value::<Target>()?.0,
            _ => unknown(&mut self.extra, key, map)?,
        }
        Ok(())
    }
}

deserialize_by_fields!(RoutingFile, RouteEntry);

/// A function's name, or the map with `container` of old files.
struct Target(String);

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}

struct TargetVisitor;

impl<'de> Visitor<'de> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a function's name in quotes")
    }

    fn visit_str<E>(self, name: &str) -> Result<Target, E> {
        Ok(Target(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Target, A::Error> {
        let mut container = None;
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if key == "container" {
                container = value.as_text().map(str::to_owned);
            }
        }
        container.map(Target).ok_or_else(|| serde::de::Error::missing_field("container"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Target, A::Error> {
        Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::yaml;

    fn route(path: &str, method: &str) -> RouteEntry {
        RouteEntry { path: path.into(), method: method.into(), ..RouteEntry::default() }
    }

    #[test]
    fn static_before_parameter_before_greedy() {
        let expected = [
            "/",
            "/a/b",
            r"/v1\.0/x",
            "/a/{id}",
            "/a/{id}/x",
            "/{x}/b",
            "/a/b/(?P<p>.+)",
            "/a/(?P<p>.+)",
            "/{x}/(?P<p>.+)",
            "/(?P<p>.+)",
            "/.*",
        ];
        let mut file = RoutingFile::default();
        file.routes.extend(expected.iter().rev().map(|path| route(path, "GET")));
        file.sort();
        let paths: Vec<&str> = file.routes.iter().map(|route| &*route.path).collect();
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_route_is_its_method_and_shape() {
        for (path, key) in [
            ("/a/{id}", "GET /a/{}"),
            ("/a/{other}", "GET /a/{}"),
            ("/a/{proxy+}", "GET /a/{+}"),
            ("/a/(?P<rest>.+)", "GET /a/{+}"),
            ("/a/{user-id}/é", "GET /a/{user-id}/é"),
            ("/{}/(?P<", "GET /{}/(?P<"),
        ] {
            assert_eq!(route(path, "GET").key(), key);
        }
    }

    #[test]
    fn reads_and_writes() {
        let text = r"
routes:
  - {path: /a, method: get, function: f, auth: none}
  - {path: /b, function: {container: g}}
  - {path: '', method: null, function: h}
";
        let file: RoutingFile = yaml(text).unwrap();
        let expected = r#""routes":
  - "path": "/a"
    "method": "GET"
    "function": "f"
    "auth": "none"
  - "path": "/b"
    "method": ""
    "function": "g"
  - "path": ""
    "method": ""
    "function": "h"
"#;
        assert_eq!(file.to_yaml(), expected);
        assert_eq!(yaml::<RoutingFile>("routes:").unwrap(), RoutingFile::default());
        assert_eq!(RoutingFile::default().to_yaml(), "\"routes\": []\n");
        yaml::<RoutingFile>("routes: [{path: /, function: [a]}]").unwrap_err();
    }
}
