//! `esb deploy` and `esb build`.

use std::{sync::Arc, time::Instant};

use esb_deploy::{Deployment, Error, Mode, Options, Plan, Project, PublicationStep, Templates};

use crate::{
    ask,
    cli::{BuildArgs, DeployArgs, GlobalArgs},
    confirm::{self, Confirm, ShownPlan},
    connections,
    environment::Environment,
    exit_code::CliError,
    inputs, interruption,
    loading::{self, Given},
    output,
    printer::Printer,
    questions::{self, Answers, Open, PromptedFields},
    reporter::TerminalReporter,
    summary::Summary,
};

/// The request of `esb deploy` or `esb build`, from its command line.
pub(crate) struct DeployRequest<'a> {
    pub(crate) global: &'a GlobalArgs,
    pub(crate) build: &'a BuildArgs,
    /// None for `esb build`.
    pub(crate) deploy: Option<&'a DeployArgs>,
    /// What was asked on a terminal so far.
    pub(crate) asked: &'a PromptedFields,
}

/// What one run of a request works with, besides what it opens.
struct Session<'a> {
    request: &'a DeployRequest<'a>,
    project: &'a Project,
    options: &'a Options,
    environment: &'a Environment,
    reporter: Arc<TerminalReporter>,
    printer: Printer,
}

/// What a person answered, and the parameters that were asked for or could have been.
#[derive(Default)]
struct Answered {
    open: Vec<Open>,
    answers: Answers,
}

impl Session<'_> {
    /// Opens the deployment: its connections hold the store until it is dropped.
    fn open(&self) -> Result<Deployment, Error> {
        let Self { project, options, environment, .. } = *self;
        let build = self.request.build;
        let connections =
            connections::of_build(build, &options.registry, project, environment, self.printer)?;
        let reporter = Arc::clone(&self.reporter);
        Deployment::open(project.clone(), options.clone(), connections, reporter)
    }

    /// Reads the templates, and asks for what is required where a person can be asked.
    async fn load(&self, given: &mut Given) -> Result<(Deployment, Templates, Answered), Error> {
        let deployment = self.open()?;
        let templates = given.load(&deployment)?;
        let Self { project, environment, .. } = *self;
        let DeployRequest { global, build, .. } = *self.request;
        if !templates.loaded.readable {
            return Ok((deployment, templates, Answered::default()));
        }
        let may_ask = ask::may_ask(global, environment);
        let open = templates.loaded.open.clone();
        let asks_all = may_ask && build.plan.ask;
        if !asks_all && !self.printer.quiet {
            let line = questions::defaults_line(&self.taken(may_ask), &open, may_ask);
            if let Some(line) = line {
                self.printer.note(&line);
            }
        }
        if !may_ask {
            let line = questions::unused_answers_line(self.project, &open);
            if let Some(line) = line {
                self.printer.note(&line);
            }
        }
        let wanted = questions::wanted(&open, build.plan.ask);
        // Who has given something wrong is not asked for more.
        if !may_ask || wanted.is_empty() || Given::is_wrong(&templates.loaded) {
            return Ok((deployment, templates, Answered { open, answers: Answers::new() }));
        }
        // Nothing is held while a person thinks.
        drop((deployment, templates));
        let check = |open: &Open, value: &str| given.check(project, open, value);
        let answers = questions::parameters(project, &wanted, check).await?;
        given.add(&answers);
        let deployment = self.open()?;
        let templates = given.load(&deployment)?;
        Ok((deployment, templates, Answered { open, answers }))
    }

    /// The values that a command takes where neither flag nor variable says one, for a person.
    fn taken(&self, may_ask: bool) -> Vec<(&'static str, &str)> {
        let mut taken = Vec::new();
        if !may_ask {
            return taken;
        }
        if !inputs::names_environment(self.request.global, self.environment) {
            taken.push(("environment", &*self.project.environment));
        }
        // With a registry of its own a run reads the mode later, of the project that runs.
        let is_docker = !inputs::names_registry(self.request.build, self.environment);
        if self.options.mode.is_none() && is_docker {
            taken.push(("mode", Mode::default().name()));
        }
        taken
    }

    /// Shows the plan, and asks for consent where it needs one. The plan that a person agreed to is
    /// made again afterwards: what has changed by then is shown and asked for again.
    async fn agree(
        &self,
        mut deployment: Deployment,
        mut plan: Plan,
        given: &Given,
        confirm: Confirm,
    ) -> Result<(Deployment, Plan), CliError> {
        if !confirm.shows_plan() {
            confirm::unasked(confirm, &deployment, &mut plan, self.printer).await?;
            return Ok((deployment, plan));
        }
        let mut agreed = None;
        while let Some(shown) = ShownPlan::of(confirm, &deployment, &mut plan, self.printer).await?
        {
            if agreed.as_ref() == Some(&shown) {
                break;
            }
            if agreed.is_some() {
                self.printer.err("The plan has changed since it was shown.");
            }
            shown.show(self.printer);
            if !shown.asks() {
                break;
            }
            drop((deployment, plan));
            shown.consent().await?;
            agreed = Some(shown);
            deployment = self.open()?;
            let templates = given.load(&deployment)?;
            loading::recheck(&templates.loaded, self.printer)?;
            plan = deployment.plan(templates).await?;
        }
        Ok((deployment, plan))
    }
}

