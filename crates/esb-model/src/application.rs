//! An application: everything that the templates of a run describe.

use crate::{Bucket, Code, Function, FunctionId, Route, Schedule, Span, Table, Trigger};

/// The position of a template among those of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(pub usize);

/// Everything that the templates of one run describe, with intrinsic functions resolved as far as
/// possible.
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
    /// `Metadata: BuildMethod`: what `sam build` would make the content with.
    pub build_method: Option<String>,
}

impl Application {
    /// Finds a function by its id.
    pub fn function(&self, id: &FunctionId) -> Option<&Function> {
        self.functions.iter().find(|function| function.id == *id)
    }

    /// Finds the layer of `template` with that logical id.
    pub fn layer(&self, template: TemplateId, logical_id: &str) -> Option<&Layer> {
        self.layers
            .iter()
            .find(|layer| layer.template == template && layer.logical_id == logical_id)
    }

    /// Appends everything of `other`, whose template ids must already be those of this application.
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
