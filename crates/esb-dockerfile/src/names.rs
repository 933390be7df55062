//! Gives each function an image name that no other one has.

use std::collections::BTreeMap;

use esb_model::{Cause, Finding, Function, Severity, Span, image_name};

use crate::codes;

/// What no function may be called: its image would have the name of the base image.
const RESERVED: &str = "lambda-base";

/// The names that functions have taken.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Image name to function name, logical id and place.
    taken: BTreeMap<String, (String, String, Span)>,
}

impl Names {
    /// Takes the image name of a function; nothing when a finding says why
    /// (docs/contracts/platform.md#image-names).
    pub(crate) fn take(
        &mut self,
        function: &Function,
        findings: &mut Vec<Finding>,
    ) -> Option<String> {
        let name = function.effective_name();
        let error =
            |code, message: String| Finding::new(Severity::Error, code, function.span, message);
        let Ok(image) = image_name(&name) else {
            let message = format!(
                "the function name `{name}` has no letter or digit to use in an image name"
            );
            findings.push(
                error(codes::NO_IMAGE_NAME, message).help("give the function a `FunctionName`"),
            );
            return None;
        };
        if image == RESERVED {
            let message =
                format!("function `{name}` would have the image name of the base, `{image}`");
            findings.push(error(codes::RESERVED_IMAGE, message).help("rename the function"));
            return None;
        }
        let id = &function.id.logical_id;
        if let Some((other, other_id, place)) = self.taken.get(&image) {
            let message = if *other == name {
                format!("functions `{other_id}` and `{id}` are both named `{name}`")
            } else {
                format!("functions `{other}` and `{name}` would both have the image name `{image}`")
            };
            findings.push(
                error(codes::DUPLICATE_IMAGE, message)
                    .cause(Cause::DuplicateName)
                    .label("second function with this image name")
                    .related(*place, "first function with this image name")
                    .help("rename one of them with `FunctionName`"),
            );
            return None;
        }
        self.taken.insert(image.clone(), (name.into_owned(), id.clone(), function.span));
        Some(image)
    }
}
