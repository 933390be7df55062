//! Decides which symbolic links of a copied folder stay links, and what is copied in place of those
//! that lead out of it.
//!
//! Owns where a link leads and what forbids to follow it. Refuses to copy, and leaves absolute
//! links alone: they mean a path of the image.

use std::{
    ffi::OsStr,
    fmt, fs,
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use esb_model::FollowLinks;

use crate::dockerignore::{IgnoreRules, Matched};

/// The most links that the way to one target passes.
const MAX_LINKS: usize = 40;

/// How deep folders may nest, and how many links to folders a look follows: what is larger is
/// refused by who copies it.
const MAX_DEPTH: usize = 255;
const MAX_FOLLOWED: usize = 10_000;

/// The most links that one look finds fault with.
const MAX_FAULTS: usize = 20;

/// What a name begins with that deletes something where an image is unpacked, as image-spec has it.
pub const WHITEOUT: &str = ".wh.";

/// Folders of tools that no copy has, whatever name a link gives them.
pub const NEVER_COPIED: [&str; 3] = [".git", ".aws-sam", ".venv"];

/// Where links that lead out of a copied folder may lead.
#[derive(Debug, Clone)]
pub struct LinkRules {
    /// The project's root, without links.
    root: PathBuf,
    /// Where we put what we make: a copy of it would hold itself.
    generated: PathBuf,
    follow: FollowLinks,
}

/// A folder of what is copied, as it lies on the disk.
#[derive(Debug, Clone)]
pub struct CopiedFolder {
    path: PathBuf,
    start: Arc<Start>,
}

/// Where the copy of a folder starts: at what was named, or at what a link leads to.
#[derive(Debug)]
struct Start {
    path: PathBuf,
    /// The folders of the links that led here.
    passed: Vec<PathBuf>,
}

/// What a copy has in place of a symbolic link.
#[derive(Debug, Clone)]
pub enum LinkAction {
    /// The link itself.
    Link,
    /// What lies in a folder.
    Folder(CopiedFolder),
    /// A file, by its path without links.
    File(PathBuf),
}

/// A link that cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFault {
    /// Relative to the project's root where it lies in it.
    pub link: PathBuf,
    /// As the link has it.
    pub target: PathBuf,
    pub reason: LinkReason,
}

/// See [`LinkFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkReason {
    Outside,
    HoldsLink,
    /// A chain of links that has no end counts too.
    Missing,
    Generated,
    /// A folder of [`NEVER_COPIED`], or something in one.
    NeverCopied,
    Special,
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (link, target) = (self.link.display().to_string(), self.target.display().to_string());
        let reason = match self.reason {
            LinkReason::Outside => "which lies outside of the project",
            LinkReason::HoldsLink => "a folder that holds the link",
            LinkReason::Missing => "where there is nothing",
            LinkReason::Generated => "which is made anew by every build",
            LinkReason::NeverCopied => "which is never part of an image",
            LinkReason::Special => "which is neither a folder nor a file",
        };
        let (link, target) = (link.escape_debug(), target.escape_debug());
        write!(f, "the symbolic link `{link}` leads to `{target}`, {reason}")
    }
}

impl std::error::Error for LinkFault {}

impl LinkFault {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self.reason {
            LinkReason::Outside => {
                "move it into the project, leave the link out of code with a `.samignore`, or allow \
                 it in esb.toml: `[code]` with `follow-links = \"anywhere\"`"
            }
            _ => "change or remove the link, or leave it out of code with a `.samignore`",
        }
    }
}

/// Why a link has no [`LinkAction`].
#[derive(Debug)]
pub enum LinkError {
    Fault(LinkFault),
    Io(io::Error),
}

impl LinkRules {
    /// Rules for a project whose root is `root`, a path without links; what is made for builds
    /// lies in the folder `generated` of it.
    pub fn new(root: PathBuf, generated: &Path, follow: FollowLinks) -> Self {
        Self { generated: root.join(generated), root, follow }
    }

