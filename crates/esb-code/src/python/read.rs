//! Parses a module and takes from its tree what a run remembers of it.
//!
//! The one place that knows the parser, with `names`, `nesting`,
//! `indentation` and `semantics`.

use ruff_python_ast::Mod;
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged as _, TextRange};

use super::{
    indentation::inconsistent,
    names::collect,
    semantics::first_error,
    summary::{Fault, Summary},
    version::Version,
};

/// The stack that a tree of the allowed depth is walked and dropped on, and how much of it must be
/// left for none to be made.
const STACK: usize = 64 * 1024 * 1024;

/// A feature of `__future__` with operators of its own, which the parser does not know.
const OWN_GRAMMAR: &str = "barry_as_FLUFL";

/// Reads a text of bounded depth; `None` when the parser cannot say what this version of Python
/// would.
pub(super) fn read(text: &str, version: Version) -> Option<Summary> {
    stacker::maybe_grow(STACK / 2, STACK, || {
        let (target, is_known) = version.parser();
        let options = ParseOptions::from(Mode::Module).with_target_version(target);
        let parsed = parse_unchecked(text, options);
        let errors = parsed.errors().iter().map(|error| (error.location, error.error.to_string()));
        let too_new = parsed.unsupported_syntax_errors().iter();
        let too_new = too_new.map(|error| (error.range(), error.to_string()));
        // One mistake makes many: the first is the one to look at.
        let first = |faults: Vec<(TextRange, String)>| {
            faults.into_iter().min_by_key(|(range, _)| range.start())
        };
        let Mod::Module(module) = parsed.syntax() else { return None };
        let fault = match first(errors.collect()) {
            Some(fault) => Some(fault),
            None => inconsistent(text, parsed.tokens())
                .map(|range| {
                    (range, "this line mixes tabs and spaces in its indentation".to_owned())
                })
                .or_else(|| first(too_new.collect()))
                .or_else(|| first_error(&module.body, text, target)),
        };
        if fault.is_some() && (!is_known || text.contains(OWN_GRAMMAR)) {
            return None;
        }
        if let Some((range, message)) = fault {
            let (start, end) = (range.start().to_usize(), range.end().to_usize());
            let fault = Fault { message: lower_first(&message), start, end };
            return Some(Summary { fault: Some(fault), ..Summary::default() });
        }
        Some(collect(&module.body))
    })
}

/// A sentence as the rest of one, unless it begins with a name.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
