//! Folders of wheels: filled where packages can be reached, and used where nothing can.
//!
//! Owns which wheels a machine without a network needs. Refuses to resolve: the wheels are those of
//! an installation that was made.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    InstallRequest, Installer, constraints, distributions,
    entry::Source,
    job::Job,
    requirements::Requirements,
    run::Program,
    settings,
    tool::{self, Tool},
};
use crate::{Error, blocking::blocking, error::io_error};

/// The most bytes of all wheels of one installation.
const LIMIT: u64 = 16 * 1024 * 1024 * 1024;

/// The wheels of one installation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchedWheels {
    /// Names of the files, with their bytes.
    pub wheels: BTreeMap<String, u64>,
    /// Why packages of these requirements cannot be installed without a network, in words; none
    /// when they can.
    pub missing: Option<String>,
}

impl Installer {
    /// Puts the wheels that an installation of a recipe's packages needs into a folder. Packages that have to be built have no wheels.
    ///
    /// # Errors
    /// When the requirements cannot be read, or an index cannot.
    pub async fn fetch_wheels(
        &self,
        request: InstallRequest<'_>,
        to: &Path,
    ) -> Result<(super::Installed, FetchedWheels), Error> {
        let mut job = self.job(request).await?;
        let target = job.dependencies.target.clone();
        let unbuilt = |error: Error| match error {
            error @ (Error::NeedsBuild { .. } | Error::NoWheel { .. }) => {
                let installed =
                    super::Installed { target, cached: false, distributions: Vec::new() };
                let missing = Some(error.to_string());
                Ok((installed, FetchedWheels { missing, ..FetchedWheels::default() }))
            }
            error => Err(error),
        };
        if let Some(error) = job.needs_build() {
            return unbuilt(error);
        }
        let place = self.place(&job);
        let running = self.claim(&place);
        let working = (running.lock().await, self.turn(&place).await);
        let cached = self.has(&job, &place);
        if !cached && let Err(error) = self.run(&mut job, &place).await {
            return unbuilt(error);
        }
        drop(working);
        let found = distributions(&place)?;
        let wheels = self.download(&job, &found, to).await?;
        let target = job.dependencies.target.clone();
        let installed = super::Installed { target, cached, distributions: found };
        Ok((installed, FetchedWheels { wheels, missing: None }))
    }

    /// Has pip download the wheels of what was installed, all but those of the project itself.
    async fn download(
        &self,
        job: &Job<'_>,
        found: &[super::Distribution],
        to: &Path,
    ) -> Result<BTreeMap<String, u64>, Error> {
        let (own, addresses) = named(&job.requirements);
        let wanted: Vec<_> =
            found.iter().filter(|found| !own.contains(&normal(&found.name))).cloned().collect();
        let mut lines = constraints(&wanted);
        for address in addresses {
            lines.push_str(&address);
            lines.push('\n');
        }
        if lines.is_empty() {
            return Ok(BTreeMap::new());
        }
        let python = self.tools.python.clone();
        let python = python.ok_or_else(|| {
            let requirements = job.dependencies.requirements.clone();
            Error::NoInstaller { requirements }
        })?;
        let folder = self.scratch()?;
        let wheels = folder.path().join("wheels");
        let mut program = Program::new(&python);
        self.surround(&mut program, job, folder.path());
        for (name, value) in job.settings.for_pip() {
            program.variable(&name, &value);
        }
        let tool = Tool::Pip { python };
        tool::download(&mut program, job.dependencies, &wheels);
        let at = |path: &Path| path.to_string_lossy().into_owned();
        let options = job.requirements.without_hashes().render(&at, false).options;
        let signed = |name: &str, address: &str| job.settings.signed(name, address);
        let options = options + &settings::indexes_of_config(&job.config, &signed);
        for (name, text) in [("wheels.txt", lines), ("options.txt", options)] {
            let path = folder.path().join(name);
            fs::write(&path, &text).map_err(io_error("write", &path))?;
            if !text.is_empty() {
                program.arguments(&["-r"]).argument(path);
            }
        }
        let log = super::host::hear(job, &tool, program).await?;
        if !log.success() {
            return Err(job.failed(&log));
        }
        let to = to.to_owned();
        blocking(move || {
            let moved = move_wheels(&wheels, &to);
            drop(folder);
            moved
        })
        .await
    }
}