pub(crate) async fn run(
    request: &DeployRequest<'_>,
    project: Project,
    environment: &Environment,
    printer: Printer,
) -> Result<Summary, CliError> {
    interruption::leaves("nothing was published");
    let mut start = Instant::now();
    let DeployRequest { build, deploy, asked, .. } = *request;
    let output = output::folder(&project, build.output.as_deref())?;
    let mut options = inputs::options(build, deploy, &project, environment)?;
    options.output.clone_from(&output);
    let mut given = Given::read(&project, &build.template, environment)?;
    let reporter = TerminalReporter::new(printer);
    let (project, options) = (&project, &options);
    let session = Session { request, project, options, environment, reporter, printer };

    let (deployment, templates, answered) = session.load(&mut given).await?;
    if !answered.answers.is_empty() {
        start = Instant::now();
    }
    loading::check(&templates.loaded, printer)?;
    let mut plan = deployment.plan(templates).await?;
    loading::print_late(&plan.findings, &plan.loaded, printer);
    if build.plan.dry_run {
        let preview = deployment.preview(&mut plan).await?;
        let changed = confirm::target_lines(&deployment, &plan);
        for line in changed {
            printer.warning(&line);
        }
        let detailed = build.plan.detailed_exitcode;
        return Ok(Summary::planned(
            &deployment,
            &plan.loaded,
            (&preview, &plan.target),
            printer,
            start,
        )
        .with_changes(detailed && preview.has_changes()));
    }
    let before = start.elapsed();
    let confirm = deploy.map(|deploy| Confirm::of(deploy, request.global, environment));
    let confirm = confirm.unwrap_or(Confirm::Given);
    let (deployment, plan) = Box::pin(session.agree(deployment, plan, &given, confirm)).await?;
    // Nobody wants to know how long they thought.
    let start = Instant::now().checked_sub(before).unwrap_or(start);
    if !build.plan.no_save_defaults {
        questions::remember(project, asked, &answered.open, &answered.answers)?;
    }
    let publication = deployment.publication();
    interruption::leaves_as(move || match publication.step() {
        PublicationStep::Before => "nothing was published",
        PublicationStep::Writing => {
            "the configuration may be published in part: run the command again"
        }
        PublicationStep::Written => {
            "the configuration is published, and workers may not be replaced: run the command again"
        }
    });
    let outcome = deployment.run(plan).await?;
    loading::print_late(&outcome.code_findings, &outcome.loaded, printer);
    if let Some(folder) = &output
        && !esb_config::is_same_folder(folder, &deployment.project.generated())
    {
        output::write(&deployment.project, folder, &outcome.recipes)?;
    }
    let summary = Summary::done(&deployment, &outcome, printer, start, confirm.shows_plan());
    deployment.close(outcome)?;
    Ok(summary)
}
