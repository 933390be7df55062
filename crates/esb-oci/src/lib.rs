#![doc = include_str!("../README.md")]
//!
//! This crate owns formats, the local disk below a store's or a layout's folder, and the one way in
//! which folders that a project can bring are written to. It refuses
//! the network, and decides nothing about what goes into an image.

mod archive;
mod barrier;
mod blob;
mod collect;
mod config;
mod credential;
mod damage;
mod digest;
mod dockerignore;
mod folder;
mod gzip;
mod image;
mod key_lock;
mod kinds;
mod layer;
mod layout;
mod links;
mod lock_wait;
mod locked_file;
pub mod manifest;
mod marker;
mod ownership;
mod process_group;
mod records;
mod redact;
mod reference;
mod regular;
mod remedy;
mod store;
mod store_error;
mod verify;

pub use archive::{ArchiveImage, docker_archive};
pub use barrier::{Barrier, is_denied};
pub use blob::{
    Blob, BlobError, BlobLocation, BlobSource, BlobStream, BoxFuture, file_stream, verified,
};
pub use collect::{Amount, Collected, Contents};
pub use config::{History, ImageConfig};
pub use credential::{Anonymous, CredentialError, CredentialSource, Credentials};
pub use damage::Damage;
pub use digest::{Digest, Hasher, HashingWriter, InvalidDigest};
pub use dockerignore::{Glob, IgnoreRules, Matched, is_pattern};
pub use folder::{
    EntryKind, Folder, FolderEntry, FolderError, Links, TemporaryFolder, is_temporary,
};
pub use gzip::Threads;
pub use image::{DOCUMENT_LIMIT, Image, InvalidImage};
pub use key_lock::KeyLock;
pub use layer::{Attributes, DEFAULT_EPOCH, LayerDigests, LayerWriter, TarWriter, compress_layer};
pub use layout::{
    LayoutEntry, LayoutError, OciLayout, REF_NAME, check_layout, write_entries, write_layout,
};
pub use links::{
    CopiedFolder, CopiedLinks, LinkAction, LinkError, LinkFault, LinkReason, LinkRules,
    NEVER_COPIED, WHITEOUT, look as look_at_links,
};
pub use lock_wait::{LockWait, TELL_AFTER};
pub use locked_file::LockedFile;
pub use manifest::{Descriptor, Index, Manifest, PlatformSpec, media_type, or_null};
pub use ownership::{StoreAccess, check_store_access};
pub use process_group::{ProcessGroup, kill_process_groups};
pub use redact::Redactor;
pub use reference::{InvalidReference, Reference, canonical_registry};
pub use regular::{leads_outside, open_file, read_file, read_given};
pub use remedy::Remedy;
pub use store::{BlobWriter, ContentStore, hash_file};
pub use store_error::StoreError;
pub use verify::Verified;
