//! A connection to an engine, and the requests that need no stream.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    sync::Arc,
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, BollardRequest, Docker,
    errors::Error as DockerApiError,
    models::ImageInspect,
    query_parameters::{
        ListImagesOptionsBuilder, RemoveImageOptions, RemoveImageOptionsBuilder,
        TagImageOptionsBuilder,
    },
};
use esb_oci::{
    Anonymous, ArchiveImage, BoxFuture, ContentStore, CredentialSource, Digest, Image, Redactor,
};
use tokio_util::sync::DropGuard;

use super::{EngineAddress, container, session, transfer, transport::Transport};
use crate::{
    Container, Engine, EngineImage, EngineInfo, Error, RunSpec,
    daemon::{archive, chain, credentials::DaemonCredentials, pipe::read_blocking, printable},
};

/// The oldest API that has all that we use: engine 20.10.
const OLDEST: (usize, usize) = (1, 41);
/// An engine that is there answers a ping at once.
const PING: Duration = Duration::from_secs(5);
/// The longest time until a short request is answered.
const SHORT: Duration = Duration::from_mins(1);
/// The longest time until a request that transfers, builds or stops something begins to answer.
pub(super) const LONG: Duration = Duration::from_hours(1);

/// A connection to a Docker engine that has answered. Cheap to clone.
#[derive(Clone)]
pub struct DockerEngine {
    inner: Arc<Inner>,
    credentials: Arc<DaemonCredentials>,
    store: Option<ContentStore>,
}

struct Inner {
    transport: Transport,
    docker: Docker,
    info: EngineInfo,
    containerd_store: bool,
    maps_users: bool,
}

impl fmt::Debug for DockerEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DockerEngine({})", self.inner.info.description)
    }
}

impl DockerEngine {
    /// Connects to the engine at `address`, within seconds.
    ///
    /// # Errors
    /// [`Error::NoEngine`] when none answers, [`Error::Engine`] when it is older than API 1.41.
    pub async fn connect(address: &EngineAddress) -> Result<Self, Error> {
        let no_engine = |source: Box<dyn std::error::Error + Send + Sync>| Error::NoEngine {
            address: address.to_string(),
            source,
        };
        let transport = Transport::new(address.clone()).map_err(|error| no_engine(error.into()))?;
        let docker = client(transport.clone(), SHORT).map_err(|error| no_engine(error.into()))?;
        let ping = docker.clone().with_timeout(PING);
        match tokio::time::timeout(PING, ping.ping()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(no_engine(error.into())),
            Err(_) => return Err(no_engine(io::Error::from(io::ErrorKind::TimedOut).into())),
        }
        let failed = |action| api_error(action, &address.to_string());
        let docker = docker.negotiate_version().await.map_err(failed("tell the version of"))?;
        let api = docker.client_version();
        if (api.major_version, api.minor_version) < OLDEST {
            let reason = format!("its API is {api}, and 1.41 (engine 20.10) is needed");
            return Err(Error::Engine { action: "serve", subject: address.to_string(), reason });
        }
        let version = docker.version().await.map_err(failed("tell the version of"))?;
        let system = docker.info().await.map_err(failed("describe"))?;
        let info = EngineInfo {
            description: format!("Docker {} ({address})", version.version.unwrap_or_default()),
            architecture: version.arch.unwrap_or_default(),
        };
        // Its images have the ids of manifests, and it wants every layer of what is loaded.
        let containerd_store = system
            .driver_status
            .iter()
            .flatten()
            .flatten()
            .any(|word| word.starts_with("io.containerd.snapshotter"));
        let options = system.security_options.iter().flatten();
        let maps_users = options
            .flat_map(|option| option.split(','))
            .any(|word| matches!(word, "name=rootless" | "name=userns"));
        let inner = Inner { transport, docker, info, containerd_store, maps_users };
        Ok(Self {
            inner: Arc::new(inner),
            credentials: Arc::new(DaemonCredentials::new(Arc::new(Anonymous))),
            store: None,
        })
    }

