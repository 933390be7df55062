//! What a run costs: requests to a registry, files that are read, memory. Real registry, real
//! `esb`, no engine.

#![cfg(test)]

mod applications;
mod asked;
mod cost;
mod opened;
mod owned;
mod planned;
mod project;
mod same;
