//! `esb logs`: reads what functions logged, from the platform's log store.

use std::time::Duration;

use esb_deploy::{
    Error, Kind, Project,
    logs::{LogQuery, LogRecord, LogStore, Since},
};
use serde_json::Value;

use crate::{
    cli::{GlobalArgs, LogsArgs, TemplateArgs},
    connections,
    documents::LogsDocument,
    environment::Environment,
    escape,
    exit_code::{CliError, Exit},
    inputs, loading,
    printer::{Printer, Style},
};

/// How far back a function's records are read.
const DEFAULT_SINCE: Duration = Duration::from_hours(1);

pub(crate) async fn run(
    args: &LogsArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let project = inputs::bare_project(global, environment)?;
    let function = match &args.function {
        Some(wanted) => Some(name_of(wanted, args, global, environment)?),
        None => None,
    };
    let is_one_run = args.trace.is_some() || args.request.is_some();
    let since = args.since.clone();
    let query = LogQuery {
        function,
        trace: args.trace.clone(),
        request: args.request.clone(),
        since: since.or_else(|| (!is_one_run).then_some(Since::Ago(DEFAULT_SINCE))),
        limit: args.tail,
    };
    let store = store(args, &project, environment, printer).await?;
    let shows_function = query.function.is_none();
    let show = |record: &LogRecord| {
        if printer.json {
            let line = Value::Object(record.fields.clone()).to_string();
            printer.out_as_it_is(&escape::json(&line))
        } else {
            printer.out_as_it_is(&line(record, shows_function, printer))
        }
    };
    if args.follow {
        return tokio::select! {
            biased;
            followed = store.follow(&query, show) => followed.map_err(|error| with_hint(error).into()),
            // How reading ends is no news.
            _ = tokio::signal::ctrl_c() => Err(CliError::silent(Exit::Interrupted)),
        };
    }
    let records = store.records(&query).await.map_err(with_hint)?;
    if printer.json {
        let records = records.iter().map(|record| &record.fields).collect();
        printer.document(&LogsDocument { records });
        return Ok(());
    }
    for record in &records {
        show(record);
    }
    if records.is_empty() {
        printer.note(&nothing(&query, &store));
    }
    Ok(())
}

/// The name under which a function's records are kept: what a template of this folder calls a
/// logical id, else the word as it is.
fn name_of(
    wanted: &str,
    args: &LogsArgs,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<String, Error> {
    let template = TemplateArgs {
        templates: args.template.iter().cloned().collect(),
        ..TemplateArgs::default()
    };
    let loaded = inputs::project(global, &template, environment)
        .and_then(|project| loading::load(&project, &template, environment));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) if args.template.is_some() => return Err(error),
        // Records can be read without a template.
        Err(_) => return Ok(wanted.to_owned()),
    };
    let mut functions = loaded.app.functions.iter();
    let found = functions.find(|function| function.id.logical_id == wanted);
    Ok(found.map_or_else(|| wanted.to_owned(), |function| function.effective_name().into_owned()))
}

async fn store(
    args: &LogsArgs,
    project: &Project,
    environment: &Environment,
    printer: Printer,
) -> Result<LogStore, Error> {
    let given = args.url.as_deref().or_else(|| environment.get("VICTORIALOGS_URL"));
    if let Some(address) = given {
        return LogStore::new(address);
    }
    let compose_project = inputs::compose_project(args.project.as_deref(), project, environment);
    let missing = || {
        let text = format!("the project `{compose_project}` has no running VictoriaLogs");
        with_hint(Error::new(Kind::Remote, "logs", text))
    };
    let content = connections::open_store(environment, &project.brand, printer)?;
    let engine = connections::engine(environment, &content).await.map_err(|error| {
        let mut own = missing();
        own.causes.push(error.message);
        own
    })?;
    LogStore::of_project(&engine, &compose_project).await?.ok_or_else(missing)
}

fn with_hint(error: Error) -> Error {
    error.hint(
        "start the platform, choose its environment with `-e`, or name the log store with `--url` \
         or VICTORIALOGS_URL",
    )
}

/// A record as a line, with the traceback that it may have below it.
fn line(record: &LogRecord, shows_function: bool, printer: Printer) -> String {
    let level = record.text("level");
    let style = match level {
        "ERROR" | "CRITICAL" => Style::Error,
        "WARNING" => Style::Warning,
        _ => Style::Faint,
    };
    let time = to_milliseconds(record.text("_time"));
    let mut words = vec![printer.styled_out(&escape::line(&time), Style::Faint)];
    words.push(printer.styled_out(&escape::line(&format!("{level:<7}")), style));
    if shows_function {
        words.push(escape::line(record.text("container_name")).into_owned());
    }
    words.push(escape::terminal(record.text("_msg").trim_end()).into_owned());
    let mut text = words.join(" ");
    let trace = [record.text("exc_info"), record.text("exception")];
    for line in trace.iter().flat_map(|trace| trace.lines()) {
        text.push_str("\n  | ");
        text.push_str(&escape::terminal(line));
    }
    text
}

