//! Registries that direct a client to another host: that host gets no credentials (CVE-2020-15157
//! and its kind). All hosts are loopback, where credentials may be sent, so that nothing but the
//! rule itself keeps them.

use std::sync::Arc;

use esb_model::Platform;
use esb_oci::{Blob, Credentials, Digest, manifest::media_type};
use esb_registry::{Access, Client, Error, ErrorKind, Repository, Upload};
use futures_util::StreamExt as _;

use crate::{
    fake::{Request, Response, Server},
    images::{Fixed, image, noise, quiet, reference, settings},
};

/// What a registry wants before it leads elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    Nothing,
    Basic,
    Token,
}

const WANTS: [Wants; 3] = [Wants::Nothing, Wants::Basic, Wants::Token];

/// Answers like a registry's guard, or `None` when a request may pass.
fn guard(request: &Request, wants: Wants) -> Option<Response> {
    let host = request.header("host").unwrap();
    if request.path() == "/token" {
        return Some(Response::new(200).body(r#"{"token":"the-token-of-the-registry"}"#));
    }
    let given = request.header("authorization").unwrap_or_default();
    let (scheme, challenge) = match wants {
        Wants::Nothing => return None,
        Wants::Basic => ("Basic ", r#"Basic realm="own""#.to_owned()),
        Wants::Token => ("Bearer ", format!(r#"Bearer realm="http://{host}/token""#)),
    };
    (!given.starts_with(scheme))
        .then(|| Response::new(401).with("WWW-Authenticate", challenge.clone()))
}

/// A host that asks whoever comes for credentials.
fn attacker(challenge: impl Fn(&str) -> String + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        if request.path() == "/token" {
            return Response::new(200).body(r#"{"token":"the-attackers"}"#);
        }
        let host = request.header("host").unwrap();
        Response::new(401)
            .with("WWW-Authenticate", challenge(host))
            .with("Content-Type", "application/json")
            .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"give it to me"}]}"#)
    })
}

/// Challenges that would make a client send what it has.
fn challenges(host: &str, kind: usize) -> String {
    match kind {
        0 => r#"Basic realm="registry""#.to_owned(),
        1 => format!(r#"Bearer realm="http://{host}/token",service="registry""#),
        _ => format!(r#"Bearer realm="http://{host}/token", Basic realm="registry""#),
    }
}

/// Everything of a request that could carry a credential.
fn text(request: &Request) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{} {} {:?} {body}", request.method, request.target, request.headers)
}

#[track_caller]
fn nothing_leaked(server: &Server, what: &str) {
    for request in server.requests() {
        let text = text(&request);
        assert!(request.header("authorization").is_none(), "{what}: {text}");
        for secret in ["secret", "dXNlcjpzZWNyZXQ", "refresh-me", "the-token-of"] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    }
}

fn client(credentials: Arc<Fixed>) -> Client {
    Client::new(settings().with_credentials(credentials)).unwrap()
}

/// Every request that a client makes to a repository.
async fn every_request(client: &Client, at: &Repository) -> Vec<Error> {
    let registry = client.registry();
    let digest = Digest::of(b"layer");
    let blob = Blob::from_bytes(media_type::OCI_LAYER_GZIP, &b"layer"[..]);
    let upload = || Upload { blob: &blob, subject: "layer", reporter: REPORTER.get_or_init(quiet) };
    let manifest = bytes::Bytes::from_static(b"{}");
    let mut errors = Vec::new();
    let mut note = |result: Result<(), Error>| errors.extend(result.err());
    note(registry.manifest_get(at, "1").await.map(drop));
    note(registry.manifest_head(at, "1", Access::Pull).await.map(drop));
    note(registry.manifest_put(at, "1", media_type::OCI_MANIFEST, &manifest).await.map(drop));
    let by_digest = Digest::of(b"{}").to_string();
    let put = registry.manifest_put(at, &by_digest, media_type::OCI_MANIFEST, &manifest);
    note(put.await.map(drop));
    note(registry.blob_head(at, digest, Access::Push).await.map(drop));
    note(registry.blob_get(at, &blob.descriptor, 0).await.map(drop));
    // As a download goes on that was cut.
    note(registry.blob_get(at, &blob.descriptor, 3).await.map(drop));
    note(registry.may_push(at).await);
    note(registry.blob_push(at, upload(), None).await);
    if let Ok(esb_registry::Mount::Opened(session)) = registry.blob_mount(at, "b", digest).await {
        note(registry.blob_push(at, upload(), Some(session)).await);
    }
    note(client.tags(at).await.map(drop));
    note(client.repositories(&at.registry).await.map(drop));
    note(client.delete(at, digest).await);
    errors
}

static REPORTER: std::sync::OnceLock<Arc<dyn esb_model::Reporter>> = std::sync::OnceLock::new();

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_a_registry_redirects_to_gets_nothing_whatever_it_asks_for() {
    for wants in WANTS {
        for (kind, status) in [(0, 307), (1, 302), (2, 308)] {
            let attacker = attacker(move |host| challenges(host, kind));
            let there = attacker.address();
            let registry = Server::start(move |request| {
                guard(request, wants).unwrap_or_else(|| {
                    let place = format!("http://{there}{}", request.target);
                    Response::new(status).with("Location", place)
                })
            });
            let client = client(Fixed::basic("secret"));
            let at = Repository { registry: registry.address(), repository: "a".into() };
            let what = format!("{wants:?} {kind} {status}");
            let errors = every_request(&client, &at).await;
            assert!(attacker.count("", "") == 0 || !errors.is_empty(), "{what}");
            assert!(attacker.requests().len() >= 10, "{what}");
            nothing_leaked(&attacker, &what);
            assert_eq!(attacker.count("GET", "/token"), 0, "{what}");
            // What it asked for did not change what the registry gets.
            for request in registry.requests() {
                let given = request.header("authorization").unwrap_or_default();
                let is_token = request.path() == "/token";
                assert!(
                    match wants {
                        Wants::Nothing => given.is_empty(),
                        Wants::Basic => !is_token,
                        Wants::Token => is_token || !given.starts_with("Basic"),
                    },
                    "{what}: {request:#?}"
                );
            }
            for error in &errors {
                assert_eq!(error.kind(), ErrorKind::Refused, "{what}: {error}");
                assert!(error.to_string().contains(&attacker.address()), "{what}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_goes_on_elsewhere_gets_nothing() {
    for wants in WANTS {
        for kind in 0..3 {
            let attacker = attacker(move |host| challenges(host, kind));
            let there = attacker.address();
            let registry = Server::start(move |request| {
                guard(request, wants).unwrap_or_else(|| {
                    let place = format!("http://{there}{}?state=1", request.path());
                    Response::new(202).with("Location", place)
                })
            });
            let client = client(Fixed::basic("secret"));
            let at = Repository { registry: registry.address(), repository: "a".into() };
            let what = format!("{wants:?} {kind}");
            let blob = Blob::from_bytes(media_type::OCI_LAYER_GZIP, &b"layer"[..]);
            let upload = Upload { blob: &blob, subject: "layer", reporter: &quiet() };
            let error = client.registry().blob_push(&at, upload, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{what}: {error}");
            client.registry().may_push(&at).await.unwrap();
            assert!(attacker.count("PUT", "digest=") > 0, "{what}");
            assert!(attacker.count("DELETE", "") > 0, "{what}");
            nothing_leaked(&attacker, &what);
        }
    }
}

/// The host that a registry redirects to names the registry's own places, so that we would act
/// there with our rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_a_registry_redirects_to_cannot_send_us_back_with_credentials() {
    for wants in [Wants::Basic, Wants::Token] {
        for opens in [false, true] {
            let home = Arc::new(std::sync::Mutex::new(String::new()));
            let back = Arc::clone(&home);
            let attacker = Server::start(move |_| {
                let place = format!("http://{}/v2/victim/blobs/uploads/1", back.lock().unwrap());
                Response::new(if opens { 202 } else { 307 }).with("Location", place)
            });
            let there = attacker.address();
            let registry = Server::start(move |request| {
                if request.path().starts_with("/v2/victim/") {
                    return Response::new(201);
                }
                guard(request, wants).unwrap_or_else(|| {
                    let place = format!("http://{there}{}", request.target);
                    Response::new(307).with("Location", place)
                })
            });
            *home.lock().unwrap() = registry.address();
            let client = client(Fixed::basic("secret"));
            let at = Repository { registry: registry.address(), repository: "a".into() };
            let _errors = every_request(&client, &at).await;
            let victim: Vec<_> = registry.requests();
            let victim: Vec<_> =
                victim.iter().filter(|request| request.path().contains("/victim/")).collect();
            assert!(!victim.is_empty(), "{wants:?} {opens}");
            for request in victim {
                assert!(request.header("authorization").is_none(), "{request:#?}");
            }
            nothing_leaked(&attacker, "back");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_server_that_redirects_elsewhere_is_not_followed() {
    let all = [Fixed::basic("secret"), Fixed::new(Credentials::identity_token("refresh-me"))];
    for credentials in all {
        for status in [301, 302, 303, 307, 308] {
            let attacker =
                Server::start(|_| Response::new(200).body(r#"{"token":"the-attackers"}"#));
            let there = attacker.address();
            let registry = Server::start(move |request| {
                let host = request.header("host").unwrap();
                if request.path() == "/token" {
                    let place = format!("http://{there}/token");
                    return Response::new(status).with("Location", place);
                }
                let challenge = format!(r#"Bearer realm="http://{host}/token""#);
                Response::new(401).with("WWW-Authenticate", challenge)
            });
            let client = client(Arc::clone(&credentials));
            let at = reference(&format!("{}/a:1", registry.address()));
            let error = client.resolve(&at, Platform::default()).await.unwrap_err();
            assert!(error.to_string().contains("redirects to another host"), "{error}");
            assert_eq!(attacker.requests().len(), 0, "{status}");
            let tokens = registry.requests();
            assert!(tokens.iter().any(|request| text(request).contains("/token")), "it was asked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_tokens_never_gets_the_password() {
    let registry = Server::start(|request| {
        let host = request.header("host").unwrap();
        if request.path() == "/token" {
            return Response::new(200).body(r#"{"token":"the-token-of-the-registry"}"#);
        }
        // It knows us by now, and asks for more.
        let challenge = match request.header("authorization") {
            None => format!(r#"Bearer realm="http://{host}/token""#),
            Some(_) => r#"Basic realm="more""#.to_owned(),
        };
        Response::new(401).with("WWW-Authenticate", challenge)
    });
    let client = client(Fixed::basic("secret"));
    let at = Repository { registry: registry.address(), repository: "a".into() };
    let errors = every_request(&client, &at).await;
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Auth), "{errors:?}");
    for request in registry.requests().iter().filter(|request| request.path() != "/token") {
        let given = request.header("authorization").unwrap_or_default();
        assert!(!given.starts_with("Basic"), "{request:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_elsewhere_gets_credentials_only_where_both_hosts_may() {
    for (insecure, plain, expected) in [
        // Neither host is loopback by its name; both speak plain HTTP.
        ("registry", "", false),
        ("registry", "registry", false),
        ("registry", "realm", false),
        ("registry", "registry realm", true),
    ] {
        let realm = Server::start(|_| Response::new(200).body(r#"{"token":"x"}"#));
        let place = format!("0.0.0.0:{}", realm.port);
        let there = place.clone();
        let registry = Server::start(move |request| match request.header("authorization") {
            Some(_) => Response::new(404),
            None => Response::new(401)
                .with("WWW-Authenticate", format!(r#"Bearer realm="http://{there}/token""#)),
        });
        let own = format!("0.0.0.0:{}", registry.port);
        let names = |text: &str| {
            let host = |word: &str| if word == "realm" { place.clone() } else { own.clone() };
            text.split_whitespace().map(host).collect()
        };
        let settings = settings()
            .with_insecure(names(insecure))
            .with_plain_credentials(names(plain))
            .with_credentials(Fixed::basic("secret"));
        let client = Client::new(settings).unwrap();
        let at = reference(&format!("{own}/a:1"));
        client.resolve(&at, Platform::default()).await.unwrap_err();
        let requests = realm.requests();
        assert_eq!(requests.len(), 1, "{plain}");
        assert_eq!(requests[0].header("authorization").is_some(), expected, "{plain}");
        assert_eq!(requests[0].target.contains("account"), expected, "{plain}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_still_had_from_where_a_registry_redirects_to() {
    for wants in WANTS {
        let layer = noise(7, 5000);
        let built = image("amd64", std::slice::from_ref(&layer));
        let content = layer.clone();
        let storage = Server::start(move |request| match request.header("range") {
            None => Response::new(200).body(content.clone()),
            Some(range) => {
                let from = range.trim_start_matches("bytes=").trim_end_matches('-');
                let from: usize = from.parse().unwrap();
                let all = content.len();
                Response::new(206)
                    .with("Content-Range", format!("bytes {from}-{}/{all}", all - 1))
                    .body(&content[from..])
            }
        });
        let there = storage.address();
        let registry = Server::start(move |request| {
            guard(request, wants).unwrap_or_else(|| {
                let place = format!("http://{there}/x?X-Amz-Signature=abcdefgh");
                Response::new(307).with("Location", place)
            })
        });
        let client = client(Fixed::basic("secret"));
        let at = Repository { registry: registry.address(), repository: "a".into() };
        for from in [0, 100] {
            let blob = &built.layers[0].descriptor;
            let mut stream = client.registry().blob_get(&at, blob, from).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.unwrap());
            }
            assert_eq!(bytes, layer[usize::try_from(from).unwrap()..]);
        }
        nothing_leaked(&storage, "storage");
    }
}
