//! What `image ls` and `image prune` take for a project's own: what its runs made or published.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::project::{Place, Project, document};

/// Applications on one platform, all of the compose project `esb-dev`.
struct Platform {
    registry: Place,
    /// Where its Gateway reads.
    shared: tempfile::TempDir,
}

impl Platform {
    fn start() -> Option<Self> {
        Some(Self { registry: Place::start()?, shared: tempfile::tempdir().unwrap() })
    }

    fn command(&self, project: &Project, store: &str, arguments: &[&str]) -> Command {
        let mut command = project.command(store, arguments);
        command.env("CONTAINER_REGISTRY", self.registry.proxy.address());
        command
    }

    fn to(&self) -> &str {
        self.shared.path().to_str().unwrap()
    }

    /// Deploys the project with this code, and gives the digest of its function's image.
    fn deploy(&self, project: &Project, store: &str, code: &str) -> String {
        project.write("functions/f0/app.py", &format!("handler = {code} = True\n"));
        let deploy = ["deploy", "--config-to", self.to()];
        let done = document(&mut self.command(project, store, &deploy));
        let mut images = done["images"].as_array().unwrap().iter();
        let image = images.find(|image| image["function"] == "F0").unwrap();
        image["digest"].as_str().unwrap().to_owned()
    }

    /// The digests that are listed, or would be removed.
    fn ids(&self, project: &Project, store: &str, arguments: &[&str]) -> BTreeSet<String> {
        let arguments = [&["image"], arguments, &["--in", "registry"]].concat();
        let done = document(&mut self.command(project, store, &arguments));
        let images = done.get("images").or_else(|| done.get("unused")).unwrap();
        let id = |image: &Value| image["id"].as_str().unwrap().to_owned();
        images.as_array().unwrap().iter().map(id).collect()
    }

    fn unused(&self, project: &Project, store: &str, arguments: &[&str]) -> BTreeSet<String> {
        self.ids(project, store, &[&["prune", "--dry-run"], arguments].concat())
    }
}

fn application(name: &str, function: &str) -> Project {
    let project = Project::new(1);
    project.write("esb.toml", &format!("application = '{name}'\n"));
    let path = project.path().join("template.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("fn-0", function)).unwrap();
    project
}

fn set(ids: &[&String]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).clone()).collect()
}

#[test]
fn only_what_its_runs_made_is_a_project_s_own() {
    let Some(platform) = Platform::start() else { return };
    let (one, two) = (application("one", "fn-0"), application("two", "fn-1"));
    let old = platform.deploy(&one, "store", "old");
    let current = platform.deploy(&one, "store", "new");
    let of_two = platform.deploy(&two, "store", "two");

    // With and without the place where the other one is published.
    for place in [&[][..], &["--config-to", platform.to()]] {
        let ls = |more: &[&str]| platform.ids(&one, "store", &[&["ls"], more, place].concat());
        assert_eq!(ls(&[]), set(&[&old, &current]), "{place:?}");
        assert_eq!(ls(&["--all"]), set(&[&old, &current, &of_two]), "{place:?}");
        for all in [&[][..], &["--all"]] {
            let unused = platform.unused(&one, "store", &[all, place].concat());
            assert_eq!(unused, set(&[&old]), "{all:?} {place:?}");
        }
    }
    // What the other one published no longer is still not this one's to remove.
    let gone = ["config", "rm", "--owner", "template.yaml", "--config-to", platform.to()];
    document(&mut platform.command(&two, "store", &gone));
    assert_eq!(platform.unused(&one, "store", &[]), set(&[&old]));
    assert_eq!(platform.unused(&one, "store", &["--all"]), set(&[&old]), "nobody made it here");
    assert_eq!(platform.unused(&two, "store", &[]), set(&[&of_two]));

    // A fresh clone knows what its application has published, and no more; an empty folder nothing.
    let clone = application("one", "fn-0");
    let to = ["--config-to", platform.to()];
    assert_eq!(platform.ids(&clone, "store", &["ls"]), set(&[]));
    assert_eq!(platform.ids(&clone, "store", &[&["ls"], &to[..]].concat()), set(&[&current]));
    assert_eq!(platform.unused(&clone, "store", &to), set(&[]));
    assert_eq!(platform.unused(&clone, "store", &[&["--all"], &to[..]].concat()), set(&[]));

    let removed = document(&mut platform.command(
        &one,
        "store",
        &["image", "prune", "--yes", "--all", "--in", "registry"],
    ));
    assert_eq!(removed["removed"], serde_json::json!([old]), "{removed:#}");
    assert_eq!(
        platform.ids(&one, "store", &["ls", "--all"]),
        set(&[&current, &of_two]),
        "what is left"
    );
}

