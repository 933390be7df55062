//! Installations, with a program in the tool's place that does what it does to a folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use esb_image::{Distribution, Error, InstallRequest, Installed, Installer, Remedy, Tools};
use esb_model::{Brand, Dependencies, Event, FollowLinks, Platform, Reporter};
use esb_oci::ContentStore;

use crate::fixture::{Project, block_on};

const TARGET: &str = ".esb/dev/functions/hello/dependencies";

/// Writes what it was given and a package into the folder after `--target`.
const TOOL: &str = r#"#!/bin/sh
COUNT=$(dirname "$0")/count
echo run >> "$COUNT"
echo "$@" > "$COUNT.arguments"
pwd > "$COUNT.folder"
env > "$COUNT.environment"
while [ "$1" != --target ]; do shift; done
cat "$4" > "$COUNT.requirements"
cat "${6:-/dev/null}" > "$COUNT.options"
if [ -d sources ]; then
  find sources -type f | while read -r file; do echo "$file $(cat "$file")"; done > "$COUNT.sources"
fi
if grep -q nowheel "$4"; then
  echo "ERROR: No matching distribution found for nowheel==1" >&2
  exit 1
fi
echo "Collecting six"
mkdir -p "$2/six-1.dist-info" "$2/__pycache__"
echo x > "$2/six.py"
echo x > "$2/__pycache__/six.pyc"
echo tool > "$2/six-1.dist-info/INSTALLER"
printf 'six.py,,\nsix-1.dist-info/INSTALLER,,\n' > "$2/six-1.dist-info/RECORD"
"#;

struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn event(&self, event: &Event<'_>) {
        if let Event::Output { line: text, .. } | Event::Warning { text } = event {
            self.0.lock().unwrap().push((*text).to_owned());
        }
    }
}

struct Fixture {
    project: Project,
    tool: PathBuf,
    heard: Heard,
    pins: Vec<Distribution>,
    allow_builds: bool,
    brand: Brand,
}

impl Fixture {
    fn new(requirements: &str) -> Self {
        let mut project = Project::new("FROM base:1", "");
        project.write(&format!("code/requirements.txt {requirements}"));
        project.recipe.dependencies = Some(Dependencies {
            requirements: "code/requirements.txt".into(),
            target: TARGET.into(),
            runtime: "python3.13".parse().unwrap(),
            platform: Platform::default(),
            follow: FollowLinks::default(),
        });
        let tool = project.folder.path().join("tool");
        fs::write(&tool, TOOL).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            project,
            tool,
            heard: Heard(Mutex::default()),
            pins: Vec::new(),
            allow_builds: false,
            brand: Brand::default(),
        }
    }

    fn count(&self) -> PathBuf {
        self.project.folder.path().join("count")
    }

    /// What the tool was given, by kind.
    fn heard(&self, kind: &str) -> String {
        fs::read_to_string(self.project.folder.path().join(format!("count.{kind}"))).unwrap()
    }

    /// The project's own files, with contents and times.
    fn tree(&self) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let (mut found, mut folders) = (Vec::new(), vec![self.project.root().join("code")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let modified = path.metadata().unwrap().modified().unwrap();
                if path.is_dir() {
                    found.push((path.clone(), Vec::new(), modified));
                    folders.push(path);
                } else {
                    found.push((path.clone(), fs::read(&path).unwrap(), modified));
                }
            }
        }
        found.sort();
        found
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.count()).map_or(0, |text| text.lines().count())
    }

    fn install_with(&self, uv: bool) -> Result<Installed, Error> {
        let store = ContentStore::open(self.project.folder.path().join("store")).unwrap();
        let tool = Some(self.tool.clone());
        let (uv, python) = if uv { (tool.clone(), tool) } else { (None, tool) };
        let environment = vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("PIP_INDEX_URL".into(), "https://user:secret@host/simple".into()),
            ("TOKEN".into(), "hunter2".into()),
            ("LD_PRELOAD".into(), "/evil.so".into()),
            ("PYTHONPATH".into(), "/evil".into()),
        ];
        let allow_builds = self.allow_builds;
        let installer = Installer::new(
            store,
            Tools { uv, python, environment, allow_builds, ..Tools::default() },
        )
        .with_brand(self.brand.clone());
        block_on(installer.install(self.request(&self.project.root())))
    }

    fn request<'a>(&'a self, root: &'a Path) -> InstallRequest<'a> {
        let Project { recipe, no_cache, .. } = &self.project;
        let (pins, no_cache) = (&*self.pins, *no_cache);
        let dependencies = recipe.dependencies.as_ref().unwrap();
        InstallRequest { recipe, dependencies, root, pins, no_cache, reporter: &self.heard }
    }

    fn install(&self) -> Result<Installed, Error> {
        self.install_with(true)
    }
}

