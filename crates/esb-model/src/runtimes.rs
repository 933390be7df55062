//! The runtimes that AWS Lambda has or had.
//!
//! Owns the one table of their names and of the tags of their base images below
//! `public.ecr.aws/lambda/`. A name that is not in it can be one that AWS announced later.

/// AWS's support for a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// In use; these names are suggested for a wrong one.
    Current,
    /// Its base image's tag ends in `-preview`.
    Preview,
    /// No longer supported, or a base image that never became a managed runtime.
    Other,
    /// From before there were base images.
    WithoutImage,
}

/// One runtime.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// As AWS spells it.
    pub(crate) tag: &'static str,
    pub(crate) support: Support,
}

const fn known(name: &'static str, tag: &'static str, support: Support) -> Known {
    Known { name, tag, support }
}

use Support::{Current, Other, Preview, WithoutImage};

/// Sorted by language, oldest first.
pub(crate) const TABLE: &[Known] = &[
    known("dotnetcore1.0", "", WithoutImage),
    known("dotnetcore2.0", "", WithoutImage),
    known("dotnetcore2.1", "core2.1", Other),
    known("dotnetcore3.1", "core3.1", Other),
    known("dotnet5.0", "5.0", Other),
    known("dotnet6", "6", Other),
    known("dotnet7", "7", Other),
    known("dotnet8", "8", Current),
    known("dotnet9", "9", Other),
    known("dotnet10", "10", Current),
    known("go1.x", "1", Other),
    known("java8", "8", Other),
    known("java8.al2", "8.al2", Current),
    known("java8.al2023", "8.al2023", Current),
    known("java11", "11", Current),
    known("java11.al2023", "11.al2023", Current),
    known("java17", "17", Current),
    known("java17.al2023", "17.al2023", Current),
    known("java21", "21", Current),
    known("java25", "25", Current),
    known("nodejs4.3", "", WithoutImage),
    known("nodejs6.10", "", WithoutImage),
    known("nodejs8.10", "", WithoutImage),
    known("nodejs10.x", "10", Other),
    known("nodejs12.x", "12", Other),
    known("nodejs14.x", "14", Other),
    known("nodejs16.x", "16", Other),
    known("nodejs18.x", "18", Current),
    known("nodejs20.x", "20", Current),
    known("nodejs22.x", "22", Current),
    known("nodejs24.x", "24", Current),
    known("nodejs26.x", "26-preview", Preview),
    known("provided.al2", "al2", Current),
    known("provided.al2023", "al2023", Current),
    known("python2.7", "2.7", Other),
    known("python3.6", "3.6", Other),
    known("python3.7", "3.7", Other),
    known("python3.8", "3.8", Other),
    known("python3.9", "3.9", Current),
    known("python3.10", "3.10", Current),
    known("python3.11", "3.11", Current),
    known("python3.12", "3.12", Current),
    known("python3.13", "3.13", Current),
    known("python3.14", "3.14", Current),
    known("python3.15", "3.15-preview", Preview),
    known("ruby2.5", "2.5", Other),
    known("ruby2.7", "2.7", Other),
    known("ruby3.2", "3.2", Current),
    known("ruby3.3", "3.3", Current),
    known("ruby3.4", "3.4", Current),
    known("ruby4.0", "4.0", Current),
];

/// The entry of a name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    TABLE.iter().find(|known| known.name == name)
}
