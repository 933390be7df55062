//! Packages that this machine cannot install: a step in the engine does, with settings as secrets.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, path::Path};

use esb_image::{Base, Error, InstallRequest, Installer, StepEngine, Tools, docker::DockerEngine};
use esb_model::{Dependencies, FollowLinks, FunctionId, ImageKind, Platform, TemplateId};
use esb_oci::ContentStore;

use crate::contract::support::{File, Heard, image, recipe, write};

/// In pip's place: wants to see its settings and all requirements, and leaves a package.
const PIP: &str = r#"#!/bin/sh
test "$PIP_INDEX_URL" = "https://u:hunter2@host/it's" || { echo "no index"; exit 1; }
busybox grep -q hunter3 "$NETRC" || { echo "no netrc"; exit 1; }
while [ "$1" != --target ]; do shift; done
test "$(busybox cat "$4" "$6" "$8")" = "$(busybox printf -- '# options\n--index-url http://u:${ESB_REQUIREMENT_TOKEN}@i/\nsix\n/esb/install/sources/f/lib\nsix<2')" ||
  { echo "other requirements"; busybox cat "$4" "$6" "$8"; exit 1; }
test "$ESB_REQUIREMENT_TOKEN" = hunter4 || { echo "no token"; exit 1; }
test -f /esb/install/sources/f/lib/setup.py || { echo "no package"; exit 1; }
test "$(busybox cat /esb/install/sources/f/lib/util.py)" = shared || { echo "no file"; exit 1; }
echo "I was told $ESB_REQUIREMENT_TOKEN"
echo "Collecting six"
busybox mkdir -p "$2/six-1.17.0.dist-info"
echo "x = 1" > "$2/six.py"
echo /usr/bin/pip > "$2/six-1.17.0.dist-info/INSTALLER"
"#;

pub(crate) async fn pip_runs_in_a_step(
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
    busybox: &[u8],
) {
    let root = folder.join("dependencies");
    let requirements = "six\n-e lib\n-i http://u:${TOKEN}@i/\n-c limits.txt\n";
    write(&root, &[("f/requirements.txt", requirements), ("f/limits.txt", "six<2\n")]);
    write(&root, &[("f/lib/setup.py", "raise"), ("f/lib/.git/config", "x")]);
    write(&root, &[("common/util.py", "shared")]);
    symlink("../../common/util.py", root.join("f/lib/util.py")).unwrap();
    write(&root, &[("home/.netrc", "machine host password hunter3\n")]);
    let files = [
        File("bin/busybox", 0o755, busybox),
        File("bin/sh->busybox", 0o777, b""),
        File("bin/mkdir->busybox", 0o777, b""),
        File("bin/python3", 0o755, PIP.as_bytes()),
    ];
    let runtime: esb_model::Runtime = "python3.13".parse().unwrap();
    let name = runtime.aws_base_image();
    let base = Base { image: image(store, &[&files]), pullable: None, name };
    let mut recipe = recipe("esb-hello", "FROM scratch\n");
    let id = FunctionId { template: TemplateId(0), logical_id: "Hello".to_owned() };
    recipe.kind = ImageKind::Function(id);
    recipe.folder = ".esb/dev/functions/Hello".into();
    recipe.dependencies = Some(Dependencies {
        requirements: "f/requirements.txt".into(),
        target: ".esb/dev/functions/Hello/dependencies".into(),
        runtime,
        platform: Platform::default(),
        follow: FollowLinks::default(),
    });
    let environment = BTreeMap::from([
        ("HOME", root.join("home").to_str().unwrap().to_owned()),
        ("PIP_CONFIG_FILE", "/dev/null".to_owned()),
        ("PIP_INDEX_URL", "https://u:hunter2@host/it's".to_owned()),
        ("TOKEN", "hunter4".to_owned()),
    ]);
    let environment = environment.into_iter().map(|(name, value)| (name.into(), value.into()));
    let tools = Tools { environment: environment.collect(), ..Tools::default() };
    let own = ContentStore::open(folder.join("dependencies store")).unwrap();
    let (installer, heard) = (Installer::new(own, tools), Heard::default());
    let request = InstallRequest {
        recipe: &recipe,
        dependencies: recipe.dependencies.as_ref().unwrap(),
        root: &root,
        pins: &[],
        no_cache: false,
        reporter: &heard,
    };
    let here = installer.install(request).await;
    assert!(matches!(here, Err(Error::NeedsBuild { line: 2, .. })), "{here:?}");

    let made = installer.install_in(StepEngine::Docker(engine), &base, request).await;
    let made = made.unwrap_or_else(|error| panic!("{error:?}\n{}", heard.text()));
    let versions: Vec<_> =
        made.distributions.iter().map(|found| (&*found.name, &*found.version)).collect();
    assert_eq!((made.cached, &versions[..]), (false, &[("six", "1.17.0")][..]));
    let target = root.join(&made.target);
    assert_eq!(fs::read_to_string(target.join("six.py")).unwrap(), "x = 1\n");
    assert!(!target.join("six-1.17.0.dist-info/INSTALLER").exists(), "it is normalised");
    assert!(heard.text().contains("Collecting six"), "{}", heard.text());
    assert!(heard.text().contains("I was told ***"), "{}", heard.text());
    assert_eq!(esb_image::Engine::find(engine, "esb-hello-packages:build").await.unwrap(), None);

    // No secret is said or kept, and the next run needs no engine.
    assert!(!heard.text().contains("hunter"), "{}", heard.text());
    for place in [folder.join("dependencies store"), root.join(".esb")] {
        assert_eq!(files_with(&place, b"hunter"), Vec::<String>::new());
    }
    let again = installer.install(request).await.unwrap();
    assert!(again.cached);
}

/// Files below a folder that hold some bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}
