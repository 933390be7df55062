//! oci-client behind our trait.
//!
//! Owns what oci-client does well: the body of a blob on its way up and the manifest of a tag. What
//! it cannot do as one request, or not without hiding the answer, is done by [`DirectRegistry`]:
//! it asks for a manifest with GET where HEAD fails, reads manifests of any size and drops their
//! media types, asks for a blob with the scope of pulling, leaves a cut download to its caller,
//! and leaves the upload open that a registry offers instead of a mount. So is the repetition of a
//! request that oci-client saw refused, because it keeps neither the status nor `Retry-After`. It
//! never authenticates by itself: it would ask `GET /v2/` before each request. It gets our tokens.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use esb_oci::{BoxFuture, Digest};
use futures_util::TryStreamExt as _;
use oci_client::{
    Client, Reference, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    secrets::RegistryAuth,
    token_cache::{RegistryToken, RegistryTokenType},
};
use reqwest::header::HeaderValue;

use crate::{
    Access, Action, Attempted, Error, Registry, Repository, Upload, UploadSession,
    auth::Authorization,
    direct::{DirectRegistry, about_blob, about_manifest},
    http::{USER_AGENT, source_failed},
    settings::contact,
    stream::{Cut, Sending},
};

/// Speaks to registries through oci-client where that serves, and directly where it does not.
#[derive(Clone)]
pub struct OciClientRegistry {
    direct: DirectRegistry,
    /// One client for each registry: its scheme is a setting of the whole client.
    clients: Arc<Mutex<HashMap<String, Client>>>,
}

impl std::fmt::Debug for OciClientRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OciClientRegistry").field("direct", &self.direct).finish_non_exhaustive()
    }
}

impl OciClientRegistry {
    /// Wraps what replaces the requests that oci-client is not made for.
    pub fn new(direct: DirectRegistry) -> Self {
        Self { direct, clients: Arc::default() }
    }

    fn client(&self, registry: &str) -> Result<Client, Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(registry) {
            return Ok(client.clone());
        }
        let client = Client::try_from(self.config(registry)).map_err(|source| Error::Settings {
            reason: "oci-client does not take them",
            source: Some(source.into()),
        })?;
        clients.insert(registry.to_owned(), client.clone());
        Ok(client)
    }

    fn config(&self, registry: &str) -> ClientConfig {
        let settings = self.direct.settings();
        let plain = settings.is_plain(registry);
        let roots = settings.extra_roots.iter().flat_map(|pem| certificates(pem));
        // Without any proxy the environment's would be used: one that is used for nothing prevents it.
        let proxies = settings.proxy.http.is_some() || settings.proxy.https.is_some();
        let nowhere = || Some("http://127.0.0.1:9".to_owned());
        ClientConfig {
            protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
            use_monolithic_push: true,
            extra_root_certificates: roots.collect(),
            platform_resolver: None,
            connect_timeout: Some(settings.timeouts.connect),
            user_agent: USER_AGENT,
            https_proxy: settings.proxy.https.clone().or_else(|| nowhere().filter(|_| !proxies)),
            http_proxy: settings.proxy.http.clone(),
            no_proxy: Some(if proxies { settings.direct_hosts() } else { "*".to_owned() }),
            ..ClientConfig::default()
        }
    }

    /// A client and a reference of its own, ready for one request that will not be preceded by
    /// another. `None` where oci-client cannot serve.
    async fn ready(
        &self,
        at: &Repository,
        target: Target<'_>,
        access: Access,
        attempted: &Attempted,
    ) -> Option<(Client, Reference)> {
        let client = self.client(&at.registry).ok()?;
        let (registry, repository) = (contact(&at.registry).to_owned(), at.repository.clone());
        let reference = match target {
            Target::Tag(tag) => Reference::with_tag(registry, repository, tag.to_owned()),
            Target::Digest(digest) => {
                Reference::with_digest(registry, repository, digest.to_string())
            }
        };
        let token = match self.direct.authorization(at, access, attempted).await.ok()? {
            Some(Authorization::Basic { username, password }) => {
                RegistryTokenType::Basic(username, password.reveal().clone())
            }
            Some(Authorization::Bearer(token)) => {
                RegistryTokenType::Bearer(RegistryToken::Token { token: token.reveal().clone() })
            }
            // Without stored authentication it sends the request at once.
            None => return Some((client, reference)),
        };
        let operation = match access {
            Access::Pull => RegistryOperation::Pull,
            Access::Push => RegistryOperation::Push,
        };
        client.store_auth_if_needed(reference.resolve_registry(), &RegistryAuth::Anonymous).await;
        client.tokens.insert(&reference, operation, token).await;
        Some((client, reference))
    }
}

/// What a reference points at.
enum Target<'a> {
    Tag(&'a str),
    Digest(Digest),
}

/// The certificates of a PEM bundle, one each: oci-client reads the first of each text.
fn certificates(pem: &[u8]) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    String::from_utf8_lossy(pem)
        .split_inclusive(END)
        .filter(|text| text.ends_with(END))
        .map(|text| Certificate {
            encoding: CertificateEncoding::Pem,
            data: text.as_bytes().to_vec(),
        })
        .collect()
}

impl Registry for OciClientRegistry {
    fn direct(&self) -> &DirectRegistry {
        &self.direct
    }

    /// Through oci-client for a tag. Directly for a digest, where it panics at a registry that
    /// sends no `Location`.
    fn manifest_put<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        media_type: &'a str,
        bytes: &'a Bytes,
    ) -> BoxFuture<'a, Result<Option<Digest>, Error>> {
        Box::pin(async move {
            let attempted = about_manifest(at, target, Action::WriteManifest, Access::Push);
            let tag = (!target.contains(':')).then_some(Target::Tag(target));
            if let (Some(tag), Ok(kind)) = (tag, HeaderValue::from_str(media_type))
                && let Some((client, reference)) =
                    self.ready(at, tag, Access::Push, &attempted).await
            {
                let put = client.push_manifest_raw(&reference, bytes.clone(), kind);
                let limit = self.direct.settings().timeouts.answer;
                if let Ok(Ok(_)) = tokio::time::timeout(limit, put).await {
                    return Ok(None);
                }
            }
            self.direct.manifest_put(at, target, media_type, bytes).await
        })
    }

    /// Through oci-client. Directly where an upload is open already, and for a blob without bytes,
    /// which oci-client refuses.
    fn blob_push<'a>(
        &'a self,
        to: &'a Repository,
        upload: Upload<'a>,
        session: Option<UploadSession>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let descriptor = &upload.blob.descriptor;
            let attempted = about_blob(to, descriptor.digest, Action::UploadBlob, Access::Push);
            let target = Target::Digest(descriptor.digest);
            if session.is_none()
                && descriptor.size > 0
                && let Some((client, reference)) =
                    self.ready(to, target, Access::Push, &attempted).await
            {
                let opened = Sending::open(&upload).await;
                let (body, sending) =
                    opened.map_err(|source| source_failed(source, &attempted).error)?;
                let body =
                    body.map_err(|Cut| OciDistributionError::GenericError(Some(Cut.to_string())));
                let digest = descriptor.digest.to_string();
                let size = Some(descriptor.size);
                let push = client.push_blob_stream(&reference, body, &digest, size);
                let pushed = sending.watch(self.direct.settings().timeouts, push).await;
                if let Some(source) = sending.failure() {
                    return Err(source_failed(source, &attempted).error);
                }
                if let Ok(Ok(_)) = pushed {
                    return Ok(());
                }
            }
            self.direct.blob_push(to, upload, session).await
        })
    }
}
