//! What breaks on the way: busy registries, cut connections, wrong bytes.

use std::sync::{Arc, Mutex};

use esb_model::{Event, Platform, Reporter};
use esb_registry::{CopyScope, ErrorKind, PushSession, Remedy};
use esb_test::{Fault, LoggingProxy, Rule};

use crate::{
    fake::{Response, Server},
    images::{client, copy, image, noise, quiet, real_registry, reference},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_survives_trouble_and_repeats_only_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = real_registry(folder.path()) else { return };
    let busy = || Fault::Answer {
        status: 429,
        headers: vec![("Retry-After".to_owned(), "0".to_owned())],
        body: Vec::new(),
    };
    // What distribution says while it reads the half-written link of a blob that two runs push.
    let half_written = || {
        Fault::Answer {
        status: 400,
        headers: Vec::new(),
        body: br#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest"},{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#
            .to_vec(),
    }
    };
    for (name, rule) in [
        ("half-written", Rule::on("PUT", "/manifests/", half_written()).times(1)),
        ("head", Rule::on("HEAD", "/manifests/", Fault::status(503)).times(2)),
        ("blob-head", Rule::on("HEAD", "/blobs/", busy()).times(3)),
        ("open", Rule::on("POST", "/uploads/", Fault::status(500)).times(2)),
        ("put", Rule::on("PUT", "/uploads/", Fault::status(502)).times(2)),
        ("reset", Rule::on("PUT", "/uploads/", Fault::ResetRequest { after: 100_000 }).times(2)),
        ("manifest", Rule::on("PUT", "/manifests/", busy()).times(2)),
        ("cut", Rule::on("PUT", "/manifests/", Fault::ResetRequest { after: 10 }).times(1)),
    ] {
        let proxy = LoggingProxy::start(registry.address()).unwrap();
        proxy.inject(rule);
        let target = reference(&format!("{}/push/{name}:1", proxy.address()));
        let image = image("amd64", &[noise(1, 1_200_000)]);
        let (client, session) = (client(), PushSession::new());
        client
            .push(&image, &target, &[], &session, &quiet())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(proxy.requests().iter().any(|r| r.harmed), "{name} did no harm");
        proxy.heal();
        client.verify(&target, image.digest()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_survives_a_cut_source_and_refuses_wrong_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(source) = real_registry(one.path()) else { return };
    let Some(target) = real_registry(two.path()) else { return };
    let image = image("amd64", &[noise(1, 1_500_000), noise(2, 400_000)]);
    let layer = image.layers[0].descriptor.digest.hex();
    let stored = reference(&format!("{}/app:1", source.address()));
    let scope = CopyScope::Platform(Platform::default());
    let client = client();
    client.push(&image, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();
    let run = async |fault: Option<Rule>, name: &str| {
        let proxy = LoggingProxy::start(source.address()).unwrap();
        if let Some(rule) = fault {
            proxy.inject(rule);
        }
        let from = reference(&format!("{}/app:1", proxy.address()));
        let to = reference(&format!("{}/copy/{name}:1", target.address()));
        let copied = copy(&client, &from, &to, scope, &PushSession::new()).await;
        (copied, to)
    };
    for (name, fault) in [
        ("reset", Fault::ResetResponse { after: 700_000 }),
        ("truncated", Fault::Truncate { after: 700_000 }),
    ] {
        let rule = Rule::on("GET", &layer, fault).times(1);
        let (copied, to) = run(Some(rule), name).await;
        copied.unwrap_or_else(|error| panic!("{name}: {error}"));
        client.verify(&to, image.digest()).await.unwrap();
    }
    let rule = Rule::on("GET", &layer, Fault::Corrupt { at: 1_200_000 });
    let (copied, to) = run(Some(rule), "corrupt").await;
    let error = copied.unwrap_err();
    let code = error.code();
    assert_eq!((error.kind(), code), (ErrorKind::Digest, Some("IMAGE_DIGEST_MISMATCH")), "{error}");
    let absent = client.verify(&to, image.digest()).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::NotFound, "no manifest without its blobs");

    let (copied, to) = run(None, "corrupt").await;
    // The other layer and the config had arrived or not; the rerun ends well either way.
    assert!(copied.unwrap().uploaded >= 1);
    client.verify(&to, image.digest()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_stalls_is_cut_and_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let Some(registry) = real_registry(folder.path()) else { return };
    let image = image("amd64", &[noise(1, 1_500_000)]);
    let mut settings = crate::images::settings();
    settings.timeouts.stall = std::time::Duration::from_millis(300);
    let client = esb_registry::Client::new(settings).unwrap();
    let stored = reference(&format!("{}/app:1", registry.address()));
    client.push(&image, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();
    let proxy = LoggingProxy::start(registry.address()).unwrap();
    let hour = std::time::Duration::from_hours(1);
    let layer = image.layers[0].descriptor.digest.hex();
    proxy.inject(Rule::on("GET", &layer, Fault::Stall { after: 500_000, time: hour }).times(1));
    let from = reference(&format!("{}/app:1", proxy.address()));
    let to = reference(&format!("{}/stalled:1", registry.address()));
    let scope = CopyScope::Platform(Platform::default());
    copy(&client, &from, &to, scope, &PushSession::new()).await.unwrap();
    client.verify(&to, image.digest()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_does_not_answer_is_named() {
    let free = esb_test::free_port().unwrap();
    let target = reference(&format!("127.0.0.1:{free}/a:1"));
    let client = client();
    let image = image("amd64", &[]);
    let push = client.push(&image, &target, &[], &PushSession::new(), &quiet()).await;
    let error = push.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unreachable, Some("IMAGE_PUSH_FAILED")));
    let start = Remedy::StartRegistry { registry: format!("127.0.0.1:{free}") };
    assert_eq!(error.remedy(), Some(start), "{error}");
}

/// Keeps what was begun and has not ended.
#[derive(Default)]
struct Open(Mutex<Vec<String>>);

impl Reporter for Open {
    fn event(&self, event: &Event<'_>) {
        let mut open = self.0.lock().unwrap();
        match event {
            Event::Started { subject, action } => open.push(format!("{action} {subject}")),
            Event::Finished { subject, action, .. } => panic!("{action} {subject} succeeded"),
            Event::Failed { subject, action } => {
                let item = format!("{action} {subject}");
                let at = open.iter().position(|open| *open == item);
                open.remove(at.unwrap_or_else(|| panic!("{item} never began")));
            }
            _ => {}
        }
    }
}

/// A push that fails says so: nobody waits for their end for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_ends() {
    let server = Server::start(|request| match (&*request.method, request.path()) {
        // Everything is absent, and no upload is accepted.
        ("POST", _) => Response::new(403),
        _ => Response::new(404),
    });
    let image = image("amd64", &[noise(1, 1_200_000)]);
    let target = reference(&format!("{}/app:1", server.address()));
    let client = client();
    let open = Arc::new(Open::default());
    let reporter: Arc<dyn Reporter> = Arc::clone(&open) as _;
    client.push(&image, &target, &[], &PushSession::new(), &reporter).await.unwrap_err();
    assert!(server.count("POST", "/uploads/") > 0, "an upload began");
    assert!(open.0.lock().unwrap().is_empty(), "{:?}", open.0);
}
