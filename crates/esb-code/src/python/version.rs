//! Versions of Python, as far as reading code depends on them.

use esb_model::{Family, Runtime};
use ruff_python_ast::PythonVersion;

/// A version of Python 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version(pub(crate) u8);

impl Version {
    /// The version of a runtime; `None` for one whose code the parser does not read.
    pub(crate) fn of(runtime: &Runtime) -> Option<Self> {
        if runtime.family() != Family::Python {
            return None;
        }
        runtime.version().strip_prefix("3.")?.parse().ok().map(Self)
    }

    /// The parser's version, and whether it knows this one: what it refuses is refused by Python
    /// too only then.
    pub(crate) fn parser(self) -> (PythonVersion, bool) {
        let known = PythonVersion::iter().find(|known| known.as_tuple() == (3, self.0));
        match known {
            Some(known) => (known, true),
            None if self < Self(7) => (PythonVersion::PY37, false),
            None => (PythonVersion::PY315, false),
        }
    }

    /// `3.12`
    pub(crate) fn name(self) -> String {
        format!("3.{}", self.0)
    }

    /// The folder of packages below a prefix.
    pub(crate) fn site_packages(self) -> String {
        format!("lib/python3.{}/site-packages", self.0)
    }
}
