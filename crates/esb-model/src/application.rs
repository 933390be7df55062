//! An application: everything that the templates of a run describe.

use crate::{Bucket, Code, Function, FunctionId, Route, Schedule, Span, Table, Trigger};

/// The position of a template among those of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub usize);

/// What one or several templates describe, with all intrinsics resolved as far as they can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Application {
    /// The templates as the user named them, in that order; [`TemplateId`] is an index into them.
    pub templates: Vec<String>,
    /// In the order of the templates.
    pub functions: Vec<Function>,
    pub layers: Vec<Layer>,
    pub routes: Vec<Route>,
    pub schedules: Vec<Schedule>,
    /// Event sources that the platform does not serve.
    pub triggers: Vec<Trigger>,
    pub tables: Vec<Table>,
    pub buckets: Vec<Bucket>,
    /// The region that `AWS::Region` and ARNs used.
    pub region: String,
}

/// A `LayerVersion` of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub template: TemplateId,
    pub logical_id: String,
    pub span: Span,
    pub name: Option<String>,
    pub content: Code,
    /// As written, for resources.yml.
    pub compatible_architectures: Vec<String>,
}

impl Application {
    /// A function by its id.
    pub fn function(&self, id: &FunctionId) -> Option<&Function> {
        self.functions.iter().find(|function| function.id == *id)
    }

    /// A layer that a function of `template` refers to.
    pub fn layer(&self, template: TemplateId, logical_id: &str) -> Option<&Layer> {
        self.layers
            .iter()
            .find(|layer| layer.template == template && layer.logical_id == logical_id)
    }

    /// Takes over everything of `other`, whose template ids already count from here on.
    pub fn append(&mut self, other: Self) {
        self.templates.extend(other.templates);
        self.functions.extend(other.functions);
        self.layers.extend(other.layers);
        self.routes.extend(other.routes);
        self.schedules.extend(other.schedules);
        self.triggers.extend(other.triggers);
        self.tables.extend(other.tables);
        self.buckets.extend(other.buckets);
        if self.region.is_empty() {
            self.region = other.region;
        }
    }
}
