//! The four configuration files as one value, and how they are read from a folder.

use std::io::Read as _;

use esb_oci::Folder;
use serde::Deserialize;

use crate::{
    Error,
    functions::FunctionsFile,
    import::ImageImportFile,
    read::{self, FILE_LIMIT},
    resources::ResourcesFile,
    routing::RoutingFile,
    state::OwnershipState,
};

/// The configuration files that a run writes for the platform.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConfigSet {
    pub functions: FunctionsFile,
    pub routing: RoutingFile,
    pub resources: ResourcesFile,
    pub images: ImageImportFile,
}

/// The published files of a folder, with `state.json`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PublishedConfig {
    pub config: ConfigSet,
    pub state: OwnershipState,
}

/// A file of a config folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigFile {
    Functions,
    Routing,
    Resources,
    Images,
    State,
}

impl ConfigFile {
    /// The files that the platform and its operators read.
    pub const GENERATED: [Self; 4] =
        [Self::Functions, Self::Routing, Self::Resources, Self::Images];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Functions => "functions.yml",
            Self::Routing => "routing.yml",
            Self::Resources => "resources.yml",
            Self::Images => "image-import.json",
            Self::State => "state.json",
        }
    }
}

impl ConfigSet {
    /// The text of one of the [`ConfigFile::GENERATED`]; none for the side file.
    pub fn text(&self, file: ConfigFile) -> Option<String> {
        match file {
            ConfigFile::Functions => Some(self.functions.to_yaml()),
            ConfigFile::Routing => Some(self.routing.to_yaml()),
            ConfigFile::Resources => Some(self.resources.to_yaml()),
            ConfigFile::Images => Some(self.images.to_json()),
            ConfigFile::State => None,
        }
    }
}

/// Reads what is published in a folder. A file that is not there is empty.
///
/// # Errors
/// When a file is there and cannot be read or understood.
pub fn read(folder: impl Into<Folder>) -> Result<PublishedConfig, Error> {
    let folder = folder.into();
    PublishedConfig::parse(|file| {
        let text = load(&folder, file)?;
        Ok(text.map(|text| (folder.path().join(file.name()), text)))
    })
}

impl PublishedConfig {
    /// Parses published files from their texts, for folders that are not on this machine.
    ///
    /// `load` gives the text of a file, with the path that messages shall name; none when there is
    /// no such file.
    ///
    /// # Errors
    /// Those of `load`, and when a text cannot be understood.
    pub fn parse<P: Into<std::path::PathBuf>>(
        mut load: impl FnMut(ConfigFile) -> Result<Option<(P, String)>, Error>,
    ) -> Result<Self, Error> {
        let state = parse_one(load(ConfigFile::State)?, OwnershipState::parse)?;
        Ok(Self {
            config: ConfigSet {
                functions: parse_one(load(ConfigFile::Functions)?, yaml)?,
                routing: parse_one(load(ConfigFile::Routing)?, yaml)?,
                resources: parse_one(load(ConfigFile::Resources)?, yaml)?,
                images: parse_one(load(ConfigFile::Images)?, ImageImportFile::parse)?,
            },
            state,
        })
    }
}

/// Refuses files of a folder that another release wrote, before they are replaced by what is
/// published elsewhere.
///
/// # Errors
/// [`Error::Version`]. What cannot be read or understood is no error: nothing of it would be kept.
pub fn check_versions(folder: &Folder) -> Result<(), Error> {
    let read = |file| {
        let text = load(folder, file).ok().flatten()?;
        Some((folder.path().join(file.name()), text))
    };
    let state = parse_one(read(ConfigFile::State), OwnershipState::parse).map(drop);
    let images = parse_one(read(ConfigFile::Images), ImageImportFile::parse).map(drop);
    for checked in [state, images] {
        checked.or_else(|error| match error {
            Error::Version { .. } => Err(error),
            _ => Ok(()),
        })?;
    }
    Ok(())
}

/// Why a text is no file of ours.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

