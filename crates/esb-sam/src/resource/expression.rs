//! Schedule expressions, as `EventBridge` takes and refuses them.

/// What reads an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A rule of `EventBridge`, where `rate(1 minute)` must be singular.
    Rule,
    /// `EventBridge` Scheduler, which takes both forms.
    Scheduler,
}

/// Why AWS refuses an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What is wrong, to stand behind the expression.
    pub(super) reason: String,
    /// What to write, or the rule.
    pub(super) help: String,
}

/// A field of a cron expression.
struct Field {
    name: &'static str,
    least: u16,
    most: u16,
    /// Names that stand for the numbers from `least` on.
    names: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 6] = [
    Field { name: "minutes", least: 0, most: 59, names: &[] },
    Field { name: "hours", least: 0, most: 23, names: &[] },
    Field { name: "day of month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: MONTHS },
    Field { name: "day of week", least: 1, most: 7, names: WEEKDAYS },
    Field { name: "year", least: 1970, most: 2199, names: &[] },
];

const SIX_FIELDS: &str = "the six fields are minutes, hours, day of month, month, day of week, year; \
                          one of the two days is `?`";

impl Refusal {
    fn new(reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self { reason: reason.into(), help: help.into() }
    }
}

/// Checks an expression; `at(…)` is for who knows whether it can run.
pub(super) fn check(expression: &str, reader: Reader) -> Result<(), Refusal> {
    let expression = expression.trim();
    let inner = |kind: &str| {
        let rest = expression.strip_prefix(kind)?.trim_start();
        rest.strip_prefix('(')?.strip_suffix(')')
    };
    if let Some(rate) = inner("rate") {
        check_rate(rate, reader)
    } else if let Some(cron) = inner("cron") {
        check_cron(cron)
    } else if inner("at").is_some() {
        Ok(())
    } else {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        let help = match (fields.len(), six_of_five(&fields)) {
            (5, Some(six)) => format!("AWS has six fields: write `{six}`"),
            (6, _) => format!("write `cron({})`", fields.join(" ")),
            _ => "write `rate(5 minutes)` or `cron(0 9 * * ? *)`".to_owned(),
        };
        Err(Refusal::new("is not a schedule expression", help))
    }
}

fn check_rate(rate: &str, reader: Reader) -> Result<(), Refusal> {
    let words: Vec<&str> = rate.split_whitespace().collect();
    let example = "write a whole number and `minutes`, `hours` or `days`: `rate(5 minutes)`";
    let [count, unit] = *words else {
        return Err(Refusal::new("is not a rate with a number and a unit", example));
    };
    let is_whole = count.bytes().all(|byte| byte.is_ascii_digit());
    if !is_whole || count.bytes().all(|byte| byte == b'0') {
        return Err(Refusal::new("has a rate that is not a whole number above zero", example));
    }
    let singular = unit.strip_suffix('s').unwrap_or(unit);
    if !matches!(singular, "minute" | "hour" | "day") || unit.ends_with("ss") {
        return Err(Refusal::new("has a unit that is not minutes, hours or days", example));
    }
    let is_one = count.trim_start_matches('0') == "1";
    let plural = if is_one { "" } else { "s" };
    if reader == Reader::Rule && unit != format!("{singular}{plural}") {
        let reason = if is_one { "needs the singular after 1" } else { "needs a plural" };
        return Err(Refusal::new(reason, format!("write `rate({count} {singular}{plural})`")));
    }
    Ok(())
}

fn check_cron(cron: &str) -> Result<(), Refusal> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [_, _, day, _, weekday, _] = *fields else {
        let reason = match fields.len() {
            1 => "has one field".to_owned(),
            count => format!("has {count} fields"),
        };
        let help = match six_of_five(&fields) {
            Some(six) => format!("AWS has six fields: write `{six}`"),
            None => SIX_FIELDS.to_owned(),
        };
        return Err(Refusal::new(reason, help));
    };
    for (field, text) in FIELDS.iter().zip(&fields) {
        if !field.takes(text) {
            let reason = format!("has no {} that AWS knows: `{text}`", field.name);
            return Err(Refusal::new(reason, field.help()));
        }
    }
    let mut right = fields.clone();
    let reason = match (day, weekday) {
        ("?", "?") => {
            right[2] = "*";
            "has `?` for both days"
        }
        ("?", _) | (_, "?") => return Ok(()),
        (_, "*") => {
            right[4] = "?";
            "has no `?` for the day of month or the day of week"
        }
        ("*", _) => {
            right[2] = "?";
            "has no `?` for the day of month or the day of week"
        }
        _ => {
            let help = "only one of them can be chosen: write `?` for the other";
            return Err(Refusal::new("has a day of month and a day of week", help));
        }
    };
    Err(Refusal::new(reason, format!("write `cron({})`", right.join(" "))))
}

/// The expression of AWS for the five fields of a crontab, where there is one.
fn six_of_five(fields: &[&str]) -> Option<String> {
    let [minutes, hours, day, month, weekday] = *fields else { return None };
    let (day, weekday) = match (day, weekday) {
        (day, "*" | "?") => (if day == "?" { "*" } else { day }.to_owned(), "?".to_owned()),
        ("*" | "?", weekday) => ("?".to_owned(), named_weekdays(weekday)?),
        _ => return None,
    };
    Some(format!("cron({minutes} {hours} {day} {month} {weekday} *)"))
}