    /// Sets the credentials for images that the engine pulls.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Arc<dyn CredentialSource>) -> Self {
        self.credentials = Arc::new(DaemonCredentials::new(credentials));
        self
    }

    /// Sets the store that images are exported into.
    #[must_use]
    pub fn with_store(mut self, store: ContentStore) -> Self {
        self.store = Some(store);
        self
    }

    /// Where the engine listens.
    pub fn address(&self) -> &EngineAddress {
        self.inner.transport.address()
    }

    /// Gives an image another name, `[HOST/]NAME:TAG`.
    ///
    /// # Errors
    /// When the engine has no such image, or the name is none.
    pub async fn tag(&self, reference: &str, name: &str) -> Result<(), Error> {
        checked("tag", reference)?;
        checked("tag", name)?;
        let (repository, tag) = split_tag(name);
        if name.contains('@') {
            let reason = format!("`{name}` would be a digest, which cannot be given");
            return Err(Error::Engine { action: "tag", subject: reference.to_owned(), reason });
        }
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let tagged = self.docker().tag_image(reference, Some(options)).await;
        tagged.map_err(api_error("tag", reference))
    }

    /// Lets the engine pull `HOST/NAME:TAG` or `HOST/NAME@DIGEST` for a platform such as
    /// `linux/amd64`, with the credentials that are known for the host.
    ///
    /// # Errors
    /// When the engine cannot reach the registry, or there is no such image.
    pub async fn pull(&self, reference: &str, platform: &str) -> Result<(), Error> {
        let pulled = transfer::pull(self, reference, platform).await;
        pulled.map_err(|error| self.without_credentials(error))
    }

    /// The digest of `HOST/NAME:TAG` as the engine finds it in its registry, without a pull; `None`
    /// when it is not there.
    ///
    /// # Errors
    /// When the engine cannot reach the registry.
    pub async fn distribution(&self, reference: &str) -> Result<Option<Digest>, Error> {
        let found = transfer::distribution(self, reference).await;
        found.map_err(|error| self.without_credentials(error))
    }

    /// Takes images out of the engine into a store, in their order. Where there are several, each is
    /// named by its id, and all have the same time.
    pub(super) async fn export_all(
        &self,
        store: &ContentStore,
        wanted: Vec<archive::ExportedImage>,
    ) -> Result<Vec<Image>, Error> {
        for (reference, _) in &wanted {
            checked("export", reference)?;
        }
        let subject = match &wanted[..] {
            [(one, _)] => one.clone(),
            many => format!("{} images", many.len()),
        };
        let mut names: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let (docker, _guard) = self.long("export")?;
        let stream = docker.export_images(&names);
        let work = {
            let (store, subject) = (store.clone(), subject.clone());
            move |reader| archive::read(store, subject, wanted, reader)
        };
        let read = read_blocking(stream, work).await;
        read.map_err(|err| api_error("export", &subject)(DockerApiError::IOError { err }))?
    }

    /// The version of the API that both sides speak.
    pub(super) fn api(&self) -> (usize, usize) {
        let api = self.inner.docker.client_version();
        (api.major_version, api.minor_version)
    }

    /// Whether users inside of containers have other numbers on the engine's machine.
    pub fn maps_users(&self) -> bool {
        self.inner.maps_users
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.inner.docker
    }

    pub(super) fn credentials(&self) -> &Arc<DaemonCredentials> {
        &self.credentials
    }

    /// An error without the credentials that the engine was given.
    pub(super) fn without_credentials(&self, error: Error) -> Error {
        self.credentials.clean(error)
    }

    /// Whether images lie in containerd's store, not in the engine's own.
    pub(super) fn has_containerd_store(&self) -> bool {
        self.inner.containerd_store
    }

    /// A client for long work. All that it began ends when the guard is dropped.
    pub(super) fn long(&self, action: &'static str) -> Result<(Docker, DropGuard), Error> {
        self.long_with_transport(action).map(|(docker, _, guard)| (docker, guard))
    }

    /// As [`Self::long`], with what makes further connections that end with it.
    pub(super) fn long_with_transport(
        &self,
        action: &'static str,
    ) -> Result<(Docker, Transport, DropGuard), Error> {
        let (transport, end) = self.inner.transport.child();
        let docker = client(transport.clone(), LONG)
            .map_err(api_error(action, &self.inner.info.description))?;
        Ok((docker, transport, end.drop_guard()))
    }

    /// Reads what the engine knows about an image; `None` when it does not have it.
    pub(super) async fn inspect(&self, reference: &str) -> Result<Option<ImageInspect>, Error> {
        checked("find", reference)?;
        match self.docker().inspect_image(reference).await {
            Ok(image) => Ok(Some(image)),
            Err(DockerApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(api_error("find", reference)(error)),
        }
    }
}

impl Engine for DockerEngine {
    fn info(&self) -> &EngineInfo {
        &self.inner.info
    }

