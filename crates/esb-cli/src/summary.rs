//! Shows what a run did: a table for people, one JSON document for programs.

use std::time::Instant;

use esb_config::{ChangeKind, ConfigFile};
use esb_deploy::{
    Deployment, External, ExternalState, Loaded, MadeImage, Outcome, PlannedImage, Preview, Target,
    Written, compose_command,
};
use esb_image::docker::ContainerInfo;
use esb_model::ImageKind;
use serde_json::{Value, json};

use crate::{
    escape,
    exit_code::Exit,
    inspect, ownership,
    printer::{Printer, table},
    reporter::bytes,
    worker_lines,
};

/// Entries without a template that a line names.
const SHOWN: usize = 5;

/// The result of `deploy` or `build`.
pub(crate) struct Summary {
    document: Value,
    text: Vec<String>,
    /// How the command ends.
    pub(crate) exit: Exit,
}

impl Summary {
    pub(crate) fn done(
        run: &Deployment,
        outcome: &Outcome,
        printer: Printer,
        start: Instant,
    ) -> Self {
        let Outcome { target, images: made, externals, written, replaced, pulled, places, .. } =
            outcome;
        let loaded = &outcome.loaded;
        let found = &places.found;
        let own = made.iter().map(|image| row(target, image));
        let rows: Vec<_> = own.chain(externals.iter().filter_map(external_row)).collect();
        let own = made.iter().map(|image| image_json(target, image));
        let images: Vec<_> = own.chain(externals.iter().filter_map(external_json)).collect();
        let head = ["image", "digest", "sent", "seconds", "action"].map(str::to_owned);
        let mut text = table(printer, &head, &rows);
        text.push(String::new());
        for change in &written.changes {
            text.push(change_line(change));
        }
        let unowned = unowned(written.merged.as_ref());
        text.extend(unowned_line(&unowned, run.project.brand.slug()));
        warn(run, written.merged.as_ref(), printer, false);
        text.extend(target.unreachable());
        text.extend(configuration_lines(run, written, &found.elsewhere));
        text.extend(region_line(written.merged.as_ref()));
        let provisioner = provisioner(run, written, found.gateway.as_ref());
        if let Some(command) = &provisioner {
            text.push(format!("resources changed; create them with: {command}"));
        }
        if !pulled.images.is_empty() {
            let (count, time) = (pulled.images.len(), pulled.time.as_secs_f64());
            text.push(format!("pulled by the engine: {count} in {time:.1} s"));
        }
        text.extend(worker_lines::lines(replaced));
        let gateway = found.gateway.as_ref().filter(|_| replaced.restarted.is_none());
        let restart = restart(run, written, gateway);
        if let Some(command) = &restart {
            let names = written.capacities.join(", ");
            text.push(format!(
                "max_capacity changed for {names}; the Gateway takes it when it starts: {command}"
            ));
        }
        text.push(format!("done in {:.1} s", start.elapsed().as_secs_f64()));
        let document = json!({
            "schema": 1,
            "environment": run.project.environment,
            "images": images,
            "config": {
                "files": written.generated.iter().map(|path| run.project.short(path)).collect::<Vec<_>>(),
                "staging": written.staging.as_ref().map(|dir| run.project.short(dir)),
                "delivered": written.delivered,
                "changed": written.changed.iter().map(|file| file.name()).collect::<Vec<_>>(),
                "provisioner": provisioner,
                "elsewhere": found.elsewhere,
                "region": region_json(written.merged.as_ref()),
            },
            "workers": worker_lines::json(replaced),
            "owners": ownership::owners_json(run),
            "pulled": pulled.images,
            "restart": { "functions": written.capacities, "command": restart },
            "changes": changes_json(&written.changes),
            "adopted": ownership::adopted_json(written.merged.as_ref()),
            "left": ownership::left_json(written.merged.as_ref()),
            "unowned": unowned,
            "findings": inspect::findings(&loaded.findings, &loaded.sources),
            "seconds": start.elapsed().as_secs_f64(),
        });
        Self { document, text, exit: Exit::Success }
    }

