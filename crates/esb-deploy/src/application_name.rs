//! Determines the name of an application, which with a template's path is the owner of what a run
//! publishes.
//!
//! The caller that opens a deployment may name it for each template. Else it is the name that an
//! earlier run left in esb.lock, else that of the project's folder. The last is the same on another
//! machine only by luck, so the first deploy records it.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use esb_config::{Owner, application_of_folder, is_application_name};
use esb_oci::Digest;

use crate::{
    error::{Error, Kind},
    lockfile,
    project::Project,
    settings,
};

/// The name where a folder has none that could be used.
const NAMELESS: &str = "project";

/// An application's name and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationName {
    /// The name, as owners contain it.
    pub name: String,
    /// Where the name comes from.
    pub origin: Origin,
}

/// Where an application's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// esb.toml, perhaps for the environment alone.
    Settings {
        /// Whether it stands under `[env.NAME]`.
        of_environment: bool,
    },
    /// A samconfig file, as messages name it.
    Samconfig(String),
    /// An earlier run, in esb.lock.
    Lock,
    /// The project's folder.
    Folder,
}

impl Origin {
    /// The origin as messages describe it.
    pub fn words(&self) -> String {
        match self {
            Self::Settings { of_environment: false } => settings::NAME.to_owned(),
            Self::Settings { of_environment: true } => format!("{} [env]", settings::NAME),
            Self::Samconfig(name) => format!("stack_name in {name}"),
            Self::Lock => lockfile::NAME.to_owned(),
            Self::Folder => "name of the project's folder".to_owned(),
        }
    }
}

impl ApplicationName {
    /// Checks a name and keeps it with its origin.
    ///
    /// # Errors
    /// When it cannot be a name.
    pub fn new(name: String, origin: Origin) -> Result<Self, Error> {
        if is_application_name(&name) {
            return Ok(Self { name, origin });
        }
        let text = format!("`{name}` of {} cannot name an application", origin.words());
        Err(Error::new(Kind::Input, "application", text)
            .hint("a name has 1 to 128 characters, no colon or slash, and no blanks at its ends"))
    }

    /// Determines the name of a template's application: the given one, else `locked` from esb.lock,
    /// else the name of the project's folder.
    ///
    /// # Errors
    /// When esb.lock has what cannot be a name.
    pub fn of_template(
        project: &Project,
        given: Option<&Self>,
        locked: Option<String>,
    ) -> Result<Self, Error> {
        match (given, locked) {
            (Some(given), _) => Ok(given.clone()),
            (None, Some(name)) => Self::new(name, Origin::Lock),
            (None, None) => Ok(Self { name: of_folder(&project.root), origin: Origin::Folder }),
        }
    }

    /// The application of each template of a project, in their order.
    pub(crate) fn of_templates(
        project: &Project,
        given: &[Option<Self>],
        locked: Option<&str>,
    ) -> Result<Vec<Self>, Error> {
        let of = |number| {
            let given = given.get(number).and_then(Option::as_ref);
            Self::of_template(project, given, locked.map(str::to_owned))
        };
        (0..project.templates.len()).map(of).collect()
    }

    /// The owner of what one of its templates publishes.
    pub fn owner(&self, template: &str) -> Owner {
        Owner::new(&self.name, template)
    }
}

/// Makes an id that distinguishes a project from all others: its folder's name and a part that is
/// unique.
pub(crate) fn new_project(root: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = format!("{}\n{}\n{}", root.display(), now.as_nanos(), std::process::id());
    let digits: String = Digest::of(text.as_bytes()).hex().chars().take(12).collect();
    format!("{}-{digits}", of_folder(root))
}

/// The folder's own name, also where the project was reached through a link.
fn of_folder(root: &Path) -> String {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| application_of_folder(&name)).unwrap_or_else(|| NAMELESS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_it_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("a:b");
        std::fs::create_dir(&real).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(of_folder(&link), "a-b");
        assert_eq!(of_folder(Path::new("/")), NAMELESS);
    }
}
