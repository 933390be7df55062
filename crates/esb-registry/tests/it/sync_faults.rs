//! Syncs between two real registries with a proxy before each that does harm: the code of each
//! failure, nothing half done in the target, and a second run that transfers only the rest.

use std::{collections::BTreeSet, time::Duration};

use esb_model::Platform;
use esb_oci::{ContentStore, Image, Reference};
use esb_registry::{
    Client, CopyScope, Error, ErrorKind, Journal, PushReport, PushSession, RegistrySettings,
    SyncItem,
};
use esb_test::{BASIC, Exchange, Fault, LoggingProxy, Registry, RequestHead, Rule};
use tempfile::TempDir;

use crate::images::{Fixed, copy, image, noise, quiet, real_registry, reference, settings};

const SCOPE: fn() -> CopyScope = || CopyScope::Platform(Platform::default());

/// Two registries.
struct Sites {
    source: Registry,
    target: Registry,
    _folders: [TempDir; 2],
}

impl Sites {
    fn start() -> Option<Self> {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let source = real_registry(folders[0].path())?;
        let target = real_registry(folders[1].path())?;
        Some(Self { source, target, _folders: folders })
    }

    /// An image in the source, unlike all others, and a proxy before each registry.
    async fn route(&self, seed: u64, name: &str) -> Route {
        let layers = [noise(seed, 1_500_000), noise(seed + 1, 300_000), noise(seed + 2, 2000)];
        let image = image("amd64", &layers);
        let stored = reference(&format!("{}/{name}:1", self.source.address()));
        plain().push(&image, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();
        let from = LoggingProxy::start(self.source.address()).unwrap();
        let to = LoggingProxy::start(self.target.address()).unwrap();
        let direct = reference(&format!("{}/{name}:1", self.target.address()));
        Route { image, name: name.to_owned(), from, to, direct }
    }
}

/// The way of one image.
struct Route {
    image: Image,
    name: String,
    from: LoggingProxy,
    to: LoggingProxy,
    /// The target without its proxy.
    direct: Reference,
}

impl Route {
    fn item(&self) -> SyncItem {
        let source = reference(&format!("{}/{}:1", self.from.address(), self.name));
        let target = reference(&format!("{}/{}:1", self.to.address(), self.name));
        SyncItem { source, target, scope: SCOPE(), expected: None }
    }

    /// Syncs as a process of its own would.
    async fn sync(&self, client: &Client) -> Result<PushReport, Error> {
        let SyncItem { source, target, .. } = self.item();
        copy(client, &source, &target, SCOPE(), &PushSession::new()).await
    }

    /// The hex digits of the largest layer.
    fn layer(&self) -> String {
        self.image.layers[0].descriptor.digest.hex()
    }

    /// Digests whose upload the target accepted.
    fn arrived(&self) -> BTreeSet<String> {
        let done = |r: &Exchange| r.method == "PUT" && r.status == Some(201);
        let digest = |r: &Exchange| Some(r.target.split_once("sha256%3A")?.1.to_owned());
        self.to.requests().iter().filter(|r| done(r)).filter_map(digest).collect()
    }

    async fn is_there(&self) -> bool {
        plain().verify(&self.direct, self.image.digest()).await.is_ok()
    }

    async fn is_absent(&self) -> bool {
        let found = plain().digest_of(&self.direct).await;
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }
}

fn plain() -> Client {
    crate::images::client()
}

/// Gives up soon.
fn hasty() -> RegistrySettings {
    let mut settings = settings();
    settings.timeouts.stall = Duration::from_millis(300);
    settings.timeouts.answer = Duration::from_millis(600);
    settings
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Source,
    Target,
}

/// Both ways to ask for a manifest.
fn asks_manifest(head: &RequestHead) -> bool {
    matches!(&*head.method, "GET" | "HEAD") && head.target.contains("/manifests/")
}

fn busy(seconds: &str) -> Fault {
    let headers = vec![("Retry-After".to_owned(), seconds.to_owned())];
    Fault::Answer { status: 429, headers, body: Vec::new() }
}

type Case = (&'static str, Side, Rule, Option<(ErrorKind, &'static str)>);

