//! Names changed routes as a template writes them: `ANY /{proxy+}`, once for all its methods.

use std::collections::BTreeMap;

use crate::{
    Change, ChangeKind, RouteEntry, Section,
    routing::{ANY, RoutingFile, template_path},
};

/// A route with its path as a template writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrittenRoute {
    /// In upper case.
    pub method: String,
    /// Such as `/orders/{id}` or `/{proxy+}`; `$default` for what takes everything.
    pub path: String,
    /// The function that it leads to.
    pub function: String,
}

/// What a line about changes is about: one entry, or all methods of a path that changed alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedSubject {
    /// Whether it came, changed or went.
    pub kind: ChangeKind,
    /// Such as ``function `orders` `` or ``route `GET /orders` ``.
    pub name: String,
    /// What is different inside, in words.
    pub details: Vec<String>,
}

/// Adds to changes of routes what they are called in a template.
pub(crate) fn name_routes(changes: &mut [Change], old: &RoutingFile, new: &RoutingFile) {
    let by_key = |file: &RoutingFile| -> BTreeMap<String, WrittenRoute> {
        file.routes.iter().map(|route| (route.key(), written(route))).collect()
    };
    if !changes.iter().any(|change| change.entry.section == Section::Route) {
        return;
    }
    let (old, new) = (by_key(old), by_key(new));
    for change in changes.iter_mut().filter(|change| change.entry.section == Section::Route) {
        let key = &change.entry.key;
        change.route = new.get(key).or_else(|| old.get(key)).cloned();
    }
}

pub(crate) fn written(route: &RouteEntry) -> WrittenRoute {
    WrittenRoute {
        method: route.method.clone(),
        path: template_path(&route.path),
        function: route.function.clone(),
    }
}

/// The subjects of changes, in their order; routes of one path and function are one.
pub fn subjects(changes: &[Change]) -> Vec<ChangedSubject> {
    let mut subjects: Vec<ChangedSubject> = Vec::new();
    let mut routes: Vec<(&Change, &WrittenRoute, Vec<&str>)> = Vec::new();
    // Where the routes stand among the others.
    let mut place = None;
    for change in changes {
        let Some(route) = &change.route else {
            subjects.push(ChangedSubject {
                kind: change.kind,
                name: change.entry.to_string(),
                details: change.details.clone(),
            });
            continue;
        };
        place.get_or_insert(subjects.len());
        let alike = routes.iter_mut().find(|(first, other, _)| {
            (first.kind, &first.details) == (change.kind, &change.details)
                && (&other.path, &other.function) == (&route.path, &route.function)
        });
        match alike {
            Some((_, _, methods)) => methods.push(&route.method),
            None => routes.push((change, route, vec![&route.method])),
        }
    }
    let routes = routes.into_iter().map(|(change, route, methods)| ChangedSubject {
        kind: change.kind,
        name: format!("route `{} {}`", joined(&methods), route.path.escape_debug()),
        details: change.details.clone(),
    });
    let place = place.unwrap_or_default();
    subjects.splice(place..place, routes);
    subjects
}

/// `ANY` for all methods that it stands for.
pub(crate) fn joined(methods: &[&str]) -> String {
    if ANY.iter().all(|method| methods.contains(method)) {
        let rest = methods.iter().filter(|method| !ANY.contains(method));
        return ["ANY"].iter().chain(rest).copied().collect::<Vec<_>>().join(", ");
    }
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EntryKey;

    #[test]
    fn one_line_for_all_methods_of_a_path() {
        let route = |method: &str, path: &str, function: &str| RouteEntry {
            path: path.to_owned(),
            method: method.to_owned(),
            function: function.to_owned(),
            ..RouteEntry::default()
        };
        let proxy = "/(?P<proxy>.+)";
        let mut routes: Vec<RouteEntry> =
            ANY.iter().map(|method| route(method, proxy, "f")).collect();
        routes.push(route("GET", "/orders/{id}", "f"));
        routes.push(route("POST", "/orders/{id}", "f"));
        routes.push(route("PUT", "/orders/{id}", "g"));
        routes.push(route("GET", r"/v1\.0", "g"));
        let file = RoutingFile { routes, ..RoutingFile::default() };
        let change = |section, key: String, kind| Change {
            entry: EntryKey::new(section, key),
            kind,
            details: Vec::new(),
            route: None,
        };
        let mut changes: Vec<Change> = file
            .routes
            .iter()
            .map(|route| change(Section::Route, route.key(), ChangeKind::Added))
            .collect();
        changes.push(change(Section::Function, "f".to_owned(), ChangeKind::Changed));
        changes.sort();
        name_routes(&mut changes, &RoutingFile::default(), &file);
        let names: Vec<String> =
            subjects(&changes).into_iter().map(|subject| subject.name).collect();
        let expected = [
            "function `f`",
            "route `ANY /{proxy+}`",
            "route `GET, POST /orders/{id}`",
            "route `GET /v1.0`",
            "route `PUT /orders/{id}`",
        ];
        assert_eq!(names, expected);
    }
}
