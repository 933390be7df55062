//! Files that others read while they are written.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
    thread,
    time::{Duration, UNIX_EPOCH},
};

use esb_config::{
    ConfigFile, Error, Lock, Merged, Publication, PublishedConfig, Remedy, RunOwners,
    check_writable, merge, next_mtime, publish, read, write_generated,
};
use esb_model::Application;

use crate::sample::{app, rendered, route, run_of};

const ALL: [ConfigFile; 5] = [
    ConfigFile::Functions,
    ConfigFile::Routing,
    ConfigFile::Resources,
    ConfigFile::Images,
    ConfigFile::State,
];

/// Each run may have other functions than the one before.
fn run() -> RunOwners {
    RunOwners { adopt: true, ..run_of("t.yaml") }
}

/// A function `name` with a route to it.
fn one(name: &str) -> Application {
    let mut app = app(&[name]);
    app.routes = vec![route(name, "GET", &format!("/{name}"))];
    app
}

fn merged(published: &PublishedConfig, app: &Application) -> Merged {
    merge(published, &rendered(app, "t.yaml"), &run()).unwrap()
}

fn deploy(dir: &Path, app: &Application) -> Result<Publication, Error> {
    let lock = Lock::acquire(dir, Lock::DEFAULT_LIMIT)?;
    publish(&lock, &merged(&read(dir)?, app))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn only_what_changed_is_replaced_and_times_move_a_whole_second() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        ".deploy.lock",
        "functions.yml",
        "image-import.json",
        "resources.yml",
        "routing.yml",
        "state.json",
    ];
    let first = deploy(dir.path(), &one("a")).unwrap();
    assert_eq!(names(dir.path()), all);
    assert_eq!(first.written.len(), 5);
    let stat = |file: ConfigFile| fs::metadata(dir.path().join(file.name())).unwrap();
    for file in ALL {
        assert_eq!(stat(file).permissions().mode() & 0o777, 0o644, "{file:?}");
    }

    let before = ALL.map(|file| (stat(file).ino(), stat(file).mtime()));
    let again = deploy(dir.path(), &one("a")).unwrap();
    assert_eq!(again.written, []);
    assert_eq!(ALL.map(|file| (stat(file).ino(), stat(file).mtime())), before);

    let next = deploy(dir.path(), &one("b")).unwrap();
    assert_eq!(next.written, [ConfigFile::State, ConfigFile::Functions, ConfigFile::Routing]);
    assert_eq!(next.unchanged, [ConfigFile::Resources, ConfigFile::Images]);
    for (file, (inode, time)) in ALL.into_iter().zip(before) {
        let replaced = next.written.contains(&file);
        assert_eq!(stat(file).mtime() > time, replaced, "{file:?}");
        assert!(replaced || stat(file).ino() == inode, "{file:?}");
    }
    assert_eq!(names(dir.path()), all);
}

#[test]
fn times() {
    let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
    assert_eq!(next_mtime(None, at(5_500)), at(5_500));
    assert_eq!(next_mtime(Some(at(2_900)), at(5_500)), at(5_500));
    assert_eq!(next_mtime(Some(at(5_100)), at(5_500)), at(6_000));
    assert_eq!(next_mtime(Some(at(9_900)), at(5_500)), at(10_000)); // a clock that went back
}

#[test]
fn after_each_step_routes_have_functions_and_the_next_run_ends_the_work() {
    let before = merged(&PublishedConfig::default(), &one("old"));
    let before = PublishedConfig { config: before.config, state: before.state };
    let text = |published: &PublishedConfig, file| match file {
        ConfigFile::State => published.state.to_json(),
        file => published.config.text(file).unwrap(),
    };
    let goal = merged(&before, &one("new"));
    let steps = goal.steps(|file| Some(text(&before, file).into_bytes()));
    let files: Vec<ConfigFile> = steps.iter().map(|step| step.file).collect();
    assert_eq!(
        files,
        [
            ConfigFile::State,
            ConfigFile::Functions,
            ConfigFile::Routing,
            ConfigFile::Functions,
            ConfigFile::State,
        ]
    );
    for killed_after in 0..=steps.len() {
        // The next run wants the same, or something else.
        for next in ["new", "third"] {
            let dir = tempfile::tempdir().unwrap();
            for file in ALL {
                fs::write(dir.path().join(file.name()), text(&before, file)).unwrap();
            }
            for step in &steps[..killed_after] {
                fs::write(dir.path().join(step.file.name()), &step.text).unwrap();
            }
            let left = read(dir.path()).unwrap();
            for route in &left.config.routing.routes {
                let functions = &left.config.functions.functions;
                assert!(functions.contains_key(&route.function), "{killed_after}: {route:?}");
            }
            deploy(dir.path(), &one(next)).unwrap();
            let done = read(dir.path()).unwrap();
            let goal = merged(&PublishedConfig::default(), &one(next));
            assert_eq!((&done.config, &done.state), (&goal.config, &goal.state), "{killed_after}");
        }
    }
}

