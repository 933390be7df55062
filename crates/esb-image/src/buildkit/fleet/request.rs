//! Makes the solve request of one build: its exporter, and the names of its bases.
//!
//! Owns the attributes of the `dockerfile.v0` frontend and of exporters. Sends nothing.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, Exporter, SolveRequest};

use super::{DOCKERFILE, Inner};
use crate::{
    Base, BuildRequest,
    buildkit::{
        session::{Session, SharedTree},
        solve::folder,
    },
    daemon::{job::Job, session_name},
    image::assemble,
};

/// Would make a daemon fetch another reader of Dockerfiles.
const SYNTAX: &str = "BUILDKIT_SYNTAX";

impl Inner {
    pub(super) fn solve_request(
        &self,
        request: BuildRequest<'_>,
        job: &Job,
        session: &Session,
        shown: &(SharedTree, SharedTree),
        exporter: Exporter,
    ) -> SolveRequest {
        let mut attributes = HashMap::from([
            ("filename".to_owned(), DOCKERFILE.to_owned()),
            ("dockerfilekey".to_owned(), shown.1.name().to_owned()),
            ("platform".to_owned(), job.platform.clone()),
            ("build-arg:SOURCE_DATE_EPOCH".to_owned(), job.epoch.to_string()),
        ]);
        let own = job.own.as_ref();
        if let Some(target) = own.and_then(|own| own.target.as_ref()) {
            attributes.insert("target".to_owned(), target.clone());
        }
        if request.no_cache {
            attributes.insert("no-cache".to_owned(), String::new());
        }
        let given = own.into_iter().flat_map(|own| &own.args);
        let given = given.map(|(name, value)| (name, value.reveal()));
        for (name, value) in self.settings.arguments.iter().chain(given) {
            if name != SYNTAX {
                attributes.insert(format!("build-arg:{name}"), value.clone());
            }
        }
        for (name, value) in &job.labels {
            attributes.insert(format!("label:{name}"), value.clone());
        }
        for base in job.bases.values().filter(|base| base.pullable.is_none()) {
            let (name, digest) = (name_in_session(base), base.image.descriptor.digest);
            attributes.insert(format!("context:{name}"), format!("oci-layout://{name}@{digest}"));
        }
        SolveRequest {
            r#ref: session_name(),
            session: session.id.clone(),
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attributes,
            frontend_inputs: [("context".to_owned(), folder(shown.0.name(), &session.id))].into(),
            // Daemons before 0.13 read these.
            exporter_deprecated: exporter.r#type.clone(),
            exporter_attrs_deprecated: exporter.attrs.clone(),
            exporters: vec![exporter],
            // Daemons read it unseen, and end when it is not there.
            cache: Some(CacheOptions::default()),
            ..SolveRequest::default()
        }
    }

    /// The exporter that pushes by digest; tags come when the digest was looked at.
    pub(super) fn pushing(&self, request: BuildRequest<'_>, job: &Job) -> Exporter {
        let mut attrs = attributes(job);
        let recipe = request.recipe;
        if let Some(target) = &self.settings.target {
            let image = target.image(&recipe.repository, &recipe.tag);
            self.config.credentials.allow(target.push_host());
            let host = self.settings.registry.as_ref().unwrap_or(&image.push_host);
            attrs.insert("name".to_owned(), format!("{host}/{}", image.repository));
        }
        let mut annotations =
            assemble::annotations_of(job.rewrite.last_base().and_then(|name| job.bases.get(name)));
        job.names.mark(&mut annotations, job.parts.key());
        attrs.extend(
            annotations.into_iter().map(|(key, value)| (format!("annotation.{key}"), value)),
        );
        let yes = |name: &str| (name.to_owned(), "true".to_owned());
        attrs.extend(["push", "push-by-digest", "rewrite-timestamp"].map(yes));
        if self.settings.plain {
            attrs.extend([yes("registry.insecure")]);
        }
        Exporter { r#type: "image".to_owned(), attrs }
    }

    /// The name by which this machine knows a registry that a daemon names.
    pub(super) fn registry_in(&self, job: &Job, said: &str) -> Option<String> {
        let own = self.settings.target.as_ref().map(|target| target.push_host().to_owned());
        let of_base = |base: &Base| Some(base.pullable.as_ref()?.split_once('/')?.0.to_owned());
        let known = own.into_iter().chain(job.bases.values().filter_map(of_base));
        let place = |ours: &String| {
            let theirs = match &self.config.renamed {
                Some((theirs, renamed)) if renamed == ours => theirs,
                _ => ours,
            };
            said.find(&format!("{theirs}/"))
        };
        known.filter_map(|ours| Some((place(&ours)?, ours))).min().map(|(_, ours)| ours)
    }

    /// Names that daemons resolve, each to this very image and no other: of a registry, else of the
    /// session.
    pub(super) fn base_names(&self, job: &Job) -> BTreeMap<String, String> {
        let named = |(name, base): (&String, &Base)| {
            let Some(pullable) = &base.pullable else {
                self.config.contents.offer(&base.image);
                return (name.clone(), name_in_session(base));
            };
            let digest = base.image.descriptor.digest;
            let (host, rest) = pullable.split_once('/').unwrap_or(("", pullable));
            self.config.credentials.allow(host);
            let repository = rest.split('@').next().unwrap_or(rest);
            let repository = repository.rsplit_once(':').map_or(repository, |(name, _)| name);
            let host = match &self.config.renamed {
                Some((theirs, ours)) if host == ours => theirs,
                _ => host,
            };
            (name.clone(), format!("{host}/{repository}@{digest}"))
        };
        job.bases.iter().map(named).collect()
    }
}

/// The line of a step by its name; a daemon counts otherwise where it reads bases through the session.
pub(super) fn line_of(job: &Job, step: &str) -> Option<u64> {
    let steps = &job.rewrite.steps;
    let in_session = job.bases.values().all(|base| base.pullable.is_none());
    if in_session { steps.line_by_session(step) } else { steps.line(step) }
}

/// The Dockerfile's name for a base that a daemon reads through the session.
fn name_in_session(base: &Base) -> String {
    format!("base-{}", base.image.descriptor.digest.hex())
}

/// The attributes that every exporter gets. Times of files in an exported image are set here, where
/// its base's layers are known and stay as they are.
pub(super) fn attributes(job: &Job) -> HashMap<String, String> {
    let attributes = [
        ("compression", "gzip".to_owned()),
        ("oci-mediatypes", "true".to_owned()),
        ("source-date-epoch", job.epoch.to_string()),
    ];
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}
