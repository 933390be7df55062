//! Tests against registries: Debian's `docker-registry` behind a recording proxy, and a small one of
//! our own that authenticates and misbehaves on demand.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod auth;
mod echoes;
mod endless;
mod fake;
mod faults;
mod first_contact;
mod helpers;
mod housekeeping;
mod images;
mod memory;
mod misbehaving;
mod oddities;
mod outside;
mod real;
mod resolving;
mod strangers;
mod sync_faults;
mod tokens;
mod told;
