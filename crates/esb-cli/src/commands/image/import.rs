//! `esb image import`: copies the external images that a deploy would copy.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use esb_config::{ImageImportFile, ImportEntry};
use esb_deploy::{
    Error, Kind, default_jobs,
    error::{none_synced, not_synced},
    read_given_text,
};
use esb_image::{Engine as _, docker::DockerEngine};
use esb_model::{Architecture, Platform, PublishTarget, UnsupportedVersion};
use esb_oci::{ContentStore, ImageConfig, Reference};
use esb_registry::{
    Client, CopyScope, Journal, PlannedImage, PushReport, PushSession, SyncItem, SyncPlan,
    SyncStep, SyncedImage,
};

use crate::{
    access,
    cli::{GlobalArgs, ImportArgs},
    connections::{self, open_store},
    documents::{ErrorFields, ImportDocument, ImportedImage},
    environment::Environment,
    exit_code::CliError,
    inputs, interruption,
    printer::Printer,
    reporter::{TerminalReporter, bytes},
    tables,
};

/// The functions that an image is for, by image.
type Wanted = BTreeMap<SyncItem, Vec<ImportEntry>>;

pub(crate) async fn run(
    args: &ImportArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    interruption::leaves("images that were copied stay, and the next run skips them");
    let file = read(&args.file)?;
    let (wanted, registry) = wanted(&file, args, environment)?;
    let brand = inputs::brand(global, environment.settings().text("brand"))?;
    let store = open_store(environment, &brand, printer)?;
    let client = access::client(&args.access, environment, &registry, &store)?;
    let journal = Journal::new(store.clone());
    let jobs = args.jobs.unwrap_or_else(default_jobs).max(1);

    let mut plan = client.plan_sync(wanted.keys().cloned().collect(), jobs, &journal).await;
    let engine_only = EngineOnlyImages::find(&mut plan, &wanted, environment, &store).await?;
    if !args.keep_going || args.dry_run {
        let broken = plan.broken().map(|(item, error)| not_synced(name(&wanted, item), error));
        if let Some(failure) = none_synced(broken.collect(), wanted.len()) {
            return Err(failure.into());
        }
    }
    if args.dry_run {
        let mut rows: Vec<_> =
            plan.images.iter().filter_map(|image| planned(&wanted, image)).collect();
        let engine_only = engine_only.iter().flat_map(|engine_only| &engine_only.images);
        rows.extend(
            engine_only
                .map(|(item, _)| Row { action: "sync", ..Row::new(&wanted, item, item.expected) }),
        );
        print(printer, &rows, true, &[]);
        return Ok(());
    }
    let session = PushSession::with_journal(journal);
    let reporter = TerminalReporter::new(printer);
    let events = Arc::clone(&reporter) as Arc<dyn esb_model::Reporter>;
    let synced = client.sync(plan, jobs, args.keep_going, &session, &events).await;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for SyncedImage { item, report, time } in &synced.images {
        match report {
            Some(Ok(report)) => rows.push(Row::synced(&wanted, item, report, *time)),
            Some(Err(error)) => failures.push(not_synced(name(&wanted, item), error)),
            None => {}
        }
    }
    if let Some(engine_only) = engine_only
        && (failures.is_empty() || args.keep_going)
    {
        for (item, id) in &engine_only.images {
            let start = Instant::now();
            match engine_only.push(&client, item, id, &session, &events).await {
                Ok(report) => rows.push(Row::synced(&wanted, item, &report, start.elapsed())),
                Err(failure) => {
                    let text = format!("could not sync `{}`", name(&wanted, item));
                    failures.push(failure.during(text));
                }
            }
        }
    }
    if let Err(error) = client.confirm_accepted(&session).await {
        failures.push(error.into());
    }
    let total = wanted.len();
    if failures.is_empty() || args.keep_going {
        print(printer, &rows, false, &failures);
    }
    let done = rows.len();
    match Error::all(failures, |count| {
        format!("{count} of {total} images could not be synced, {done} could")
    }) {
        None => Ok(()),
        // The document on stdout has it already.
        Some(error) if args.keep_going => Err(CliError::told(error)),
        Some(error) => Err(error.into()),
    }
}

/// Images that the container engine has and no registry.
struct EngineOnlyImages {
    engine: DockerEngine,
    /// Each with the engine's id of it.
    images: Vec<(SyncItem, String)>,
}