/// Days of the week by name: a crontab counts Sunday as 0, AWS as 1.
fn named_weekdays(text: &str) -> Option<String> {
    let name = |word: &str| match word.parse::<usize>() {
        Ok(number) => WEEKDAYS.get(number % 7).filter(|_| number <= 7).map(|day| (*day).to_owned()),
        Err(_) => Some(word.to_owned()),
    };
    let range = |part: &str| {
        let days: Option<Vec<String>> = part.split('-').map(name).collect();
        days.map(|days| days.join("-"))
    };
    let parts: Option<Vec<String>> = text.split(',').map(range).collect();
    parts.map(|parts| parts.join(","))
}

impl Field {
    /// Whether AWS takes a text for this field.
    fn takes(&self, text: &str) -> bool {
        let is_day = matches!(self.name, "day of month" | "day of week");
        if text == "?" {
            return is_day;
        }
        text.split(',').all(|part| {
            let (range, step) = part.split_once('/').map_or((part, None), |(a, b)| (a, Some(b)));
            let is_step = |step: &str| step.parse::<u16>().is_ok_and(|step| step > 0);
            step.is_none_or(is_step) && (range == "*" || self.takes_range(range, is_day))
        })
    }

    fn takes_range(&self, range: &str, is_day: bool) -> bool {
        // `L`, `LW`, `L-3`, `15W`, `5L` and `2#1` choose days.
        if is_day && range.contains(['L', 'W', '#']) && self.number(range).is_none() {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '#');
            return range.chars().all(allowed);
        }
        let mut ends = range.splitn(2, '-');
        ends.all(|end| self.number(end).is_some())
    }

    fn number(&self, text: &str) -> Option<u16> {
        if let Some(at) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Some(self.least + u16::try_from(at).ok()?);
        }
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_digits && (self.least..=self.most).contains(number))
    }

    fn help(&self) -> String {
        let names = match self.names {
            [first, .., last] => format!(", or {first} to {last}"),
            _ => String::new(),
        };
        format!("the field goes from {} to {}{names}", self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_takes() {
        for expression in [
            "rate(1 minute)",
            "rate(5 minutes)",
            " rate(12 hours) ",
            "rate(1 day)",
            "cron(0 12 * * ? *)",
            "cron(0/5 8-17 ? * MON-FRI *)",
            "cron(0 8 1 * ? *)",
            "cron(0 9 ? * 2#1 *)",
            "cron(0 18 L * ? *)",
            "cron(0 18 ? * 6L 2022-2035)",
            "cron(0 0 ? * SUN,WED *)",
            "cron(0 10 15W JAN,jul ? 2030)",
            "cron(*/10 * ? * fri-mon *)",
            "at(2030-01-01T00:00:00)",
        ] {
            assert_eq!(check(expression, Reader::Rule), Ok(()), "{expression}");
        }
        assert_eq!(check("rate(1 minutes)", Reader::Scheduler), Ok(()));
    }

    #[test]
    fn what_aws_refuses() {
        for (expression, expected) in [
            ("rate(1 minutes)", "needs the singular after 1 | write `rate(1 minute)`"),
            ("rate(5 minute)", "needs a plural | write `rate(5 minutes)`"),
            (
                "rate(0 hours)",
                "has a rate that is not a whole number above zero | write a whole number and \
                 `minutes`, `hours` or `days`: `rate(5 minutes)`",
            ),
            (
                "rate(5 seconds)",
                "has a unit that is not minutes, hours or days | write a whole number and \
                 `minutes`, `hours` or `days`: `rate(5 minutes)`",
            ),
            ("cron(0 9 * * *)", "has 5 fields | AWS has six fields: write `cron(0 9 * * ? *)`"),
            (
                "cron(30 7 * * 1-5)",
                "has 5 fields | AWS has six fields: write `cron(30 7 ? * MON-FRI *)`",
            ),
            (
                "0 9 * * 0",
                "is not a schedule expression | AWS has six fields: write `cron(0 9 ? * SUN *)`",
            ),
            ("0 9 * * ? *", "is not a schedule expression | write `cron(0 9 * * ? *)`"),
            ("cron(0 9 1 * 1)", "has 5 fields | the six fields are"),
            ("cron(0 9)", "has 2 fields | the six fields are"),
            (
                "cron(0 9 * * * *)",
                "has no `?` for the day of month or the day of week | write `cron(0 9 * * ? *)`",
            ),
            (
                "cron(0 9 * * MON *)",
                "has no `?` for the day of month or the day of week | write `cron(0 9 ? * MON *)`",
            ),
            ("cron(0 9 ? * ? *)", "has `?` for both days | write `cron(0 9 * * ? *)`"),
            (
                "cron(0 9 1 * MON *)",
                "has a day of month and a day of week | only one of them can be chosen: write `?` \
                 for the other",
            ),
            (
                "cron(60 9 * * ? *)",
                "has no minutes that AWS knows: `60` | the field goes from 0 to 59",
            ),
            (
                "cron(0 9 ? * 0 *)",
                "has no day of week that AWS knows: `0` | the field goes from 1 to 7, or SUN to SAT",
            ),
            (
                "cron(0 9 * FOO ? *)",
                "has no month that AWS knows: `FOO` | the field goes from 1 to 12, or JAN to DEC",
            ),
            (
                "cron(? 9 * * ? *)",
                "has no minutes that AWS knows: `?` | the field goes from 0 to 59",
            ),
            (
                "every day",
                "is not a schedule expression | write `rate(5 minutes)` or `cron(0 9 * * ? *)`",
            ),
        ] {
            let Err(Refusal { reason, help }) = check(expression, Reader::Rule) else {
                panic!("{expression} is taken");
            };
            let shown = format!("{reason} | {help}");
            assert!(shown.starts_with(expected), "{expression}: {shown}");
        }
    }
}
