//! Registries that differ from the specification, or are hostile.

use esb_model::Platform;
use esb_oci::manifest::media_type;
use esb_registry::{CopyScope, Error, ErrorKind, PushSession};

use crate::{
    fake::{Response, Server},
    images::{client, copy, image, index, noise, quiet, reference},
    memory::{Manners, MemoryRegistry},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_location_no_digest_no_mount() {
    let manners =
        || Manners { location: false, digests: false, mounts: false, ..Manners::default() };
    let registry = MemoryRegistry::start(manners());
    let (client, session) = (client(), PushSession::new());
    let (amd, arm) = (image("amd64", &[noise(1, 10)]), image("arm64", &[noise(2, 10)]));
    let both = index(&[("amd64", &amd), ("arm64", &arm)]);
    let name = |tail: &str| reference(&format!("{}/{tail}", registry.server.address()));
    for image in [&amd, &arm] {
        // By digest, where oci-client would panic.
        let target = name("from").pinned(image.digest());
        client.push(image, &target, &[], &session, &quiet()).await.unwrap();
    }
    registry.plant("from/1", media_type::OCI_INDEX, &both);
    registry.server.clear();
    let to = name("to:1");
    let report = copy(&client, &name("from:1"), &to, CopyScope::Whole, &session).await.unwrap();
    assert_eq!((report.uploaded, report.mounted), (4, 0));
    // An upload that was opened instead of a mount is used, not left behind.
    // One more is opened and given up, to find out whether we may write.
    assert_eq!(registry.server.count("POST", "/uploads/"), 1 + 4);
    assert_eq!(registry.server.count("DELETE", "upload-here"), 1);
    assert_eq!(registry.server.count("PUT", "upload-here"), 4);
    client.verify(&to, esb_oci::Digest::of(&both)).await.unwrap();
    let again = copy(&client, &name("from:1"), &to, CopyScope::Whole, &session).await.unwrap();
    assert!(again.unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_image_is_refused_by_name() {
    let registry = MemoryRegistry::start(Manners::default());
    let amd = image("amd64", &[]);
    registry.plant("a/old", media_type::DOCKER_SCHEMA_1_SIGNED, br#"{"schemaVersion":1}"#);
    registry.plant("a/chart", "x/y", br#"{"schemaVersion":2,"mediaType":"application/x.helm"}"#);
    registry.plant("a/one", media_type::OCI_INDEX, &index(&[("amd64", &amd)]));
    registry.plant("a/large", media_type::OCI_MANIFEST, &vec![b' '; 5 << 20]);
    registry.plant("a/text", "text/html", b"<html>");
    let client = client();
    let check = async |tag: &str, expected: &str, kind: ErrorKind| {
        let reference = reference(&format!("{}/a:{tag}", registry.server.address()));
        let arm = "linux/arm64".parse::<Platform>().unwrap();
        let error = client.resolve(&reference, arm).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((error.kind(), error.code()), (kind, Some("IMAGE_PULL_FAILED")), "{error}");
    };
    check("old", "schema 1", ErrorKind::Input).await;
    check("chart", "application/x.helm", ErrorKind::Input).await;
    check("one", "has no image for linux/arm64; it has linux/amd64", ErrorKind::Input).await;
    check("large", "larger than 4194304 bytes", ErrorKind::Refused).await;
    check("text", "text/html", ErrorKind::Input).await;
    check("none", "MANIFEST_UNKNOWN", ErrorKind::NotFound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_another_digest_is_refused() {
    let registry = MemoryRegistry::start(Manners::default());
    let amd = image("amd64", &[]);
    registry.plant(&format!("a/{}", amd.digest()), media_type::OCI_MANIFEST, b"{}");
    let reference = reference(&format!("{}/a", registry.server.address())).pinned(amd.digest());
    let error = client().resolve(&reference, Platform::default()).await.unwrap_err();
    assert_eq!(error.code(), Some("IMAGE_DIGEST_MISMATCH"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end() {
    let server =
        Server::start(|request| Response::new(307).with("Location", request.target.clone()));
    let reference = reference(&format!("{}/a:1", server.address()));
    let error = client().digest_of(&reference).await.unwrap_err();
    assert!(error.to_string().contains("redirects too often"), "{error}");
    assert_eq!(server.count("HEAD", ""), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_registry_are_quoted_bounded() {
    let server = Server::start(|request| match &*request.method {
        "HEAD" => Response::new(404),
        _ => Response::new(418).body([b"\x1b[31mred".as_slice(), &vec![b'x'; 200_000]].concat()),
    });
    let target = reference(&format!("{}/a:1", server.address()));
    let image = image("amd64", &[]);
    let push = client();
    let push = push.push(&image, &target, &[], &PushSession::new(), &quiet()).await;
    let error = push.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 418, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(r"\u{1b}[31mred") && text.len() < 600, "{text}");
    assert_eq!(error.code(), Some("IMAGE_PUSH_FAILED"));
}
