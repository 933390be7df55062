//! `Fn::ForEach` of `AWS::LanguageExtensions`: expanded before anything else looks at the template
//! (docs/contracts/sam.md#fnforeach).

use std::{collections::HashSet, rc::Rc};

use esb_model::{Finding, Remedy, Severity};

use crate::{
    codes,
    evaluator::Evaluator,
    findings::quote,
    intrinsic::{Part, parts, symbolic},
    value::Value,
    yaml::{MapEntry, Node, NodeKind},
};

const PREFIX: &str = "Fn::ForEach::";

/// Steps that a copied value costs, so that the copies stay within the bounds of a document.
const COPY_STEPS: usize = 4;

/// Whether a text can hold a loop at all.
pub(crate) fn may_occur(text: &str) -> bool {
    text.contains("Fn::ForEach")
}

/// Expands the loops of a template or a section.
pub(crate) fn expand(this: &mut Evaluator<'_, '_>, node: &Rc<Node>) -> Rc<Node> {
    let mut loops = Loops { bindings: Vec::new(), bodies: 0 };
    loops.node(this, node)
}

/// Loops that are open, and bodies made so far.
struct Loops {
    bindings: Vec<(Rc<str>, Rc<str>)>,
    bodies: usize,
}

impl Loops {
    fn node(&mut self, this: &mut Evaluator<'_, '_>, node: &Rc<Node>) -> Rc<Node> {
        if !self.bindings.is_empty() && !this.run.step(COPY_STEPS, node.span()) {
            return node.clone();
        }
        match &node.kind {
            NodeKind::Scalar { text, .. } => match self.substitute(text) {
                Some(text) if this.run.charge(text.len(), node.span()) => {
                    Node::text(node.place, text)
                }
                _ => node.clone(),
            },
            NodeKind::Seq(items) => {
                let expanded: Vec<_> = items.iter().map(|item| self.node(this, item)).collect();
                if expanded.iter().zip(items).all(|(new, old)| Rc::ptr_eq(new, old)) {
                    return node.clone();
                }
                Node::seq(node.place, expanded)
            }
            NodeKind::Map(entries) => {
                if let [entry] = &**entries
                    && &*entry.key == "Ref"
                    && let Some(value) = entry.value.scalar().and_then(|name| self.bound(name))
                {
                    return Node::text(node.place, value);
                }
                self.map(this, node, entries)
            }
        }
    }

    fn map(
        &mut self,
        this: &mut Evaluator<'_, '_>,
        node: &Rc<Node>,
        entries: &[MapEntry],
    ) -> Rc<Node> {
        let mut expanded: Vec<MapEntry> = Vec::with_capacity(entries.len());
        let mut changed = false;
        for entry in entries {
            if entry.key.starts_with(PREFIX) {
                changed = true;
                self.run(this, entry, &mut expanded);
                continue;
            }
            let value = self.node(this, &entry.value);
            let key = self.substitute(&entry.key);
            if key.as_ref().is_some_and(|key| !this.run.charge(key.len(), entry.place.span())) {
                break;
            }
            changed |= key.is_some() || !Rc::ptr_eq(&value, &entry.value);
            let key = key.unwrap_or_else(|| entry.key.clone());
            expanded.push(MapEntry { key, value, place: entry.place });
        }
        if !changed {
            return node.clone();
        }
        let mut seen = HashSet::new();
        for entry in &expanded {
            if !seen.insert(entry.key.clone()) {
                let message = format!("the loop creates the key {} twice", quote(&entry.key));
                this.error(codes::FOR_EACH, entry.place.span(), message);
            }
        }
        Node::map(node.place, expanded)
    }

