//! Chooses uv or pip, and makes the arguments that install for an image's platform.
//!
//! Owns what the platforms of wheels are called, and how an image is described to a tool. Refuses
//! to run anything.

use std::path::{Path, PathBuf};

use esb_model::{Architecture, Dependencies, Platform, Runtime};
use serde_json::json;

use super::run::Program;

/// Has pip judge environment markers by the image, given as JSON, and not by its own interpreter;
/// ends when this pip does not let itself be told. It starts no program but the one that keeps
/// passwords: it never builds here, and a build would be one.
const PIP: &str = r#"
import json, os, sys
def alone(event, args):
    if event == "subprocess.Popen" and os.path.basename(str(args[0])) == "keyring":
        return
    if event in ("subprocess.Popen", "os.system", "os.exec"):
        raise PermissionError("nothing is built on this machine")
sys.addaudithook(alone)
from pip._vendor.packaging import markers
from pip._internal.cli.main import main
image = json.loads(sys.argv[1])
markers.default_environment = lambda: dict(image)
for name, value in image.items():
    if not markers.Marker(f'{name} == "{value}"').evaluate({"extra": ""}):
        sys.exit(f"ERROR: this pip cannot be told the image's {name}; install uv")
sys.exit(main(sys.argv[2:]))
"#;

/// A program that installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tool {
    /// With the interpreter that it asks about itself.
    Uv {
        uv: PathBuf,
        python: PathBuf,
    },
    Pip {
        python: PathBuf,
    },
}

impl Tool {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Uv { .. } => "uv",
            Self::Pip { .. } => "pip",
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Uv { uv, .. } => uv,
            Self::Pip { python } => python,
        }
    }

    /// Nothing secret may stand here: other users of the machine see arguments.
    pub(super) fn arguments(
        &self,
        program: &mut Program,
        dependencies: &Dependencies,
        target: &Path,
        may_build: bool,
    ) {
        let Dependencies { runtime, platform, .. } = dependencies;
        match self {
            Self::Uv { python, .. } => {
                program
                    .arguments(&["pip", "install", "--color", "never", "--no-progress"])
                    // Links would lead into uv's own cache.
                    .arguments(&["--link-mode", "copy", "--python"])
                    // Else uv would ask one of the project.
                    .argument(python)
                    .arguments(&["--python-version", runtime.version()])
                    .arguments(&["--python-platform", &uv_platform(runtime, *platform)]);
            }
            Self::Pip { .. } => {
                pip(program, &["install", "--no-compile"], dependencies);
                // Habits of this machine that `--target` does not go with.
                program.variable("PIP_USER", "0");
            }
        }
        if !may_build {
            program.arguments(&["--only-binary", ":all:"]);
        }
        program.arguments(&["--target"]).argument(target);
    }
}

/// The arguments with which pip fetches wheels for the image, and nothing that they need.
pub(super) fn download(program: &mut Program, dependencies: &Dependencies, target: &Path) {
    pip(program, &["download", "--no-deps", "--only-binary", ":all:"], dependencies);
    program.arguments(&["--dest"]).argument(target);
}

/// What both commands of pip are told of the image.
fn pip(program: &mut Program, command: &[&str], dependencies: &Dependencies) {
    let Dependencies { runtime, platform, .. } = dependencies;
    program
        .arguments(&["-c", PIP, &markers(runtime, *platform)])
        .arguments(command)
        .arguments(&["--progress-bar", "off", "--disable-pip-version-check", "--no-input"])
        .arguments(&["--implementation", "cp"])
        .arguments(&["--python-version", runtime.version()]);
    for platform in pip_platforms(runtime, *platform) {
        program.arguments(&["--platform", &platform]);
    }
    // Habits of this machine.
    program.variable("PIP_REQUIRE_VIRTUALENV", "0");
    program.variable("PIP_ROOT_USER_ACTION", "ignore");
}

fn machine(platform: Platform) -> &'static str {
    match platform.architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

/// What environment markers see, as JSON. Of a runtime's patch version nothing is known.
fn markers(runtime: &Runtime, platform: Platform) -> String {
    let version = runtime.version();
    let full = format!("{version}.0");
    json!({
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": machine(platform),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": version,
        "sys_platform": "linux",
    })
    .to_string()
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
        assert!(markers(&old, arm).contains(r#""python_full_version":"3.9.0""#));
    }
}
