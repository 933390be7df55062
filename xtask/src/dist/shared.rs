//! What archives and packages hold beside the program: manual pages, completions, licences.

use std::fs;

use super::{
    build::{Program, Toolchain},
    dependencies::{self, Crate, Licence},
    release::Release,
    tree::Tree,
};
use crate::{
    checks::Outcome,
    command::{command, output},
    manual,
};

/// The files that are the same for each architecture.
#[derive(Debug)]
pub(super) struct Shared {
    /// Manual pages by the name of their file.
    pub(super) manual: manual::Pages,
    pub(super) bash: Vec<u8>,
    pub(super) zsh: Vec<u8>,
    pub(super) fish: Vec<u8>,
    /// The licences of everything that is in the program.
    pub(super) licences: Vec<Licence>,
}

impl Shared {
    /// Asks a program of the release, and reads the licences of its parts.
    pub(super) fn make(toolchain: &Toolchain, esb: &Program, crates: &[Crate]) -> Outcome<Self> {
        let ask = |arguments: &[&str]| output(command(&esb.path).args(arguments));
        let completions = |shell| ask(&["completions", shell]).map(String::into_bytes);
        Ok(Self {
            manual: manual::pages(&ask(&["reference", "man"])?),
            bash: completions("bash")?,
            zsh: completions("zsh")?,
            fish: completions("fish")?,
            licences: dependencies::licences(crates, libraries(toolchain)?)?,
        })
    }
}

/// The licences of what is in the program and no crate, by its title.
fn libraries(toolchain: &Toolchain) -> Outcome<Vec<(String, String)>> {
    let rust = output(command("rustc").arg("--version"))?;
    let rust = rust.split(' ').nth(1).unwrap_or_default();
    let sysroot = output(command("rustc").args(["--print", "sysroot"]))?;
    let of_rust = |name: &str| {
        let folder = std::path::Path::new(sysroot.trim()).join("share/doc/rust/licenses");
        fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))
    };
    Ok(vec![
        ("musl (MIT)".to_owned(), fs::read_to_string(&toolchain.musl_licence)?),
        (format!("Rust's standard library {rust} (MIT OR Apache-2.0)"), of_rust("MIT.txt")?),
        (
            "libunwind and compiler-rt of LLVM (Apache-2.0 WITH LLVM-exception)".to_owned(),
            of_rust("Apache-2.0.txt")? + "\n" + &of_rust("LLVM-exception.txt")?,
        ),
    ])
}

/// Writes the archive of one architecture.
pub(super) fn archive(release: &Release, program: &Program, shared: &Shared) -> Outcome {
    let name = format!("esb-{}-{}", release.version, program.target.triple);
    let mut tree = Tree::default();
    let mut add = |path: &str, mode, bytes: &[u8]| tree.add(format!("{name}/{path}"), mode, bytes);
    add("esb", 0o755, &fs::read(&program.path)?);
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        add(file, 0o644, &fs::read(release.source.join(file))?);
    }
    let licences = dependencies::document(shared.licences.iter().cloned());
    add("THIRD-PARTY-LICENSES.txt", 0o644, licences.as_bytes());
    for (page, text) in &shared.manual {
        add(&format!("share/man/man{}/{page}", section(page)), 0o644, text);
    }
    add("share/bash-completion/completions/esb", 0o644, &shared.bash);
    add("share/zsh/site-functions/_esb", 0o644, &shared.zsh);
    add("share/fish/vendor_completions.d/esb.fish", 0o644, &shared.fish);
    let archive = tree.to_tar(release.epoch)?;
    Ok(fs::write(release.file(&format!("{name}.tar.gz")), super::tree::gzip(&archive)?)?)
}

/// The section that a page's name ends with.
pub(super) fn section(page: &str) -> &str {
    page.rsplit('.').next().unwrap_or("1")
}