fn parse_one<T: Default, P: Into<std::path::PathBuf>>(
    loaded: Option<(P, String)>,
    parse: impl FnOnce(&str) -> Result<T, Cause>,
) -> Result<T, Error> {
    let Some((path, text)) = loaded else { return Ok(T::default()) };
    let parsed = if text.trim().is_empty() {
        // A writer was cut off: what stood there is lost, not gone.
        Err("the file is empty".into())
    } else {
        parse(&text)
    };
    parsed.map_err(|source| match source.downcast() {
        Ok(version) => Error::Version { path: path.into(), version: *version },
        Err(source) => Error::Parse { path: path.into(), source },
    })
}

fn yaml<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Cause> {
    Ok(read::yaml(text)?)
}

/// The text of a file, if there is one.
fn load(folder: &Folder, file: ConfigFile) -> Result<Option<String>, Error> {
    let Some(bytes) = load_bytes(folder, file)? else { return Ok(None) };
    esb_model::decode_text(bytes).map(Some).map_err(|error| Error::Parse {
        path: folder.path().join(file.name()),
        source: error.into(),
    })
}

/// The content of a file, if there is one.
pub(crate) fn load_bytes(folder: &Folder, file: ConfigFile) -> Result<Option<Vec<u8>>, Error> {
    let Some(open) = folder.open(file.name())? else { return Ok(None) };
    let path = folder.path().join(file.name());
    let mut bytes = Vec::new();
    open.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(Error::io("read", &path))?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(Error::TooLarge { path, limit: FILE_LIMIT });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::Remedy;

    #[test]
    fn what_is_missing_is_empty_and_what_is_broken_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), PublishedConfig::default());
        assert_eq!(read(&dir.path().join("no such folder")).unwrap(), PublishedConfig::default());
        for (file, content, cause) in [
            ("functions.yml", &b""[..], "empty"),
            ("functions.yml", b"functions: [", "line 1"),
            ("routing.yml", b"routes: {}", "line 1"),
            ("resources.yml", b"\xff", "UTF-8"),
            ("image-import.json", b"{", "line 1"),
            ("image-import.json", b"{\"version\": \"new\"}", "`new`"),
            ("image-import.json", b"{}", "version"),
            ("state.json", b"{}", "version"),
            ("state.json", b"{\"version\": \"2\"}", "line 1"),
            ("state.json", b"{\"version\": 2, \"owners\": 1}", "line 1"),
            ("state.json", b"{\"version\": 1, \"owners\": {\"function\": {\"f\": 1}}}", "line 1"),
        ] {
            fs::write(dir.path().join(file), content).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(error.to_string().contains(file), "{error}");
            assert!(
                matches!(error.remedy(), Some(Remedy::Advice(text)) if text.contains(file)),
                "{error}"
            );
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains(cause), "{file}: {source}");
            fs::remove_file(dir.path().join(file)).unwrap();
        }
        for (file, content, told) in [
            (
                "state.json",
                r#"{"version": 3, "owners": 1}"#,
                "version 3, and this program reads versions 1",
            ),
            ("state.json", r#"{"version": 0}"#, "version 0, and"),
            ("image-import.json", r#"{"version": "2", "images": 1}"#, "reads version 1"),
            ("image-import.json", r#"{"version": "0"}"#, "version 0, and"),
        ] {
            fs::write(dir.path().join(file), content).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(matches!(error, Error::Version { .. }), "{error:?}");
            let said = error.to_string();
            assert!(said.contains(file) && said.contains(told), "{said}");
            assert!(matches!(error.remedy(), Some(Remedy::Advice(_))));
            fs::remove_file(dir.path().join(file)).unwrap();
        }
        fs::create_dir(dir.path().join("routing.yml")).unwrap();
        assert!(matches!(read(dir.path()), Err(Error::Folder(_))));
    }

    #[test]
    fn a_huge_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("routing.yml")).unwrap();
        file.set_len(FILE_LIMIT + 1).unwrap();
        assert!(matches!(read(dir.path()), Err(Error::TooLarge { .. })));
    }
}
