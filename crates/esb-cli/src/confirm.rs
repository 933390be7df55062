//! Shows the plan of a deploy to a person, and asks for consent.
//!
//! Owns when that is done: `confirm` in esb.toml, `--yes` and `ESB_YES`. Holds nothing that another
//! run waits for.

use esb_config::ChangeKind;
use esb_deploy::{
    Deployment, Error, Kind, Plan, PlannedAction, PlannedImage, Preview, TargetChange, TargetPart,
    settings,
};

use crate::{
    ask,
    cli::{DeployArgs, GlobalArgs},
    environment::Environment,
    escape, ownership,
    printer::Printer,
    reporter::bytes,
    summary::change_lines,
};

/// The most images and the most entries that a plan lists, besides removals.
const SHOWN: usize = 30;

/// When a deploy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// Never: consent was given before, or nothing is published.
    Given,
    /// Never, and nobody gave consent.
    Never,
    /// Where it changes anything, and nobody can be asked.
    Impossible,
    /// When the plan removes or takes over something, leaves this machine, or leaves the target of
    /// the last deploy by a flag that is not given.
    Auto,
    /// When the plan changes anything.
    Always,
}

impl Confirm {
    /// The choice of a deploy.
    pub(crate) fn of(deploy: &DeployArgs, global: &GlobalArgs, environment: &Environment) -> Self {
        let plan = &deploy.build.plan;
        if plan.yes || environment.branded_is_true("YES") || plan.dry_run || deploy.build_only {
            return Self::Given;
        }
        let may_ask = ask::may_ask(global, environment);
        match environment.settings().text(settings::CONFIRM) {
            Some("always") if may_ask => Self::Always,
            Some("always") => Self::Impossible,
            Some("never") => Self::Never,
            _ if may_ask => Self::Auto,
            _ => Self::Never,
        }
    }

    /// Whether a person sees the plan.
    pub(crate) fn shows_plan(self) -> bool {
        matches!(self, Self::Auto | Self::Always)
    }
}

/// Refuses a run for which consent is needed and nobody can be asked.
///
/// # Errors
/// When it would change something where each change needs consent, or would no longer push where
/// the last deploy did.
pub(crate) async fn unasked(
    confirm: Confirm,
    run: &Deployment,
    plan: &mut Plan,
    printer: Printer,
) -> Result<(), Error> {
    if confirm != Confirm::Given {
        plan.refuse_lost_registry(run)?;
    }
    if confirm == Confirm::Impossible && run.preview(plan).await?.has_changes() {
        let text = "each deploy needs consent (`confirm = \"always\"` in esb.toml), and nobody can \
                    be asked here";
        return Err(Error::new(Kind::Input, "confirm", text).hint(
            "look at it with `--dry-run`, and agree with `--yes`, or set `confirm = \"auto\"`",
        ));
    }
    for line in target_lines(run, plan) {
        printer.warning(&line);
    }
    Ok(())
}

/// A line for each part of the target that the last deploy had otherwise.
pub(crate) fn target_lines(run: &Deployment, plan: &Plan) -> Vec<String> {
    let line = |change: &TargetChange| {
        let before = change.before.as_deref().unwrap_or_default();
        match (change.part, &change.after) {
            (TargetPart::Registry, None) => {
                format!("the last deploy pushed to `{before}`, and this one pushes nothing")
            }
            (TargetPart::Registry, Some(after)) => {
                format!("the last deploy pushed to `{before}`, and this one pushes to `{after}`")
            }
            (TargetPart::Project, after) => format!(
                "the last deploy was for the compose project `{before}`, and this one is for `{}`",
                after.as_deref().unwrap_or_default()
            ),
            (_, None) => format!(
                "the last deploy delivered the configuration to `{before}`, and this one delivers it \
                 to no Gateway"
            ),
            (_, Some(after)) => format!(
                "the last deploy delivered the configuration to `{before}`, and this one delivers it \
                 to `{after}`"
            ),
        }
    };
    plan.target_changes(run).iter().map(line).collect()
}

/// A plan that a person has seen, or has to see.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShownPlan {
    lines: Vec<String>,
    /// None where nothing is asked.
    question: Option<String>,
}

