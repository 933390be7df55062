//! Stages the inputs of a recipe in its folder before the build.
//!
//! Owns the Dockerfile on disk, unpacked archives, copies and carried files. Each input appears
//! complete or not at all, and one that did not change is not touched. Incomplete files are kept
//! outside of every build context, so that a killed run leaves nothing that gets into an image.
//! Refuses to decide what a recipe needs.

use std::{
    fs::{self, Permissions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use esb_model::{FollowLinks, ImageRecipe, StagedSource};
use esb_oci::{ContentStore, Digest, Folder, IgnoreRules, LinkRules, Links, is_temporary};
use serde::{Deserialize, Serialize};

use crate::{
    Error, UnpackLimits,
    archives::unpack::{set_mode, unpack_zip},
    blocking::blocking,
    context::{
        Context, ContextError, Item, ItemKind, Selected, not_text,
        scan_cache::describe,
        stat_cache::{self, StatCache},
    },
    error::io_error,
    fingerprint::Fingerprint,
};

/// The record's kind in the content store: what was staged at a path.
pub(super) const RECORD: &str = "staged-2";

/// What was staged at a path, and the file or folder that it was: what lies there now may be the
/// work of a run that had another store, or of one that was killed before it could say so.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Put {
    key: Digest,
    device: u64,
    inode: u64,
    /// When it was put there, or changed at its top since: seconds and nanoseconds since 1970.
    changed: (i64, i64),
}

impl Put {
    /// What lies at a path, if it was made of what `key` stands for.
    fn at(path: &Path, key: Digest) -> std::io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        let changed = (found.ctime(), found.ctime_nsec());
        Ok(Self { key, device: found.dev(), inode: found.ino(), changed })
    }
}

/// The target of an input, and the temporary place where it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StagingTarget<'a> {
    pub(crate) scratch: &'a Folder,
    /// The project root.
    pub(crate) root: &'a Folder,
    /// Relative to the root.
    pub(crate) target: &'a Path,
}

impl StagingTarget<'_> {
    fn path(&self) -> PathBuf {
        self.root.path().join(self.target)
    }
}

/// The rules for copying a folder: exclusions and links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copying<'a> {
    /// Patterns in `.dockerignore` syntax.
    pub(crate) exclude: &'a [String],
    /// Without rules links stay links.
    pub(crate) links: Option<LinkRules>,
}

pub(crate) fn link_rules(
    root: &Path,
    target: &Path,
    follow: FollowLinks,
) -> Result<LinkRules, Error> {
    let generated: PathBuf = target.components().take(1).collect();
    let root = root.canonicalize().map_err(io_error("open", root))?;
    Ok(LinkRules::new(root, &generated, follow))
}

/// What the names start with under which inputs are made.
const TEMPORARY: &str = ".staging-";

/// The name of an input in the folder in which it is made.
const NEW: &str = "new";

/// No run takes so long for one input.
const OLD: Duration = Duration::from_hours(24);

/// Stages the inputs of recipes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stager {
    store: ContentStore,
    stats: StatCache,
    limits: UnpackLimits,
    links: Links,
}

impl Stager {
    /// A stager that remembers in `store` what it did.
    pub fn new(store: ContentStore, limits: UnpackLimits) -> Self {
        let links = Links::Refused { unless: None };
        Self { stats: StatCache::new(store.clone()), store, limits, links }
    }

    /// Sets what happens when the folder of generated files contains symbolic links.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// The project's folder, below which inputs are put.
    pub(crate) fn folder(&self, root: &Path) -> Folder {
        Folder::new(root).with_links(self.links.clone())
    }

    /// Writes the recipe's Dockerfile with its dockerignore, and every input that it names. Gives
    /// the targets that were written, relative to the project root: others were as they should be.
    ///
    /// # Errors
    /// When a source is missing, an archive is refused, or the disk fails. What was there before
    /// is still there then.
    pub async fn stage(
        &self,
        recipe: &ImageRecipe,
        root: &Path,
        no_cache: bool,
    ) -> Result<Vec<PathBuf>, Error> {
        let (stager, recipe, root) = (self.clone(), recipe.clone(), root.to_owned());
        blocking(move || stager.stage_one(&recipe, &root, !no_cache)).await
    }

    /// As [`Stager::stage`], for many recipes: one after the other, so that the second finds what
    /// the first staged for both.
    ///
    /// # Errors
    /// As [`Stager::stage`].
    pub async fn stage_all(
        &self,
        recipes: &[ImageRecipe],
        root: &Path,
        no_cache: bool,
    ) -> Result<(), Error> {
        let (stager, recipes, root) = (self.clone(), recipes.to_owned(), root.to_owned());
        let stage = move || {
            let stage = |recipe| stager.stage_one(recipe, &root, !no_cache).map(drop);
            recipes.iter().try_for_each(stage)
        };
        blocking(stage).await
    }

