//! In docker mode, checks before publishing that the platform's engine can reach newly named
//! images, and lets it pull them, so that the first call need not wait.
//!
//! Owns which images are new to the published configuration, and what a person can do where the
//! engine has another name for the registry. Nothing is published when it cannot pull.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, Instant},
};

use esb_image::docker::DockerEngine;
use esb_model::{Activity, ActivityGuard, PublishTarget};
use esb_oci::{Digest, Reference};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Remedy,
    apply::config::{self, Places},
    deployment::Deployment,
    error::{Error, Kind},
    options::{Mode, Pull},
    revision::Revision,
};

/// Pulls at a time.
const PULLS: usize = 4;

/// The images that the engine pulled.
#[derive(Debug, Default)]
pub struct Pulled {
    /// As functions.yml names them.
    pub images: Vec<String>,
    /// How long it took.
    pub time: Duration,
}

/// An image that functions.yml will name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    reference: String,
    platform: String,
    digest: Option<Digest>,
    /// Whether the name leads to that very digest, and not to an index that holds it.
    is_exact: bool,
}

/// Asks the engine for what is new, and lets it pull that.
pub(crate) async fn ahead(
    run: &Deployment,
    registry: Option<&PublishTarget>,
    revision: &Revision,
    places: &Places,
) -> Result<Pulled, Error> {
    let nothing = Pulled::default();
    let (Some(registry), Some(gateway)) = (registry, &places.found.gateway) else {
        return Ok(nothing);
    };
    let pull = run.options.site.pull;
    if !run.options.publish || run.mode().await? == Mode::Containerd {
        return Ok(nothing);
    }
    let new = new_names(revision, places).await?;
    let engine = run.engine().await?;
    let request = EngineRequest {
        engine,
        registry,
        default: &run.options.registry.default,
        gateway: &gateway.name,
    };
    // One of each registry first: where it is out of reach, so are the others.
    let mut hosts = BTreeSet::new();
    let (first, rest): (Vec<&Named>, Vec<&Named>) =
        new.iter().partition(|named| hosts.insert(host(&named.reference)));
    for named in first {
        request.finds(named).await?;
    }
    let found = stream::iter(rest).map(|named| request.finds(named)).buffered(run.jobs());
    found.try_collect::<Vec<()>>().await?;
    if pull == Pull::Off {
        return Ok(nothing);
    }
    let start = Instant::now();
    let pulls = stream::iter(&new).map(|named| async {
        let subject = &*named.reference;
        let activity = ActivityGuard::start(&*run.reporter, subject, Activity::Pull);
        let pulled = engine.pull(subject, &named.platform).await;
        pulled.map_err(|error| request.failure(named, &error.to_string()))?;
        activity.finish("by the engine");
        Ok::<_, Error>(named.reference.clone())
    });
    let images = pulls.buffered(PULLS).try_collect().await?;
    Ok(Pulled { images, time: start.elapsed() })
}

/// Lists images that the published functions.yml does not name with the same content.
async fn new_names(revision: &Revision, places: &Places) -> Result<BTreeSet<Named>, Error> {
    let published = config::current(places).await?;
    let digests = &published.state.digests;
    let known: BTreeSet<(String, Option<String>)> = published
        .config
        .functions
        .functions
        .iter()
        .filter_map(|(name, entry)| {
            Some((entry.image.as_ref()?.resolve(|_| None), digests.get(name).cloned()))
        })
        .collect();
    let own = revision.images.iter().map(|image| Named {
        reference: image.reference.clone(),
        platform: image.platform.clone(),
        digest: Some(image.digest),
        is_exact: true,
    });
    let copied = revision.external_images.iter().map(|external| Named {
        reference: external.reference.clone(),
        platform: external.platform.clone(),
        digest: external.digest,
        is_exact: false,
    });
    let is_new = |named: &Named| {
        let digest = named.digest.map(|digest| digest.to_string());
        digest.is_none() || !known.contains(&(named.reference.clone(), digest))
    };
    Ok(own.chain(copied).filter(is_new).collect())
}

fn host(reference: &str) -> String {
    let reference: Option<Reference> = reference.parse().ok();
    reference.map_or_else(String::new, |reference| reference.registry().to_owned())
}

/// An engine, and the texts for errors of its pulls.
struct EngineRequest<'a> {
    engine: &'a DockerEngine,
    registry: &'a PublishTarget,
    /// The registry of docker mode.
    default: &'a PublishTarget,
    gateway: &'a str,
}