#[test]
fn all_takes_what_projects_of_this_machine_made_and_nobody_publishes() {
    let Some(platform) = Platform::start() else { return };
    let cache = tempfile::tempdir().unwrap();
    let store = cache.path().to_str().unwrap();
    let (one, two) = (application("one", "fn-0"), application("two", "fn-1"));
    let own = platform.deploy(&one, store, "one");
    let old = platform.deploy(&two, store, "old");
    let current = platform.deploy(&two, store, "new");
    // The shared place is not among what this run is told of.
    assert_eq!(platform.ids(&one, store, &["ls"]), set(&[&own]));
    assert_eq!(platform.unused(&one, store, &[]), set(&[]));
    let ls = ["image", "ls", "--all", "--in", "registry"];
    let listed = document(&mut platform.command(&one, store, &ls));
    let listed = listed["images"].as_array().unwrap();
    assert_eq!(listed.len(), 3, "{listed:#?}");
    for image in listed {
        let is_own = image["id"] == own.as_str();
        assert_eq!(image["own"], is_own, "{image:#}");
        let owner = image["owner"].as_str().unwrap();
        assert!(owner.starts_with(if is_own { "one:" } else { "two:" }), "{owner}");
    }
    assert_eq!(platform.unused(&one, store, &["--all"]), set(&[&old]));
    // A project that is gone cannot say what it published: its images are nobody's.
    fs::rename(two.path(), cache.path().join("moved")).unwrap();
    assert_eq!(platform.unused(&one, store, &["--all"]), set(&[]));
    fs::rename(cache.path().join("moved"), two.path()).unwrap();
    // A run that works there has not published yet.
    let folder = fs::File::open(two.path().join(".esb/dev")).unwrap();
    folder.lock().unwrap();
    let all = ["image", "prune", "--in", "registry", "--yes", "--all"];
    assert_eq!(platform.command(&one, store, &all).output().unwrap().status.code(), Some(5));
    drop(folder);
    document(&mut platform.command(&one, store, &all));
    assert_eq!(platform.ids(&two, store, &["ls"]), set(&[&current]));
    assert!(has(two.path(), &current) && has(two.path(), &old), "the record stays");
}

#[test]
fn what_another_machine_may_use_is_not_offered() {
    let Some(platform) = Platform::start() else { return };
    let deploy = |project: &Project, code: &str, to: &str| {
        project.write("functions/f0/app.py", &format!("handler = {code} = True\n"));
        let done =
            document(&mut platform.command(project, "store", &["deploy", "--config-to", to]));
        let mut images = done["images"].as_array().unwrap().iter();
        let image = images.find(|image| image["function"] == "F0").unwrap();
        image["digest"].as_str().unwrap().to_owned()
    };
    // Two machines with copies of one project: the digest says nothing of who brought it.
    let (ci, laptop) = (application("one", "fn-0"), application("one", "fn-0"));
    let live = deploy(&ci, "first", "site");
    assert_eq!(deploy(&laptop, "first", "site"), live);
    let next = deploy(&laptop, "second", "site");
    for all in [&[][..], &["--all"]] {
        assert_eq!(platform.unused(&laptop, "store", all), set(&[]), "{all:?}");
    }
    // One folder that delivers to two sites.
    let other = deploy(&laptop, "third", "other");
    assert_eq!(platform.unused(&laptop, "store", &[]), set(&[]));
    deploy(&laptop, "fourth", "site");
    assert_eq!(platform.unused(&laptop, "store", &[]), set(&[&next]));

    // A list that a repository brings names what others made.
    let clone = application("two", "fn-0");
    let pushed = format!("{}/esb-fn-0", platform.registry.proxy.address());
    for version in [1, 2] {
        let list = serde_json::json!({
            "version": version,
            "images": [{"digest": live, "pushed": pushed}, {"digest": other, "pushed": pushed}],
        });
        clone.write(".esb/dev/made.json", &list.to_string());
        assert_eq!(platform.unused(&clone, "store", &["--all"]), set(&[]), "{version}");
    }
    // Nor is it taken over by a run there, whose own images are its own.
    let old = deploy(&clone, "fifth", "site");
    deploy(&clone, "sixth", "site");
    assert_eq!(platform.unused(&clone, "store", &[]), set(&[&old]));
}

fn has(project: &Path, digest: &str) -> bool {
    fs::read_to_string(project.join(".esb/dev/made.json")).unwrap().contains(digest)
}