    fn load<'a>(&'a self, images: &'a [ArchiveImage]) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(transfer::load(self, images))
    }

    fn find<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Option<String>, Error>> {
        Box::pin(async move {
            Ok(self.inspect(reference).await?.map(|image| image.id.unwrap_or_default()))
        })
    }

    fn export<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Image, Error>> {
        Box::pin(async move {
            let store = self.store.as_ref().ok_or_else(|| Error::Engine {
                action: "export",
                subject: reference.escape_debug().to_string(),
                reason: "it was given no content store".to_owned(),
            })?;
            let wanted = vec![(reference.to_owned(), archive::ExportOptions::default())];
            let mut images = self.export_all(store, wanted).await?;
            Ok(images.pop().expect("each image that is wanted is given"))
        })
    }

    fn list<'a>(
        &'a self,
        labels: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Vec<EngineImage>, Error>> {
        Box::pin(async move {
            let wanted = labels.iter().map(|(key, value)| match &**value {
                "" => key.clone(),
                value => format!("{key}={value}"),
            });
            let filters = HashMap::from([("label".to_owned(), wanted.collect::<Vec<_>>())]);
            let options = ListImagesOptionsBuilder::new().filters(&filters).build();
            let listed = self.docker().list_images(Some(options)).await;
            let mut images: Vec<EngineImage> = listed
                .map_err(api_error("list", "images"))?
                .into_iter()
                .map(|image| EngineImage {
                    id: image.id,
                    names: image
                        .repo_tags
                        .into_iter()
                        .filter(|name| name != "<none>:<none>")
                        .collect(),
                    labels: image.labels.into_iter().collect(),
                    size: u64::try_from(image.size).unwrap_or(0),
                    created: image.created,
                })
                .collect();
            images.sort_by(|a, b| (&a.names, &a.id).cmp(&(&b.names, &b.id)));
            Ok(images)
        })
    }

    fn remove<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            checked("remove", reference)?;
            // An id with several names is removed with all of them; a running container keeps it.
            let by_id = reference.starts_with("sha256:");
            let options: RemoveImageOptions = RemoveImageOptionsBuilder::new().force(by_id).build();
            match self.docker().remove_image(reference, Some(options), None).await {
                Ok(_) | Err(DockerApiError::DockerResponseServerError { status_code: 404, .. }) => {
                    Ok(())
                }
                Err(error) => Err(api_error("remove", reference)(error)),
            }
        })
    }

    fn run<'a>(&'a self, spec: &'a RunSpec) -> BoxFuture<'a, Result<Box<dyn Container>, Error>> {
        Box::pin(container::run(self, spec))
    }
}

fn client(transport: Transport, timeout: Duration) -> Result<Docker, DockerApiError> {
    let base = Some("http://docker");
    let send = move |mut request: BollardRequest| {
        session::ask_for_buildkit(&mut request);
        transport.clone().send(request)
    };
    Docker::connect_with_custom_transport(send, base, timeout.as_secs(), API_DEFAULT_VERSION)
}

/// Turns a failed request into an error that says what was wanted.
pub(super) fn api_error(
    action: &'static str,
    subject: &str,
) -> impl FnOnce(DockerApiError) -> Error + use<> {
    let subject = subject.to_owned();
    move |error| {
        let reason = match error {
            DockerApiError::DockerResponseServerError { message, .. } => message,
            DockerApiError::DockerStreamError { error } => error,
            DockerApiError::RequestTimeoutError => "it did not answer in time".to_owned(),
            other => chain(&other),
        };
        let reason = Redactor::default().hide(reason.trim());
        Error::Engine { action, subject, reason: printable(reason.trim()) }
    }
}

/// Refuses what would not be one segment of a request's path.
pub(super) fn checked(action: &'static str, reference: &str) -> Result<(), Error> {
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '@');
    let plain = reference.chars().all(known) && !reference.is_empty();
    if plain && reference.split('/').all(|part| !part.is_empty() && part != "." && part != "..") {
        return Ok(());
    }
    Err(Error::Engine {
        action,
        subject: reference.escape_debug().to_string(),
        reason: "this is not the name of an image".to_owned(),
    })
}

/// Repository and tag of a name; the tag is `latest` unless it is given.
pub(super) fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_each() {
        for good in ["a", "registry:5010/a/b:c", "a@sha256:00", "sha256:00"] {
            assert!(checked("find", good).is_ok(), "{good}");
        }
        for bad in ["", "a/../b", "/a", "a?x=1", "a b", "a#b", "a%2e", "a\n"] {
            assert!(checked("find", bad).is_err(), "{bad}");
        }
        assert_eq!(split_tag("registry:5010/a"), ("registry:5010/a", "latest"));
        assert_eq!(split_tag("registry:5010/a:b"), ("registry:5010/a", "b"));
    }
}
