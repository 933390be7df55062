//! The place where a Gateway reads its configuration: a folder of this machine, or a folder inside
//! a container that is reached through the engine.
//!
//! Finds that place, checks it before the build, reads it and writes to it. The merge decides what
//! is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use esb_config::{ConfigFile, Lock, Merged, Publication, PublishedConfig, Reader, mode_for};
use esb_image::docker::{ContainerInfo, DockerEngine, FileInside, MountedFolder, Replacement};
use esb_oci::Folder;

use crate::{
    Remedy,
    apply::config,
    deployment::Deployment,
    error::{Error, Kind},
};

/// Where a Gateway reads (docs/contracts/platform.md#configuration-files).
pub(crate) const GATEWAY_FOLDER: &str = "/app/runtime-config";
/// Labels that compose gives to containers.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

/// A place that configuration is delivered to.
#[derive(Debug)]
pub enum ConfigPlace {
    /// A folder of this machine.
    Folder(Folder),
    /// A folder inside a container.
    Container(Box<ContainerFolder>),
}

/// A folder inside a container.
#[derive(Debug)]
pub struct ContainerFolder {
    engine: DockerEngine,
    container: ContainerInfo,
    /// Keeps other runs of this user away; others' locks cannot be seen from here.
    lock: Folder,
    /// Names our own containers.
    label: String,
}

/// The place that a run delivers to, and the project's Gateway.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Where it reads; none where nothing is delivered.
    pub place: Option<ConfigPlace>,
    /// The project's Gateway.
    pub gateway: Option<ContainerInfo>,
    /// Compose projects with a Gateway that runs, where this one has none and no place was named.
    pub elsewhere: Vec<String>,
}

/// Finds the place: as the user says, else that of the project's Gateway.
pub(crate) async fn find(run: &Deployment) -> Result<Delivery, Error> {
    let given = run.options.site.config_to.as_deref();
    let mut found = Delivery { gateway: gateway(run).await?, ..Delivery::default() };
    match given {
        Some("none") => return Ok(found),
        Some(text) => match text.strip_prefix("container:") {
            Some(name) => {
                let container = run.engine().await?.container(name).await?;
                let container = container.ok_or_else(|| {
                    let text = format!("the engine has no container `{name}`");
                    Error::new(Kind::Input, "config-to", text)
                })?;
                found.place = Some(mounted(run, &container).await?);
            }
            None => {
                found.place =
                    Some(ConfigPlace::Folder(run.project.configuration_at(Path::new(text))));
            }
        },
        None => match &found.gateway {
            Some(container) => found.place = Some(mounted(run, container).await?),
            None => found.elsewhere = elsewhere(run).await?,
        },
    }
    Ok(found)
}

/// Reads the configuration of every Gateway in the engine, of any compose project.
pub async fn all_gateways_read(run: &Deployment) -> Result<Vec<PublishedConfig>, Error> {
    let Ok(engine) = run.engine().await else { return Ok(Vec::new()) };
    let labels = [(SERVICE.to_owned(), "gateway".to_owned())];
    let mut all = Vec::new();
    for container in engine.containers(&labels).await? {
        if let Some(mount) = container.mounts.iter().find(|mount| mount.target == GATEWAY_FOLDER) {
            all.extend(place_of(run, engine, &container, mount).read().await?);
        }
    }
    Ok(all)
}

/// The compose projects whose Gateway runs and reads a configuration.
async fn elsewhere(run: &Deployment) -> Result<Vec<String>, Error> {
    let Ok(engine) = run.engine().await else { return Ok(Vec::new()) };
    let labels = [(SERVICE.to_owned(), "gateway".to_owned())];
    let all = engine.containers(&labels).await?;
    let reads = |container: &ContainerInfo| {
        container.running && container.mounts.iter().any(|mount| mount.target == GATEWAY_FOLDER)
    };
    let gateways = all.into_iter().filter(reads);
    let projects = gateways.filter_map(|container| container.labels.get(PROJECT).cloned());
    Ok(projects.collect::<BTreeSet<_>>().into_iter().collect())
}

