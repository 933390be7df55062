//! Registries that would keep a client busy for ever, and those that fail so often that one nearly
//! gives up.

use esb_model::Platform;
use esb_oci::Digest;
use esb_registry::{Client, CopyScope, ErrorKind, PushSession, RegistrySettings, repository};
use esb_test::{Fault, LoggingProxy, Rule};

use crate::{
    fake::{Response, Server},
    images::{client, copy, image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry},
};

/// A server that does not know ranges and always cuts: only bytes that are new are progress.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_always_cuts_at_the_same_place_is_given_up() {
    let registry = MemoryRegistry::start(Manners::default());
    let image = image("amd64", &[noise(1, 500_000)]);
    let stored = reference(&format!("{}/app:1", registry.server.address()));
    client().push(&image, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();
    let layer = image.layers[0].descriptor.digest.hex();
    for fault in [
        Fault::Truncate { after: 100_000 },
        Fault::ResetResponse { after: 100_000 },
        Fault::Truncate { after: 0 },
    ] {
        let proxy = LoggingProxy::start(&registry.server.address()).unwrap();
        proxy.inject(Rule::on("GET", &layer, fault.clone()));
        let from = reference(&format!("{}/app:1", proxy.address()));
        let found = client().resolve(&from, Platform::default()).await.unwrap();
        let error = found.image.layers[0].read(u64::MAX).await.unwrap_err();
        assert!(error.to_string().contains(&layer), "{error}");
        let most = settings().retry.attempts as usize + 1;
        let asked = proxy.count("GET", &layer);
        assert!(asked <= most, "{fault:?}: {asked} requests");
    }
}

/// Progress all the same, a byte at a time: what is asked for has an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_sends_one_byte_at_a_time_is_given_up_some_day() {
    let content = noise(2, 10_000);
    let whole = content.clone();
    let server = Server::start(move |request| {
        let from = request.header("range").unwrap_or("bytes=0-");
        let from: usize = from.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
        Response::new(206).with("Content-Range", range).body(&whole[from..=from])
    });
    let at = reference(&format!("{}/app:1", server.address()));
    let digest = Digest::of(&content);
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{digest}","size":1}},"layers":[{{"mediaType":"x","digest":"{digest}","size":10000}}]}}"#
    );
    let image = client().image_at(&at, manifest.into()).unwrap();
    image.layers[0].read(u64::MAX).await.unwrap_err();
    let asked = server.count("GET", "/blobs/");
    assert!((50..200).contains(&asked), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_names_that_goes_round_ends() {
    for pages in [vec!["a"], vec!["a", "b"], vec!["a", "b", "c"]] {
        let server = Server::start(move |request| {
            let last = request.query("last").first().cloned();
            let next = last.and_then(|last| pages.iter().position(|page| *page == last));
            let page = pages[next.map_or(0, |at| (at + 1) % pages.len())];
            let names = format!(r#"{{"name":"app","tags":["{page}"]}}"#);
            Response::new(200).with("Link", "</v2/app/tags/list>; rel=\"next\"").body(names)
        });
        let at = repository(&reference(&format!("{}/app:1", server.address())));
        let tags = client().tags(&at).await.unwrap();
        assert!(tags.len() <= 5 && server.requests().len() <= 5, "{tags:?}");
    }
}

/// Three of ten requests fail, in three ways: with the policy of every run all of twenty end well.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_third_of_all_requests_failing_twenty_of_twenty_runs_end_well() {
    let (source, target) =
        (MemoryRegistry::start(Manners::default()), MemoryRegistry::start(Manners::default()));
    let mut policy = settings();
    policy.retry.attempts = RegistrySettings::default().retry.attempts;
    let mut harmed = [0; 2];
    for run in 1..=20 {
        let image = image("amd64", &[noise(run, 200_000), noise(run + 100, 30_000), noise(3, 10)]);
        let stored = reference(&format!("{}/run-{run}:1", source.server.address()));
        client().push(&image, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();
        let route = [&source, &target].map(|registry| {
            let proxy = LoggingProxy::start(&registry.server.address()).unwrap();
            for (at, fault) in [
                Fault::status(500),
                Fault::ResetResponse { after: 0 },
                Fault::Truncate { after: 20_000 },
            ]
            .into_iter()
            .enumerate()
            {
                // 11 %, of what is left 11 %, and so on: 30 % in all.
                proxy.inject(Rule::new(|_| true, fault).chance(11, run * 10 + at as u64));
            }
            proxy
        });
        let client = Client::new(policy.clone()).unwrap();
        let session = PushSession::new();
        let name = |at: usize| reference(&format!("{}/run-{run}:1", route[at].address()));
        assert!(client.finds(name(1).registry()).await, "run {run}");
        let scope = CopyScope::Platform(Platform::default());
        let copied = copy(&client, &name(0), &name(1), scope, &session).await;
        copied.unwrap_or_else(|error| panic!("run {run}: {error} {error:?}"));
        let pushed = client.push(&image, &name(1), &["latest"], &session, &quiet()).await;
        pushed.unwrap_or_else(|error| panic!("run {run}: {error} {error:?}"));
        client.confirm_accepted(&session).await.unwrap();
        for (count, proxy) in harmed.iter_mut().zip(&route) {
            *count += proxy.requests().iter().filter(|request| request.harmed).count();
        }
    }
    assert!(harmed.iter().all(|count| *count > 20), "{harmed:?}");
    // What fails for ever is not asked for ever.
    let proxy = LoggingProxy::start(&target.server.address()).unwrap();
    proxy.inject(Rule::new(|_| true, Fault::status(500)));
    let name = reference(&format!("{}/run-1:1", proxy.address()));
    let error = Client::new(policy.clone()).unwrap().digest_of(&name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(proxy.requests().len(), policy.retry.attempts as usize);
}
