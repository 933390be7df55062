//! The package for Debian and its relatives, which needs nothing but the kernel.

use std::fs;

use super::{
    Release, Shared,
    build::Program,
    tree::{Tree, gzip},
};
use crate::{
    checks::Outcome,
    command::{command, output, root, target},
};

const DESCRIPTION: &str = "runs AWS SAM applications on your own servers
 esb builds container images of the functions in an AWS SAM template, pushes them to a
 registry and publishes the configuration that an on-premises serverless platform reads.
 It needs neither a container engine nor the internet.";

/// Writes the package.
pub(super) fn package(release: &Release, program: &Program, shared: &Shared) -> Outcome {
    esb_test::ensure_packages(&["dpkg"])?;
    let binary = fs::read(&program.path)?;
    let mut tree = Tree::default();
    tree.add("usr/bin/esb", 0o755, &binary);
    for (page, text) in &shared.manual {
        let section = page.rsplit('.').next().unwrap_or("1");
        tree.add(format!("usr/share/man/man{section}/{page}.gz"), 0o644, &gzip(text)?);
    }
    tree.add("usr/share/bash-completion/completions/esb", 0o644, &shared.bash);
    tree.add("usr/share/zsh/vendor-completions/_esb", 0o644, &shared.zsh);
    tree.add("usr/share/fish/vendor_completions.d/esb.fish", 0o644, &shared.fish);
    let changes = gzip(&fs::read(root().join("CHANGELOG.md"))?)?;
    tree.add("usr/share/doc/esb/changelog.gz", 0o644, &changes);
    tree.add("usr/share/doc/esb/copyright", 0o644, copyright(shared)?.as_bytes());
    tree.add("DEBIAN/control", 0o644, control(release, program, binary.len()).as_bytes());

    let folder = target().join("dist/debian").join(program.target.debian);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    tree.write(&folder)?;
    let name = format!("esb_{}-1_{}.deb", release.version, program.target.debian);
    let mut build = command("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(&folder);
    build.arg(release.folder.join(name)).env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    output(&mut build).map(drop)
}

fn control(release: &Release, program: &Program, bytes: usize) -> String {
    format!(
        "Package: esb\nVersion: {}-1\nArchitecture: {}\nMaintainer: esb maintainers \
         <esb@localhost>\nInstalled-Size: {}\nSection: devel\nPriority: optional\nDescription: \
         {DESCRIPTION}\n",
        release.version,
        program.target.debian,
        bytes.div_ceil(1024),
    )
}

fn copyright(shared: &Shared) -> Outcome<String> {
    let mut text = "esb is licensed under MIT or Apache-2.0, at your choice.\n\n".to_owned();
    text.push_str(&fs::read_to_string(root().join("LICENSE-MIT"))?);
    text.push_str("\nOn Debian systems the Apache licence is in /usr/share/common-licenses.\n\n");
    text.push_str(&String::from_utf8_lossy(&shared.licences));
    Ok(text)
}
