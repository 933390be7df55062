//! Python packages for checks and benchmarks, in virtual environments below `target/python`.

use std::path::PathBuf;

use esb_test::ensure_packages;

use crate::{
    checks::Outcome,
    command::{command, output, root, target},
};

/// The interpreter of an environment with the packages of a requirements file.
pub(crate) fn environment(name: &str, requirements: &str) -> Outcome<PathBuf> {
    let folder = target().join("python").join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("installed");
    let wanted = std::fs::read_to_string(root().join(requirements))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if output(command("python3").args(["-c", "import ensurepip, venv"])).is_err() {
        ensure_packages(&["python3-venv"])?;
    }
    output(command("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = command(&python);
    install.args(["-m", "pip", "install", "--quiet", "--requirement", requirements]);
    output(&mut install)?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}
