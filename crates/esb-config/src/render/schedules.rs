//! Renders schedules in the two forms that the Gateway knows
//! (docs/contracts/platform.md#schedules).

use esb_model::{Cause, Finding, Severity};

use super::{Context, FunctionNames};
use crate::{codes, functions::FunctionEvent};

pub(super) fn render(context: &mut Context<'_>, names: &FunctionNames) {
    for schedule in context.app.schedules.iter().filter(|schedule| schedule.enabled) {
        let Some(name) = names.get(&schedule.function) else { continue };
        let left_out = |reason: &str| {
            let message = format!("schedule `{}` is left out: {reason}", schedule.name);
            let code = codes::SCHEDULE_EXPRESSION;
            Finding::new(Severity::Warning, code, schedule.expression_span, message)
        };
        let expression = match schedule.expression.as_deref().map(normalise) {
            Some(Ok(expression)) => expression,
            Some(Err(reason)) => {
                let expression = schedule.expression.as_deref().unwrap_or_default();
                let finding = left_out(&format!("`{expression}` {reason}"));
                context.find(finding.cause(Cause::ScheduleExpression));
                continue;
            }
            None => {
                context.find(left_out("its expression is known only to AWS"));
                continue;
            }
        };
        // An empty input and none are the same to the Gateway.
        let input = schedule.input.as_deref().filter(|input| !input.is_empty());
        let functions = &mut context.rendered.config.functions.functions;
        let entry = functions.get_mut(name).expect("named functions are written");
        entry.events.push(FunctionEvent::schedule(&expression, input));
    }
}

/// The expression as the Gateway's parser needs it, or why it has no such thing.
fn normalise(expression: &str) -> Result<String, &'static str> {
    let expression = expression.trim();
    let inner = |kind: &str| {
        let rest = expression.strip_prefix(kind)?.trim_start();
        rest.strip_prefix('(')?.strip_suffix(')')
    };
    if let Some(rate) = inner("rate") {
        let mut words = rate.split_whitespace();
        let (Some(count), Some(unit), None) = (words.next(), words.next(), words.next()) else {
            return Err("must have a number and a unit, such as `rate(5 minutes)`");
        };
        if !matches!(unit, "minute" | "minutes" | "hour" | "hours" | "day" | "days") {
            return Err("has a unit other than minutes, hours and days");
        }
        let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        match count.parse::<u32>() {
            Ok(count) if digits && count > 0 => Ok(format!("rate({count} {unit})")),
            _ => Err("has a rate that is not a whole number above zero"),
        }
    } else if let Some(cron) = inner("cron") {
        let fields: Vec<&str> = cron.split_whitespace().take(7).collect();
        let known = |c: char| c.is_ascii_alphanumeric() || "*?,-/#".contains(c);
        if fields.len() != 6 {
            Err("does not have the six fields of a cron expression of AWS")
        } else if !fields.iter().all(|field| field.chars().all(known)) {
            Err("has a character that is not allowed in a cron expression")
        } else {
            Ok(format!("cron({})", fields.join(" ")))
        }
    } else if inner("at").is_some() {
        Err("runs once, which the Gateway cannot do")
    } else {
        Err("is neither `rate(…)` nor `cron(…)`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (expression, expected) in [
            ("rate(5 minutes)", Ok("rate(5 minutes)")),
            (" rate( 1  day ) ", Ok("rate(1 day)")),
            ("rate(05 hours)", Ok("rate(5 hours)")),
            ("cron(0 12 * * ? *)", Ok("cron(0 12 * * ? *)")),
            ("cron( 0/5  8-17 ? * MON-FRI  * )", Ok("cron(0/5 8-17 ? * MON-FRI *)")),
            ("rate(0 minutes)", Err("above zero")),
            ("rate(-1 minutes)", Err("above zero")),
            ("rate(+1 minutes)", Err("above zero")),
            ("rate(1.5 hours)", Err("above zero")),
            ("rate(5 seconds)", Err("unit")),
            ("rate(5)", Err("a number and a unit")),
            ("rate(5 minutes) or so", Err("neither")),
            ("cron(0 12 * * *)", Err("six fields")),
            ("cron(0 12 * * ? * *)", Err("six fields")),
            ("cron(0 12 * * ? $)", Err("character")),
            ("at(2030-01-01T00:00:00)", Err("once")),
            ("", Err("neither")),
        ] {
            match (normalise(expression), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{expression}"),
                (Err(got), Err(expected)) => {
                    assert!(got.contains(expected), "{expression}: {got}");
                }
                (got, _) => panic!("{expression}: {got:?}"),
            }
        }
    }
}
