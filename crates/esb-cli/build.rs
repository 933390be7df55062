//! Tells the compiler the commit, its time and the target, for `esb version` and manual pages.

use std::{env, fs, path::Path, process::Command};

/// Where this crate lies in its repository.
const FOLDER: &str = "crates/esb-cli/";
/// What `cargo package` writes about the repository.
const PACKAGED: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo:rerun-if-env-changed=ESB_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=ESB_TARGET={}", env::var("TARGET").unwrap_or_default());
    // Builds that can be repeated set the time: https://reproducible-builds.org/specs/source-date-epoch
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let time = env::var("SOURCE_DATE_EPOCH").ok();
    if let Some(time) = time.or_else(|| git(&["log", "-1", "--format=%ct"])) {
        println!("cargo:rustc-env=ESB_TIME={time}");
    }
    // A build outside of a clone can say which commit it is of.
    if env::var_os("ESB_COMMIT").is_some() {
        return;
    }
    if let Ok(packaged) = fs::read_to_string(PACKAGED) {
        if let Some(commit) = commit_of(&packaged) {
            println!("cargo:rustc-env=ESB_COMMIT={commit}");
        }
        return;
    }
    // Elsewhere the repository is one into which somebody copied this crate.
    if git(&["rev-parse", "--show-prefix"]).is_none_or(|folder| folder != FOLDER) {
        return;
    }
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return };
    println!("cargo:rustc-env=ESB_COMMIT={commit}");
    // What a commit or a checkout writes.
    let head = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().map(str::to_owned).chain(head) {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", &name]);
        if let Some(path) = path.filter(|path| Path::new(path).exists()) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// The commit of a package, as short as git's.
fn commit_of(packaged: &str) -> Option<&str> {
    let commit = packaged.split_once("\"sha1\": \"")?.1.split('"').next()?;
    commit.get(..12).filter(|commit| commit.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
