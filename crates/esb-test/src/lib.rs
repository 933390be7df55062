#![doc = include_str!("../README.md")]

mod apt;
mod bridges;
mod buildkit;
mod engine;
mod error;
mod gateway;
mod http;
mod mounts;
mod port;
mod process;
mod proxy;
mod registry;
mod skip;
mod terminal;
mod tokens;
mod tools;
mod wire;

pub use apt::{ensure_packages, find_program};
pub use bridges::remove_unused_bridges;
pub use buildkit::{Buildkitd, NO_TRACES};
pub use engine::DockerEngine;
pub use error::Error;
pub use gateway::{Called, Gateway, GatewayFunction, GatewaySettings, Load};
pub use http::{Connection, Response, request};
pub use mounts::detach_below;
pub use port::free_port;
pub use process::Daemon;
pub use proxy::{Exchange, Fault, LoggingProxy, RequestHead, Rule};
pub use registry::{Guard, Registry};
pub use skip::{Missing, Skip, Skips, or_skip, skip};
pub use terminal::{Terminal, TerminalEnd};
pub use tokens::{BASIC, Identity, TokenRequest, TokenServer, form_pairs};
pub use tools::go_program;