    /// The result of a dry run.
    pub(crate) fn planned(
        run: &Deployment,
        loaded: &Loaded,
        plan: &Preview,
        printer: Printer,
        start: Instant,
    ) -> Self {
        let rows: Vec<Vec<String>> = plan.images.iter().map(planned_row).collect();
        let head = ["action", "image", "size", "reason"].map(str::to_owned);
        let mut text = table(printer, &head, &rows);
        let changes = plan.merged.as_ref().map_or(&[][..], |merged| &merged.changes);
        text.push(String::new());
        if plan.merged.is_some() {
            text.extend(ownership::application_lines(run));
        }
        text.extend(changes.iter().map(change_line));
        warn(run, plan.merged.as_ref(), printer, true);
        let unowned = unowned(plan.merged.as_ref());
        text.extend(unowned_line(&unowned, run.project.brand.slug()));
        text.extend(region_line(plan.merged.as_ref()));
        if plan.merged.is_some() && !plan.changes_configuration() {
            text.push("configuration: no changes".to_owned());
        }
        text.push("dry run: nothing was built, pushed or written".to_owned());
        let document = json!({
            "schema": 1,
            "dry_run": true,
            "has_changes": plan.has_changes(),
            "environment": run.project.environment,
            "images": plan.images.iter().map(planned_json).collect::<Vec<_>>(),
            "owners": ownership::owners_json(run),
            "region": region_json(plan.merged.as_ref()),
            "changes": changes_json(changes),
            "adopted": ownership::adopted_json(plan.merged.as_ref()),
            "left": ownership::left_json(plan.merged.as_ref()),
            "unowned": unowned,
            "findings": inspect::findings(&loaded.findings, &loaded.sources),
            "seconds": start.elapsed().as_secs_f64(),
        });
        Self { document, text, exit: Exit::Success }
    }

    /// Sets the exit code for changes, when there are any.
    pub(crate) fn with_changes(mut self, has_changes: bool) -> Self {
        if has_changes {
            self.exit = Exit::Changes;
        }
        self
    }

    /// Writes the result to stdout.
    pub(crate) fn print(&self, printer: Printer) {
        if printer.json {
            printer.document(&self.document);
        } else {
            printer.out(&self.text.join("\n"));
        }
    }
}

/// Tells what changed or would change its owner.
fn warn(run: &Deployment, merged: Option<&esb_config::Merged>, printer: Printer, is_planned: bool) {
    let program = run.project.brand.slug();
    let lines = merged.map(|merged| ownership::warnings(merged, program, is_planned));
    lines.into_iter().flatten().for_each(|line| printer.warning(&line));
}

/// The command that creates new tables and buckets (docs/contracts/platform.md#resourcesyml), when
/// there may be some.
fn provisioner(
    run: &Deployment,
    written: &Written,
    gateway: Option<&ContainerInfo>,
) -> Option<String> {
    (written.staging.is_some() && written.changed.contains(&ConfigFile::Resources))
        .then(|| compose_command(run, gateway, "--profile deploy run --rm provisioner"))
}

/// The command that restarts a Gateway, for settings that it reads only at its start.
fn restart(run: &Deployment, written: &Written, gateway: Option<&ContainerInfo>) -> Option<String> {
    let gateway = gateway.filter(|gateway| gateway.running && written.delivered.is_some())?;
    (!written.capacities.is_empty()).then(|| compose_command(run, Some(gateway), "restart gateway"))
}

/// Where the configuration was written, and whether it is live there.
fn configuration_lines(run: &Deployment, written: &Written, elsewhere: &[String]) -> Vec<String> {
    let changed = match written.changed.len() {
        0 => "configuration unchanged".to_owned(),
        n => format!("{n} configuration {} written", if n == 1 { "file" } else { "files" }),
    };
    let mut folders: Vec<String> = Vec::new();
    folders.extend(written.staging.iter().map(|dir| run.project.short(dir)));
    folders.extend(written.delivered.clone().filter(|dir| !folders.contains(dir)));
    if folders.is_empty() {
        let dir = run.project.short(&run.project.generated().join("config"));
        let (brand, environment) = (run.project.brand.slug(), &run.project.environment);
        return vec![
            format!("{changed}: {dir}"),
            format!("nothing is live yet: run `{brand} deploy -e {environment}`"),
        ];
    }
    let mut lines = vec![format!("{changed}: {}", folders.join(", "))];
    if written.delivered.is_none() {
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
    Some(escape::terminal(&line).into_owned())
}

fn region_json(merged: Option<&esb_config::Merged>) -> Option<Value> {
    let region = merged?.own_region.as_ref()?;
    Some(json!({ "published": region.published, "own": region.own }))
}

/// The published entries that are kept because no template is known to have published them.
fn unowned(merged: Option<&esb_config::Merged>) -> Vec<String> {
    merged.map_or(&[][..], |merged| &merged.unowned).iter().map(ToString::to_string).collect()
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
        escape::terminal(&line).into_owned()
    })
}

