//! Manual pages as people read them: what `esb reference man` prints is read by groff and by mandoc.

use std::{fmt::Write as _, fs, path::Path};

use esb_test::ensure_packages;

use crate::{
    checks::Outcome,
    command::{command, of_workspace, output, target},
    folders,
    limit::{OF_COMMAND, output_within},
};

/// Characters that groff writes where a name that people copy has ASCII's.
const LOOKALIKES: [char; 7] =
    ['\u{2010}', '\u{2212}', '\u{2018}', '\u{2019}', '\u{2c6}', '\u{2dc}', '\u{b4}'];

/// Pages by the names of their files.
pub(crate) type Pages = Vec<(String, Vec<u8>)>;

/// The pages of a text in which the name of its file stands before each, as a comment.
pub(crate) fn pages(text: &str) -> Pages {
    let mut pages = Pages::new();
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

/// Reads the pages of the program that the tests have compiled.
pub(crate) fn check() -> Outcome {
    of_program(&of_workspace("bin", "esb")?)
}

/// Lets both readers read every page of a program.
pub(crate) fn of_program(esb: &Path) -> Outcome {
    let pages = pages(&output(command(esb).args(["reference", "man"]))?);
    ensure_packages(&["groff-base", "mandoc"])?;
    let folder = target().join("manual");
    folders::empty(&folder)?;
    for (name, text) in &pages {
        fs::write(folder.join(name), text)?;
    }
    let names: Vec<&str> = pages.iter().map(|(name, _)| &**name).collect();
    if names.len() < 20 {
        return Err(format!("there are no more pages than {names:?}").into());
    }
    let mut said = String::new();
    for reader in [
        &["groff", "-ww", "-man", "-Tutf8", "-z"][..],
        // Messages about long lines are of style: paragraphs are one line.
        &["mandoc", "-T", "lint", "-W", "warning"],
    ] {
        said.push_str(&warnings(&folder, reader, &names)?);
    }
    for name in names {
        let shown = output(command("groff").args(["-man", "-Tutf8", name]).current_dir(&folder))?;
        for line in shown.lines().filter(|line| line.contains(LOOKALIKES)) {
            let _ = writeln!(said, "{name}: cannot be copied: {}", line.trim());
        }
    }
    if said.is_empty() { Ok(()) } else { Err(said.into()) }
}

/// What a reader complains about.
fn warnings(folder: &Path, reader: &[&str], names: &[&str]) -> Outcome<String> {
    let mut read = command(reader[0]);
    read.args(&reader[1..]).args(names).current_dir(folder);
    let read = output_within(&mut read, OF_COMMAND)?;
    let said = [read.stdout, read.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if said.trim().is_empty() && !read.status.success() {
        return Err(format!("{} ended with {}", reader[0], read.status).into());
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_taken_apart_at_the_names_of_their_files() {
        let found = pages(".\\\" a.1\n.TH A\ntext\n.\\\" b.5\n.TH B\n");
        let found: Vec<_> = found
            .iter()
            .map(|(name, text)| (&**name, std::str::from_utf8(text).unwrap()))
            .collect();
        assert_eq!(found, [("a.1", ".TH A\ntext\n"), ("b.5", ".TH B\n")]);
    }
}
