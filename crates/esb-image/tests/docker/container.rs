//! A container that runs.

use std::{collections::BTreeMap, fs, time::Duration};

use esb_image::{Engine as _, RunSpec, docker::DockerEngine};

/// A port on loopback, the log, and the end; with and without being told to.
pub(crate) async fn a_container_runs(daemon: &esb_test::DockerEngine, engine: &DockerEngine) {
    let mounted = tempfile::tempdir().unwrap();
    fs::write(mounted.path().join("more.html"), "mounted\n").unwrap();
    let spec = RunSpec {
        image: "esb-server:latest".to_owned(),
        environment: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
        port: 8080,
        labels: BTreeMap::from([("com.example.test".to_owned(), "1".to_owned())]),
        mounts: vec![(mounted.path().to_owned(), "/www/more".to_owned())],
        memory: Some(64),
    };
    let container = engine.run(&spec).await.unwrap();
    assert!(container.address().ip().is_loopback());
    for (path, expected) in [("/", "hello\n"), ("/more/more.html", "mounted\n")] {
        assert_eq!(fetch(container.address(), path).await, expected);
    }
    assert_eq!(container.exit_code().await.unwrap(), None);
    // The server writes after it has answered.
    let mut logs = String::new();
    for _ in 0..100 {
        logs = container.logs().await.unwrap();
        if !logs.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(logs.contains("/more/more.html") || logs.contains("200"), "{logs}");
    container.stop(Duration::from_secs(1)).await.unwrap();
    assert_eq!(daemon.output(["ps", "--all", "--quiet"]).unwrap(), "");

    let dropped = engine.run(&spec).await.unwrap();
    drop(dropped);
    assert_eq!(daemon.output(["ps", "--all", "--quiet"]).unwrap(), "");

    let unknown = RunSpec { image: "esb-none:1".to_owned(), ..spec };
    let error = engine.run(&unknown).await.err().expect("no such image");
    assert!(error.to_string().contains("esb-none:1"), "{error}");
}

/// Asks until the server inside listens.
async fn fetch(address: std::net::SocketAddr, path: &str) -> String {
    for _ in 0..100 {
        let answer =
            esb_test::request(&address.to_string(), "GET", path, &[], &[], Duration::from_secs(2));
        if let Ok(answer) = answer
            && answer.status == 200
        {
            return answer.text();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no answer from {address}{path}");
}
