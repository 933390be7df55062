//! Globals: the official merge, before any intrinsic is resolved.
//!
//! Scalars and mismatched types: the local value wins. Maps unite. Lists are appended to the
//! global ones, except `Architectures`. An intrinsic function counts as a scalar.

use std::{collections::HashMap, rc::Rc};

use esb_model::{Finding, Severity};

use crate::{
    codes,
    evaluator::Run,
    findings::quote,
    yaml::{Entry, Kind, Node},
};

/// The sections and the kinds of resources that they are for.
const SECTIONS: &[(&str, &str)] = &[
    ("Api", "AWS::Serverless::Api"),
    ("CapacityProvider", "AWS::Serverless::CapacityProvider"),
    ("Function", "AWS::Serverless::Function"),
    ("HttpApi", "AWS::Serverless::HttpApi"),
    ("LayerVersion", "AWS::Serverless::LayerVersion"),
    ("SimpleTable", "AWS::Serverless::SimpleTable"),
    ("StateMachine", "AWS::Serverless::StateMachine"),
    ("WebSocketApi", "AWS::Serverless::WebSocketApi"),
];

/// Globals by the kind of resource.
#[derive(Debug, Default)]
pub(crate) struct Globals(HashMap<&'static str, Rc<Node>>);

impl Globals {
    pub(crate) fn read(run: &mut Run<'_>, section: Option<&Rc<Node>>) -> Self {
        let mut globals = Self::default();
        let Some(section) = section else { return globals };
        let Some(entries) = section.entries() else {
            let message = format!("Globals must be a map, not {}", section.describe());
            run.findings.error(codes::GLOBALS, section.span(), message);
            return globals;
        };
        for entry in entries {
            let span = entry.place.span();
            let known = SECTIONS.iter().find(|(name, _)| *name == &*entry.key);
            match known {
                Some((_, kind)) if entry.value.entries().is_some() => {
                    globals.0.insert(kind, entry.value.clone());
                }
                Some(_) if entry.value.is_null() => {}
                Some((name, _)) => {
                    let message = format!(
                        "{} in Globals must be a map, not {}",
                        quote(name),
                        entry.value.describe()
                    );
                    run.findings.error(codes::GLOBALS, span, message);
                }
                None => {
                    let message = format!("Globals know no section {}", quote(&entry.key));
                    let finding = Finding::new(Severity::Warning, codes::GLOBALS, span, message);
                    let names = SECTIONS.iter().map(|(name, _)| *name);
                    run.findings.push_wrong(finding, &entry.key, names);
                }
            }
        }
        globals
    }

    /// A resource's properties with the globals of its kind.
    pub(crate) fn apply(&self, kind: &str, body: &Rc<Node>, properties: &Rc<Node>) -> Rc<Node> {
        let Some(globals) = self.0.get(kind) else { return properties.clone() };
        let ignored = body.get("IgnoreGlobals");
        if ignored.and_then(|node| node.scalar()).is_some_and(|text| &**text == "*") {
            return properties.clone();
        }
        let ignored = ignored.and_then(|node| node.items()).unwrap_or_default();
        let is_ignored =
            |key: &str| ignored.iter().filter_map(|item| item.scalar()).any(|name| &**name == key);
        let globals: Vec<_> = globals
            .entries()
            .unwrap_or_default()
            .iter()
            .filter(|entry| !is_ignored(&entry.key))
            .cloned()
            .collect();
        unite(&globals, properties)
    }
}

/// What the merge takes a node for.
#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Map,
    List,
    Scalar,
}

fn shape(node: &Node) -> Shape {
    match &node.kind {
        Kind::Seq(_) => Shape::List,
        Kind::Scalar { .. } => Shape::Scalar,
        Kind::Map(entries) => match &**entries {
            [entry]
                if matches!(&*entry.key, "Ref" | "Condition") || entry.key.starts_with("Fn::") =>
            {
                Shape::Scalar
            }
            _ => Shape::Map,
        },
    }
}

/// Nodes are at most as deep as documents may be, so recursion is bounded.
fn merge(key: &str, global: &Rc<Node>, local: &Rc<Node>) -> Rc<Node> {
    match (shape(global), shape(local)) {
        (Shape::Map, Shape::Map) => unite(global.entries().unwrap_or_default(), local),
        (Shape::List, Shape::List) if key != "Architectures" => {
            let items = [global, local].into_iter().filter_map(|node| node.items()).flatten();
            Node::seq(local.place, items.cloned().collect())
        }
        _ => local.clone(),
    }
}

fn unite(globals: &[Entry], local: &Rc<Node>) -> Rc<Node> {
    let mut entries: Vec<Entry> = globals
        .iter()
        .map(|global| match local.entry(&global.key) {
            Some(entry) => {
                Entry { value: merge(&global.key, &global.value, &entry.value), ..entry.clone() }
            }
            None => global.clone(),
        })
        .collect();
    let known: Vec<_> = globals.iter().map(|entry| &entry.key).collect();
    let added = local.entries().unwrap_or_default().iter();
    entries.extend(added.filter(|entry| !known.contains(&&entry.key)).cloned());
    Node::map(local.place, entries)
}
