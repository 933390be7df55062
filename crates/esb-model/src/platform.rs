//! Processor architectures and platforms, with their names in Lambda and in OCI.

use std::{fmt, str::FromStr};

/// A processor architecture that Lambda supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Architecture {
    #[default]
    X86_64,
    Arm64,
}

/// The platform that an image runs on. The operating system is always Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Platform {
    pub architecture: Architecture,
}

/// A name of an architecture or platform that is not supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform `{}`: known are linux/amd64 and linux/arm64", .0.escape_debug())]
pub struct UnknownArchitecture(pub String);

impl Architecture {
    /// The name in a template: `x86_64` or `arm64`.
    pub fn lambda_name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    /// The name in an OCI config: `amd64` or `arm64`.
    pub fn oci_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    /// Accepts the names of both worlds.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "x86_64" | "amd64" => Ok(Self::X86_64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            other => Err(UnknownArchitecture(other.to_owned())),
        }
    }
}

impl FromStr for Platform {
    type Err = UnknownArchitecture;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownArchitecture(name.to_owned());
        let architecture = name.strip_prefix("linux/").ok_or_else(unknown)?;
        Ok(Self { architecture: architecture.parse().map_err(|_| unknown())? })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture.oci_name())
    }
}