/// The Gateway of the compose project, when an engine answers and has one; one that runs wins.
async fn gateway(run: &Deployment) -> Result<Option<ContainerInfo>, Error> {
    let Ok(engine) = run.engine().await else { return Ok(None) };
    let labels = [
        (PROJECT.to_owned(), run.compose_project.clone()),
        (SERVICE.to_owned(), "gateway".to_owned()),
    ];
    let mut found = engine.containers(&labels).await?;
    found.sort_by_key(|container| !container.running);
    Ok(found.into_iter().next())
}

/// Finds what is mounted at the Gateway's folder in a container.
async fn mounted(run: &Deployment, container: &ContainerInfo) -> Result<ConfigPlace, Error> {
    let name = &container.name;
    let mount = container.mounts.iter().find(|mount| mount.target == GATEWAY_FOLDER);
    let mount = mount.ok_or_else(|| {
        let text = format!("container `{name}` has nothing mounted at {GATEWAY_FOLDER}");
        Error::new(Kind::Input, "config-to", text).hint(Remedy::NameDelivery)
    })?;
    let place = place_of(run, run.engine().await?, container, mount);
    if matches!(place, ConfigPlace::Container(_)) && !mount.writable {
        let text = format!("container `{name}` may only read what is mounted at {GATEWAY_FOLDER}");
        return Err(Error::new(Kind::Local, "config-to", text).hint(Remedy::MountWritable));
    }
    Ok(place)
}

fn place_of(
    run: &Deployment,
    engine: &DockerEngine,
    container: &ContainerInfo,
    mount: &MountedFolder,
) -> ConfigPlace {
    // A bind mount of an engine elsewhere is a folder of that machine.
    if let Some(folder) = &mount.bind
        && engine.address().is_local()
        && folder.is_dir()
    {
        return ConfigPlace::Folder(run.project.configuration_at(folder));
    }
    let volume = mount.volume.as_deref().unwrap_or(&container.id);
    ConfigPlace::Container(Box::new(ContainerFolder {
        engine: engine.clone(),
        container: container.clone(),
        lock: run.connections.store.folder().join("delivery").join(volume),
        label: run.project.brand.label("kind"),
    }))
}

impl ConfigPlace {
    /// The name for messages.
    pub(crate) fn name(&self, run: &Deployment) -> String {
        match self {
            Self::Folder(folder) => run.short(&folder.path()),
            Self::Container(inside) => format!("container:{}", inside.container.name),
        }
    }

