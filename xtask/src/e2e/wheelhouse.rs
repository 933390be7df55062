//! Packages on a machine without a network: `esb image fetch` brings their wheels, and `--offline`
//! installs from them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    package_index::{Index, Packages, wheel},
    parts::{Parts, Said, expect},
    sync::equal,
};
use crate::checks::{Outcome, Trouble};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Greets:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: greets
      Runtime: python3.13
      Handler: app.handler
      CodeUri: src/
";

struct Project<'a> {
    parts: &'a Parts,
    root: PathBuf,
    /// The registry of the bases, and the layout that stands in for it.
    base: (&'a str, &'a str),
}

impl Project<'_> {
    fn esb(&self, cache: &str, layout: &str, arguments: &[&str]) -> Command {
        let mut command = self.parts.esb(&self.root, cache);
        command.env_remove("PIP_FIND_LINKS");
        command.env("DOCKER_HOST", "unix:///no/such/socket");
        command.env("ESB_MIRRORS", format!("{}=oci:{layout}", self.base.0));
        command.args(arguments).args(["-e", "dev"]);
        command
    }

    fn require(&self, requirements: &str) -> Outcome {
        Ok(fs::write(self.root.join("src/requirements.txt"), requirements)?)
    }

    fn fetch(&self, cache: &str) -> Outcome<Said> {
        let layout = self.base.1.strip_prefix("oci:").unwrap_or(self.base.1);
        expect(&mut self.esb(cache, layout, &["image", "fetch", "--to", "oci:carried"]), 0)
    }

    /// A build from an empty cache where there is no network; gives the layout that it made.
    fn offline(&self, cache: &str, code: i32) -> Outcome<Said> {
        let to = format!("oci:{cache}");
        let arguments = ["build", "--offline", "-v", "--to", &to];
        let command = self.esb(cache, "carried", &arguments);
        let mut alone = Command::new("unshare");
        alone.arg("-n").arg(command.get_program()).args(command.get_args());
        alone.current_dir(&self.root).env_clear();
        for (name, value) in command.get_envs() {
            alone.env(name, value.unwrap_or_default());
        }
        expect(&mut alone, code)
    }

    fn installed(&self) -> Outcome<BTreeSet<String>> {
        names(&self.root.join(".esb/dev/functions/greets/dependencies"), ".dist-info")
    }

    fn index(&self, layout: &str) -> Outcome<String> {
        Ok(fs::read_to_string(self.root.join(layout).join("index.json"))?)
    }
}

/// Names in a folder, without what they end with.
fn names(folder: &Path, end: &str) -> Outcome<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(end).map(str::to_owned));
    }
    Ok(names)
}

/// Fetches, builds without a network from an empty cache, and compares with a build that had one.
pub(crate) fn packages_without_network(parts: &Parts) -> Outcome {
    let Some(base) = parts.mirrors.iter().find_map(|mirror| mirror.split_once('=')) else {
        return Ok(()); // nothing was carried here: the real registry answers
    };
    let project = Project { parts, root: parts.work.join("projects/wheelhouse"), base };
    fs::create_dir_all(project.root.join("src"))?;
    fs::write(project.root.join("esb.toml"), "")?;
    fs::write(project.root.join("template.yaml"), TEMPLATE)?;
    let code = "def handler(event, context):\n    return 'hi'\n";
    fs::write(project.root.join("src/app.py"), code)?;
    let mut packages = Packages::new();
    packages.insert("greetings", vec![wheel("greetings", "1.0", &["words"])?]);
    packages.insert("words", vec![wheel("words", "1.0", &[])?, wheel("words", "2.0", &[])?]);
    packages.insert("linked", vec![wheel("linked", "3.0", &[])?]);
    packages.insert("sources", vec![("sources-1.0.tar.gz".to_owned(), b"no archive".to_vec())]);
    let index = Index::start(packages, None)?;
    let address = index.address;
    let head = format!("--index-url {}\n", index.url("u:hunter2@"));
    let linked = format!("linked @ http://{address}/files/linked-3.0-py3-none-any.whl\n");
    project.require(&format!("{head}greetings\n{linked}"))?;

    let said = project.fetch("wheels-fetch")?;
    if said.stdout.contains("hunter2") || said.stderr.contains("hunter2") {
        return Err(format!("the password was said:\n{}{}", said.stdout, said.stderr).into());
    }
    let carried = names(&project.root.join("carried/wheels"), ".whl")?;
    for name in ["greetings-1.0-py3-none-any", "words-2.0-py3-none-any", "linked-3.0-py3-none-any"]
    {
        if !carried.contains(name) {
            return Err(Trouble::Failed(format!("`{name}` is not among {carried:?}")));
        }
    }
    if !carried.iter().any(|name| name.starts_with("uv-")) {
        return Err(Trouble::Failed(format!("uv is not among {carried:?}")));
    }
    project.offline("wheels-offline", 0)?;
    let expected = ["greetings-1.0", "linked-3.0", "words-2.0"].map(str::to_owned);
    if project.installed()? != BTreeSet::from(expected) {
        return Err(Trouble::Failed(format!("{:?} was installed", project.installed()?)));
    }
    let layout = base.1.strip_prefix("oci:").unwrap_or(base.1);
    let online = ["build", "--locked", "--to", "oci:wheels-online"];
    expect(&mut project.esb("wheels-online", layout, &online), 0)?;
    let (online, offline) = (project.index("wheels-online")?, project.index("wheels-offline")?);
    equal("images of both builds", &online, &offline)?;

    fs::remove_file(project.root.join("carried/wheels/words-2.0-py3-none-any.whl"))?;
    project.offline("wheels-missing", 4)?.tells(&[
        "offline",
        "words",
        "carried/wheels",
        "esb image fetch",
    ])?;
    project.require(&format!("{head}sources\n"))?;
    project.fetch("wheels-fetch")?.tells(&["no wheel of `sources", "--offline"])?;
    project.offline("wheels-sources", 4)?.tells(&["offline", "sources"])?;
    project.require("git+https://example.invalid/a.git\n")?;
    project.fetch("wheels-fetch")?.tells(&["asks for a repository", "--offline"])?;
    project.offline("wheels-sources", 4)?.tells(&["asks for a repository"]).map(drop)
}
