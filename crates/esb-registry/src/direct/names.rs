//! Lists tags and repositories, page by page (OCI distribution specification, "Content Discovery").

use std::collections::HashSet;

use esb_oci::DOCUMENT_LIMIT;
use reqwest::{Method, header::LINK};
use serde::Deserialize;

use super::{Call, DirectRegistry};
use crate::{
    Attempted, Error,
    http::{Request, answer},
    response::read,
};

/// Names in one answer; a registry may give fewer.
const PAGE: usize = 1000;
/// The most names that are read; what has more is not listed.
const NAMES: usize = 1_000_000;
/// The most answers to one question.
const PAGES: usize = 10_000;

/// One page of names.
#[derive(Debug, Deserialize)]
struct NamesPage {
    #[serde(alias = "repositories")]
    tags: Option<Vec<String>>,
}

impl DirectRegistry {
    /// Reads a list of names page by page.
    pub(super) async fn names(
        &self,
        path: &str,
        scope: &str,
        attempted: Attempted,
    ) -> Result<Vec<String>, Error> {
        let (mut names, mut seen): (Vec<String>, _) = (Vec::new(), HashSet::new());
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
            let page: NamesPage = serde_json::from_slice(&bytes)
                .map_err(|_| answer(&attempted, "it is not a list of names"))?;
            let page = page.tags.unwrap_or_default();
            // A registry that begins anew, or goes round, would never end.
            let known = seen.len();
            seen.extend(page.iter().cloned());
            names.extend(page);
            if names.len() > NAMES {
                break;
            }
            if !goes_on || seen.len() == known {
                return Ok(names);
            }
        }
        Err(answer(&attempted, "the list of names has no end"))
    }
}