    /// A folder that is copied whole; its path has no links.
    pub fn start(&self, path: PathBuf) -> CopiedFolder {
        CopiedFolder::start(path, Vec::new())
    }

    /// Decides what a copy has in place of the link `name` in `folder`.
    ///
    /// # Errors
    /// When the link leads out of what is copied to where it must not, or cannot be read.
    pub fn way(&self, folder: &CopiedFolder, name: &str) -> Result<LinkAction, LinkError> {
        let link = folder.path.join(name);
        let target = fs::read_link(&link).map_err(LinkError::Io)?;
        if stays(&folder.start.path, &folder.path, &target) {
            return Ok(LinkAction::Link);
        }
        let fault = |reason| {
            let link = link.strip_prefix(&self.root).unwrap_or(&link).to_owned();
            LinkError::Fault(LinkFault { link, target: target.clone(), reason })
        };
        let real = fs::canonicalize(&link).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => LinkError::Io(error),
            _ => fault(LinkReason::Missing),
        })?;
        let mut passed = folder.start.passed.clone();
        passed.push(folder.path.clone());
        if passed.iter().any(|passed| passed.starts_with(&real)) {
            return Err(fault(LinkReason::HoldsLink));
        }
        if self.follow == FollowLinks::WithinProject && !real.starts_with(&self.root) {
            return Err(fault(LinkReason::Outside));
        }
        if real.starts_with(&self.generated) {
            return Err(fault(LinkReason::Generated));
        }
        if self.is_never_copied(&real, folder) {
            return Err(fault(LinkReason::NeverCopied));
        }
        let kind = fs::metadata(&real).map_err(LinkError::Io)?;
        if kind.is_dir() {
            Ok(LinkAction::Folder(CopiedFolder::start(real, passed)))
        } else if kind.is_file() {
            Ok(LinkAction::File(real))
        } else {
            Err(fault(LinkReason::Special))
        }
    }
}

impl LinkRules {
    /// Whether a path is or lies in a folder that no copy has. What is copied from within one, as a
    /// build of SAM is, may have links to more of it.
    fn is_never_copied(&self, real: &Path, folder: &CopiedFolder) -> bool {
        let generated = self.generated.file_name();
        let is_named = |name: &OsStr| {
            NEVER_COPIED.iter().any(|never| name == *never) || Some(name) == generated
        };
        real.ancestors().any(|above| {
            above.file_name().is_some_and(is_named)
                && !self.root.starts_with(above)
                && !folder.start.path.starts_with(above)
        })
    }
}

impl CopiedFolder {
    fn start(path: PathBuf, passed: Vec<PathBuf>) -> Self {
        Self { start: Arc::new(Start { path: path.clone(), passed }), path }
    }

    /// Where it lies, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A folder in it that is no link.
    #[must_use]
    pub fn inner(&self, name: &str) -> Self {
        Self { path: self.path.join(name), start: Arc::clone(&self.start) }
    }
}

/// Whether a target that counts from `folder` never leaves `start`, which holds it. What passes an
/// absolute link stays too, as that link does.
fn stays(start: &Path, folder: &Path, target: &Path) -> bool {
    let mut place = folder.to_owned();
    let mut open: Vec<PathBuf> = parts(target);
    let mut links = 0;
    while let Some(part) = open.pop() {
        match part.components().next() {
            Some(Component::RootDir | Component::Prefix(_)) => return true,
            Some(Component::ParentDir) if place == start => return false,
            Some(Component::ParentDir) => {
                place.pop();
            }
            Some(Component::Normal(name)) => {
                let next = place.join(name);
                match fs::read_link(&next) {
                    // A chain without an end leads nowhere, and not out either.
                    Ok(_) if links == MAX_LINKS => return true,
                    Ok(target) => {
                        links += 1;
                        open.extend(parts(&target));
                    }
                    Err(_) => place = next,
                }
            }
            Some(Component::CurDir) | None => {}
        }
    }
    true
}

/// The parts of a path, the last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect()
}

