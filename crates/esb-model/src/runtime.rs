//! Lambda runtime identifiers.
//!
//! Knows the grammar of names such as `python3.12` and `nodejs20.x`. Names that AWS announced after
//! this was written follow it too; `runtimes` is the table of those that were known then.

use std::{fmt, str::FromStr};

use crate::runtimes::{self, Support, TABLE};

/// A runtime named by a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Runtime {
    family: Family,
    /// Not empty, and only ASCII letters, digits and dots.
    version: Box<str>,
    name: Box<str>,
}

/// The language of a [`Runtime`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    Dotnet,
    Go,
    Java,
    Nodejs,
    Provided,
    Python,
    Ruby,
}

/// A name that does not have the form of a Lambda runtime identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown runtime `{}`", .0.escape_debug())]
pub struct UnknownRuntime(pub String);

impl Runtime {
    pub fn family(&self) -> Family {
        self.family
    }

    /// The version as the name has it: `3.12`, `20`, `17.al2023`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The name in a template: `python3.12`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tag of AWS's base image: the version, but for previews and some early names.
    pub fn aws_tag(&self) -> &str {
        match runtimes::find(&self.name) {
            Some(known) if known.support != Support::WithoutImage => known.tag,
            _ => &self.version,
        }
    }

    /// The reference of AWS's base image, by tag; the caller pins its digest.
    pub fn aws_base_image(&self) -> String {
        format!("public.ecr.aws/lambda/{}:{}", self.family.repository(), self.aws_tag())
    }

    /// Whether AWS publishes a base image for this runtime, as far as the table here says.
    pub fn has_aws_base_image(&self) -> bool {
        runtimes::find(&self.name).is_none_or(|known| known.support != Support::WithoutImage)
    }

    /// Whether the runtime is in the table of Lambda's runtimes here.
    pub fn is_known(&self) -> bool {
        runtimes::find(&self.name).is_some()
    }

    /// The names of the runtimes in use, for suggestions: of one language the latest first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let used = |support| matches!(support, Support::Current | Support::Preview);
        TABLE.iter().rev().filter(move |known| used(known.support)).map(|known| known.name)
    }

    /// Whether our hooks, of whatever language, go into images of this runtime.
    pub fn has_hooks(&self) -> bool {
        self.has_python_hooks() || self.has_java_hooks()
    }

    /// Whether our Java hooks go into images of this runtime (docs/contracts/platform.md#runtimes).
    pub fn has_java_hooks(&self) -> bool {
        let java = matches!(&*self.version, "11" | "11.al2023" | "17" | "17.al2023" | "21" | "25");
        self.family == Family::Java && java
    }

    /// Whether our Python hooks go into images of this runtime
    /// (docs/contracts/platform.md#runtimes).
    pub fn has_python_hooks(&self) -> bool {
        self.family == Family::Python
            && matches!(&*self.version, "3.9" | "3.10" | "3.11" | "3.12" | "3.13" | "3.14" | "3.15")
    }
}

impl Family {
    /// The repository of AWS's base image below `public.ecr.aws/lambda/`.
    pub fn repository(self) -> &'static str {
        match self {
            Self::Dotnet => "dotnet",
            Self::Go => "go",
            Self::Java => "java",
            Self::Nodejs => "nodejs",
            Self::Provided => "provided",
            Self::Python => "python",
            Self::Ruby => "ruby",
        }
    }
}

