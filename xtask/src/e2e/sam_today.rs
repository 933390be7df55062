//! Runs the current `sam build` on the sources of the fixture: it gives the files that are kept
//! there, and they are deployed unchanged.
//!
//! SAM is installed once, below `target/python`. A language whose tools are not here, or cannot
//! reach their packages, is told and left out; without Python or SAM nothing is checked.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::{Missing, find_program};

use super::{
    flatten::{Modes, flatten},
    parts::Parts,
    sam_build::{answers, deployed, without},
};
use crate::{
    checks::{Outcome, Trouble},
    command::{command, output, root, run},
    python,
    steps::say,
};

/// Functions of the template, the programs that SAM needs for each, and AWS's base image.
const LANGUAGES: [(&str, &[&str], &str); 3] = [
    ("PythonFunction", &[], "lambda/python:3.13"),
    ("NodeFunction", &["npm"], "lambda/nodejs:22"),
    ("JavaFunction", &["mvn", "java"], "lambda/java:21"),
];

/// Builds and deploys each language that can be built here.
pub(crate) fn deploys(parts: &Parts) -> Outcome {
    let sam = Sam::new(parts)?;
    let project = parts.fixture("sam-build", "sam-today")?;
    fs::remove_dir_all(project.join(".aws-sam"))?;
    let mirrors = bases(parts)?;
    for (function, programs, _) in LANGUAGES {
        if let Some(program) = programs.iter().find(|program| find_program(program).is_none()) {
            say(&format!("  {function} is left out: there is no `{program}`"));
            continue;
        }
        let built = project.join(".aws-sam").join(function);
        match sam.build(&project, function, &built) {
            Ok(()) => {}
            Err(Trouble::Failed(why)) if function != "PythonFunction" => {
                let why = why.lines().next_back().unwrap_or_default();
                say(&format!("  {function} is left out: {why}"));
                continue;
            }
            Err(trouble) => return Err(trouble),
        }
        let made = files(&built.join(function))?;
        let kept = files(&root().join("fixtures/sam-build/.aws-sam/build").join(function))?;
        none_absent(&format!("what SAM made of {function}"), &kept, &made)?;
        let mut deploy = parts.esb_to_registry(&project, "sam-today");
        deploy.env("ESB_MIRRORS", mirrors.join(","));
        deploy.args(["deploy", "-e", "dev", "--config-to", "none", "--format", "json", "-v"]);
        deploy.arg("-t").arg(built.join("template.yaml"));
        let image = deployed(parts, &mut deploy, &function.to_lowercase())?;
        let flat = flatten(&parts.engine, &[&image], Modes::Normal)?;
        let paths = flat.iter().flat_map(super::flatten::Flat::paths);
        let code = paths.filter_map(|path| path.strip_prefix("var/task/"));
        let code: BTreeSet<PathBuf> = code.map(PathBuf::from).collect();
        none_absent(&format!("the image of {function}"), &made, &code)?;
        if function == "PythonFunction" {
            answers(parts, &image)?;
        }
    }
    Ok(())
}

/// The interpreter that has SAM beside it.
pub(crate) fn environment() -> Outcome<PathBuf> {
    python::environment("sam", "xtask/tools/sam.requirements.txt")
}

/// SAM's program and how it finds the interpreter of the functions.
struct Sam {
    program: PathBuf,
    path: std::ffi::OsString,
    state: PathBuf,
}

impl Sam {
    fn new(parts: &Parts) -> Outcome<Self> {
        let interpreters = python::interpreters();
        let wanted = interpreters.into_iter().find(|(version, _)| version == "3.13");
        let (_, interpreter) = wanted.ok_or_else(|| {
            Missing::new("Python 3.13", "`sam build` asks for the version of the runtime")
        })?;
        let python = environment();
        let python = python.map_err(|trouble| match trouble {
            Trouble::Failed(why) => Missing::new("`sam`", &why).into(),
            missing @ Trouble::Missing(_) => missing,
        })?;
        let real = output(command(&interpreter).args(["-c", "import sys; print(sys.executable)"]))?;
        let folder = Path::new(real.trim()).parent().ok_or("an interpreter without a folder")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
        let state = parts.work.join("sam");
        fs::create_dir_all(&state)?;
        Ok(Self { program: python.with_file_name("sam"), path, state })
    }

    /// Builds one function, with its layers.
    fn build(&self, project: &Path, function: &str, to: &Path) -> Outcome {
        let others: Vec<&str> = LANGUAGES
            .iter()
            .map(|(name, ..)| *name)
            .chain(["WordsLayer"])
            .filter(|name| *name != function && !is_layer_of(name, function))
            .collect();
        let template = project.join(format!("{function}.yaml"));
        let whole = fs::read_to_string(project.join("template.yaml"))?;
        fs::write(&template, without(&whole, &others))?;
        let mut build = Command::new(&self.program);
        build.current_dir(project).args(["build", "--build-dir"]).arg(to).arg("-t").arg(template);
        build.env("PATH", &self.path).env("SAM_CLI_TELEMETRY", "0");
        // It keeps a file of its own in the user's folder otherwise.
        build.env("__SAM_CLI_APP_DIR", &self.state).env("AWS_DEFAULT_REGION", "us-east-1");
        output(&mut build).map(drop)
    }
}

fn is_layer_of(name: &str, function: &str) -> bool {
    name == "WordsLayer" && function == "PythonFunction"
}

/// Mirrors with a base for each language: where the real ones cannot be reached, Python's stands for
/// the others, which are not run.
fn bases(parts: &Parts) -> Outcome<Vec<String>> {
    let stand_in = parts.mirrors.iter().find_map(|mirror| mirror.split_once("=oci:"));
    let Some((host, layout)) = stand_in else { return Ok(parts.mirrors.clone()) };
    let folder = parts.work.join("sam/bases");
    for (_, _, base) in LANGUAGES {
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet"])
            .arg(format!("oci:{layout}:{}", LANGUAGES[0].2))
            .arg(format!("oci:{}:{base}", folder.display())))?;
    }
    Ok(vec![format!("{host}=oci:{}", folder.display())])
}

fn none_absent(what: &str, wanted: &BTreeSet<PathBuf>, found: &BTreeSet<PathBuf>) -> Outcome {
    let absent: Vec<_> = wanted.difference(found).map(|path| path.display().to_string()).collect();
    if absent.is_empty() && !wanted.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{what} lacks {absent:?} of {} files", wanted.len())))
}

/// The files below a folder, relative to it.
fn files(folder: &Path) -> Outcome<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if let Ok(path) = entry.path().strip_prefix(folder) {
                found.insert(path.to_owned());
            }
        }
    }
    Ok(found)
}
