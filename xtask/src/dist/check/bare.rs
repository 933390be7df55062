//! A root folder in which nothing is installed but the program and busybox.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Missing, ensure_packages};

use crate::{
    checks::Outcome,
    command::{command, output, root},
    dist::build::Program,
};

/// What is copied where no mirror of the base images is on this disk: how registries are found and
/// believed.
const OF_THE_MACHINE: [&str; 2] = ["etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"];

/// Such a folder, with a project.
pub(super) struct Bare {
    pub(super) root: PathBuf,
    /// The program, behind an emulator where it needs one.
    words: Vec<&'static str>,
}

impl Bare {
    pub(super) fn new(
        folder: &Path,
        program: &Program,
        emulator: Option<PathBuf>,
    ) -> Outcome<Self> {
        if output(command("id").arg("-u"))?.trim() != "0" {
            return Err(Missing::new("`chroot`", "it needs root").into());
        }
        ensure_packages(&["busybox-static"])?;
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
        // Nothing here installs packages: the code has the module itself.
        let function = folder.join("project/functions/label_order");
        fs::rename(function.join("requirements.txt"), function.join("inflection.py"))?;
        fs::write(function.join("inflection.py"), "")?;
        Ok(Self { root: folder.to_owned(), words })
    }

    /// Runs the program in the project, with no variables but `environment` and two more.
    pub(super) fn run(&self, environment: &[&str], arguments: &[&str]) -> Outcome<String> {
        let mut run = Command::new("chroot");
        run.arg(&self.root).args(["/bin/busybox", "env", "-i", "HOME=/home", "CI=true"]);
        run.args(environment);
        run.args(["/bin/busybox", "sh", "-c", "cd /project && exec \"$@\"", "sh"]);
        output(run.args(&self.words).args(arguments).current_dir("/"))
    }

    /// Runs the main commands, and gives the index of the images that were built.
    pub(super) fn build(&self, mirrors: &[String]) -> Outcome<String> {
        let version = self.run(&[], &["version"])?;
        if !version.contains(env!("CARGO_PKG_VERSION")) {
            return Err(format!("`esb version` said `{version}`").into());
        }
        self.run(&[], &["validate"])?;
        let mirrors = self.mirrors(mirrors)?;
        let mut arguments =
            vec!["build", "-e", "dev", "--platform", "linux/amd64", "--to", "oci:images"];
        arguments.extend(mirrors.iter().map(String::as_str));
        self.run(&[], &arguments)?;
        Ok(fs::read_to_string(self.root.join("project/images/index.json"))?)
    }

    /// Brings the base images into the folder, and gives the arguments that name them.
    pub(super) fn mirrors(&self, mirrors: &[String]) -> Outcome<Vec<String>> {
        if mirrors.is_empty() {
            for name in OF_THE_MACHINE {
                let to = self.root.join(name);
                fs::create_dir_all(to.parent().unwrap_or(&to))?;
                fs::copy(Path::new("/").join(name), to)?;
            }
        }
        let mut arguments = Vec::new();
        for (position, mirror) in mirrors.iter().enumerate() {
            let Some((host, path)) = mirror.split_once("=oci:") else { continue };
            let inside = format!("bases/{position}");
            copy(Path::new(path), &self.root.join(&inside))?;
            arguments.extend(["--mirror".to_owned(), format!("{host}=oci:/{inside}")]);
        }
        Ok(arguments)
    }
}

fn copy(from: &Path, to: &Path) -> Outcome {
    let from = from.join(".");
    output(command("cp").arg("-rL").arg(from).arg(to)).map(drop)
}
