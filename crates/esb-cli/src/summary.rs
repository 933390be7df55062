//! Shows what a run did: lines for people, one JSON document for programs.

mod images;
mod text;

use std::time::Instant;

use esb_config::{ChangeKind, Section};
use esb_deploy::{
    Deployment, External, ExternalState, Loaded, MadeImage, Outcome, PlannedImage, Preview, Target,
    Written, compose_command,
};
use esb_image::docker::ContainerInfo;
use esb_model::ImageKind;
use serde_json::{Value, json};

pub(crate) use text::{change_lines, plain_change_lines};

use crate::{exit_code::Exit, inspect, ownership, printer::Printer, worker_lines};

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
        let own = made.iter().map(|image| image_json(target, image));
        let images: Vec<_> = own.chain(externals.iter().filter_map(external_json)).collect();
        let unowned = unowned(written.merged.as_ref());
        warn(run, written.merged.as_ref(), printer, false);
        let provisioner = provisioner(run, written, found.gateway.as_ref());
        let gateway = found.gateway.as_ref().filter(|_| replaced.restarted.is_none());
        let restart = restart(run, written, gateway);
        let commands =
            text::Commands { provisioner: provisioner.as_deref(), restart: restart.as_deref() };
        let text = text::done(run, outcome, &commands, printer, start);
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
            "findings": inspect::findings(&loaded.effective_findings(), &loaded.sources),
            "seconds": start.elapsed().as_secs_f64(),
        });
        Self { document, text, exit: Exit::Success }
    }

    /// The result of a dry run.
    pub(crate) fn planned(
        run: &Deployment,
        loaded: &Loaded,
        (plan, target): (&Preview, &Target),
        printer: Printer,
        start: Instant,
    ) -> Self {
        let changes = plan.merged.as_ref().map_or(&[][..], |merged| &merged.changes);
        warn(run, plan.merged.as_ref(), printer, true);
        let unowned = unowned(plan.merged.as_ref());
        let text = text::planned(run, target, plan, printer);
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
            "findings": inspect::findings(&loaded.effective_findings(), &loaded.sources),
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
    let is_created = |change: &esb_config::Change| {
        matches!(change.entry.section, Section::Table | Section::Bucket)
            && change.kind != ChangeKind::Removed
    };
    (written.staging.is_some() && written.changes.iter().any(is_created))
        .then(|| compose_command(run, gateway, "--profile deploy run --rm provisioner"))
}

/// The command that restarts a Gateway, for settings that it reads only at its start.
fn restart(run: &Deployment, written: &Written, gateway: Option<&ContainerInfo>) -> Option<String> {
    let gateway = gateway.filter(|gateway| gateway.running && written.delivered.is_some())?;
    (!written.capacities.is_empty()).then(|| compose_command(run, Some(gateway), "restart gateway"))
}

fn region_json(merged: Option<&esb_config::Merged>) -> Option<Value> {
    let region = merged?.own_region.as_ref()?;
    Some(json!({ "published": region.published, "own": region.own }))
}

/// The published entries that are kept because no template is known to have published them.
fn unowned(merged: Option<&esb_config::Merged>) -> Vec<String> {
    merged.map_or(&[][..], |merged| &merged.unowned).iter().map(ToString::to_string).collect()
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
