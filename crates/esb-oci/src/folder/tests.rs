//! Tests with links, pipes and sockets at every place: nothing outside of the folder changes.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    process::Command,
};

use super::*;

/// A victim with a file, and a project whose `.esb` is not there yet.
struct Ground {
    place: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("victim/sub")).unwrap();
        fs::write(place.path().join("victim/file"), "precious").unwrap();
        fs::write(place.path().join("victim/sub/file"), "precious too").unwrap();
        fs::create_dir(place.path().join("project")).unwrap();
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn folder(&self) -> Folder {
        Folder::new(self.path("project")).join(".esb/dev")
    }

    fn link(&self, to: impl AsRef<Path>, name: &str) {
        let path = self.path("project").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    fn is_unharmed(&self) -> bool {
        let mut names: Vec<_> = fs::read_dir(self.path("victim"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names == ["file", "sub"]
            && fs::read(self.path("victim/file")).unwrap() == b"precious"
            && fs::read(self.path("victim/sub/file")).unwrap() == b"precious too"
            && !self.path("absent").exists()
    }
}

/// Every operation on a name, and whether it failed because of a link.
fn all(folder: &Folder, name: &str) -> Vec<(&'static str, Result<(), FolderError>)> {
    let temporary = || {
        let other = Folder::new(folder.base.clone());
        let temporary = other.temporary("t-")?;
        temporary.folder().write("new", b"x", 0o644)?;
        folder.put(name, &temporary, "new")
    };
    vec![
        ("read", folder.read(name, 100).map(drop)),
        ("metadata", folder.metadata(name).map(drop)),
        ("write", folder.write(name, b"overwritten", 0o644)),
        ("append", folder.append(name).map(drop)),
        ("lock", folder.lock_file(name).map(drop)),
        ("remove file", folder.remove_file(name).map(drop)),
        ("remove folder", folder.remove_folder(name).map(drop)),
        ("put", temporary()),
        ("list below", folder.join(name).entries().map(drop)),
        ("make below", folder.join(name).join("new").make()),
        ("write below", folder.write(Path::new(name).join("file"), b"overwritten", 0o644)),
        ("remove below", folder.remove_file(Path::new(name).join("file")).map(drop)),
        ("remove folder below", folder.remove_folder(Path::new(name).join("sub")).map(drop)),
        ("temporary below", folder.join(name).temporary("t-").map(drop)),
        ("lock below", folder.lock_file(Path::new(name).join("file")).map(drop)),
    ]
}

#[test]
fn a_link_is_an_error_wherever_it_is() {
    let ground = Ground::new();
    let targets = [
        ground.path("victim"),
        ground.path("victim/file"),
        ground.path("absent"),
        "/dev/null".into(),
        "..".into(),
        "name".into(),
    ];
    for target in targets {
        for at in [".esb", ".esb/dev", ".esb/dev/name"] {
            ground.link(&target, at);
            for (operation, result) in all(&ground.folder(), "name") {
                let error = result.expect_err(operation);
                let told = matches!(&error, FolderError::Link { path, target: to, .. }
                    if *path == ground.path("project").join(at) && to.as_ref() == Some(&target));
                assert!(told, "{operation}, {at} to {}: {error:?}", target.display());
                assert!(error.is_input() && error.hint().unwrap().contains(at), "{error:?}");
            }
            assert!(ground.is_unharmed(), "{at} to {}", target.display());
            fs::remove_file(ground.path("project").join(at)).unwrap();
            fs::remove_dir_all(ground.path("project")).unwrap();
            fs::create_dir(ground.path("project")).unwrap();
        }
    }
}

#[test]
fn pipes_and_sockets_are_not_waited_for() {
    let ground = Ground::new();
    ground.folder().make().unwrap();
    let pipe = ground.folder().path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _socket = UnixListener::bind(ground.folder().path().join("socket")).unwrap();
    for name in ["pipe", "socket"] {
        for (operation, result) in all(&ground.folder(), name) {
            if operation != "metadata" {
                let error = result.expect_err(operation);
                assert!(error.is_input(), "{operation} of a {name}: {error:?}");
            }
        }
    }
}

#[test]
fn the_way_to_the_base_may_lead_through_links() {
    let ground = Ground::new();
    symlink(ground.path("project"), ground.path("link")).unwrap();
    let folder = Folder::new(ground.path("link")).join(".esb");
    assert!(!folder.exists().unwrap());
    assert_eq!(folder.nearest().unwrap().path(), ground.path("link"));
    folder.write("a/b/file", b"one", 0o640).unwrap();
    folder.write("a/b/file", b"two", 0o640).unwrap();
    assert_eq!(folder.read("a/b/file", 3).unwrap().unwrap(), b"two");
    assert!(folder.read("a/b/file", 2).is_err(), "it is too large");
    assert!(folder.holds("a/b/file", b"two") && !folder.holds("a/b/file", b"on"));
    assert_eq!(folder.read("a/none", 2).unwrap(), None);
    let mode = folder.metadata("a/b/file").unwrap().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let entries = folder.join("a/b").entries().unwrap();
    assert_eq!(
        entries,
        [FolderEntry { name: "file".into(), kind: EntryKind::File }],
        "nothing is left"
    );
    assert!(Folder::new(ground.path("none/at/all")).nearest().unwrap().path().exists());
    let outside = folder.write("../file", b"", 0o644).unwrap_err();
    assert!(outside.to_string().contains("could not open"), "{outside}");
}

#[test]
fn links_are_followed_when_the_user_says_so() {
    let ground = Ground::new();
    ground.link(ground.path("victim"), ".esb");
    let folder = Folder::new(ground.path("project")).with_links(Links::Followed).join(".esb");
    folder.write("new", b"content", 0o644).unwrap();
    assert_eq!(fs::read(ground.path("victim/new")).unwrap(), b"content");
    symlink("new", ground.path("victim/link")).unwrap();
    folder.write("link", b"through", 0o644).unwrap();
    assert_eq!(fs::read(ground.path("victim/new")).unwrap(), b"through");
    assert!(ground.path("victim/link").is_symlink());
    let setting = Links::Refused { unless: Some("ESB_FOLLOW_LINKS=1".into()) };
    let error = folder.with_links(setting).write("new", b"", 0o644).unwrap_err();
    assert!(error.hint().unwrap().contains("ESB_FOLLOW_LINKS=1"), "{error:?}");
}

#[test]
fn removal_never_leaves_the_folder() {
    let ground = Ground::new();
    let folder = ground.folder();
    folder.write("tree/a/b/file", b"x", 0o644).unwrap();
    symlink(ground.path("victim"), folder.path().join("tree/a/link")).unwrap();
    symlink(ground.path("victim/file"), folder.path().join("tree/link")).unwrap();
    folder.remove_empty("tree").unwrap();
    assert!(folder.kind("tree").unwrap().is_some(), "it holds something");
    assert!(folder.remove_folder("tree").unwrap());
    assert!(!folder.remove_folder("tree").unwrap() && !folder.remove_file("tree").unwrap());
    assert!(ground.is_unharmed());
}

#[test]
fn a_temporary_folder_vanishes_and_what_was_put_stays() {
    let ground = Ground::new();
    let folder = ground.folder();
    for content in ["one", "two"] {
        let temporary = folder.temporary(".made-").unwrap();
        temporary.folder().write("new/file", content.as_bytes(), 0o644).unwrap();
        assert!(temporary.path().is_dir());
        folder.put("place", &temporary, "new").unwrap();
        let name = temporary.path().file_name().unwrap().to_owned();
        assert!(is_temporary(&name, ".made-", EntryKind::Folder), "{name:?}");
        assert!(!is_temporary(&name, ".made-", EntryKind::File), "{name:?}");
    }
    assert_eq!(folder.read("place/file", 9).unwrap().unwrap(), b"two");
    assert_eq!(folder.entries().unwrap().len(), 1);
}

#[test]
fn only_our_names_are_temporary() {
    let file = |name: &str| is_temporary(OsStr::new(name), "functions.yml", EntryKind::File);
    assert!(file(".functions.yml.0123456789abcdef.tmp"));
    for name in [
        ".functions.yml.backup.tmp",
        ".functions.yml.tmp",
        ".functions.yml.0123456789abcdeF.tmp",
        ".functions.yml.0123456789abcdef0.tmp",
        "functions.yml.0123456789abcdef.tmp",
        ".routing.yml.0123456789abcdef.tmp",
    ] {
        assert!(!file(name), "{name}");
    }
}
