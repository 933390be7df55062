//! `esb version`.

use crate::{documents::VersionDocument, printer::Printer};

/// The commit of the sources, as the build script found it.
const COMMIT: Option<&str> = option_env!("ESB_COMMIT");
/// The target that the compiler had.
const TARGET: &str = env!("ESB_TARGET");

pub(crate) fn run(printer: Printer) {
    let version = env!("CARGO_PKG_VERSION");
    if printer.json {
        printer.document(&VersionDocument { version, commit: COMMIT, target: TARGET });
    } else {
        let commit = COMMIT.map(|commit| format!(" {commit}")).unwrap_or_default();
        printer.out(&format!("esb {version}{commit} {TARGET}"));
    }
}
