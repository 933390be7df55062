//! Lists the published entries with their owners.

use std::collections::BTreeSet;

use crate::{
    EntryKey, Owner, PublishedConfig, Section,
    difference::{schedule_entry, schedules},
    resources::{BUCKET_NAME, LAYER_NAME, TABLE_NAME},
    value::Value,
    written_route::{joined, written},
};

/// An entry as people read it, or all methods of a route that have the same owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    /// What it is.
    pub section: Section,
    /// Its name; a route as a template writes it, such as `ANY /{proxy+}`.
    pub name: String,
    /// Who published it; nobody for what a person or the earlier tool wrote.
    pub owners: BTreeSet<Owner>,
}

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
        let named: BTreeSet<(EntryKey, &String)> = schedules(&config.functions)
            .map(|(function, rate, _)| (schedule_entry(function, &rate), function))
            .collect();
        // A schedule belongs to whom its function belongs to.
        let owners = |function: &String| self.state.owners.of(Section::Function, function).clone();
        entries.extend(named.into_iter().map(|(entry, function)| (entry, owners(function))));
        entries
    }

    /// Lists every entry as people read it, in the order of [`Self::entries`].
    pub fn listed(&self) -> Vec<ListedEntry> {
        let mut listed: Vec<ListedEntry> = Vec::new();
        let mut routes: Vec<(String, String, BTreeSet<Owner>, Vec<&str>)> = Vec::new();
        for route in &self.config.routing.routes {
            let owners = self.state.owners.of(Section::Route, &route.key());
            let path = written(route).path;
            let alike = routes.iter_mut().find(|(known, function, of, _)| {
                *known == path && *function == route.function && of == owners
            });
            match alike {
                Some((.., methods)) => methods.push(&route.method),
                None => {
                    routes.push((
                        path,
                        route.function.clone(),
                        owners.clone(),
                        vec![&route.method],
                    ));
                }
            }
        }
        routes.sort();
        let mut routes = Some(routes);
        for (EntryKey { section, key }, owners) in self.entries() {
            if section != Section::Route {
                listed.push(ListedEntry { section, name: key, owners });
                continue;
            }
            let routes = routes.take().into_iter().flatten();
            listed.extend(routes.map(|(path, _, owners, methods)| ListedEntry {
                section,
                name: format!("{} {path}", joined(&methods)),
                owners,
            }));
        }
        listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FunctionEntry, FunctionEvent, Owners, RouteEntry};

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

    #[test]
    fn routes_and_schedules_as_people_read_them() {
        let mut published = PublishedConfig::default();
        let owner = Owner::new("shop", "template.yaml");
        let events = vec![FunctionEvent::schedule("rate(1 day)", None); 2];
        let function = FunctionEntry { events, ..FunctionEntry::default() };
        published.config.functions.functions.insert("f".into(), function);
        published.state.owners.add(Section::Function, "f", owner.clone());
        for (method, path) in
            [("GET", "/{+}"), ("POST", "/{+}"), ("GET", "/orders/{id}"), ("PUT", "/orders/{id}")]
        {
            let route = RouteEntry {
                path: if path == "/{+}" { "/(?P<proxy>.+)".into() } else { path.into() },
                method: method.into(),
                function: "f".into(),
                ..RouteEntry::default()
            };
            if method != "PUT" {
                published.state.owners.add(Section::Route, route.key(), owner.clone());
            }
            published.config.routing.routes.push(route);
        }
        let words: Vec<String> = published
            .listed()
            .iter()
            .map(|one| format!("{} {} {}", one.section.noun(), one.name, one.owners.len()))
            .collect();
        let expected = [
            "function f 1",
            "route GET /orders/{id} 1",
            "route PUT /orders/{id} 0",
            "route GET, POST /{proxy+} 1",
            "schedule f rate(1 day) 1",
        ];
        let mut sorted = words.clone();
        sorted.sort();
        let mut all = expected.map(str::to_owned);
        all.sort();
        assert_eq!(sorted, all);
    }
}
