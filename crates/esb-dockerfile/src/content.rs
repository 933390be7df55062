//! Turns the code and the layers that a template names into sources that `COPY` can read.
//!
//! Owns the decision between a real folder and a staged one: real wherever Docker can name it,
//! staged where it lies outside the root, has to be unpacked, cannot be spelled, or has links that
//! lead out of it.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use esb_model::{Code, Finding, Severity, Span, Staged, StagedSource};

use crate::{
    codes,
    copied::CopyMode,
    finding::nearest,
    ignore::{Exclusions, Included},
    project::{EntryKind, Project},
    quote,
};

/// The code that a template names, located on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LocatedCode {
    /// The path is relative to the root when inside it, else absolute; so are the next two.
    Folder(PathBuf),
    File(PathBuf),
    Archive {
        path: PathBuf,
        names: Vec<String>,
    },
    Inline {
        text: String,
        file_name: String,
    },
}

/// The reason why there is nothing to copy.
pub(crate) enum NotFound {
    /// It lies in S3: skipped, with the place that says so.
    S3 {
        uri: String,
        span: Span,
    },
    Wrong(Box<Finding>),
}

impl From<Finding> for NotFound {
    fn from(finding: Finding) -> Self {
        Self::Wrong(Box::new(finding))
    }
}

/// The source of one `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopySource {
    /// Relative to the root, as text; a folder unless `is_file`. Empty: the root itself.
    path: String,
    is_file: bool,
    /// `None`: the user's own file or folder.
    staged: Option<Staged>,
    manner: CopyMode,
}

/// Locates what `code` names. `what` describes it for findings, such as "code of function `Hello`".
pub(crate) fn find(
    project: &dyn Project,
    folder: &Path,
    code: &Code,
    what: &str,
    owner: Span,
) -> Result<LocatedCode, NotFound> {
    match code {
        Code::Path { path, span } => find_path(project, folder, path, what, span.unwrap_or(owner)),
        Code::S3 { uri, span } => {
            Err(NotFound::S3 { uri: uri.clone(), span: span.unwrap_or(owner) })
        }
        Code::Inline { text, file_name } if is_file_name(file_name) => {
            Ok(LocatedCode::Inline { text: text.clone(), file_name: file_name.clone() })
        }
        Code::Inline { file_name, .. } => {
            let message = format!("`{file_name}` cannot name the file of the {what}");
            Err(Finding::new(Severity::Error, codes::UNUSABLE_PATH, owner, message).into())
        }
        Code::Unknown { symbolic, span } => {
            let message = format!("the location of the {what} is known only to AWS: `{symbolic}`");
            let span = span.unwrap_or(owner);
            Err(Finding::new(Severity::Error, codes::UNKNOWN_CODE, span, message).into())
        }
    }
}

fn find_path(
    project: &dyn Project,
    folder: &Path,
    path: &str,
    what: &str,
    span: Span,
) -> Result<LocatedCode, NotFound> {
    let error = |code, message: String| Finding::new(Severity::Error, code, span, message);
    let place = plain(&folder.join(path));
    if quote::has_control(path) {
        let message =
            format!("the path of the {what}, `{path}`, cannot be written in a Dockerfile");
        return Err(error(codes::UNUSABLE_PATH, message).label("has a control character").into());
    }
    let located = project.locate(&folder.join(path)).map_err(|cause| {
        NotFound::from(match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                let message = format!("the {what} does not exist: there is no `{place}`");
                let finding = error(codes::MISSING_CODE, message).label("no such file or folder");
                match near(project, folder, path) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("paths are relative to the template's folder"),
                }
            }
            _ => error(
                codes::UNREADABLE,
                format!("could not look at the {what}, `{place}`: {cause}"),
            ),
        })
    })?;
    match located.kind {
        EntryKind::Dir => Ok(LocatedCode::Folder(located.path)),
        EntryKind::File if Code::is_archive(path) => match project.archive_names(&located.path) {
            Ok(names) => Ok(LocatedCode::Archive { path: located.path, names }),
            Err(cause) => {
                let message = format!("the {what}, `{place}`, is not a readable archive: {cause}");
                Err(error(codes::BROKEN_ARCHIVE, message).into())
            }
        },
        EntryKind::File => Ok(LocatedCode::File(located.path)),
        EntryKind::Other => {
            let message = format!("the {what}, `{place}`, is neither a folder nor a file");
            Err(error(codes::MISSING_CODE, message).into())
        }
    }
}

/// The path that is meant by one whose first part that does not exist is nearly another name.
fn near(project: &dyn Project, folder: &Path, path: &str) -> Option<String> {
    let mut before = PathBuf::new();
    let mut parts = Path::new(path).components();
    for part in parts.by_ref().filter(|part| *part != Component::CurDir) {
        let known = before.join(part);
        if project.locate(&folder.join(&known)).is_ok() {
            before = known;
            continue;
        }
        let Component::Normal(wrong) = part else { return None };
        let entries = project.entries(&folder.join(&before)).ok()?;
        let names = entries.iter().map(|entry| &*entry.name);
        let meant = nearest(wrong.to_str()?, names.filter(|name| !name.starts_with('.')))?;
        let near = before.join(meant).join(parts.as_path());
        return project.locate(&folder.join(&near)).is_ok().then(|| plain(&near));
    }
    None
}