    /// Checks, before any work, that the place can be written to.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => esb_config::check_writable(folder).map_err(not_delivered),
            Self::Container(_) => Ok(()), // its mount was looked at
        }
    }

    /// Reads what is published there; `None` when nothing ever was.
    pub(crate) async fn read(&self) -> Result<Option<PublishedConfig>, Error> {
        match self {
            Self::Folder(folder) if folder.kind(ConfigFile::Functions.name())?.is_none() => {
                Ok(None)
            }
            Self::Folder(folder) => Ok(esb_config::read(folder).map(Some)?),
            Self::Container(inside) => {
                let files = inside.files().await?;
                if files.contains_key(&ConfigFile::Functions) {
                    inside.parse(&files).map(Some)
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// Keeps other runs away. None where staging itself is the place: its lock does that already.
    pub(crate) fn lock(&self, run: &Deployment, staging: &Lock) -> Result<Option<Lock>, Error> {
        let folder = match self {
            Self::Folder(folder) if staging.is_of(&folder.path()) => return Ok(None),
            Self::Folder(folder) => folder,
            Self::Container(inside) => &inside.lock,
        };
        config::lock_folder(run, folder).map(Some)
    }

    /// Publishes under the place's own lock.
    pub(crate) async fn publish(
        &self,
        lock: &Lock,
        merged: &Merged,
        reader: Option<Reader>,
    ) -> Result<Publication, Error> {
        match self {
            Self::Folder(_) => esb_config::publish_for(lock, merged, reader).map_err(not_delivered),
            Self::Container(inside) => inside.publish(merged, reader).await,
        }
    }
}

/// The error of a folder that a delivery cannot write to; another one can be named.
fn not_delivered(error: esb_config::Error) -> Error {
    let mut failure = Error::from(error);
    if let Some(Remedy::Config { remedy: esb_config::Remedy::MakeWritable { folder }, .. }) =
        failure.hint
    {
        failure.hint = Some(Remedy::MakeDeliveryWritable { folder });
    }
    failure
}

/// A user's or group's number, as archives of an engine have it.
fn numbered(id: u64) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

impl ContainerFolder {
    /// The container.
    pub(crate) fn container(&self) -> &ContainerInfo {
        &self.container
    }

    async fn files(&self) -> Result<BTreeMap<ConfigFile, FileInside>, Error> {
        let mut files = BTreeMap::new();
        for file in ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]) {
            let found = self.engine.file_inside(&self.container.id, GATEWAY_FOLDER, file.name());
            if let Some(found) = found.await? {
                files.insert(file, found);
            }
        }
        Ok(files)
    }

    fn parse(&self, files: &BTreeMap<ConfigFile, FileInside>) -> Result<PublishedConfig, Error> {
        let folder = format!("{}:{GATEWAY_FOLDER}", self.container.name);
        let published = PublishedConfig::parse(|file| {
            let Some(found) = files.get(&file) else { return Ok(None) };
            let path = Path::new(&folder).join(file.name());
            match std::str::from_utf8(&found.content) {
                Ok(text) => Ok(Some((path, text.to_owned()))),
                Err(error) => Err(esb_config::Error::Parse { path, source: error.into() }),
            }
        });
        Ok(published?)
    }

    /// Publishes the files: writes all under temporary names, then renames each, in the order of
    /// the merge's steps.
    async fn publish(&self, merged: &Merged, reader: Option<Reader>) -> Result<Publication, Error> {
        let files = self.files().await?;
        let steps = merged.steps(|file| files.get(&file).map(|found| found.content.clone()));
        let mut publication = Publication::default();
        if !steps.is_empty() {
            let owner = self.engine.owner_inside(&self.container.id, GATEWAY_FOLDER).await?;
            let now = SystemTime::now();
            let mut times: BTreeMap<ConfigFile, u64> =
                files.iter().map(|(file, found)| (*file, found.mtime)).collect();
            let mut replacements = Vec::new();
            for step in &steps {
                let previous =
                    times.get(&step.file).map(|time| UNIX_EPOCH + Duration::from_secs(*time));
                let next = esb_config::next_mtime(previous, now);
                let mtime = next.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
                times.insert(step.file, mtime);
                let known = files.get(&step.file).map(|found| found.owner);
                let file = FileInside {
                    name: step.file.name().to_owned(),
                    content: step.text.clone().into_bytes(),
                    mtime,
                    owner: known.or(owner).unwrap_or((0, 0)),
                };
                let is_secret = merged.has_secrets() && step.file == ConfigFile::Functions;
                let mode = match reader.filter(|_| is_secret) {
                    Some(reader) => {
                        let (user, group) = file.owner;
                        mode_for(reader, numbered(user), Some(numbered(group)))
                    }
                    None => esb_config::READABLE,
                };
                replacements.push(Replacement { file, mode });
                if !publication.written.contains(&step.file) {
                    publication.written.push(step.file);
                }
            }
            self.replace(&replacements).await?;
        }
        publication.unchanged =
            files.into_keys().filter(|file| !publication.written.contains(file)).collect();
        Ok(publication)
    }

    /// In a container that runs; beside one that is stopped.
    async fn replace(&self, files: &[Replacement]) -> Result<(), Error> {
        let engine = &self.engine;
        if self.container.running {
            return Ok(engine.replace_inside(&self.container.id, GATEWAY_FOLDER, files).await?);
        }
        let helper = engine.helper_container(&self.container, &self.label).await?;
        let replaced = engine.replace_inside(helper.id(), GATEWAY_FOLDER, files).await;
        helper.end().await?;
        Ok(replaced?)
    }
}
