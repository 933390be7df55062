//! Faults of a fleet: the right message and exit code, nothing published, no failure while another
//! daemon is left, and no process left running.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use esb_test::{Buildkitd, Fault, LoggingProxy, Registry, Rule};

use super::{
    Site,
    certificates::{self, NAME},
    daemons, equal, template,
};
use crate::{
    checks::{Outcome, Trouble},
    command::output,
    e2e::parts::{Said, expect},
};

const LIMIT: Duration = Duration::from_mins(1);

/// Failures that no daemon can help with.
pub(super) fn told(site: &Site<'_>) -> Outcome {
    let root = site.project("told", 1, "RUN cp requirements.txt installed.txt")?;
    expect(&mut site.deploy(&root), 0)?;
    let published = root.join("published/functions.yml");
    let before = fs::read(&published)?;
    fs::write(root.join("f0/app.py"), "changed = True\n")?;
    let address = site.daemons[0].address();
    let tls = |folder: &Path| site.deploy_with(&root, &[address], folder);
    let refused = |command: &mut Command, words: &[&str]| {
        let said = expect(command, 4)?;
        let all = said.stdout + &said.stderr;
        let missing = words.iter().find(|word| !all.contains(**word));
        match missing {
            None => Ok(()),
            Some(word) => Err(Trouble::Failed(format!("`{word}` is not said:\n{all}"))),
        }
    };
    refused(
        &mut site.deploy_through(&root, &["tcp://127.0.0.1:9"]),
        &["no BuildKit daemon", ":9"],
    )?;
    let foreign = site.folder.join("foreign");
    certificates::make(&foreign)?;
    refused(
        &mut tls(&foreign.join("client")),
        &["no BuildKit daemon", "invalid peer certificate"],
    )?;
    let mut late = tls(&site.tls().join("expired"));
    // Its alert may come before the end of the connection, or be lost with it.
    refused(&mut late, &["no BuildKit daemon answers", "tcp://127.0.0.1"])?;
    let late = site.folder.join("late");
    let late = Buildkitd::start_with_tls(&late, &site.tls().join("expired"))?;
    let mut command = site.deploy_through(&root, &[late.address()]);
    refused(&mut command, &["no BuildKit daemon", "peer certificate", "xpired"])?;
    let mut wrong = site.deploy_through(&root, &[address]);
    refused(wrong.args(["--buildkit-server-name", "other.test"]), &["not valid for name"])?;

    let proxy = LoggingProxy::start(site.parts.registry.address())?;
    proxy.inject(Rule::on("POST", "/blobs/uploads/", Fault::status(403)));
    let mut command = site.deploy(&root);
    let refusing = command.args(["--buildkit-registry", &proxy.address()]);
    refused(refusing, &["403", "tcp://127.0.0.1"])?;

    let dockerfile = root.join("f0/Dockerfile");
    let good = fs::read_to_string(&dockerfile)?;
    fs::write(&dockerfile, format!("{good}RUN echo what went wrong && exit 3\n"))?;
    let said = expect(&mut site.deploy(&root), 3)?;
    let said = said.stdout + &said.stderr;
    for word in ["in line 7 of the Dockerfile on tcp://127.0.0.1", "what went wrong", "exit 3"] {
        if !said.contains(word) {
            return Err(Trouble::Failed(format!("`{word}` is not said:\n{said}")));
        }
    }
    fs::write(&dockerfile, good)?;
    equal("published", &before, &fs::read(&published)?)?;
    let mut named = site.deploy(&root);
    expect(named.args(["--buildkit-server-name", NAME]), 0).map(drop)
}

/// A daemon that pushes to another registry than ours is found out before anything is published.
pub(super) fn elsewhere(site: &Site<'_>) -> Outcome {
    let root = site.project("elsewhere", 1, "")?;
    fs::write(root.join("f0/Dockerfile"), "FROM scratch\nCOPY app.py /\n")?;
    let other = Registry::start(&root.join("registry"))?;
    let mut command = site.deploy(&root);
    command.args(["--builder", "buildkit", "--buildkit-registry", other.address()]);
    expect(&mut command, 4)?.tells(&["a daemon pushed", "is not there"])?;
    if root.join("published/functions.yml").exists() {
        return Err("an image that is not there was published".into());
    }
    Ok(())
}

