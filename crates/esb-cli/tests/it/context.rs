//! A project in a folder of its own, and `esb` run in it.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

pub(crate) struct Context {
    folder: TempDir,
}

impl Context {
    /// A project with one template.
    pub(crate) fn new(template: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = Self { folder };
        context.write("esb.toml", "");
        context.write("template.yaml", template);
        context
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `esb` in the project, with nothing of this process's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esb"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("ESB_CACHE_DIR", self.path().join("cache"))
            .env("DOCKER_HOST", "unix:///no/such/socket")
            // Nobody listens on the discard port.
            .env("PORT_REGISTRY", "9");
        command
    }

    /// Runs `esb` and gives all that a person sees, without what differs from run to run.
    pub(crate) fn esb(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let folder = self.path().canonicalize().unwrap();
        let clean = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .replace(&*folder.to_string_lossy(), "[FOLDER]")
                .replace(&*self.path().to_string_lossy(), "[FOLDER]")
                .replace(&*folder.file_name().unwrap().to_string_lossy(), "[NAME]")
                .replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
                .replace(std::env::consts::ARCH, "[ARCH]")
        };
        let mut text = format!("exit: {}\n", output.status.code().unwrap());
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                text.push_str(&["--- ", name, " ---\n", &clean(bytes)].concat());
            }
        }
        text
    }
}