impl FromStr for Runtime {
    type Err = UnknownRuntime;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownRuntime(name.to_owned());
        let split = name.find(|c: char| !c.is_ascii_lowercase()).ok_or_else(unknown)?;
        let (family, version) = match name.split_at(split) {
            ("dotnet" | "dotnetcore", version) => (Family::Dotnet, version),
            ("go", version) => (Family::Go, version.strip_suffix(".x").ok_or_else(unknown)?),
            ("java", version) => (Family::Java, version),
            // The first ones had no `.x`; a later name without it is none.
            ("nodejs", version) if runtimes::find(name).is_some() => {
                (Family::Nodejs, version.strip_suffix(".x").unwrap_or(version))
            }
            ("nodejs", version) => {
                (Family::Nodejs, version.strip_suffix(".x").ok_or_else(unknown)?)
            }
            ("provided", version) => {
                (Family::Provided, version.strip_prefix('.').ok_or_else(unknown)?)
            }
            ("python", version) => (Family::Python, version),
            ("ruby", version) => (Family::Ruby, version),
            _ => return Err(unknown()),
        };
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '.';
        if version.is_empty() || version.starts_with('.') || !version.chars().all(valid) {
            return Err(unknown());
        }
        Ok(Self { family, version: version.into(), name: name.into() })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_base_images() {
        let base = |name: &str| name.parse::<Runtime>().map(|runtime| runtime.aws_base_image());
        let ok = |image: &str| Ok(format!("public.ecr.aws/lambda/{image}"));
        assert_eq!(base("python3.12"), ok("python:3.12"));
        assert_eq!(base("nodejs20.x"), ok("nodejs:20"));
        assert_eq!(base("java8.al2"), ok("java:8.al2"));
        assert_eq!(base("provided.al2023"), ok("provided:al2023"));
        assert_eq!(base("python3.15"), ok("python:3.15-preview"));
        assert_eq!(base("nodejs26.x"), ok("nodejs:26-preview"));
        assert_eq!(base("java17.al2023"), ok("java:17.al2023"));
        assert_eq!(base("dotnet10"), ok("dotnet:10"));
        assert_eq!(base("dotnetcore3.1"), ok("dotnet:core3.1"));
        // Announced after this was written.
        assert_eq!(base("python3.99"), ok("python:3.99"));
        for bad in ["", "python", "python3.12\nRUN x", "cobol1", "provided", "python.3", "nodejs20"]
        {
            assert_eq!(base(bad), Err(UnknownRuntime(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_follows_the_grammar() {
        for known in TABLE {
            let runtime: Runtime = known.name.parse().unwrap();
            assert_eq!(runtime.name(), known.name);
            let tag = known.tag.trim_start_matches("core").trim_end_matches("-preview");
            assert_ne!(runtime.has_aws_base_image(), tag.is_empty(), "{}", known.name);
            assert!(tag.is_empty() || tag == runtime.version(), "{}", known.name);
            let preview = known.tag.ends_with("-preview");
            assert_eq!(preview, known.support == Support::Preview, "{}", known.name);
        }
        assert!(TABLE.is_sorted_by_key(|known| known.name.parse::<Runtime>().unwrap().family()));
        assert_eq!(Runtime::names().find(|name| name.starts_with("python")), Some("python3.15"));
        assert!(Runtime::names().all(|name| name != "python2.7") && Runtime::names().count() > 20);
        let runtime = |name: &str| name.parse::<Runtime>().unwrap();
        assert!(runtime("ruby4.0").is_known() && !runtime("python3.99").is_known());
        assert!(!runtime("nodejs6.10").has_aws_base_image());
    }

    #[test]
    fn hooks_only_for_known_javas() {
        let hooked = |name: &str| name.parse::<Runtime>().unwrap().has_java_hooks();
        assert!(hooked("java11") && hooked("java17") && hooked("java21") && hooked("java25"));
        assert!(hooked("java11.al2023") && hooked("java17.al2023"));
        assert!(
            !hooked("java8.al2")
                && !hooked("java8.al2023")
                && !hooked("java22")
                && !hooked("python3.12")
        );
    }

    #[test]
    fn hooks_only_for_known_pythons() {
        let hooked = |name: &str| name.parse::<Runtime>().unwrap().has_python_hooks();
        assert!(hooked("python3.9") && hooked("python3.14") && hooked("python3.15"));
        assert!(!hooked("python2.7") && !hooked("python3.8") && !hooked("nodejs20.x"));
    }
}
