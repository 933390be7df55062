//! The commands of README's section on installation, as they stand there, against a local server.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Registry, ensure_packages, find_program};

use super::{super::Release, fresh, server::Server};
use crate::{
    checks::Outcome,
    command::{command, output, root},
    dist::debian,
};

/// Where the commands would change the machine, they change folders of the test.
const PRELUDE: &str = r#"
sudo() { "$@"; }
dpkg() {
    case "$1" in
        --install) command dpkg --root="$PWD/root" --force-script-chrootless --force-not-root "$@" ;;
        *) command dpkg "$@" ;;
    esac
}
skopeo() { command skopeo --insecure-policy "$@" --dest-tls-verify=false; }
"#;

/// The ways to install that a test can go: the archive, the package, the image.
const WAYS: usize = 3;

/// Runs all commands, and looks at what was installed.
pub(super) fn all(release: &Release, server: &Server, folder: &Path) -> Outcome {
    let blocks = blocks("README.md", "Install")?;
    if self::blocks("docs/ja/README.md", "インストール")? != blocks {
        return Err("docs/ja/README.md installs by other commands than README.md".into());
    }
    let [archive, package, image] = &blocks[..] else {
        return Err(format!("README has other than {WAYS} ways to install").into());
    };
    let says_version = |esb: PathBuf| -> Outcome {
        let said = output(command(esb).arg("version"))?;
        let start = format!("esb {} ", release.version);
        if said.starts_with(&start) { Ok(()) } else { Err(format!("installed `{said}`").into()) }
    };

    let here = fresh(folder, "archive")?;
    fs::create_dir_all(here.join("bin"))?;
    shell(server, &here, &archive.replace("/usr/local/bin", "bin"))?;
    says_version(here.join("bin/esb"))?;

    let here = fresh(folder, "package")?;
    debian::prepare_root(&here.join("root"))?;
    shell(server, &here, package)?;
    says_version(here.join("root/usr/bin/esb"))?;

    if find_program("skopeo").is_none() {
        ensure_packages(&["skopeo"])?;
    }
    let here = fresh(folder, "image")?;
    let registry = Registry::start(&here.join("registry"))?;
    shell(server, &here, &image.replace("registry.example.com", registry.address()))?;
    let name = format!("docker://{}/esb:{}", registry.address(), release.version);
    let raw = output(command("skopeo").args(["inspect", "--tls-verify=false", "--raw", &name]))?;
    match ["amd64", "arm64"].iter().find(|name| !raw.contains(*name)) {
        Some(name) => Err(format!("the image is not for {name}: {raw}").into()),
        None => Ok(()),
    }
}

/// The commands of each block of a section.
fn blocks(page: &str, heading: &str) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(root().join(page))?;
    let section = text.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.ok_or_else(|| format!("{page} has no section {heading}"))?;
    let blocks = section.split("```console\n").skip(1).map(|block| {
        let lines = block.split("```").next().unwrap_or_default().lines();
        let lines = lines.map(|line| line.strip_prefix("$ ").unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(blocks.collect())
}

fn shell(server: &Server, folder: &Path, commands: &str) -> Outcome {
    let mut shell = Command::new("bash");
    shell.args(["-euc", &format!("{PRELUDE}{commands}")]).current_dir(folder);
    output(shell.env("ESB_RELEASES", server.address("files"))).map(drop)
}