#[test]
fn packages_are_installed_and_normalised() {
    let fixture = Fixture::new("six==1");
    let installed = fixture.install().unwrap();
    let six = Distribution { name: "six".to_owned(), version: "1".to_owned() };
    let expected = Installed { target: TARGET.into(), cached: false, distributions: vec![six] };
    assert_eq!(installed, expected);
    let folder = fixture.project.root().join(TARGET);
    assert!(folder.join("six.py").exists() && !folder.join("__pycache__").exists());
    let record = fs::read_to_string(folder.join("six-1.dist-info/RECORD")).unwrap();
    assert_eq!(record, "six.py,,\n");
    assert_eq!(*fixture.heard.0.lock().unwrap(), ["Collecting six"]);
    let arguments = fs::read_to_string(fixture.project.folder.path().join("count.arguments"));
    let arguments = arguments.unwrap();
    assert!(arguments.contains("--python-platform x86_64-manylinux_2_34"), "{arguments}");
    assert!(!arguments.contains("secret"), "{arguments}");
}

#[test]
fn the_same_requirements_are_installed_once() {
    let mut fixture = Fixture::new("six==1");
    fixture.install().unwrap();
    fixture.project.write("code/app.py changed");
    assert!(fixture.install().unwrap().cached);
    fs::remove_dir_all(fixture.project.root().join(TARGET)).unwrap();
    assert!(fixture.install().unwrap().cached);
    assert!(fixture.project.root().join(TARGET).join("six.py").exists());
    assert_eq!(fixture.runs(), 1);

    let dependencies = fixture.project.recipe.dependencies.as_mut().unwrap();
    dependencies.runtime = "python3.12".parse().unwrap();
    assert!(!fixture.install().unwrap().cached);
    fixture.project.write("code/requirements.txt six==2");
    assert!(!fixture.install().unwrap().cached);
    assert!(fixture.install_with(false).unwrap().cached, "another tool");
    fixture.project.no_cache = true;
    assert!(!fixture.install().unwrap().cached);
    assert_eq!(fixture.runs(), 4);
}

#[test]
fn nothing_is_built_on_this_machine_unless_that_is_allowed() {
    let mut fixture = Fixture::new("six\n-e ./package");
    fixture.project.write("code/package/setup.py import os");
    let before = fixture.tree();
    let error = fixture.install().unwrap_err();
    let Error::NeedsBuild { line, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*line, 2);
    assert!(error.to_string().starts_with("line 2 of `code/requirements.txt`"), "{error}");
    assert_eq!(error.remedy(), Some(Remedy::BuildInImage));
    assert_eq!(fixture.runs(), 0, "nothing was started");

    fixture.allow_builds = true;
    assert!(!fixture.install().unwrap().cached);
    let requirements = fixture.heard("requirements");
    let copy = requirements.lines().nth(1).unwrap();
    // A real installation, of a copy.
    assert!(copy.ends_with("/sources/code/package") && !copy.contains("-e "), "{requirements}");
    assert!(copy.contains("/store/dependencies/installing-"), "{requirements}");
    assert!(!fixture.heard("arguments").contains("--only-binary"));
    assert_eq!(fixture.tree(), before);
    assert!(fixture.install().unwrap().cached);
    fixture.project.write("code/package/setup.py import sys");
    assert!(!fixture.install().unwrap().cached, "what it holds changed");
}

