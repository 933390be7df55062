//! Functions that encode a value as text: `Base64` and `ToJsonString`.

use std::{fmt::Write as _, rc::Rc};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::symbolic;
use crate::{
    codes,
    evaluator::Evaluator,
    value::{Text, TextKind, Value},
    yaml::Node,
};

pub(super) fn base64(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    match this.eval(argument) {
        Value::Text(text) => {
            let length = text.text.len().saturating_mul(4) / 3;
            let fits = length <= this.run.limits().text_bytes;
            if !fits || !this.run.charge(length, node.span()) {
                this.error(codes::LIMIT, node.span(), "a text to encode is too long");
                return Value::unknown(symbolic(node));
            }
            let encoded = STANDARD.encode(text.text.as_bytes());
            Value::Text(Text { secret: text.secret, ..Text::new(encoded) })
        }
        Value::Unknown(_) => Value::unknown(symbolic(node)),
        _ => {
            this.error(codes::INTRINSIC, node.span(), "`Fn::Base64` needs a text");
            Value::unknown(symbolic(node))
        }
    }
}

pub(super) fn to_json(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Value {
    let value = this.eval(argument);
    let limit = this.run.limits().text_bytes;
    let mut writer = Json { text: String::new(), secret: false, unknown: false, limit };
    writer.value(&value);
    if writer.text.len() > limit || !this.run.charge(writer.text.len(), node.span()) {
        this.error(codes::LIMIT, node.span(), "a JSON text is too long");
        return Value::unknown(symbolic(node));
    }
    if writer.unknown {
        return Value::unknown(symbolic(node));
    }
    Value::Text(Text { secret: writer.secret, ..Text::new(writer.text) })
}

/// A value as compact JSON; `None` when something in it is unknown.
pub(crate) fn json(value: &Value, limit: usize) -> Option<Text> {
    let mut writer = Json { text: String::new(), secret: false, unknown: false, limit };
    writer.value(value);
    let complete = !writer.unknown && writer.text.len() <= limit;
    complete.then(|| Text { secret: writer.secret, ..Text::new(writer.text) })
}

/// Values are as deep as documents, so recursion is bounded.
struct Json {
    text: String,
    secret: bool,
    unknown: bool,
    limit: usize,
}

impl Json {
    fn value(&mut self, value: &Value) {
        if self.text.len() > self.limit {
            return;
        }
        match value {
            Value::Absent => self.text.push_str("null"),
            Value::Unknown(_) => self.unknown = true,
            Value::Text(text) => {
                self.secret |= text.secret;
                match text.kind {
                    TextKind::String => self.string(&text.text),
                    TextKind::Number | TextKind::Bool => self.text.push_str(&text.text),
                }
            }
            Value::List(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.text.push(',');
                    }
                    self.value(item);
                }
                self.text.push(']');
            }
            Value::Map(entries) => {
                self.text.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        self.text.push(',');
                    }
                    self.string(key);
                    self.text.push(':');
                    self.value(value);
                }
                self.text.push('}');
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c < ' ' => {
                    // Writing to a string cannot fail.
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }
}
