//! Installations, with a program in the tool's place that does what it does to a folder.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use esb_image::{Distribution, Error, InstallRequest, Installed, Installer, Tools};
use esb_model::{Dependencies, Event, Platform, Reporter};
use esb_oci::ContentStore;

use crate::fixture::{Project, block_on};

const TARGET: &str = ".esb/dev/functions/hello/dependencies";

/// Answers `--version`, else writes its arguments and a package into the folder after `--target`.
const TOOL: &str = r#"#!/bin/sh
case "$*" in *--version*) echo "tool 1.0 from /here"; exit 0;; esac
echo run >> "$COUNT"
echo "$@" > "$COUNT.arguments"
while [ "$1" != --target ]; do shift; done
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
        if let Event::Output { line, .. } = event {
            self.0.lock().unwrap().push((*line).to_owned());
        }
    }
}

struct Fixture {
    project: Project,
    tool: PathBuf,
    heard: Heard,
    pins: Vec<Distribution>,
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
        });
        let tool = project.folder.path().join("tool");
        fs::write(&tool, TOOL).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        Self { project, tool, heard: Heard(Mutex::default()), pins: Vec::new() }
    }

    fn count(&self) -> PathBuf {
        self.project.folder.path().join("count")
    }

    fn runs(&self) -> usize {
        fs::read_to_string(self.count()).map_or(0, |text| text.lines().count())
    }

    fn install_with(&self, uv: bool) -> Result<Option<Installed>, Error> {
        let store = ContentStore::open(self.project.folder.path().join("store")).unwrap();
        let tool = Some(self.tool.clone());
        let (uv, python) = if uv { (tool, None) } else { (None, tool) };
        let environment = vec![
            ("COUNT".into(), self.count().into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("PIP_INDEX_URL".into(), "https://user:secret@host/simple".into()),
        ];
        let installer = Installer::new(store, Tools { uv, python, environment });
        block_on(installer.install(self.request(&self.project.root())))
    }

    fn request<'a>(&'a self, root: &'a Path) -> InstallRequest<'a> {
        let Project { recipe, no_cache, .. } = &self.project;
        let (pins, no_cache) = (&*self.pins, *no_cache);
        InstallRequest { recipe, root, pins, no_cache, reporter: &self.heard }
    }

    fn install(&self) -> Result<Option<Installed>, Error> {
        self.install_with(true)
    }
}

#[test]
fn packages_are_installed_and_normalised() {
    let fixture = Fixture::new("six==1");
    let installed = fixture.install().unwrap().unwrap();
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
    assert!(fixture.install().unwrap().unwrap().cached);
    fs::remove_dir_all(fixture.project.root().join(TARGET)).unwrap();
    assert!(fixture.install().unwrap().unwrap().cached);
    assert!(fixture.project.root().join(TARGET).join("six.py").exists());
    assert_eq!(fixture.runs(), 1);

    let dependencies = fixture.project.recipe.dependencies.as_mut().unwrap();
    dependencies.runtime = "python3.12".parse().unwrap();
    assert!(!fixture.install().unwrap().unwrap().cached);
    fixture.project.write("code/requirements.txt six==2");
    assert!(!fixture.install().unwrap().unwrap().cached);
    assert!(!fixture.install_with(false).unwrap().unwrap().cached, "another tool");
    fixture.project.no_cache = true;
    assert!(!fixture.install().unwrap().unwrap().cached);
    assert_eq!(fixture.runs(), 5);
}

#[test]
fn packages_from_this_machine_are_never_cached() {
    let fixture = Fixture::new("./package");
    assert!(!fixture.install().unwrap().unwrap().cached);
    assert!(!fixture.install().unwrap().unwrap().cached);
    assert_eq!(fixture.runs(), 2);
}

#[test]
fn pip_gets_all_platforms() {
    let fixture = Fixture::new("six");
    fixture.install_with(false).unwrap();
    let arguments = fs::read_to_string(fixture.project.folder.path().join("count.arguments"));
    let arguments = arguments.unwrap();
    assert!(arguments.starts_with("-m pip install --no-compile"), "{arguments}");
    assert!(arguments.contains("--platform manylinux2014_x86_64"), "{arguments}");
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
    assert!(error.hint().unwrap().contains("--buildkit ADDR"));
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
    assert!(matches!(error, Error::NoInstaller { .. }) && error.hint().is_some());
    let error = install(Tools { uv: Some("/bin/false".into()), ..Tools::default() }).unwrap_err();
    assert!(matches!(error, Error::Dependencies { .. }), "{error:?}");
    let error = install(Tools { uv: Some("/none/uv".into()), ..Tools::default() }).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn recipes_without_dependencies_install_nothing() {
    let mut fixture = Fixture::new("six");
    fixture.project.recipe.dependencies = None;
    assert_eq!(fixture.install().unwrap(), None);
    assert_eq!(fixture.runs(), 0);
}

#[test]
fn pinned_versions_are_constraints() {
    let mut fixture = Fixture::new("six");
    let pin = |version: &str| Distribution { name: "six".to_owned(), version: version.to_owned() };
    let free = fixture.install().unwrap().unwrap();
    let arguments =
        || fs::read_to_string(fixture.project.folder.path().join("count.arguments")).unwrap();
    assert!(!arguments().contains(" -c "), "{}", arguments());
    // What was resolved is what is pinned.
    fixture.pins.clone_from(&free.distributions);
    assert!(fixture.install().unwrap().unwrap().cached);
    fixture.pins = vec![pin("9")];
    assert!(!fixture.install().unwrap().unwrap().cached);
    assert!(arguments().contains("/pins.txt"), "{}", arguments());
    assert!(fixture.install().unwrap().unwrap().cached);
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
    fixture.project.write("code/requirements.txt ./package");
    assert_eq!(wanted(&fixture), None);
    fixture.install().unwrap();
    assert!(!arguments().contains("/pins.txt"), "{}", arguments());
}
