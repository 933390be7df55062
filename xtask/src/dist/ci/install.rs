//! The action's scripts: with a release that stands for a real one, whose programs are scripts, and
//! with the files of this release.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use esb_oci::Digest;

use super::{
    super::Release,
    fresh, odd_releases,
    runner::Runner,
    server::{Server, TOKEN},
};
use crate::{
    checks::Outcome,
    command::{command, output, root, target},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(super) const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// Tries the scripts against a local server, with programs that are scripts.
pub(super) fn scripts() -> Outcome {
    let folder = fresh(&target().join("action"), "scripts")?;
    let releases = folder.join("releases");
    stand_in(&releases.join(format!("v{VERSION}")), VERSION)?;
    let server = Server::start(releases.clone())?;
    installed(&server, &folder)?;
    newest(&server, &folder, &releases)?;
    refused(&server, &folder, &releases)?;
    odd_releases::check(&server, &folder, &releases)?;
    behind_a_token(&server, &folder)?;
    inputs(&server, &folder)?;
    architectures(&server, &folder)?;
    validated(&folder)?;
    same_version()
}

/// Installs this release as the action does.
pub(super) fn of_release(release: &Release, server: &Server, folder: &Path) -> Outcome {
    let runner = Runner::new(&folder.join("release"))?
        .with("ESB_VERSION", release.version)
        .with("ESB_RELEASES", server.address("files"));
    let said = runner.run("install.sh")?.passes()?;
    let start = format!("esb {} ", release.version);
    if said.starts_with(&start) { Ok(()) } else { Err(said.into()) }
}

/// Makes the files of a release whose programs say what they are.
pub(super) fn stand_in(folder: &Path, version: &str) -> Outcome {
    fs::create_dir_all(folder)?;
    let mut sums = String::new();
    for architecture in ARCHITECTURES {
        let name = format!("esb-{version}-{architecture}-unknown-linux-musl");
        let content = folder.join(&name);
        fs::create_dir_all(&content)?;
        let script = format!("#!/bin/sh\necho 'esb {version} commit {architecture}'\n");
        fs::write(content.join("esb"), script)?;
        output(command("chmod").arg("755").arg(content.join("esb")))?;
        let archive = folder.join(format!("{name}.tar.gz"));
        output(command("tar").arg("-czf").arg(&archive).arg("-C").arg(folder).arg(&name))?;
        let sum = Digest::of(&fs::read(&archive)?).hex();
        let _ = writeln!(sums, "{sum}  {name}.tar.gz");
    }
    Ok(fs::write(folder.join("SHA256SUMS"), sums)?)
}

fn runner(server: &Server, folder: &Path, rule: &str) -> Outcome<Runner> {
    let runner = Runner::new(&folder.join("job"))?;
    Ok(runner.with("ESB_VERSION", VERSION).with("ESB_RELEASES", server.address(rule)))
}

/// Whether nothing was installed and nothing is left over.
pub(super) fn is_clean(runner: &Runner) -> Outcome {
    let left = fs::read_dir(runner.temporary())?.count() + fs::read_dir(runner.tools())?.count();
    let said =
        ["GITHUB_PATH", "GITHUB_ENV", "GITHUB_OUTPUT"].map(|name| runner.file(name)).concat();
    if left == 0 && said.is_empty() { Ok(()) } else { Err("something was installed".into()) }
}

fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A first run, a second one, and one that finds a damaged program.
fn installed(server: &Server, folder: &Path) -> Outcome {
    let runner = runner(server, folder, "files")?;
    runner.run("install.sh")?.passes()?;
    let path = runner.file("GITHUB_PATH");
    let program = Path::new(path.trim()).join("esb");
    expect(path.trim().starts_with(&*runner.tools().to_string_lossy()), "the path is another")?;
    output(Command::new(&program).arg("version"))?;
    let cache = runner.temporary().join("esb-cache");
    let expected = format!("ESB_CACHE_DIR={}\n", cache.display());
    expect(runner.file("GITHUB_ENV") == expected, "ESB_CACHE_DIR is another")?;
    let expected = format!("version={VERSION}\npath={path}cache={}\n", cache.display());
    expect(runner.file("GITHUB_OUTPUT") == expected, "the outputs are others")?;
    expect(server.requests().len() == 2, "other than two requests")?;
    expect(fs::read_dir(runner.temporary())?.count() == 0, "files were left over")?;

    runner.run("install.sh")?.passes()?;
    expect(server.requests().is_empty(), "what is installed was downloaded again")?;
    fs::write(&program, "#!/bin/sh\n")?;
    let said = runner.run("install.sh")?.passes()?;
    expect(said.contains(VERSION) && server.requests().len() == 2, "a damaged program stayed")?;

    let kept = Runner::new(&folder.join("job"))?
        .with("ESB_VERSION", format!("v{VERSION}"))
        .with("ESB_RELEASES", server.address("flaky") + "/")
        .with("ESB_CACHE_DIR", "/var/cache/esb")
        .with("RUNNER_TOOL_CACHE", "");
    kept.run("install.sh")?.passes()?;
    expect(
        kept.file("GITHUB_ENV") == "ESB_CACHE_DIR=/var/cache/esb\n",
        "ESB_CACHE_DIR was changed",
    )?;
    server.requests();
    Ok(())
}

/// `latest`, with the addresses of GitHub and with a folder.
fn newest(server: &Server, folder: &Path, releases: &Path) -> Outcome {
    for (base, latest) in [
        ("owner/esb/releases/download", "owner/esb/releases/latest/download"),
        ("plain", "plain/latest"),
    ] {
        let there = releases.join(base).join("v0.9.1-rc.1");
        stand_in(&there, "0.9.1-rc.1")?;
        fs::create_dir_all(releases.join(latest))?;
        fs::copy(there.join("SHA256SUMS"), releases.join(latest).join("SHA256SUMS"))?;
        let runner =
            runner(server, folder, &format!("files/{base}"))?.with("ESB_VERSION", "latest");
        let said = runner.run("install.sh")?.passes()?;
        expect(said.starts_with("esb 0.9.1-rc.1 "), &said)?;
        let paths: Vec<String> = server.requests().into_iter().map(|one| one.path).collect();
        let asked = format!("/files/{latest}/SHA256SUMS");
        expect(paths.len() == 2 && paths[0] == asked, &paths.join(" "))?;
    }
    let runner = runner(server, folder, "files")?.with("ESB_VERSION", "latest");
    runner.run("install.sh")?.refuses("/files/latest/SHA256SUMS is not there (HTTP 404)")?;
    is_clean(&runner)
}

/// Other sums, releases that are not there, and answers of others.
fn refused(server: &Server, folder: &Path, releases: &Path) -> Outcome {
    let forged = releases.join("v3.0.0");
    stand_in(&forged, "3.0.0")?;
    let sums = fs::read_to_string(forged.join("SHA256SUMS"))?;
    for architecture in ARCHITECTURES {
        let path = forged.join(format!("esb-3.0.0-{architecture}-unknown-linux-musl.tar.gz"));
        let bytes = [fs::read(&path)?, vec![0]].concat();
        fs::write(&path, bytes)?;
    }
    stand_in(&releases.join("v3.0.1"), "3.0.1")?;
    fs::write(releases.join("v3.0.1/SHA256SUMS"), sums)?;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for (version, address, expected) in [
        ("3.0.0", server.address("files"), "and SHA256SUMS says"),
        ("3.0.1", server.address("files"), "does not name esb-3.0.1-"),
        ("9.9.9", server.address("files"), "/files/v9.9.9/SHA256SUMS is not there (HTTP 404)"),
        (VERSION, server.address("page"), "does not name esb-"),
        (VERSION, format!("http://{gone}"), "curl: (7)"),
    ] {
        let runner = Runner::new(&folder.join("job"))?
            .with("ESB_VERSION", version)
            .with("ESB_RELEASES", address);
        runner.run("install.sh")?.refuses(expected)?;
        is_clean(&runner)?;
    }
    server.requests();
    Ok(())
}

/// A token reaches its server, and neither another one, a log, nor an argument.
fn behind_a_token(server: &Server, folder: &Path) -> Outcome {
    for token in ["", "another"] {
        let runner = runner(server, folder, "secret")?.with("ESB_TOKEN", token);
        runner.run("install.sh")?.refuses("SHA256SUMS (HTTP 401); `token`")?;
        is_clean(&runner)?;
    }
    server.requests();
    let curl = esb_test::find_program("curl").ok_or("`curl` is missing")?;
    for rule in ["secret", "moved"] {
        let runner = runner(server, folder, rule)?.with("ESB_TOKEN", TOKEN);
        let seen = runner.temporary().with_file_name("arguments");
        let script = format!("echo \"$@\" >> '{}'; exec {} \"$@\"", seen.display(), curl.display());
        runner.program("curl", &script)?;
        let said = runner.run("install.sh")?.passes()?;
        let arguments = fs::read_to_string(&seen)?;
        expect(arguments.contains("--config -"), &arguments)?;
        expect(!arguments.contains(TOKEN) && !said.contains(TOKEN), "the token was shown")?;
        let requests = server.requests();
        for request in &requests {
            let is_given = request.authorization.is_some();
            let is_elsewhere = request.host.starts_with("localhost");
            expect(is_given != is_elsewhere, &format!("{request:?}"))?;
        }
        let moves = requests.iter().filter(|request| request.host.starts_with("localhost"));
        expect(moves.count() == if rule == "moved" { 2 } else { 0 }, &format!("{requests:?}"))?;
    }
    Ok(())
}

/// Inputs that are none are refused before anything is asked for, and cannot be commands.
fn inputs(server: &Server, folder: &Path) -> Outcome {
    for (name, value, expected) in [
        ("ESB_VERSION", "", "`version: ` is no version"),
        ("ESB_VERSION", "1", "`version: 1` is no version"),
        ("ESB_VERSION", "../0.1.0", "is no version"),
        ("ESB_VERSION", "0.1.0/../x", "is no version"),
        ("ESB_VERSION", "0.1.0\n::set-env name=a::100%", "0.1.0%0A::set-env name=a::100%25` is no"),
        ("ESB_RELEASES", "", "`releases` is no address"),
        ("ESB_RELEASES", "file:///srv", "`releases` is no address"),
        ("ESB_RELEASES", "http://a\"\noutput = \"b", "`releases` is no address"),
        ("ESB_RELEASES", "https://host/x?y", "has no password, `?` or `#`"),
        ("ESB_RELEASES", "https://host/x#y", "has no password, `?` or `#`"),
        ("RUNNER_TEMP", "", "`RUNNER_TEMP` names no folder"),
        ("RUNNER_TEMP", "/no/such/folder", "`RUNNER_TEMP` names no folder"),
        ("ESB_CACHE_DIR", "/a\nPATH=/b", "`ESB_CACHE_DIR` holds a line break"),
        ("ESB_RELEASES", "https://user:password@host/x", "has no password"),
        ("ESB_TOKEN", "a\"\nurl = \"http://b", "`token` holds"),
        ("ESB_TOKEN", "a b", "`token` holds"),
    ] {
        let runner = runner(server, folder, "files")?.with(name, value);
        runner.run("install.sh")?.refuses(expected)?;
        is_clean(&runner)?;
    }
    expect(server.requests().is_empty(), "something was asked for")
}

/// Machines by what they call themselves.
fn architectures(server: &Server, folder: &Path) -> Outcome {
    for (system, machine, expected) in [
        ("Linux", "aarch64", Ok("aarch64")),
        ("Linux", "arm64", Ok("aarch64")),
        ("Linux", "x86_64", Ok("x86_64")),
        ("Linux", "riscv64", Err("esb has no program for riscv64")),
        ("Darwin", "arm64", Err("esb has no program for Darwin; run the job on Linux")),
    ] {
        let runner = runner(server, folder, "files")?;
        let names = format!("case \"$1\" in -s) echo {system} ;; *) echo {machine} ;; esac");
        runner.program("uname", &names)?;
        let ran = runner.run("install.sh")?;
        match expected {
            Ok(architecture) => {
                let said = ran.passes()?;
                expect(said.trim_end().ends_with(architecture), &said)?;
            }
            Err(text) => ran.refuses(text)?,
        }
    }
    server.requests();
    Ok(())
}

/// The step that validates hands its templates on, and its log, and its exit code.
fn validated(folder: &Path) -> Outcome {
    let esb = "printf '<%s>' \"$@\" > arguments; printf '%s' \"$LOG\"; exit $CODE";
    for (templates, log, code, expected) in [
        ("", "{}", "0", "<validate><--deny><warnings><--format><sarif>"),
        ("\n  \na b.yaml\r\n-x\n", "{}", "1", "<sarif><--template><a b.yaml><--template><-x>"),
        ("none", "", "2", "<--template><none>"),
        // An upload would close what an earlier run found.
        ("none", "{\"toolExecutionNotifications\": [", "1", "<--template><none>"),
    ] {
        let runner = Runner::new(&folder.join("job"))?
            .with("TEMPLATES", templates)
            .with("LOG", log)
            .with("CODE", code);
        runner.program("esb", esb)?;
        let ran = runner.run("validate.sh")?;
        expect(ran.succeeded == (code == "0"), "the exit code was lost")?;
        let given = runner.file("checkout/arguments");
        expect(given.ends_with(expected), &given)?;
        let sarif = runner.temporary().join("esb.sarif");
        let output = format!("sarif={}\n", sarif.display());
        let output = if log == "{}" { &output } else { "" };
        expect(runner.file("GITHUB_OUTPUT") == output, "the log is another")?;
    }
    Ok(())
}

/// The action installs the version that it came with.
fn same_version() -> Outcome {
    let action = fs::read_to_string(root().join(".github/actions/setup-esb/action.yml"))?;
    let line = format!("\n    default: {VERSION}\n");
    expect(action.contains(&line), &format!("the action's `version` is not {VERSION}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_scripts_of_the_action_do_what_they_say() {
        if let Err(trouble) = super::scripts() {
            panic!("{trouble:?}");
        }
    }
}
