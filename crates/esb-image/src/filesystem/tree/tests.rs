//! Tests that `COPY` puts files where BuildKit puts them.

use super::*;
use crate::{context::Content, dockerfile::mode::Mode, filesystem::base_index::BaseIndex};

fn base() -> Tree {
    let mut changes = Changes::new();
    for folder in ["opt", "exist", "exist/sub", "var", "var/task"] {
        let attributes = Attributes::root(0o700);
        changes.insert(folder.into(), Node { attributes, kind: ItemKind::Folder });
    }
    for (path, target) in
        [("lnk", "/opt"), ("dangling", "no/where"), ("flink", "exist/file"), ("loop", "loop")]
    {
        let kind = ItemKind::Link(target.to_owned());
        changes.insert(path.into(), Node { attributes: Attributes::root(0o777), kind });
    }
    let kind = ItemKind::File(content());
    changes.insert("exist/file".into(), Node { attributes: Attributes::root(0o644), kind });
    let mut index = BaseIndex::default();
    index.apply(&changes);
    Tree::new(LoadedBase { index: index.into(), ..LoadedBase::default() })
}

fn content() -> Content {
    Content { path: "x".into(), size: 0, digest: esb_oci::Digest::of(b"") }
}

fn item(path: &str) -> Item {
    let (path, kind, mode) = match (path.strip_suffix('/'), path.split_once("->")) {
        (Some(path), _) => (path, ItemKind::Folder, 0o755),
        (None, Some((path, target))) => (path, ItemKind::Link(target.to_owned()), 0o777),
        (None, None) => (path, ItemKind::File(content()), 0o644),
    };
    Item { path: path.to_owned(), attributes: Attributes::root(mode), kind }
}

fn file(name: &str) -> Selected {
    Selected {
        name: name.to_owned(),
        is_folder: false,
        items: vec![item("")],
        passed: BTreeSet::new(),
    }
}

fn folder(items: &[&str]) -> Selected {
    let items = items.iter().map(|path| item(path)).collect();
    Selected { name: "d".to_owned(), is_folder: true, items, passed: BTreeSet::new() }
}

fn show(changes: &Changes) -> String {
    let line = |(path, node): (&String, &Node)| {
        let Attributes { mode, uid, .. } = node.attributes;
        match &node.kind {
            ItemKind::Folder => format!("{path}/ {mode:o}:{uid}"),
            ItemKind::Link(target) => format!("{path}->{target}"),
            ItemKind::File(_) => format!("{path} {mode:o}:{uid}"),
        }
    };
    changes.iter().map(line).collect::<Vec<_>>().join(", ")
}

fn copy(selected: &Selected, destination: &str) -> Result<String, CopyError> {
    let mut step = Changes::new();
    let to = CopyTarget {
        destination: &paths::clean(destination),
        into_folder: destination.ends_with('/'),
        owner: None,
        mode: None,
    };
    base().copy(selected, to, &mut step)?;
    Ok(show(&step))
}

#[test]
fn files_land_as_with_buildkit() {
    let check = |destination: &str, expected: &str| {
        assert_eq!(copy(&file("f"), destination).as_deref(), Ok(expected), "{destination}");
    };
    check("/opt/", "opt/f 644:0");
    check("/opt", "opt/f 644:0");
    check("/lnk/", "opt/f 644:0");
    check("/lnk", "opt/f 644:0");
    check("/lnk/x", "opt/x 644:0");
    check("/new/dir/", "new/ 755:0, new/dir/ 755:0, new/dir/f 644:0");
    check("/new/dir", "new/ 755:0, new/dir 644:0");
    check("/flink", "exist/file 644:0");
    check("/dangling", "no/ 755:0, no/where 644:0");
    check("/dangling/", "no/ 755:0, no/where/ 755:0, no/where/f 644:0");
    check("/", "f 644:0");
    for bad in ["/exist/file/", "/exist/file/x", "/loop", "/loop/x"] {
        assert!(matches!(copy(&file("f"), bad), Err(CopyError::Invalid(_))), "{bad}");
    }
    assert!(copy(&file("sub"), "/exist/").is_err(), "a file over a folder");
}

