//! The package for Debian and its relatives, which needs nothing but the kernel.

use std::{fs, path::Path};

use super::{
    build::Program,
    dependencies,
    release::Release,
    shared::{Shared, section},
    tree::{Tree, gzip},
};
use crate::{
    checks::Outcome,
    command::{command, output},
};

const MAINTAINER: &str = "esb maintainers <esb@esb.invalid>";

const DESCRIPTION: &str = "run AWS SAM applications on your own servers
 esb builds container images of the functions in an AWS SAM template, pushes
 them to a registry and publishes the configuration that an on-premises
 serverless platform reads. It needs neither a container engine nor the
 internet.";

/// What lintian finds here and is meant.
const OVERRIDES: &str = "\
# One file that runs on every Linux, whatever its C library.
esb: statically-linked-binary
# The package is not one of Debian's own.
esb: initial-upload-closes-no-bugs *
";

/// The package's file.
pub(super) fn name(release: &Release, architecture: &str) -> String {
    format!("esb_{}-1_{architecture}.deb", release.version)
}

/// Makes a folder below which dpkg can install, and knows of no package.
pub(super) fn prepare_root(folder: &Path) -> Outcome {
    for name in ["info", "updates"] {
        fs::create_dir_all(folder.join("var/lib/dpkg").join(name))?;
    }
    Ok(fs::write(folder.join("var/lib/dpkg/status"), "")?)
}

/// Writes the package.
pub(super) fn package(release: &Release, program: &Program, shared: &Shared) -> Outcome {
    esb_test::ensure_packages(&["dpkg"])?;
    let mut tree = Tree::default();
    tree.add("usr/bin/esb", 0o755, &fs::read(&program.path)?);
    for (page, text) in &shared.manual {
        tree.add(format!("usr/share/man/man{}/{page}.gz", section(page)), 0o644, &gzip(text)?);
    }
    tree.add("usr/share/bash-completion/completions/esb", 0o644, &shared.bash);
    tree.add("usr/share/zsh/vendor-completions/_esb", 0o644, &shared.zsh);
    tree.add("usr/share/fish/vendor_completions.d/esb.fish", 0o644, &shared.fish);
    let changes = gzip(&fs::read(release.source.join("CHANGELOG.md"))?)?;
    tree.add("usr/share/doc/esb/changelog.gz", 0o644, &changes);
    let changes = gzip(changelog(release)?.as_bytes())?;
    tree.add("usr/share/doc/esb/changelog.Debian.gz", 0o644, &changes);
    tree.add("usr/share/doc/esb/copyright", 0o644, copyright(release, shared)?.as_bytes());
    tree.add("usr/share/lintian/overrides/esb", 0o644, OVERRIDES.as_bytes());
    let control = control(release, program, tree.size());

    let folder = release.work.join("debian").join(program.target.debian);
    tree.write(&folder)?;
    let mut sums = command("md5sum");
    sums.current_dir(&folder).args(tree.files().map(|(path, _)| path));
    let sums = output(&mut sums)?;
    let mut tree = Tree::default();
    tree.add("DEBIAN/md5sums", 0o644, sums.as_bytes());
    tree.add("DEBIAN/control", 0o644, control.as_bytes());
    tree.write(&folder)?;
    let mut build = command("dpkg-deb");
    // How many processors compress is not to be seen in the result.
    build.args(["--root-owner-group", "-Zxz", "--build"]).env("DPKG_DEB_THREADS_MAX", "1");
    build.arg(&folder).arg(release.file(&name(release, program.target.debian)));
    output(build.env("SOURCE_DATE_EPOCH", release.epoch.to_string())).map(drop)
}

fn control(release: &Release, program: &Program, bytes: usize) -> String {
    format!(
        "Package: esb\nVersion: {}-1\nArchitecture: {}\nMaintainer: {MAINTAINER}\n\
         Installed-Size: {}\nSection: devel\nPriority: optional\nRecommends: ca-certificates\nDescription: {DESCRIPTION}\n",
        release.version,
        program.target.debian,
        bytes.div_ceil(1024),
    )
}

/// What changed in the package, as Debian writes it.
fn changelog(release: &Release) -> Outcome<String> {
    let time = format!("@{}", release.epoch);
    let time = output(command("date").args(["--utc", "--rfc-email", "--date", &time]))?;
    Ok(format!(
        "esb ({}-1) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {}\n",
        release.version,
        time.trim()
    ))
}

fn copyright(release: &Release, shared: &Shared) -> Outcome<String> {
    let mut text = "esb is licensed under MIT or Apache-2.0, at your choice.\n\n".to_owned();
    text.push_str(&fs::read_to_string(release.source.join("LICENSE-MIT"))?);
    let apache = "On Debian systems the Apache licence, version 2.0, is in\n\
                  /usr/share/common-licenses/Apache-2.0.\n";
    text.push('\n');
    text.push_str(apache);
    // Debian has that text once for all packages.
    let licences = shared.licences.iter().map(|licence| licence.without_apache(apache));
    text.push('\n');
    text.push_str(&dependencies::document(licences));
    Ok(text)
}
