//! Tries what was made: where nothing else is installed, under an emulated processor, and as a
//! Debian package.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Missing, ensure_packages, find_program};

use super::{Release, build::Program};
use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome},
    command::{command, output, root, target},
};

/// Tries the programs and packages.
pub(super) fn all(checks: &mut Checks, release: &Release, programs: &[Program]) {
    let Some(mirrors) = checks.run("base image", || bases::mirrors(&[Version::Python313])) else {
        return;
    };
    let folder = target().join("dist/check");
    let host = checks.run("a folder with nothing but the program and busybox", || {
        let bare = Bare::new(&folder.join("host"), &programs[0], None)?;
        bare.build(&mirrors)
    });
    let other = checks.run("the same on an emulated aarch64", || {
        ensure_packages(&["qemu-user-static"])?;
        let emulator = find_program("qemu-aarch64-static");
        let bare = Bare::new(&folder.join("emulated"), &programs[1], emulator)?;
        bare.build(&mirrors)
    });
    if let (Some(host), Some(other)) = (host, other) {
        checks.run("both architectures build the same digests", || {
            if host == other { Ok(()) } else { Err(format!("{host}\n{other}").into()) }
        });
    }
    checks.run("the Debian package is installed and removed", || {
        installed(release, &folder.join("debian"))
    });
    checks.run("manual pages have no warnings", || manual(&folder.join("debian")));
}

/// A root folder with a project, in which nothing is installed.
struct Bare {
    root: PathBuf,
    /// The program, behind an emulator where it needs one.
    words: Vec<&'static str>,
}

impl Bare {
    fn new(folder: &Path, program: &Program, emulator: Option<PathBuf>) -> Outcome<Self> {
        if !is_root() {
            return Err(Missing::new("`chroot`".to_owned(), "it needs root".to_owned()).into());
        }
        ensure_packages(&["busybox-static"])?;
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        for name in ["bin", "tmp", "project", "bases", "home"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::copy(&program.path, folder.join("bin/esb"))?;
        fs::copy("/bin/busybox", folder.join("bin/busybox"))?;
        let mut words = vec!["/bin/esb"];
        if let Some(emulator) = emulator {
            fs::copy(emulator, folder.join("bin/qemu"))?;
            words.insert(0, "/bin/qemu");
        }
        copy(&root().join("fixtures/quickstart"), &folder.join("project"))?;
        Ok(Self { root: folder.to_owned(), words })
    }

    fn run(&self, arguments: &[&str]) -> Outcome<String> {
        let mut run = Command::new("chroot");
        run.arg(&self.root).args(["/bin/busybox", "env", "-i", "HOME=/home", "CI=true"]);
        run.args(["/bin/busybox", "sh", "-c", "cd /project && exec \"$@\"", "sh"]);
        output(run.args(&self.words).args(arguments).current_dir("/"))
    }

    /// Runs the main commands, and gives the index of the images that were built.
    fn build(&self, mirrors: &[String]) -> Outcome<String> {
        let version = self.run(&["version"])?;
        if !version.contains(env!("CARGO_PKG_VERSION")) {
            return Err(format!("`esb version` said `{version}`").into());
        }
        self.run(&["validate"])?;
        let mut arguments: Vec<String> =
            ["build", "-e", "dev", "--platform", "linux/amd64", "--to", "oci:images"]
                .map(str::to_owned)
                .into();
        for (position, mirror) in mirrors.iter().enumerate() {
            // A layout of this machine is brought into the folder.
            let Some((host, path)) = mirror.split_once("=oci:") else {
                return Err(Missing::new(
                    "a base image on this disk".to_owned(),
                    "the registry of AWS answers here, and a bare folder has no certificates"
                        .to_owned(),
                )
                .into());
            };
            let inside = format!("bases/{position}");
            copy(Path::new(path), &self.root.join(&inside))?;
            arguments.extend(["--mirror".to_owned(), format!("{host}=oci:/{inside}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments)?;
        Ok(fs::read_to_string(self.root.join("project/images/index.json"))?)
    }
}

fn is_root() -> bool {
    output(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn copy(from: &Path, to: &Path) -> Outcome {
    let from = from.join(".");
    output(command("cp").arg("-rL").arg(from).arg(to)).map(drop)
}

/// Installs the package below a folder, looks at what is there, and removes it.
fn installed(release: &Release, folder: &Path) -> Outcome {
    let package = release.folder.join(format!("esb_{}-1_amd64.deb", release.version));
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for name in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::write(folder.join("var/lib/dpkg/status"), "")?;
    let dpkg = |arguments: &[&str]| {
        let mut dpkg = command("dpkg");
        dpkg.arg(format!("--root={}", folder.display())).arg("--force-script-chrootless");
        output(dpkg.args(arguments)).map(drop)
    };
    dpkg(&["--install", &package.to_string_lossy()])?;
    let esb = folder.join("usr/bin/esb");
    output(command(&esb).arg("version"))?;
    for name in [
        "usr/share/man/man1/esb-deploy.1.gz",
        "usr/share/bash-completion/completions/esb",
        "usr/share/doc/esb/copyright",
    ] {
        fs::metadata(folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    dpkg(&["--purge", "esb"])?;
    if esb.exists() {
        return Err("the program is still there after its package was removed".into());
    }
    // For whoever reads the pages next.
    output(command("dpkg-deb").arg("--extract").arg(package).arg(folder)).map(drop)
}

/// Lets groff read every page.
fn manual(folder: &Path) -> Outcome {
    ensure_packages(&["groff"])?;
    let mut said = String::new();
    for section in ["man1", "man5"] {
        for entry in fs::read_dir(folder.join("usr/share/man").join(section))? {
            let path = entry?.path();
            let mut groff = command("sh");
            groff.args(["-c", "gzip -dc \"$1\" | groff -ww -man -Tutf8 -z 2>&1", "sh"]).arg(&path);
            let warnings = output(&mut groff)?;
            if !warnings.is_empty() {
                let _ = write!(said, "{}: {warnings}", path.display());
            }
        }
    }
    if said.is_empty() { Ok(()) } else { Err(said.into()) }
}
