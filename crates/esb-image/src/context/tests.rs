//! Tests of which files sources name, and which never leave a context.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use esb_oci::ContentStore;

use super::*;

struct Fixture {
    folder: tempfile::TempDir,
    stats: StatCache,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let root = folder.path().join("root");
        for file in ["a.py", "b.py", "d/x", "d/e/y", "d/e/.git/z", "q/s"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        fs::create_dir(root.join("empty")).unwrap();
        fs::set_permissions(root.join("b.py"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("d", root.join("link")).unwrap();
        symlink("../../../etc/passwd", root.join("out")).unwrap();
        symlink("/a.py", root.join("d/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        fs::write(folder.path().join("secret"), "s").unwrap();
        Self { folder, stats: StatCache::new(store) }
    }

    fn context(&self, rules: &str) -> Context<'_> {
        let rules = IgnoreRules::parse(rules).unwrap();
        Context::new(self.folder.path().join("root"), rules, &self.stats, true)
    }

    /// All that is selected, in one line each.
    fn select(&self, rules: &str, source: &str) -> Result<Vec<String>, ContextError> {
        let mut lines = Vec::new();
        for selected in self.context(rules).select(source)? {
            for item in selected.items {
                let path = format!("{}:{}", selected.name, item.path);
                lines.push(match item.kind {
                    ItemKind::Folder => path + "/",
                    ItemKind::Link(target) => format!("{path}->{target}"),
                    ItemKind::File(content) => {
                        assert_eq!(Digest::of(&fs::read(content.path).unwrap()), content.digest);
                        format!("{path} {:o}", item.attributes.mode)
                    }
                });
            }
        }
        Ok(lines)
    }
}

#[test]
fn sources() {
    let fixture = Fixture::new();
    let check = |rules: &str, source: &str, expected: &[&str]| {
        let found = fixture.select(rules, source).unwrap();
        assert_eq!(found, expected, "{source} with {rules:?}");
    };
    check("", "a.py", &["a.py: 644"]);
    check("", "/b.py", &["b.py: 755"]);
    check("", "*.py", &["a.py: 644", "b.py: 755"]);
    check("a*", "*.py", &["b.py: 755"]);
    check("", "*.none", &[]);
    check("", "a.py/*", &[]);
    check("", "empty", &[]);
    check(
        "",
        "d/",
        &["d:e/", "d:e/.git/", "d:e/.git/z 644", "d:e/y 644", "d:up->/a.py", "d:x 644"],
    );
    check("**/.git", "./d/./e", &["e:y 644"]);
    check("", "link/x", &["x: 644"]);
    check("d/e", "link", &["link:up->/a.py", "link:x 644"]);
    check("", "d/u?", &["up: 644"]);
    check("", "*/[e]/y", &["y: 644"]);
    check("*\n!d/e/y", "d", &["d:e/", "d:e/y 644"]);
    check("*\n!d/e/y", "*", &["d:e/", "d:e/y 644"]);
    check("**\n!q/s", "", &[":q/", ":q/s 644"]);
    check("*\n!d/x/**", "d*", &[]);
    check("*\n!d/x/**", "*", &[]);
}

#[test]
fn what_is_not_there_or_left_out_is_missing() {
    let fixture = Fixture::new();
    for (rules, source) in [
        ("", "nope"),
        ("", "nope/*"),
        ("", "loop/*"),
        ("", "a.py/x"),
        ("a.py", "a.py"),
        ("d", "d"),
        ("d", "link"),
        ("d", "d/*"),
        ("link", "link"),
        ("a.py", "d/up"),
        ("", "out"),
        ("", "loop"),
    ] {
        let error = fixture.select(rules, source).unwrap_err();
        assert!(matches!(error, ContextError::Missing(_)), "{source}: {error:?}");
    }
}

#[test]
fn nothing_outside_is_read() {
    let fixture = Fixture::new();
    for source in ["../secret", "d/../../secret"] {
        let error = fixture.select("", source).unwrap_err();
        assert!(matches!(error, ContextError::Missing(_)), "{source}: {error:?}");
    }
    assert_eq!(fixture.select("", "..").unwrap(), fixture.select("", ".").unwrap());
    symlink("../secret", fixture.folder.path().join("root/secret")).unwrap();
    assert!(fixture.select("", "secret").is_err(), "a link that leads out");
}

#[test]
fn sockets_are_left_out() {
    let fixture = Fixture::new();
    let socket = fixture.folder.path().join("root/q/socket");
    std::os::unix::net::UnixListener::bind(socket).unwrap();
    assert_eq!(fixture.select("", "q").unwrap(), ["q:s 644"]);
}
