//! Checks whether the container engine can run images of each function's architecture.

use std::path::Path;

use esb_dockerfile::codes::FOREIGN_ARCHITECTURE;
use esb_image::{Engine as _, docker::EngineAddress};
use esb_model::{Application, Architecture, Finding, ImageKind, ImageRecipe, Remedy, Severity};

use crate::deployment::Deployment;

/// Where Linux lists the emulators of foreign programs.
const EMULATORS: &str = "/proc/sys/fs/binfmt_misc";

/// One finding for each function whose image the engine cannot run; none while no engine is used.
pub(crate) fn findings(
    run: &Deployment,
    app: &Application,
    recipes: &[ImageRecipe],
) -> Vec<Finding> {
    let Some(engine) = run.connected() else { return Vec::new() };
    let info = engine.info();
    // Of another machine's emulators nothing is known.
    let local = matches!(engine.address(), EngineAddress::Unix(_));
    let foreign = recipes.iter().filter_map(|recipe| {
        let ImageKind::Function(id) = &recipe.kind else { return None };
        let architecture = recipe.platform.architecture;
        if architecture.oci_name() == info.architecture || (local && emulated(architecture)) {
            return None;
        }
        let function = app.functions.iter().find(|function| function.id == *id)?;
        let message = format!(
            "`{}` is built for {}, and the engine at hand runs {}",
            function.effective_name(),
            recipe.platform,
            info.architecture
        );
        let finding = Finding::new(Severity::Warning, FOREIGN_ARCHITECTURE, function.span, message);
        Some(finding.help(Remedy::MatchArchitecture))
    });
    foreign.collect()
}

fn emulated(architecture: Architecture) -> bool {
    let machine = match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    };
    Path::new(EMULATORS).join(format!("qemu-{machine}")).exists()
}
