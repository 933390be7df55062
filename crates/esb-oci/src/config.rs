//! Reads and patches an image's config as JSON; fields that are unknown here are kept.

use serde_json::{Map, Value, json};

use crate::{Digest, InvalidImage};

/// The config of an image (OCI image specification, "Image Configuration").
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig(Map<String, Value>);

/// The history entry of one added layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History<'a> {
    /// RFC 3339 time.
    pub created: &'a str,
    pub created_by: &'a str,
}

impl ImageConfig {
    /// The config of an image that starts from nothing.
    pub fn empty(architecture: &str) -> Self {
        let value = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [],
        });
        match value {
            Value::Object(map) => Self(map),
            _ => Self(Map::new()),
        }
    }

    /// Reads a config's JSON. A history that is missing, null or shorter than the layers is padded,
    /// because Lambda and some registries want one entry for each layer.
    ///
    /// # Errors
    /// When the bytes are no JSON object.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidImage> {
        let map = serde_json::from_slice(bytes)
            .map_err(|source| InvalidImage::Json { what: "config", source })?;
        let mut config = Self(map);
        config.pad_history();
        Ok(config)
    }

    /// The JSON in the base's field order, ours last.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("a JSON map has string keys")
    }

    /// `amd64`, `arm64`, …
    pub fn architecture(&self) -> &str {
        self.0.get("architecture").and_then(Value::as_str).unwrap_or_default()
    }

    /// The operating system; empty when it is not named.
    pub fn os(&self) -> &str {
        self.0.get("os").and_then(Value::as_str).unwrap_or_default()
    }

    /// Digests of the uncompressed layers, lowest first; entries that are no digest are left out.
    pub fn diff_ids(&self) -> Vec<Digest> {
        let ids = self.0.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids"));
        let ids = ids.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(Value::as_str).filter_map(|id| id.parse().ok()).collect()
    }

    /// The value of a variable in `Env`.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env_entries()
            .filter_map(|entry| entry.split_once('='))
            .rfind(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// All entries of `Env` as `NAME=value`.
    pub fn env_entries(&self) -> impl DoubleEndedIterator<Item = &str> {
        let entries = self.setting("Env").and_then(Value::as_array);
        entries.map(Vec::as_slice).unwrap_or_default().iter().filter_map(Value::as_str)
    }

    /// Sets a variable in its place, or at the end of `Env`.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let list = self.setting_mut("Env", || Value::Array(Vec::new()));
        if !list.is_array() {
            *list = Value::Array(Vec::new());
        }
        let Some(list) = list.as_array_mut() else { return };
        let is_same = |old: &Value| {
            old.as_str().and_then(|old| old.split_once('=')).is_some_and(|(key, _)| key == name)
        };
        match list.iter_mut().find(|old| is_same(old)) {
            Some(old) => *old = entry.into(),
            None => list.push(entry.into()),
        }
    }

    /// A text setting such as `WorkingDir`, `User` or `StopSignal`.
    pub fn text(&self, name: &str) -> &str {
        self.setting(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Sets a setting such as `WorkingDir`, `Cmd` or `Entrypoint`.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        *self.setting_mut(name, || Value::Null) = value.into();
    }

    /// A list setting such as `Cmd` or `Entrypoint`.
    pub fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.setting(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// Removes a setting.
    pub fn clear(&mut self, name: &str) {
        if let Some(settings) = self.0.get_mut("config").and_then(Value::as_object_mut) {
            settings.shift_remove(name);
        }
    }

    /// Sets one key of a map setting such as `Labels` or `ExposedPorts`.
    pub fn insert(&mut self, map: &str, key: &str, value: impl Into<Value>) {
        let target = self.setting_mut(map, || Value::Object(Map::new()));
        if !target.is_object() {
            *target = Value::Object(Map::new());
        }
        if let Some(target) = target.as_object_mut() {
            target.insert(key.to_owned(), value.into());
        }
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.setting("Labels")?.get(name)?.as_str()
    }

    /// Sets the time of creation (RFC 3339).
    pub fn set_created(&mut self, created: &str) {
        self.0.insert("created".to_owned(), created.into());
    }

    /// Sets who made the image.
    pub fn set_author(&mut self, author: &str) {
        self.0.insert("author".to_owned(), author.into());
    }

    /// Adds a layer on top with its history entry.
    pub fn push_layer(&mut self, diff_id: Digest, history: &History<'_>) {
        let rootfs =
            self.0.entry("rootfs").or_insert_with(|| json!({"type": "layers", "diff_ids": []}));
        if let Some(ids) = rootfs.get_mut("diff_ids").and_then(Value::as_array_mut) {
            ids.push(diff_id.to_string().into());
        }
        self.push_history(json!({
            "created": history.created,
            "created_by": history.created_by,
        }));
    }

    /// Adds a history entry of an instruction that made no layer.
    pub fn push_empty_history(&mut self, history: &History<'_>) {
        self.push_history(json!({
            "created": history.created,
            "created_by": history.created_by,
            "empty_layer": true,
        }));
    }

    fn push_history(&mut self, entry: Value) {
        let list = self.0.entry("history").or_insert_with(|| Value::Array(Vec::new()));
        if let Some(list) = list.as_array_mut() {
            list.push(entry);
        }
    }

    fn pad_history(&mut self) {
        let layers = self.diff_ids().len();
        let list = self.0.entry("history").or_insert_with(|| Value::Array(Vec::new()));
        if list.is_null() {
            *list = Value::Array(Vec::new());
        }
        let Some(list) = list.as_array_mut() else { return };
        let is_layer = |entry: &&Value| entry.get("empty_layer") != Some(&Value::Bool(true));
        let described = list.iter().filter(is_layer).count();
        for _ in described..layers {
            list.push(json!({"created_by": "base image layer"}));
        }
    }

    fn setting(&self, name: &str) -> Option<&Value> {
        self.0.get("config")?.get(name).filter(|value| !value.is_null())
    }

    fn setting_mut(&mut self, name: &str, default: impl FnOnce() -> Value) -> &mut Value {
        let settings = self.0.entry("config").or_insert_with(|| Value::Object(Map::new()));
        if !settings.is_object() {
            *settings = Value::Object(Map::new());
        }
        let Some(settings) = settings.as_object_mut() else { unreachable!("made an object above") };
        settings.entry(name.to_owned()).or_insert_with(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_does_not_know_and_pads_history() {
        let base = br#"{"os.version":"1","architecture":"amd64","config":{"Env":["A=1","B=2"],
            "Healthcheck":{"Test":["x"]},"Labels":null},"history":null,
            "rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
        let mut config = ImageConfig::parse(base).unwrap();
        config.set_env("A", "3");
        config.set_env("C", "4");
        config.insert("Labels", "k", "v");
        config.set("Cmd", vec!["h.f"]);
        config.push_layer(Digest::of(b"x"), &History { created: "t", created_by: "COPY" });
        let text = String::from_utf8(config.to_bytes()).unwrap();
        assert!(text.starts_with(r#"{"os.version":"1","architecture":"amd64","config":{"Env":["A=3","B=2","C=4"],"Healthcheck":"#), "{text}");
        assert!(text.contains(r#""history":[{"created_by":"base image layer"},{"created":"t","created_by":"COPY"}]"#), "{text}");
        assert_eq!(config.diff_ids().len(), 2);
        assert_eq!(config.env("A"), Some("3"));
        assert_eq!(config.label("k"), Some("v"));
    }
}
