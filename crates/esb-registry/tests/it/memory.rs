//! A registry in memory that authenticates: enough of the protocol to push, mount and pull.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use esb_oci::Digest;
use esb_test::form_pairs;

use crate::fake::{Request, Response, Server};

/// What the registry wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    Basic,
    Bearer,
}

/// How it differs from the others.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    pub(crate) wants: Wants,
    /// Whether the answer to a written manifest says where it is.
    pub(crate) location: bool,
    /// Whether it mounts, or opens an upload instead.
    pub(crate) mounts: bool,
    /// Whether HEAD and GET of a manifest tell its digest.
    pub(crate) digests: bool,
    /// Where uploads go and blobs are read: another server.
    pub(crate) elsewhere: Option<String>,
}

impl Default for Manners {
    fn default() -> Self {
        Self { wants: Wants::Nothing, location: true, mounts: true, digests: true, elsewhere: None }
    }
}

#[derive(Debug, Default)]
struct Content {
    /// Repositories of each blob.
    blobs: BTreeMap<String, (Vec<u8>, BTreeSet<String>)>,
    /// By `repository/target`.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    /// Scopes of each token.
    tokens: BTreeMap<String, Vec<String>>,
    issued: usize,
}

/// A registry whose user is `user` with password `secret`, or the identity token `refresh`.
pub(crate) struct MemoryRegistry {
    pub(crate) server: Server,
    content: Arc<Mutex<Content>>,
}

impl MemoryRegistry {
    pub(crate) fn start(manners: Manners) -> Self {
        let content = Arc::<Mutex<Content>>::default();
        let state = Arc::clone(&content);
        let server =
            Server::start(move |request| answer(&manners, &mut state.lock().unwrap(), request));
        Self { server, content }
    }

    /// Makes every token worthless.
    pub(crate) fn revoke(&self) {
        self.content.lock().unwrap().tokens.clear();
    }

    /// Puts a manifest there as it is.
    pub(crate) fn plant(&self, name: &str, media_type: &str, bytes: &[u8]) {
        let entry = (media_type.to_owned(), bytes.to_vec());
        self.content.lock().unwrap().manifests.insert(name.to_owned(), entry);
    }

    /// Puts a blob there.
    pub(crate) fn plant_blob(&self, repository: &str, bytes: &[u8]) {
        let digest = Digest::of(bytes).to_string();
        let entry = (bytes.to_vec(), BTreeSet::from([repository.to_owned()]));
        self.content.lock().unwrap().blobs.insert(digest, entry);
    }
}

fn refuse(status: u16, code: &str) -> Response {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"the fake says no"}}]}}"#);
    Response::new(status).body(body)
}

fn answer(manners: &Manners, content: &mut Content, request: &Request) -> Response {
    let host = request.header("host").unwrap().to_owned();
    if request.path() == "/token" {
        return token(content, request);
    }
    let path = request.path().strip_prefix("/v2/").unwrap_or_default().to_owned();
    let (repository, rest) = ["/manifests/", "/blobs/"]
        .iter()
        .find_map(|part| path.split_once(part).map(|(name, rest)| (name, format!("{part}{rest}"))))
        .unwrap_or((&path, String::new()));
    if let Some(refused) = check(manners, content, request, repository, &host) {
        return refused;
    }
    let target = |prefix: &str| rest.strip_prefix(prefix).map(str::to_owned);
    if let Some(target) = target("/manifests/") {
        manifest(manners, content, request, repository, &target)
    } else if rest == "/blobs/uploads/" {
        upload(manners, content, request, repository, &host)
    } else if let Some(digest) = target("/blobs/upload-here") {
        drop(digest);
        if request.method == "DELETE" {
            return Response::new(204);
        }
        let digest = request.query("digest").remove(0);
        if Digest::of(&request.body).to_string() != digest {
            return refuse(400, "DIGEST_INVALID");
        }
        let entry = content.blobs.entry(digest.clone()).or_default();
        entry.0.clone_from(&request.body);
        entry.1.insert(repository.to_owned());
        Response::new(201).with("Location", format!("/v2/{repository}/blobs/{digest}"))
    } else if let Some(digest) = target("/blobs/") {
        match (content.blobs.get(&digest), &manners.elsewhere) {
            (Some((_, holders)), _) if !holders.contains(repository) => refuse(404, "BLOB_UNKNOWN"),
            (None, _) => refuse(404, "BLOB_UNKNOWN"),
            (Some(_), Some(elsewhere)) if request.method == "GET" => {
                Response::new(307).with("Location", format!("http://{elsewhere}/{digest}"))
            }
            (Some((bytes, _)), _) => Response::new(200).body(bytes.clone()),
        }
    } else {
        Response::new(200)
    }
}

