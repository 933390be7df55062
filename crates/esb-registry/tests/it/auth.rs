//! Authentication: who is asked, how often, and where credentials never go.

use std::sync::Arc;

use esb_oci::{Credentials, Digest};
use esb_registry::{Client, Error, ErrorKind, KnownTag, PushSession, Remedy, Repository};
use futures_util::future::join_all;

use crate::{
    fake::{Response, Server},
    images::{Fixed, image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry, Wants},
};

fn with(credentials: Arc<Fixed>) -> Client {
    Client::new(settings().with_credentials(credentials)).unwrap()
}

fn wanting(wants: Wants) -> MemoryRegistry {
    MemoryRegistry::start(Manners { wants, ..Manners::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_for_each_scope_and_one_401() {
    for credentials in [Fixed::basic("secret"), Fixed::new(Credentials::identity_token("refresh"))]
    {
        let registry = wanting(Wants::Bearer);
        let client = with(Arc::clone(&credentials));
        let (session, reporter) = (PushSession::new(), quiet());
        let images: Vec<_> = (0..5).map(|n| image("amd64", &[noise(n, 100)])).collect();
        let pushes = images.iter().enumerate().map(|(at, image)| {
            let target = reference(&format!("{}/app:{at}", registry.server.address()));
            let (client, session, reporter) = (&client, &session, &reporter);
            async move { client.push(image, &target, &[], session, reporter).await.unwrap() }
        });
        join_all(pushes).await;
        assert_eq!(credentials.asked(), 1);
        let requests = registry.server.requests();
        let tokens: Vec<_> = requests.iter().filter(|r| r.path() == "/token").collect();
        assert_eq!(tokens.len(), 1, "{tokens:#?}");
        assert_eq!(registry.server.count("GET", "/v2/"), 0, "no ping");
        let bare = requests.iter().filter(|r| r.header("authorization").is_none());
        let bare = bare.filter(|r| r.path().starts_with("/v2/")).count();
        assert_eq!(bare, 1, "only the first request goes without a token");
        let only_token = |r: &&crate::fake::Request| {
            r.header("authorization").is_some_and(|value| value.starts_with("Basic"))
        };
        assert!(requests.iter().filter(only_token).all(|r| r.path() == "/token"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_is_replaced() {
    let registry = wanting(Wants::Bearer);
    let client = with(Fixed::basic("secret"));
    let session = PushSession::new();
    for tag in 0..3 {
        let target = reference(&format!("{}/app:{tag}", registry.server.address()));
        let image = image("amd64", &[noise(tag, 100)]);
        client.push(&image, &target, &[], &session, &quiet()).await.unwrap();
        client.verify(&target, image.digest()).await.unwrap();
        registry.revoke();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mounting_asks_for_both_repositories() {
    let registry = wanting(Wants::Bearer);
    let client = with(Fixed::basic("secret"));
    let session = PushSession::new();
    let image = image("amd64", &[noise(1, 100)]);
    let name = |repository| reference(&format!("{}/{repository}:1", registry.server.address()));
    client.push(&image, &name("one"), &[], &session, &quiet()).await.unwrap();
    let report = client.push(&image, &name("two"), &[], &session, &quiet()).await.unwrap();
    assert_eq!((report.mounted, report.uploaded), (2, 0));
    let scopes: Vec<Vec<String>> = registry
        .server
        .requests()
        .iter()
        .filter(|r| r.path() == "/token")
        .map(|r| r.query("scope"))
        .collect();
    assert_eq!(
        scopes,
        [
            vec!["repository:one:pull,push"],
            vec!["repository:two:pull,push"],
            vec!["repository:two:pull,push", "repository:one:pull"],
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn name_and_password() {
    let registry = wanting(Wants::Basic);
    let target = reference(&format!("{}/app:1", registry.server.address()));
    let image = image("amd64", &[noise(1, 100)]);
    let good = Fixed::basic("secret");
    let client = with(Arc::clone(&good));
    client.push(&image, &target, &[], &PushSession::new(), &quiet()).await.unwrap();
    client.resolve(&target, esb_model::Platform::default()).await.unwrap();
    assert_eq!(good.asked(), 1);

    let bad = with(Fixed::basic("wrong"));
    let error = bad.push(&image, &target, &[], &PushSession::new(), &quiet()).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Auth, Some("IMAGE_AUTH_FAILED")));
    let login = format!("run `docker login {}`", registry.server.address());
    let login = Some(Remedy::Advice(login));
    assert_eq!(error.remedy(), login);
    registry.server.clear();
    let error = bad.resolve(&target, esb_model::Platform::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_AUTH_FAILED"));
    assert!(error.to_string().contains("the fake says no"), "{error}");
    assert_eq!(error.remedy(), login);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_an_auth_error() {
    let registry = wanting(Wants::Bearer);
    let target = reference(&format!("{}/app:1", registry.server.address()));
    let image = image("amd64", &[]);
    let client = with(Fixed::basic("wrong"));
    let push = client.push(&image, &target, &[], &PushSession::new(), &quiet()).await;
    let error = push.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_AUTH_FAILED"), "{error}");
    assert_eq!(registry.server.count("GET", "/token"), 1, "it is not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_do_not_follow_to_another_origin() {
    let layer = noise(5, 2000);
    let kept = layer.clone();
    let storage = Server::start(move |request| match &*request.method {
        "PUT" => Response::new(201).with("Location", "/somewhere"),
        _ => Response::new(200).body(kept.clone()),
    });
    let manners =
        Manners { wants: Wants::Basic, elsewhere: Some(storage.address()), ..Manners::default() };
    let registry = MemoryRegistry::start(manners);
    let client = with(Fixed::basic("secret"));
    let target = reference(&format!("{}/app:1", registry.server.address()));
    let image = image("amd64", std::slice::from_ref(&layer));
    client.push(&image, &target, &[], &PushSession::new(), &quiet()).await.unwrap();
    let uploads: Vec<_> = storage.requests().into_iter().filter(|r| r.method == "PUT").collect();
    assert_eq!(uploads.len(), 2);
    assert!(uploads.iter().any(|r| r.body == layer));

    registry.plant_blob("app", &layer);
    let mut stream = client
        .registry()
        .blob_get(&esb_registry::repository(&target), &image.layers[0].descriptor, 0)
        .await
        .unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = futures_util::StreamExt::next(&mut stream).await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(Digest::of(&bytes), Digest::of(&layer));
    let leaked = |r: &crate::fake::Request| r.header("authorization").is_some();
    assert!(!storage.requests().iter().any(leaked), "{:#?}", storage.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_allowed_by_name_and_carries_no_credentials() {
    let registry = wanting(Wants::Basic);
    // Not loopback by its name, and reachable all the same.
    let host = format!("0.0.0.0:{}", registry.server.port);
    let target = reference(&format!("{host}/app:1"));
    let image = image("amd64", &[noise(1, 100)]);
    let allow = |insecure: &[&str], plain: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Client::new(
            settings()
                .with_insecure(set(insecure))
                .with_plain_credentials(set(plain))
                .with_credentials(Fixed::basic("secret")),
        )
        .unwrap()
    };
    let push = async |client: Client| {
        client.push(&image, &target, &[], &PushSession::new(), &quiet()).await
    };
    let error = push(allow(&[], &[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let allow_http = Remedy::AllowPlainHttp { registry: host.clone() };
    assert_eq!(error.remedy(), Some(allow_http), "{error:?}");

    registry.server.clear();
    let error = push(allow(&[&host], &[])).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { withheld: true, .. }), "{error:?}");
    let sent = registry.server.requests();
    assert!(sent.iter().all(|r| r.header("authorization").is_none()), "{sent:#?}");

    push(allow(&[&host], &[&host])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_to_a_registry_that_is_presumed_open_do_not_wait_for_each_other() {
    let both = std::sync::Barrier::new(2);
    let digest = Digest::of(b"x").to_string();
    let server = Server::start(move |_| {
        both.wait(); // nobody is answered before both have asked
        Response::new(200).with("docker-content-digest", digest.clone())
    });
    let client = with(Fixed::basic("secret"));
    let session = PushSession::new();
    let registry = format!("127.0.0.1:{}", server.port);
    let at = |name: &str| Repository { registry: registry.clone(), repository: name.to_owned() };
    assert!(!client.is_open(&registry), "nobody has asked yet");
    let (one, two) = (at("one"), at("two"));
    let one = client.ping_at(&one, "latest", true, &session);
    let two = client.ping_at(&two, "latest", true, &session);
    assert_eq!(tokio::join!(one, two), (true, true));
    assert!(client.is_open(&registry));
    assert_eq!(session.tag(&at("two"), "latest"), KnownTag::Confirmed(Digest::of(b"x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_not_as_open_as_presumed_gets_what_it_wants() {
    for wants in [Wants::Basic, Wants::Bearer] {
        let registry = wanting(wants);
        let client = with(Fixed::basic("secret"));
        let session = PushSession::new();
        let target = reference(&format!("{}/app:1", registry.server.address()));
        let at = esb_registry::repository(&target);
        assert!(client.ping_at(&at, "1", true, &session).await);
        let image = image("amd64", &[noise(1, 100)]);
        client.push(&image, &target, &[], &session, &quiet()).await.unwrap();
        assert!(!client.is_open(&at.registry));
    }
}
