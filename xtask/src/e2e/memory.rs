//! The memory that a deploy of many functions needs.

use std::fs;

use esb_test::Missing;

use super::parts::Parts;
use crate::{
    bench::{
        memory,
        workload::{Project, source},
    },
    checks::{Outcome, Trouble},
    command::target,
};

/// Functions of the project.
const FUNCTIONS: usize = 500;
/// Every so many functions, one has a file of several compressed blocks.
const LARGE_EVERY: usize = 5;
/// Bytes of such a file.
const LARGE: usize = 1_200_000;
/// The most that a process may have, in MiB.
const MEMORY: f64 = 64.0;

/// However many images are made at once, memory stays below a fixed size.
pub(crate) fn is_bounded(parts: &Parts) -> Outcome {
    if !parts.esb.starts_with(target().join("release")) {
        return Err(Missing::new("a release build", "leave out `--esb`").into());
    }
    let project = Project::write(&parts.work.join("memory"), FUNCTIONS)?;
    for number in (0..FUNCTIONS).step_by(LARGE_EVERY) {
        let seed = u64::try_from(number).unwrap_or_default();
        fs::write(project.code(number).join("large.py"), source(seed, LARGE))?;
    }
    for jobs in ["2", "8"] {
        let layout = parts.work.join(format!("memory-{jobs}"));
        let to = format!("oci:{}", layout.display());
        let mut deploy = parts.esb(&project.root, &format!("memory-{jobs}"));
        deploy.args(["build", "-e", "dev", "--progress", "none", "--jobs", jobs, "--to", &to]);
        let peak = memory::peak(&mut deploy)?;
        fs::remove_dir_all(layout)?;
        if peak > MEMORY {
            let text = format!("{FUNCTIONS} functions, `--jobs {jobs}`: {peak:.1} MiB of memory");
            return Err(Trouble::Failed(text));
        }
    }
    Ok(())
}
