//! Shows the plan of a deploy to a person, and asks for consent.
//!
//! Owns when that is done: `confirm` in esb.toml, `--yes` and `ESB_YES`. Holds nothing that another
//! run waits for.

use esb_deploy::{Deployment, Error, Plan, PlannedAction, PlannedImage, Preview, settings};

use crate::{
    ask,
    cli::{DeployArgs, GlobalArgs},
    environment::Environment,
    escape, ownership,
    printer::Printer,
    reporter::bytes,
    summary::change_lines,
};

/// The most images and the most entries that a plan lists.
const SHOWN: usize = 30;

/// When a deploy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirm {
    /// When the plan removes or takes over something, or leaves this machine.
    Auto,
    /// When the plan changes anything.
    Always,
}

impl Confirm {
    /// The choice of a deploy; none where nothing is asked.
    pub(crate) fn of(
        deploy: &DeployArgs,
        global: &GlobalArgs,
        environment: &Environment,
    ) -> Option<Self> {
        let plan = &deploy.build.plan;
        let is_agreed = plan.yes || environment.branded_is_true("YES");
        if is_agreed || plan.dry_run || deploy.build_only || !ask::may_ask(global, environment) {
            return None;
        }
        match environment.settings().text(settings::CONFIRM) {
            Some("never") => None,
            Some("always") => Some(Self::Always),
            _ => Some(Self::Auto),
        }
    }
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
        let is_asked =
            confirm == Confirm::Always || preview.takes_away() || plan.leaves_machine(run);
        let question = is_asked.then(|| {
            let names: Vec<&str> = places.iter().map(|(_, name)| name.as_str()).collect();
            format!("Deploy to {}?", names.join(", "))
        });
        Ok(Some(Self { lines: lines(run, &places, &preview, printer), question }))
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
    places: &[(&str, String)],
    preview: &Preview,
    printer: Printer,
) -> Vec<String> {
    let environment = &run.project.environment;
    let names: Vec<&str> = run.applications().iter().map(|named| named.name.as_str()).collect();
    let escaped = |line: String| escape::terminal(&line).replace('\n', " ");
    let mut lines =
        vec![escaped(format!("Plan for {}, environment {environment}:", names.join(", ")))];
    lines.extend(places.iter().map(|(kind, name)| escaped(format!("  {kind:<8}  {name}"))));
    let images = preview.images.iter().filter(|image| image.action != PlannedAction::Reuse);
    lines.extend(listed(images.map(image_line).map(escaped).collect()));
    let merged = preview.merged.as_ref();
    let changes = merged.map_or(&[][..], |merged| &merged.changes);
    let styled = |sign: &str, style| printer.styled_err(sign, style);
    let changes = change_lines(changes, styled).into_iter().map(|line| format!("  {line}"));
    lines.extend(listed(changes.collect()));
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

fn listed(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > SHOWN {
        let more = lines.len() - SHOWN;
        lines.truncate(SHOWN);
        lines.push(format!("  … and {more} more, which `--dry-run` lists"));
    }
    lines
}
