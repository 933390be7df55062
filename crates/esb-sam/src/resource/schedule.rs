//! Reads the schedules of functions and checks them against the platform's scheduler.

use std::fmt::Display;

use esb_model::{Finding, Schedule, Severity, Span};

use super::{
    event::Event,
    expression::{self, Reader, Refusal},
    lower::Lowering,
};
use crate::{codes, findings::quote, intrinsic::json, value::Value, words::Part};

/// Lowers a `Schedule` or `ScheduleV2` event; `property` holds the expression.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, event: &Event, property: &str) {
    let what = &event.what();
    let Some(node) = event.property(property) else {
        if event.is_whole {
            let message = format!("{what} has no {property}");
            this.ev.error(codes::EVENT, event.span, message);
        }
        return;
    };
    let expression =
        this.ev.known(&node, &Part { name: property, of: what }).map(|text| text.text.to_string());
    let mut flag = |name: &str| {
        let node = event.property(name)?;
        this.ev.known(&node, &Part { name, of: what }).map(|text| text.text)
    };
    let enabled = flag("Enabled").is_none_or(|text| !text.eq_ignore_ascii_case("false"));
    let state = flag("State").is_none_or(|text| !text.eq_ignore_ascii_case("DISABLED"));
    if event.property("ScheduleExpressionTimezone").is_some() {
        let message = "the platform's schedules run in UTC, whatever their time zone";
        this.platform_note(codes::PLATFORM_SCHEDULE, event.span, message);
    }
    let input = event.property("Input").and_then(|node| input(this, &node, what));
    let function = event.function.clone();
    add(
        this,
        New {
            function: &function,
            name: event.name.to_string(),
            expression,
            input,
            enabled: enabled && state,
            span: event.span,
            expression_span: node.span(),
            reader: if property == "Schedule" { Reader::Rule } else { Reader::Scheduler },
        },
    );
}

/// The text that the function gets.
pub(super) fn input(
    this: &mut Lowering<'_, '_, '_>,
    node: &std::rc::Rc<crate::yaml::Node>,
    what: &dyn Display,
) -> Option<String> {
    let span = node.span();
    match this.ev.eval(node) {
        Value::Absent => None,
        Value::Text(text) => {
            this.ev.run.charge(text.text.len(), span).then(|| text.text.to_string())
        }
        Value::Unknown(unknown) => {
            this.ev.kept(span, &Part { name: "Input", of: what }, &unknown.symbolic);
            None
        }
        structure => {
            let message = format!("Input of {what} must be text; it is sent as JSON");
            this.ev.warn(codes::WRONG_TYPE, span, message);
            let limit = this.ev.run.limits().text_bytes;
            json(&structure, limit).map(|text| text.text.to_string())
        }
    }
}

/// A schedule that something asks for.
pub(super) struct New<'t> {
    pub(super) function: &'t str,
    pub(super) name: String,
    pub(super) expression: Option<String>,
    pub(super) input: Option<String>,
    pub(super) enabled: bool,
    pub(super) span: Span,
    pub(super) expression_span: Span,
    pub(super) reader: Reader,
}

pub(super) fn add(this: &mut Lowering<'_, '_, '_>, new: New<'_>) {
    let New { function, name, expression, input, enabled, span, expression_span, reader } = new;
    if let Some(text) = &expression {
        check(this, function, text, reader, expression_span);
    }
    let function = this.function_id(function);
    let schedule = Schedule { function, name, expression, input, enabled, span, expression_span };
    this.app.schedules.push(schedule);
}

/// Reports an expression that AWS refuses, or that cannot run here.
fn check(this: &mut Lowering<'_, '_, '_>, function: &str, text: &str, reader: Reader, span: Span) {
    let finding = match expression::check(text, reader) {
        Ok(()) if text.trim_start().starts_with("at") => {
            let message = format!("{} will not run here", quote(text));
            let help = "the platform's scheduler has `rate(…)` and `cron(…)` only";
            Finding::new(Severity::Warning, codes::SCHEDULE, span, message).help(help)
        }
        Ok(()) => return,
        Err(Refusal { reason, help }) => {
            let function = this.ev.resources.get(function);
            let severity = function.map_or(Severity::Error, |function| function.severity());
            let message = format!("{} {reason}", quote(text));
            Finding::new(severity, codes::SCHEDULE, span, message).help(help)
        }
    };
    this.ev.run.findings.push(finding);
}