    fn stage_one(
        &self,
        recipe: &ImageRecipe,
        root: &Path,
        trust: bool,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut written = Vec::new();
        let (scratch, folder) = (&self.scratch(root, recipe), &self.folder(root));
        folder.join(&recipe.folder).exists()?;
        let ignore = (!recipe.dockerignore.is_empty())
            .then_some(("Dockerfile.dockerignore", &recipe.dockerignore));
        for (name, text) in [("Dockerfile", &recipe.dockerfile)].into_iter().chain(ignore) {
            let path = recipe.folder.join(name);
            if write_if_changed(
                StagingTarget { scratch, root: folder, target: &path },
                text.as_bytes(),
            )? {
                written.push(path);
            }
        }
        for staged in &recipe.staged {
            let place = StagingTarget { scratch, root: folder, target: &staged.target };
            let changed = match &staged.source {
                StagedSource::Content(bytes) => write_if_changed(place, bytes)?,
                StagedSource::Unpack(archive) => {
                    self.unpack(&recipe.repository, &root.join(archive), place, trust)?
                }
                StagedSource::Copy { from, exclude, follow } => {
                    let links = Some(link_rules(root, &staged.target, *follow)?);
                    let copy = Copying { exclude, links };
                    self.copy(&recipe.repository, &root.join(from), place, &copy, trust)?
                }
            };
            if changed {
                written.push(staged.target.clone());
            }
        }
        Ok(written)
    }

    /// The first input that [`Stager::stage`] would write anew, relative to the project root.
    ///
    /// # Errors
    /// As when it is staged.
    pub async fn stale(&self, recipe: &ImageRecipe, root: &Path) -> Result<Option<PathBuf>, Error> {
        let (stager, recipe, root) = (self.clone(), recipe.clone(), root.to_owned());
        blocking(move || {
            let folder = stager.folder(&root);
            folder.join(&recipe.folder).exists()?;
            for staged in &recipe.staged {
                let target = root.join(&staged.target);
                let current = match &staged.source {
                    StagedSource::Content(bytes) => folder.holds(&staged.target, bytes),
                    StagedSource::Unpack(archive) => {
                        let key =
                            stager.archive_key(&recipe.repository, &root.join(archive), true)?;
                        stager.is_current(&target, key)
                    }
                    StagedSource::Copy { from, exclude, follow } => {
                        let links = Some(link_rules(&root, &staged.target, *follow)?);
                        let copy = Copying { exclude, links };
                        stager.is_copied(&recipe.repository, &root.join(from), &copy, &target)?
                    }
                };
                if !current {
                    return Ok(Some(staged.target.clone()));
                }
            }
            Ok(None)
        })
        .await
    }

    fn unpack(
        &self,
        image: &str,
        archive: &Path,
        place: StagingTarget<'_>,
        trust: bool,
    ) -> Result<bool, Error> {
        let key = self.archive_key(image, archive, trust)?;
        self.replace(place, key, trust, |place| {
            fs::create_dir(place).map_err(io_error("create", place))?;
            set_mode(place, 0o755)?;
            unpack_zip(archive, place, self.limits)
        })
    }

    fn archive_key(&self, image: &str, archive: &Path, trust: bool) -> Result<Digest, Error> {
        let metadata = fs::metadata(archive).map_err(|error| missing(image, archive, error))?;
        let digest = {
            let folder = self.stats.folder(archive, trust);
            let mut folder = stat_cache::FolderStats::lock(&folder);
            let digest =
                folder.digest("", archive, &metadata, trust).map_err(io_error("read", archive))?;
            self.stats.save(&mut folder);
            digest
        };
        let mut key = Fingerprint::new("unpacked");
        key.digest(digest).number(self.limits.entries as u64).number(self.limits.bytes);
        Ok(key.finish())
    }

    /// Copies a folder or file; says whether something was written.
    pub(crate) fn copy(
        &self,
        image: &str,
        from: &Path,
        place: StagingTarget<'_>,
        copy: &Copying<'_>,
        trust: bool,
    ) -> Result<bool, Error> {
        let (key, selected) = self.select(image, from, copy, trust)?;
        self.put(&selected, key, place, trust)
    }

    /// As [`Stager::copy`], for what was selected.
    pub(crate) fn put(
        &self,
        selected: &Selected,
        key: Digest,
        place: StagingTarget<'_>,
        trust: bool,
    ) -> Result<bool, Error> {
        self.replace(place, key, trust, |place| write_items(selected, place))
    }

    /// Computes a key of the content of a folder or file.
    pub(crate) fn content(
        &self,
        image: &str,
        from: &Path,
        copy: &Copying<'_>,
        trust: bool,
    ) -> Result<Digest, Error> {
        self.select(image, from, copy, trust).map(|(key, _)| key)
    }

    /// Copies a folder or file to where nothing is, and remembers nothing of it.
    pub(crate) fn copy_new(
        &self,
        image: &str,
        from: &Path,
        copy: &Copying<'_>,
        to: &Path,
    ) -> Result<(), Error> {
        let (_, selected) = self.select(image, from, copy, true)?;
        // It lies in a temporary folder that nobody else has.
        let folder = to.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        write_items(&selected, to)
    }

