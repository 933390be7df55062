//! A Dockerfile and its context in one archive whose bytes depend on content alone, for engines that
//! take nothing else.
//!
//! Owns the archive's layout: the Dockerfile as [`NAME`], the context beside it or below [`NEST`].

use std::{
    fs::File,
    io::{self, Write},
};

use esb_oci::{Attributes, TarWriter};

use super::context::{Entry, Kind};
use crate::dockerfile::rewrite::{NAME, NEST};

/// Writes the archive that is sent: the Dockerfile, and the context beside it or below [`NEST`].
pub(crate) fn context_tar(
    entries: &[Entry],
    dockerfile: Option<&str>,
    nest: bool,
    epoch: i64,
    into: impl Write,
) -> io::Result<()> {
    let mut tar = TarWriter::new(into, epoch);
    if let Some(text) = dockerfile {
        tar.file(NAME, Attributes::root(0o644), text.len() as u64, &mut text.as_bytes())?;
    }
    if nest {
        tar.dir(NEST, Attributes::root(0o755))?;
    }
    for entry in entries {
        let path = if nest { format!("{NEST}/{}", entry.path) } else { entry.path.clone() };
        match &entry.kind {
            Kind::Folder => tar.dir(&path, Attributes::root(0o755))?,
            Kind::File { source, executable, .. } => {
                let named = |error: io::Error| {
                    io::Error::new(error.kind(), format!("`{}`: {error}", source.display()))
                };
                let mut file = File::open(source).map_err(named)?;
                let size = file.metadata().map_err(named)?.len();
                let mode = if *executable { 0o755 } else { 0o644 };
                tar.file(&path, Attributes::root(mode), size, &mut file)?;
            }
            Kind::Link { target } => tar.symlink(&path, Attributes::root(0o777), target)?,
        }
    }
    tar.finish().map(drop)
}
