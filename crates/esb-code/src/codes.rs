//! The codes of all findings of this crate.
//!
//! A name is stable: people silence it, search for it and link to it.

esb_model::finding_codes! {
    /// A handler is not written as its runtime reads it.
    MALFORMED_HANDLER = "esb::code::malformed-handler";
    /// The module or class of a handler lacks the function or method that the handler names.
    MISSING_FUNCTION = "esb::code::missing-function";
    /// The module, class or file that a handler names is not in the function's image.
    MISSING_HANDLER = "esb::code::missing-handler";
    /// A module is imported that nothing in the function's image provides.
    MISSING_IMPORT = "esb::code::missing-import";
    /// The version of Python that runs a file cannot read it.
    PYTHON_SYNTAX = "esb::code::python-syntax";
}