#[test]
fn a_failure_leaves_no_half_file() {
    let dir = tempfile::tempdir().unwrap();
    deploy(dir.path(), &one("a")).unwrap();
    let merged = merged(&read(dir.path()).unwrap(), &one("b"));
    let lock = Lock::acquire(dir.path(), Duration::ZERO).unwrap();
    // A folder that is not empty cannot be replaced by a file.
    let blocked = tempfile::tempdir().unwrap();
    fs::create_dir_all(blocked.path().join("image-import.json/x")).unwrap();
    let other = Lock::acquire(blocked.path(), Duration::ZERO).unwrap();
    let error = publish(&other, &merged).unwrap_err();
    assert!(error.to_string().contains("image-import.json` is a folder"), "{error}");
    assert_eq!(names(blocked.path()), [".deploy.lock", "image-import.json"]);
    publish(&lock, &merged).unwrap();
}

#[test]
fn a_lock_that_has_another_name_too_keeps_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    fs::write(&precious, "mine").unwrap();
    let folder = dir.path().join("config");
    fs::create_dir(&folder).unwrap();
    fs::hard_link(&precious, folder.join(".deploy.lock")).unwrap();
    let lock = Lock::acquire(&*folder, Duration::ZERO).unwrap();
    assert!(matches!(
        Lock::acquire(&*folder, Duration::ZERO),
        Err(esb_config::Error::Locked { .. })
    ));
    drop(lock);
    assert_eq!(fs::read(&precious).unwrap(), b"mine");
}

#[test]
fn leftovers_of_a_killed_run_go() {
    let dir = tempfile::tempdir().unwrap();
    let ours = ".functions.yml.0123456789abcdef.tmp";
    for name in [ours, ".functions.yml.backup.tmp", ".other.tmp", "functions.yml.tmp"] {
        fs::write(dir.path().join(name), "functions: [").unwrap();
    }
    deploy(dir.path(), &one("a")).unwrap();
    assert_eq!(
        names(dir.path()),
        [
            ".deploy.lock",
            ".functions.yml.backup.tmp",
            ".other.tmp",
            "functions.yml",
            "functions.yml.tmp",
            "image-import.json",
            "resources.yml",
            "routing.yml",
            "state.json",
        ]
    );
}

#[test]
fn two_runs_of_different_templates_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for worker in ["a", "b"] {
            let dir = dir.path();
            scope.spawn(move || {
                for round in 0..5 {
                    let lock = Lock::acquire(dir, Lock::DEFAULT_LIMIT).unwrap();
                    let rendered = rendered(&one(&format!("{worker}{round}")), worker);
                    let run = RunOwners { adopt: true, ..run_of(worker) };
                    let merged = merge(&read(dir).unwrap(), &rendered, &run).unwrap();
                    publish(&lock, &merged).unwrap();
                }
            });
        }
    });
    let done = read(dir.path()).unwrap();
    assert_eq!(done.config.functions.functions.keys().collect::<Vec<_>>(), ["a4", "b4"]);
    assert_eq!(done.config.routing.routes.len(), 2);
    assert_eq!(done.state.owners.iter().count(), 4);
}

#[test]
fn generated_files_have_no_side_file() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("dev/config");
    let config = rendered(&one("a"), "t.yaml").config;
    assert_eq!(write_generated(&folder, &config, 0o644).unwrap().written, ConfigFile::GENERATED);
    assert_eq!(write_generated(&folder, &config, 0o644).unwrap().unchanged, ConfigFile::GENERATED);
    assert_eq!(
        names(&folder),
        ["functions.yml", "image-import.json", "resources.yml", "routing.yml"]
    );
    assert_eq!(read(&folder).unwrap().config, config);
}

#[test]
fn a_place_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    check_writable(&dir.path().join("new/below")).unwrap();
    assert_eq!(names(dir.path()), Vec::<String>::new());
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = check_writable(&file.join("below")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn a_link_among_the_files_is_told_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let names = ALL.map(ConfigFile::name).into_iter().chain([".deploy.lock"]);
    for name in names {
        for target in ["../victim", "../absent", "/dev/null", "."] {
            let folder = dir.path().join("config");
            fs::create_dir(&folder).unwrap();
            symlink(target, folder.join(name)).unwrap();
            let error = deploy(&folder, &one("a")).unwrap_err();
            assert!(matches!(error, Error::Folder(_)), "{name} to {target}: {error:?}");
            let place = folder.join(name).display().to_string();
            assert!(error.to_string().contains(&place), "{error}");
            assert!(
                matches!(error.remedy(), Some(Remedy::Advice(text)) if text.contains(&place)),
                "{error}"
            );
            if name != ".deploy.lock" {
                assert!(check_writable(&folder).is_err(), "{name} to {target}");
            }
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
            assert!(!dir.path().join("absent").exists());
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    // The way to the folder is the user's.
    fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("link")).unwrap();
    deploy(&dir.path().join("link"), &one("a")).unwrap();
    assert!(dir.path().join("real/functions.yml").exists());
}
