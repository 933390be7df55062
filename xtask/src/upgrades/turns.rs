//! Deploys of both programs on one project and one store.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
};

use super::{Parts, Program, expect, projects::Project};
use crate::{
    checks::{Outcome, Trouble},
    steps::say,
};

/// The digest of each image by its name, and what was done for it.
type Images = BTreeMap<String, (String, String)>;

/// Files that a run publishes or keeps in the project.
type Files = BTreeMap<&'static str, String>;

const PUBLISHED: [&str; 5] =
    ["functions.yml", "routing.yml", "resources.yml", "image-import.json", "state.json"];

/// The action of an image that was there.
const THERE: &str = "skipped";

/// Both deploy in turn: after the first deploy of each, nothing is made and nothing is written anew.
/// Where both make the same images, the second program makes nothing at all.
pub(super) fn in_turn(project: &Project, programs: [&Program; 2], rounds: usize) -> Outcome {
    let mut first: Option<(Images, Files)> = None;
    let mut known: [Option<(Images, Files)>; 2] = [None, None];
    for turn in 0..rounds * 2 {
        let program = programs[turn % 2];
        let images = deploy(project, program, project.name)?;
        let files = files(project)?;
        if let Some((images_before, files_before)) = &known[turn % 2] {
            same_images(images_before, &images, program)?;
            let own = made(&images);
            if !own.is_empty() {
                return Err(failed(program, turn, &format!("made {} again", own.join(", "))));
            }
            same_files(files_before, &files, program)?;
        } else if let Some((images_before, files_before)) = &first {
            told(images_before, &images, files_before, &files, program)?;
        }
        first.get_or_insert_with(|| (images.clone(), files.clone()));
        known[turn % 2] = Some((images, files));
    }
    Ok(())
}

/// What the second program does otherwise than the first one. A release may make other images, which
/// its changes have to say; the same image is not made again.
fn told(
    before: &Images,
    now: &Images,
    files_before: &Files,
    files: &Files,
    program: &Program,
) -> Outcome {
    let other = |(name, (digest, _)): &(&String, &(String, String))| {
        before.get(*name).is_none_or(|(known, _)| known != digest)
    };
    let others: Vec<&str> = now.iter().filter(other).map(|(name, _)| &**name).collect();
    if !others.is_empty() {
        say(&format!("  {} makes other images: {}", program.version, others.join(", ")));
    }
    let again: Vec<&str> =
        made(now).into_iter().filter(|name| !others.iter().any(|other| other == name)).collect();
    if !again.is_empty() {
        return Err(failed(program, 1, &format!("made {} again", again.join(", "))));
    }
    for (name, text) in files.iter().filter(|(name, text)| files_before.get(*name) != Some(text)) {
        let lines: Vec<&str> =
            files_before.get(name).into_iter().flat_map(|old| old.lines()).collect();
        let new: Vec<&str> = text.lines().filter(|line| !lines.contains(line)).collect();
        say(&format!("  {} writes {name} otherwise: {}", program.version, new.join(" | ")));
    }
    Ok(())
}

/// What one program builds of changed code, the other one finds.
pub(super) fn a_change(project: &Project, programs: [&Program; 2]) -> Outcome {
    for (turn, [one, other]) in [programs, [programs[1], programs[0]]].into_iter().enumerate() {
        let of_each = |program| deploy(project, program, project.name);
        let (before, before_other) = (of_each(one)?, of_each(other)?);
        let text = fs::read_to_string(&project.code)?;
        fs::write(&project.code, format!("{text}# change {turn}\n"))?;
        let built = of_each(one)?;
        if made(&built).len() != 1 {
            return Err(failed(one, turn, &format!("made {:?} of one change", made(&built))));
        }
        let found = of_each(other)?;
        let is_same = digests(&before) == digests(&before_other);
        if is_same && (!made(&found).is_empty() || digests(&found) != digests(&built)) {
            return Err(failed(other, turn, &format!("made {:?} again", made(&found))));
        }
    }
    Ok(())
}

