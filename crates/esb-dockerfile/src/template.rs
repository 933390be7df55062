//! Renders the Dockerfile templates.
//!
//! Owns the handlebars registry with its typed helpers; every value reaches the text through one
//! of them. Refuses to know what a recipe is.

use std::{error::Error, sync::LazyLock};

use esb_runtime::function_dockerfile_template;
use handlebars::{Handlebars, RenderError, RenderErrorReason, handlebars_helper, no_escape};
use serde::{Deserialize, Serialize};

use crate::quote;

/// The values for the template of a function's Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct View {
    pub(crate) base: String,
    /// The handler that the command, a wrapper, runs.
    pub(crate) original_handler: Option<String>,
    pub(crate) layers: Vec<LayerView>,
    pub(crate) dependencies: Option<CopyView>,
    pub(crate) code: CopyView,
    pub(crate) command: String,
}

/// One layer's comment and `COPY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LayerView {
    pub(crate) name: String,
    pub(crate) packages: Option<CopyView>,
    pub(crate) content: CopyView,
}

/// One `COPY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyView {
    /// A real path relative to the context; a folder ends with `/`.
    pub(crate) source: String,
    pub(crate) destination: String,
}

/// The name of the one template.
const FUNCTION: &str = "function";

/// The registry with the template, which is read once.
static REGISTRY: LazyLock<Handlebars<'static>> = LazyLock::new(registry);

/// The text of a function's Dockerfile (docs/contracts/platform.md#function-dockerfiles).
///
/// # Errors
/// When a value cannot stand where it is wanted.
pub(crate) fn function_dockerfile(view: &View) -> Result<String, RenderError> {
    let mut text = REGISTRY.render(FUNCTION, view)?;
    // It is kept for every function of a run, and rendered with room for much more.
    text.shrink_to_fit();
    Ok(text)
}

fn registry() -> Handlebars<'static> {
    handlebars_helper!(comment: |text: str| quote::comment(text));
    handlebars_helper!(environment: |text: str| quote::environment(text).map_err(nested)?);
    handlebars_helper!(exec: |word: str| quote::exec_form(&[word]));
    handlebars_helper!(reference: |text: str| quote::reference(text).map_err(nested)?);
    handlebars_helper!(copy: |content: Json| {
        let view = CopyView::deserialize(content).map_err(nested)?;
        quote::copy_arguments(&view.source, &view.destination).map_err(nested)?
    });
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(no_escape);
    registry.register_helper("comment", Box::new(comment));
    registry.register_helper("copy", Box::new(copy));
    registry.register_helper("environment", Box::new(environment));
    registry.register_helper("exec", Box::new(exec));
    registry.register_helper("reference", Box::new(reference));
    let template = function_dockerfile_template();
    let read = registry.register_template_string(FUNCTION, template);
    read.expect("the template is a part of the program");
    registry
}

fn nested(error: impl Error + Send + Sync + 'static) -> RenderErrorReason {
    RenderErrorReason::NestedError(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(base: &str, source: &str) -> View {
        let code = CopyView { source: source.into(), destination: "/var/task/".into() };
        View {
            base: base.into(),
            original_handler: None,
            layers: Vec::new(),
            dependencies: None,
            code,
            command: "a.b".into(),
        }
    }

    #[test]
    fn nothing_is_escaped_for_html() {
        let text = function_dockerfile(&view("base:1", "a&<b>/")).unwrap();
        assert!(text.contains(r#"COPY ["a&<b>/", "/var/task/"]"#), "{text}");
    }

    #[test]
    fn the_original_handler_is_one_word() {
        let with = |handler: &str| {
            let handler = Some(handler.to_owned());
            function_dockerfile(&View { original_handler: handler, ..view("base:1", "x/") })
        };
        let line = |handler: &str| with(handler).unwrap().lines().nth(2).unwrap().to_owned();
        assert_eq!(line("a.B::c"), "ENV LAMBDA_ORIGINAL_HANDLER=a.B::c");
        assert_eq!(line("a.B$C::d"), r#"ENV LAMBDA_ORIGINAL_HANDLER="a.B\$C::d""#);
        assert_eq!(line(r#"a b"\"#), r#"ENV LAMBDA_ORIGINAL_HANDLER="a b\"\\""#);
        assert!(with("a\nRUN x").is_err());
    }

    #[test]
    fn values_that_cannot_be_quoted_are_errors() {
        for (base, source) in [("a b", "x/"), ("$X", "x/"), ("base:1", "a*/"), ("base:1", "a\nb/")]
        {
            assert!(function_dockerfile(&view(base, source)).is_err(), "{base:?} {source:?}");
        }
    }
}
