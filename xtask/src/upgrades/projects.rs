//! The projects that both programs deploy.

use std::{fs, path::PathBuf, process::Command};

use super::{Parts, Program};
use crate::{
    checks::Outcome,
    e2e::{
        package_index::{Index, Packages, wheel},
        parts::copy_tree,
    },
};

/// A project, with all that a run of either program needs.
pub(super) struct Project<'a> {
    pub(super) name: &'static str,
    parts: &'a Parts,
    pub(super) root: PathBuf,
    /// Keeps the packages of the project while it is there.
    index: Option<Index>,
    /// A file of code of one function.
    pub(super) code: PathBuf,
}

/// Functions and a layer, one template.
pub(super) fn quickstart(parts: &Parts) -> Outcome<Project<'_>> {
    let root = parts.fixture("quickstart", "quickstart")?;
    let code = root.join("functions/get_order/app.py");
    Ok(Project { name: "quickstart", parts, root, index: None, code })
}

/// The same with packages of an index, a layer of packages, and an image that an engine builds.
pub(super) fn larger(parts: &Parts) -> Outcome<Project<'_>> {
    let root = parts.fixture("quickstart", "larger")?;
    let fixture = crate::command::root().join("fixtures/image-functions");
    copy_tree(&fixture.join("greet"), &root.join("greet"))?;
    fs::copy(fixture.join("template.yaml"), root.join("greet.yaml"))?;
    fs::write(root.join("packed.yaml"), PACKED)?;
    for (path, text) in [
        ("packed/app.py", "import upgrade_a\n\n\ndef handler(event, context):\n    return 1\n"),
        ("packed/requirements.txt", "upgrade-a>=1\n"),
        ("shared/requirements.txt", "upgrade-b==2.0\n"),
        ("esb.toml", "templates = [\"template.yaml\", \"greet.yaml\", \"packed.yaml\"]\n"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&root))?;
        fs::write(path, text)?;
    }
    let mut packages = Packages::new();
    packages.insert("upgrade-a", vec![wheel("upgrade_a", "1.0", &["upgrade-b"])?]);
    packages.insert("upgrade-b", vec![wheel("upgrade_b", "2.0", &[])?]);
    let index = Some(Index::start(packages, None)?);
    let code = root.join("packed/app.py");
    Ok(Project { name: "larger", parts, root, index, code })
}

const PACKED: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  PackedFunction:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: packed
      Runtime: python3.13
      Handler: app.handler
      CodeUri: packed/
      Layers: [!Ref SharedLayer]
  SharedLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: shared/}
";

impl Project<'_> {
    /// A program in the project, with a store.
    pub(super) fn command(&self, program: &Program, store: &str) -> Command {
        let template = self.parts.esb_to_registry(&self.root, store);
        let mut command = Command::new(&program.path);
        command.current_dir(&self.root).env_clear();
        for (name, value) in template.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        command.env("ESB_PARAM_Greeting", "Top of the morning");
        if let Some(index) = &self.index {
            // The quickstart needs packages of this machine's own index.
            command.env("PIP_EXTRA_INDEX_URL", index.url(""));
        }
        command
    }

    /// A deploy, whose document is on stdout.
    pub(super) fn deploy(&self, program: &Program, store: &str) -> Command {
        let mut command = self.command(program, store);
        command.args(["deploy", "-e", "dev", "--format", "json", "-v"]);
        command
    }

    /// The store that both programs share.
    pub(super) fn store(&self) -> PathBuf {
        self.parts.work.join("caches").join(self.name)
    }

    /// What is published.
    pub(super) fn published(&self) -> PathBuf {
        self.root.join(".esb/staging/esb-dev/dev/config")
    }
}
