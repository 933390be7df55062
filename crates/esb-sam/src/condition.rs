//! Conditions: three-valued, lazy, each decided once (docs/contracts/sam.md#conditions).

use std::{collections::HashMap, rc::Rc};

use esb_model::{Finding, Severity, Span};

use crate::{
    codes,
    evaluator::Evaluator,
    findings::{self, quote},
    intrinsic::{call, symbolic},
    value::Value,
    yaml::{MapEntry, Node, NodePlace},
};

/// `None` is "only AWS knows".
pub(crate) type Truth = Option<bool>;

/// The section with what is decided so far.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    entries: HashMap<Rc<str>, (Rc<Node>, NodePlace, ConditionState)>,
    /// Names whose decision is under way, outermost first.
    open: Vec<Rc<str>>,
}

#[derive(Debug, Clone, Copy)]
enum ConditionState {
    New,
    Open,
    Done(Truth),
}

impl Conditions {
    pub(crate) fn new(section: &[MapEntry]) -> Self {
        // What a macro adds is not known.
        let entries = section
            .iter()
            .filter(|entry| !entry.key.starts_with("Fn::"))
            .map(|entry| {
                (entry.key.clone(), (entry.value.clone(), entry.place, ConditionState::New))
            })
            .collect();
        Self { entries, open: Vec::new() }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|name| &**name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }
}

impl Evaluator<'_, '_> {
    /// Decides every condition, so that cycles are found even where nothing uses them.
    pub(crate) fn decide_all(&mut self) {
        let mut names: Vec<_> = self
            .conditions
            .entries
            .iter()
            .map(|(name, (_, place, _))| (place.span(), name.clone()))
            .collect();
        names.sort();
        for (span, name) in names {
            self.condition(&name, span);
        }
    }

    /// The truth of a condition by its name.
    pub(crate) fn condition(&mut self, name: &Rc<str>, span: Span) -> Truth {
        let Some((node, place, state)) = self.conditions.entries.get(name).cloned() else {
            self.unknown_condition(name, span, Severity::Error);
            return None;
        };
        match state {
            ConditionState::Done(truth) => {
                self.note_unset(&node, truth, span);
                return truth;
            }
            ConditionState::Open => {
                let circle = findings::circle(&self.conditions.open, name);
                let message = format!("conditions depend on each other: {circle}");
                self.error(codes::CONDITION_CYCLE, place.span(), message);
                return None;
            }
            ConditionState::New => {}
        }
        self.set(name, ConditionState::Open);
        self.conditions.open.push(name.clone());
        let truth = self.deeper(span, |this| this.truth(&node)).flatten();
        self.conditions.open.pop();
        self.set(name, ConditionState::Done(truth));
        self.note_unset(&node, truth, span);
        truth
    }

    /// Notes a place that asks for a condition which a parameter without a value decides.
    fn note_unset(&mut self, condition: &Node, truth: Truth, span: Span) {
        if truth.is_none() && self.run.findings.is_unset(condition.span()) {
            self.run.findings.unset(span);
        }
    }

    /// Reports a condition that the template does not define.
    pub(crate) fn unknown_condition(&mut self, name: &str, span: Span, severity: Severity) {
        let message = format!("there is no condition {}", quote(name));
        let finding = Finding::new(severity, codes::UNKNOWN_CONDITION, span, message);
        self.run.findings.push_wrong(finding, name, self.conditions.names());
    }

    fn set(&mut self, name: &Rc<str>, state: ConditionState) {
        if let Some(entry) = self.conditions.entries.get_mut(name) {
            entry.2 = state;
        }
    }

    /// The truth of an expression.
    pub(crate) fn truth(&mut self, node: &Rc<Node>) -> Truth {
        let span = node.span();
        if !self.run.step(1, span) {
            return None;
        }
        let Some(call) = call(node) else {
            return match self.eval(node) {
                Value::Text(text) if &*text.text == "true" => Some(true),
                Value::Text(text) if &*text.text == "false" => Some(false),
                _ => {
                    self.error(codes::INTRINSIC, span, "this is not a condition");
                    None
                }
            };
        };
        let argument = call.argument.clone();
        match call.name {
            "Condition" => {
                let name = argument.scalar().cloned();
                if name.is_none() {
                    self.error(codes::INTRINSIC, span, "`Condition` needs the name of a condition");
                }
                self.condition(&name?, span)
            }
            "Fn::Equals" => {
                let Some([left, right]) = argument.items() else {
                    self.error(codes::INTRINSIC, span, "`Fn::Equals` needs exactly two values");
                    return None;
                };
                let (left, right) = (self.eval(left), self.eval(right));
                if has_unknown(&left) || has_unknown(&right) { None } else { Some(left == right) }
            }
            "Fn::Not" => {
                let Some([operand]) = argument.items() else {
                    self.error(codes::INTRINSIC, span, "`Fn::Not` needs a list of one condition");
                    return None;
                };
                self.operand(operand).map(|truth| !truth)
            }
            "Fn::And" => self.all(&argument, span, true),
            "Fn::Or" => self.all(&argument, span, false),
            _ => {
                let message = format!("{} is not a condition", quote(&symbolic(node)));
                self.error(codes::INTRINSIC, span, message);
                None
            }
        }
    }

    /// `And` when `neutral` is true, else `Or`.
    fn all(&mut self, argument: &Rc<Node>, span: Span, neutral: bool) -> Truth {
        let Some(operands) = argument.items() else {
            self.error(codes::INTRINSIC, span, "`Fn::And` and `Fn::Or` need a list of conditions");
            return None;
        };
        let mut result = Some(neutral);
        for operand in operands {
            match self.operand(operand) {
                Some(truth) if truth == neutral => {}
                Some(truth) => return Some(truth),
                None => result = None,
            }
        }
        result
    }

    fn operand(&mut self, node: &Rc<Node>) -> Truth {
        self.deeper(node.span(), |this| this.truth(node)).flatten()
    }
}

fn has_unknown(value: &Value) -> bool {
    match value {
        Value::Unknown(_) => true,
        Value::List(items) => items.iter().any(has_unknown),
        Value::Map(entries) => entries.iter().any(|(_, value)| has_unknown(value)),
        Value::Absent | Value::Text(_) => false,
    }
}
