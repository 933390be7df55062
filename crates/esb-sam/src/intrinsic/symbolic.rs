//! Formats an unresolved expression for messages: in short form, on one line, cut when long.

use std::rc::Rc;

use super::call;
use crate::yaml::{Node, NodeKind};

const LONGEST: usize = 160;
const DEEPEST: usize = 12;

/// An expression in short form: `!Join ["-", [!Ref Stage, x]]`.
pub(crate) fn symbolic(node: &Rc<Node>) -> String {
    let mut text = String::new();
    write(node, &mut text, DEEPEST);
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn write(node: &Rc<Node>, text: &mut String, depth: usize) {
    if depth == 0 || text.len() > LONGEST * 4 {
        text.push('…');
        return;
    }
    match &node.kind {
        NodeKind::Scalar { text: scalar, .. } => {
            let simple = |c: char| c.is_ascii_alphanumeric() || ".:_-/".contains(c);
            if scalar.chars().take(LONGEST).all(simple) && !scalar.is_empty() {
                text.extend(scalar.chars().take(LONGEST));
            } else {
                text.push('"');
                text.extend(scalar.chars().take(LONGEST));
                text.push('"');
            }
        }
        NodeKind::Seq(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                write(item, text, depth - 1);
                if text.len() > LONGEST * 4 {
                    break;
                }
            }
            text.push(']');
        }
        NodeKind::Map(entries) => {
            if let Some(call) = call(node) {
                text.push('!');
                text.push_str(call.name.strip_prefix("Fn::").unwrap_or(call.name));
                text.push(' ');
                match (call.name, call.argument.items()) {
                    ("Fn::GetAtt", Some([resource, attribute])) => {
                        write(resource, text, depth - 1);
                        text.push('.');
                        write(attribute, text, depth - 1);
                    }
                    _ => write(call.argument, text, depth - 1),
                }
                return;
            }
            text.push('{');
            for (at, entry) in entries.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                text.extend(entry.key.chars().take(LONGEST));
                text.push_str(": ");
                write(&entry.value, text, depth - 1);
                if text.len() > LONGEST * 4 {
                    break;
                }
            }
            text.push('}');
        }
    }
}