/// A time of the store with three digits of its second or more, so that what follows stands in one
/// column: the store leaves zeros at the end away.
fn to_milliseconds(time: &str) -> String {
    let Some(bare) = time.strip_suffix('Z') else { return time.to_owned() };
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    format!("{whole}.{fraction:0<3}Z")
}

fn nothing(query: &LogQuery, store: &LogStore) -> String {
    let of = match &query.function {
        Some(name) => format!(" of `{}`", escape::line(name)),
        None => String::new(),
    };
    let (when, hint) = match &query.since {
        Some(Since::Ago(ago)) if *ago == DEFAULT_SINCE => {
            (" in the last hour", "; `--since 1d` looks further back")
        }
        Some(_) => (" since then", ""),
        None => ("", ""),
    };
    format!("`{}` has no records{of}{when}{hint}", store.shown())
}

/// The value of `--since`: how long ago, or a moment.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    let wrong = || "expected 30s, 10m, 2h, 7d, or a time such as 2026-01-31T09:00:00Z".to_owned();
    if let Some(moment) = moment(text) {
        return Ok(Since::At(moment));
    }
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = rest[end..].chars().next().ok_or_else(wrong)?;
        let factor = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            'w' => 7 * 24 * 3600,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(factor).ok_or_else(wrong)?;
        seconds = seconds.checked_add(part).ok_or_else(wrong)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    if seconds == 0 { Err(wrong()) } else { Ok(Since::Ago(Duration::from_secs(seconds))) }
}

/// A moment as RFC 3339 has it; UTC where no zone is said, midnight where no time is.
fn moment(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00Z"));
    let digits = |word: &str, count: usize| {
        word.len() == count && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut parts = date.splitn(3, '-');
    let is_date = parts.next().is_some_and(|year| digits(year, 4))
        && parts.next().is_some_and(|month| digits(month, 2))
        && parts.next().is_some_and(|day| digits(day, 2));
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let clock = time[..zone].split('.').next().unwrap_or_default();
    let mut parts = clock.split(':');
    let is_clock = (2..=3).contains(&parts.clone().count()) && parts.all(|part| digits(part, 2));
    let fits = |c: char| c.is_ascii_digit() || ":.Z+-".contains(c);
    if !is_date || !is_clock || !time.chars().all(fits) {
        return None;
    }
    let seconds = if clock.len() == 5 { ":00" } else { "" };
    let zone = if zone == time.len() { "Z" } else { &time[zone..] };
    let fraction =
        &time[clock.len()..time.len().min(time.find(['Z', '+', '-']).unwrap_or(time.len()))];
    Some(format!("{date}T{clock}{seconds}{fraction}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_one_width() {
        for (time, shown) in [
            ("2026-01-31T09:10:11Z", "2026-01-31T09:10:11.000Z"),
            ("2026-01-31T09:10:11.5Z", "2026-01-31T09:10:11.500Z"),
            ("2026-01-31T09:10:11.123456Z", "2026-01-31T09:10:11.123456Z"),
            ("no time", "no time"),
        ] {
            assert_eq!(to_milliseconds(time), shown);
        }
    }

    #[test]
    fn since_is_a_duration_or_a_moment() {
        let ago = |text: &str| match since(text) {
            Ok(Since::Ago(ago)) => Some(ago.as_secs()),
            _ => None,
        };
        assert_eq!(ago("30s"), Some(30));
        assert_eq!(ago("1h30m"), Some(5400));
        assert_eq!(ago("7d"), Some(604_800));
        let at = |text: &str| match since(text) {
            Ok(Since::At(moment)) => Some(moment),
            _ => None,
        };
        for (text, expected) in [
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T09:10", "2026-01-31T09:10:00Z"),
            ("2026-01-31 09:10:11", "2026-01-31T09:10:11Z"),
            ("2026-01-31T09:10:11.5+09:00", "2026-01-31T09:10:11.5+09:00"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected));
        }
        for wrong in
            ["", "0s", "5", "5y", "yesterday", "2026-1-31", "2026-01-31T9", "99999999999999999999d"]
        {
            assert!(since(wrong).unwrap_err().starts_with("expected 30s"), "{wrong}");
        }
    }
}
