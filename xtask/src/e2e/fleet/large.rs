//! A context of any size takes little memory, both on its way to a daemon and as an image on its
//! way back.

use std::{fs, process::Command};

use super::{Site, fetched};
use crate::{
    bench::memory,
    checks::{Outcome, Trouble},
    e2e::parts::Said,
};

/// Bytes of one file of the context.
const LARGE: u64 = 320 << 20;
/// MiB of memory that are enough, as the kernel counts them.
const MEMORY: f64 = 96.0;

pub(super) fn takes_little_memory(site: &Site<'_>) -> Outcome {
    let root = site.project("large", 1, "")?;
    fs::File::create(root.join("f0/large"))?.set_len(LARGE)?;
    let stderr = root.join("stderr");
    let bounded = |command: &mut Command, what: &str| {
        let peak = memory::peak(command.stderr(fs::File::create(&stderr)?))?;
        if peak < MEMORY {
            return Ok(());
        }
        Err(Trouble::Failed(format!("{what} of {LARGE} bytes took {peak:.1} MiB of memory")))
    };
    // The embedded engine could do it too.
    bounded(site.deploy(&root).args(["--builder", "buildkit"]), "a context")?;
    let said = Said { stdout: String::new(), stderr: fs::read_to_string(&stderr)? };
    if fetched(&said) < LARGE {
        return Err(Trouble::Failed(format!("the file was not sent:\n{}", said.stderr)));
    }
    let mut back = site.deploy(&root);
    back.env_remove("CONTAINER_REGISTRY").args(["--build-only", "--builder", "buildkit", "--to"]);
    bounded(back.arg(format!("oci:{}", root.join("layout").display())), "an image")
}