fn manifest(
    manners: &Manners,
    content: &mut Content,
    request: &Request,
    repository: &str,
    target: &str,
) -> Response {
    let name = format!("{repository}/{target}");
    if request.method == "PUT" {
        let kind = request.header("content-type").unwrap().to_owned();
        let digest = Digest::of(&request.body);
        let by_digest = format!("{repository}/{digest}");
        content.manifests.insert(by_digest, (kind.clone(), request.body.clone()));
        content.manifests.insert(name, (kind, request.body.clone()));
        let response = Response::new(201);
        if manners.location {
            return response.with("Location", format!("/v2/{repository}/manifests/{digest}"));
        }
        return response;
    }
    match content.manifests.get(&name) {
        None => refuse(404, "MANIFEST_UNKNOWN"),
        Some((kind, bytes)) => {
            let response = Response::new(200).with("Content-Type", kind.clone());
            let digest = Digest::of(bytes).to_string();
            let response = if manners.digests {
                response.with("Docker-Content-Digest", digest)
            } else {
                response
            };
            response.body(bytes.clone())
        }
    }
}

fn upload(
    manners: &Manners,
    content: &mut Content,
    request: &Request,
    repository: &str,
    host: &str,
) -> Response {
    if let (Some(digest), Some(from)) =
        (request.query("mount").first(), request.query("from").first())
        && manners.mounts
        && let Some((_, holders)) = content.blobs.get_mut(digest)
        && holders.contains(from)
    {
        holders.insert(repository.to_owned());
        return Response::new(201).with("Location", format!("/v2/{repository}/blobs/{digest}"));
    }
    let host = manners.elsewhere.as_deref().unwrap_or(host);
    let place = format!("http://{host}/v2/{repository}/blobs/upload-here?state=1");
    Response::new(202).with("Location", place)
}

/// The refusal of a request that is not allowed.
fn check(
    manners: &Manners,
    content: &Content,
    request: &Request,
    repository: &str,
    host: &str,
) -> Option<Response> {
    let authorization = request.header("authorization").unwrap_or_default();
    match manners.wants {
        Wants::Nothing => None,
        // base64 of `user:secret`
        Wants::Basic if authorization == "Basic dXNlcjpzZWNyZXQ=" => None,
        Wants::Basic => {
            Some(refuse(401, "UNAUTHORIZED").with("WWW-Authenticate", r#"Basic realm="fake""#))
        }
        Wants::Bearer => {
            let action =
                if matches!(&*request.method, "GET" | "HEAD") { "pull" } else { "pull,push" };
            let mut needed = vec![(repository.to_owned(), action)];
            needed.extend(request.query("from").into_iter().map(|from| (from, "pull")));
            let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
            let scopes = content.tokens.get(token).map(Vec::as_slice).unwrap_or_default();
            let fits = |(repository, action): &(String, &str)| {
                let scope = format!("repository:{repository}:{action}");
                scopes.iter().any(|own| own.starts_with(&scope))
            };
            if needed.iter().all(fits) {
                return None;
            }
            let challenge = format!(r#"Bearer realm="http://{host}/token",service="fake""#);
            Some(refuse(401, "UNAUTHORIZED").with("WWW-Authenticate", challenge))
        }
    }
}

fn token(content: &mut Content, request: &Request) -> Response {
    let form = form_pairs(std::str::from_utf8(&request.body).unwrap());
    let field = |name: &str| {
        form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (allowed, scopes) = if request.method == "POST" {
        let allowed = field("grant_type") == "refresh_token" && field("refresh_token") == "refresh";
        (allowed, field("scope").split(' ').map(str::to_owned).collect())
    } else {
        let allowed = request.header("authorization") == Some("Basic dXNlcjpzZWNyZXQ=");
        (allowed, request.query("scope"))
    };
    if !allowed {
        return refuse(401, "UNAUTHORIZED");
    }
    content.issued += 1;
    let text = format!("token-{}", content.issued);
    content.tokens.insert(text.clone(), scopes);
    Response::new(200).body(format!(r#"{{"token":"{text}","expires_in":300}}"#))
}
