//! Servers that repeat in their responses what they were sent: no message of ours shows it.

use std::{fmt::Write as _, sync::Arc};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use esb_model::Platform;
use esb_oci::{Credentials, Digest, manifest::media_type};
use esb_registry::{Client, Error, ProxySettings, PushSession, Repository};

use crate::{
    fake::{Request, Response, Server},
    images::{Fixed, image, noise, quiet, reference, settings},
};

/// How a server writes what it got.
const FORMS: usize = 7;

fn echo(request: &Request, form: usize) -> Response {
    let given = request.header("authorization").unwrap_or_default().to_owned();
    let value = given.split(' ').next_back().unwrap_or_default().to_owned();
    let decoded = STANDARD.decode(&value).unwrap_or_default();
    let decoded = String::from_utf8(decoded).unwrap_or_default();
    let json = |text: &str| {
        let text = text.replace('"', "'");
        format!(r#"{{"errors":[{{"code":"{text}","message":"bad: {text}"}}]}}"#)
    };
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let body = match form {
        0 => json(&given),
        1 => json(&decoded),
        2 => format!("Authorization: {given}; body {body}"),
        3 => json(&STANDARD.encode(format!("Authorization: {given}\r\nHost: x"))),
        4 => URL_SAFE_NO_PAD.encode(&given),
        5 => {
            format!("<a href=\"https://x/?q={}&body={body}\">{body}</a>", value.replace('=', "%3D"))
        }
        _ => json(decoded.split(':').next_back().unwrap_or_default()),
    };
    Response::new(403).with("Content-Type", given.clone()).body(body)
}

/// All that a message says, its causes and what developers see included.
fn everything(error: &Error) -> String {
    let mut text = format!("{error:?} {error} {:?}", error.remedy());
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        write!(text, " {inner} {inner:?}").unwrap();
        cause = inner.source();
    }
    text
}

#[track_caller]
fn nothing_shown(error: &Error, what: &str) {
    let text = everything(error);
    for secret in ["s3cret", "dXNlcjpzM2NyZXQ", "czNjcmV0", "refresh-me", "opaque"] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
    // The middle of whatever base64 surrounds them with.
    for value in ["user:s3cret-word", "dXNlcjpzM2NyZXQtd29yZA==", "opaque-token-of-mine"] {
        for before in ["", "x", "xy"] {
            let encoded = STANDARD.encode(format!("{before}{value}"));
            assert!(!text.contains(&encoded[6..16]), "{what}: {} in {text}", &encoded[6..16]);
        }
    }
}

async fn try_all(client: &Client, registry: &str) -> Vec<Error> {
    let at = reference(&format!("{registry}/a:1"));
    let built = image("amd64", &[noise(3, 10)]);
    let place = Repository { registry: registry.to_owned(), repository: "a".to_owned() };
    let push = client.push(&built, &at, &[], &PushSession::new(), &quiet()).await;
    vec![
        client.resolve(&at, Platform::default()).await.unwrap_err(),
        push.unwrap_err(),
        client.verify(&at, Digest::of(b"x")).await.unwrap_err(),
        client.tags(&place).await.unwrap_err(),
        client.delete(&place, Digest::of(b"x")).await.unwrap_err(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_sends_back_is_not_shown() {
    for form in 0..FORMS {
        let registry = Server::start(move |request| match request.header("authorization") {
            None => Response::new(401).with("WWW-Authenticate", r#"Basic realm="x""#),
            Some(_) => echo(request, form),
        });
        let credentials = Fixed::basic("s3cret-word");
        let client = Client::new(settings().with_credentials(credentials)).unwrap();
        let errors = try_all(&client, &registry.address()).await;
        for error in &errors {
            nothing_shown(error, &format!("{form}"));
        }
        assert!(errors.iter().any(|error| everything(error).contains("****")), "{form}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_server_sends_back_is_not_shown_nor_a_token() {
    let identity = Fixed::new(Credentials::identity_token("refresh-me"));
    for (credentials, gives) in [
        (Fixed::basic("s3cret-word"), false),
        (Fixed::basic("s3cret-word"), true),
        (Arc::clone(&identity), false),
        (identity, true),
    ] {
        for form in 0..FORMS {
            let registry = Server::start(move |request| {
                let host = request.header("host").unwrap();
                let challenge = format!(r#"Bearer realm="http://{host}/token""#);
                match (request.path(), request.header("authorization")) {
                    ("/token", _) if gives => {
                        Response::new(200).body(r#"{"token":"opaque-token-of-mine"}"#)
                    }
                    (path, None) if path != "/token" => {
                        Response::new(401).with("WWW-Authenticate", challenge)
                    }
                    _ => echo(request, form),
                }
            });
            let credentials = Arc::clone(&credentials);
            let settings = settings().with_credentials(credentials);
            let client = Client::new(settings).unwrap();
            for error in try_all(&client, &registry.address()).await {
                nothing_shown(&error, &format!("{gives} {form}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_document_quotes_is_not_shown() {
    for form in 0..4 {
        let registry = Server::start(move |request| {
            let Some(given) = request.header("authorization") else {
                return Response::new(401).with("WWW-Authenticate", r#"Basic realm="x""#);
            };
            let (kind, body) = match form {
                0 => (given, "no manifest".to_owned()),
                1 => ("", format!(r#"{{"schemaVersion":2,"mediaType":"{given}"}}"#)),
                2 => {
                    let platform = format!(r#"{{"os":"linux","architecture":"{given}"}}"#);
                    let digest = Digest::of(b"");
                    let entry = format!(
                        r#"{{"mediaType":"{}","digest":"{digest}","size":0,"platform":{platform}}}"#,
                        media_type::OCI_MANIFEST
                    );
                    (
                        media_type::OCI_INDEX,
                        format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#),
                    )
                }
                _ => {
                    let body = format!(r#"{{"schemaVersion":2,"manifests":"{given}"}}"#);
                    (media_type::OCI_INDEX, body)
                }
            };
            Response::new(200).with("Content-Type", kind).body(body)
        });
        let credentials = Fixed::basic("s3cret-word");
        let client = Client::new(settings().with_credentials(credentials)).unwrap();
        let at = reference(&format!("{}/a:1", registry.address()));
        let error = client.resolve(&at, Platform::default()).await.unwrap_err();
        nothing_shown(&error, &format!("{form}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_not_shown_where_the_storage_sends_it_back() {
    let storage = Server::start(|request| {
        let signature = request.query("X-Amz-Signature").concat();
        Response::new(403).body(format!(
            "<SignatureProvided>{signature}</SignatureProvided> for https://x{}",
            request.target
        ))
    });
    let there = storage.address();
    let registry = Server::start(move |request| {
        let place = format!("http://{there}{}?X-Amz-Signature=0a1b2c3d4e5f", request.path());
        Response::new(307).with("Location", place)
    });
    let client = Client::new(settings()).unwrap();
    let at = reference(&format!("{}/a:1", registry.address()));
    let error = client.resolve(&at, Platform::default()).await.unwrap_err();
    let text = everything(&error);
    assert!(!text.contains("0a1b2c") && text.contains("<SignatureProvided>****"), "{text}");
    assert!(text.contains(&storage.address()), "{text}");
}

#[test]
fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
    for url in
        ["http://user:s3cret-word@ho st:80", "user:s3cret-word@", "http://user:s3cret-word@:x"]
    {
        let proxy = ProxySettings { https: Some(url.to_owned()), ..ProxySettings::default() };
        if let Err(error) = Client::new(settings().with_proxy(proxy)) {
            nothing_shown(&error, url);
        }
    }
}
