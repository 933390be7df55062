//! Generates the reference pages of `docs/reference` from `esb` itself and from the libraries'
//! public items.

use std::{collections::BTreeSet, fs, path::PathBuf};

use crate::{
    api,
    checks::{Outcome, Trouble},
    command::{cargo, command, of_workspace, output, root},
    japanese, mentions,
};

/// The pages that `esb` prints, by the name that it knows them by and their file.
const PAGES: [(&str, &str); 6] = [
    ("commands", "commands.md"),
    ("variables", "variables.md"),
    ("exit-codes", "exit-codes.md"),
    ("findings", "findings.md"),
    ("esb-toml", "esb.toml"),
    ("esb-toml-schema", "schemas/esb.toml.json"),
];
/// Everything in it is made here.
const API: &str = "docs/reference/api";

/// Writes all pages, or with `check` tells which are not what the code says.
pub(crate) fn generate(check: bool) -> Outcome {
    reference(check)?;
    schemas(check)?;
    libraries(check)
}

/// Commands whose short help names the flags of every day.
const EVERYDAY: [&str; 3] = ["deploy", "validate", "invoke"];

/// What `esb` says of itself, and whether the other pages say nothing else.
pub(crate) fn reference(check: bool) -> Outcome {
    let esb = of_workspace("bin", "esb")?;
    let mut pages = Vec::new();
    for (page, file) in PAGES {
        let text = output(command(&esb).args(["reference", page]))?;
        pages.push((format!("docs/reference/{file}"), text));
    }
    let commands = pages[0].1.clone();
    write(pages, Vec::new(), check)?;
    let mut everyday = String::new();
    for name in EVERYDAY {
        everyday.push_str(&output(command(&esb).args([name, "-h"]))?);
    }
    let mut wrong = Vec::new();
    mentions::check(&commands, &mut wrong)?;
    japanese::check(&commands, &everyday, &mut wrong)?;
    if wrong.is_empty() { Ok(()) } else { Err(Trouble::Failed(wrong.join("\n"))) }
}

/// The schemas of the JSON documents and of the files. Tests of their crates make them, which keeps
/// what makes them out of the program.
fn schemas(check: bool) -> Outcome {
    for (package, target, name) in [
        ("esb-cli", ["--bin", "esb"].as_slice(), "documents::schemas"),
        ("esb-config", &["--lib"], "schemas"),
        ("esb-deploy", &["--lib"], "lockfile::schema"),
    ] {
        let mut test = cargo();
        test.args(["test", "--quiet", "--package", package, "--all-features"]);
        test.args(target).arg(name);
        if !check {
            test.env("ESB_WRITE_SCHEMAS", "1");
        }
        output(&mut test)?;
    }
    Ok(())
}

/// The public API of the libraries.
pub(crate) fn libraries(check: bool) -> Outcome {
    let pages = api::pages()?;
    let made: BTreeSet<PathBuf> = pages.iter().map(|(path, _)| root().join(path)).collect();
    let mut gone = Vec::new();
    if let Ok(entries) = fs::read_dir(root().join(API)) {
        for entry in entries {
            gone.push(entry?.path());
        }
    }
    gone.retain(|path| !made.contains(path));
    write(pages, gone, check)
}

/// Brings `pages` and removes what is `gone`, or with `check` tells what differs.
fn write(pages: Vec<(String, String)>, gone: Vec<PathBuf>, check: bool) -> Outcome {
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = root().join(&name);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        if check {
            stale.push(name);
        } else {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, text)?;
        }
    }
    for path in gone {
        if check {
            stale.push(path.strip_prefix(root()).unwrap_or(&path).display().to_string());
        } else {
            fs::remove_file(path)?;
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let text = format!("{} differ from the code; run `cargo xtask generate`", stale.join(", "));
    Err(Trouble::Failed(text))
}
