//! Pushes and copies on Debian's registry: what is asked, how often, and what is there afterwards.

use std::sync::Arc;

use esb_model::Platform;
use esb_oci::{Digest, manifest::media_type};
use esb_registry::{CopyScope, Journal, PushSession, SyncPlan, repository};
use esb_test::LoggingProxy;
use futures_util::future::join_all;

use crate::images::{client, copy, image, index, noise, quiet, real_registry, reference, settings};

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_image_costs_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = real_registry(folder.path()) else { return };
    let proxy = LoggingProxy::start(registry.address()).unwrap();
    let name = format!("{}/team/app:latest-0123", proxy.address());
    let target = reference(&name);
    let image = image("amd64", &[noise(1, 3_000_000), noise(99, 10)]);
    proxy.clear();
    let first =
        client().push(&image, &target, &["latest"], &PushSession::new(), &quiet()).await.unwrap();
    assert_eq!((first.uploaded, first.mounted, first.skipped), (3, 0, 0));
    let requests = proxy.requests();
    // HEAD of the manifest; HEAD, POST and PUT of a large blob, POST and PUT of two small ones;
    // PUT of two tags.
    assert_eq!(requests.len(), 1 + 3 + 2 * 2 + 2, "{requests:#?}");
    assert_eq!(proxy.count("GET", ""), 0, "no ping");
    let tags = requests.iter().rev().take(2).filter(|r| r.target.contains("/manifests/latest"));
    assert_eq!(tags.count(), 2, "the tags come last: {requests:#?}");

    // A new process that remembers where the extra tag points, and one that does not.
    let remembers = PushSession::new();
    remembers.tag_recorded(&repository(&target), "latest", image.digest());
    let manifests = "/v2/team/app/manifests";
    let (content, plain) = (format!("{manifests}/latest-0123"), format!("{manifests}/latest"));
    let head = |target| ("HEAD", target);
    for (session, expected) in [
        (remembers, vec![head(&*content)]),
        (PushSession::new(), vec![head(&*content), head(&*plain)]),
    ] {
        proxy.clear();
        let second = client().push(&image, &target, &["latest"], &session, &quiet()).await.unwrap();
        assert!(second.unchanged);
        let requests = proxy.requests();
        let asked: Vec<_> = requests.iter().map(|r| (&*r.method, &*r.target)).collect();
        assert_eq!(asked, expected);
    }

    // An extra tag that is known to point elsewhere is put right.
    let session = PushSession::new();
    session.tag_recorded(&repository(&target), "latest", Digest::of(b"another"));
    proxy.clear();
    client().push(&image, &target, &["latest"], &session, &quiet()).await.unwrap();
    assert_eq!(proxy.requests().len(), 2);
    let latest = reference(&name.replace("latest-0123", "latest"));
    client().verify(&latest, image.digest()).await.unwrap();
    assert_eq!(session.tag(&repository(&target), "latest").digest(), Some(image.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_goes_once_whoever_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = real_registry(folder.path()) else { return };
    let proxy = LoggingProxy::start(registry.address()).unwrap();
    let seed = 1000;
    let shared = noise(seed, 500_000);
    let images: Vec<_> =
        (1..=8).map(|own| image("amd64", &[shared.clone(), noise(seed + own, 100)])).collect();
    let (client, session) = (client(), PushSession::new());
    let reporter = quiet();
    let pushes = images.iter().enumerate().map(|(at, image)| {
        let target = reference(&format!("{}/fn-{at}:1", proxy.address()));
        let (client, session, reporter) = (&client, &session, &reporter);
        async move { client.push(image, &target, &[], session, reporter).await.unwrap() }
    });
    let reports = join_all(pushes).await;
    let sum = |of: fn(&esb_registry::PushReport) -> usize| reports.iter().map(of).sum::<usize>();
    // Own layer and config of each, and the shared layer once.
    assert_eq!(sum(|report| report.uploaded), 8 * 2 + 1);
    assert_eq!(sum(|report| report.mounted), 7);
    let digest = Digest::of(&shared);
    let sent: Vec<_> = proxy
        .requests()
        .into_iter()
        .filter(|r| r.method == "PUT" && r.target.contains(&digest.hex()))
        .collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].request_bytes, 500_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_keep_digests_and_mount_where_they_can() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(source) = real_registry(one.path()) else { return };
    let Some(target) = real_registry(two.path()) else { return };
    let (client, session) = (client(), PushSession::new());
    let amd = image("amd64", &[noise(1, 2_000_000), noise(2, 3000)]);
    let arm = image("arm64", &[noise(3, 5000), noise(2, 3000)]);
    let index = index(&[("amd64", &amd), ("arm64", &arm)]);
    let (from, to) = (source.address(), target.address());
    for (image, tag) in [(&amd, "amd"), (&arm, "arm")] {
        let reference = reference(&format!("{from}/lib/base:{tag}"));
        client.push(image, &reference, &[], &session, &quiet()).await.unwrap();
    }
    let multi = reference(&format!("{from}/lib/base:multi"));
    client
        .registry()
        .manifest_put(&repository(&multi), "multi", media_type::OCI_INDEX, &index.clone().into())
        .await
        .unwrap();

    let resolved = client.resolve(&multi, "linux/arm64".parse().unwrap()).await.unwrap();
    assert_eq!(resolved.digest, arm.digest());
    assert_eq!(resolved.index, Some(Digest::of(&index)));
    assert_eq!(resolved.source, format!("{from}/lib/base"));
    let layer = resolved.image.layers[0].read(1 << 20).await.unwrap();
    assert_eq!(layer, noise(3, 5000));

    // One platform by its own digest, and the index whole.
    let single = reference(&format!("{to}/copy/single:1"));
    let scope = CopyScope::Platform(Platform::default());
    let report = copy(&client, &multi, &single, scope, &session).await.unwrap();
    assert_eq!((report.digest, report.uploaded), (Some(amd.digest()), 3));
    client.verify(&single, amd.digest()).await.unwrap();
    let whole = reference(&format!("{to}/copy/whole:1"));
    let report = copy(&client, &multi, &whole, CopyScope::Whole, &session).await.unwrap();
    // What the single copy brought is mounted.
    assert_eq!((report.uploaded, report.mounted), (2, 3), "{report:?}");
    client.verify(&whole, Digest::of(&index)).await.unwrap();
    client.verify(&whole.pinned(arm.digest()), arm.digest()).await.unwrap();
    let report = copy(&client, &multi, &whole, CopyScope::Whole, &session).await.unwrap();
    assert!(report.unchanged);
    // A pinned source is not asked when the target has it.
    let elsewhere = reference("127.0.0.1:9/lib/base").pinned(Digest::of(&index));
    let report = copy(&client, &elsewhere, &whole, CopyScope::Whole, &session).await;
    assert!(report.unwrap().unchanged);

    // Inside one registry nothing is transferred, although nothing is known beforehand.
    let fresh = crate::images::client();
    let beside = reference(&format!("{from}/beside:1"));
    let new = PushSession::new();
    let report = copy(&fresh, &multi, &beside, scope, &new).await.unwrap();
    assert_eq!((report.uploaded, report.mounted), (0, 3));

    let wrong = client.verify(&single, arm.digest()).await.unwrap_err();
    assert_eq!(wrong.code(), Some("IMAGE_DIGEST_MISMATCH"));
    let none = reference(&format!("{to}/none:1"));
    let absent = client.verify(&none, arm.digest()).await.unwrap_err();
    assert_eq!(absent.kind(), esb_registry::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_vanished_are_brought_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = real_registry(folder.path()) else { return };
    let (client, session) = (client(), PushSession::new());
    let layer = noise(7, 1000);
    let name = format!("{}/gone", registry.address());
    let (one, two) = (
        image("amd64", std::slice::from_ref(&layer)),
        image("amd64", &[layer.clone(), noise(50, 5)]),
    );
    client.push(&one, &reference(&format!("{name}:1")), &[], &session, &quiet()).await.unwrap();
    // Somebody wipes the registry behind our back.
    std::fs::remove_dir_all(folder.path().join("data/docker")).unwrap();
    let target = reference(&format!("{name}:2"));
    client.push(&two, &target, &[], &session, &quiet()).await.unwrap();
    let resolved = client.resolve(&target, Platform::default()).await.unwrap();
    assert_eq!(resolved.digest, two.digest());
    assert_eq!(resolved.image.layers[0].read(1 << 20).await.unwrap(), layer);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environments_proxies_are_not_used() {
    const CHILD: &str = "ESB_REGISTRY_TEST_CHILD";
    let folder = tempfile::tempdir().unwrap();
    if std::env::var_os(CHILD).is_none() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "real::the_environments_proxies_are_not_used", "--nocapture"])
            .env(CHILD, "1")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("http_proxy", "http://127.0.0.1:9")
            .env("ALL_PROXY", "http://127.0.0.1:9")
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let Some(registry) = real_registry(folder.path()) else { return };
    let proxied = esb_registry::ProxySettings {
        http: Some("http://127.0.0.1:9".to_owned()),
        ..esb_registry::ProxySettings::default()
    };
    for proxy in [esb_registry::ProxySettings::default(), proxied] {
        let client = esb_registry::Client::new(settings().with_proxy(proxy));
        let client = client.unwrap();
        let name = format!("{}/env:1", registry.address());
        let image = image("amd64", &[noise(1, 10)]);
        let target = reference(&name);
        client.push(&image, &target, &[], &PushSession::new(), &quiet()).await.unwrap();
        client.verify(&target, image.digest()).await.unwrap();
    }
}

#[tokio::test]
async fn ping_tells_whether_a_registry_answers() {
    let server = crate::fake::Server::start(|_| crate::fake::Response::new(401));
    let broken = crate::fake::Server::start(|_| crate::fake::Response::new(503));
    let client = client();
    assert!(client.ping(&server.address()).await);
    assert!(!client.ping(&broken.address()).await);
    assert_eq!(broken.count("GET", "/v2/"), 1);
    let free = esb_test::free_port().unwrap();
    assert!(!client.ping(&format!("127.0.0.1:{free}")).await);
}

/// The operations can be spawned on a runtime of many threads.
#[test]
fn futures_are_send() {
    fn check<T: Send>(_: T) {}
    let client = client();
    let (target, image) = (reference("127.0.0.1:1/a"), image("amd64", &[]));
    let (session, reporter) = (PushSession::new(), quiet());
    check(client.push(&image, &target, &[], &session, &reporter));
    check(client.resolve(&target, Platform::default()));
    check(client.plan_sync(Vec::new(), 1, &Journal::default()));
    check(client.sync(SyncPlan { images: Vec::new() }, 1, false, &session, &reporter));
    check(client.verify(&target, image.digest()));
    check(Arc::clone(client.registry()));
}
