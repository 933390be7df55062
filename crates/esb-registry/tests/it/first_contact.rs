//! What goes wrong at the very first request to a registry, and what that says of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use esb_registry::{Client, ErrorKind, PushSession, RegistrySettings, repository};
use esb_test::{Fault, LoggingProxy, Rule};

use crate::{
    fake::{Response, Server},
    images::{Fixed, client, image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry, Wants},
};

/// Faults of a first answer. crane tries again after each of the statuses and after a reset, skopeo
/// after 429.
fn faults() -> Vec<(&'static str, Fault)> {
    let later = |status, after: &str| {
        let headers = vec![("Retry-After".to_owned(), after.to_owned())];
        Fault::Answer { status, headers, body: Vec::new() }
    };
    vec![
        ("429", later(429, "0")),
        ("429 without a time", Fault::status(429)),
        ("500", Fault::status(500)),
        ("502", Fault::status(502)),
        ("503", later(503, "0")),
        ("503 at a date", later(503, "Fri, 01 Jan 2021 00:00:00 GMT")),
        ("reset", Fault::ResetResponse { after: 0 }),
        ("reset of the request", Fault::ResetRequest { after: 0 }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_of_the_very_first_request_is_survived_whatever_it_asks_for() {
    let registry = MemoryRegistry::start(Manners::default());
    let target = registry.server.address();
    for (number, (name, fault)) in faults().into_iter().enumerate() {
        for question in ["find", "contact", "tag", "push"] {
            let proxy = LoggingProxy::start(&target).unwrap();
            proxy.inject(Rule::new(|_| true, fault.clone()).times(1));
            let (client, session) = (client(), PushSession::new());
            let app = reference(&format!("{}/app-{number}:1", proxy.address()));
            let at = repository(&app);
            match question {
                "find" => assert!(client.finds(&at.registry).await, "{name}"),
                "contact" => client.contact(&at.registry).await.unwrap(),
                "tag" => assert!(client.ping_at(&at, "1", false, &session).await, "{name}"),
                _ => {
                    let image = image("amd64", &[noise(number as u64, 100)]);
                    client.push(&image, &app, &[], &session, &quiet()).await.unwrap();
                }
            }
            assert!(proxy.requests()[0].harmed, "{name}: {question}");
        }
    }
}

/// The registry has answered by then: the two seconds are for that, not for its token server.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_token_is_no_silence() {
    let registry = MemoryRegistry::start(Manners { wants: Wants::Bearer, ..Manners::default() });
    let proxy = LoggingProxy::start(&registry.server.address()).unwrap();
    let slow = Fault::Hang { time: Duration::from_millis(2500) };
    proxy.inject(Rule::on("GET", "/token", slow).times(1));
    let client = Client::new(settings().with_credentials(Fixed::basic("secret"))).unwrap();
    let at = repository(&reference(&format!("{}/app:1", proxy.address())));
    assert!(client.ping_at(&at, "1", false, &PushSession::new()).await);
    assert_eq!(proxy.count("GET", "/token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_failures_without_end_are_no_registry() {
    let hour = Fault::Hang { time: Duration::from_hours(1) };
    for (name, fault) in [("silence", hour), ("500", Fault::status(500))] {
        let proxy = LoggingProxy::start("127.0.0.1:9").unwrap();
        proxy.inject(Rule::new(|_| true, fault));
        let at = repository(&reference(&format!("{}/app:1", proxy.address())));
        let (client, session) = (client(), PushSession::new());
        assert!(!client.finds(&at.registry).await, "{name}");
        assert!(!client.ping_at(&at, "1", false, &session).await, "{name}");
    }
    let proxy = LoggingProxy::start("127.0.0.1:9").unwrap();
    proxy.inject(Rule::new(|_| true, Fault::status(503)));
    let error = client().contact(&proxy.address()).await.unwrap_err();
    assert!(error.is_telling() && error.kind() == ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("503"), "{error}");
    assert!(proxy.requests().len() > 5, "as patient as with any other request");
}

/// A registry that was guessed is asked once, one that was named as often as the policy says.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_an_answer_of_a_guess_only() {
    let free = format!("127.0.0.1:{}", esb_test::free_port().unwrap());
    let mut settings = RegistrySettings::default();
    (settings.retry.base, settings.retry.connects) = (Duration::from_hours(10), 3);
    let client = Client::new(settings.clone()).unwrap();
    let at = repository(&reference(&format!("{free}/app:1")));
    let asked = Instant::now();
    assert!(!client.finds(&free).await);
    assert!(!client.ping_at(&at, "1", false, &PushSession::new()).await);
    // The wait before another attempt is one of hours.
    assert!(asked.elapsed() < Duration::from_mins(1));
    let error = self::client().contact(&free).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unreachable && !error.is_telling(), "{error}");
}

/// Mounting is a shortcut, which can be left out.
#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_fails_is_replaced_by_an_upload() {
    let registry = MemoryRegistry::start(Manners::default());
    for (number, fault) in
        [Fault::status(500), Fault::status(503), Fault::status(200), Fault::status(404)]
            .into_iter()
            .enumerate()
    {
        let proxy = LoggingProxy::start(&registry.server.address()).unwrap();
        proxy.inject(Rule::on("POST", "mount=", fault));
        let image = image("amd64", &[noise(100 + number as u64, 5000)]);
        let (client, session) = (client(), PushSession::new());
        let name = |at: &str| reference(&format!("{}/{at}-{number}:1", proxy.address()));
        client.push(&image, &name("one"), &[], &session, &quiet()).await.unwrap();
        let report = client.push(&image, &name("two"), &[], &session, &quiet()).await.unwrap();
        assert_eq!((report.mounted, report.uploaded), (0, 2), "{number}");
        client.verify(&name("two"), image.digest()).await.unwrap();
        let mounts = proxy.requests().iter().filter(|r| r.target.contains("mount=")).count();
        assert!(mounts <= 12, "{mounts}: each of six is tried twice at most");
    }
}

/// A registry that accepts everything and keeps nothing, or not for good.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_accepted_is_asked_for_again_once() {
    let registry = MemoryRegistry::start(Manners::default());
    let (client, session) = (client(), PushSession::new());
    let image = image("amd64", &[noise(7, 100)]);
    let name = |tag: &str| reference(&format!("{}/app:{tag}", registry.server.address()));
    client.push(&image, &name("1"), &["latest"], &session, &quiet()).await.unwrap();
    let before = registry.server.count("HEAD", "/manifests/");
    client.confirm_accepted(&session).await.unwrap();
    assert_eq!(registry.server.count("HEAD", "/manifests/"), before + 1, "one for two tags");
    client.confirm_accepted(&session).await.unwrap();
    assert_eq!(registry.server.count("HEAD", "/manifests/"), before + 1, "and nothing again");

    // Others move the tag meanwhile: what was accepted is still there.
    let other = self::image("amd64", &[noise(8, 100)]);
    client.push(&image, &name("moved"), &[], &session, &quiet()).await.unwrap();
    client.push(&other, &name("moved"), &[], &PushSession::new(), &quiet()).await.unwrap();
    client.confirm_accepted(&session).await.unwrap();

    let asked = AtomicUsize::new(0);
    let forgetful = Server::start(move |request| match &*request.method {
        "PUT" => {
            let digest = esb_oci::Digest::of(&request.body).to_string();
            Response::new(201).with("Docker-Content-Digest", digest)
        }
        "POST" => Response::new(202).with("Location", "/v2/app/blobs/uploads/1"),
        // It is slow to know what it has, once.
        "HEAD" if request.path().contains("/slow/manifests/") => {
            let known = asked.fetch_add(1, Ordering::SeqCst) >= 3;
            let digest = request.path().rsplit('/').next().unwrap_or_default().to_owned();
            Response::new(if known { 200 } else { 404 }).with("Docker-Content-Digest", digest)
        }
        _ => Response::new(404),
    });
    let name = |at: &str| reference(&format!("{}/{at}", forgetful.address()));
    let slow = name("slow").pinned(image.digest());
    client.push(&image, &slow, &[], &session, &quiet()).await.unwrap();
    client.confirm_accepted(&session).await.unwrap();
    client.push(&image, &name("app:1"), &[], &session, &quiet()).await.unwrap();
    let error = client.confirm_accepted(&session).await.unwrap_err();
    let text = format!("`{0}` accepted `{0}/app:1`, and does not have it", forgetful.address());
    assert_eq!(error.to_string(), text);
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Some("IMAGE_PUSH_FAILED")));
}
