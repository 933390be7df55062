//! The one place that knows all stages: parse → recipes → bases → functions → publish → verify →
//! configuration, in the order of `docs/architecture.md`. A failure at any step leaves the
//! published configuration as it was.

mod bases;
mod compose;
mod composed;
mod config;
mod delivery;
mod early;
pub(crate) mod fetch;
mod fleet;
pub(crate) mod history;
mod images;
mod output;
mod own_folders;
mod pins;
mod plan;
mod prepare;
mod published;
mod pull;
mod pushed;
mod record;
mod remembered;
mod run;
mod runnable;
mod sync;
mod target;
mod workers;

pub(crate) use compose::command as compose_command;
pub(crate) use config::{
    Places, Written, current, failure as config_failure, lock, places, publish_merged,
};
pub(crate) use delivery::all_gateways_read;
pub(crate) use plan::{Plan, PlannedImage};
pub(crate) use prepare::Naming;
pub(crate) use pull::Pulled;
pub(crate) use record::{ImageRecord, read as read_record};
pub(crate) use remembered::delivered;
pub(crate) use run::{Run, docker_credentials, open_store, registry_failure, store_folder};
pub(crate) use sync::{External, State};
pub(crate) use target::Target;
pub(crate) use workers::Replaced;

use std::time::Instant;

use esb_config::{Owner, Rendered};
use esb_model::ImageRecipe;

use self::early::Early;
use crate::{
    cli::{BuildArgs, DeployArgs, GlobalArgs, Prewarm},
    environment::Environment,
    exit::Failure,
    inputs::Project,
    load::{self, Loaded},
    printer::Printer,
    questions::Asked,
    summary::{MadeImage, Outcome, Summary},
};

/// The bytes that a store may have before a run that built something collects, and what
/// `esb cache gc` leaves when it is not told.
pub(crate) const STORE_LIMIT: u64 = 20_000_000_000;

/// What a run is asked for.
pub(crate) struct Order<'a> {
    pub(crate) global: &'a GlobalArgs,
    pub(crate) build: &'a BuildArgs,
    /// None for `esb build`.
    pub(crate) deploy: Option<&'a DeployArgs>,
    /// What was asked on a terminal so far; none for commands that ask nothing.
    pub(crate) asked: Option<&'a Asked>,
}

impl Order<'_> {
    /// Whether external images are synced and configuration is published.
    fn publishes(&self) -> bool {
        self.deploy.is_some_and(|deploy| !deploy.build_only)
    }

    /// Whether a plan with changes ends with an exit code of its own.
    pub(crate) fn detailed_exit_code(&self) -> bool {
        self.build.plan.detailed_exitcode
    }

    fn prewarm(&self) -> Prewarm {
        self.deploy.map_or(Prewarm::All, |deploy| deploy.sync.image_prewarm)
    }
}

/// What can be said of an application before any work.
pub(crate) struct Foreseen {
    pub(crate) recipes: Vec<ImageRecipe>,
    /// The configuration as if all images were there.
    pub(crate) preview: Rendered,
}

/// Makes recipes and a preview of the configuration; their findings join those of the templates.
/// Without owners nobody owns what the preview has.
pub(crate) fn foresee(
    project: &Project,
    naming: &Naming,
    owners: &[Owner],
    loaded: &mut Loaded,
) -> Result<Foreseen, Failure> {
    let recipes = prepare::recipes(project, naming, &loaded.app)?;
    loaded.join(recipes.findings);
    let preview = config::preview(project, owners, &loaded.app, &recipes.images);
    loaded.join(preview.findings.clone());
    Ok(Foreseen { recipes: recipes.images, preview })
}

/// Runs `deploy` or `build`.
pub(crate) async fn execute(
    order: &Order<'_>,
    environment: &Environment,
    printer: Printer,
) -> Result<Summary, Failure> {
    let start = Instant::now();
    let run = Run::new(order, environment, printer)?;
    run.project.refuse_links()?;
    Early::ask(&run, order);
    let mut loaded = load::load_or_ask(&run.project, order, environment)?;
    let Foreseen { recipes, preview } =
        foresee(&run.project, &run.naming(), &run.owners(), &mut loaded)?;
    loaded.require_parameters();
    loaded.check(printer)?;
    let output = output::folder(&run, order)?;

    let target = target::choose(&run, order, &recipes).await?;
    let mut externals = sync::find(&run, &loaded, &target, order)?;
    let places = config::prepare(&run, order, &target, &preview).await?;
    let output = output.as_deref();
    own_folders::check_code(&run, &own_folders::written(&run, &target, &places, output), &recipes)?;
    if let Some(folder) = output {
        own_folders::check_output(&run, &places, folder)?;
    }
    loaded.tell(runnable::findings(&run, &loaded.app, &recipes), printer);
    if order.publishes() {
        externals.preflight(&run, target.registry.as_ref()).await?;
    }
    if order.build.plan.dry_run {
        let externals = &externals.images;
        let stage = plan::Stage { target: &target, externals, places: &places };
        let plan = plan::make(&run, order, &loaded, &recipes, &stage).await?;
        return Ok(Summary::planned(&run, order, &loaded, &plan, start));
    }

    let _alone = prepare::alone(&run).await?;
    prepare::tidy(&run, &recipes)?;
    let mut sources = bases::resolve(&run, &recipes).await?;
    if order.publishes() {
        run.record_application();
    }
    run.lock.write()?;
    fleet::prepare(&run, &target, &recipes, &mut sources).await?;
    prepare::inputs(&run, &target, &recipes, &sources).await?;
    let mut made = bases::build(&run, &target, &recipes, sources).await?;
    fleet::place(&run, &target, &recipes, &made.bases).await?;
    images::functions(&run, &target, &recipes, &mut made).await?;
    history::note(&run, &target, &made)?;
    run.lock.write()?;
    images::hand_over(&run, &target, &mut made).await?;
    if order.publishes() {
        externals.copy(&run).await?;
    }
    let externals = externals.images;
    images::verify(&run, &target, &made).await?;
    let pulled = pull::ahead(&run, order, &target, &made, &externals, &places).await?;
    let written =
        config::publish(&run, order, &loaded, &target, &made, &externals, &places).await?;
    if let Some(folder) = output
        && !esb_config::is_same_folder(folder, &run.project.generated())
    {
        output::write(&run, folder, &recipes)?;
    }
    record::write(&run, &target, &made)?;
    Early::remember(&run, &target, &made)?;
    let replaced = workers::replace(&run, order, &places, &written).await?;
    images::list_in_store(&run, &made)?;
    let outcome = Outcome {
        target: &target,
        made: &made.images,
        externals: &externals,
        written: &written,
        replaced: &replaced,
        pulled: &pulled,
        places: &places,
    };
    let summary = Summary::done(&run, &loaded, &outcome, start);
    let built = made.images.iter().any(MadeImage::was_built);
    let store = run.store.root().to_owned();
    drop((run, made));
    if built {
        // Nobody of this process holds the store any more.
        esb_oci::ContentStore::open(store)?.collect_daily(STORE_LIMIT)?;
    }
    Ok(summary)
}
