//! Merges the runtime configuration with what is published, and publishes it.

use std::path::PathBuf;

use esb_config::{ConfigFile, Lock, Merged, Publication, PublishedConfig, Rendered};
use esb_oci::Folder;

use crate::{
    Remedy,
    apply::{
        compose, delivered,
        delivery::{self, ConfigPlace, Delivery},
        own_folders, readers,
    },
    deployment::Deployment,
    error::{Error, Kind},
    image_names::Target,
    last_target::LastTarget,
    revision::Revision,
};

/// Locks a folder for publishing, once other runs have released it; the lock is released when the
/// result is dropped.
///
/// # Errors
/// When they do not release it in time.
pub fn lock_folder(run: &Deployment, folder: &Folder) -> Result<Lock, Error> {
    let limit = run.options.lock_wait.unwrap_or(Lock::DEFAULT_LIMIT);
    Ok(Lock::acquire_telling(folder, limit, |wait| run.note(&wait.to_string()))?)
}

/// The places that the configuration is published to: staging, and where a Gateway reads.
#[derive(Debug)]
pub struct Places {
    /// Merged configuration of this project and environment.
    pub staging: Folder,
    /// Where a Gateway reads.
    pub found: Delivery,
}

/// The files that were written, and what they changed.
#[derive(Debug)]
pub struct Written {
    /// The generated files, in order.
    pub generated: Vec<PathBuf>,
    pub staging: Option<PathBuf>,
    /// The Gateway's place, as messages name it.
    pub delivered: Option<String>,
    pub changed: Vec<ConfigFile>,
    pub changes: Vec<esb_config::Change>,
    /// What is published now; none when the run does not publish.
    pub merged: Option<Merged>,
    /// Functions whose `max_capacity` changed, which a Gateway takes when it starts.
    pub capacities: Vec<String>,
}

/// Finds the places of the published configuration, for commands that only read or repair it.
///
/// # Errors
/// When a place cannot be used, or the list of folders that were delivered to cannot be read.
pub async fn places(run: &Deployment) -> Result<Places, Error> {
    let staging = staging(run);
    delivered::check(&staging)?;
    Ok(Places { staging, found: delivery::find(run).await? })
}

impl Places {
    /// The name of the place that counts, for messages.
    pub fn name(&self, run: &Deployment) -> String {
        match &self.found.place {
            Some(place) => place.name(run),
            None => run.short(&self.staging.path()),
        }
    }
}

/// Publishes into all places; staging's lock is held.
pub async fn publish_merged(
    run: &Deployment,
    places: &Places,
    lock: &Lock,
    merged: &Merged,
) -> Result<(), Error> {
    let reader = readers::of_place(run, &places.found);
    esb_config::publish_for(lock, merged, readers::of_staging(&places.found, reader))?;
    if let Some(place) = &places.found.place
        && let Some(lock) = place.lock(run, lock)?
    {
        place.publish(&lock, merged, reader).await?;
    }
    Ok(())
}

/// Finds the places, and everything that would forbid to write there.
pub(crate) async fn prepare(
    run: &Deployment,
    target: &Target,
    preview: &Rendered,
) -> Result<Places, Error> {
    if !run.options.publish {
        return Ok(Places { staging: staging(run), found: Delivery::default() });
    }
    let places = places(run).await?;
    refuse_local(run, target, &places.found)?;
    refuse_unset(run, &places.found)?;
    esb_config::check_writable(&places.staging)?;
    if let Some(place) = &places.found.place {
        place.check()?;
        own_folders::check_place(run, target, place)?;
    }
    let published = current(&places).await?;
    esb_config::merge(&published, preview, &run.run_owners())?;
    Ok(places)
}

fn staging(run: &Deployment) -> Folder {
    run.project.folder_at(&run.project.staging(&run.compose_project))
}

/// A Gateway that runs would hand out names that its Agent cannot pull.
fn refuse_local(run: &Deployment, target: &Target, found: &Delivery) -> Result<(), Error> {
    let allowed = run.options.site.allow_local;
    let running = found.gateway.as_ref().filter(|gateway| gateway.running && !allowed);
    let (Some(gateway), Some(reason)) = (running, target.unreachable()) else { return Ok(()) };
    let text = format!("the Gateway `{}` runs, and {reason}", gateway.name);
    Err(Error::new(Kind::Input, "local-names", text).hint(Remedy::PushWhereAgentPulls))
}