/// Every fault with the kind and the code of the failure; none where the sync succeeds.
fn cases(layer: &str) -> Vec<Case> {
    use Side::{Source, Target};
    let auth = Some((ErrorKind::Auth, "IMAGE_AUTH_FAILED"));
    let pull = |kind| Some((kind, "IMAGE_PULL_FAILED"));
    let push = |kind| Some((kind, "IMAGE_PUSH_FAILED"));
    let of = |status| Rule::new(asks_manifest, Fault::status(status));
    let blob = |fault| Rule::on("GET", layer, fault);
    let upload = |fault| Rule::on("PUT", layer, fault);
    let open = |fault| Rule::on("POST", "/blobs/uploads/", fault);
    let hour = Duration::from_hours(1);
    vec![
        ("manifest-401", Source, of(401), auth),
        ("manifest-403", Source, of(403), auth),
        ("manifest-404", Source, of(404), pull(ErrorKind::NotFound)),
        ("manifest-500", Source, of(500), pull(ErrorKind::Refused)),
        ("blob-401", Source, blob(Fault::status(401)), auth),
        ("blob-403", Source, blob(Fault::status(403)), auth),
        ("blob-404", Source, blob(Fault::status(404)), pull(ErrorKind::NotFound)),
        ("blob-500", Source, blob(Fault::status(500)), pull(ErrorKind::Refused)),
        ("blob-429-too-long", Source, blob(busy("3600")), pull(ErrorKind::Refused)),
        ("blob-429", Source, blob(busy("0")).times(2), None),
        ("blob-reset", Source, blob(Fault::ResetResponse { after: 700_000 }).times(2), None),
        ("blob-truncated", Source, blob(Fault::Truncate { after: 700_000 }).times(2), None),
        ("blob-stalls", Source, blob(Fault::Stall { after: 700_000, time: hour }).times(1), None),
        (
            "blob-corrupt",
            Source,
            blob(Fault::Corrupt { at: 900_000 }),
            Some((ErrorKind::Digest, "IMAGE_DIGEST_MISMATCH")),
        ),
        ("push-401", Target, open(Fault::status(401)), auth),
        ("push-403", Target, open(Fault::status(403)), auth),
        ("push-404", Target, open(Fault::status(404)), push(ErrorKind::NotFound)),
        ("push-429-too-long", Target, open(busy("3600")), push(ErrorKind::Refused)),
        ("push-429", Target, open(busy("0")).times(3), None),
        ("upload-500", Target, upload(Fault::status(500)), push(ErrorKind::Refused)),
        ("upload-403", Target, upload(Fault::status(403)), auth),
        ("upload-reset", Target, upload(Fault::ResetRequest { after: 700_000 }).times(2), None),
        ("upload-hangs", Target, upload(Fault::Hang { time: hour }).times(1), None),
        ("put-401", Target, Rule::on("PUT", "/manifests/", Fault::status(401)), auth),
        (
            "put-500",
            Target,
            Rule::on("PUT", "/manifests/", Fault::status(500)),
            push(ErrorKind::Refused),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_code_and_a_rerun_transfers_only_the_rest() {
    let Some(sites) = Sites::start() else { return };
    let total = cases("").len();
    for number in 0..total {
        let seed = 10 * (number as u64 + 1);
        let probe = sites.route(seed, &format!("case-{number}")).await;
        let (name, side, rule, expected) = cases(&probe.layer()).swap_remove(number);
        let proxy = match side {
            Side::Source => &probe.from,
            Side::Target => &probe.to,
        };
        proxy.inject(rule);
        let first = probe.sync(&Client::new(hasty()).unwrap()).await;
        assert!(proxy.requests().iter().any(|r| r.harmed), "{name} did no harm");
        let arrived = probe.arrived();
        match expected {
            None => {
                first.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(probe.is_there().await, "{name}");
                continue;
            }
            Some((kind, code)) => {
                let error = first.expect_err(name);
                assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{name}: {error}");
                assert!(probe.is_absent().await, "{name}: a manifest without its blobs");
            }
        }
        for proxy in [&probe.from, &probe.to] {
            proxy.heal();
            proxy.clear();
        }
        probe.sync(&plain()).await.unwrap_or_else(|error| panic!("{name}, again: {error}"));
        assert!(probe.is_there().await, "{name}, again");
        let again = probe.from.requests().into_iter().filter(|r| r.method == "GET");
        let again: Vec<String> = again.map(|r| r.target).collect();
        for digest in arrived {
            // The config is read for its platform as well.
            let config = probe.image.config.descriptor.digest.hex() == digest;
            let read = again.iter().filter(|target| target.contains(&digest)).count();
            assert!(read <= usize::from(config), "{name}: {digest} went twice: {again:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_of_all_requests_fails() {
    let Some(sites) = Sites::start() else { return };
    for seed in 1..=4 {
        let route = sites.route(1000 * seed, &format!("random-{seed}")).await;
        for (proxy, seed) in [(&route.from, seed), (&route.to, seed + 100)] {
            proxy.inject(Rule::new(|_| true, Fault::status(500)).chance(20, seed));
        }
        let mut settings = hasty();
        // One in ten million fails that often in a row.
        settings.retry.attempts = 10;
        route.sync(&Client::new(settings).unwrap()).await.unwrap();
        let harmed = [&route.from, &route.to]
            .map(|proxy| proxy.requests().iter().filter(|r| r.harmed).count());
        assert!(harmed.iter().sum::<usize>() > 0, "seed {seed}");
        route.from.heal();
        route.to.heal();
        assert!(route.is_there().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_carries_no_credentials() {
    let Some(sites) = Sites::start() else { return };
    let route = sites.route(5, "redirected").await;
    let storage = LoggingProxy::start(sites.source.address()).unwrap();
    let challenge = Fault::Answer {
        status: 401,
        headers: vec![("WWW-Authenticate".to_owned(), "Basic realm=\"x\"".to_owned())],
        body: Vec::new(),
    };
    let bare = |head: &RequestHead| {
        !head.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    };
    route.from.inject(Rule::new(bare, challenge));
    for blob in route.image.layers.iter().chain([&route.image.config]) {
        let digest = blob.descriptor.digest;
        let location = format!("http://{}/v2/redirected/blobs/{digest}", storage.address());
        let headers = vec![("Location".to_owned(), location)];
        let away = Fault::Answer { status: 307, headers, body: Vec::new() };
        route.from.inject(Rule::on("GET", &digest.hex(), away));
    }
    let credentials = Fixed::basic("secret");
    let client = Client::new(hasty().with_credentials(credentials)).unwrap();
    route.sync(&client).await.unwrap();
    assert!(route.is_there().await);
    let sent = route.from.requests();
    assert!(sent.iter().any(|r| r.header("authorization") == Some(BASIC)), "{sent:#?}");
    let sent = storage.requests();
    assert!(sent.len() >= 4 && sent.iter().all(|r| r.header("authorization").is_none()));
}

#[test]
fn a_sync_that_was_killed_goes_on_inside_a_blob() {
    // What a runtime has under way ends with it, as with a process.
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let outside = runtime();
    let Some(sites) = Sites::start() else { return };
    let route = outside.block_on(sites.route(77, "killed"));
    let folder = tempfile::tempdir().unwrap();
    let process = || {
        let store = ContentStore::open(folder.path()).unwrap();
        let slow = Duration::ZERO;
        Client::new(settings().with_store(Some(store)).with_slow(slow)).unwrap()
    };
    let kept = folder.path().join("partial").join(route.layer());
    let hour = Duration::from_hours(1);
    let stall = Fault::Stall { after: 1_200_000, time: hour };
    route.from.inject(Rule::on("GET", &route.layer(), stall));
    let (inside, doomed) = (runtime(), process());
    inside.block_on(async {
        let both = futures_util::future::select(
            Box::pin(route.sync(&doomed)),
            Box::pin(async {
                while std::fs::metadata(&kept).map_or(0, |found| found.len()) < 1_100_000 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }),
        );
        assert!(matches!(both.await, futures_util::future::Either::Right(_)), "it ended by itself");
    });
    drop(inside);
    let left = std::fs::metadata(&kept).unwrap().len();
    route.from.heal();
    route.from.clear();
    outside.block_on(async {
        assert!(route.is_absent().await);
        route.sync(&process()).await.unwrap();
        assert!(route.is_there().await);
    });
    let requests = route.from.requests();
    let rest: Vec<&Exchange> =
        requests.iter().filter(|r| r.target.contains(&route.layer())).collect();
    assert_eq!(rest.len(), 1, "{rest:#?}");
    assert_eq!(rest[0].header("range"), Some(&*format!("bytes={left}-")), "{rest:#?}");
    assert_eq!(rest[0].response_bytes, 1_500_000 - left);
    assert!(!kept.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_that_were_left_do_no_harm() {
    let Some(sites) = Sites::start() else { return };
    let route = sites.route(66, "spoiled").await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("partial").join(route.layer());
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, noise(1, 1_200_000)).unwrap();
    let store = ContentStore::open(folder.path()).unwrap();
    let client = Client::new(settings().with_store(Some(store)));
    route.sync(&client.unwrap()).await.unwrap();
    assert!(route.is_there().await && !kept.exists());
    let requests = route.from.requests();
    let asked = requests.iter().filter(|r| r.target.contains(&route.layer()));
    let asked: Vec<_> = asked.map(|r| r.header("range")).collect();
    assert_eq!(asked, [Some("bytes=1200000-"), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_at_once_both_end_well() {
    let Some(sites) = Sites::start() else { return };
    let route = sites.route(88, "twice").await;
    let folder = tempfile::tempdir().unwrap();
    let process = async || {
        let store = ContentStore::open(folder.path()).unwrap();
        let journal = Journal::new(store.clone());
        let slow = Duration::ZERO;
        let client = Client::new(settings().with_store(Some(store)).with_slow(slow)).unwrap();
        let plan = client.plan_sync(vec![route.item()], 2, &journal).await;
        let session = PushSession::with_journal(journal);
        let mut synced = client.sync(plan, 2, false, &session, &quiet()).await;
        synced.images.remove(0).report.unwrap()
    };
    let (one, two) = tokio::join!(process(), process());
    let digest = Some(route.image.digest());
    assert_eq!((one.unwrap().digest, two.unwrap().digest), (digest, digest));
    assert!(route.is_there().await);
    assert!(process().await.unwrap().unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_sources_are_all_named_before_anything_is_written() {
    let Some(sites) = Sites::start() else { return };
    let route = sites.route(99, "some").await;
    let mut items = vec![route.item()];
    for name in ["no-such", "nor-this"] {
        let mut item = route.item();
        item.source = reference(&format!("{}/{name}:1", route.from.address()));
        items.push(item);
    }
    let plan = plain().plan_sync(items, 3, &Journal::default()).await;
    let broken: Vec<String> = plan.broken().map(|(_, error)| error.to_string()).collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].contains("/no-such:1") && broken[1].contains("/nor-this:1"), "{broken:?}");
    assert_eq!(route.to.count("PUT", ""), 0);
}
