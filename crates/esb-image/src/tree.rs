//! A file system in the making: a base's index with changes on top.
//!
//! Owns how `COPY`, `ADD` and `WORKDIR` land, as BuildKit does it: links in a destination are
//! followed, folders that are missing are made, a folder is never replaced. Refuses contents.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use esb_oci::Attributes;

use crate::{
    base_index::{BaseIndex, Entry},
    context::{Content, Item, ItemKind, Selected},
    paths,
};

/// The most links in one path.
const MAX_LINKS: usize = 255;

/// Something that this build put into the file system.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) attributes: Attributes,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Folder,
    Link(String),
    File(Content),
}

/// What one step changed, by clean path; folders stand before what is in them.
pub(crate) type Changes = BTreeMap<String, Node>;

/// The file system of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    base: Arc<BaseIndex>,
    changes: Changes,
}

/// Something cannot land, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LandError {
    Invalid(String),
    Unsupported(String),
}

/// How something lands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Landing<'a> {
    /// A clean path.
    pub(crate) destination: &'a str,
    /// The destination is a folder even when it is not there.
    pub(crate) into_folder: bool,
    pub(crate) owner: Option<(u64, u64)>,
    pub(crate) mode: Option<u32>,
}

impl Tree {
    pub(crate) fn new(base: Arc<BaseIndex>) -> Self {
        Self { base, changes: Changes::new() }
    }

