//! Globals: the official merge, before any intrinsic is resolved.
//!
//! Scalars and mismatched types: the local value wins. Maps unite. Lists are appended to the
//! global ones, except `Architectures`. An intrinsic function counts as a scalar
//! (docs/contracts/sam.md#globals).

use std::{collections::HashMap, rc::Rc};

use esb_model::{Finding, Severity};

use crate::{
    codes,
    evaluator::Run,
    findings::quote,
    resource::known,
    yaml::{MapEntry, Node, NodeKind},
};

/// Steps that a copied entry costs, so that many resources cannot copy large globals.
const COPY_STEPS: usize = 4;

/// Nodes that a resource may share with others for one step: it will look at some of them.
const SHARED_NODES_A_STEP: usize = 16;

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
pub(crate) struct Globals(HashMap<&'static str, Section>);

/// The globals of one kind of resource.
#[derive(Debug)]
struct Section {
    properties: Rc<Node>,
    /// Nodes of all of them.
    nodes: usize,
}

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
                    let properties = allowed(run, kind, &entry.value);
                    let nodes = properties.count();
                    globals.0.insert(kind, Section { properties, nodes });
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
                    let message = format!("Globals has no section {}", quote(&entry.key));
                    let finding = Finding::new(Severity::Warning, codes::GLOBALS, span, message);
                    let names = SECTIONS.iter().map(|(name, _)| *name);
                    run.findings.push_wrong(finding, &entry.key, names);
                }
            }
        }
        globals
    }

    /// The properties that each kind of resource gets.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (&'static str, &Rc<Node>)> {
        self.0.iter().map(|(kind, section)| (*kind, &section.properties))
    }

    /// A resource's properties with the globals of its kind.
    pub(crate) fn apply(
        &self,
        run: &mut Run<'_>,
        kind: &str,
        body: &Rc<Node>,
        properties: &Rc<Node>,
    ) -> Rc<Node> {
        let Some(globals) = self.0.get(kind) else { return properties.clone() };
        if !run.step(globals.nodes / SHARED_NODES_A_STEP, properties.span()) {
            return properties.clone();
        }
        let ignored = body.get("IgnoreGlobals");
        if ignored.and_then(|node| node.scalar()).is_some_and(|text| &**text == "*") {
            return properties.clone();
        }
        let ignored = ignored.and_then(|node| node.items()).unwrap_or_default();
        let is_ignored =
            |key: &str| ignored.iter().filter_map(|item| item.scalar()).any(|name| &**name == key);
        let globals: Vec<_> = globals
            .properties
            .entries()
            .unwrap_or_default()
            .iter()
            .filter(|entry| !is_ignored(&entry.key))
            .cloned()
            .collect();
        unite(run, &globals, properties)
    }
}

/// The properties that Globals may set.
fn allowed(run: &mut Run<'_>, kind: &str, section: &Rc<Node>) -> Rc<Node> {
    let entries = section.entries().unwrap_or_default();
    let refused = |entry: &&MapEntry| {
        kind == "AWS::Serverless::Function" && known::NOT_GLOBAL.contains(&&*entry.key)
    };
    if !entries.iter().any(|entry| refused(&entry)) {
        return section.clone();
    }
    for entry in entries.iter().filter(refused) {
        let message = format!("Globals cannot set {} for functions", quote(&entry.key));
        run.findings.warn(codes::GLOBALS, entry.place.span(), message);
    }
    Node::map(section.place, entries.iter().filter(|entry| !refused(entry)).cloned().collect())
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
        NodeKind::Seq(_) => Shape::List,
        NodeKind::Scalar { .. } => Shape::Scalar,
        NodeKind::Map(entries) => match &**entries {
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
fn merge(run: &mut Run<'_>, key: &str, global: &Rc<Node>, local: &Rc<Node>) -> Rc<Node> {
    match (shape(global), shape(local)) {
        (Shape::Map, Shape::Map) => unite(run, global.entries().unwrap_or_default(), local),
        (Shape::List, Shape::List) if key != "Architectures" => {
            let lists = || [global, local].into_iter().filter_map(|node| node.items());
            if !run.step(lists().map(<[_]>::len).sum::<usize>() * COPY_STEPS, local.span()) {
                return local.clone();
            }
            Node::seq(local.place, lists().flatten().cloned().collect())
        }
        _ => local.clone(),
    }
}

fn unite(run: &mut Run<'_>, globals: &[MapEntry], local: &Rc<Node>) -> Rc<Node> {
    let own = local.entries().unwrap_or_default();
    if !run.step((globals.len() + own.len()) * COPY_STEPS, local.span()) {
        return local.clone();
    }
    let positions: HashMap<&str, usize> =
        own.iter().enumerate().map(|(at, entry)| (&*entry.key, at)).collect();
    let mut used = vec![false; own.len()];
    let mut entries = Vec::with_capacity(globals.len() + own.len());
    for global in globals {
        entries.push(match positions.get(&*global.key) {
            Some(&at) => {
                used[at] = true;
                let value = merge(run, &global.key, &global.value, &own[at].value);
                MapEntry { value, ..own[at].clone() }
            }
            None => global.clone(),
        });
    }
    entries.extend(own.iter().zip(used).filter(|(_, used)| !used).map(|(entry, _)| entry.clone()));
    Node::map(local.place, entries)
}