impl CopySource {
    /// Decides what `COPY` reads; `target` is the folder for what has to be staged.
    ///
    /// # Errors
    /// With the path when it lies in the project and no Dockerfile can name it.
    pub(crate) fn new(
        found: &LocatedCode,
        manner: CopyMode,
        target: &Path,
        exclusions: &Exclusions,
    ) -> Result<Self, PathBuf> {
        let staged = |source: StagedSource, name: Option<&Path>| {
            let target = name.map_or_else(|| target.to_owned(), |name| target.join(name));
            Some(Staged { target, source })
        };
        let own_folder = plain(target);
        let (path, is_file) = match found {
            LocatedCode::Archive { path, .. } => {
                let staged = staged(StagedSource::Unpack(path.clone()), None);
                return Ok(Self { path: own_folder, is_file: false, staged, manner });
            }
            LocatedCode::Inline { text, file_name } => {
                let content = StagedSource::Content(text.clone().into_bytes());
                let staged = staged(content, Some(Path::new(file_name)));
                return Ok(Self { path: own_folder, is_file: false, staged, manner });
            }
            LocatedCode::Folder(path) => (path, false),
            LocatedCode::File(path) => (path, true),
        };
        if !path.is_absolute() {
            let text = text(path).filter(|text| !quote::has_control(text));
            let text = text.ok_or_else(|| path.clone())?;
            let has_pattern = exclusions.cover(path) || !manner.left_out.is_empty();
            if quote::is_copyable(&text)
                && (!has_pattern || quote::is_plain_pattern(&text))
                && !manner.links_lead_out
            {
                return Ok(Self { path: text, is_file, staged: None, manner });
            }
        }
        let name = if is_file { path.file_name().map(Path::new) } else { None };
        let exclude =
            if is_file { Vec::new() } else { exclusions.patterns(path, &manner.left_out) };
        let source = StagedSource::Copy { from: path.clone(), exclude, follow: manner.follow };
        let staged = staged(source, name);
        Ok(Self { path: own_folder, is_file: false, staged, manner })
    }

    /// Stages a real folder that holds one of `others`, which a `COPY` of it would take along, or
    /// which what is left out of one of the two would hide from the other. Gives whether it did.
    pub(crate) fn stage_around(
        &mut self,
        others: &Included,
        target: &Path,
        exclusions: &Exclusions,
    ) -> bool {
        let holds = |other: &String| {
            let folder = Path::new(&self.path);
            *other != self.path && Path::new(other).starts_with(folder)
        };
        let hides = |(other, left_out): &(String, Vec<String>)| {
            holds(other) && !(left_out.is_empty() && self.manner.left_out.is_empty())
        };
        if self.staged.is_some() || self.is_file {
            return false;
        }
        if !others.real.iter().chain(&others.staged).any(holds) && !others.folders.iter().any(hides)
        {
            return false;
        }
        let from = PathBuf::from(&self.path);
        let exclude = exclusions.patterns(&from, &self.manner.left_out);
        let source = StagedSource::Copy { from, exclude, follow: self.manner.follow };
        self.staged = Some(Staged { target: target.to_owned(), source });
        self.path = plain(target);
        true
    }

    /// What `COPY` names: folders end with `/`, and the root is `./`.
    pub(crate) fn source(&self) -> String {
        match (&*self.path, self.is_file) {
            ("", _) => "./".to_owned(),
            (path, true) => path.to_owned(),
            (path, false) => format!("{path}/"),
        }
    }

    /// Adds itself to what the context must hold although it may be excluded.
    pub(crate) fn include(&self, exclusions: &Exclusions, included: &mut Included) {
        if self.staged.is_some() {
            included.staged.push(self.path.clone());
            return;
        }
        if exclusions.cover(Path::new(&self.path)) {
            included.real.push(self.path.clone());
        }
        included.folders.push((self.path.clone(), self.manner.left_out.clone()));
    }

    /// What the user leaves out of a folder, relative to it.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.manner.left_out
    }

    pub(crate) fn staged(&self) -> Option<&Staged> {
        self.staged.as_ref()
    }
}

/// A path with `/` between its parts, for messages and for paths of our own making.
pub(crate) fn plain(path: &Path) -> String {
    text(path).unwrap_or_else(|| path.to_string_lossy().into_owned())
}

/// A path with `/` between its parts, without `.` parts and a trailing `/`.
fn text(path: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::RootDir => parts.push(""),
            part => parts.push(part.as_os_str().to_str()?),
        }
    }
    Some(parts.join("/"))
}

fn is_file_name(name: &str) -> bool {
    !quote::has_control(name) && Path::new(name).components().eq([Component::Normal(name.as_ref())])
}
