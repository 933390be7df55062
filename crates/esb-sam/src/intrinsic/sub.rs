//! `Fn::Sub`: one pass over a text, left to right.

use std::rc::Rc;

use super::{KEYS_A_STEP, lists::Pieces, reference, symbolic};
use crate::{codes, evaluator::Evaluator, findings::quote, value::Value, yaml::Node};

/// Bytes of a text that are read for one step.
pub(crate) const LETTERS_A_STEP: usize = 256;

/// A piece of a text with placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    Literal(&'t str),
    /// `${!name}`, which gives `${name}`.
    Escaped(&'t str),
    /// `${name}`.
    Name(&'t str),
}

/// Splits a text at its placeholders. What is not terminated is literal.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find("${").unwrap_or(rest.len());
        if start > 0 {
            let (literal, after) = rest.split_at(start);
            rest = after;
            return Some(Part::Literal(literal));
        }
        let Some(end) = rest.find('}') else {
            return Some(Part::Literal(std::mem::take(&mut rest)));
        };
        let name = &rest[2..end];
        // `${a ${b}`: the first start is literal.
        if let Some(inner) = name.find("${") {
            let (literal, after) = rest.split_at(2 + inner);
            rest = after;
            return Some(Part::Literal(literal));
        }
        rest = &rest[end + 1..];
        Some(name.strip_prefix('!').map_or(Part::Name(name), Part::Escaped))
    })
}

pub(super) fn sub(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let span = node.span();
    let (text, variables) = match argument.items() {
        None => (argument, None),
        Some([text]) => (text, None),
        Some([text, variables]) => (text, Some(variables)),
        Some(_) => {
            this.error(codes::INTRINSIC, span, "`Fn::Sub` needs a text and, optionally, a map");
            return Value::unknown(symbolic(node));
        }
    };
    let Some(text) = text.scalar().cloned() else {
        this.error(codes::INTRINSIC, span, "the text of `Fn::Sub` must be a literal");
        return Value::unknown(symbolic(node));
    };
    // A text that many places share is read for each of them.
    if !this.run.step(text.len() / LETTERS_A_STEP, span) {
        return Value::unknown(symbolic(node));
    }
    let variable_count = variables.and_then(|node| node.entries()).map_or(0, <[_]>::len);
    let mut pieces = Pieces::default();
    for part in parts(&text) {
        match part {
            Part::Literal(literal) => pieces.push_str(literal),
            Part::Escaped(name) => {
                pieces.push_str("${");
                pieces.push_str(name);
                pieces.push_str("}");
            }
            Part::Name(written) => {
                let name = written.trim();
                if !this.run.step(1 + variable_count / KEYS_A_STEP, span) {
                    return Value::unknown(symbolic(node));
                }
                let variable = variables.and_then(|variables| variables.entry(name));
                let value = match variable {
                    Some(entry) => this.eval(&entry.value),
                    None => named(this, node, written, name),
                };
                match value {
                    Value::List(items) => {
                        for (at, item) in items.iter().enumerate() {
                            if at > 0 {
                                pieces.push_str(",");
                            }
                            pieces.push(item);
                        }
                    }
                    value => pieces.push(&value),
                }
            }
        }
        if pieces.too_long(this) {
            break;
        }
    }
    pieces.finish(this, node)
}

/// Whether a placeholder can name something; others are text that somebody forgot to escape.
pub(crate) fn can_be_filled_in(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-');
    !name.is_empty() && name.chars().all(allowed)
}

/// The value of `${name}` that is no variable of the call.
fn named(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, written: &str, name: &str) -> Value {
    let verbatim = || Value::text(format!("${{{written}}}"));
    if !can_be_filled_in(name) {
        let message = format!("`Fn::Sub` cannot fill in {}", quote(written));
        let literal = quote(&format!("${{!{written}}}"));
        let help = format!("to keep the text as it is, write {literal}");
        this.warning_with_help(codes::UNRESOLVED_REF, node.span(), message, Some(help));
        return verbatim();
    }
    let value = match name.split_once('.') {
        Some((id, attribute)) => reference::attribute(this, node, id, attribute),
        None => reference::named(this, node, name),
    };
    value.unwrap_or_else(verbatim)
}

#[cfg(test)]
mod tests {
    use super::{Part::*, parts};

    #[test]
    fn splits_at_placeholders() {
        for (text, expected) in [
            ("", vec![]),
            ("a$b", vec![Literal("a$b")]),
            ("${A}", vec![Name("A")]),
            ("x${A}${B.C}y", vec![Literal("x"), Name("A"), Name("B.C"), Literal("y")]),
            ("${!Lit}", vec![Escaped("Lit")]),
            ("a${", vec![Literal("a"), Literal("${")]),
            ("${a ${b}", vec![Literal("${a "), Name("b")]),
            ("${}", vec![Name("")]),
            ("é${A}ü", vec![Literal("é"), Name("A"), Literal("ü")]),
        ] {
            assert_eq!(parts(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
