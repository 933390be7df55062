//! `esb version`.

use serde_json::json;

use crate::printer::Printer;

/// The commit that was given to the build, if any.
const COMMIT: Option<&str> = option_env!("ESB_COMMIT");

pub(crate) fn run(printer: Printer) {
    let version = env!("CARGO_PKG_VERSION");
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    if printer.json {
        let document = json!({"schema": 1, "version": version, "commit": COMMIT, "target": target});
        printer.document(&document);
    } else {
        let commit = COMMIT.map(|commit| format!(" {commit}")).unwrap_or_default();
        printer.out(&format!("esb {version}{commit} {target}"));
    }
}
