//! Remembers the digest that each tag had when this machine pushed it last.
//!
//! There is one record for each tag, whichever run wrote it. It is a hint: others may have moved
//! the tag since.

use esb_oci::{ContentStore, Digest};
use esb_registry::Repository;

use crate::error::Error;

/// The record's kind in the content store.
const RECORD: &str = "pushed-tag";

/// The digest that a tag had.
pub(crate) fn last(store: &ContentStore, at: &Repository, tag: &str) -> Option<Digest> {
    store.record(RECORD, key(at, tag))
}

/// Remembers where a tag leads now.
pub(crate) fn remember(
    store: &ContentStore,
    at: &Repository,
    tag: &str,
    digest: Digest,
) -> Result<(), Error> {
    if last(store, at, tag) != Some(digest) {
        store.set_record(RECORD, key(at, tag), &digest)?;
    }
    Ok(())
}

fn key(at: &Repository, tag: &str) -> Digest {
    Digest::of(format!("{}/{}:{tag}", at.registry, at.repository).as_bytes())
}
