//! What a person sees of `esb`: exit code, stdout and stderr, in a private folder with an empty
//! environment. No network, no engine.

#![cfg(test)]

mod bases;
mod code;
mod code_hosts;
mod common_mistakes;
mod context;
mod damage;
mod documents;
mod foreign_files;
mod foreign_store;
mod formats;
mod hostile_bases;
mod hostile_names;
mod init;
mod inspect;
mod levels;
mod links;
mod lock;
mod messages;
mod mistakes;
mod own_dockerfiles;
mod packages;
mod platform;
mod results;
mod sam_cli;
#[path = "../schemas/mod.rs"]
mod schemas;
mod secrets;
mod settings;
mod several;
mod signals;
mod store;
mod store_access;
mod usage;
mod values;
mod whiteouts;
mod written;
