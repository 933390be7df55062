//! Sets up access to registries: credentials, certificates, proxies, mirrors.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use esb_deploy::{Error, Kind};
use esb_model::PublishTarget;
use esb_oci::ContentStore;
use esb_registry::{Client, CredentialFiles, RegistrySettings};

use crate::{cli::AccessArgs, environment::Environment};

/// The most bytes of a file of certificates.
const CA_LIMIT: u64 = 16 * 1024 * 1024;

/// A client of all registries; `internal` are those of the platform, and `store` keeps the
/// documents of images.
pub(crate) fn client<'a>(
    args: &AccessArgs,
    environment: &Environment,
    internal: impl IntoIterator<Item = &'a PublishTarget>,
    store: &ContentStore,
) -> Result<Client, Error> {
    let internal: Vec<&PublishTarget> = internal.into_iter().collect();
    let store = Some(store.clone());
    let settings = settings(args, environment, &internal)?.with_store(store);
    Ok(Client::new(settings)?)
}

fn settings(
    args: &AccessArgs,
    environment: &Environment,
    internal: &[&PublishTarget],
) -> Result<RegistrySettings, Error> {
    let mirrors = environment.branded("MIRRORS").into_iter().flat_map(|list| list.split(','));
    let mirrors = args.mirror.iter().map(String::as_str).chain(mirrors);
    let mirrors = mirrors.map(str::trim).filter(|mirror| !mirror.is_empty());
    let mirrors = esb_registry::Mirrors::parse(mirrors)
        .map_err(|error| Error::of(Kind::Usage, "mirror", &error))?;
    let mut insecure: BTreeSet<String> = args.registry_insecure.iter().cloned().collect();
    let allowed = internal.iter().filter(|target| target.insecure);
    insecure.extend(allowed.map(|target| target.push_host().to_owned()));
    let ca_file =
        args.ca_file.clone().or_else(|| environment.get("SSL_CERT_FILE").map(PathBuf::from));
    let mut extra_roots = Vec::new();
    if let Some(path) = ca_file {
        extra_roots.push(esb_oci::read_given(&path, CA_LIMIT).map_err(|error| {
            let text = format!("could not read the certificates in `{}`", path.display());
            Error::of(Kind::Input, "ca-file", &error).during(text)
        })?);
    }
    let either = |upper: &str, lower: &str| {
        environment.get(lower).or_else(|| environment.get(upper)).map(str::to_owned)
    };
    let no_proxy = either("NO_PROXY", "no_proxy").unwrap_or_default();
    Ok(RegistrySettings::default()
        .with_insecure(insecure)
        .with_plain_credentials(args.insecure_credentials.iter().cloned().collect())
        .with_direct(internal.iter().map(|target| target.push_host().to_owned()).collect())
        .with_extra_roots(extra_roots)
        .with_certificate_folders(certificate_folders(environment))
        .with_proxy(esb_registry::ProxySettings {
            http: either("HTTP_PROXY", "http_proxy"),
            https: either("HTTPS_PROXY", "https_proxy"),
            no_proxy: no_proxy
                .split(',')
                .map(|host| host.trim().to_owned())
                .filter(|host| !host.is_empty())
                .collect(),
        })
        .with_credentials(docker_credentials(environment))
        .with_mirrors(mirrors)
        .with_offline(args.offline))
}

/// Reads the credentials that `docker login` and `podman login` saved for this user.
pub(crate) fn docker_credentials(environment: &Environment) -> Arc<dyn esb_oci::CredentialSource> {
    let home = environment.home();
    let docker = environment.docker_config();
    let config = match environment.get("XDG_CONFIG_HOME") {
        Some(dir) => Some(PathBuf::from(dir)),
        None => home.map(|home| home.join(".config")),
    };
    let runtime = environment.get("XDG_RUNTIME_DIR").map(PathBuf::from);
    let podman = |dir: PathBuf| dir.join("containers/auth.json");
    let paths = [
        docker.map(|dir| dir.join("config.json")),
        environment.get("REGISTRY_AUTH_FILE").map(PathBuf::from),
        runtime.map(podman),
        config.map(podman),
    ];
    Arc::new(CredentialFiles::load(paths.iter().flatten().map(PathBuf::as_path)))
}

/// Folders with a folder for each registry that has certificates of its own, Docker's and those of
/// podman and skopeo; the first that has one for a registry counts.
fn certificate_folders(environment: &Environment) -> Vec<PathBuf> {
    let home = environment.home();
    let own = |path: &str| home.as_ref().map(|home| home.join(path));
    let folders = [
        own(".docker/certs.d"),
        Some("/etc/docker/certs.d".into()),
        own(".config/containers/certs.d"),
        Some("/etc/containers/certs.d".into()),
    ];
    folders.into_iter().flatten().collect()
}
