//! Workers that others started: when they are idle, and that their addresses are held.

use std::{
    collections::BTreeMap,
    io,
    net::TcpStream,
    time::{Duration, SystemTime},
};

use esb_image::docker::{AddressResult, ContainerInfo, DockerEngine, PlaceholderSpec, WorkerState};

const IMAGE: &str = "esb-server:latest";
const LIMIT: Duration = Duration::from_secs(20);

/// The address of a worker that ended refuses connections, whatever the network, until the
/// placeholder has ended by itself.
pub(crate) async fn addresses_are_held(daemon: &esb_test::DockerEngine, engine: &DockerEngine) {
    let output = |words: &str| daemon.output(words.split(' ')).unwrap();
    output("network create --subnet 10.214.77.0/24 with-subnet");
    output("network create without-subnet");
    for network in ["with-subnet", "without-subnet", "bridge"] {
        let lower = start(daemon, network, "lower", "httpd -f -p 8080");
        start(daemon, network, "worker", "httpd -f -p 8080");
        // Their addresses are the next ones that the engine gives.
        output(&format!("rm --force {lower}"));
        let worker = engine.container("worker").await.unwrap().unwrap();
        let address = worker.networks[0].address.unwrap();
        assert_eq!(connected(address, true).await, None, "{network}");

        let held = replaced(engine, &worker, 600).await;
        assert_eq!(held, AddressResult::Held, "{network}");
        engine.remove_container(&worker.id).await.unwrap();
        let refused = Some(io::ErrorKind::ConnectionRefused);
        assert_eq!(connected(address, false).await, refused, "{network}");
        let label = [("com.example.placeholder".to_owned(), "1".to_owned())];
        let placeholders = engine.containers(&label).await.unwrap();
        let [placeholder] = &placeholders[..] else { panic!("{network}: {placeholders:?}") };
        assert_eq!(placeholder.networks[0].address, Some(address), "{network}");
        assert_eq!(placeholder.image_id, worker.image_id);

        start(daemon, network, "next", "httpd -f -p 8080");
        let next = engine.container("next").await.unwrap().unwrap();
        assert_ne!(next.networks[0].address, Some(address), "{network}");
        // A short life ends by itself.
        assert_eq!(replaced(engine, &next, 1).await, AddressResult::Held, "{network}");
        for id in [&placeholder.id, &next.id] {
            engine.remove_container(id).await.unwrap();
        }
        wait(async || engine.containers(&label).await.unwrap().is_empty()).await;
    }
    start(daemon, "none", "worker", "sleep 600");
    let worker = engine.container("worker").await.unwrap().unwrap();
    let error = engine.placeholder(&worker, &spec(1)).await.unwrap_err();
    assert!(error.to_string().contains("no address of its own"), "{error}");
    output("rm --force worker");
    assert_eq!(output("ps --all --quiet"), "");
    output("network rm with-subnet without-subnet");
}

/// By the marks of calls in the log, however much else is in it.
pub(crate) async fn busy_is_what_the_log_says(
    daemon: &esb_test::DockerEngine,
    engine: &DockerEngine,
) {
    let timeout = Duration::from_mins(10);
    let short = Duration::from_secs(1);
    let noise = "for i in $(seq 3000); do echo line $i; done";
    for (script, expected) in [
        ("echo INIT", WorkerState::Idle),
        ("echo START RequestId: a Version: x", WorkerState::Busy),
        ("echo START RequestId: a; echo END RequestId: a", WorkerState::Idle),
        ("echo START RequestId: a >&2; sleep 0.2; echo END RequestId: a", WorkerState::Idle),
        (&format!("echo START RequestId: a; {noise}"), WorkerState::Busy),
        (&format!("echo START RequestId: a; {noise}; echo END RequestId: a"), WorkerState::Idle),
        (&format!("echo START RequestId: a; echo END RequestId: a; {noise}"), WorkerState::Idle),
    ] {
        start(daemon, "none", "worker", &format!("sh -c '{script}; echo done; exec sleep 600'"));
        wait(async || daemon.output(["logs", "worker"]).unwrap().ends_with("done")).await;
        let patience = if expected == WorkerState::Idle { LIMIT } else { short };
        let found = engine.quiet_moment("worker", timeout, patience).await.unwrap();
        assert_eq!(found, expected, "{script}");
        if expected == WorkerState::Busy {
            // It is older than a function with that time limit can run.
            let found = engine.quiet_moment("worker", Duration::ZERO, LIMIT).await.unwrap();
            assert_eq!(found, WorkerState::Idle, "{script}");
            let begun = engine.was_cut("worker", SystemTime::UNIX_EPOCH).await.unwrap();
            assert_eq!(begun, script.ends_with('x'), "{script}");
        }
        daemon.output(["rm", "--force", "worker"]).unwrap();
    }
    // Calls that follow each other: the moment after an end.
    let calls = "i=0; while :; do i=$((i+1)); echo START RequestId: $i; sleep 0.1; \
                 echo END RequestId: $i; sleep 0.2; done";
    start(daemon, "none", "worker", &format!("sh -c '{calls}'"));
    let found = engine.quiet_moment("worker", timeout, LIMIT).await.unwrap();
    assert_eq!(found, WorkerState::Idle);
    let wait = engine.quiet_moment("worker", timeout, LIMIT);
    let (gone, ()) = tokio::join!(wait, async {
        daemon.output(["rm", "--force", "worker"]).unwrap();
    });
    assert!(matches!(gone, Ok(WorkerState::Gone | WorkerState::Idle)), "{gone:?}");
    assert_eq!(engine.quiet_moment("worker", timeout, LIMIT).await.unwrap(), WorkerState::Gone);
}

async fn replaced(engine: &DockerEngine, worker: &ContainerInfo, seconds: u64) -> AddressResult {
    let placeholder = engine.placeholder(worker, &spec(seconds)).await.unwrap();
    placeholder.replace(worker).await.unwrap()
}

fn spec(seconds: u64) -> PlaceholderSpec {
    let labels = BTreeMap::from([("com.example.placeholder".to_owned(), "1".to_owned())]);
    PlaceholderSpec { labels, life: Duration::from_secs(seconds) }
}

/// A container that runs an applet of busybox; its id.
fn start(daemon: &esb_test::DockerEngine, network: &str, name: &str, applet: &str) -> String {
    let shell = ["--entrypoint", "/bin/busybox", IMAGE, "sh", "-c"];
    let applet = format!("exec busybox {applet}");
    let arguments = ["run", "--detach", "--network", network, "--name", name];
    daemon.output(arguments.into_iter().chain(shell).chain([&*applet])).unwrap()
}

/// How a connection to port 8080 fails; waits until it does not when it should not.
async fn connected(address: std::net::Ipv4Addr, listens: bool) -> Option<io::ErrorKind> {
    let mut failed = None;
    for _ in 0..100 {
        let connect = move || TcpStream::connect_timeout(&(address, 8080).into(), LIMIT);
        let connected = tokio::task::spawn_blocking(connect).await.unwrap();
        failed = connected.err().map(|error| error.kind());
        if failed.is_none() || !listens {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    failed
}

async fn wait(mut ready: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !ready().await {
        assert!(start.elapsed() < LIMIT, "it did not get ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