/// The result of looking at all symbolic links of a folder before it is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedLinks {
    /// Whether something outside of the folder has to be copied for a link.
    pub lead_out: bool,
    pub faults: Vec<LinkFault>,
    /// Absolute links whose target lies in the project: a path of this machine, which no image
    /// has. Relative to the project's root where they lie in it.
    pub of_this_machine: Vec<(PathBuf, PathBuf)>,
    /// What has a name that begins with [`WHITEOUT`]: in an image it would be no file.
    /// Relative to the project's root where it lies in it.
    pub whiteouts: Vec<PathBuf>,
}

/// Looks at all links of a folder, a path without links, that are not left out of its copy.
pub fn look(folder: &Path, ignore: &IgnoreRules, rules: &LinkRules) -> CopiedLinks {
    let mut look = Look { ignore, rules, links: CopiedLinks::default(), followed: 0 };
    look.folder(&rules.start(folder.to_owned()), "", &ignore.root(), 0);
    look.links
}

struct Look<'a> {
    ignore: &'a IgnoreRules,
    rules: &'a LinkRules,
    links: CopiedLinks,
    followed: usize,
}

impl Look<'_> {
    /// Whoever copies the folder reports what cannot be read.
    fn folder(&mut self, folder: &CopiedFolder, path: &str, above: &Matched, depth: usize) {
        let Ok(entries) = fs::read_dir(folder.path()) else { return };
        for entry in entries.flatten() {
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            let is_whiteout = name.starts_with(WHITEOUT);
            if !kind.is_dir() && !kind.is_symlink() && !is_whiteout {
                continue;
            }
            if self.links.faults.len() == MAX_FAULTS {
                return;
            }
            if depth > MAX_DEPTH || self.followed > MAX_FOLLOWED {
                self.links.lead_out = true;
                return;
            }
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let matched = self.ignore.matched(above, &path);
            if self.ignore.excludes(&matched) && !self.ignore.may_include_below(&path) {
                continue;
            }
            if is_whiteout {
                self.whiteout(folder, &name);
                continue;
            }
            if kind.is_dir() {
                self.folder(&folder.inner(&name), &path, &matched, depth + 1);
                continue;
            }
            match self.rules.way(folder, &name) {
                Ok(LinkAction::Link) => self.absolute(folder, &name),
                Ok(LinkAction::Folder(inner)) => {
                    self.followed += 1;
                    self.links.lead_out = true;
                    self.folder(&inner, &path, &matched, depth + 1);
                }
                Err(LinkError::Fault(fault)) => {
                    if !self.links.faults.contains(&fault) {
                        self.links.faults.push(fault);
                    }
                }
                Ok(LinkAction::File(_)) | Err(LinkError::Io(_)) => self.links.lead_out = true,
            }
        }
    }

    fn whiteout(&mut self, folder: &CopiedFolder, name: &str) {
        if self.links.whiteouts.len() < MAX_FAULTS {
            let path = folder.path().join(name);
            let path = path.strip_prefix(&self.rules.root).unwrap_or(&path).to_owned();
            self.links.whiteouts.push(path);
        }
    }

    fn absolute(&mut self, folder: &CopiedFolder, name: &str) {
        let link = folder.path().join(name);
        let Ok(target) = fs::read_link(&link) else { return };
        let root = &self.rules.root;
        let found = &mut self.links.of_this_machine;
        if found.len() < MAX_FAULTS
            && target.is_absolute()
            && fs::canonicalize(&target).is_ok_and(|real| real.starts_with(root))
        {
            found.push((link.strip_prefix(root).unwrap_or(&link).to_owned(), target));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A project in `project` beside `elsewhere`; lines are files, folders (`x/`) and links
    /// (`x->target`).
    fn disk(lines: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().canonicalize().unwrap();
        for line in lines.lines() {
            let line = line.replace('$', all.to_str().unwrap());
            let (path, target) = match line.trim().split_once("->") {
                Some((path, target)) => (path, Some(target)),
                None => (line.trim(), None),
            };
            let place = all.join(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            match target {
                Some(target) => symlink(target, place).unwrap(),
                None if path.ends_with('/') => fs::create_dir_all(place).unwrap(),
                None => fs::write(place, path).unwrap(),
            }
        }
        (folder, all)
    }

    fn links(lines: &str, exclude: &[&str], follow: FollowLinks) -> CopiedLinks {
        let (_folder, all) = disk(lines);
        let rules = LinkRules::new(all.join("project"), Path::new(".esb"), follow);
        let ignore = IgnoreRules::new(exclude.iter().copied()).unwrap();
        look(&all.join("project/src"), &ignore, &rules)
    }

    /// `in`, `out`, or what is wrong with the links of `project/src`.
    fn check_all(lines: &str, exclude: &[&str], follow: FollowLinks, expected: &str) {
        let found = links(lines, exclude, follow);
        let mut faults: Vec<String> = found
            .faults
            .iter()
            .map(|fault| format!("{} {:?}", fault.link.display(), fault.reason))
            .collect();
        faults.sort();
        let shown = match (faults.is_empty(), found.lead_out) {
            (true, false) => "in".to_owned(),
            (true, true) => "out".to_owned(),
            (false, _) => faults.join(", "),
        };
        assert_eq!(shown, expected, "{lines} without {exclude:?}");
    }

    fn check(lines: &str, expected: &str) {
        check_all(lines, &[], FollowLinks::WithinProject, expected);
    }

    #[test]
    fn what_leads_within_stays() {
        check("project/src/a.py\nproject/src/l->a.py", "in");
        check("project/src/a/b.py\nproject/src/c/l->../a/b.py", "in");
        check("project/src/l->nothing", "in");
        check("project/src/l->l", "in");
        check("project/src/a/self->..", "in");
        check("project/src/l->/usr/bin/python3", "in");
        check("project/src/l->abs/x\nproject/src/abs->/etc", "in");
        check("project/src/l->./a/../b.py\nproject/src/a/\nproject/src/b.py", "in");
    }

    #[test]
    fn what_leads_out_is_followed() {
        let common = "project/common/x.py\n";
        check(&format!("{common}project/src/l->../common"), "out");
        check(&format!("{common}project/src/l->../common/x.py"), "out");
        // Out and in again: the way is another one in an image.
        check("project/src/a.py\nproject/src/l->../src/a.py", "out");
        // Through a link that leads out itself.
        check(&format!("{common}project/src/l->c/x.py\nproject/src/c->../common"), "out");
        check(&format!("{common}project/chain->common\nproject/src/l->../chain"), "out");
        // A link in what a link leads to: within that it stays, else it is followed.
        check(&format!("{common}project/common/y->x.py\nproject/src/l->../common"), "out");
        check(
            &format!(
                "{common}project/common/y->../src/a.py\nproject/src/a.py\nproject/src/l->../common"
            ),
            "out",
        );
        // A sibling whose name only starts the same.
        check("project/src-more/a\nproject/src/l->../src-more/a", "out");
    }

    #[test]
    fn what_cannot_be_followed() {
        let outside = "elsewhere/x.py\nproject/src/l->../../elsewhere";
        check(outside, "src/l Outside");
        check_all(outside, &[], FollowLinks::Anywhere, "out");
        check("project/src/l->../../elsewhere", "src/l Missing");
        check("project/src/l->../gone", "src/l Missing");
        check("project/a->b\nproject/b->a\nproject/src/l->../a", "src/l Missing");
        check("project/src/l->..", "src/l HoldsLink");
        check_all("project/src/l->..", &[], FollowLinks::Anywhere, "src/l HoldsLink");
        check("project/src/d/l->../../src", "src/d/l HoldsLink");
        // Two folders with links to one another.
        check("project/common/back->../src\nproject/src/l->../common", "common/back HoldsLink");
        check("project/src/l->../.esb/dev\nproject/.esb/dev/x", "src/l Generated");
        let git = "project/.git/config\n";
        check(&format!("{git}project/src/l->../.git"), "src/l NeverCopied");
        check(&format!("{git}project/src/l->../.git/config"), "src/l NeverCopied");
        check(&format!("{git}project/g->.git\nproject/src/l->../g"), "src/l NeverCopied");
        check(&format!("{git}project/d/l->../.git\nproject/src/d->../d"), "d/l NeverCopied");
        for tool in [".aws-sam", ".venv", "more/.esb"] {
            check(&format!("project/{tool}/x\nproject/src/l->../{tool}/x"), "src/l NeverCopied");
        }
        check("project/src/.venv/a/l->../b/x\nproject/src/.venv/b/x", "in");
        check("project/.gitignore\nproject/src/l->../.gitignore", "out");
        check_all(
            "elsewhere/.git/config\nproject/src/l->../../elsewhere/.git",
            &[],
            FollowLinks::Anywhere,
            "src/l NeverCopied",
        );
        check("project/src/l->../../../../../../../../../../dev/null", "src/l Outside");
        check_all(
            "project/src/l->../../../../../../../../../../dev/null",
            &[],
            FollowLinks::Anywhere,
            "src/l Special",
        );
        // A link to the outside in what a link leads to.
        check(
            "elsewhere/x\nproject/common/y->../../elsewhere\nproject/src/l->../common",
            "common/y Outside",
        );
        // An absolute link on the way of a relative one that leads out.
        check("elsewhere/x\nproject/c->$/elsewhere\nproject/src/l->../c", "src/l Outside");
    }

    #[test]
    fn what_is_left_out_does_not_count() {
        let lines = "elsewhere/x\nproject/src/l->../../elsewhere\nproject/src/d/m->../../..";
        check(lines, "src/d/m HoldsLink, src/l Outside");
        let within = FollowLinks::WithinProject;
        check_all(lines, &["l", "d"], within, "in");
        check_all(lines, &["*"], within, "in");
        check_all(lines, &["l", "d", "!l"], within, "src/l Outside");
        let deep = "project/common/tests/y->../../../gone\nproject/src/l->../common";
        check(deep, "common/tests/y Missing");
        check_all(deep, &["l/tests"], within, "out");
        check_all(deep, &["**/tests"], within, "out");
    }

    #[test]
    fn what_is_copied_from_a_folder_of_a_tool_has_more_of_it() {
        let (_folder, all) = disk(
            "project/.aws-sam/deps/x.py\nproject/.git/config\n\
             project/.aws-sam/build/l->../deps\nproject/.aws-sam/build/g->../../.git",
        );
        let root = all.join("project");
        let rules = LinkRules::new(root.clone(), Path::new(".esb"), FollowLinks::WithinProject);
        let ignore = IgnoreRules::new([]).unwrap();
        let found = look(&root.join(".aws-sam/build"), &ignore, &rules);
        let faults: Vec<_> =
            found.faults.iter().map(|fault| (&*fault.link, fault.reason)).collect();
        let git = Path::new(".aws-sam/build/g");
        assert_eq!((found.lead_out, &faults[..]), (true, &[(git, LinkReason::NeverCopied)][..]));
    }

    #[test]
    fn absolute_links_into_the_project_are_told() {
        let found = links(
            "project/common/x\nproject/src/l->$/project/common\nproject/src/m->/etc",
            &[],
            FollowLinks::WithinProject,
        );
        assert!(!found.lead_out && found.faults.is_empty());
        assert_eq!(found.of_this_machine.len(), 1);
        assert_eq!(found.of_this_machine[0].0, Path::new("src/l"));
    }

    #[test]
    fn links_that_multiply_end() {
        let level = |level: usize| {
            let next = level + 1;
            format!("project/l{level}/a->../l{next}\nproject/l{level}/b->../l{next}\n")
        };
        let lines: String = (0..40).map(level).collect();
        let lines = lines + "project/l40/x\nproject/src/l->../l0\n";
        assert!(links(&lines, &[], FollowLinks::WithinProject).lead_out);
    }
}