impl EngineOnlyImages {
    /// Takes them out of a plan; the engine is asked for what no registry has.
    async fn find(
        plan: &mut SyncPlan,
        wanted: &Wanted,
        environment: &Environment,
        store: &ContentStore,
    ) -> Result<Option<Self>, Error> {
        if !plan.broken().any(|(_, error)| error.is_absence()) {
            return Ok(None);
        }
        let Ok(engine) = connections::engine(environment, store).await else {
            return Ok(None);
        };
        let mut images = Vec::new();
        for image in std::mem::take(&mut plan.images) {
            let absent = image.step.as_ref().is_err_and(esb_registry::Error::is_absence);
            let found =
                if absent { engine.find(name(wanted, &image.item)).await } else { Ok(None) };
            match found {
                Ok(Some(id)) => images.push((image.item, id)),
                _ => plan.images.push(image),
            }
        }
        Ok(Some(Self { engine, images }))
    }

    /// Exports an image as one stream and pushes it, when it is the expected one.
    async fn push(
        &self,
        client: &Client,
        item: &SyncItem,
        id: &str,
        session: &PushSession,
        events: &Arc<dyn esb_model::Reporter>,
    ) -> Result<PushReport, Error> {
        let image = self.engine.export(id).await?;
        let actual = image.digest();
        if let Some(expected) = item.expected
            && expected != actual
        {
            let subject = format!("{} in the container engine", item.source);
            let error = esb_registry::Error::DigestMismatch { subject, expected, actual };
            return Err(Error::from(error));
        }
        let config = ImageConfig::parse(image.config_bytes.as_deref().unwrap_or_default())
            .map_err(|error| Error::of(Kind::Remote, "image", &error))?;
        check_platform(item, config.architecture())?;
        let pushed = client.push(&image, &item.target, &[], session, events).await;
        pushed.map_err(Error::from)
    }
}

/// Whether the engine's image is for the platform that is asked for; an engine has one image for a
/// name, whatever its platform.
fn check_platform(item: &SyncItem, architecture: &str) -> Result<(), esb_registry::Error> {
    match item.scope {
        CopyScope::Platform(platform) if platform.architecture.oci_name() != architecture => {
            Err(esb_registry::Error::Platform {
                reference: format!("{} in the container engine", item.source),
                platform: platform.to_string(),
                available: format!("linux/{architecture}"),
            })
        }
        _ => Ok(()),
    }
}

/// An image as the template names it.
fn name<'a>(wanted: &'a Wanted, item: &SyncItem) -> &'a str {
    wanted.get(item).and_then(|entries| entries.first()).map_or("", |entry| &entry.image_source)
}

fn read(path: &Path) -> Result<ImageImportFile, Error> {
    let failed = |cause: String| {
        let text = format!("could not read `{}` as an image-import.json", path.display());
        let mut failure = Error::new(Kind::Input, "import-file", text);
        failure.causes.push(cause);
        failure.hint("name the file that a deploy wrote: .<brand>/<env>/config/image-import.json")
    };
    let text = read_given_text(path).map_err(failed)?;
    ImageImportFile::parse(&text).map_err(|error| match error.downcast::<UnsupportedVersion>() {
        Ok(version) => Error::of_version(path, *version),
        Err(error) => failed(error.to_string()),
    })
}

/// The images of a file, each once, and the registries that they go to.
fn wanted(
    file: &ImageImportFile,
    args: &ImportArgs,
    environment: &Environment,
) -> Result<(Wanted, Vec<PublishTarget>), Error> {
    let platform = args.platform.as_ref().map(|text| inputs::parse_platform(text)).transpose()?;
    let push = args.push_registry.as_deref().or_else(|| environment.get("HOST_REGISTRY_ADDR"));
    let push = push.or(Some(&*file.push_target).filter(|push| !push.is_empty()));
    let (mut wanted, mut registries) = (Wanted::new(), BTreeMap::new());
    for entry in &file.images {
        let invalid = |error: &(dyn std::error::Error + 'static)| {
            Error::of(Kind::Input, "import-file", error)
                .during(format!("the entry of `{}` cannot be used", entry.function_name))
        };
        let mut source: Reference = entry.image_source.parse().map_err(|error| invalid(&error))?;
        let runtime: Reference = entry.image_ref.parse().map_err(|error| invalid(&error))?;
        let mut registry =
            PublishTarget::parse(runtime.registry(), push).map_err(|error| invalid(&error))?;
        registry.insecure = environment.is_true("CONTAINER_REGISTRY_INSECURE");
        let (scope, expected) = match (&entry.digest, platform) {
            _ if args.all_platforms => (CopyScope::Whole, None),
            (_, Some(platform)) => (CopyScope::Platform(platform), None),
            (None, None) => (CopyScope::Platform(own_platform()), None),
            (Some(digest), None) => {
                let digest = digest.parse().map_err(|error| invalid(&error))?;
                // What the deploy meant, wherever the tag has gone since.
                source = source.pinned(digest);
                (CopyScope::Whole, Some(digest))
            }
        };
        let target = runtime.moved_to(registry.push_host(), None);
        registries.insert(registry.push_host().to_owned(), registry);
        let item = SyncItem { source, target, scope, expected };
        wanted.entry(item).or_default().push(entry.clone());
    }
    Ok((wanted, registries.into_values().collect()))
}

