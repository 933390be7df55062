//! Requests to the target registry, and what this machine remembers of its answers.

pub(crate) mod published;
pub(crate) mod pushed_tags;
pub(crate) mod tag_prefetch;
