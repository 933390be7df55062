//! The lines of a summary that are not about images.

use std::time::Instant;

use esb_config::{Change, ChangeKind, ChangedSubject};
use esb_deploy::{Deployment, Outcome, Preview, Target, Written};

use super::images;
use crate::{
    escape, ownership,
    printer::{Printer, Style},
    worker_lines,
};

/// Entries without a template that a line names.
const SHOWN: usize = 5;

/// Commands that an operator may have to run after a deploy.
pub(super) struct Commands<'a> {
    /// Creates tables and buckets.
    pub(super) provisioner: Option<&'a str>,
    /// Restarts a Gateway.
    pub(super) restart: Option<&'a str>,
}

/// What a run did; without the changes that a plan showed which was agreed to.
pub(super) fn done(
    run: &Deployment,
    outcome: &Outcome,
    commands: &Commands<'_>,
    (printer, start): (Printer, Instant),
    is_agreed: bool,
) -> Vec<String> {
    let Outcome { target, images, externals, written, replaced, pulled, places, .. } = outcome;
    let mut text = images::done(run, target, (images, externals), printer, start.elapsed());
    let styled = |sign: &str, style| printer.styled_out(sign, style);
    let changes = if is_agreed { Vec::new() } else { change_lines(&written.changes, styled) };
    if !text.is_empty() && !changes.is_empty() {
        text.push(String::new());
    }
    text.extend(changes);
    text.extend(unowned_line(&super::unowned(written.merged.as_ref()), run.project.brand.slug()));
    text.extend(target.unreachable().filter(|_| run.options.publish));
    text.extend(configuration_lines(run, written, &places.found.elsewhere));
    text.extend(region_line(written.merged.as_ref()));
    if let Some(command) = commands.provisioner {
        text.push(format!("tables or buckets changed; create them with: {command}"));
    }
    if !pulled.images.is_empty() {
        let (count, time) = (pulled.images.len(), pulled.time.as_secs_f64());
        text.push(format!("pulled by the engine: {count} in {time:.1} s"));
    }
    text.extend(worker_lines::lines(replaced));
    if let Some(command) = commands.restart {
        let names = written.capacities.join(", ");
        text.push(format!(
            "max_capacity changed for {names}; the Gateway takes it when it starts: {command}"
        ));
    }
    if images.iter().any(|image| image.was_built() || image.was_uploaded())
        || !written.changes.is_empty()
    {
        text.push(format!("done in {:.1} s", start.elapsed().as_secs_f64()));
    }
    text
}

/// What a run would do.
pub(super) fn planned(
    run: &Deployment,
    target: &Target,
    plan: &Preview,
    printer: Printer,
) -> Vec<String> {
    let mut text = images::planned(run, target, &plan.images, printer);
    let changes = plan.merged.as_ref().map_or(&[][..], |merged| &merged.changes);
    text.push(String::new());
    if plan.merged.is_some() {
        text.extend(ownership::application_lines(run));
    }
    text.extend(change_lines(changes, |sign, style| printer.styled_out(sign, style)));
    text.extend(unowned_line(&super::unowned(plan.merged.as_ref()), run.project.brand.slug()));
    text.extend(region_line(plan.merged.as_ref()));
    if plan.merged.is_some() && !plan.changes_configuration() {
        text.push("configuration: no changes".to_owned());
    }
    text.push("dry run: nothing was built, pushed or written".to_owned());
    text
}

/// A line for each change, with `+`, `~` or `-` in the colours of a stream; one for all methods of
/// a path.
pub(crate) fn change_lines(
    changes: &[Change],
    styled: impl Fn(&str, Style) -> String,
) -> Vec<String> {
    let line = |change: &ChangedSubject| {
        let (sign, style) = sign(change.kind);
        format!("{} {}", styled(sign, style), escape::line(&described(change)))
    };
    esb_config::subjects(changes).iter().map(line).collect()
}

fn sign(kind: ChangeKind) -> (&'static str, Style) {
    match kind {
        ChangeKind::Added => ("+", Style::Good),
        ChangeKind::Changed => ("~", Style::Changed),
        ChangeKind::Removed => ("-", Style::Removed),
    }
}

fn described(change: &ChangedSubject) -> String {
    match change.details.as_slice() {
        [] => change.name.clone(),
        details => format!("{}: {}", change.name, details.join(", ")),
    }
}

/// Where the configuration was written, and whether it is live there.
fn configuration_lines(run: &Deployment, written: &Written, elsewhere: &[String]) -> Vec<String> {
    let wording = |folders: &str| match written.changed.len() {
        0 => format!("configuration unchanged in {folders}"),
        _ => format!("wrote configuration to {folders}"),
    };
    let mut folders: Vec<String> = Vec::new();
    folders.extend(written.staging.iter().map(|dir| run.project.short(dir)));
    folders.extend(written.delivered.clone().filter(|dir| !folders.contains(dir)));
    if folders.is_empty() {
        let dir = run.project.short(&run.project.generated().join("config"));
        let (brand, environment) = (run.project.brand.slug(), &run.project.environment);
        return vec![
            wording(&dir),
            format!("what was built is not live yet: run `{brand} deploy -e {environment}`"),
        ];
    }
    let mut lines = vec![wording(&folders.join(", "))];
    let is_wanted = run.options.site.config_to.as_deref() != Some("none");
    if written.delivered.is_none() && is_wanted {
        lines.push(nobody_reads(run, elsewhere));
    }
    lines
}

/// The text that says why no Gateway reads the written files, and what to do.
fn nobody_reads(run: &Deployment, elsewhere: &[String]) -> String {
    match elsewhere {
        [] => "no Gateway reads it: name its folder with `--config-to DIR`".to_owned(),
        [project] => format!(
            "no Gateway of the compose project `{}` is there, and one of `{project}` runs: deploy to \
             it with `-p {project}`",
            run.compose_project
        ),
        projects => format!(
            "no Gateway of the compose project `{}` is there; name one of those that run with `-p`: {}",
            run.compose_project,
            projects.join(", ")
        ),
    }
}

/// The line for a run whose region is not the published one.
fn region_line(merged: Option<&esb_config::Merged>) -> Option<String> {
    let region = merged?.own_region.as_ref()?;
    let line = format!(
        "region: `{}` is written into the functions of these templates, because `{}` is published for \
         all functions",
        region.own, region.published
    );
    Some(escape::line(&line).into_owned())
}

fn unowned_line(unowned: &[String], program: &str) -> Option<String> {
    let shown = &unowned[..unowned.len().min(SHOWN)];
    let more = match unowned.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!shown.is_empty()).then(|| {
        let shown = shown.join(", ");
        let line =
            format!("kept, of no known template: {shown}{more}; `{program} config ls` lists them");
        escape::line(&line).into_owned()
    })
}
