//! What a run costs: requests to a registry, files that are read, memory; and what others who may
//! push can do to it. Real registry, real `esb`, no engine.

#![cfg(test)]

mod agreed;
mod applications;
mod asked;
mod attacker;
mod completed;
mod configured;
mod cost;
mod events;
mod faulty;
mod forged;
mod given;
mod healed;
mod immutable;
mod inside_code;
mod narrow;
mod opened;
mod owned;
mod planned;
mod project;
mod pruned;
mod same;
#[path = "../schemas/mod.rs"]
mod schemas;
mod target;
mod unpushed;
