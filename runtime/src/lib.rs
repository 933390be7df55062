#![doc = include_str!("../README.md")]

mod assets;

pub use assets::{
    Asset, function_dockerfile_template, image_java, image_python, java_base, python_base,
};