/// A machine with an empty store finds in the registry what the other program made.
pub(super) fn another_machine(project: &Project, programs: [&Program; 2]) -> Outcome {
    for (turn, [one, other]) in [programs, [programs[1], programs[0]]].into_iter().enumerate() {
        let there = deploy(project, one, project.name)?;
        let found = deploy(project, other, &format!("{}-empty-{turn}", project.name))?;
        if digests(&there) != digests(&found) {
            say(&format!("  {} makes other images, and is not compared", other.version));
        } else if !made(&found).is_empty() {
            return Err(failed(other, turn, &format!("made {:?} again", made(&found))));
        }
    }
    Ok(())
}

/// Both use one store at once, and look after it.
pub(super) fn at_once(parts: &Parts, project: &Project, programs: [&Program; 2]) -> Outcome {
    let copy = parts.work.join("projects").join(format!("{}-copy", project.name));
    crate::e2e::parts::copy_tree(&project.root, &copy)?;
    fs::copy(project.root.join("esb.lock"), copy.join("esb.lock"))?;
    let mut aside = build(project, programs[0]);
    let mut child = aside.current_dir(&copy).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let here = deploy(project, programs[1], project.name);
    let status = child.wait()?;
    here?;
    if !status.success() {
        return Err(failed(programs[0], 0, &format!("ended with {status} beside the other one")));
    }
    for program in programs {
        let look_after = |program: &Program, what: &str| {
            let mut command = project.command(program, project.name);
            command.args(["cache", what, "--format", "json"]);
            expect(&mut command, 0)
        };
        look_after(programs[1], "verify")?;
        look_after(program, "gc")?;
        let images = deploy(project, program, project.name)?;
        if !made(&images).is_empty() {
            return Err(failed(program, 0, &format!("made {:?} again", made(&images))));
        }
    }
    Ok(())
}

fn build(project: &Project, program: &Program) -> Command {
    let mut command = project.command(program, project.name);
    command.args(["build", "-e", "aside", "--to", "oci"]);
    command
}

fn deploy(project: &Project, program: &Program, store: &str) -> Outcome<Images> {
    let summary = expect(&mut project.deploy(program, store), 0)?.json()?;
    let mut images = Images::new();
    for image in summary["images"].as_array().into_iter().flatten() {
        let text = |key: &str| image[key].as_str().unwrap_or_default().to_owned();
        images.insert(text("name"), (text("digest"), text("action")));
    }
    if images.is_empty() {
        return Err(failed(program, 0, "deployed no image"));
    }
    Ok(images)
}

fn digests(images: &Images) -> BTreeMap<&str, &str> {
    images.iter().map(|(name, (digest, _))| (&**name, &**digest)).collect()
}

/// The images that were not there.
fn made(images: &Images) -> Vec<&str> {
    let made = images.iter().filter(|(_, (_, action))| action != THERE);
    made.map(|(name, _)| &**name).collect()
}

fn files(project: &Project) -> Outcome<Files> {
    let mut files = Files::new();
    for name in PUBLISHED {
        files.insert(name, fs::read_to_string(project.published().join(name))?);
    }
    files.insert("esb.lock", fs::read_to_string(project.root.join("esb.lock"))?);
    Ok(files)
}

fn same_images(before: &Images, now: &Images, program: &Program) -> Outcome {
    if digests(before) == digests(now) {
        return Ok(());
    }
    Err(failed(program, 0, &format!("made other images than before: {before:?} {now:?}")))
}

fn same_files(before: &Files, now: &Files, program: &Program) -> Outcome {
    for (name, text) in now {
        if before.get(name) != Some(text) {
            let text = format!("wrote another {name} than before:\n{}\n{text}", before[name]);
            return Err(failed(program, 0, &text));
        }
    }
    Ok(())
}

fn failed(program: &Program, turn: usize, what: &str) -> Trouble {
    Trouble::Failed(format!("{} (turn {turn}) {what}", program.version))
}