fn planned_row(image: &PlannedImage) -> Vec<String> {
    vec![
        image.action.word().to_owned(),
        image.reference.clone(),
        image.size.map_or_else(|| "?".to_owned(), bytes),
        match &image.daemon {
            Some(daemon) => format!("{}, on {daemon}", image.reason),
            None => image.reason.clone(),
        },
    ]
}

fn planned_json(image: &PlannedImage) -> Value {
    json!({
        "name": image.name,
        "function": image.function,
        "reference": image.reference,
        "platform": image.platform,
        "from": image.from,
        "action": image.action.word(),
        "reason": image.reason,
        "daemon": image.daemon,
        "bytes": image.size,
    })
}

/// A function's name in functions.yml, a base's in Dockerfiles.
fn reference(target: &Target, image: &MadeImage) -> String {
    if image.is_function() {
        target.written(&image.repository, &image.tag, image.image.digest())
    } else {
        target.plain(&image.repository, &image.tag)
    }
}

fn row(target: &Target, image: &MadeImage) -> Vec<String> {
    let digest = image.image.digest();
    vec![
        reference(target, image),
        digest.short(),
        bytes(image.sent()),
        format!("{:.1}", image.time.as_secs_f64()),
        match &image.daemon {
            Some(daemon) => format!("{} on {daemon}", image.action()),
            None => image.action().to_owned(),
        },
    ]
}

/// The line of an external image that was copied.
fn external_row(external: &External) -> Option<Vec<String>> {
    let ExternalState::Synced { report, time } = &external.state else { return None };
    Some(vec![
        external.name.clone(),
        external.digest?.short(),
        bytes(report.uploaded_bytes),
        format!("{:.1}", time.as_secs_f64()),
        report.sync_action().to_owned(),
    ])
}

fn external_json(external: &External) -> Option<Value> {
    let target = external.target.as_ref()?;
    let mut image = json!({
        "name": format!("{}:{}", target.repository, target.tag),
        "function": external.function.logical_id,
        "reference": external.name,
        "source": external.source,
        "digest": external.digest.map(|digest| digest.to_string()),
        "platform": external.platform.to_string(),
    });
    match &external.state {
        ExternalState::Unknown | ExternalState::Planned { .. } => return None,
        ExternalState::Present => image["action"] = "skipped".into(),
        ExternalState::Synced { report, time } => {
            image["action"] = report.sync_action().into();
            image["bytes"] = report.uploaded_bytes.into();
            image["seconds"] = time.as_secs_f64().into();
        }
    }
    Some(image)
}

fn image_json(target: &Target, image: &MadeImage) -> Value {
    let digest = image.image.digest();
    json!({
        "name": image.name(),
        "function": match &image.kind {
            ImageKind::Function(id) => Some(&id.logical_id),
            ImageKind::Base(_) => None,
        },
        "reference": reference(target, image),
        "digest": digest.to_string(),
        "platform": image.platform.to_string(),
        "action": image.action(),
        "reason": image.reason,
        "builder": image.builder,
        "daemon": image.daemon,
        "bytes": image.sent(),
        "seconds": image.time.as_secs_f64(),
    })
}

pub(crate) fn change_line(change: &esb_config::Change) -> String {
    let sign = match change.kind {
        ChangeKind::Added => '+',
        ChangeKind::Changed => '~',
        ChangeKind::Removed => '-',
    };
    let details = match change.details.as_slice() {
        [] => String::new(),
        details => format!(": {}", details.join(", ")),
    };
    escape::terminal(&format!("{sign} {}{details}", change.entry)).into_owned()
}

pub(crate) fn changes_json(changes: &[esb_config::Change]) -> Vec<Value> {
    let kind = |kind| match kind {
        ChangeKind::Added => "added",
        ChangeKind::Changed => "changed",
        ChangeKind::Removed => "removed",
    };
    changes
        .iter()
        .map(|change| {
            json!({
                "entry": change.entry.to_string(),
                "section": change.entry.section,
                "key": change.entry.key,
                "change": kind(change.kind),
                "details": change.details,
            })
        })
        .collect()
}
