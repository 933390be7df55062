//! What is asked of the target registry, and what this machine remembers of it.

pub(crate) mod published;
pub(crate) mod pushed_tags;
pub(crate) mod tag_prefetch;