/// Names of packages that lie in the project, and addresses of wheels; both need no index.
fn named(requirements: &Requirements) -> (BTreeSet<String>, Vec<String>) {
    let (mut names, mut addresses) = (BTreeSet::new(), Vec::new());
    for entry in requirements.entries.iter().chain(&requirements.overrides) {
        match &entry.source {
            Source::Local(local) => {
                let file = local.path.file_name().map(|name| name.to_string_lossy().into_owned());
                let file = file.as_deref().and_then(|file| file.split('-').next());
                names.extend(local.name.as_deref().or(file).map(normal));
            }
            Source::Wheel(text) => {
                names.extend(file_of(text).and_then(|file| file.split('-').next().map(normal)));
                addresses.push(text.clone());
            }
            Source::Index(_) | Source::Remote(_) => {}
        }
    }
    (names, addresses)
}

/// A package's name as indexes compare it, without extras.
fn normal(name: &str) -> String {
    let name = name.split('[').next().unwrap_or_default().trim();
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// The file's name in the web address of a wheel.
pub(super) fn file_of(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let path = rest.split([' ', '#', '?']).next()?;
    let file = super::entry::percent_decoded(path.rsplit('/').next()?);
    (!file.is_empty() && !file.contains('/')).then_some(file)
}

/// Moves wheels to a folder that exists. What has the name of a wheel there is replaced, and no link
/// is followed.
pub(super) fn move_wheels(from: &Path, to: &Path) -> Result<BTreeMap<String, u64>, Error> {
    let mut moved = BTreeMap::new();
    let mut total: u64 = 0;
    for entry in fs::read_dir(from).map_err(io_error("list", from))? {
        let path = entry.map_err(io_error("list", from))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let size = fs::metadata(&path).map_err(io_error("read", &path))?.len();
        total += size;
        if total > LIMIT {
            let reason = std::io::Error::other(format!("they have more than {LIMIT} bytes"));
            return Err(io_error("keep the wheels in", to)(reason));
        }
        // The scratch folder may lie on another disk.
        let place = to.join(name);
        let put = || {
            let mut part = tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(0o644))
                .tempfile_in(to)?;
            io::copy(&mut esb_oci::open_file(&path)?, &mut part)?;
            part.as_file().sync_all()?;
            part.persist(&place).map_err(|error| error.error).map(drop)
        };
        put().map_err(io_error("write", &place))?;
        moved.insert(name.to_owned(), size);
    }
    Ok(moved)
}

/// The wheel of that name in the first folder that has it.
pub(super) fn find(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_wheel_at_an_address() {
        assert_eq!(
            file_of("x @ https://u:p@h/a/x-1%2B2-py3-none-any.whl#sha256=1 ; a == 'b'").as_deref(),
            Some("x-1+2-py3-none-any.whl")
        );
        assert_eq!(file_of("x==1"), None);
        assert_eq!(normal("Foo_Bar.baz[a]"), "foo-bar-baz");
    }

    #[test]
    fn wheels_are_moved_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        // Whoever prepares the folder does not decide where bytes go.
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), to.join("a.whl")).unwrap();
        for _ in 0..2 {
            fs::write(from.join("a.whl"), "abc").unwrap();
            let moved = move_wheels(&from, &to).unwrap();
            assert_eq!(moved, BTreeMap::from([("a.whl".to_owned(), 3)]));
        }
        let names: Vec<_> = fs::read_dir(&to).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["a.whl"]);
        assert!(!folder.path().join("elsewhere").exists() && !to.join("a.whl").is_symlink());
        assert_eq!(find(&[from.join("x"), to.clone()], "a.whl"), Some(to.join("a.whl")));
    }
}
