//! Tries what was made: where nothing else is installed, under an emulated processor, as a Debian
//! package, and in an engine.

mod bare;
mod bill;
mod image;
mod network;
mod package;

use esb_test::{ensure_packages, find_program};

use super::{Release, build::Program};
use crate::{base_image::Version, bases, checks::Checks, manual};
use bare::Bare;

/// Tries the programs, the packages, the image and the bill of materials.
pub(super) fn all(checks: &mut Checks, release: &Release, programs: &[Program]) {
    let folder = release.work.join("check");
    let native = programs.iter().find(|program| program.is_native());
    let foreign = programs.iter().find(|program| !program.is_native());
    let (Some(native), Some(foreign)) = (native, foreign) else { return };
    if let Some(mirrors) = checks.run("base image", || bases::mirrors(&[Version::Python313])) {
        let own = checks.run("a folder with nothing but the program and busybox", || {
            Bare::new(&folder.join("native"), native, None)?.build(&mirrors)
        });
        let emulated = checks.run("the same on the other architecture, emulated", || {
            let architecture = foreign.target.emulated();
            ensure_packages(&["qemu-user-static"])?;
            let emulator = find_program(&format!("qemu-{architecture}-static"));
            Bare::new(&folder.join("emulated"), foreign, emulator)?.build(&mirrors)
        });
        if let (Some(own), Some(emulated)) = (own, emulated) {
            checks.run("both architectures build the same digests", || {
                if own == emulated { Ok(()) } else { Err(format!("{own}\n{emulated}").into()) }
            });
        }
        network::all(checks, &folder.join("network"), native, &mirrors);
    }
    checks.run("the Debian package is installed and removed", || {
        package::installed(release, native, &folder.join("debian"))
    });
    for program in [native, foreign] {
        let name = format!("lintian accepts the package for {}", program.target.debian);
        checks.run(&name, || package::lint(release, program));
    }
    checks.run("manual pages have no warnings", || manual::of_program(&native.path));
    checks.run("the image runs in an engine", || image::runs(release, &folder.join("engine")));
    checks.run("the bill of materials follows its schema", || bill::is_valid(release));
}
