#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! [`Deployment`] is the entry point: open, [`Deployment::load`], [`Deployment::plan`],
//! [`Deployment::run`]. Below it `release` makes images of templates, and `apply` publishes them to
//! a site. Nothing here prints, prompts, or reads the environment: stores, clients and tools come
//! in as [`Connections`], progress goes to a [`esb_model::Reporter`].

mod application_name;
mod apply;
mod builders;
mod code;
mod connections;
mod copied_source;
mod damage;
mod deployment;
pub mod engine;
pub mod error;
mod external;
mod fetch;
mod folders;
pub mod history;
mod image_names;
mod last_target;
pub mod levels;
mod load;
mod local_code;
pub mod lockfile;
pub mod logs;
mod made_image;
mod options;
mod outcome;
mod plan;
mod predict;
mod preview;
mod project;
mod record;
mod registry;
mod release;
mod remedy;
mod revision;
mod run;
pub mod settings;

pub use application_name::{ApplicationName, Origin};
pub use apply::{
    compose::command as compose_command,
    config::{Places, Written, current, lock_folder, places, publish_merged},
    delivered::delivered,
    delivery::{ConfigPlace, Delivery, all_gateways_read},
    publication::{Publication, PublicationStep},
    pull::Pulled,
    workers::Replaced,
};
pub use connections::{Connections, Fleet};
pub use deployment::Deployment;
pub use error::{Error, FilePlace, Kind};
pub use external::{External, ExternalState};
pub use fetch::{Fetched, FetchedSite, Wheels, fetch, wheelhouse};
pub use image_names::Target;
pub use last_target::{TargetChange, TargetPart};
pub use load::{Loaded, TemplateInputs, load};
pub use made_image::MadeImage;
pub use options::{
    BuilderChoice, Destination, ImageRefForm, Mode, Naming, Options, Prewarm, Pull, RegistryNames,
    SiteOptions, default_jobs,
};
pub use outcome::Outcome;
pub use plan::{Plan, Templates};
pub use predict::{Prediction, predict};
pub use preview::{PlannedAction, PlannedImage, Preview};
pub use project::{
    Project, TEMPLATE_NAMES, TemplateFile, find_template, normal, project_root, read_given_text,
    read_text,
};
pub use record::{ImageRecord, Record, read as read_record};
pub use remedy::Remedy;
pub use revision::{ExternalImage, FunctionImage, Revision};

/// The size in bytes above which a run that built something collects the store, and the default
/// limit of a collection.
pub const STORE_LIMIT: u64 = 20_000_000_000;