#[test]
fn folders_land_as_with_buildkit() {
    let items = ["a", "sub/", "sub/b", "l->x"];
    let check = |destination: &str, expected: &str| {
        let found = copy(&folder(&items), destination);
        assert_eq!(found.as_deref(), Ok(expected), "{destination}");
    };
    // The folder itself keeps its mode, the ones in it get theirs.
    check("/exist/", "exist/a 644:0, exist/l->x, exist/sub/ 755:0, exist/sub/b 644:0");
    check("/lnk", "opt/a 644:0, opt/l->x, opt/sub/ 755:0, opt/sub/b 644:0");
    check("/n", "n/ 755:0, n/a 644:0, n/l->x, n/sub/ 755:0, n/sub/b 644:0");
    assert_eq!(copy(&folder(&[]), "/opt/").as_deref(), Ok(""));
    assert!(copy(&folder(&["lnk/", "lnk/x"]), "/").is_err(), "a folder over a link");
    assert!(copy(&folder(&["a"]), "/flink").is_err(), "a folder over a file");
}

#[test]
fn owner_and_mode() {
    let mut step = Changes::new();
    let to = CopyTarget {
        destination: "n/m",
        into_folder: false,
        owner: Some((5, 6)),
        mode: Some(&Mode::Octal(0o640)),
    };
    base().copy(&folder(&["s/", "s/f"]), to, &mut step).unwrap();
    assert_eq!(show(&step), "n/ 640:5, n/m/ 640:5, n/m/s/ 640:5, n/m/s/f 640:5");
}

#[test]
fn archives_follow_links_for_each_entry() {
    let mut step = Changes::new();
    let to = CopyTarget { destination: "new", into_folder: true, owner: None, mode: None };
    let items: Vec<_> = ["a/", "a/x", "l->a", "l/y"].iter().map(|path| item(path)).collect();
    base().unpack(&items, to, &mut step).unwrap();
    assert_eq!(show(&step), "new/ 755:0, new/a/ 755:0, new/a/x 644:0, new/a/y 644:0, new/l->a");
    let to = CopyTarget { destination: "", ..to };
    let error = base().unpack(&[item("opt")], to, &mut step).unwrap_err();
    assert!(matches!(error, CopyError::Unsupported(_)), "{error:?}");
}

#[test]
fn work_folders() {
    let mut tree = base();
    let mut step = Changes::new();
    tree.make_folder("var/task", (0, 0), &mut step).unwrap();
    tree.make_folder("lnk/w/x", (7, 7), &mut step).unwrap();
    assert_eq!(show(&step), "opt/w/ 755:7, opt/w/x/ 755:7");
    assert!(tree.has_folder("lnk/w").unwrap() && !tree.has_folder("none").unwrap());
}

#[test]
fn a_stage_gives_what_it_made_and_what_its_base_holds() {
    let mut tree = base();
    let mut step = Changes::new();
    let to = CopyTarget { destination: "made", into_folder: true, owner: None, mode: None };
    tree.copy(&folder(&["s/", "s/f"]), to, &mut step).unwrap();
    let select = |source: &str| {
        let mut missing = BTreeSet::new();
        let selection = Selection::new(source, false, &[]).unwrap();
        tree.select(&selection, &mut missing).map(|found| (found, missing))
    };
    let (found, missing) = select("made").unwrap();
    let paths: Vec<_> = found[0].items.iter().map(|item| &*item.path).collect();
    assert_eq!((found[0].is_folder, paths), (true, vec!["s", "s/f"]));
    assert!(missing.is_empty());
    assert_eq!(select("made/s/f").unwrap().0[0].name, "f");
    let names = |pattern: &str| {
        let (found, _) = select(pattern).unwrap();
        found.into_iter().map(|selected| selected.name).collect::<Vec<_>>()
    };
    assert_eq!(names("/m*/?/[f]"), ["f"]);
    assert_eq!(names("made/*"), ["s"]);
    assert_eq!(names("o*"), ["opt"]);
    assert!(names("flink/*").is_empty());
    let missed = |source: &str| select(source).unwrap().1.into_iter().collect::<Vec<_>>();
    assert_eq!(missed("flink"), ["exist/file"]);
    assert_eq!(missed("/"), ["dangling", "exist/file", "flink", "lnk", "loop"]);
    assert!(missed("opt").is_empty(), "a folder is no content");
    for none in ["none", "none/*", "dangling", "loop"] {
        assert!(matches!(select(none), Err(CopyError::Invalid(_))), "{none}");
    }
    assert!(matches!(select("[a"), Err(CopyError::Unsupported(_))));
}