impl ShownPlan {
    /// The plan of a run; none when nothing would change.
    pub(crate) async fn of(
        confirm: Confirm,
        run: &Deployment,
        plan: &mut Plan,
        printer: Printer,
    ) -> Result<Option<Self>, Error> {
        let preview = run.preview(plan).await?;
        if !preview.has_changes() {
            return Ok(None);
        }
        let places = places(run, plan);
        let left = plan.target_changes(run);
        let is_asked = confirm == Confirm::Always
            || preview.takes_away()
            || plan.leaves_machine(run)
            || left.iter().any(|change| !change.is_chosen);
        let question = is_asked.then(|| {
            let names: Vec<&str> = places.iter().map(|(_, name)| name.as_str()).collect();
            format!("Deploy to {}?", names.join(", "))
        });
        Ok(Some(Self { lines: lines(run, plan, &places, &preview, printer), question }))
    }

    /// Whether a person has to agree.
    pub(crate) fn asks(&self) -> bool {
        self.question.is_some()
    }

    /// Shows the plan.
    pub(crate) fn show(&self, printer: Printer) {
        printer.err(&self.lines.join("\n"));
    }

    /// Asks for consent to the plan, where that is needed.
    ///
    /// # Errors
    /// When the person does not agree.
    pub(crate) async fn consent(&self) -> Result<(), Error> {
        match &self.question {
            Some(question) => ask::consent(question).await,
            None => Ok(()),
        }
    }
}

/// Where the results go: what kind of place, and its name.
fn places(run: &Deployment, plan: &Plan) -> Vec<(&'static str, String)> {
    let target = &plan.target;
    let mut places = Vec::new();
    if let Some(registry) = &target.registry {
        places.push(("registry", registry.to_string()));
    }
    if target.engine {
        places.push(("images", "the Docker engine".to_owned()));
    }
    if let Some(layout) = &target.layout {
        places.push(("images", run.project.short(layout)));
    }
    places.push(("project", run.compose_project.clone()));
    let staging = || run.project.short(&run.project.staging(&run.compose_project));
    let place = plan.delivery(run).unwrap_or_else(staging);
    places.push(match place.strip_prefix("container:") {
        Some(container) => ("Gateway", container.to_owned()),
        None => ("folder", place),
    });
    places
}

/// The lines of a plan, safe to print.
fn lines(
    run: &Deployment,
    plan: &Plan,
    places: &[(&str, String)],
    preview: &Preview,
    printer: Printer,
) -> Vec<String> {
    let environment = &run.project.environment;
    let names: Vec<&str> = run.applications().iter().map(|named| named.name.as_str()).collect();
    let escaped = |line: String| escape::line(&line).into_owned();
    let mut lines =
        vec![escaped(format!("Plan for {}, environment {environment}:", names.join(", ")))];
    lines.extend(places.iter().map(|(kind, name)| escaped(format!("  {kind:<8}  {name}"))));
    lines.extend(target_lines(run, plan).into_iter().map(|line| escaped(format!("  {line}"))));
    let images = preview.images.iter().filter(|image| image.action != PlannedAction::Reuse);
    lines.extend(listed(images.map(|image| (escaped(image_line(image)), false)).collect()));
    let merged = preview.merged.as_ref();
    let changes = merged.map_or(&[][..], |merged| &merged.changes);
    let styled = |sign: &str, style| printer.styled_err(sign, style);
    let kinds = esb_config::subjects(changes);
    let is_removal = kinds.iter().map(|subject| subject.kind == ChangeKind::Removed);
    let changes = change_lines(changes, styled).into_iter().map(|line| format!("  {line}"));
    lines.extend(listed(changes.zip(is_removal).collect()));
    let program = run.project.brand.slug();
    let warnings = merged.map(|merged| ownership::warnings(merged, program, true));
    lines.extend(warnings.into_iter().flatten().map(|text| escaped(format!("  {text}"))));
    lines
}

fn image_line(image: &PlannedImage) -> String {
    let size = match (image.action, image.size) {
        (PlannedAction::Push | PlannedAction::Sync, Some(size)) => format!(" ({})", bytes(size)),
        _ => String::new(),
    };
    format!("  {:<5} {}{size}: {}", image.action.word(), image.name, image.reason)
}

/// The first lines, and all of those that say what is removed.
fn listed(lines: Vec<(String, bool)>) -> Vec<String> {
    let all = lines.len();
    let numbered = lines.into_iter().enumerate();
    let shown = numbered.filter(|(number, (_, is_removal))| *number < SHOWN || *is_removal);
    let mut shown: Vec<String> = shown.map(|(_, (line, _))| line).collect();
    let more = all - shown.len();
    if more > 0 {
        shown.push(format!("  … and {more} more, which `--dry-run` lists"));
    }
    shown
}
