//! Lists the published entries with their owners.

use std::collections::BTreeSet;

use crate::{
    EntryKey, Owner, PublishedConfig, Section,
    resources::{BUCKET_NAME, LAYER_NAME, TABLE_NAME},
    value::Value,
};

impl PublishedConfig {
    /// Lists every entry with its owners, by section and key; entries that a person or the earlier
    /// tool wrote have no owner.
    pub fn entries(&self) -> Vec<(EntryKey, BTreeSet<Owner>)> {
        let config = &self.config;
        let named = |items: &[Value], name: &str| -> Vec<String> {
            let names = items.iter().filter_map(|item| item.get(name).and_then(Value::as_text));
            names.map(str::to_owned).collect()
        };
        let mut all: Vec<(Section, Vec<String>)> = vec![
            (Section::Function, config.functions.functions.keys().cloned().collect()),
            (Section::Route, config.routing.routes.iter().map(crate::RouteEntry::key).collect()),
            (Section::Table, named(&config.resources.dynamodb, TABLE_NAME)),
            (Section::Bucket, named(&config.resources.s3, BUCKET_NAME)),
            (Section::Layer, named(&config.resources.layers, LAYER_NAME)),
        ];
        let images = config.images.images.iter().map(|image| image.function_name.clone());
        all.push((Section::Image, images.collect()));
        let mut entries = Vec::new();
        for (section, mut keys) in all {
            keys.sort();
            keys.dedup();
            for key in keys {
                let owners = self.state.owners.of(section, &key).clone();
                entries.push((EntryKey { section, key }, owners));
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FunctionEntry, Owners, RouteEntry};

    #[test]
    fn owned_or_not() {
        let mut published = PublishedConfig::default();
        let functions = &mut published.config.functions.functions;
        functions.insert("mine".into(), FunctionEntry::default());
        functions.insert("hand-written".into(), FunctionEntry::default());
        published.config.routing.routes.push(RouteEntry {
            path: "/a".into(),
            method: "GET".into(),
            function: "mine".into(),
            ..RouteEntry::default()
        });
        let mut owners = Owners::default();
        owners.add(Section::Function, "mine", Owner::new("shop", "template.yaml"));
        published.state.owners = owners;
        let words: Vec<String> = published
            .entries()
            .into_iter()
            .map(|(entry, owners)| {
                let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
                format!("{entry} {}", owners.join(", "))
            })
            .collect();
        let expected =
            ["function `hand-written` ", "function `mine` shop:template.yaml", "route `GET /a` "];
        assert_eq!(words, expected);
    }
}
