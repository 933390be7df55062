//! Intrinsic functions: recognising them, choosing between structures, and the table of them.
//!
//! Each function's own rules live in the file of its family. Nothing here recurses except through
//! the evaluator, which counts.

mod cidr;
mod lists;
mod mapping;
mod reference;
mod sub;
mod symbolic;
mod text;

use std::rc::Rc;

use esb_model::{Finding, Severity, Span};

use crate::{
    codes,
    evaluator::{Evaluator, Opened},
    findings::quote,
    suggest,
    value::{Unknown, Value},
    yaml::Node,
};

pub(crate) use sub::{LETTERS_A_STEP, Part, can_be_filled_in, parts};
pub(crate) use symbolic::symbolic;
pub(crate) use text::json;

/// Keys of a large map that are looked at for one step.
pub(crate) const KEYS_A_STEP: usize = 64;

/// A map that is a call of an intrinsic function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'n> {
    /// `Ref`, `Condition` or `Fn::…`.
    pub(crate) name: &'n str,
    pub(crate) argument: &'n Rc<Node>,
}

/// Functions that exist, for suggestions.
pub(crate) const NAMES: &[&str] = &[
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::FindInMap",
    "Fn::GetAtt",
    "Fn::GetAZs",
    "Fn::If",
    "Fn::ImportValue",
    "Fn::Join",
    "Fn::Length",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
    "Fn::ToJsonString",
    "Fn::Transform",
    "Fn::And",
    "Fn::Equals",
    "Fn::Not",
    "Fn::Or",
];

/// Recognises a call.
pub(crate) fn call(node: &Node) -> Option<Call<'_>> {
    let [entry] = node.entries()? else { return None };
    let name = &*entry.key;
    let is_call = name == "Ref"
        || name.starts_with("Fn::")
        || (name == "Condition" && entry.value.scalar().is_some());
    is_call.then_some(Call { name, argument: &entry.value })
}

/// The value of a call.
pub(crate) fn evaluate(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, call: &Call<'_>) -> Value {
    let argument = call.argument;
    match call.name {
        "Ref" => reference::reference(this, node, argument),
        "Fn::GetAtt" => reference::get_att(this, node, argument),
        "Fn::Sub" => sub::sub(this, node, argument),
        "Fn::If" => match choose(this, node, argument) {
            Branch::Node(branch) => this.eval(&branch),
            Branch::Value(value) => value,
        },
        "Fn::FindInMap" => match mapping::find(this, node, argument) {
            Branch::Node(found) => this.eval(&found),
            Branch::Value(value) => value,
        },
        "Fn::Join" => lists::join(this, node, argument),
        "Fn::Split" => lists::split(this, node, argument),
        "Fn::Select" => lists::select(this, node, argument),
        "Fn::Length" => lists::length(this, node, argument),
        "Fn::GetAZs" => lists::zones(this, node, argument),
        "Fn::Cidr" => cidr::cidr(this, node, argument),
        "Fn::Base64" => text::base64(this, node, argument),
        "Fn::ToJsonString" => text::to_json(this, node, argument),
        "Fn::ImportValue" | "Fn::Transform" => Value::unknown(symbolic(node)),
        "Condition" | "Fn::And" | "Fn::Equals" | "Fn::Not" | "Fn::Or" => match this.truth(node) {
            Some(truth) => Value::text(if truth { "true" } else { "false" }),
            None => Value::unknown(symbolic(node)),
        },
        name => {
            unknown(this, node, name);
            Value::unknown(symbolic(node))
        }
    }
}

/// Reports a function that does not exist, as it is written: `!ref` or `Fn::ref`.
fn unknown(this: &mut Evaluator<'_, '_>, node: &Node, name: &str) {
    let span = node.span();
    let text = this.run.sources.get(span.source).map_or("", |source| &source.text);
    let is_short = text.get(span.start..).is_some_and(|text| text.starts_with('!'));
    let bare = name.trim_start_matches("Fn::");
    let written = if is_short { format!("!{bare}") } else { name.to_owned() };
    let end = if is_short { span.start + written.len() } else { span.end };
    let message = format!("there is no function {}", quote(&written));
    let span = Span { end, ..span };
    let finding = Finding::new(Severity::Warning, codes::UNKNOWN_INTRINSIC, span, message);
    let names = NAMES.iter().map(|known| known.trim_start_matches("Fn::"));
    let meant = this.run.findings.nearest(bare, names.chain(["Ref", "Condition"]));
    let meant = meant.map(|meant| match meant {
        _ if is_short => format!("!{meant}"),
        "Ref" | "Condition" => meant.to_owned(),
        _ => format!("Fn::{meant}"),
    });
    this.run.findings.push(match meant {
        Some(meant) => finding.help(suggest::help(&meant)),
        None => finding,
    });
}

/// What a function that chooses has chosen.
#[derive(Debug)]
pub(super) enum Branch {
    Node(Rc<Node>),
    Value(Value),
}

/// Follows functions that choose a structure; others stay as they are.
pub(crate) fn open(this: &mut Evaluator<'_, '_>, node: &Rc<Node>) -> Opened {
    let Some(call) = call(node) else { return Opened::Node(node.clone()) };
    let branch = match call.name {
        "Fn::If" => choose(this, node, call.argument),
        "Fn::FindInMap" => mapping::find(this, node, call.argument),
        "Ref" if call.argument.scalar().is_some_and(|name| &**name == "AWS::NoValue") => {
            return Opened::Absent;
        }
        _ => return Opened::Node(node.clone()),
    };
    match branch {
        Branch::Node(node) => this.open(&node),
        Branch::Value(Value::Absent) => Opened::Absent,
        Branch::Value(Value::Unknown(unknown)) => Opened::Unknown(unknown),
        // A condition that is not decided does not matter where both branches are equal.
        Branch::Value(_) => Opened::Node(node.clone()),
    }
}

/// The branch of an `Fn::If`.
fn choose(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Branch {
    let span = node.span();
    let Some([condition, yes, no]) = argument.items() else {
        this.error(codes::INTRINSIC, span, "`Fn::If` needs a condition and two values");
        return Branch::Value(Value::unknown(symbolic(node)));
    };
    let truth = match condition.scalar() {
        Some(name) => this.condition(name, condition.span()),
        None => this.truth(condition),
    };
    match truth {
        Some(true) => Branch::Node(yes.clone()),
        Some(false) => Branch::Node(no.clone()),
        None => {
            let (yes, no) = (this.eval(yes), this.eval(no));
            if yes == no && !matches!(yes, Value::Unknown(_)) {
                return Branch::Value(yes);
            }
            Branch::Value(Value::Unknown(Unknown::new(symbolic(node))))
        }
    }
}
