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

pub(crate) use text::change_lines;

use crate::{
    documents::{
        self, Adopted, Change, Configuration, FindingFields, PlanDocument, Region, Restart,
        RunDocument, RunOwner,
    },
    exit_code::Exit,
    ownership,
    printer::Printer,
};

/// What programs get.
enum Document {
    Done(Box<RunDocument>),
    Planned(Box<PlanDocument>),
}

/// The result of `deploy` or `build`.
pub(crate) struct Summary {
    document: Document,
    text: Vec<String>,
    /// How the command ends.
    pub(crate) exit: Exit,
}

impl Summary {
    /// The result of a run. `is_agreed` says that a person has seen its plan: what the plan said is
    /// not said again.
    pub(crate) fn done(
        run: &Deployment,
        outcome: &Outcome,
        printer: Printer,
        start: Instant,
        is_agreed: bool,
    ) -> Self {
        let Outcome { target, images: made, externals, written, replaced, pulled, places, .. } =
            outcome;
        let loaded = &outcome.loaded;
        let found = &places.found;
        let own = made.iter().map(|image| made_fields(target, image));
        let images: Vec<_> = own.chain(externals.iter().filter_map(external_fields)).collect();
        let unowned = unowned(written.merged.as_ref());
        if !is_agreed {
            warn(run, written.merged.as_ref(), printer, false);
        }
        let provisioner = provisioner(run, written, found.gateway.as_ref());
        let gateway = found.gateway.as_ref().filter(|_| replaced.restarted.is_none());
        let restart = restart(run, written, gateway);
        let commands =
            text::Commands { provisioner: provisioner.as_deref(), restart: restart.as_deref() };
        let text = text::done(run, outcome, &commands, (printer, start), is_agreed);
        let document = Document::Done(Box::new(RunDocument {
            environment: run.project.environment.clone(),
            images,
            config: Configuration {
                files: written.generated.iter().map(|path| run.project.short(path)).collect(),
                staging: written.staging.as_ref().map(|dir| run.project.short(dir)),
                delivered: written.delivered.clone(),
                changed: written.changed.iter().map(|file| file.name()).collect(),
                provisioner,
                elsewhere: found.elsewhere.clone(),
                region: Region::of(written.merged.as_ref()),
            },
            workers: replaced.into(),
            owners: RunOwner::of(run),
            pulled: pulled.images.clone(),
            restart: Restart { functions: written.capacities.clone(), command: restart },
            changes: Change::all(&written.changes),
            adopted: Adopted::all(written.merged.as_ref()),
            left: ownership::left(written.merged.as_ref()),
            unowned,
            findings: FindingFields::all(&loaded.effective_findings(), &loaded.sources),
            seconds: start.elapsed().as_secs_f64(),
        }));
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
        let document = Document::Planned(Box::new(PlanDocument {
            dry_run: true,
            has_changes: plan.has_changes(),
            environment: run.project.environment.clone(),
            images: plan.images.iter().map(planned_fields).collect(),
            owners: RunOwner::of(run),
            region: Region::of(plan.merged.as_ref()),
            changes: Change::all(changes),
            adopted: Adopted::all(plan.merged.as_ref()),
            left: ownership::left(plan.merged.as_ref()),
            unowned,
            findings: FindingFields::all(&loaded.effective_findings(), &loaded.sources),
            seconds: start.elapsed().as_secs_f64(),
        }));
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
            match &self.document {
                Document::Done(document) => printer.document(document),
                Document::Planned(document) => printer.document(document),
            }
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

/// The published entries that are kept because no template is known to have published them.
fn unowned(merged: Option<&esb_config::Merged>) -> Vec<String> {
    merged.map_or(&[][..], |merged| &merged.unowned).iter().map(ToString::to_string).collect()
}

fn planned_fields(image: &PlannedImage) -> documents::PlannedImage {
    documents::PlannedImage {
        name: image.name.clone(),
        function: image.function.clone(),
        reference: image.reference.clone(),
        platform: image.platform.clone(),
        from: image.from.clone(),
        action: image.action.word(),
        reason: image.reason.clone(),
        daemon: image.daemon.clone(),
        bytes: image.size,
    }
}

/// A function's name in functions.yml, a base's in Dockerfiles.
fn reference(target: &Target, image: &MadeImage) -> String {
    if image.is_function() || !target.moving_tag() {
        target.written(&image.repository, &image.tag, image.image.digest())
    } else {
        target.plain(&image.repository, &image.tag)
    }
}

fn external_fields(external: &External) -> Option<documents::MadeImage> {
    let target = external.target.as_ref()?;
    let (action, bytes, seconds) = match &external.state {
        ExternalState::Unknown | ExternalState::Planned { .. } => return None,
        ExternalState::Present => ("skipped", None, None),
        ExternalState::Synced { report, time } => {
            (report.sync_action(), Some(report.uploaded_bytes), Some(time.as_secs_f64()))
        }
    };
    Some(documents::MadeImage {
        name: format!("{}:{}", target.repository, target.tag),
        function: Some(external.function.logical_id.clone()),
        reference: external.name.clone(),
        source: Some(external.source.clone()),
        digest: external.digest.map(|digest| digest.to_string()),
        platform: external.platform.to_string(),
        action,
        reason: None,
        builder: None,
        daemon: None,
        bytes,
        seconds,
    })
}

fn made_fields(target: &Target, image: &MadeImage) -> documents::MadeImage {
    documents::MadeImage {
        name: image.name(),
        function: match &image.kind {
            ImageKind::Function(id) => Some(id.logical_id.clone()),
            ImageKind::Base(_) => None,
        },
        reference: reference(target, image),
        source: None,
        digest: Some(image.image.digest().to_string()),
        platform: image.platform.to_string(),
        action: image.action(),
        reason: Some(image.reason.clone()),
        builder: Some(image.builder),
        daemon: image.daemon.clone(),
        bytes: Some(image.sent()),
        seconds: Some(image.time.as_secs_f64()),
    }
}