#[test]
fn a_package_is_copied_with_what_its_links_lead_to() {
    let mut fixture = Fixture::new("../vendored");
    fixture.allow_builds = true;
    let project = &fixture.project;
    for line in [
        "libs/x/setup.py import os",
        "libs/x/src/xpkg/static/node_modules/lib/a.js a",
        "libs/x/node_modules/tool.js t",
        "libs/x/.git/config token",
        "common/util.py one",
        "common/more/m.py m",
        "vendored->libs/x",
        "libs/x/src/xpkg/util.py->../../../../common/util.py",
        "libs/x/src/xpkg/more->../../../../common/more",
        "libs/x/src/xpkg/same->static",
    ] {
        project.write(line);
    }
    assert!(!fixture.install().unwrap().cached);
    let built = fixture.heard("sources");
    for (part, expected) in [
        ("/libs/x/src/xpkg/util.py one", true),
        ("/libs/x/src/xpkg/more/m.py m", true),
        ("/libs/x/src/xpkg/static/node_modules/lib/a.js a", true),
        ("/libs/x/src/xpkg/same/node_modules/lib/a.js a", false),
        ("/libs/x/node_modules/tool.js", false),
        (".git", false),
    ] {
        assert_eq!(built.contains(part), expected, "{part}: {built}");
    }
    assert!(fixture.install().unwrap().cached);
    fixture.project.write("common/util.py two");
    assert!(!fixture.install().unwrap().cached, "what a link leads to changed");

    fs::write(project.folder.path().join("outside.py"), "o").unwrap();
    project.write("libs/x/absolute->/usr/bin/python3");
    fixture.install().unwrap();
    project.write("libs/x/src/xpkg/out.py->../../../../../outside.py");
    let error = fixture.install().unwrap_err();
    assert!(matches!(error, Error::Link { .. }), "{error:?}");
    assert!(error.to_string().contains("`libs/x/src/xpkg/out.py` leads to"), "{error}");
    let dependencies = fixture.project.recipe.dependencies.as_mut().unwrap();
    dependencies.follow = FollowLinks::Anywhere;
    assert!(!fixture.install().unwrap().cached);
    assert!(fixture.heard("sources").contains("/libs/x/src/xpkg/out.py o"));
}

#[test]
fn programs_run_apart_from_the_project() {
    let fixture = Fixture::new("six\n--index-url http://u:${TOKEN}@host/\n--no-binary :none:");
    for uv in [true, false] {
        fixture
            .project
            .write(&format!("code/requirements.txt six=={uv}\n-i http://u:${{TOKEN}}@host/"));
        fixture.install_with(uv).unwrap();
        let folder = fixture.heard("folder");
        assert!(folder.contains("/store/dependencies/installing-"), "{folder}");
        let environment = fixture.heard("environment");
        assert!(environment.contains("ESB_REQUIREMENT_TOKEN=hunter2"), "{environment}");
        for name in ["LD_PRELOAD", "PYTHONPATH", "UV_NO_BINARY", "VIRTUAL_ENV"] {
            assert!(!environment.lines().any(|line| line.starts_with(name)), "{environment}");
        }
        assert_eq!(
            fixture.heard("options"),
            "--index-url http://u:${ESB_REQUIREMENT_TOKEN}@host/\n"
        );
        let arguments = fixture.heard("arguments");
        assert!(arguments.contains("--only-binary :all:") && !arguments.contains("hunter2"));
        assert!(!fixture.heard.0.lock().unwrap().iter().any(|line| line.contains("hunter2")));
    }
}

