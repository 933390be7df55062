#![doc = include_str!("../README.md")]

mod assets;

pub use assets::{Asset, function_dockerfile_template, java_base, python_base};
