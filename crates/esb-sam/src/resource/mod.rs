//! Resources: their names, and how each type becomes part of the application.
//!
//! This file owns the table of a template's resources. `naming` knows what `Ref` and `GetAtt`
//! give; every other file lowers one kind of resource.

mod bucket;
mod environment;
mod event;
mod expression;
mod function;
mod image;
pub(crate) mod known;
mod layer;
mod lower;
mod name_rules;
mod naming;
mod nested;
mod openapi;
mod package;
mod property;
mod raw_api;
mod raw_schedule;
mod route;
mod schedule;
mod table;
mod table_rules;
mod types;

use std::{collections::HashMap, rc::Rc};

use esb_model::{Severity, Span};

use crate::{
    condition::Truth,
    yaml::{Node, NodePlace},
};

pub(crate) use known::attributes;
pub(crate) use lower::{Lowered, Scope, lower};
pub(crate) use naming::{Generated, NameStates};
pub(crate) use package::code_is_elsewhere;

/// A resource of a template, with its globals merged.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) id: Rc<str>,
    /// The place of the logical id.
    pub(crate) place: NodePlace,
    /// `AWS::Serverless::Function`.
    pub(crate) kind: Rc<str>,
    /// The whole resource.
    pub(crate) body: Rc<Node>,
    /// A map, after the merge.
    pub(crate) properties: Rc<Node>,
    /// What its condition says; an undecided one keeps the resource.
    pub(crate) condition: Truth,
}

/// The resources of a template, in its order and by id.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    order: Vec<Rc<Resource>>,
    by_id: HashMap<Rc<str>, Rc<Resource>>,
}

impl Resource {
    pub(crate) fn span(&self) -> Span {
        self.place.span()
    }

    /// Whether the resource is created, as far as is known.
    pub(crate) fn exists(&self) -> bool {
        self.condition != Some(false)
    }

    /// A property; null counts as absent.
    pub(crate) fn property(&self, name: &str) -> Option<&Rc<Node>> {
        self.properties.get(name)
    }

    /// How much a mistake in it matters: it is no error where the code is in S3, so that nothing
    /// of the resource is deployed from here.
    pub(crate) fn severity(&self) -> Severity {
        if code_is_elsewhere(self) { Severity::Warning } else { Severity::Error }
    }

    /// An entry of `Metadata`.
    pub(crate) fn metadata(&self, name: &str) -> Option<&Rc<Node>> {
        self.body.get("Metadata")?.get(name)
    }

    pub(crate) fn is_function(&self) -> bool {
        matches!(&*self.kind, "AWS::Serverless::Function" | "AWS::Lambda::Function")
    }

    pub(crate) fn is_layer(&self) -> bool {
        matches!(&*self.kind, "AWS::Serverless::LayerVersion" | "AWS::Lambda::LayerVersion")
    }
}

impl Resources {
    pub(crate) fn push(&mut self, resource: Resource) {
        let resource = Rc::new(resource);
        self.by_id.insert(resource.id.clone(), resource.clone());
        self.order.push(resource);
    }

    pub(crate) fn get(&self, id: &str) -> Option<Rc<Resource>> {
        self.by_id.get(id).cloned()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|resource| &*resource.id)
    }

    /// All resources, in the template's order.
    pub(crate) fn all(&self) -> Vec<Rc<Resource>> {
        self.order.clone()
    }

    /// All resources whose condition is not false, in the template's order.
    pub(crate) fn present(&self) -> Vec<Rc<Resource>> {
        let present = |resource: &&Rc<Resource>| resource.condition != Some(false);
        self.order.iter().filter(present).cloned().collect()
    }
}
