//! Builds and tests the Java hooks, and compares them with the jars that are shipped.
//!
//! Owns Maven's runs, in a copy of the sources below `target/java`, so that nothing is written
//! beside them. Refuses to guess: bytes are compared only under the JDK that the jars are made with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use esb_test::{Missing, find_program};

use crate::{
    checks::{Outcome, Trouble},
    command::{command, output, root, run, target, words},
    e2e::parts::copy_tree,
    folders, hooks,
    limit::{OF_COMMAND, output_within},
    steps::say,
    tools::{Moto, VictoriaLogs},
};

/// Another version writes other bytes.
const JDK: &str = "17";

/// The jars and the modules that they come from.
const JARS: [(&str, &str); 2] =
    [("agent", "lambda-java-agent.jar"), ("wrapper", "lambda-java-wrapper.jar")];

/// `cargo xtask runtime`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The language of the hooks.
    language: Language,
    /// Only tell whether the shipped jars are those of the sources, after the tests.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Language {
    Java,
}

/// Builds the jars and puts them where they are shipped from, or checks them.
pub(crate) fn runtime(args: &Args) -> Outcome {
    let Language::Java = args.language;
    if args.check {
        return check();
    }
    let built = build(&["-DskipTests"])?;
    let dist = root().join("runtime/java/dist");
    fs::create_dir_all(&dist)?;
    for (module, jar) in JARS {
        fs::copy(built.join(module).join("target").join(jar), dist.join(jar))?;
        say(&format!("runtime/java/dist/{jar}"));
    }
    Ok(())
}

/// Runs the suites against jars that are built anew, which have to be the shipped ones.
pub(crate) fn check() -> Outcome {
    let services = target().join("java/services");
    folders::empty(&services)?;
    let moto = Moto::start(&hooks::newest()?, &services)?;
    let store = VictoriaLogs::start(&services)?;
    let built = build(&[
        &format!("-Dmoto.url=http://{}", moto.address()),
        &format!("-Dlogs.url=http://{}", store.address()),
    ])?;
    let differs = |(module, jar): &(&str, &str)| {
        let shipped = fs::read(root().join("runtime/java/dist").join(jar));
        let made = fs::read(built.join(module).join("target").join(jar));
        !matches!((shipped, made), (Ok(shipped), Ok(made)) if shipped == made)
    };
    let stale: Vec<_> = JARS.into_iter().filter(differs).map(|(_, jar)| jar).collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!(
        "{} of runtime/java/dist differ from the sources; run `cargo xtask runtime java`",
        stale.join(", ")
    )))
}

/// Builds a copy of `runtime/java` and gives its folder.
fn build(options: &[&str]) -> Outcome<PathBuf> {
    let home = jdk()?;
    let folder = target().join("java/runtime");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    copy_tree(&root().join("runtime/java"), &folder)?;
    maven(&folder, &home, &[&["package"], options].concat())?;
    Ok(folder)
}

/// What Maven says when something is not in its repository and it may not fetch it: an artifact, or
/// the plugin that a goal's prefix stands for.
const NOT_HERE: [&str; 2] = ["offline mode", "No plugin found for prefix"];

/// Runs Maven in a folder, without a network where its repository has what it needs.
pub(crate) fn maven(folder: &Path, home: &Path, arguments: &[&str]) -> Outcome {
    if find_program("mvn").is_none() {
        return Err(Missing::new("Maven", "there is no `mvn` (Debian's package `maven`)").into());
    }
    let mvn = |offline: bool| {
        let mut mvn = command("mvn");
        mvn.current_dir(folder).args(["--batch-mode", "--quiet"]).args(arguments);
        if offline {
            mvn.arg("--offline");
        }
        mvn.env("JAVA_HOME", home).env_remove("JAVA_TOOL_OPTIONS").env("MAVEN_OPTS", "-Xmx512m");
        mvn
    };
    // Maven says everything on stdout, and terminal codes on stderr.
    let offline = output_within(&mut mvn(true), OF_COMMAND)?;
    let said = String::from_utf8_lossy(&offline.stdout);
    if offline.status.success() {
        Ok(())
    } else if NOT_HERE.iter().any(|words| said.contains(words)) {
        run(&mut mvn(false))
    } else {
        Err(Trouble::Failed(format!(
            "{} ended with {}:\n{said}",
            words(&mvn(true)),
            offline.status
        )))
    }
}

/// The folder of the JDK.
pub(crate) fn jdk() -> Outcome<PathBuf> {
    let missing = || {
        let how = format!("install Debian's package `openjdk-{JDK}-jdk-headless`");
        Trouble::from(Missing::new(format!("JDK {JDK}"), how))
    };
    let candidates = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().chain(
        fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten().map(|entry| entry.path()),
    );
    let mut found: Vec<PathBuf> = candidates.filter(|home| is_jdk(home)).collect();
    found.sort();
    found.into_iter().next().ok_or_else(missing)
}

fn is_jdk(home: &Path) -> bool {
    let javac = home.join("bin/javac");
    javac.is_file()
        && output(command(javac).arg("-version"))
            .is_ok_and(|said| said.trim().starts_with(&format!("javac {JDK}.")))
}
