//! Packages: no code of a project or an index runs on this machine or writes beside the project's
//! files, and an image gets packages for its own platform.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use serde_json::json;

use super::{
    dependencies::{SECRET, nowhere},
    invoke::invoke,
    package_index::{Index, Packages, wheel},
    parts::{Parts, Said, expect},
};
use crate::{
    checks::{Outcome, Trouble},
    command::output,
};

/// A project with one function, in which a check writes requirements.
struct Project<'a> {
    parts: &'a Parts,
    root: PathBuf,
    name: &'static str,
}

impl<'a> Project<'a> {
    fn new(parts: &'a Parts, name: &'static str) -> Outcome<Self> {
        let root = parts.fixture("source-package", name)?;
        fs::remove_file(root.join("code/pyproject.toml"))?;
        Ok(Self { parts, root, name })
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> Outcome {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        Ok(fs::write(path, text)?)
    }

    /// `esb build` without an engine.
    fn build(&self, more: &[&str]) -> Command {
        let mut command = self.parts.esb(&self.root, self.name);
        command.env_remove("PIP_FIND_LINKS");
        command.args(["build", "-e", "dev", "--to", "oci", "--builder", "embedded", "-v"]);
        command.args(more);
        command
    }

    /// What the function's folder of packages holds.
    fn installed(&self) -> Outcome<Vec<String>> {
        let folder = self.root.join(".esb/dev/functions/built/dependencies");
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".dist-info").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// All files of the project that are not ours, with contents and times.
    fn tree(&self) -> Outcome<Vec<(PathBuf, Vec<u8>, SystemTime)>> {
        let (mut found, mut folders) = (Vec::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path == self.root.join(".esb") || path == self.root.join("esb.lock") {
                    continue;
                }
                let metadata = path.symlink_metadata()?;
                let content = if metadata.is_file() { fs::read(&path)? } else { Vec::new() };
                if metadata.is_dir() && path != self.root {
                    folders.push(path.clone());
                }
                found.push((path, content, metadata.modified()?));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// A line of Python that leaves a mark.
fn writing(mark: &Path) -> String {
    format!("open('{}', 'a').write('ran')\n", mark.display())
}

/// A setup script that leaves a mark wherever it runs.
fn marker(mark: &Path) -> String {
    format!("{}from setuptools import setup\nsetup(name='evil')\n", writing(mark))
}

/// Whatever asks for code to be run here is refused before anything is, and by whom to ask instead;
/// what needs none is installed although the project tries to have a say.
pub(crate) fn nothing_is_run_here(parts: &Parts) -> Outcome {
    let project = Project::new(parts, "packages-apart")?;
    let mark = parts.work.join("packages-apart.mark");
    hostile(&project, &mark)?;
    let index = Index::start(with_sources(&project)?, None)?;
    for (requirements, exit) in HOSTILE_REQUIREMENTS {
        project.write("code/requirements.txt", requirements)?;
        let before = project.tree()?;
        for more in [&[][..], &["--no-uv-install"]] {
            let mut command = project.build(more);
            let said = expect(command.env("PIP_EXTRA_INDEX_URL", index.url("")), exit)?;
            if exit != 0 {
                said.tells(&["--allow-host-builds", "--builder auto"])?;
            }
            if mark.exists() {
                return Err(Trouble::Failed(format!("`{requirements}` ran code of the project")));
            }
            if project.tree()? != before {
                return Err(Trouble::Failed(format!("`{requirements}` changed the project")));
            }
        }
    }
    project.write("code/requirements.txt", "esbcheckharmless")?;
    for (name, value) in [("UV_NO_BINARY", "1"), ("PIP_NO_BINARY", ":all:")] {
        let mut command = project.build(&[]);
        let said = expect(command.env(name, value), 3)?;
        said.tells(&[name, "--allow-host-builds"])?;
    }
    builds_here_when_told(&project, &index)
}

/// Requirements of [`nothing_is_run_here`], with the exit code of a build.
const HOSTILE_REQUIREMENTS: [(&str, i32); 13] = [
    ("esbcheckharmless", 0),
    ("esbcheckharmless\n--prefer-binary\n--no-binary :none:", 0),
    ("esbcheckonlysources", 3),
    ("-e ./evil", 3),
    ("\u{feff}--editable=evil/", 3),
    ("evil/", 3),
    ("evil @ file:evil", 3),
    ("../evil-1.tar.gz", 3),
    ("${EVIL}", 3),
    ("esbcheckharmless\n--no-binary esbcheckharmless", 3),
    ("esbcheckharmless --config-settings a=b", 3),
    ("git+file:///nowhere/x.git", 3),
    ("-e git+ext::sh%20-c%20touch@main#egg=x", 3),
];

/// A project in which everything that a tool could run leaves a mark.
fn hostile(project: &Project, mark: &Path) -> Outcome {
    let script = format!("#!/bin/sh\necho ran >> {}\nexec python3 \"$@\"\n", mark.display());
    project.write("code/evil/setup.py", marker(mark))?;
    for name in ["pip", "json", "sitecustomize", "encodings"] {
        project.write(&format!("code/{name}.py"), writing(mark))?;
    }
    for program in ["code/.venv/bin/python", "bin/uv", "bin/python3", "bin/keyring"] {
        project.write(program, &script)?;
        fs::set_permissions(project.root.join(program), fs::Permissions::from_mode(0o755))?;
    }
    project.write("code/.venv/pyvenv.cfg", "home = /usr/bin\n")?;
    project.write("uv.toml", "no-build-isolation = true\nkeyring-provider = \"subprocess\"\n")?;
    project.write(
        ".env",
        "PATH=bin\nPYTHONPATH=code\nUV_PYTHON=code/.venv/bin/python\nPIP_PYTHON=bin/python3\n\
         VIRTUAL_ENV=code/.venv\nUV_KEYRING_PROVIDER=subprocess\nPIP_KEYRING_PROVIDER=subprocess\n\
         EVIL=-e ./evil\n",
    )
}

/// Packages of an index whose sources are the project's own; one has a wheel too.
fn with_sources(project: &Project) -> Outcome<Packages> {
    let archive = project.root.join("evil-1.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).current_dir(project.root.join("code"));
    output(tar.args(["--transform", "s,^evil,evil-1,", "evil"]))?;
    let sources = fs::read(&archive)?;
    let archived = |name: &str| (format!("{name}-1.tar.gz"), sources.clone());
    Ok([
        (
            "esbcheckharmless",
            vec![wheel("esbcheckharmless", "1", &[])?, archived("esbcheckharmless")],
        ),
        ("esbcheckonlysources", vec![archived("esbcheckonlysources")]),
    ]
    .into())
}

/// The one way around, and still nothing is written beside the project's files.
fn builds_here_when_told(project: &Project, index: &Index) -> Outcome {
    project.write("code/requirements.txt", "esbcheckharmless\n-e ../package")?;
    let before = project.tree()?;
    let mut command = project.build(&["--allow-host-builds"]);
    let said = command.env("PIP_EXTRA_INDEX_URL", index.url("")).output()?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // Without an index that has uv there is none.
    if !said.contains("needs uv")
        && project.installed()? != ["esbcheckharmless-1", "onlysource-1.0"]
    {
        return Err(Trouble::Failed(said));
    }
    if project.tree()? != before {
        return Err("a build changed the project's files".into());
    }
    Ok(())
}

/// Environment markers are the image's, of what is asked for and of what that needs; whichever tool
/// judges them.
pub(crate) fn markers_are_the_images(parts: &Parts) -> Outcome {
    let needs = [
        "esbcheckdeepold; python_version < '3.12'",
        "esbcheckdeepnew; python_version >= '3.13'",
        "esbcheckdeeparm; platform_machine == 'aarch64'",
        "esbcheckdeepwindows; sys_platform == 'win32'",
        "esbcheckdeepextra; extra == 'more'",
    ];
    let mut packages: Packages =
        [("esbchecktopmost", vec![wheel("esbchecktopmost", "1", &needs)?])].into();
    for name in [
        "esbcheckdeepold",
        "esbcheckdeepnew",
        "esbcheckdeeparm",
        "esbcheckdeepwindows",
        "esbcheckdeepextra",
        "esbcheckold",
        "esbchecknew",
    ] {
        packages.insert(name, vec![wheel(name, "1", &[])?]);
    }
    let index = Index::start(packages, None)?;
    let requirements = "esbcheckold; python_version < '3.12'\nesbchecknew; python_version >= '3.13'\nesbchecktopmost[more]\n";
    for (name, more) in [("markers-uv", &[][..]), ("markers-pip", &["--no-uv-install"])] {
        let project = Project::new(parts, name)?;
        project.write("code/requirements.txt", requirements)?;
        expect(project.build(more).env("PIP_EXTRA_INDEX_URL", index.url("")), 0)?;
        let found = project.installed()?;
        if found
            != ["esbcheckdeepextra-1", "esbcheckdeepnew-1", "esbchecknew-1", "esbchecktopmost-1"]
        {
            return Err(Trouble::Failed(format!("{name}: {found:?}")));
        }
    }
    Ok(())
}

/// A development installation becomes a real one, built in the engine from a copy.
pub(crate) fn built_from_the_project(parts: &Parts) -> Outcome {
    let project = Project::new(parts, "packages-local")?;
    fs::create_dir_all(project.root.join("libs"))?;
    fs::rename(project.root.join("package"), project.root.join("libs/own"))?;
    project.write("code/requirements.txt", "-e ../libs/own\n")?;
    let before = project.tree()?;
    let run = || {
        let mut command = parts.esb_to_registry(&project.root, "packages-local");
        command.args(["deploy", "-e", "dev", "--config-to", "none", "--format", "json", "-v"]);
        expect(&mut command, 0)
    };
    let said = run()?;
    if project.tree()? != before {
        return Err("an installation changed the project's files".into());
    }
    answers(parts, &said, "hi")?;
    if run()?.stderr.contains("container engine") {
        return Err("what did not change was built again".into());
    }
    // What the package holds is part of what it is known by.
    let module = project.root.join("libs/own/backend.py");
    let text = fs::read_to_string(&module)?;
    fs::write(&module, format!("{text}\n# changed\n"))?;
    run()?.tells(&["container engine"])
}

fn answers(parts: &Parts, said: &Said, word: &str) -> Outcome {
    let document = said.json()?;
    let images = document["images"].as_array().into_iter().flatten();
    let mut names = images.filter_map(|image| image["reference"].as_str());
    let image = names.rfind(|name| name.contains("/esb-built"));
    let image = image.ok_or_else(|| Trouble::Failed(format!("no image in {document}")))?;
    parts.engine.output(["pull", "--quiet", image])?;
    let answer = invoke(&parts.engine, image, &[], &json!({"word": word}))?;
    if answer != json!({"built on": "3.13", "said": word}) {
        return Err(Trouble::Failed(format!("`{image}` answered {answer}")));
    }
    Ok(())
}

/// A variable in an index's address reaches the tool, and nothing else that is written or said; the
/// address without it is part of what the installation is known by.
pub(crate) fn variables_in_addresses(parts: &Parts) -> Outcome {
    let packages: Packages =
        [("esbcheckharmless", vec![wheel("esbcheckharmless", "1", &[])?])].into();
    // `ci:hunter2`
    let index = Index::start(packages, Some("Basic Y2k6aHVudGVyMg=="))?;
    for (name, more) in [("variables-uv", &[][..]), ("variables-pip", &["--no-uv-install"])] {
        let project = Project::new(parts, name)?;
        let host = index.address;
        let ask = |path: &str| {
            let text =
                format!("--index-url=http://ci:${{TOKEN}}@{host}/{path}\nesbcheckharmless\n");
            project.write("code/requirements.txt", text)
        };
        ask("simple/")?;
        project.write(".env", format!("TOKEN={SECRET}\n"))?;
        let first = expect(&mut project.build(more), 0)?;
        let again = expect(project.build(more).env("TOKEN", "forgotten"), 0)?;
        if again.stderr.contains("install") {
            return Err(Trouble::Failed(format!("{name}: installed again:\n{}", again.stderr)));
        }
        ask("other/simple/")?;
        let other = expect(&mut project.build(more), 0)?;
        let wrong =
            expect(project.build(&[more, &["--no-cache"]].concat()).env("TOKEN", "wrongone"), 3)?;
        for said in [&first, &other, &wrong] {
            for secret in [SECRET, "wrongone"] {
                if said.stderr.contains(secret) || said.stdout.contains(secret) {
                    return Err(Trouble::Failed(format!(
                        "{name}: a password was said:\n{}",
                        said.stderr
                    )));
                }
            }
        }
        nowhere(&parts.work.join("caches").join(name))?;
        nowhere(&project.root.join(".esb"))?;
        let asked = index.asked.lock().map_err(|_| "poisoned")?;
        if !asked.iter().any(|(path, _)| path.starts_with("/other/simple/esbcheckharmless")) {
            return Err(Trouble::Failed(format!("{name}: the other index was not asked")));
        }
    }
    Ok(())
}
