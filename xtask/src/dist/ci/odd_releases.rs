//! Releases whose files are written otherwise, and releases that are damaged.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use esb_oci::Digest;

use super::{
    install::{ARCHITECTURES, is_clean, stand_in},
    runner::Runner,
    server::Server,
};
use crate::{
    checks::Outcome,
    command::{command, output},
};

/// The text of a `SHA256SUMS` as another tool writes it.
type Rewrite = fn(&str) -> String;

/// How other tools write `SHA256SUMS`.
const WRITTEN: [(&str, Rewrite); 5] = [
    ("2.0.1", |sums| sums.trim_end().to_owned()),
    ("2.0.2", |sums| sums.replace('\n', "\r\n")),
    ("2.0.3", |sums| sums.replace("  ", "  ./")),
    ("2.0.4", |sums| sums.replace("  ", " *")),
    ("2.0.5", |sums| {
        let upper = sums.lines().map(|line| {
            let (sum, rest) = line.split_at(64);
            format!("{}{rest}\n", sum.to_uppercase())
        });
        upper.collect()
    }),
];

/// What is wrong with an archive, and with the words of the error.
const DAMAGED: [(&str, Archive, &str); 4] = [
    ("2.1.1", Archive::Bytes, "cannot be unpacked"),
    ("2.1.2", Archive::Program(None), "has no `esb-2.1.2-"),
    ("2.1.3", Archive::Program(Some("exit 3")), "does not run here"),
    (
        "2.1.4",
        Archive::Program(Some("echo 'esb 2.1.40 commit'")),
        "is not of that version: esb 2.1.40",
    ),
];

enum Archive {
    /// None at all.
    Bytes,
    /// One with such a program in it.
    Program(Option<&'static str>),
}

/// Installs each of them.
pub(super) fn check(server: &Server, folder: &Path, releases: &Path) -> Outcome {
    let runner = |version: &str, base: &str| -> Outcome<Runner> {
        let runner = Runner::new(&folder.join("job"))?.with("ESB_VERSION", version);
        Ok(runner.with("ESB_RELEASES", server.address(base)))
    };
    for (version, rewrite) in WRITTEN {
        let written = releases.join(format!("v{version}"));
        stand_in(&written, version)?;
        let sums = written.join("SHA256SUMS");
        fs::write(&sums, rewrite(&fs::read_to_string(&sums)?))?;
        let latest = releases.join(version).join("latest");
        fs::create_dir_all(&latest)?;
        fs::copy(&sums, latest.join("SHA256SUMS"))?;
        fs::rename(&written, latest.with_file_name(format!("v{version}")))?;
        for asked in [version, "latest"] {
            let said = runner(asked, &format!("files/{version}"))?.run("install.sh")?.passes()?;
            if !said.starts_with(&format!("esb {version} ")) {
                return Err(format!("{asked}: {said}").into());
            }
        }
    }
    for (version, archive, expected) in DAMAGED {
        damage(&releases.join(format!("v{version}")), version, &archive)?;
        let runner = runner(version, "files")?;
        runner.run("install.sh")?.refuses(expected)?;
        is_clean(&runner)?;
    }
    server.requests();
    Ok(())
}

/// Makes a release whose sums are right and whose archives are not.
fn damage(folder: &Path, version: &str, archive: &Archive) -> Outcome {
    stand_in(folder, version)?;
    let mut sums = String::new();
    for architecture in ARCHITECTURES {
        let name = format!("esb-{version}-{architecture}-unknown-linux-musl");
        let path: PathBuf = folder.join(format!("{name}.tar.gz"));
        match archive {
            Archive::Bytes => fs::write(&path, "no archive")?,
            Archive::Program(script) => {
                let program = folder.join(&name).join("esb");
                fs::remove_file(&program)?;
                if let Some(script) = script {
                    fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
                    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
                }
                output(command("tar").arg("-czf").arg(&path).arg("-C").arg(folder).arg(&name))?;
            }
        }
        let _ = writeln!(sums, "{}  {name}.tar.gz", Digest::of(&fs::read(&path)?).hex());
    }
    Ok(fs::write(folder.join("SHA256SUMS"), sums)?)
}
