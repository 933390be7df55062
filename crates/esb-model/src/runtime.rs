//! Lambda runtime identifiers.
//!
//! Knows the grammar of names such as `python3.12` and `nodejs20.x`, and not which of them AWS
//! supports today: that changes without us.

use std::{fmt, str::FromStr};

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

/// The name is not one that Lambda could have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown runtime `{}`", .0.escape_debug())]
pub struct UnknownRuntime(pub String);

impl Runtime {
    pub fn family(&self) -> Family {
        self.family
    }

    /// The version as the base image's tag spells it: `3.12`, `20`, `al2023`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The name in a template: `python3.12`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Repository and tag of AWS's base image, by tag; pinning it is the caller's work.
    pub fn aws_base_image(&self) -> String {
        format!("public.ecr.aws/lambda/{}:{}", self.family.repository(), self.version)
    }

    /// Whether our hooks, of whatever language, go into images of this runtime.
    pub fn has_hooks(&self) -> bool {
        self.has_python_hooks() || self.has_java_hooks()
    }

    /// Whether our Java hooks go into images of this runtime (contracts, section 10.4).
    pub fn has_java_hooks(&self) -> bool {
        self.family == Family::Java && matches!(&*self.version, "11" | "17" | "21" | "25")
    }

    /// Whether our Python hooks go into images of this runtime (contracts, section 10.4).
    pub fn has_python_hooks(&self) -> bool {
        self.family == Family::Python
            && matches!(&*self.version, "3.9" | "3.10" | "3.11" | "3.12" | "3.13" | "3.14")
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
            ("nodejs", version) => (Family::Nodejs, version.strip_suffix(".x").unwrap_or(version)),
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
        for bad in ["", "python", "python3.12\nRUN x", "cobol1", "provided", "python.3"] {
            assert_eq!(base(bad), Err(UnknownRuntime(bad.into())), "{bad:?}");
        }
    }

    #[test]
    fn hooks_only_for_known_javas() {
        let hooked = |name: &str| name.parse::<Runtime>().unwrap().has_java_hooks();
        assert!(hooked("java11") && hooked("java17") && hooked("java21") && hooked("java25"));
        assert!(!hooked("java8.al2") && !hooked("java22") && !hooked("python3.12"));
    }

    #[test]
    fn hooks_only_for_known_pythons() {
        let hooked = |name: &str| name.parse::<Runtime>().unwrap().has_python_hooks();
        assert!(hooked("python3.9") && hooked("python3.14"));
        assert!(!hooked("python2.7") && !hooked("python3.8") && !hooked("nodejs20.x"));
    }
}
