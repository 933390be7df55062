//! A registry that requires a password: daemons get it through their session, and it appears
//! nowhere else. A refusal to a daemon is reported as one to `esb` is.

use std::fs;

use esb_test::{Fault, Guard, LoggingProxy, Registry, Rule};
use serde_json::json;

use super::Site;
use crate::{
    checks::{Outcome, Trouble},
    e2e::parts::{Said, expect},
};

/// What must not be said: the password, and what stands for it in files and requests.
const PASSWORD: &str = "secret";

/// Daemons push with the user's own credentials; a wrong password is told.
pub(super) fn asked_for(site: &Site<'_>) -> Outcome {
    let root = site.project("password", 1, "RUN cp requirements.txt installed.txt")?;
    let registry = Registry::start_guarded(&root.join("registry"), Guard::PlainPasswords)?;
    // What daemons ask goes through it, and nothing else does.
    let proxy = LoggingProxy::start(registry.address())?;
    let home = root.join("home");
    fs::create_dir_all(home.join(".docker"))?;
    let login = |basic: &str| {
        let auths = json!({"auths": {registry.address(): {"auth": basic}}});
        fs::write(home.join(".docker/config.json"), auths.to_string())
    };
    let deploy = |code| -> Outcome<Said> {
        let mut command = site.deploy(&root);
        command.env("HOME", &home).env("CONTAINER_REGISTRY", registry.address());
        command.args(["--builder", "buildkit", "--buildkit-registry", &proxy.address()]);
        let said = expect(&mut command, code)?;
        let all = format!("{}{}", said.stdout, said.stderr);
        match [PASSWORD, WRONG, RIGHT].into_iter().find(|word| all.contains(word)) {
            Some(word) => Err(Trouble::Failed(format!("`{word}` was said:\n{all}"))),
            None => Ok(said),
        }
    };
    login(WRONG)?;
    deploy(4)?.tells(&["IMAGE_AUTH_FAILED", "docker login"])?;

    login(RIGHT)?;
    // As a registry does that knows the user, and lets others write.
    proxy.inject(Rule::on("POST", "/blobs/uploads/", Fault::status(401)));
    let login_there = format!("docker login {}", registry.address());
    let denied = ["IMAGE_AUTH_FAILED", "401", "tcp://127.0.0.1", &login_there];
    deploy(4)?.tells(&denied)?;
    if root.join("published/functions.yml").exists() {
        return Err("a deploy that was refused published".into());
    }
    proxy.heal();
    proxy.clear();
    deploy(0)?;
    let expected = format!("Basic {RIGHT}");
    let with = |request: &esb_test::Exchange| {
        request.method == "PUT" && request.header("authorization") == Some(&*expected)
    };
    if !proxy.requests().iter().any(with) {
        return Err("nothing that a daemon wrote had the credentials".into());
    }

    // Without a base, nothing but the push meets the registry, and a daemon does that.
    fs::write(home.join(".docker/config.json"), "{}")?;
    fs::write(root.join("f0/Dockerfile"), "FROM scratch\nCOPY app.py /\n")?;
    deploy(4)?.tells(&["IMAGE_AUTH_FAILED", "tcp://127.0.0.1", &login_there])
}

/// `user:secret` and `user:mistaken`, as files of Docker have them.
const RIGHT: &str = "dXNlcjpzZWNyZXQ=";
const WRONG: &str = "dXNlcjptaXN0YWtlbg==";