/// The platform of this machine, as `docker pull` takes it.
fn own_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => Architecture::Arm64,
        _ => Architecture::X86_64,
    };
    Platform { architecture }
}

/// A line of the result.
struct Row {
    functions: Vec<String>,
    source: String,
    reference: String,
    /// None where it is known once the image is made.
    digest: Option<String>,
    short: String,
    action: &'static str,
    bytes: u64,
    time: Duration,
}

impl Row {
    fn new(wanted: &Wanted, item: &SyncItem, digest: Option<esb_oci::Digest>) -> Self {
        let entries = wanted.get(item).map(Vec::as_slice).unwrap_or_default();
        let first = entries.first();
        Self {
            functions: entries.iter().map(|entry| entry.function_name.clone()).collect(),
            source: name(wanted, item).to_owned(),
            reference: first.map(|entry| entry.image_ref.clone()).unwrap_or_default(),
            digest: digest.map(|digest| digest.to_string()),
            short: digest.map_or_else(|| "unknown".to_owned(), |digest| digest.short()),
            action: "skipped",
            bytes: 0,
            time: Duration::ZERO,
        }
    }

    fn synced(wanted: &Wanted, item: &SyncItem, report: &PushReport, time: Duration) -> Self {
        let (action, bytes) = (report.sync_action(), report.uploaded_bytes);
        Self { action, bytes, time, ..Self::new(wanted, item, report.digest) }
    }

    fn fields(&self) -> ImportedImage {
        ImportedImage {
            functions: self.functions.clone(),
            source: self.source.clone(),
            reference: self.reference.clone(),
            digest: self.digest.clone(),
            action: self.action,
            bytes: self.bytes,
            seconds: self.time.as_secs_f64(),
        }
    }
}

fn planned(wanted: &Wanted, image: &PlannedImage) -> Option<Row> {
    let step = image.step.as_ref().ok()?;
    let row = Row::new(wanted, &image.item, Some(step.digest()));
    Some(match step {
        SyncStep::Present { .. } => row,
        SyncStep::Copy(copy) => Row { action: "sync", bytes: copy.bytes, ..row },
    })
}

fn print(printer: Printer, rows: &[Row], dry_run: bool, failures: &[Error]) {
    if printer.json {
        printer.document(&ImportDocument {
            dry_run,
            images: rows.iter().map(Row::fields).collect(),
            errors: failures.iter().map(ErrorFields::from).collect(),
        });
        return;
    }
    let size = if dry_run { "size" } else { "sent" };
    let head = ["image", "from", "digest", size, "action"];
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let (reference, source) = (row.reference.clone(), row.source.clone());
            vec![reference, source, row.short.clone(), bytes(row.bytes), row.action.to_owned()]
        })
        .collect();
    tables::print(printer, &head, &cells);
    if dry_run {
        printer.out("dry run: nothing was copied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_the_engine_has_to_be_for_the_platform() {
        let reference: Reference = "registry.test/a:1".parse().unwrap();
        let item = |scope| SyncItem {
            source: reference.clone(),
            target: reference.clone(),
            scope,
            expected: None,
        };
        let arm = item(CopyScope::Platform(Platform { architecture: Architecture::Arm64 }));
        assert!(check_platform(&arm, "arm64").is_ok());
        let error = check_platform(&arm, "amd64").unwrap_err().to_string();
        assert!(error.contains("has no image for linux/arm64; it has linux/amd64"), "{error}");
        assert!(check_platform(&item(CopyScope::Whole), "amd64").is_ok());
    }
}