impl EngineRequest<'_> {
    async fn finds(&self, named: &Named) -> Result<(), Error> {
        let found = self.engine.distribution(&named.reference).await;
        let found = found.map_err(|error| self.failure(named, &error.to_string()))?;
        match (found, named.digest) {
            (None, _) => Err(self.failure(named, "it is not there for the engine")),
            (Some(found), Some(digest)) if named.is_exact && found != digest => {
                let reason = format!("the engine finds {found} there, not {digest}");
                Err(self.failure(named, &reason))
            }
            (Some(_), _) => Ok(()),
        }
    }

    fn failure(&self, named: &Named, reason: &str) -> Error {
        let text = format!(
            "the engine that runs the Gateway `{}` cannot pull `{}`; nothing was published",
            self.gateway, named.reference
        );
        let mut failure = Error::new(Kind::Remote, "engine-pull", text);
        failure.causes.push(reason.to_owned());
        failure.hint(remedy(&host(&named.reference), self.registry, self.default, reason))
    }
}

/// Says how an engine can reach the registry under `name`.
fn remedy(name: &str, registry: &PublishTarget, default: &PublishTarget, reason: &str) -> Remedy {
    let denied = ["unauthorized", "denied", "no basic auth", "authentication required"];
    if denied.iter().any(|word| reason.contains(word)) {
        return format!("run `docker login {name}`").into();
    }
    let push = registry.push_host();
    let bare = |host: &str| host.rsplit_once(':').map_or(host, |(bare, _)| bare).to_owned();
    let address: Option<IpAddr> = match bare(push).trim_matches(['[', ']']) {
        "localhost" => Some([127, 0, 0, 1].into()),
        other => other.parse().ok(),
    };
    let mut ways = Vec::new();
    if bare(name).parse::<IpAddr>().is_err() {
        let address = address.map_or_else(|| "ADDRESS".to_owned(), |address| address.to_string());
        let line = format!("{address} {}", bare(name));
        ways.push(format!("add the line `{line}` to /etc/hosts of the engine's machine"));
    }
    let is_loopback = esb_registry::is_loopback;
    if !is_loopback(name) {
        ways.push(format!(
            "where the engine asks a registry of plain HTTP for TLS, add `\"insecure-registries\": \
             [\"{name}\"]` to its daemon.json"
        ));
    }
    let reached = if is_loopback(push) { push } else { default.push_host() };
    let is_other = reached != name && is_loopback(reached);
    Remedy::LetEngineReach { ways, registry: is_other.then(|| reached.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_follows_from_the_names() {
        let check = |name: &str, push: &str, reason: &str, expected: &[&str], absent: &[&str]| {
            let registry = PublishTarget::parse(name, Some(push)).unwrap();
            let default = PublishTarget::parse("127.0.0.1:5010", None).unwrap();
            let said = match remedy(name, &registry, &default, reason) {
                Remedy::LetEngineReach { ways, registry } => {
                    ways.into_iter().chain(registry).collect::<Vec<_>>().join("; or ")
                }
                Remedy::Advice(advice) => advice,
                other => format!("{other:?}"),
            };
            for part in expected {
                assert!(said.contains(part), "{part}: {said}");
            }
            for part in absent {
                assert!(!said.contains(part), "{part}: {said}");
            }
        };
        let unknown = "lookup registry: no such host";
        let hosts = "`127.0.0.1 registry` to /etc/hosts";
        let own = "; or 127.0.0.1:5010";
        let plain = "http: server gave HTTP response to HTTPS client";
        let entry = r#""insecure-registries": ["registry:5010"]"#;
        check("registry:5010", "127.0.0.1:5010", unknown, &[hosts, entry, own], &[]);
        let there = "`10.0.0.7 registry` to /etc/hosts";
        check("registry:5010", "10.0.0.7:5010", unknown, &[there, entry, own], &[]);
        let named = "`ADDRESS registry`";
        check("registry:5010", "hub.example:5010", unknown, &[named, entry], &["hub"]);
        check("10.0.0.7:5010", "10.0.0.7:5010", plain, &["[\"10.0.0.7:5010\"]"], &["/etc/hosts"]);
        check("r.example", "r.example", "denied", &["docker login r.example"], &["hosts"]);
    }
}
