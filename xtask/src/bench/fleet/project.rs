//! The project that is built: functions with a Dockerfile each, whose requirement is a wheel beside
//! it.
//!
//! Owns what is in it, and the file that tells buildx the same. The same number gives the same
//! bytes on every machine, but for edits.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    bench::workload::{name, source},
    checks::{Outcome, chain},
};

/// Modules of a function's requirement, and the bytes of each.
const MODULES: (usize, usize) = (20, 8000);
/// Modules of a function beside its handler, and the bytes of each.
const PARTS: (usize, usize) = (9, 900);

/// A project of image functions.
pub(super) struct Project {
    pub(super) root: PathBuf,
    pub(super) functions: usize,
}

impl Project {
    /// Writes a project whose images are made from `base`.
    pub(super) fn write(root: &Path, functions: usize, base: &str) -> Outcome<Self> {
        let project = Self { root: root.to_owned(), functions };
        fs::create_dir_all(root)?;
        fs::write(root.join("esb.toml"), "")?;
        for number in 0..functions {
            project.function(number, base)?;
        }
        let file = root.join("template.yaml");
        fs::write(file, template(0..functions))?;
        Ok(project)
    }

    fn function(&self, number: usize, base: &str) -> Outcome {
        let folder = self.folder(number);
        fs::create_dir_all(&folder)?;
        let package = format!("requirement{number}");
        let wheel = format!("{package}-1.0-py3-none-any.whl");
        write_wheel(&folder.join(&wheel), &package, number as u64)?;
        fs::write(folder.join("requirements.txt"), format!("{package}==1.0\n"))?;
        let code =
            format!("import {package}\n\n\ndef handler(event, context):\n    return event\n");
        fs::write(folder.join("app.py"), code)?;
        for part in 0..PARTS.0 {
            let seed = (number * PARTS.0 + part) as u64;
            fs::write(folder.join(format!("part_{part}.py")), source(seed, PARTS.1))?;
        }
        let dockerfile = format!(
            "FROM {base}\nCOPY requirements.txt {wheel} /tmp/wheels/\nRUN python3 -m pip install \
             --no-index --no-cache-dir --find-links /tmp/wheels --target /var/task -r \
             /tmp/wheels/requirements.txt\nCOPY *.py ./\nCMD [\"app.handler\"]\n"
        );
        fs::write(folder.join("Dockerfile"), dockerfile)?;
        Ok(())
    }

    fn folder(&self, number: usize) -> PathBuf {
        self.root.join(folder_name(number))
    }

    /// Changes one file of a function to what nobody had before; gives the bytes of the file.
    pub(super) fn edit(&self, number: usize, mark: &str) -> Outcome<u64> {
        let text = format!("{}# {mark}\n", source(number as u64, PARTS.1));
        fs::write(self.folder(number).join("part_3.py"), &text)?;
        Ok(text.len() as u64)
    }

    /// Writes a template of some of the functions beside the one of all.
    pub(super) fn template_of(&self, numbers: &[usize], file: &str) -> Outcome {
        fs::write(self.root.join(file), template(numbers.iter().copied()))?;
        Ok(())
    }

    /// Writes what `docker buildx bake` reads: one target for each function, pushed.
    pub(super) fn bake_file(&self, registry: &str) -> Outcome<PathBuf> {
        let target = |number: usize| {
            let image = format!("{registry}/peer-{}:latest", folder_name(number));
            let target = json!({
                "context": self.folder(number),
                "tags": [image],
                "output": ["type=registry,registry.insecure=true"],
            });
            (name(number), target)
        };
        let targets: BTreeMap<String, Value> = (0..self.functions).map(target).collect();
        let names: Vec<&String> = targets.keys().collect();
        let document = json!({"group": {"default": {"targets": names}}, "target": targets});
        let file = self.root.join("bake.json");
        fs::write(&file, document.to_string())?;
        Ok(file)
    }
}

fn folder_name(number: usize) -> String {
    name(number).to_lowercase()
}

fn template(numbers: impl IntoIterator<Item = usize>) -> String {
    let mut text = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
    for number in numbers {
        let (name, folder) = (name(number), folder_name(number));
        let _infallible = writeln!(
            text,
            "  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: \
             {folder}\n      PackageType: Image\n    Metadata:\n      Dockerfile: Dockerfile\n      \
             DockerContext: ./{folder}"
        );
    }
    text
}

/// Writes a wheel of pure Python.
fn write_wheel(path: &Path, package: &str, seed: u64) -> Outcome {
    let mut files = vec![(format!("{package}/__init__.py"), String::new())];
    for module in 0..MODULES.0 {
        let seed = seed * MODULES.0 as u64 + module as u64;
        // Comments: pip compiles what it installs.
        let text = source(seed, MODULES.1).lines().fold(String::new(), |mut text, line| {
            let _infallible = writeln!(text, "# {line}");
            text
        });
        files.push((format!("{package}/module_{module}.py"), text));
    }
    let about = format!("{package}-1.0.dist-info");
    let wheel = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    files.push((format!("{about}/WHEEL"), wheel.to_owned()));
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    files.push((format!("{about}/METADATA"), metadata));
    let mut record = format!("{about}/RECORD,,\n");
    for (path, _) in &files {
        let _infallible = writeln!(record, "{path},,");
    }
    files.push((format!("{about}/RECORD"), record));
    let mut archive = zip::ZipWriter::new(fs::File::create(path)?);
    for (path, text) in files {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(path, options).map_err(|error| chain(&error))?;
        archive.write_all(text.as_bytes())?;
    }
    archive.finish().map_err(|error| chain(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_one_file_and_no_requirement() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::write(dir.path(), 2, "base:1").unwrap();
        let read = || -> BTreeMap<PathBuf, Vec<u8>> {
            let entries = fs::read_dir(project.folder(1)).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
        };
        let before = read();
        let bytes = project.edit(1, "one").unwrap();
        let after = read();
        let changed: Vec<_> = after.iter().filter(|(path, new)| before[*path] != **new).collect();
        assert_eq!(changed.len(), 1);
        assert!(changed[0].0.ends_with("part_3.py"));
        assert_eq!(changed[0].1.len() as u64, bytes);
        let wheel = project.folder(1).join("requirement1-1.0-py3-none-any.whl");
        let archive = zip::ZipArchive::new(fs::File::open(wheel).unwrap()).unwrap();
        assert_eq!(archive.len(), MODULES.0 + 4);
    }
}