    /// One loop.
    fn run(&mut self, this: &mut Evaluator<'_, '_>, entry: &MapEntry, into: &mut Vec<MapEntry>) {
        let span = entry.place.span();
        let Some([variable, collection, body]) = entry.value.items() else {
            let message = "a loop needs a variable, a list and a body";
            this.error(codes::FOR_EACH, span, message);
            return;
        };
        let (Some(variable), true) = (variable.scalar().cloned(), body.entries().is_some()) else {
            this.error(codes::FOR_EACH, span, "a loop needs a name and a body that is a map");
            return;
        };
        if self.bindings.len() >= this.run.limits().for_each_depth {
            let message =
                format!("loops are nested more than {} deep", this.run.limits().for_each_depth);
            this.error(codes::FOR_EACH, span, message);
            return;
        }
        let collection = self.node(this, collection);
        let items = match this.eval(&collection) {
            Value::List(items) if !items.iter().any(|item| matches!(item, Value::Unknown(_))) => {
                items
            }
            Value::List(_) | Value::Unknown(_) => return unknown(this, &collection),
            other => {
                let message = format!("a loop needs a list, not {}", other.describe());
                return this.error(codes::FOR_EACH, collection.span(), message);
            }
        };
        for item in items.iter() {
            let Value::Text(item) = item else {
                this.error(
                    codes::FOR_EACH,
                    collection.span(),
                    "the list of a loop must have texts only",
                );
                return;
            };
            self.bodies += 1;
            if self.bodies > this.run.limits().for_each {
                let message =
                    format!("loops expand to more than {} entries", this.run.limits().for_each);
                this.error(codes::LIMIT, span, message);
                return;
            }
            self.bindings.push((variable.clone(), item.text.clone()));
            let expanded = this.deeper(span, |this| self.node(this, body));
            self.bindings.pop();
            let Some(expanded) = expanded else { return };
            into.extend(expanded.entries().unwrap_or_default().iter().cloned());
        }
    }

    /// The value of a loop variable, innermost first.
    fn bound(&self, name: &str) -> Option<Rc<str>> {
        let mut bindings = self.bindings.iter().rev();
        bindings.find(|(variable, _)| &**variable == name).map(|(_, value)| value.clone())
    }

    /// A text with its loop variables filled in; `None` when it has none.
    fn substitute(&self, text: &str) -> Option<Rc<str>> {
        if self.bindings.is_empty() || !text.contains("${") && !text.contains("&{") {
            return None;
        }
        let mut result = String::with_capacity(text.len());
        let mut changed = false;
        for part in parts(text) {
            match part {
                Part::Literal(literal) => result.push_str(literal),
                Part::Escaped(name) => {
                    result.push_str("${!");
                    result.push_str(name);
                    result.push('}');
                }
                Part::Name(name) => {
                    if let Some(value) = self.bound(name.trim()) {
                        changed = true;
                        result.push_str(&value);
                    } else {
                        result.push_str("${");
                        result.push_str(name);
                        result.push('}');
                    }
                }
            }
        }
        // `&{Name}` gives the value without what cannot stand in a logical id.
        for (variable, value) in self.bindings.iter().rev() {
            let marked = format!("&{{{variable}}}");
            if result.contains(&marked) {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
                result = result.replace(&marked, &plain);
                changed = true;
            }
        }
        changed.then(|| result.into())
    }
}

/// Reports a list that is not known, with the parameter behind it: how often the loop runs, and so
/// which names there are, is not known either.
fn unknown(this: &mut Evaluator<'_, '_>, collection: &Rc<Node>) {
    this.may_have_more_names = true;
    let parameters: Vec<_> = this
        .parameters
        .iter()
        .filter(|(_, value)| matches!(value, Value::Unknown(_)))
        .map(|(name, _)| name.clone())
        .collect();
    let span = collection.span();
    let finding = |message| Finding::new(Severity::Error, codes::FOR_EACH, span, message);
    let parameter = parameters.into_iter().find(|name| refers_to(collection, name));
    this.run.findings.push(match parameter {
        Some(name) if this.run.findings.is_unset(span) => {
            let message = format!("the loop needs a value for the parameter {}", quote(&name));
            finding(message)
                .help(Remedy::GiveParameter { name: name.to_string(), is_secret: false })
        }
        Some(name) => finding(format!(
            "the list of a loop must be known without AWS: it depends on the parameter {}",
            quote(&name)
        ))
        .help(Remedy::GiveParameter { name: name.to_string(), is_secret: false }),
        None => finding(format!(
            "the list of a loop must be known without AWS: {}",
            quote(&symbolic(collection))
        )),
    });
}

/// Whether an expression takes the value of a parameter. Documents are only so deep.
fn refers_to(node: &Node, parameter: &str) -> bool {
    match &node.kind {
        NodeKind::Scalar { text, .. } => {
            &**text == parameter
                || parts(text)
                    .any(|part| matches!(part, Part::Name(name) if name.trim() == parameter))
        }
        NodeKind::Seq(items) => items.iter().any(|item| refers_to(item, parameter)),
        NodeKind::Map(entries) => entries.iter().any(|entry| refers_to(&entry.value, parameter)),
    }
}
