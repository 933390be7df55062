//! Turns the resources of one template into its part of the application.
//!
//! Owns the order of the work and what all kinds of resources share while they are lowered.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use esb_model::{Application, Finding, FindingCode, FunctionId, Severity, Span, TemplateId};

use super::{
    Resource, bucket, event, function, layer, nested, openapi, property, raw_api, raw_schedule,
    table,
};
use crate::{evaluator::Evaluator, parameter::Parameter, value::Value, words::Property};

/// Where a template stands among those of a run.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) template: TemplateId,
    /// `Parent/` for a nested application, else empty.
    pub(crate) prefix: String,
    /// The folder of a nested template, relative to that of the outermost; else empty.
    pub(crate) folder: String,
    /// Nested applications around this one.
    pub(crate) depth: usize,
    /// The files that are open, outermost first.
    pub(crate) files: Vec<String>,
}

/// What a template gives.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    pub(crate) application: Application,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) outputs: HashMap<Rc<str>, Value>,
    /// The template could be read at all.
    pub(crate) readable: bool,
    /// The place of the resources, where none of them became a part of the application.
    pub(crate) nothing_made: Option<Span>,
}

/// What lowering works on.
pub(crate) struct Lowering<'s, 'a, 'r> {
    pub(crate) ev: Evaluator<'a, 'r>,
    pub(crate) scope: &'s Scope,
    pub(crate) app: Application,
    /// Functions by the name in their ARN.
    pub(crate) function_names: HashMap<Rc<str>, Rc<str>>,
    pub(crate) routes: super::route::Claims,
    /// Resource types that are no mistake.
    pub(crate) kinds: HashSet<Rc<str>>,
}

/// Lowers every resource that exists.
pub(crate) fn lower<'a, 'r>(
    ev: Evaluator<'a, 'r>,
    scope: &Scope,
) -> (Evaluator<'a, 'r>, Application) {
    let mut this = Lowering {
        ev,
        scope,
        app: Application::default(),
        function_names: HashMap::new(),
        routes: super::route::Claims::default(),
        kinds: HashSet::new(),
    };
    let resources = this.ev.resources.present();
    let each = |this: &mut Lowering<'_, 'a, 'r>,
                run: fn(&mut Lowering<'_, 'a, 'r>, &Rc<Resource>)| {
        for resource in &resources {
            run(this, resource);
        }
    };
    each(&mut this, property::check);
    // Nested applications come first: their outputs are values for the rest.
    each(&mut this, nested::lower);
    for resource in resources.iter().filter(|resource| resource.is_function()) {
        let name = this.ev.physical_name(resource);
        this.function_names.insert(name, resource.id.clone());
    }
    each(&mut this, layer::lower);
    each(&mut this, function::lower);
    each(&mut this, event::lower);
    each(&mut this, openapi::lower);
    each(&mut this, raw_api::lower);
    each(&mut this, raw_schedule::lower);
    each(&mut this, table::lower);
    each(&mut this, bucket::lower);
    (this.ev, this.app)
}

impl Lowering<'_, '_, '_> {
    /// The id of a function of this template.
    pub(crate) fn function_id(&self, logical_id: &str) -> FunctionId {
        FunctionId { template: self.scope.template, logical_id: self.full_id(logical_id) }
    }

    /// A logical id as the whole run knows it.
    pub(crate) fn full_id(&self, logical_id: &str) -> String {
        format!("{}{logical_id}", self.scope.prefix)
    }

    /// A path of a nested template, made relative to the outermost one.
    pub(crate) fn path(&self, path: &str) -> String {
        let absolute = path.starts_with('/') || path.contains("://");
        if self.scope.folder.is_empty() || absolute {
            path.to_owned()
        } else {
            format!("{}/{path}", self.scope.folder)
        }
    }

    /// The words for a property in messages.
    pub(crate) fn what<'w>(resource: &'w Resource, property: &'w str) -> Property<'w> {
        Property { name: property, id: &resource.id }
    }

    /// The function that a value names: by reference, ARN, integration URI or name.
    pub(crate) fn function_of(&self, value: &Value) -> Option<Rc<str>> {
        if let Some(origin) = value.origin() {
            let resource = self.ev.resources.get(&origin.id)?;
            return (resource.is_function() && resource.exists()).then(|| resource.id.clone());
        }
        let text = match value {
            Value::Text(text) => &text.text,
            Value::Unknown(unknown) => &unknown.symbolic,
            Value::Absent | Value::List(_) | Value::Map(_) => return None,
        };
        if let Some((_, rest)) = text.split_once(":function:") {
            let name = rest.split([':', '/']).next().unwrap_or_default();
            let id = self.function_names.get(name).cloned();
            // `arn:…:function:${Name}` in a text that AWS completes.
            return id.or_else(|| self.existing_function(name));
        }
        self.existing_function(text)
    }

    fn existing_function(&self, name: &str) -> Option<Rc<str>> {
        let resource = self.ev.resources.get(name)?;
        (resource.is_function() && resource.exists()).then(|| resource.id.clone())
    }

    /// Says once that the platform does something else than AWS.
    pub(crate) fn platform_note(
        &mut self,
        code: FindingCode,
        span: Span,
        message: impl Into<String>,
    ) {
        self.ev.run.findings.push_once(Finding::new(Severity::Note, code, span, message));
    }
}