    /// What lies at a path; a link is not followed.
    pub(crate) fn get(&self, path: &str) -> Option<Entry<'_>> {
        match self.changes.get(path) {
            Some(node) => Some(match &node.kind {
                Kind::Folder => Entry::Folder,
                Kind::Link(target) => Entry::Link(target),
                Kind::File(_) => Entry::File,
            }),
            None => self.base.get(path),
        }
    }

    /// The path with every link in it followed, the last one too; what is not there stays as it is.
    fn resolve(&self, path: &str) -> Result<String, LandError> {
        Self::resolve_in(path, |path| match self.get(path) {
            Some(Entry::Link(target)) => Some(target.to_owned()),
            _ => None,
        })
    }

    /// Follows links that `link` gives the targets of. No link leads above the root.
    pub(crate) fn resolve_in(
        path: &str,
        link: impl Fn(&str) -> Option<String>,
    ) -> Result<String, LandError> {
        let mut done = String::new();
        let mut open: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = open.pop_front() {
            match &*part {
                "" | "." => {}
                ".." => done.truncate(paths::parent(&done).len()),
                part => {
                    let next = paths::join(&done, part);
                    let Some(target) = link(&next) else {
                        done = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        let path = path.escape_debug();
                        return Err(LandError::Invalid(format!("`/{path}` passes too many links")));
                    }
                    if target.starts_with('/') {
                        done.clear();
                    }
                    for part in target.split('/').rev() {
                        open.push_front(part.to_owned());
                    }
                }
            }
        }
        Ok(done)
    }

    /// Lands what one source names, and adds what changed to `step`.
    pub(crate) fn land(
        &mut self,
        selected: &Selected,
        landing: Landing<'_>,
        step: &mut Changes,
    ) -> Result<(), LandError> {
        let Landing { destination, into_folder, owner, .. } = landing;
        let ensured = if into_folder { destination } else { paths::parent(destination) };
        let ensured = self.resolve(ensured)?;
        self.make_folders(&ensured, owner, step)?;
        let mut target = self.resolve(destination)?;
        if selected.is_folder {
            if self.get(&target).is_none() {
                self.make_folders(&target, owner, step)?;
            }
        } else {
            if self.get(&target) == Some(Entry::Folder) {
                target = paths::join(&target, &selected.name);
            }
            self.make_folders(paths::parent(&target), owner, step)?;
        }
        if selected.is_folder && self.get(&target) != Some(Entry::Folder) {
            return Err(not_a_folder(&target));
        }
        for item in &selected.items {
            self.put(&paths::join(&target, &item.path), item, landing, step)?;
        }
        Ok(())
    }

    /// Lands what an archive holds: links on the way are followed for each entry.
    pub(crate) fn unpack(
        &mut self,
        items: &[Item],
        landing: Landing<'_>,
        step: &mut Changes,
    ) -> Result<(), LandError> {
        let target = self.resolve(landing.destination)?;
        self.make_folders(&target, landing.owner, step)?;
        for item in items {
            let folder = self.resolve(&paths::join(&target, paths::parent(&item.path)))?;
            self.make_folders(&folder, None, step)?;
            let path = paths::join(&folder, paths::name(&item.path));
            if matches!(item.kind, ItemKind::Folder) != (self.get(&path) == Some(Entry::Folder))
                && self.get(&path).is_some_and(|found| {
                    found == Entry::Folder || matches!(item.kind, ItemKind::Folder)
                })
            {
                let path = path.escape_debug();
                let reason = format!("an archive that replaces `/{path}` by another kind");
                return Err(LandError::Unsupported(reason));
            }
            self.put(&path, item, landing, step)?;
        }
        Ok(())
    }

    /// `WORKDIR`: makes a folder and the missing ones above it.
    pub(crate) fn make_folder(
        &mut self,
        path: &str,
        owner: (u64, u64),
        step: &mut Changes,
    ) -> Result<(), LandError> {
        let path = self.resolve(path)?;
        self.make_folders(&path, Some(owner), step)
    }

    /// Whether a folder is there, links followed.
    pub(crate) fn has_folder(&self, path: &str) -> Result<bool, LandError> {
        Ok(self.get(&self.resolve(path)?) == Some(Entry::Folder))
    }

    /// What `COPY --from` finds at a path of this stage.
    pub(crate) fn select(&self, source: &str) -> Result<Selected, LandError> {
        let name = paths::name(source).to_owned();
        let real = self.resolve(source)?;
        let shown = source.escape_debug();
        if let Some(Node { attributes, kind: Kind::File(content) }) = self.changes.get(&real) {
            let kind = ItemKind::File(content.clone());
            let item = Item { path: String::new(), attributes: *attributes, kind };
            return Ok(Selected { name, is_folder: false, items: vec![item] });
        }
        if self.base.has_below(&real) {
            let reason = format!("`COPY --from` of `/{shown}`, which a base image holds");
            return Err(LandError::Unsupported(reason));
        }
        if !real.is_empty() && self.get(&real) != Some(Entry::Folder) {
            return Err(LandError::Invalid(format!("`/{shown}` is not in the stage")));
        }
        let start = if real.is_empty() { String::new() } else { format!("{real}/") };
        let below = self.changes.range(start.clone()..);
        let items = below
            .take_while(|(path, _)| path.starts_with(&start))
            .map(|(path, node)| Item {
                path: path[start.len()..].to_owned(),
                attributes: node.attributes,
                kind: match &node.kind {
                    Kind::Folder => ItemKind::Folder,
                    Kind::Link(target) => ItemKind::Link(target.clone()),
                    Kind::File(content) => ItemKind::File(content.clone()),
                },
            })
            .collect();
        Ok(Selected { name, is_folder: true, items })
    }

    fn make_folders(
        &mut self,
        path: &str,
        owner: Option<(u64, u64)>,
        step: &mut Changes,
    ) -> Result<(), LandError> {
        match self.get(path) {
            Some(Entry::Folder) => return Ok(()),
            Some(_) => return Err(not_a_folder(path)),
            None => {}
        }
        self.make_folders(paths::parent(path), owner, step)?;
        let (uid, gid) = owner.unwrap_or_default();
        let attributes = Attributes { mode: 0o755, uid, gid };
        self.set(path, Node { attributes, kind: Kind::Folder }, step);
        Ok(())
    }

    fn put(
        &mut self,
        path: &str,
        item: &Item,
        landing: Landing<'_>,
        step: &mut Changes,
    ) -> Result<(), LandError> {
        let mut attributes = item.attributes;
        if let Some((uid, gid)) = landing.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if let Some(mode) = landing.mode {
            attributes.mode = mode;
        }
        let there = self.get(path);
        let kind = match &item.kind {
            ItemKind::Folder => {
                if there.is_some_and(|there| there != Entry::Folder) {
                    return Err(not_a_folder(path));
                }
                Kind::Folder
            }
            _ if there == Some(Entry::Folder) => {
                let path = path.escape_debug();
                let reason = format!("`/{path}` is a folder, and a file would replace it");
                return Err(LandError::Invalid(reason));
            }
            ItemKind::Link(target) => {
                attributes.mode = 0o777;
                Kind::Link(target.clone())
            }
            ItemKind::File(content) => Kind::File(content.clone()),
        };
        self.set(path, Node { attributes, kind }, step);
        Ok(())
    }

    fn set(&mut self, path: &str, node: Node, step: &mut Changes) {
        step.insert(path.to_owned(), node.clone());
        self.changes.insert(path.to_owned(), node);
    }
}