    /// Whether a target holds what a source has now.
    pub(crate) fn is_copied(
        &self,
        image: &str,
        from: &Path,
        copy: &Copying<'_>,
        target: &Path,
    ) -> Result<bool, Error> {
        let (key, _) = self.select(image, from, copy, true)?;
        Ok(self.is_current(target, key))
    }

    /// What a folder or file holds, with its key.
    pub(crate) fn select(
        &self,
        image: &str,
        from: &Path,
        copy: &Copying<'_>,
        trust: bool,
    ) -> Result<(Digest, Selected), Error> {
        let from = from.canonicalize().map_err(|error| missing(image, from, error))?;
        let rules = IgnoreRules::new(copy.exclude.iter().map(String::as_str))
            .map_err(|reason| Error::Dockerignore { image: image.to_owned(), reason })?;
        let (folder, name) = if from.is_dir() {
            (from.clone(), String::new())
        } else {
            let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (from.parent().unwrap_or(Path::new("/")).to_owned(), name)
        };
        let mut context = Context::new(folder, rules, &self.stats, trust);
        if let Some(links) = &copy.links {
            context = context.following(links);
        }
        let copy = |reason| io_error("copy", &from)(std::io::Error::other(reason));
        let selected = context.exact(&name).map_err(|error| match error {
            ContextError::Other(error) => *error,
            ContextError::Link(fault) => Error::Link { image: image.to_owned(), fault },
            ContextError::Missing(_) => {
                Error::MissingSource { image: image.to_owned(), path: from.clone() }
            }
            ContextError::Invalid(reason) | ContextError::Unsupported(reason) => copy(reason),
            ContextError::NotText(path) => copy(not_text(&path)),
        })?;
        let key = describe(std::slice::from_ref(&selected));
        Ok((key, selected))
    }

    /// Whether a target was made of what `key` stands for.
    pub(crate) fn is_current(&self, target: &Path, key: Digest) -> bool {
        let record = Digest::of(target.as_os_str().as_bytes());
        let put = self.store.record::<Put>(RECORD, record);
        put.is_some() && put == Put::at(target, key).ok()
    }

    /// Makes what lies at a place anew in one step, unless it is what `key` stands for already.
    fn replace(
        &self,
        place: StagingTarget<'_>,
        key: Digest,
        trust: bool,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let target = &place.path();
        if trust && self.is_current(target, key) {
            return Ok(false);
        }
        remove_leftovers(place.scratch)?;
        let temporary = place.scratch.temporary(TEMPORARY)?;
        make(&temporary.path().join(NEW))?;
        place.root.put(place.target, &temporary, NEW)?;
        let record = Digest::of(target.as_os_str().as_bytes());
        let now = Put::at(target, key).map_err(io_error("look at", target))?;
        self.store.set_record(RECORD, record, &now)?;
        Ok(true)
    }

    /// The folder in which inputs of a recipe are made: above all folders of recipes.
    pub(crate) fn scratch(&self, root: &Path, recipe: &ImageRecipe) -> Folder {
        self.folder(root).join(recipe.folder.ancestors().nth(2).unwrap_or(Path::new("")))
    }
}

/// Removes what runs left that were killed long ago.
fn remove_leftovers(scratch: &Folder) -> Result<(), Error> {
    for entry in scratch.entries()? {
        if is_temporary(&entry.name, TEMPORARY, entry.kind)
            && let Some(found) = scratch.metadata(&entry.name)?
            && found.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > OLD))
        {
            scratch.remove_folder(&entry.name)?;
        }
    }
    Ok(())
}

fn write_if_changed(place: StagingTarget<'_>, bytes: &[u8]) -> Result<bool, Error> {
    if place.root.holds(place.target, bytes) {
        return Ok(false);
    }
    let temporary = place.scratch.temporary(TEMPORARY)?;
    temporary.folder().replace(NEW, |file| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o644))
    })?;
    place.root.put(place.target, &temporary, NEW)?;
    Ok(true)
}

fn write_items(selected: &Selected, place: &Path) -> Result<(), Error> {
    if selected.is_folder {
        fs::create_dir(place).map_err(io_error("create", place))?;
        set_mode(place, 0o755)?;
    }
    for Item { path, attributes, kind } in &selected.items {
        let path = if path.is_empty() { place.to_owned() } else { place.join(path) };
        match kind {
            ItemKind::Folder => fs::create_dir(&path).map_err(io_error("create", &path))?,
            ItemKind::Link(target) => {
                symlink(target, &path).map_err(io_error("create", &path))?;
                continue;
            }
            ItemKind::File(content) => {
                let copy = || {
                    io::copy(
                        &mut esb_oci::open_file(&content.path)?,
                        &mut fs::File::create_new(&path)?,
                    )
                };
                copy().map_err(io_error("copy", &content.path))?;
            }
        }
        set_mode(&path, attributes.mode)?;
    }
    Ok(())
}

fn missing(image: &str, path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        Error::MissingSource { image: image.to_owned(), path: path.to_owned() }
    } else {
        io_error("read", path)(error)
    }
}
