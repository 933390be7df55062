//! A damaged content store: each kind of file, damaged in each way, and the next run.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use esb_oci::Digest;

use crate::{bases, context::Context, store::TEMPLATE};

const BUILD: [&str; 5] = ["build", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases"];

/// Installs two files for each requirement, and notes that it was asked.
const UV: &str = r#"#!/bin/sh
while [ "$1" != --target ]; do shift || exit 3; done
echo asked >> "$(dirname "$0")/asked"
sed 's/[=;].*//' "$4" | while read -r name; do
  mkdir -p "$2/$name-1.dist-info"
  echo "x = 1" > "$2/$name.py"
  echo "y = 1" > "$2/also_$name.py"
  echo "$name.py,," > "$2/$name-1.dist-info/RECORD"
done
"#;

/// A project that was built once, with a copy of its store as it was then.
struct Ground {
    project: Context,
    expected: Vec<(String, Digest)>,
}

impl Ground {
    fn new() -> Self {
        let project = Context::new(TEMPLATE);
        bases::write(&project.path().join("bases"), "amd64", "one");
        project.write("bin/uv", UV);
        let tool = project.path().join("bin/uv");
        fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["one", "two"] {
            project.write(&format!("{name}/app.py"), &format!("handler = print # {name}\n"));
            // A list of files that has a record in a file of its own.
            for file in 0..if name == "one" { 250 } else { 1 } {
                let path = format!("{name}/{}/{file}.txt", "long-name-".repeat(6));
                project.write(&path, name);
            }
        }
        project.write("one/requirements.txt", "six==1\n");
        project.write("layer/common.py", "common = 1\n");
        let mut ground = Self { project, expected: Vec::new() };
        let output = ground.run(&BUILD);
        assert!(output.status.success(), "{}", said(&output));
        ground.expected = ground.images();
        // Files must be old enough for their times to be trusted.
        copy(&ground.store(), &ground.pristine());
        ground
    }

    fn store(&self) -> PathBuf {
        self.project.path().join("cache")
    }

    fn pristine(&self) -> PathBuf {
        self.project.path().join("pristine")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.project.command(arguments);
        let tools = self.project.path().join("bin");
        command.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
        command.output().unwrap()
    }

    fn images(&self) -> Vec<(String, Digest)> {
        let folder = self.project.path().join(".esb/default/images");
        let layout = esb_oci::OciLayout::open(folder).unwrap();
        let names: Vec<_> = layout.names().map(str::to_owned).collect();
        let digest = |name: &String| layout.find(name, None).unwrap().digest;
        names.iter().map(|name| (name.clone(), digest(name))).collect()
    }

    /// The store as it was, and nothing of what was made of it.
    fn restore(&self) {
        let _none = fs::remove_dir_all(self.store());
        copy(&self.pristine(), &self.store());
        let _none = fs::remove_dir_all(self.project.path().join(".esb"));
    }

    /// All files of the store by their kinds, at most two of each.
    fn files(&self) -> BTreeMap<String, Vec<PathBuf>> {
        let mut files: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut folders = vec![self.pristine()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let mut entries: Vec<PathBuf> = entries.collect();
            entries.sort();
            for path in entries {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let below = path.strip_prefix(self.pristine()).unwrap().to_owned();
                let kind = Self::kind(&path, &below);
                let known = files.entry(kind).or_default();
                if known.len() < 2 {
                    known.push(below);
                }
            }
        }
        files
    }

    fn kind(path: &Path, below: &Path) -> String {
        let first = below.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        match &*first {
            "blobs" => {
                let bytes = fs::read(path).unwrap();
                let text = String::from_utf8_lossy(&bytes);
                let kind = if text.contains("\"layers\"") {
                    "manifest"
                } else if text.contains("\"rootfs\"") {
                    "config"
                } else {
                    "layer"
                };
                format!("blob: {kind}")
            }
            "records" if below.components().count() == 3 => {
                format!("large record: {}", below.parent().unwrap().display())
            }
            _ if first == "dependencies" => "installed file".to_owned(),
            _ => below.display().to_string(),
        }
    }
}

fn said(output: &Output) -> String {
    let said = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// With all times: what was restored from a cache of a CI has them too.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

const FAULTS: [&str; 6] = ["flip", "truncate", "empty", "random", "swap", "delete"];

/// Damages a file; false where that changes nothing.
fn damage(fault: &str, path: &Path, other: Option<&Path>) -> bool {
    let good = fs::read(path).unwrap();
    let mut bytes = good.clone();
    match fault {
        "flip" if !bytes.is_empty() => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        "truncate" => bytes.truncate(bytes.len() / 2),
        "empty" => bytes.clear(),
        "random" => {
            let mut state = 1_u32;
            for byte in &mut bytes {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = state.to_be_bytes()[0];
            }
        }
        "swap" => {
            let Some(other) = other else { return false };
            let theirs = fs::read(other).unwrap();
            fs::write(other, &good).unwrap();
            bytes = theirs;
        }
        "delete" => {
            fs::remove_file(path).unwrap();
            return true;
        }
        _ => {}
    }
    if bytes == good {
        return false;
    }
    fs::write(path, bytes).unwrap();
    true
}

#[test]
fn whatever_is_damaged_the_next_run_makes_the_same_images() {
    let ground = Ground::new();
    let files = ground.files();
    let (mut cases, mut wrong, mut warned) = (0, Vec::new(), 0);
    for (kind, paths) in &files {
        for (number, fault) in FAULTS.iter().enumerate() {
            ground.restore();
            let at = |path: &PathBuf| ground.store().join(path);
            let other = paths.get(1).map(at);
            if !damage(fault, &at(&paths[0]), other.as_deref()) {
                continue;
            }
            // One of each way is enough where all files are read alike.
            let is_log = kind.starts_with("records/") && !kind.contains("installed");
            if is_log && !matches!(*fault, "flip" | "random") {
                continue;
            }
            cases += 1;
            let anew = number % 2 == 1;
            let arguments = [&BUILD[..], if anew { &["--no-cache"] } else { &[] }].concat();
            let output = ground.run(&arguments);
            let text = said(&output);
            warned += i32::from(text.contains("warning: "));
            let is_clear = text.contains(&*paths[0].to_string_lossy());
            if output.status.success() {
                let images = ground.images();
                if images != ground.expected {
                    wrong.push(format!("{kind}, {fault}: other images\n{text}"));
                }
            } else if !is_clear {
                wrong.push(format!("{kind}, {fault}, anew {anew}: {text}"));
            }
        }
    }
    eprintln!("{cases} cases of {} kinds, {warned} told, {} wrong", files.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases > 60, "{cases}: {:?}", files.keys());
}

#[test]
fn a_check_of_the_store_finds_damage_and_removes_it() {
    let ground = Ground::new();
    let check = |arguments: &[&str]| {
        let output = ground.run(&[&["cache", "verify"], arguments].concat());
        (output.status.code().unwrap(), said(&output))
    };
    let (code, text) = check(&[]);
    assert_eq!(code, 0, "{text}");
    for part in ["blobs", "records", "packages", "nothing is damaged"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let files = ground.files();
    for kind in ["blob: layer", "records/image-4.log", "installed file"] {
        assert!(damage("flip", &ground.store().join(&files[kind][0]), None), "{kind}");
    }
    let (code, text) = check(&["--dry-run"]);
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("damage in 3 entries; nothing was removed"), "{text}");
    let output = ground.run(&["cache", "verify", "--format", "json"]);
    let text = said(&output);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(7), "{text}");
    let kinds = document["damaged"].as_array().unwrap().iter().map(|entry| &entry["kind"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["blob", "records", "packages"], "{text}");
    assert_eq!(document["removed"], true, "{text}");
    let (code, text) = check(&[]);
    assert_eq!((code, text.contains("nothing is damaged")), (0, true), "{text}");
    fs::remove_dir_all(ground.project.path().join(".esb")).unwrap();
    let output = ground.run(&BUILD);
    assert!(output.status.success() && !said(&output).contains("warning: "), "{}", said(&output));
    assert_eq!(ground.images(), ground.expected);
}
