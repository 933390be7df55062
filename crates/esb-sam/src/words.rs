//! Names of properties and other parts of a template, as messages show them. They are formatted
//! only when a message is shown.

use std::fmt::{self, Display};

use crate::findings::quote;

/// A property of a resource: "Timeout of `F`".
#[derive(Clone, Copy)]
pub(crate) struct Property<'w> {
    pub(crate) name: &'w str,
    pub(crate) id: &'w str,
}

/// A part of a larger thing: "Path of event `Get` of `F`".
#[derive(Clone, Copy)]
pub(crate) struct Part<'w> {
    pub(crate) name: &'w str,
    pub(crate) of: &'w dyn Display,
}

/// Something with a name in a resource: "event `Get` of `F`".
#[derive(Clone, Copy)]
pub(crate) struct Named<'w> {
    pub(crate) what: &'static str,
    pub(crate) name: &'w str,
    pub(crate) id: &'w str,
}

impl Display for Property<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, quote(self.id))
    }
}

impl Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.of)
    }
}

impl Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.what, quote(self.name), quote(self.id))
    }
}
