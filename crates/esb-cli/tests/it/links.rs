//! Links that a repository brings: whatever is a link, nothing outside of the project changes, and
//! the message names the link.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{bases, context::Context};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: one/}
";

const MIRROR: [&str; 2] = ["--mirror", "public.ecr.aws=oci:../bases"];

/// A project beside what must not change.
struct Ground {
    context: Context,
}

impl Ground {
    fn new() -> Self {
        let context = Context::new(TEMPLATE);
        for file in ["victim/file", "victim/functions/letter", "victim/dev/config/letter"] {
            context.write(file, "precious");
        }
        let ground = Self { context };
        fs::rename(ground.context.path().join("template.yaml"), ground.path("moved")).unwrap();
        fs::remove_file(ground.path("esb.toml")).unwrap();
        ground.context.write("project/esb.toml", "");
        fs::rename(ground.path("moved"), ground.path("project/template.yaml")).unwrap();
        ground.context.write("project/one/app.py", "handler = one = 1\n");
        bases::write(&ground.path("bases"), "amd64", "one");
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.context.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.context.command(arguments);
        command.args(["-e", "dev"]).args(MIRROR).current_dir(self.path("project"));
        command
    }

    fn esb(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// All that lies outside of the project and the store.
    fn outside(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.path("victim")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap().flatten() {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(path.clone());
                    all.insert(path, Vec::new());
                } else {
                    all.insert(path.clone(), fs::read(&path).unwrap_or_default());
                }
            }
        }
        for entry in fs::read_dir(self.context.path()).unwrap().flatten() {
            all.insert(entry.path(), Vec::new());
        }
        all
    }
}

const BUILD: &[&str] = &["build", "--quiet", "--to", "oci"];
const DEPLOY: &[&str] =
    &["deploy", "--quiet", "--to", "oci", "--project", "p", "--config-to", "../config"];
const COPY: &[&str] = &["build", "--quiet", "--to", "oci", "--output", "out"];
const LAYOUT: &[&str] = &["build", "--quiet", "--to", "oci:layout"];
const FETCH: &[&str] = &["image", "fetch", "--to", "oci:fetched"];
const INSIDE: &[&str] =
    &["deploy", "--quiet", "--to", "oci", "--project", "p", "--config-to", ".esb/conf"];

/// Every place that a run writes to or removes from, with a run that does.
const PLACES: &[(&[&str], &[&str])] = &[
    (
        BUILD,
        &[
            ".esb",
            ".esb/.gitignore",
            ".esb/dev",
            ".esb/dev/base",
            ".esb/dev/base/python3.13",
            ".esb/dev/base/python3.13/Dockerfile",
            ".esb/dev/config",
            ".esb/dev/config/functions.yml",
            ".esb/dev/config/image-import.json",
            ".esb/dev/config/resources.yml",
            ".esb/dev/config/routing.yml",
            ".esb/dev/functions",
            ".esb/dev/functions/One",
            ".esb/dev/functions/One/Dockerfile",
            ".esb/dev/functions/One/Dockerfile.dockerignore",
            ".esb/dev/functions/Gone",
            ".esb/dev/images",
            ".esb/dev/folders.json",
            ".esb/dev/images.json",
            ".esb/dev/made.json",
            ".esb/dev/images/blobs",
            ".esb/dev/images/blobs/sha256",
            ".esb/dev/images/index.json",
            ".esb/dev/images/oci-layout",
            "esb.lock",
        ],
    ),
    (
        DEPLOY,
        &[
            ".esb/staging",
            ".esb/staging/p",
            ".esb/staging/p/dev",
            ".esb/staging/p/dev/config",
            ".esb/staging/p/dev/config/.deploy.lock",
            ".esb/staging/p/dev/config/functions.yml",
            ".esb/staging/p/dev/config/state.json",
        ],
    ),
    (
        COPY,
        &[
            "out",
            "out/dev",
            "out/dev/config",
            "out/dev/config/functions.yml",
            "out/dev/functions",
            "out/dev/functions/One",
            "out/dev/functions/One/Dockerfile",
            ".esb/dev/copied.json",
        ],
    ),
    (LAYOUT, &["layout", "layout/blobs", "layout/blobs/sha256", "layout/index.json"]),
    (
        FETCH,
        &["fetched", "fetched/blobs", "fetched/index.json", "fetched/oci-layout", "fetched/wheels"],
    ),
    (INSIDE, &[".esb/conf", ".esb/conf/functions.yml", ".esb/conf/.deploy.lock"]),
    (
        &["image", "prune", "--yes", "--in", "store"],
        &[
            ".esb",
            ".esb/dev",
            ".esb/dev/made.json",
            ".esb/staging",
            ".esb/staging/p",
            ".esb/staging/p/dev",
            ".esb/staging/p/dev/config",
            ".esb/staging/p/dev/config/functions.yml",
        ],
    ),
];

