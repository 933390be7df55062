//! `dist`: makes what a release consists of, below `target/dist`, and tries it.
//!
//! Owns the list of files and the order of the work. A step that needs a part which is not here is
//! told and counted as a skip.

mod build;
mod check;
mod ci;
mod debian;
mod dependencies;
mod image;
mod sbom;
mod tree;

use std::{fmt::Write as _, fs, path::PathBuf};

use esb_model::Architecture;
use esb_oci::Digest;

use crate::{
    checks::{Checks, Outcome},
    command::{command, output, root, target},
    steps::say,
};
use build::{Program, Toolchain};
use tree::Tree;

/// The systems that programs are made for.
const TARGETS: [Target; 2] = [
    Target {
        triple: "x86_64-unknown-linux-musl",
        debian: "amd64",
        architecture: Architecture::X86_64,
    },
    Target {
        triple: "aarch64-unknown-linux-musl",
        debian: "arm64",
        architecture: Architecture::Arm64,
    },
];

/// A system by the names that others give it.
#[derive(Debug, Clone, Copy)]
struct Target {
    /// As Rust names it.
    triple: &'static str,
    /// As Debian names its architecture.
    debian: &'static str,
    architecture: Architecture,
}

/// `cargo xtask dist`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build each program once, and do not compare it with one that is built in another folder
    #[arg(long)]
    once: bool,
}

/// What every file of a release says of itself.
#[derive(Debug)]
struct Release {
    version: &'static str,
    /// Seconds since 1970 of all files: the time of the last commit.
    epoch: u64,
    folder: PathBuf,
}

/// Makes everything, and says what there is.
pub(crate) fn run(args: &Args) -> bool {
    let mut checks = Checks::default();
    let Some(release) = checks.run("an empty folder", Release::start) else {
        return checks.finish("cargo xtask dist");
    };
    let programs = checks.run("toolchain", Toolchain::prepare).map(|toolchain| {
        let built = TARGETS.iter().filter_map(|target| {
            let name = format!("program for {}", target.triple);
            let program = checks.run(&name, || toolchain.program(*target))?;
            if !args.once {
                let name = format!("{name}, built again in another folder: the same bytes");
                checks.run(&name, || toolchain.compare(&program, &release.folder));
            }
            Some(program)
        });
        built.collect::<Vec<Program>>()
    });
    let programs = programs.unwrap_or_default();
    let shared = checks.run("manual pages, completions, licences", || shared_files(&release));
    if let Some(shared) = shared {
        for program in &programs {
            let name = format!("archive for {}", program.target.triple);
            checks.run(&name, || archive(&release, program, &shared));
            let name = format!("package for Debian's {}", program.target.debian);
            checks.run(&name, || debian::package(&release, program, &shared));
        }
    }
    if programs.len() == TARGETS.len() {
        checks.run("image", || image::write(&release, &programs));
        check::all(&mut checks, &release, &programs);
    }
    let summed = checks.run("sums", || sums(&release));
    if summed.is_some() && programs.len() == TARGETS.len() {
        ci::all(&mut checks, &release);
    }
    checks.finish("cargo xtask dist")
}

impl Release {
    fn start() -> Outcome<Self> {
        let folder = target().join("dist/files");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let time = output(command("git").args(["log", "-1", "--format=%ct"]))?;
        let epoch = time.trim().parse().map_err(|_| "the last commit has no time")?;
        Ok(Self { version: env!("CARGO_PKG_VERSION"), epoch, folder })
    }
}

/// What archives and packages hold beside the program.
#[derive(Debug)]
struct Shared {
    /// Manual pages by the name of their file.
    manual: Vec<(String, Vec<u8>)>,
    bash: Vec<u8>,
    zsh: Vec<u8>,
    fish: Vec<u8>,
    /// The licences of everything that is in the program.
    licences: Vec<u8>,
}

fn shared_files(release: &Release) -> Outcome<Shared> {
    let crates = dependencies::of_program()?;
    dependencies::check(&crates)?;
    let bill = sbom::document(release, &crates)?;
    fs::write(release.folder.join(format!("esb-{}.cdx.json", release.version)), bill)?;
    let esb = crate::command::of_workspace("bin", "esb")?;
    let completions =
        |shell: &str| output(command(&esb).args(["completions", shell])).map(String::into_bytes);
    Ok(Shared {
        manual: manual(&output(command(&esb).args(["reference", "man"]))?),
        bash: completions("bash")?,
        zsh: completions("zsh")?,
        fish: completions("fish")?,
        licences: dependencies::texts(&crates)?.into_bytes(),
    })
}

/// The pages of a text in which the name of its file stands before each, as a comment.
fn manual(text: &str) -> Vec<(String, Vec<u8>)> {
    let mut pages: Vec<(String, Vec<u8>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(".\\\" ") {
            pages.push((name.to_owned(), Vec::new()));
        } else if let Some((_, page)) = pages.last_mut() {
            page.extend_from_slice(line.as_bytes());
            page.push(b'\n');
        }
    }
    pages
}

fn archive(release: &Release, program: &Program, shared: &Shared) -> Outcome {
    let name = format!("esb-{}-{}", release.version, program.target.triple);
    let mut tree = Tree::default();
    let mut add = |path: &str, mode, bytes: &[u8]| tree.add(format!("{name}/{path}"), mode, bytes);
    add("esb", 0o755, &fs::read(&program.path)?);
    for file in ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        add(file, 0o644, &fs::read(root().join(file))?);
    }
    add("THIRD-PARTY-LICENSES.txt", 0o644, &shared.licences);
    for (page, text) in &shared.manual {
        let section = page.rsplit('.').next().unwrap_or("1");
        add(&format!("share/man/man{section}/{page}"), 0o644, text);
    }
    add("share/bash-completion/completions/esb", 0o644, &shared.bash);
    add("share/zsh/site-functions/_esb", 0o644, &shared.zsh);
    add("share/fish/vendor_completions.d/esb.fish", 0o644, &shared.fish);
    let path = release.folder.join(format!("{name}.tar.gz"));
    Ok(fs::write(path, tree.to_archive(release.epoch)?)?)
}

/// Writes `SHA256SUMS`, and prints each file with its size.
fn sums(release: &Release) -> Outcome {
    let mut names = Vec::new();
    for entry in fs::read_dir(&release.folder)? {
        names.push(entry?.path());
    }
    names.retain(|path| path.is_file());
    names.sort();
    let mut lines = String::new();
    for path in names {
        let bytes = fs::read(&path)?;
        let sum = Digest::of(&bytes).to_string();
        let sum = sum.trim_start_matches("sha256:");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let megabytes = bytes.len() as f64 / 1e6;
        say(&format!("  {megabytes:6.1} MB  {}  {name}", &sum[..16]));
        let _ = writeln!(lines, "{sum}  {name}");
    }
    Ok(fs::write(release.folder.join("SHA256SUMS"), lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_taken_apart_at_the_names_of_their_files() {
        let pages = manual(".\\\" a.1\n.TH A\ntext\n.\\\" b.5\n.TH B\n");
        let expected = [("a.1", ".TH A\ntext\n"), ("b.5", ".TH B\n")];
        let found: Vec<_> = pages
            .iter()
            .map(|(name, text)| (&**name, std::str::from_utf8(text).unwrap()))
            .collect();
        assert_eq!(found, expected);
    }
}
