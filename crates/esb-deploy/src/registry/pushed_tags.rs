//! Remembers the digest that each tag had when this machine pushed it last.
//!
//! There is one record for each tag, whichever run wrote it. It is a hint: others may have moved
//! the tag since.

use esb_oci::{ContentStore, Digest};
use esb_registry::Repository;

use crate::error::Error;

/// The record's kind in the content store.
const RECORD: &str = "pushed-tag";
/// The kind of records of images that are pushed without the tag that moves.
const IMAGE: &str = "pushed-image";

/// The digest that a tag had.
pub(crate) fn last(store: &ContentStore, at: &Repository, tag: &str) -> Option<Digest> {
    store.record(RECORD, key(at, tag))
}

/// Remembers where a tag leads now.
fn remember(store: &ContentStore, at: &Repository, tag: &str, digest: Digest) -> Result<(), Error> {
    if last(store, at, tag) != Some(digest) {
        store.set_record(RECORD, key(at, tag), &digest)?;
    }
    Ok(())
}

/// The digest of the image that was pushed last for a tag, under that tag or not.
pub(crate) fn last_image(store: &ContentStore, at: &Repository, tag: &str) -> Option<Digest> {
    store.record(IMAGE, key(at, tag)).or_else(|| last(store, at, tag))
}

/// Remembers the image that was pushed last for a tag; with `moved` the tag leads to it.
pub(crate) fn remember_image(
    store: &ContentStore,
    at: &Repository,
    tag: &str,
    digest: Digest,
    moved: bool,
) -> Result<(), Error> {
    let known: Option<Digest> = store.record(IMAGE, key(at, tag));
    if known.map_or(!moved, |known| known != digest) {
        store.set_record(IMAGE, key(at, tag), &digest)?;
    }
    if moved { remember(store, at, tag, digest) } else { Ok(()) }
}

fn key(at: &Repository, tag: &str) -> Digest {
    Digest::of(format!("{}/{}:{tag}", at.registry, at.repository).as_bytes())
}
