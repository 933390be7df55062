#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! A value per file (`functions`, `routing`, `resources`, `import`, and the side file `state`)
//! with its reader and writer; [`render()`] makes them, [`merge()`] joins them with what is
//! published, [`publish()`] puts them where others read them. This crate knows neither images nor
//! registries: references and digests come in as text.

pub mod codes;

mod config;
mod defaults;
mod difference;
mod entries;
mod error;
mod functions;
mod import;
mod ledger;
mod lock;
mod merge;
mod owner;
mod place;
mod publish;
mod read;
mod region;
mod render;
mod resources;
mod routing;
#[cfg(test)]
mod schemas;
mod secrecy;
mod secret_mode;
mod standing;
mod state;
mod text;
mod value;
mod write;
mod written_route;

pub use config::{ConfigFile, ConfigSet, PublishedConfig, check_versions, read};
pub use entries::ListedEntry;
pub use error::{Conflict, Error, NameCollision, OtherProjectEntry, Remedy};
pub use functions::{
    Defaults, Environment, FunctionEntry, FunctionEvent, FunctionsFile, Scaling, ScheduleEntry,
};
pub use import::{ImageImportFile, ImportEntry};
pub use lock::Lock;
pub use merge::{Adopted, Change, ChangeKind, Merged, merge, remove_owner};
pub use owner::{Owner, application_of_folder, is_application_name};
pub use place::{FoldersAbove, is_same_folder, is_within};
pub use publish::{
    Publication, PublishStep, READABLE, check_writable, next_mtime, publish, publish_for, replace,
    write_generated,
};
pub use region::OwnRegion;
pub use render::{ImportedImage, PublishedImage, RenderSettings, Rendered, render};
pub use resources::ResourcesFile;
pub use routing::{RouteEntry, RoutingFile};
pub use secret_mode::{OF_OWNER, Reader, mode_for, secret_mode};
pub use standing::RunOwners;
pub use state::{EntryKey, Owners, OwnershipState, Secrets, Section};
pub use text::{Text, TextPart, TextParts};
pub use value::{Fields, Value};
pub use written_route::{ChangedSubject, WrittenRoute, subjects};
