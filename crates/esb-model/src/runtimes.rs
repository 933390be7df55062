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
    /// The day on which AWS ended its support, for those that are gone.
    pub(crate) ended: Option<&'static str>,
}

const fn known(name: &'static str, tag: &'static str, support: Support) -> Known {
    Known { name, tag, support, ended: None }
}

/// A runtime that is gone.
const fn gone(name: &'static str, tag: &'static str, ended: &'static str) -> Known {
    let support = if tag.is_empty() { WithoutImage } else { Other };
    Known { name, tag, support, ended: Some(ended) }
}

use Support::{Current, Other, Preview, WithoutImage};

/// Sorted by language, oldest first.
pub(crate) const TABLE: &[Known] = &[
    gone("dotnetcore1.0", "", "2019-06-27"),
    gone("dotnetcore2.0", "", "2019-05-30"),
    gone("dotnetcore2.1", "core2.1", "2022-01-05"),
    gone("dotnetcore3.1", "core3.1", "2023-04-03"),
    gone("dotnet5.0", "5.0", "2022-05-10"),
    gone("dotnet6", "6", "2024-12-20"),
    gone("dotnet7", "7", "2024-05-14"),
    known("dotnet8", "8", Current),
    known("dotnet9", "9", Other),
    known("dotnet10", "10", Current),
    gone("go1.x", "1", "2024-01-08"),
    gone("java8", "8", "2024-01-08"),
    known("java8.al2", "8.al2", Current),
    known("java8.al2023", "8.al2023", Current),
    known("java11", "11", Current),
    known("java11.al2023", "11.al2023", Current),
    known("java17", "17", Current),
    known("java17.al2023", "17.al2023", Current),
    known("java21", "21", Current),
    known("java25", "25", Current),
    gone("nodejs", "", "2016-10-31"),
    gone("nodejs4.3", "", "2020-03-05"),
    gone("nodejs4.3-edge", "", "2019-04-30"),
    gone("nodejs6.10", "", "2019-08-12"),
    gone("nodejs8.10", "", "2020-03-06"),
    gone("nodejs10.x", "10", "2021-07-30"),
    gone("nodejs12.x", "12", "2023-03-31"),
    gone("nodejs14.x", "14", "2023-12-04"),
    gone("nodejs16.x", "16", "2024-06-12"),
    known("nodejs18.x", "18", Current),
    known("nodejs20.x", "20", Current),
    known("nodejs22.x", "22", Current),
    known("nodejs24.x", "24", Current),
    known("nodejs26.x", "26-preview", Preview),
    gone("provided", "alami", "2024-01-08"),
    known("provided.al2", "al2", Current),
    known("provided.al2023", "al2023", Current),
    gone("python2.7", "2.7", "2021-07-15"),
    gone("python3.6", "3.6", "2022-07-18"),
    gone("python3.7", "3.7", "2023-12-04"),
    gone("python3.8", "3.8", "2024-10-14"),
    known("python3.9", "3.9", Current),
    known("python3.10", "3.10", Current),
    known("python3.11", "3.11", Current),
    known("python3.12", "3.12", Current),
    known("python3.13", "3.13", Current),
    known("python3.14", "3.14", Current),
    known("python3.15", "3.15-preview", Preview),
    gone("ruby2.5", "2.5", "2021-07-30"),
    gone("ruby2.7", "2.7", "2023-12-07"),
    known("ruby3.2", "3.2", Current),
    known("ruby3.3", "3.3", Current),
    known("ruby3.4", "3.4", Current),
    known("ruby4.0", "4.0", Current),
];

/// The entry of a name.
pub(crate) fn find(name: &str) -> Option<&'static Known> {
    TABLE.iter().find(|known| known.name == name)
}
