//! The same content gives the same digests, wherever and by whomever it is built; and building
//! takes little memory, however much there is to build.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt as _, chown},
    process::{Child, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use crate::project::{Project, digests, document};

/// The most memory that a run may take, in KiB.
const MEMORY: u64 = 96 * 1024;

#[test]
fn digests_depend_on_content_alone() {
    let here = Project::new(2);
    let first = digests(&document(&mut here.command("store", &["build", "--to", "oci"])));

    let there = Project::new(2);
    let mut open = vec![there.path().join("functions"), there.path().join("layer")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        // Whoever is not root cannot, and then the owner is the same.
        let _ = chown(&path, Some(1234), Some(1234));
    }
    let esb = there.command("store", &["build", "--to", "oci", "--jobs", "1"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(esb.get_program());
    shell.args(esb.get_args()).current_dir(there.path()).env_clear();
    shell.envs(esb.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("TZ", "Asia/Kathmandu").env("LC_ALL", "tr_TR.UTF-8").env("USER", "nobody");
    assert_eq!(digests(&document(&mut shell)), first);
}

/// The most memory that a process takes for its data, in KiB, seen until it ends. The pages of the
/// program itself are not counted: unoptimised, as it is here, it has twice as many as the one that
/// people run, whose whole memory the benchmark of images measures.
fn peak(mut child: Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn build(project: &Project) -> Child {
    let mut command = project.command("store", &["build", "--to", "oci"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_layer_of_a_gibibyte_takes_little_memory() {
    let project = Project::new(1);
    let large = File::create(project.path().join("layer/python/model.bin")).unwrap();
    large.set_len(1 << 30).unwrap();
    let peak = peak(build(&project));
    assert!((1024..MEMORY).contains(&peak), "{peak} KiB");
}

#[test]
fn five_hundred_functions_take_little_memory() {
    let project = Project::new(500);
    let peak = peak(build(&project));
    assert!((1024..MEMORY).contains(&peak), "{peak} KiB");
}
