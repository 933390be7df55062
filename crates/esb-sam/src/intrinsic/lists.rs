//! Functions over lists: `Join`, `Split`, `Select`, `Length`, `GetAZs`.

use std::rc::Rc;

use super::symbolic;
use crate::{
    codes,
    evaluator::Evaluator,
    value::{Text, TextKind, Value},
    yaml::Node,
};

/// Steps that one item of a made list costs, so that lists stay small.
const ITEM_STEPS: usize = 10;

pub(super) fn join(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let span = node.span();
    let Some([separator, list]) = argument.items() else {
        this.error(codes::INTRINSIC, span, "`Fn::Join` needs a separator and a list");
        return Value::unknown(symbolic(node));
    };
    let separator = match this.eval(separator) {
        Value::Text(separator) => separator,
        Value::Absent => Text::new(""),
        _ => {
            this.error(codes::INTRINSIC, span, "the separator of `Fn::Join` must be text");
            return Value::unknown(symbolic(node));
        }
    };
    let items = match this.eval(list) {
        Value::List(items) => items,
        Value::Unknown(_) => return Value::unknown(symbolic(node)),
        Value::Absent => Vec::new().into(),
        // SAM CLI takes a single text for a list of one.
        text @ Value::Text(_) => vec![text].into(),
        Value::Map(_) => {
            this.error(codes::INTRINSIC, span, "`Fn::Join` needs a list, not a map");
            return Value::unknown(symbolic(node));
        }
    };
    let mut pieces = Pieces::default();
    let mut first = true;
    for item in items.iter() {
        if *item == Value::Absent {
            continue;
        }
        if !first {
            pieces.push(&Value::Text(separator.clone()));
        }
        first = false;
        if let Value::List(inner) = item {
            for (at, value) in inner.iter().enumerate() {
                if at > 0 {
                    pieces.push(&Value::Text(separator.clone()));
                }
                pieces.push(value);
            }
        } else {
            pieces.push(item);
        }
        if pieces.too_long(this) {
            break;
        }
    }
    pieces.finish(this, node)
}

pub(super) fn split(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let span = node.span();
    let Some([separator, text]) = argument.items() else {
        this.error(codes::INTRINSIC, span, "`Fn::Split` needs a separator and a text");
        return Value::unknown(symbolic(node));
    };
    let (separator, text) = (this.eval(separator), this.eval(text));
    match (separator, text) {
        (Value::Text(separator), Value::Text(text)) if !separator.text.is_empty() => {
            let count = text.text.matches(&*separator.text).count() + 1;
            if count > this.run.limits().list_items {
                this.error(codes::LIMIT, span, "a text is split into too many items");
                return Value::unknown(symbolic(node));
            }
            if !this.run.step(count.saturating_mul(ITEM_STEPS), span) {
                return Value::unknown(symbolic(node));
            }
            let secret = text.secret;
            if secret {
                text.text.split(&*separator.text).for_each(|item| this.run.add_secret(item));
            }
            let items = text
                .text
                .split(&*separator.text)
                .map(|item| Value::Text(Text { secret, ..Text::new(item) }));
            Value::list(items.collect())
        }
        (Value::Unknown(_), _) | (_, Value::Unknown(_)) => Value::unknown(symbolic(node)),
        _ => {
            this.error(codes::INTRINSIC, span, "`Fn::Split` needs two texts");
            Value::unknown(symbolic(node))
        }
    }
}

pub(super) fn select(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let span = node.span();
    let Some([index, list]) = argument.items() else {
        this.error(codes::INTRINSIC, span, "`Fn::Select` needs an index and a list");
        return Value::unknown(symbolic(node));
    };
    let (index, list) = (this.eval(index), this.eval(list));
    let (index, items) = match (index, list) {
        (Value::Text(index), Value::List(items)) => (index, items),
        (Value::Unknown(_), _) | (_, Value::Unknown(_)) => return Value::unknown(symbolic(node)),
        _ => {
            this.error(codes::INTRINSIC, span, "`Fn::Select` needs a number and a list");
            return Value::unknown(symbolic(node));
        }
    };
    let found = index.text.trim().parse::<usize>().ok().and_then(|index| items.get(index).cloned());
    found.unwrap_or_else(|| {
        let message = format!(
            "index {} is out of range for a list of {} items",
            crate::findings::quote(index.shown()),
            items.len()
        );
        this.error(codes::INTRINSIC, span, message);
        Value::unknown(symbolic(node))
    })
}

pub(super) fn length(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    match this.eval(argument) {
        Value::List(items) => {
            Value::Text(Text { kind: TextKind::Number, ..Text::new(items.len().to_string()) })
        }
        Value::Unknown(_) => Value::unknown(symbolic(node)),
        _ => {
            this.error(codes::INTRINSIC, node.span(), "`Fn::Length` needs a list");
            Value::unknown(symbolic(node))
        }
    }
}

pub(super) fn zones(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let region = match this.eval(argument) {
        Value::Text(text) if !text.text.is_empty() => text.text,
        Value::Text(_) | Value::Absent => this.pseudo.region.clone(),
        _ => return Value::unknown(symbolic(node)),
    };
    if !this.run.charge(region.len() * 3, node.span()) {
        return Value::unknown(symbolic(node));
    }
    Value::list(["a", "b", "c"].map(|zone| Value::text(format!("{region}{zone}"))).to_vec())
}

/// A text made of pieces, some of which may be unknown.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    text: String,
    shown: String,
    secret: bool,
    unknown: bool,
    overflow: bool,
}

impl Pieces {
    pub(super) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
        if self.unknown || self.secret {
            self.shown.push_str(text);
        }
    }

    pub(super) fn push(&mut self, value: &Value) {
        match value {
            Value::Absent => {}
            Value::Text(text) => {
                if text.secret && !self.secret {
                    self.reveal();
                    self.secret = true;
                }
                self.text.push_str(&text.text);
                if self.unknown || self.secret {
                    self.shown.push_str(text.shown());
                }
            }
            Value::Unknown(unknown) => self.push_unknown(&unknown.placeholder()),
            Value::List(_) | Value::Map(_) => self.push_unknown("…"),
        }
    }

    pub(super) fn push_unknown(&mut self, placeholder: &str) {
        self.reveal();
        self.unknown = true;
        self.shown.push_str(placeholder);
    }

    /// From here on, what may be seen differs from the text.
    fn reveal(&mut self) {
        if !self.unknown && !self.secret {
            self.shown.clone_from(&self.text);
        }
    }

    /// Whether the text has outgrown its limit.
    pub(super) fn too_long(&mut self, this: &Evaluator<'_, '_>) -> bool {
        self.overflow |= self.text.len().max(self.shown.len()) > this.run.limits().text_bytes;
        self.overflow
    }

    pub(super) fn finish(mut self, this: &mut Evaluator<'_, '_>, node: &Rc<Node>) -> Value {
        let span = node.span();
        if self.too_long(this) {
            let limit = this.run.limits().text_bytes;
            let message = format!("a resolved text has more than {limit} bytes");
            this.error(codes::LIMIT, span, message);
            return Value::unknown(symbolic(node));
        }
        if !this.run.charge(self.text.len() + self.shown.len(), span) {
            return Value::unknown(symbolic(node));
        }
        if self.unknown {
            return Value::unknown(self.shown);
        }
        Value::Text(Text { secret: self.secret, ..Text::new(self.text) })
    }
}
