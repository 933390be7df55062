//! The table of images: what changed, and how many are up to date. `-v` lists those as well.

use std::time::Duration;

use esb_deploy::{
    Deployment, External, ExternalState, MadeImage, PlannedAction, PlannedImage, Target,
};
use esb_model::ImageChange;

use crate::{escape, printer::Printer, reporter::bytes, tables::fitted_table};

const UP_TO_DATE: &str = "up to date";

/// A row of the table.
struct Row {
    /// As functions.yml or Dockerfiles have it.
    reference: String,
    size: String,
    time: String,
    action: String,
    is_up_to_date: bool,
}

/// What happened to the images of a run that took `time`.
pub(super) fn done(
    run: &Deployment,
    target: &Target,
    (made, externals): (&[MadeImage], &[External]),
    printer: Printer,
    time: Duration,
) -> Vec<String> {
    let mut rows: Vec<Row> = made.iter().map(|image| made_row(target, image)).collect();
    rows.extend(externals.iter().filter_map(external_row));
    let count = rows.iter().filter(|row| row.is_up_to_date).count();
    let mut lines = table(run, target, &["image", "tag", "size", "time", "action"], rows, printer);
    if count > 0 {
        lines.push(format!("{} ({:.1} s)", up_to_date(count), time.as_secs_f64()));
    }
    lines
}

/// What would happen to them.
pub(super) fn planned(
    run: &Deployment,
    target: &Target,
    images: &[PlannedImage],
    printer: Printer,
) -> Vec<String> {
    let rows: Vec<Row> = images.iter().map(planned_row).collect();
    let count = rows.iter().filter(|row| row.is_up_to_date).count();
    let mut lines = table(run, target, &["image", "tag", "size", "action"], rows, printer);
    if count > 0 {
        lines.push(up_to_date(count));
    }
    lines
}

fn up_to_date(count: usize) -> String {
    match count {
        1 => "1 image up to date".to_owned(),
        count => format!("{count} images up to date"),
    }
}

/// The place that images go to, once, then those that something is done with.
fn table(
    run: &Deployment,
    target: &Target,
    head: &[&str],
    rows: Vec<Row>,
    printer: Printer,
) -> Vec<String> {
    let rows: Vec<Row> =
        rows.into_iter().filter(|row| printer.verbose > 0 || !row.is_up_to_date).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let with_size = target.registry.is_some();
    let with_time = head.contains(&"time");
    let cells = |row: Row| {
        let (name, tag) = name_and_tag(target, &row.reference);
        let mut cells = vec![name, tag];
        cells.extend(with_size.then_some(row.size));
        cells.extend(with_time.then_some(row.time));
        cells.push(row.action);
        cells
    };
    let rows: Vec<Vec<String>> = rows.into_iter().map(cells).collect();
    let head = head.iter().filter(|name| with_size || **name != "size");
    let head: Vec<String> = head.map(|name| (*name).to_owned()).collect();
    let mut lines: Vec<String> =
        place(run, target).iter().map(|line| escape::line(line).into_owned()).collect();
    lines.extend(fitted_table(printer, &head, &rows));
    lines
}

/// Where images go.
fn place(run: &Deployment, target: &Target) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(registry) = &target.registry {
        let (runtime, push) = (registry.runtime_prefix(), registry.push_host());
        lines.push(if registry.runtime_host() == push {
            format!("registry: {runtime}")
        } else {
            format!("registry: {runtime}, from here {push}")
        });
    }
    if let Some(layout) = &target.layout {
        lines.push(format!("OCI layout: {}", run.project.short(layout)));
    }
    if target.engine {
        lines.push("container engine of this machine".to_owned());
    }
    lines
}

/// The name of an image without the registry, which is printed once, and its tag; a digest is
/// shortened.
fn name_and_tag(target: &Target, reference: &str) -> (String, String) {
    let prefix = target.registry.as_ref().map(|registry| format!("{}/", registry.runtime_prefix()));
    let name = prefix.and_then(|prefix| reference.strip_prefix(&prefix)).unwrap_or(reference);
    if let Some((name, digest)) = name.split_once('@') {
        let digest = digest.split_once(':').map_or(digest, |(_, hex)| hex);
        return (name.to_owned(), format!("@{}", digest.chars().take(12).collect::<String>()));
    }
    let tag = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[tag..].rfind(':') {
        Some(colon) => (name[..tag + colon].to_owned(), name[tag + colon + 1..].to_owned()),
        None => (name.to_owned(), String::new()),
    }
}

fn made_row(target: &Target, image: &MadeImage) -> Row {
    let change = image.change();
    let action = match change {
        ImageChange::Built => "built",
        ImageChange::Pushed => "pushed",
        ImageChange::UpToDate => UP_TO_DATE,
    };
    let is_up_to_date = change == ImageChange::UpToDate;
    Row {
        reference: super::reference(target, image),
        size: if is_up_to_date { String::new() } else { bytes(image.sent()) },
        time: if is_up_to_date { String::new() } else { seconds(image.time) },
        action: match &image.daemon {
            Some(daemon) if !is_up_to_date => format!("{action} on {daemon}"),
            _ => action.to_owned(),
        },
        is_up_to_date,
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// The row of an external image, once it is known where it is.
fn external_row(external: &External) -> Option<Row> {
    external.target.as_ref()?;
    let (size, time, is_up_to_date) = match &external.state {
        ExternalState::Synced { report, time } if !report.unchanged => {
            (bytes(report.uploaded_bytes), seconds(*time), false)
        }
        ExternalState::Synced { .. } | ExternalState::Present => {
            (String::new(), String::new(), true)
        }
        _ => return None,
    };
    Some(Row {
        reference: external.name.clone(),
        size,
        time,
        action: if is_up_to_date { UP_TO_DATE } else { "copied" }.to_owned(),
        is_up_to_date,
    })
}

fn planned_row(image: &PlannedImage) -> Row {
    let is_up_to_date = image.action == PlannedAction::Reuse;
    let verb = match image.action {
        PlannedAction::Build => "build",
        PlannedAction::Reuse => UP_TO_DATE,
        PlannedAction::Push => "push",
        PlannedAction::Sync => "copy",
    };
    let daemon = image.daemon.as_ref().map(|daemon| format!(", on {daemon}")).unwrap_or_default();
    Row {
        reference: image.reference.clone(),
        size: match image.size {
            _ if is_up_to_date => String::new(),
            Some(size) => bytes(size),
            None => "?".to_owned(),
        },
        time: String::new(),
        action: format!("{verb}: {}{daemon}", image.reason),
        is_up_to_date,
    }
}
