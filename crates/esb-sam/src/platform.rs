//! Notes about ways in which the platform differs from AWS, each given once.
//!
//! Looks at the finished application only. The facts are those of `docs/contracts/platform.md`.

use std::collections::HashSet;

use esb_model::{Api, Application, Finding, FindingCode, Severity, Span};

use crate::{codes, findings::quote};

/// Seconds after which the platform gives up on a function that an API calls.
const API_TIMEOUT: u32 = 30;

/// Notes about differences between AWS and the platform that matter to this application.
///
/// They are no part of [`parse`](crate::parse)'s findings, because most of them hold for nearly
/// every application: the caller chooses when to show them.
pub fn platform_findings(app: &Application) -> Vec<Finding> {
    let mut notes = Vec::new();
    let mut note = |code: FindingCode, span: Span, message: String, help: &str| {
        notes.push(Finding::new(Severity::Note, code, span, message).help(help));
    };
    let routes: Vec<_> = app.routes.iter().filter(|route| route.api != Api::FunctionUrl).collect();
    if let Some(route) = routes.first() {
        note(
            codes::PLATFORM_AUTHORIZATION,
            route.span,
            "every route of the platform asks for a token".to_owned(),
            "send `Authorization: Bearer <token>`, whatever the template's Auth says",
        );
    }
    if let Some(route) = routes.iter().find(|route| matches!(route.api, Api::Http(_))) {
        note(
            codes::PLATFORM_PAYLOAD,
            route.span,
            "the platform sends events of payload format 1.0 to HTTP APIs too".to_owned(),
            "read the event as a REST API's",
        );
    }
    let callees: HashSet<_> = routes.iter().map(|route| &route.function).collect();
    let slow = app.functions.iter().find(|function| {
        function.timeout.is_some_and(|timeout| timeout > API_TIMEOUT)
            && callees.contains(&function.id)
    });
    if let Some(function) = slow {
        note(
            codes::PLATFORM_TIMEOUT,
            function.span,
            format!(
                "{} may run longer, but the platform ends API calls after {API_TIMEOUT} s",
                quote(&function.id.logical_id)
            ),
            "raise LAMBDA_INVOKE_TIMEOUT of the Gateway",
        );
    }
    if let Some(function) = app.functions.iter().find(|f| f.reserved_concurrency.is_none()) {
        note(
            codes::PLATFORM_CONCURRENCY,
            function.span,
            "the platform runs one call of a function at a time".to_owned(),
            "allow more with `ReservedConcurrentExecutions`",
        );
    }
    if let Some(function) = app.functions.iter().find(|f| f.memory.is_some()) {
        note(
            codes::PLATFORM_MEMORY,
            function.span,
            "the platform sets no memory limit in docker mode".to_owned(),
            "test against the limit in containerd mode",
        );
    }
    if let Some(schedule) = app.schedules.iter().find(|schedule| schedule.enabled) {
        note(
            codes::PLATFORM_SCHEDULE,
            schedule.span,
            "a schedule sends its input as it is, without EventBridge's envelope".to_owned(),
            "handle an event that is `Input`, or `{}` without one",
        );
    }
    notes
}
