#![doc = include_str!("../README.md")]
//!
//! This crate owns values and the rules that several stages share (names, platforms, redaction).
//! It refuses I/O, SAM, YAML and async.

mod application;
mod brand;
mod finding;
mod format_version;
mod function;
mod name;
mod platform;
mod publish;
mod recipe;
mod remedy;
mod report;
pub mod requirements;
mod resource;
mod route;
mod runtime;
mod runtimes;
mod secret;
mod source;
mod text;

pub use application::{Application, Layer, TemplateId};
pub use brand::{Brand, InvalidBrand, LOCK_FILE, SETTINGS_SCHEMA};
pub use finding::{Cause, Code as FindingCode, Finding, Severity};
pub use format_version::{FormatHead, FormatVersions, UnsupportedVersion};
pub use function::{
    Code, DockerBuild, EnvValue, Function, FunctionId, ImageOverrides, ImagePackage, LayerRef,
    Package, ZipPackage,
};
pub use name::{
    EmptyName, InvalidEnvironmentName, STAGING_FOLDER, check_environment_name, environment_folder,
    image_name,
};
pub use platform::{Architecture, Platform, UnknownArchitecture};
pub use publish::{ImageRef, InvalidTarget, PublishTarget, is_registry_host};
pub use recipe::{
    BaseRef, BuildContext, ContentSource, Dependencies, FollowLinks, FunctionCode, ImageContent,
    ImageKind, ImageRecipe, OwnDockerfile, Staged, StagedSource,
};
pub use remedy::Remedy;
pub use report::{
    Activity, ActivityGuard, Event, ImageChange, ImageDone, ImageRole, NullReporter, Reporter,
};
pub use resource::{
    Attribute, AttributeType, Bucket, GlobalIndex, Key, KeyType, LifecycleRule, Projection, Table,
    Throughput,
};
pub use route::{Api, Method, Route, Schedule, Trigger};
pub use runtime::{Family, Runtime, UnknownRuntime};
pub use secret::{Secret, mask_credentials, without_credentials, without_user};
pub use source::{Place, Source, SourceId, SourceMap, Span};
pub use text::{InvalidText, decode_text};
