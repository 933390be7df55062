//! The registry and the engine themselves, where this machine can have them.

use esb_test::{DockerEngine, Error, LoggingProxy, Registry, Response, or_skip, request};
use std::time::Duration;

#[expect(clippy::unwrap_used, reason = "a helper of tests may fail as tests do")]
fn ask(address: &str, method: &str, target: &str, body: &[u8]) -> Response {
    let kind = ("Content-Type", "application/octet-stream");
    request(address, method, target, &[kind], body, Duration::from_secs(20)).unwrap()
}

#[test]
fn an_upload_stays_on_the_proxy_and_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut registry) = or_skip(Registry::start(dir.path())) else { return };
    let proxy = LoggingProxy::start(registry.address()).unwrap();
    let address = proxy.address();

    let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let started = ask(&address, "POST", "/v2/some/name/blobs/uploads/", b"");
    assert_eq!(started.status, 202);
    let location = started.header("location").unwrap();
    let upload = location.strip_prefix(&format!("http://{address}")).unwrap();
    assert_eq!(ask(&address, "PUT", &format!("{upload}&digest={digest}"), b"hello").status, 201);
    let blob = format!("/v2/some/name/blobs/{digest}");

    registry.restart().unwrap();
    let got = ask(&address, "GET", &blob, b"");
    assert_eq!((got.status, got.text().as_str()), (200, "hello"));
    assert_eq!(ask(&address, "DELETE", &blob, b"").status, 202);
    assert_eq!(ask(&address, "HEAD", &blob, b"").status, 404);

    let seen: Vec<_> = proxy
        .requests()
        .into_iter()
        .map(|seen| (seen.method, seen.status.unwrap(), seen.request_bytes, seen.response_bytes))
        .collect();
    let expected = [
        ("POST", 202, 0, 0),
        ("PUT", 201, 5, 0),
        ("GET", 200, 0, 5),
        ("DELETE", 202, 0, 0),
        ("HEAD", 404, 0, 0),
    ];
    assert_eq!(
        seen,
        expected.map(|(method, status, sent, got)| (method.to_owned(), status, sent, got))
    );
    let log = std::fs::read_to_string(registry.log()).unwrap();
    assert!(log.contains("DELETE"), "{log}");
}

#[test]
fn two_engines_run_side_by_side_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let Some(first) = or_skip(DockerEngine::start(&dir.path().join("first"))) else { return };
    let second = DockerEngine::start(&dir.path().join("second")).unwrap();
    assert_ne!(first.host(), second.host());
    assert_ne!(
        first.output(["info", "--format", "{{.DockerRootDir}}"]).unwrap(),
        second.output(["info", "--format", "{{.DockerRootDir}}"]).unwrap()
    );
    let same = DockerEngine::existing(first.host()).unwrap();
    assert_eq!(same.output(["ps", "--quiet"]).unwrap(), "");
    let error = same.output(["run", "127.0.0.1:1/no/such:image"]).unwrap_err();
    assert!(matches!(error, Error::Failed { .. }), "{error}");

    let host = first.host().to_owned();
    drop(same); // is not its own, so nothing ends
    assert!(DockerEngine::existing(&host).is_ok());
    drop(first);
    assert!(DockerEngine::existing(&host).is_err());
    drop(second);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let left: Vec<_> =
        mounts.lines().filter(|line| line.contains(dir.path().to_str().unwrap())).collect();
    assert_eq!(left, [""; 0]);
}
