//! Runs the commands that the documents show, and compares their output with what is shown.
//!
//! Owns which pages there are and where their commands run: in a folder of the page, with the
//! registry and the engine of the checks. Refuses to run what a page says cannot be run, and counts
//! it.

mod compare;
pub(crate) mod page;
mod shell;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    checks::{Checks, Outcome, Trouble},
    command::root,
    e2e::parts::{Parts, copy_tree},
    steps::say,
};

use self::{
    page::{Block, Step},
    shell::Shell,
};

/// The address of the registry in the documents.
const REGISTRY: &str = "127.0.0.1:5010";
/// Folders below `docs` whose pages are made, are compared with others, or show no commands of users.
const LEFT_OUT: [&str; 3] = ["reference", "adr", "ja"];

/// Runs every page, each as a check of its own.
pub(crate) fn check(checks: &mut Checks, parts: &Parts) {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(trouble) => {
            checks.run("documents", || Err::<(), _>(trouble));
            return;
        }
    };
    // Outside of the repository: a project without a root of its own would take the repository's.
    let Some(folder) = checks.prepare("folder of the documents", || Ok(tempfile::tempdir()?))
    else {
        return;
    };
    let mut count = Count::default();
    for name in pages {
        let steps = fs::read_to_string(root().join(&name))
            .map_err(Trouble::from)
            .and_then(|text| Ok(page::read(&text).map_err(|wrong| format!("{name}: {wrong}"))?));
        if steps.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        checks.run(&format!("commands of {name}"), || {
            of_page(parts, &name, &steps?, folder.path(), &mut count)
        });
    }
    say(&count.to_string());
}

/// The English pages for users, by their path below the root.
pub(crate) fn pages() -> Outcome<Vec<String>> {
    let mut pages = vec!["README.md".to_owned()];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                let below = path.strip_prefix(root()).unwrap_or(&path);
                pages.push(below.to_string_lossy().into_owned());
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// How many blocks were run, and why the others were not.
#[derive(Debug, Default)]
struct Count {
    run: usize,
    commands: usize,
    not_run: BTreeMap<String, usize>,
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let skipped: usize = self.not_run.values().sum();
        write!(
            f,
            "{} console blocks ran ({} commands), {skipped} cannot be run here",
            self.run, self.commands
        )?;
        self.not_run.iter().try_for_each(|(reason, blocks)| write!(f, "\n  {blocks}: {reason}"))
    }
}

fn of_page(parts: &Parts, name: &str, steps: &[Step], below: &Path, count: &mut Count) -> Outcome {
    let work = below.join(name.replace('/', "-"));
    let folder = work.join("folder");
    fs::create_dir_all(&folder)?;
    let shell = Shell::new(work.join("state"), environment(parts)?, &folder)?;
    let mut copies = 0;
    for step in steps {
        match step {
            Step::Project(fixture) => {
                copies += 1;
                let to = work.join(format!("project-{copies}")).join(fixture);
                copy_tree(&root().join("fixtures").join(fixture), &to)?;
                shell.enter(&to)?;
            }
            Step::File { path, content } => {
                let path = shell.folder()?.join(path);
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                fs::write(path, content)?;
            }
            Step::Console(Block { not_run: Some(reason), .. }) => {
                *count.not_run.entry(reason.clone()).or_default() += 1;
            }
            Step::Console(block) => {
                of_block(parts, &shell, name, block)?;
                count.run += 1;
                count.commands += block.commands.len();
            }
        }
    }
    Ok(())
}

fn of_block(parts: &Parts, shell: &Shell, name: &str, block: &Block) -> Outcome {
    let real = parts.registry.address();
    let commands = &block.commands;
    for (index, shown) in commands.iter().enumerate() {
        let (code, written) = shell.run(&shown.command.replace(REGISTRY, real))?;
        let written = written.replace(real, REGISTRY);
        let wrong = |what: String| {
            let place = format!("{name}:{}", block.line);
            Err(Trouble::Failed(format!("{place}: `{}` {what}", shown.command)))
        };
        let next = commands.get(index + 1);
        let expected = if next.is_none() { block.exit } else { 0 };
        // A page that asks for the code shows which one it is.
        let is_asked = next.is_some_and(|next| next.command == "echo $?");
        if code != expected && !is_asked {
            return wrong(format!("ended with {code} instead of {expected}:\n{written}"));
        }
        if let Some(line) = compare::first_missing(&shown.output, &written) {
            return wrong(format!("does not write `{line}`:\n{written}"));
        }
    }
    Ok(())
}

/// The variables of a page's commands: `esb` is found by its name, and the platform's registry where
/// the documents have it.
fn environment(parts: &Parts) -> Outcome<Command> {
    let bin = parts.work.join("documents/bin");
    fs::create_dir_all(&bin)?;
    let link = bin.join("esb");
    if !link.exists() {
        std::os::unix::fs::symlink(fs::canonicalize(&parts.esb)?, link)?;
    }
    let mut command = parts.esb(Path::new("/"), "documents");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders.collect::<Vec<PathBuf>>())
        .map_err(|error| error.to_string())?;
    let address = parts.registry.address();
    let port = address.rsplit_once(':').map_or(address, |(_, port)| port);
    command.env("PATH", path).env("PORT_REGISTRY", port);
    Ok(command)
}