/// The message names the link, and the run ended as it does for wrong input.
fn names_the_link(output: &Output, place: &Path) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr);
    let told = said.contains(&format!("{}` is a link", place.display()));
    if output.status.code() == Some(1) && told && said.contains("ESB_FOLLOW_LINKS=1") {
        return Ok(());
    }
    Err(format!("{}: {said}", output.status))
}

fn plant(link: &Path, target: &Path) {
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    match link.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(link).unwrap(),
        Ok(_) => fs::remove_file(link).unwrap(),
        Err(_) => {}
    }
    symlink(target, link).unwrap();
}

/// What a link leads to; each place gets the next one.
const TARGETS: [&str; 5] = ["victim", "victim/file", "absent", "/dev/null", ".."];

impl Ground {
    /// Runs `esb` with a link at a place, and gives what is wrong with what came of it.
    fn attack(&self, arguments: &[&str], place: &str, target: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let link = self.path("project").canonicalize().unwrap().join(place);
        let target = match target {
            "/dev/null" | ".." => PathBuf::from(target),
            target => self.path(target),
        };
        plant(&link, &target);
        let before = self.outside();
        let output = self.esb(arguments);
        let at = format!("{arguments:?}, {place} to {}", target.display());
        if self.outside() != before {
            wrong.push(format!("{at}: something outside changed"));
        }
        if let Err(error) = names_the_link(&output, &link) {
            wrong.push(format!("{at}: {error}"));
        }
        fs::remove_file(link).unwrap();
        wrong
    }
}

#[test]
fn no_place_is_reached_through_a_link() {
    let mut wrong = Vec::new();
    let mut targets = TARGETS.into_iter().cycle();
    for (arguments, places) in PLACES {
        // Links that a clone brings.
        let ground = Ground::new();
        for name in ["config", "cache"] {
            fs::create_dir(ground.path(name)).unwrap();
        }
        for place in *places {
            wrong.extend(ground.attack(arguments, place, targets.next().unwrap()));
            let _ = fs::remove_dir_all(ground.path("project/.esb"));
        }
        // Links that are planted between two runs, where the first one put something.
        let ground = Ground::new();
        for place in *places {
            let run = ground.esb(arguments);
            let said = String::from_utf8_lossy(&run.stderr).into_owned();
            assert!(run.status.success() || arguments.contains(&"prune"), "{arguments:?}: {said}");
            wrong.extend(ground.attack(arguments, place, targets.next().unwrap()));
            // Half a layout is none, and is not written to.
            for layout in [".esb/dev/images", "layout", "fetched"] {
                let _ = fs::remove_dir_all(ground.path("project").join(layout));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn staged_code_is_built_through_a_link_that_may_be_followed() {
    let ground = Ground::new();
    ground.context.write("project/common/lib.py", "lib = 1\n");
    symlink("../common/lib.py", ground.path("project/one/lib.py")).unwrap();
    let code = ".esb/dev/functions/One";
    for link in [".esb", ".esb/dev", code] {
        let elsewhere = ground.path("else");
        fs::create_dir(&elsewhere).unwrap();
        plant(&ground.path("project").join(link), &elsewhere);
        let output = ground.command(BUILD).env("ESB_FOLLOW_LINKS", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{link}: {said}");
        let staged = ground.path("project").join(code);
        assert!(fs::read_dir(&staged).unwrap().count() > 2, "{link}: nothing was staged");
        fs::remove_dir_all(elsewhere).unwrap();
        fs::remove_file(ground.path("project").join(link)).unwrap();
        let _ = fs::remove_dir_all(ground.path("project/.esb"));
    }
}
