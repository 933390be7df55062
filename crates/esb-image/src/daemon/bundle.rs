//! Packs a Dockerfile and its context into one archive whose bytes depend on content alone, for
//! engines that accept nothing else.
//!
//! Owns the archive's layout: the Dockerfile as [`DOCKERFILE_NAME`], the context beside it or below [`CONTEXT_DIR`].

use std::io::{self, Write};

use esb_oci::{Attributes, TarWriter};

use crate::{
    context::{Item, ItemKind},
    dockerfile::rewrite::{CONTEXT_DIR, DOCKERFILE_NAME},
};

/// Writes the archive that is sent: the Dockerfile, and the context beside it or below [`CONTEXT_DIR`].
pub(crate) fn context_tar(
    items: &[Item],
    dockerfile: Option<&str>,
    nest: bool,
    epoch: i64,
    into: impl Write,
) -> io::Result<()> {
    let mut tar = TarWriter::new(into, epoch);
    if let Some(text) = dockerfile {
        tar.file(
            DOCKERFILE_NAME,
            Attributes::root(0o644),
            text.len() as u64,
            &mut text.as_bytes(),
        )?;
    }
    if nest {
        tar.dir(CONTEXT_DIR, Attributes::root(0o755))?;
    }
    for Item { path, attributes, kind } in items {
        let nested = nest.then(|| format!("{CONTEXT_DIR}/{path}"));
        let path = nested.as_ref().unwrap_or(path);
        match kind {
            ItemKind::Folder => tar.dir(path, *attributes)?,
            ItemKind::File(content) => {
                let source = &content.path;
                let named = |error: io::Error| {
                    io::Error::new(error.kind(), format!("`{}`: {error}", source.display()))
                };
                let mut file = esb_oci::open_file(source).map_err(named)?;
                let size = file.metadata().map_err(named)?.len();
                tar.file(path, *attributes, size, &mut file)?;
            }
            ItemKind::Link(target) => tar.symlink(path, *attributes, target)?,
        }
    }
    tar.finish().map(drop)
}
