//! Recipes as a whole: from an application and a project to Dockerfiles and contexts.

#![cfg(test)]

mod bases;
mod code;
mod context;
mod dependencies;
mod disk;
mod document;
mod findings;
mod image_functions;
mod java;
mod layer_build;
mod layers;
mod quoting;
mod support;
