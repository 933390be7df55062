//! Docker's credential helpers, run as programs.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc};

use esb_oci::{CredentialSource as _, Credentials};
use esb_registry::{Client, DockerConfig, PushSession};

use crate::{
    images::{image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry, Wants},
};

/// Tells the test from its own child, which finds the helper on its `PATH`.
const CHILD: &str = "ESB_REGISTRY_TEST_HELPERS";

/// A helper that knows every host on loopback, has an identity token for one, and keeps a list.
const HELPER: &str = r#"#!/bin/sh
read -r host
echo "$1 $host" >> "$(dirname "$0")/asked"
case "$host" in
  127.0.0.1:*) echo '{"ServerURL":"x","Username":"user","Secret":"secret"}' ;;
  token.example) echo '{"Username":"<token>","Secret":"refresh"}' ;;
  broken.example) echo 'the keyring is locked' >&2; exit 1 ;;
  *) echo 'credentials not found in native keychain'; exit 1 ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_is_asked_once_for_each_host() {
    let Some(folder) = env::var_os(CHILD) else {
        let folder = tempfile::tempdir().unwrap();
        let helper = folder.path().join("docker-credential-esb-test");
        fs::write(&helper, HELPER).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let own = env::var_os("PATH").unwrap_or_default();
        let path = [folder.path().to_owned()].into_iter().chain(env::split_paths(&own));
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", "helpers::a_helper_is_asked_once_for_each_host", "--nocapture"])
            .env(CHILD, folder.path())
            .env("PATH", env::join_paths(path).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let asked = || fs::read_to_string(Path::new(&folder).join("asked")).unwrap();
    for wants in [Wants::Basic, Wants::Bearer] {
        let registry = MemoryRegistry::start(Manners { wants, ..Manners::default() });
        let address = registry.server.address();
        let config = DockerConfig::parse(r#"{"credsStore": "esb-test"}"#).unwrap();
        let client = Client::new(settings().with_credentials(Arc::new(config))).unwrap();
        for number in 0..3 {
            let target = reference(&format!("{address}/app-{number}:1"));
            let image = image("amd64", &[noise(number, 50)]);
            client.push(&image, &target, &[], &PushSession::new(), &quiet()).await.unwrap();
        }
        assert_eq!(asked().matches(&format!("get {address}\n")).count(), 1, "{}", asked());
    }
    let config = r#"{"credHelpers": {"token.example": "esb-test", "broken.example": "esb-test",
        "unknown.example": "esb-test"}}"#;
    let config = DockerConfig::parse(config).unwrap();
    let token = Some(Credentials::identity_token("refresh"));
    assert_eq!(config.credentials("token.example").unwrap(), token);
    assert_eq!(config.credentials("unknown.example").unwrap(), None);
    let error = config.credentials("broken.example").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("the keyring is locked"), "{cause}");
}
