//! What a registry holds, and how an image leaves it (OCI distribution specification, "Content
//! Discovery" and "Content Management").

use esb_oci::{DOCUMENT_LIMIT, Digest};
use reqwest::{Method, header::LINK};
use serde::Deserialize;

use super::{Call, DirectRegistry, about_manifest};
use crate::{
    Access, Action, Attempted, Error, Repository,
    http::{Request, answer},
    registry::name,
    response::read,
};

/// Names in one answer; a registry may give fewer.
const PAGE: usize = 1000;
/// The most answers to one question.
const PAGES: usize = 10_000;

/// One page of names.
#[derive(Debug, Deserialize)]
struct Names {
    #[serde(alias = "repositories")]
    tags: Option<Vec<String>>,
}

impl DirectRegistry {
    /// The names of all repositories. Not every registry tells them.
    pub(crate) async fn repositories(&self, registry: &str) -> Result<Vec<String>, Error> {
        let attempted = Attempted {
            action: Action::ListRepositories,
            access: Access::Pull,
            registry: registry.to_owned(),
            subject: registry.to_owned(),
        };
        self.names("_catalog", "registry:catalog:*", attempted).await
    }

    /// The tags of a repository; none for one that is not there.
    pub(crate) async fn tags(&self, at: &Repository) -> Result<Vec<String>, Error> {
        let attempted = Attempted {
            action: Action::ListTags,
            access: Access::Pull,
            registry: at.registry.clone(),
            subject: name(at),
        };
        let path = format!("{}/tags/list", at.repository);
        let scope = format!("repository:{}:pull", at.repository);
        match self.names(&path, &scope, attempted).await {
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            names => names,
        }
    }

    /// Removes a manifest and all tags that lead to it; one that is gone is no failure.
    pub(crate) async fn manifest_delete(
        &self,
        at: &Repository,
        digest: Digest,
    ) -> Result<(), Error> {
        let target = digest.to_string();
        let attempted = about_manifest(at, &target, Action::DeleteManifest, Access::Push);
        let url = self.url(&attempted, &format!("{}/manifests/{target}", at.repository))?;
        let scopes = vec![format!("repository:{}:pull,push,delete", at.repository)];
        let call = Call::new(attempted, scopes, Request::new(Method::DELETE, url));
        let response = self.send(&call).await?;
        match response.status().as_u16() {
            200 | 202 | 204 | 404 => Ok(()),
            _ => Err(self.refuse(response, &call.attempted).await),
        }
    }

    async fn names(
        &self,
        path: &str,
        scope: &str,
        attempted: Attempted,
    ) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = Vec::new();
        let limit = usize::try_from(DOCUMENT_LIMIT).unwrap_or(usize::MAX);
        for _ in 0..PAGES {
            let mut url = self.url(&attempted, path)?;
            url.query_pairs_mut().append_pair("n", &PAGE.to_string());
            if let Some(last) = names.last() {
                url.query_pairs_mut().append_pair("last", last);
            }
            let request = Request::new(Method::GET, url);
            let call = Call::new(attempted.clone(), vec![scope.to_owned()], request);
            let response = self.send(&call).await?;
            if response.status().as_u16() != 200 {
                return Err(self.refuse(response, &call.attempted).await);
            }
            let goes_on = response.headers().contains_key(LINK);
            let stall = self.settings().timeouts.stall;
            let bytes = read(response.response, limit, stall, &call.attempted)
                .await
                .map_err(|failure| failure.error)?;
            let page: Names = serde_json::from_slice(&bytes)
                .map_err(|_| answer(&attempted, "it is no list of names"))?;
            let page = page.tags.unwrap_or_default();
            // A registry that begins anew would never end.
            let is_new = page.last().is_some_and(|last| names.last() != Some(last));
            names.extend(page);
            if !goes_on || !is_new {
                return Ok(names);
            }
        }
        Err(answer(&attempted, "the list of names has no end"))
    }
}
