//! uv and pip: which one it is, and the arguments that install for an image's platform.
//!
//! Owns what the platforms of wheels are called. Refuses to run anything.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_model::{Architecture, Dependencies, Platform, Runtime};
use esb_oci::Digest;

use super::{Job, run::Program};
use crate::fingerprint::Fingerprint;

/// What a tool is known by without being run: its path, its size and its time. `None` when it
/// cannot be looked at.
pub(super) fn tool_key(path: &Path) -> Option<Digest> {
    let metadata = fs::metadata(path).ok()?;
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let mut key = Fingerprint::new("tool");
    key.text(&path.to_string_lossy()).text(&metadata.len().to_string());
    key.text(&modified.as_nanos().to_string());
    Some(key.finish())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ToolKind {
    Uv,
    Pip,
    /// This machine has neither.
    Absent,
}

impl ToolKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uv => "uv",
            Self::Pip => "pip",
            Self::Absent => "none",
        }
    }
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) kind: ToolKind,
    pub(super) path: PathBuf,
    pub(super) version: String,
}

impl Tool {
    pub(super) fn absent() -> Self {
        Self { kind: ToolKind::Absent, path: PathBuf::new(), version: String::new() }
    }

    /// Nothing secret may stand here: other users of the machine see arguments.
    pub(super) fn arguments(&self, program: &mut Program, job: &Job<'_>, target: &Path) {
        let Dependencies { runtime, platform, .. } = job.dependencies;
        match self.kind {
            ToolKind::Uv => {
                program
                    .arguments(&["pip", "install", "--color", "never", "--no-progress"])
                    // Links would lead into uv's own cache.
                    .arguments(&["--link-mode", "copy", "--only-binary", ":all:"])
                    .arguments(&["--python-version", runtime.version()])
                    .arguments(&["--python-platform", &uv_platform(runtime, *platform)]);
            }
            ToolKind::Pip | ToolKind::Absent => {
                program
                    .arguments(&["-m", "pip", "install", "--no-compile", "--progress-bar", "off"])
                    .arguments(&["--disable-pip-version-check", "--no-input"])
                    .arguments(&["--only-binary=:all:", "--implementation", "cp"])
                    .arguments(&["--python-version", runtime.version()]);
                for platform in pip_platforms(runtime, *platform) {
                    program.arguments(&["--platform", &platform]);
                }
                // Habits of this machine that `--target` does not go with.
                program.variable("PIP_USER", "0");
                program.variable("PIP_REQUIRE_VIRTUALENV", "0");
                program.variable("PIP_ROOT_USER_ACTION", "ignore");
            }
        }
        program.arguments(&["--target"]).argument(target);
    }
}

fn machine(platform: Platform) -> &'static str {
    match platform.architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

/// The minor version of glibc 2 in AWS's base image: Amazon Linux 2 up to Python 3.11, then 2023.
fn glibc(runtime: &Runtime) -> u32 {
    let minor = runtime.version().strip_prefix("3.").and_then(|minor| minor.parse().ok());
    match minor {
        Some(0..=11) => 26,
        _ => 34,
    }
}

fn uv_platform(runtime: &Runtime, platform: Platform) -> String {
    // uv knows some versions of glibc only; the nearest below.
    let glibc = if glibc(runtime) >= 34 { 34 } else { 17 };
    format!("{}-manylinux_2_{glibc}", machine(platform))
}

/// Every platform tag that the image can run: pip takes them literally.
fn pip_platforms(runtime: &Runtime, platform: Platform) -> Vec<String> {
    let machine = machine(platform);
    let mut platforms: Vec<_> =
        (17..=glibc(runtime)).rev().map(|glibc| format!("manylinux_2_{glibc}_{machine}")).collect();
    platforms.push(format!("manylinux2014_{machine}"));
    if platform.architecture == Architecture::X86_64 {
        let older = ["manylinux_2_12", "manylinux2010", "manylinux_2_5", "manylinux1"];
        platforms.extend(older.map(|older| format!("{older}_{machine}")));
    }
    platforms.push(format!("linux_{machine}"));
    platforms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_follow_the_base_image() {
        let arm: Platform = "linux/arm64".parse().unwrap();
        let old: Runtime = "python3.9".parse().unwrap();
        let new: Runtime = "python3.13".parse().unwrap();
        assert_eq!(uv_platform(&new, Platform::default()), "x86_64-manylinux_2_34");
        assert_eq!(uv_platform(&old, arm), "aarch64-manylinux_2_17");
        let platforms = pip_platforms(&old, arm);
        assert_eq!(platforms[0], "manylinux_2_26_aarch64");
        assert!(platforms.contains(&"manylinux2014_aarch64".to_owned()));
        assert!(!platforms.iter().any(|platform| platform.contains("manylinux1_")));
        assert!(pip_platforms(&new, Platform::default()).contains(&"manylinux1_x86_64".to_owned()));
    }
}