/// Ctrl-C during a step.
pub(super) fn interrupted(site: &Site<'_>) -> Outcome {
    let root = site.project("interrupted", 2, "RUN sleep 300")?;
    let mut running = Running::start(&root, &mut site.deploy(&root))?;
    output(Command::new("kill").arg("-INT").arg(running.child.id().to_string()))?;
    let status = running.child.wait()?;
    equal("exit code", &Some(130), &status.code())?;
    if root.join("published/functions.yml").exists() {
        return Err("an interrupted deploy published".into());
    }
    let start = Instant::now();
    loop {
        let mut running = String::new();
        for daemon in &site.daemons {
            running += &output(daemon.buildctl()?.args(["debug", "histories"]))?;
        }
        running.retain(|c| c != '\t');
        if !running.lines().any(|line| line.starts_with("STARTED")) {
            return Ok(());
        }
        if start.elapsed() > Duration::from_secs(15) {
            return Err(Trouble::Failed(format!("builds still run:\n{running}")));
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// A daemon that is killed in the middle and comes back: its build moves, and the next one that
/// belongs to it is built on it again. The step takes longer than a daemon is left alone.
pub(super) fn returned(site: &mut Site<'_>) -> Outcome {
    let root = site.project("returned", 4, "RUN sleep 6")?;
    let planned = daemons(&expect(site.deploy(&root).arg("--dry-run"), 0)?.json()?);
    let belonging = |daemon: &Buildkitd| -> Vec<usize> {
        let name = |number: &usize| format!("esb-returned-{number}:latest");
        (0..4).filter(|number| planned[&name(number)] == daemon.address()).collect()
    };
    // Of four on two daemons one has two at least.
    let at = site.daemons.iter().position(|daemon| belonging(daemon).len() > 1);
    let at = at.ok_or("no daemon has two of four images")?;
    let two = belonging(&site.daemons[at]).into_iter().take(2);
    fs::write(root.join("template.yaml"), template("returned", two))?;

    let running = Running::start(&root, site.deploy(&root).args(["--jobs", "1"]))?;
    equal("the daemon that works", &at, &running.at(site)?)?;
    site.daemons[at].kill();
    site.daemons[at].restart()?;
    let said = running.ends()?;
    said.tells(&["cannot build it, so the next one does"])?;
    let built = daemons(&said.json()?);
    let on = |at: usize| {
        let address = site.daemons[at].address();
        built.values().filter(|daemon| *daemon == address).count()
    };
    equal(
        "images on the other daemon and on the one that came back",
        &(1, 1),
        &(on(1 - at), on(at)),
    )
}

/// Daemons that are lost in the middle: killed, stopped, and full. No build is lost with them.
pub(super) fn lost(site: &mut Site<'_>) -> Outcome {
    let disk = site.folder.join("full");
    fs::create_dir_all(&disk)?;
    output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(&disk))?;
    let full = site.daemon("full").and_then(|full| full_disk(site, &full));
    esb_test::detach_below(&disk);
    full?;

    let root = site.project("stalled", 1, "RUN sleep 4")?;
    let running = Running::start(&root, &mut site.deploy(&root))?;
    let at = running.at(site)?;
    site.daemons[at].freeze()?;
    let start = Instant::now();
    let moved = running.succeeds("it said nothing for 20 s", site.daemons[1 - at].address());
    site.daemons[at].thaw()?;
    moved?;
    if start.elapsed() > Duration::from_secs(50) {
        return Err(Trouble::Failed(format!("the stall took {:?}", start.elapsed())));
    }

    let root = site.project("killed", 1, "RUN sleep 5")?;
    let running = Running::start(&root, &mut site.deploy(&root))?;
    let at = running.at(site)?;
    site.daemons[at].kill();
    let left = site.daemons[1 - at].address();
    running.succeeds("cannot build it, so the next one does", left)
}

fn full_disk(site: &Site<'_>, full: &Buildkitd) -> Outcome {
    let root = site.project("full", 1, "RUN cp requirements.txt installed.txt")?;
    let said = expect(&mut site.deploy_through(&root, &[full.address()]), 4)?;
    if !(said.stdout + &said.stderr).contains("no space left on device") {
        return Err("a full disk is not told".into());
    }
    let both = [full.address(), site.daemons[0].address()];
    let said = expect(&mut site.deploy_through(&root, &both), 0)?.json()?;
    equal("daemon", &Some(both[1]), &said["images"][0]["daemon"].as_str())
}

/// A deploy whose step runs on a daemon.
struct Running {
    child: Child,
    stderr: PathBuf,
}

impl Running {
    /// Starts a deploy and waits until a daemon works on its step.
    fn start(root: &Path, command: &mut Command) -> Outcome<Self> {
        let stderr = root.join("stderr");
        let file = fs::File::create(&stderr)?;
        let child = command.stdout(Stdio::piped()).stderr(file).spawn()?;
        let mut running = Self { child, stderr };
        let start = Instant::now();
        while !running.said()?.contains("RUN sleep") {
            let ended = running.child.try_wait()?.is_some();
            if ended || start.elapsed() > LIMIT {
                return Err(Trouble::Failed(format!("no step runs:\n{}", running.said()?)));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn said(&self) -> Outcome<String> {
        Ok(fs::read_to_string(&self.stderr)?)
    }

    /// The daemon that works.
    fn at(&self, site: &Site<'_>) -> Outcome<usize> {
        let said = self.said()?;
        let at = |daemon: &Buildkitd| said.contains(&format!("built on {}", daemon.address()));
        Ok(site.daemons.iter().position(at).ok_or("no daemon is said to work")?)
    }

    /// What the deploy said; fails unless it ends well.
    fn ends(self) -> Outcome<Said> {
        let ended = self.child.wait_with_output()?;
        let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
        let said = Said { stdout, stderr: fs::read_to_string(self.stderr)? };
        if ended.status.success() {
            return Ok(said);
        }
        Err(Trouble::Failed(format!("{}:\n{}{}", ended.status, said.stderr, said.stdout)))
    }

    /// Fails unless the deploy ends well, says that, and names the daemon that built.
    fn succeeds(self, words: &str, daemon: &str) -> Outcome {
        let said = self.ends()?;
        said.tells(&[words])?;
        equal("daemon", &Some(daemon), &said.json()?["images"][0]["daemon"].as_str())
    }
}
