//! Where tags led when this machine pushed them last.
//!
//! Owns that fact, which is kept once: one record for each tag, whichever run wrote it. It is a
//! hint: others may have moved the tag since.

use esb_oci::Digest;
use esb_registry::Repository;

use super::run::Run;
use crate::exit::Failure;

/// The record's kind in the content store.
const RECORD: &str = "pushed-tag";

/// Where a tag led.
pub(super) fn last(run: &Run, at: &Repository, tag: &str) -> Option<Digest> {
    run.store.record(RECORD, key(at, tag))
}

/// Remembers where a tag leads now.
pub(super) fn remember(
    run: &Run,
    at: &Repository,
    tag: &str,
    digest: Digest,
) -> Result<(), Failure> {
    if last(run, at, tag) != Some(digest) {
        run.store.set_record(RECORD, key(at, tag), &digest)?;
    }
    Ok(())
}

fn key(at: &Repository, tag: &str) -> Digest {
    Digest::of(format!("{}/{}:{tag}", at.registry, at.repository).as_bytes())
}
