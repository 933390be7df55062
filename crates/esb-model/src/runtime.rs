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

    /// The day on which AWS ended its support, such as `2021-07-15`, for a runtime that is gone.
    pub fn ended(&self) -> Option<&'static str> {
        runtimes::find(&self.name).and_then(|known| known.ended)
    }

    /// The latest runtime in use for the language; Go's programs run on Amazon Linux.
    pub fn successor(&self) -> &'static str {
        let family = if self.family == Family::Go { Family::Provided } else { self.family };
        let in_use = TABLE.iter().rev().filter(|known| known.support == Support::Current);
        let of_family = |known: &&runtimes::Known| {
            known.name.parse::<Self>().is_ok_and(|runtime| runtime.family == family)
        };
        in_use.filter(of_family).map(|known| known.name).next().unwrap_or_default()
    }

    /// Whether AWS may have announced the runtime after the table here was written: its version
    /// comes soon after the latest one of the language.
    pub fn may_be_newer(&self) -> bool {
        /// How many versions AWS may be ahead.
        const SOON: u32 = 20;
        let number = |version: &str| {
            let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
            let is_plain = |part: &str| !(part.len() > 1 && part.starts_with('0'));
            let numbers = (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?);
            (is_plain(major) && is_plain(minor)).then_some(numbers)
        };
        let version = self.version.trim_end_matches(".al2023");
        let Some((major, minor)) = number(version) else {
            // Names of operating systems follow no order.
            return self.family == Family::Provided;
        };
        let of_family = TABLE.iter().filter_map(|known| known.name.parse::<Self>().ok());
        let of_family = of_family.filter(|known| known.family == self.family);
        let latest =
            of_family.filter_map(|known| number(known.version.trim_end_matches(".al2023")));
        let latest = latest.max().unwrap_or_default();
        match self.family {
            Family::Python => major == latest.0 && (latest.1..latest.1 + SOON).contains(&minor),
            Family::Ruby => (major, minor) > latest && major < latest.0 + 3 && minor < 10,
            Family::Go => false,
            Family::Provided => true,
            Family::Dotnet | Family::Java | Family::Nodejs => {
                minor == 0 && (latest.0..latest.0 + SOON).contains(&major)
            }
        }
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
        let split = name.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(name.len());
        let (family, version) = match name.split_at(split) {
            ("dotnet" | "dotnetcore", version) => (Family::Dotnet, version),
            ("go", version) => (Family::Go, version.strip_suffix(".x").ok_or_else(unknown)?),
            ("java", version) => (Family::Java, version),
            // The first ones had no `.x`; a later name without it is none.
            ("nodejs", "") => (Family::Nodejs, "0.10"),
            ("nodejs", "4.3-edge") => (Family::Nodejs, "4.3"),
            ("nodejs", version) if runtimes::find(name).is_some() => {
                (Family::Nodejs, version.strip_suffix(".x").unwrap_or(version))
            }
            ("nodejs", version) => {
                (Family::Nodejs, version.strip_suffix(".x").ok_or_else(unknown)?)
            }
            // The first one, on Amazon Linux 1, had no version; its base image's tag stands for it.
            ("provided", "") => (Family::Provided, "alami"),
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
        assert_eq!(base("provided"), ok("provided:alami"));
        for bad in
            ["", "python", "python3.12\nRUN x", "cobol1", "provided.", "python.3", "nodejs20"]
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
    fn runtimes_that_are_gone_and_that_may_come() {
        let runtime = |name: &str| name.parse::<Runtime>().unwrap();
        assert_eq!(runtime("python2.7").ended(), Some("2021-07-15"));
        assert_eq!(runtime("nodejs").ended(), Some("2016-10-31"));
        assert_eq!(runtime("python3.13").ended(), None);
        assert_eq!(runtime("python2.7").successor(), "python3.14");
        assert_eq!(runtime("go1.x").successor(), "provided.al2023");
        for later in
            ["python3.16", "python3.20", "nodejs28.x", "java27", "java29.al2023", "dotnet12"]
        {
            assert!(runtime(later).may_be_newer() && !runtime(later).is_known(), "{later}");
        }
        for later in ["ruby4.1", "ruby5.0", "provided.al2026"] {
            assert!(runtime(later).may_be_newer(), "{later}");
        }
        for never in
            ["python3.133", "python3.5", "python4.0", "python312", "nodejs13.x", "nodejs220.x"]
        {
            assert!(!runtime(never).may_be_newer(), "{never}");
        }
        for never in
            ["java9", "java212", "go2.x", "ruby3.33", "ruby12.0", "dotnet80", "python3.016"]
        {
            assert!(!runtime(never).may_be_newer(), "{never}");
        }
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
