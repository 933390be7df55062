//! The Debian package: installed, looked at, removed, and read by lintian.

use std::{fs, path::Path};

use esb_test::ensure_packages;

use crate::{
    checks::Outcome,
    command::{command, output},
    dist::{Release, build::Program, debian},
};

/// Installs the package below a folder, looks at what is there, and removes it.
pub(super) fn installed(release: &Release, program: &Program, folder: &Path) -> Outcome {
    let package = release.file(&debian::name(release, program.target.debian));
    debian::prepare_root(folder)?;
    let dpkg = |arguments: &[&str]| {
        let mut dpkg = command("dpkg");
        dpkg.arg(format!("--root={}", folder.display())).arg("--force-script-chrootless");
        output(dpkg.args(arguments)).map(drop)
    };
    dpkg(&["--install", &package.to_string_lossy()])?;
    output(command(folder.join("usr/bin/esb")).arg("version"))?;
    for name in [
        "usr/share/man/man1/esb-deploy.1.gz",
        "usr/share/zsh/vendor-completions/_esb",
        "usr/share/fish/vendor_completions.d/esb.fish",
        "usr/share/doc/esb/copyright",
    ] {
        fs::metadata(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    let completion = folder.join("usr/share/bash-completion/completions/esb");
    let mut bash = command("bash");
    bash.args(["-euc", "source \"$1\"; complete -p esb", "bash"]).arg(completion);
    output(&mut bash)?;
    dpkg(&["--purge", "esb"])?;
    if let Ok(left) = fs::read_dir(folder.join("usr")) {
        let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
        return Err(format!("after the package was removed there is {left:?}").into());
    }
    Ok(())
}

/// Lets lintian read the package.
pub(super) fn lint(release: &Release, program: &Program) -> Outcome {
    ensure_packages(&["lintian"])?;
    let package = release.file(&debian::name(release, program.target.debian));
    let mut lintian = command("lintian");
    lintian.args(["--no-cfg", "--allow-root", "--fail-on", "error,warning"]).arg(package);
    output(&mut lintian).map(drop)
}