/// A Gateway would leave the placeholder of a secret that it does not have as it is.
fn refuse_unset(run: &Deployment, found: &Delivery) -> Result<(), Error> {
    let Some(gateway) = &found.gateway else { return Ok(()) };
    let has = |name: &str| gateway.environment.names().any(|own| own == name);
    let absent = run.project.secret_env.iter().filter(|(_, variable)| !has(variable));
    let failures = absent.map(|(function, variable)| {
        let text = format!(
            "the Gateway `{}` has no variable `{variable}`, from which it is to fill in \
             `{function}.{variable}`",
            gateway.name
        );
        let up = compose::command(run, Some(gateway), "up -d gateway");
        Error::new(Kind::Input, "secret-env", text).hint(format!(
            "add it to the `environment` of the service `gateway` in the compose file, then: {up}"
        ))
    });
    let summary = |count| format!("{count} variables that the Gateway is to fill in are not there");
    Error::all(failures.collect(), summary).map_or(Ok(()), Err)
}

/// Functions that were published with another `max_capacity`, of their own or by default.
fn changed_capacities(before: &PublishedConfig, after: &Merged) -> Vec<String> {
    let of = |file: &esb_config::FunctionsFile, name: &str| {
        let own = file.functions.get(name)?.scaling.max_capacity;
        Some(own.or(file.defaults.scaling.max_capacity))
    };
    let (old, new) = (&before.config.functions, &after.config.functions);
    let differs = |name: &&String| of(old, name).is_some_and(|was| of(new, name) != Some(was));
    new.functions.keys().filter(differs).cloned().collect()
}

/// Writes the generated configuration and publishes it, when the run publishes.
pub(crate) async fn publish(
    run: &Deployment,
    revision: &Revision,
    places: &Places,
) -> Result<Written, Error> {
    let rendered = revision.rendered();
    let generated = run.project.generated().join("config");
    let reader = readers::of_place(run, &places.found);
    let is_narrow = reader.is_some() && !rendered.state.secrets.is_empty();
    let mode = if is_narrow { esb_config::OF_OWNER } else { esb_config::READABLE };
    let mut publication =
        esb_config::write_generated(run.project.folder_at(&generated), &rendered.config, mode)?;
    let mut written = Written {
        generated: ConfigFile::GENERATED.iter().map(|file| generated.join(file.name())).collect(),
        staging: None,
        delivered: None,
        changed: Vec::new(),
        changes: Vec::new(),
        merged: None,
        capacities: Vec::new(),
    };
    if run.options.publish {
        let lock = lock_folder(run, &places.staging)?;
        let place = places.found.place.as_ref();
        let place = match place {
            Some(place) => Some((place, place.lock(run, &lock)?)),
            None => None,
        };
        let published = current(places).await?;
        let mut owners = revision.run_owners(run.options.site.adopt);
        owners.former = LastTarget::owners(run);
        let merged = esb_config::merge(&published, &rendered, &owners)
            .map_err(|error| merge_failure(error, run.project.brand.slug()))?;
        run.learned.publication.begin();
        publication =
            esb_config::publish_for(&lock, &merged, readers::of_staging(&places.found, reader))?;
        if let Some((place, lock)) = &place {
            if let Some(lock) = lock {
                publication = place.publish(lock, &merged, reader).await?;
                if let ConfigPlace::Folder(folder) = place {
                    delivered::remember(&places.staging, &folder.path())?;
                }
            }
            written.delivered = Some(place.name(run));
        }
        run.learned.publication.end();
        if merged.keeps_secrets() && readers::is_open(places, reader)? {
            run.warn(
                "every user of the machine can read the secret values in functions.yml (mode \
                 0644): it is not known that the Gateway could read it otherwise",
            );
        }
        written.staging = Some(places.staging.path());
        written.capacities = changed_capacities(&published, &merged);
        written.changes.clone_from(&merged.changes);
        written.merged = Some(merged);
    }
    let Publication { written: changed, .. } = publication;
    written.changed = changed;
    Ok(written)
}

/// Reads the configuration that a Gateway reads, else the one in staging.
///
/// # Errors
/// When it cannot be read, or staging, which gets the same, is of another release.
pub async fn current(places: &Places) -> Result<PublishedConfig, Error> {
    if let Some(place) = &places.found.place
        && let Some(published) = place.read().await?
    {
        esb_config::check_versions(&places.staging)?;
        return Ok(published);
    }
    Ok(esb_config::read(&places.staging)?)
}

/// The error of a merge, with the program in the commands that the hint names.
pub(crate) fn merge_failure(error: esb_config::Error, program: &str) -> Error {
    let mut failure = Error::from(error);
    if let Some(Remedy::Config { program: own, .. }) = &mut failure.hint {
        *own = Some(program.to_owned());
    }
    failure
}
