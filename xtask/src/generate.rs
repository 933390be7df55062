//! The reference pages of `docs/reference`, made from what `esb` says of itself.

use std::fs;

use crate::{
    checks::{Outcome, Trouble},
    command::{command, of_workspace, output, root},
};

const PAGES: [&str; 4] = ["commands", "variables", "exit-codes", "findings"];

/// Writes the pages, or with `check` tells which are not what the code says.
pub(crate) fn generate(check: bool) -> Outcome {
    let esb = of_workspace("bin", "esb")?;
    let folder = root().join("docs/reference");
    let mut stale = Vec::new();
    for page in PAGES {
        let text = output(command(&esb).args(["reference", page]))?;
        let path = folder.join(format!("{page}.md"));
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(format!("docs/reference/{page}.md"));
        } else {
            fs::create_dir_all(&folder)?;
            fs::write(&path, text)?;
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let text = format!("{} differ from the code; run `cargo xtask generate`", stale.join(", "));
    Err(Trouble::Failed(text))
}
