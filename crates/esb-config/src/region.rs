//! Keeps the published region when a run has another one: the run's own functions get theirs.
//!
//! A published region is never changed: the run's own functions get theirs in their own variables
//! instead of in the defaults (docs/contracts/platform.md#region).

use crate::functions::FunctionsFile;

/// Both names under which SDKs look for it.
const NAMES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// A region that only the run's functions have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRegion {
    /// As the defaults have it.
    pub published: String,
    pub own: String,
}

/// Moves the region of `run` into its functions where the defaults of `file` have another one.
pub(crate) fn apart(file: &FunctionsFile, run: &mut FunctionsFile) -> Option<OwnRegion> {
    let of = |file: &FunctionsFile| {
        NAMES.iter().find_map(|name| file.defaults.environment.0.get(*name).cloned())
    };
    let (published, own) = (of(file)?, of(run)?);
    if published == own {
        return None;
    }
    for name in NAMES {
        let defaults = &mut run.defaults.environment.0;
        match file.defaults.environment.0.get(name) {
            Some(value) => defaults.insert(name.to_owned(), value.clone()),
            None => defaults.remove(name),
        };
        for function in run.functions.values_mut() {
            // What the template says for one function is stronger.
            function.environment.0.entry(name.to_owned()).or_insert_with(|| own.clone());
        }
    }
    let text = |text: &crate::Text| text.template().to_owned();
    Some(OwnRegion { published: text(&published), own: text(&own) })
}