fn not_a_folder(path: &str) -> LandError {
    LandError::Invalid(format!("`/{}` is not a folder", path.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Tree {
        let mut changes = Changes::new();
        for folder in ["opt", "exist", "exist/sub", "var", "var/task"] {
            let attributes = Attributes::root(0o700);
            changes.insert(folder.into(), Node { attributes, kind: Kind::Folder });
        }
        for (path, target) in
            [("lnk", "/opt"), ("dangling", "no/where"), ("flink", "exist/file"), ("loop", "loop")]
        {
            let kind = Kind::Link(target.to_owned());
            changes.insert(path.into(), Node { attributes: Attributes::root(0o777), kind });
        }
        let kind = Kind::File(content());
        changes.insert("exist/file".into(), Node { attributes: Attributes::root(0o644), kind });
        let mut index = BaseIndex::default();
        index.apply(&changes);
        Tree::new(Arc::new(index))
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
        Selected { name: name.to_owned(), is_folder: false, items: vec![item("")] }
    }

    fn folder(items: &[&str]) -> Selected {
        let items = items.iter().map(|path| item(path)).collect();
        Selected { name: "d".to_owned(), is_folder: true, items }
    }

    fn show(changes: &Changes) -> String {
        let line = |(path, node): (&String, &Node)| {
            let Attributes { mode, uid, .. } = node.attributes;
            match &node.kind {
                Kind::Folder => format!("{path}/ {mode:o}:{uid}"),
                Kind::Link(target) => format!("{path}->{target}"),
                Kind::File(_) => format!("{path} {mode:o}:{uid}"),
            }
        };
        changes.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    fn land(selected: &Selected, destination: &str) -> Result<String, LandError> {
        let mut step = Changes::new();
        let landing = Landing {
            destination: &paths::clean(destination),
            into_folder: destination.ends_with('/'),
            owner: None,
            mode: None,
        };
        base().land(selected, landing, &mut step)?;
        Ok(show(&step))
    }

    #[test]
    fn files_land_as_with_buildkit() {
        let check = |destination: &str, expected: &str| {
            assert_eq!(land(&file("f"), destination).as_deref(), Ok(expected), "{destination}");
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
            assert!(matches!(land(&file("f"), bad), Err(LandError::Invalid(_))), "{bad}");
        }
        assert!(land(&file("sub"), "/exist/").is_err(), "a file over a folder");
    }

    #[test]
    fn folders_land_as_with_buildkit() {
        let items = ["a", "sub/", "sub/b", "l->x"];
        let check = |destination: &str, expected: &str| {
            let found = land(&folder(&items), destination);
            assert_eq!(found.as_deref(), Ok(expected), "{destination}");
        };
        // The folder itself keeps its mode, the ones in it get theirs.
        check("/exist/", "exist/a 644:0, exist/l->x, exist/sub/ 755:0, exist/sub/b 644:0");
        check("/lnk", "opt/a 644:0, opt/l->x, opt/sub/ 755:0, opt/sub/b 644:0");
        check("/n", "n/ 755:0, n/a 644:0, n/l->x, n/sub/ 755:0, n/sub/b 644:0");
        assert_eq!(land(&folder(&[]), "/opt/").as_deref(), Ok(""));
        assert!(land(&folder(&["lnk/", "lnk/x"]), "/").is_err(), "a folder over a link");
        assert!(land(&folder(&["a"]), "/flink").is_err(), "a folder over a file");
    }

    #[test]
    fn owner_and_mode() {
        let mut step = Changes::new();
        let landing = Landing {
            destination: "n/m",
            into_folder: false,
            owner: Some((5, 6)),
            mode: Some(0o640),
        };
        base().land(&folder(&["s/", "s/f"]), landing, &mut step).unwrap();
        assert_eq!(show(&step), "n/ 755:5, n/m/ 755:5, n/m/s/ 640:5, n/m/s/f 640:5");
    }

    #[test]
    fn archives_follow_links_for_each_entry() {
        let mut step = Changes::new();
        let landing = Landing { destination: "new", into_folder: true, owner: None, mode: None };
        let items: Vec<_> = ["a/", "a/x", "l->a", "l/y"].iter().map(|path| item(path)).collect();
        base().unpack(&items, landing, &mut step).unwrap();
        assert_eq!(show(&step), "new/ 755:0, new/a/ 755:0, new/a/x 644:0, new/a/y 644:0, new/l->a");
        let landing = Landing { destination: "", ..landing };
        let error = base().unpack(&[item("opt")], landing, &mut step).unwrap_err();
        assert!(matches!(error, LandError::Unsupported(_)), "{error:?}");
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
    fn a_stage_gives_what_it_made_itself() {
        let mut tree = base();
        let mut step = Changes::new();
        let landing = Landing { destination: "made", into_folder: true, owner: None, mode: None };
        tree.land(&folder(&["s/", "s/f"]), landing, &mut step).unwrap();
        let selected = tree.select("made").unwrap();
        let paths: Vec<_> = selected.items.iter().map(|item| &*item.path).collect();
        assert_eq!((selected.is_folder, paths), (true, vec!["s", "s/f"]));
        assert_eq!(tree.select("made/s/f").unwrap().name, "f");
        assert!(matches!(tree.select("opt"), Err(LandError::Unsupported(_))));
        assert!(matches!(tree.select(""), Err(LandError::Unsupported(_))));
        assert!(matches!(tree.select("none"), Err(LandError::Invalid(_))));
    }
}
