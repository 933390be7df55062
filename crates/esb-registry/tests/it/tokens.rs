//! Debian's registry guarded by tokens, and one by a password over TLS: the real checks of what
//! our requests carry.

use std::{fs, sync::Arc};

use esb_model::Platform;
use esb_oci::Credentials;
use esb_registry::{Client, CopyScope, PushSession, Remedy};
use esb_test::{Guard, Identity, LoggingProxy, Registry, TokenServer};

use crate::images::{Fixed, copy, image, noise, quiet, real_registry, reference, settings};

/// A registry that believes the tokens of a server, unless this machine has no such parts.
fn guarded(folder: &std::path::Path) -> Option<(Registry, TokenServer)> {
    real_registry(&folder.join("probe"))?;
    let server = TokenServer::start(esb_test::or_skip(Identity::make(folder))?).unwrap();
    let (realm, certificate) = (server.realm(), server.certificate().to_owned());
    let guard = Guard::Tokens { realm, certificate };
    let registry = Registry::start_guarded(&folder.join("guarded"), guard).unwrap();
    Some((registry, server))
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_had_for_each_repository_mounted_with_both_and_replaced_when_over() {
    let folder = tempfile::tempdir().unwrap();
    let Some((registry, server)) = guarded(folder.path()) else { return };
    for (kind, credentials) in [
        ("password", Fixed::basic("secret")),
        ("identity", Fixed::new(Credentials::identity_token("refresh"))),
    ] {
        let proxy = LoggingProxy::start(registry.address()).unwrap();
        let before = server.requests().len();
        let credentials_of = Arc::clone(&credentials);
        let client = Client::new(settings().with_credentials(credentials_of));
        let client = client.unwrap();
        let session = PushSession::new();
        let name = |part: &str| reference(&format!("{}/{kind}/{part}:1", proxy.address()));
        let image = image("amd64", &[noise(1, 1_200_000), noise(9, 10)]);
        client.push(&image, &name("one"), &[], &session, &quiet()).await.unwrap();
        let report = client.push(&image, &name("two"), &[], &session, &quiet()).await.unwrap();
        assert_eq!((report.mounted, report.uploaded), (3, 0), "{kind}");
        let asked: Vec<Vec<String>> =
            server.requests().split_off(before).into_iter().map(|r| r.scopes).collect();
        let scope = |part: &str, what: &str| format!("repository:{kind}/{part}:{what}");
        let expected = [
            vec![scope("one", "pull,push")],
            vec![scope("two", "pull,push")],
            vec![scope("two", "pull,push"), scope("one", "pull")],
        ];
        assert_eq!(asked, expected, "{kind}");
        assert_eq!(credentials.asked(), 1);

        // A token that the registry does not believe any more is replaced, once.
        server.stale(1);
        let scope = CopyScope::Platform(Platform::default());
        copy(&client, &name("one"), &name("three"), scope, &session).await.unwrap();
        client.verify(&name("three"), image.digest()).await.unwrap();
        assert!(proxy.requests().iter().filter(|r| r.status == Some(401)).count() <= 4);
    }
    let stranger = Client::new(settings()).unwrap();
    let at = reference(&format!("{}/password-0/one:1", registry.address()));
    let error = stranger.resolve(&at, Platform::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_AUTH_FAILED"), "{error}");
    let login = format!("run `docker login {}`", registry.address());
    assert_eq!(error.remedy(), Some(Remedy::Advice(login)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_over_tls_with_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    if real_registry(&folder.path().join("probe")).is_none() {
        return;
    }
    let Some(identity) = esb_test::or_skip(Identity::make(folder.path())) else { return };
    let ca = fs::read(&identity.certificate).unwrap();
    let guard = Guard::Passwords(identity);
    let registry = Registry::start_guarded(&folder.path().join("guarded"), guard).unwrap();
    let target = reference(&format!("{}/app:1", registry.address()));
    let image = image("amd64", &[noise(1, 100_000)]);
    let with = |extra_roots: Vec<Vec<u8>>, password: &str| {
        let credentials = Fixed::basic(password);
        Client::new(settings().with_extra_roots(extra_roots).with_credentials(credentials)).unwrap()
    };
    let push = async |client: Client| {
        client.push(&image, &target, &[], &PushSession::new(), &quiet()).await
    };
    let error = push(with(Vec::new(), "secret")).await.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_PUSH_FAILED"), "{error}");
    let certificate = matches!(error.remedy(), Some(Remedy::GiveCertificate { .. }));
    assert!(certificate, "{error:?}");
    let error = push(with(vec![ca.clone()], "wrong")).await.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_AUTH_FAILED"), "{error}");
    push(with(vec![ca.clone()], "secret")).await.unwrap();
}