#[test]
fn pip_gets_all_platforms() {
    let fixture = Fixture::new("six");
    fixture.install_with(false).unwrap();
    let arguments = fixture.heard("arguments");
    assert!(arguments.contains("install --no-compile"), "{arguments}");
    assert!(arguments.contains("--platform manylinux2014_x86_64"), "{arguments}");
    assert!(arguments.contains(r#""sys_platform":"linux""#), "{arguments}");
}

#[test]
fn failures_name_the_package() {
    let fixture = Fixture::new("nowheel==1");
    let error = fixture.install().unwrap_err();
    assert!(matches!(error, Error::NoWheel { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.ends_with("there is no wheel of `nowheel==1` for python3.13 on linux/amd64"),
        "{text}"
    );
    assert_eq!(error.remedy(), Some(Remedy::CheckPackageOrBuildInImage));
    let left = fs::read_dir(fixture.project.folder.path().join("store/dependencies")).unwrap();
    assert_eq!(left.count(), 0, "nothing half done stays");
    assert!(!fixture.project.root().join(TARGET).exists());
}

#[test]
fn tools_that_are_missing_or_broken() {
    let fixture = Fixture::new("six");
    let store = ContentStore::open(fixture.project.folder.path().join("store")).unwrap();
    let install = |tools| {
        let installer = Installer::new(store.clone(), tools);
        block_on(installer.install(fixture.request(&fixture.project.root())))
    };
    let error = install(Tools::default()).unwrap_err();
    assert!(matches!(error, Error::NoInstaller { .. }) && error.remedy().is_some());
    let with = |uv: &str| Tools {
        uv: Some(uv.into()),
        python: Some("/bin/false".into()),
        ..Tools::default()
    };
    let error = install(with("/bin/false")).unwrap_err();
    assert!(matches!(error, Error::Dependencies { .. }), "{error:?}");
    let error = install(with("/none/uv")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn pinned_versions_are_constraints() {
    let mut fixture = Fixture::new("six");
    let pin = |version: &str| Distribution { name: "six".to_owned(), version: version.to_owned() };
    let free = fixture.install().unwrap();
    let arguments =
        || fs::read_to_string(fixture.project.folder.path().join("count.arguments")).unwrap();
    assert!(!arguments().contains(" -c "), "{}", arguments());
    // What was resolved is what is pinned.
    fixture.pins.clone_from(&free.distributions);
    assert!(fixture.install().unwrap().cached);
    fixture.pins = vec![pin("9")];
    assert!(!fixture.install().unwrap().cached);
    assert!(arguments().contains("/pins.txt"), "{}", arguments());
    assert!(fixture.install().unwrap().cached);
    assert_eq!(fixture.runs(), 2);

    // Packages of this machine have no versions to be pinned.
    let wanted = |fixture: &Fixture| {
        let store = ContentStore::open(fixture.project.folder.path().join("store")).unwrap();
        let installer = Installer::new(store, Tools::default());
        block_on(installer.wanted(fixture.request(&fixture.project.root()))).unwrap()
    };
    let first = wanted(&fixture).unwrap();
    fixture.project.write("code/requirements.txt six>1");
    assert_ne!(wanted(&fixture), Some(first));
    fixture.project.write("code/package/pyproject.toml x");
    fixture.project.write("code/requirements.txt ./package");
    assert_eq!(wanted(&fixture), None);
    fixture.allow_builds = true;
    fixture.install().unwrap();
    assert!(!arguments().contains("/pins.txt"), "{}", arguments());
}

/// The generated folder of a package's project is no part of the package, and it is called as the
/// brand says.
#[test]
fn the_generated_folder_is_no_part_of_a_package() {
    for (brand, generated, source) in
        [(Brand::default(), ".esb", ".acme"), (Brand::new("acme").unwrap(), ".acme", ".esb")]
    {
        let fixture = Fixture { brand, allow_builds: true, ..Fixture::new("./package") };
        fixture.project.write("code/package/setup.py import os");
        fixture.install().unwrap();
        fixture.project.write(&format!("code/package/{generated}/dev/x generated"));
        assert!(fixture.install().unwrap().cached, "{generated}");
        fixture.project.write(&format!("code/package/{source}/dev/x source"));
        assert!(!fixture.install().unwrap().cached, "{source}");
    }
}

#[test]
fn a_marker_that_asks_for_a_patch_version_is_warned_of() {
    let fixture = Fixture::new("a\nsix ; python_full_version >= '3.13.1'");
    for _ in 0..2 {
        fixture.install().unwrap();
        let heard = std::mem::take(&mut *fixture.heard.0.lock().unwrap());
        let warned = "`code/requirements.txt`, line 2: its marker asks for a patch version";
        assert!(heard.iter().any(|line| line.starts_with(warned)), "{heard:?}");
    }
}
