//! `esb deploy` and `esb build`.

use std::time::Instant;

use esb_deploy::{Deployment, Project};

use crate::{
    cli::{BuildArgs, DeployArgs, GlobalArgs},
    connections,
    environment::Environment,
    exit_code::CliError,
    inputs, loading, output,
    printer::Printer,
    questions::PromptedFields,
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

pub(crate) async fn run(
    request: &DeployRequest<'_>,
    project: Project,
    environment: &Environment,
    printer: Printer,
) -> Result<Summary, CliError> {
    let start = Instant::now();
    let DeployRequest { global, build, deploy, asked } = *request;
    let output = output::folder(&project, build.output.as_deref())?;
    let mut options = inputs::options(build, deploy, &project, environment)?;
    options.output.clone_from(&output);
    let connections = connections::of_build(build, &options.registry, &project, environment)?;
    let reporter = TerminalReporter::new(printer);
    let deployment = Deployment::open(project, options, connections, reporter)?;
    let templates = loading::load_or_ask(&deployment, build, global, asked, environment)?;
    loading::check(&templates.loaded, printer)?;

    let mut plan = deployment.plan(templates).await?;
    loading::print_late(&plan.findings, &plan.loaded, printer);
    if build.plan.dry_run {
        let preview = deployment.preview(&mut plan).await?;
        let detailed = build.plan.detailed_exitcode;
        return Ok(Summary::planned(&deployment, &plan.loaded, &preview, printer, start)
            .with_changes(detailed && preview.has_changes()));
    }
    let outcome = deployment.run(plan).await?;
    if let Some(folder) = &output
        && !esb_config::is_same_folder(folder, &deployment.project.generated())
    {
        output::write(&deployment.project, folder, &outcome.recipes)?;
    }
    let summary = Summary::done(&deployment, &outcome, printer, start);
    deployment.close(outcome)?;
    Ok(summary)
}
