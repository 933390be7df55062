//! Errors of users: each has its message and exit code, and leaves the published configuration as
//! it was.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use esb_test::{Fault, LoggingProxy, Rule};

use super::{
    deploy::Deployed,
    parts::{Parts, expect},
};
use crate::{
    checks::{Outcome, Trouble},
    command::output,
};

/// Everything below a folder, with its content.
fn snapshot(folder: &Path) -> Outcome<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

/// The published configuration of a deployed project.
fn published(deployed: &Deployed) -> Outcome<BTreeMap<PathBuf, Vec<u8>>> {
    snapshot(&deployed.root.join(".esb/staging"))
}

/// Templates, parameters and code that cannot be deployed.
pub(crate) fn wrong_templates(parts: &Parts, deployed: &Deployed) -> Outcome {
    let before = published(deployed)?;
    let template = fs::read_to_string(deployed.root.join("template.yaml"))?;
    let function = |id: &str, extra: &str| {
        format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: \
             python3.13\n      Handler: app.handler\n{extra}"
        )
    };
    let head = "Transform: AWS::Serverless-2016-10-31\nResources:\n";
    let twice = format!(
        "{head}{}{}",
        function("A", "      FunctionName: My-Name\n      CodeUri: code/\n"),
        function("B", "      FunctionName: my-name\n      CodeUri: code/\n"),
    );
    let cases: [(&str, String, &[&str]); 6] = [
        ("no YAML", "Resources:\n  A: [1\n  B: }".into(), &["error", "case.yaml:2:"]),
        (
            "unknown runtime",
            format!("{head}{}", function("A", "      CodeUri: code/\n"))
                .replace("python3.13", "pyhton3.13"),
            &["pyhton3.13", "case.yaml:6:"],
        ),
        (
            "missing code",
            format!("{head}{}", function("A", "      CodeUri: no/such/folder/\n")),
            &["no/such/folder", "case.yaml:"],
        ),
        ("one image name twice", twice, &["`My-Name`", "`my-name`"]),
        ("no resources", "Transform: AWS::Serverless-2016-10-31\n".into(), &["has no resources"]),
        (
            "a parameter without a value",
            template.replacen("Parameters:", "Parameters:\n  Needed:\n    Type: String", 1),
            &["Needed", "--parameter"],
        ),
    ];
    fs::create_dir_all(deployed.root.join("code"))?;
    fs::write(deployed.root.join("code/app.py"), "def handler(event, context): pass\n")?;
    for (name, text, words) in cases {
        fs::write(deployed.root.join("case.yaml"), text)?;
        let mut command = parts.esb_to_registry(&deployed.root, "main");
        let said = expect(command.args(["deploy", "-e", "dev", "-t", "case.yaml"]), 1)
            .map_err(|trouble| with(name, trouble))?;
        said.tells(words).map_err(|trouble| with(name, trouble))?;
    }
    let mut command = parts.esb_to_registry(&deployed.root, "main");
    expect(command.args(["deploy", "-e", "dev", "-t", "nowhere.yaml"]), 1)?
        .tells(&["nowhere.yaml", "--template"])?;
    let mut command = parts.esb_to_registry(&deployed.root, "main");
    expect(command.args(["deploy", "--no-such-flag"]), 2)?.tells(&["--no-such-flag"])?;
    unchanged(&before, deployed)
}

/// Registries, engines and bases that are not there.
pub(crate) fn absent_parts(parts: &Parts, deployed: &Deployed) -> Outcome {
    let before = published(deployed)?;
    let port = esb_test::free_port()?;
    let nobody = format!("127.0.0.1:{port}");
    let mut command = parts.esb(&deployed.root, "main");
    command.env("CONTAINER_REGISTRY", &nobody);
    expect(command.args(["deploy", "-e", "dev"]), 4)?.tells(&[&nobody])?;

    let mut command = parts.esb_to_registry(&deployed.root, "main");
    command.env("DOCKER_HOST", "unix:///no/such/socket");
    expect(command.args(["build", "-e", "dev", "--builder", "docker"]), 4)?
        .tells(&["/no/such/socket", "DOCKER_HOST"])?;

    let empty = parts.work.join("empty-layout");
    fs::create_dir_all(&empty)?;
    fs::write(empty.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs::write(empty.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#)?;
    let mut command = parts.esb_to_registry(&deployed.root, "no-base");
    command.env("ESB_MIRRORS", format!("public.ecr.aws=oci:{}", empty.display()));
    expect(command.args(["deploy", "-e", "dev", "--offline"]), 4)?.tells(&[
        "public.ecr.aws/lambda/python:3.13",
        &empty.display().to_string(),
        "--mirror",
    ])?;
    unchanged(&before, deployed)
}

/// A store on a disk that is full.
pub(crate) fn full_disk(parts: &Parts, deployed: &Deployed) -> Outcome {
    let before = published(deployed)?;
    let disk = parts.work.join("caches/full");
    fs::create_dir_all(&disk)?;
    output(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&disk))?;
    let mut command = parts.esb_to_registry(&deployed.root, "full");
    let said = expect(command.args(["deploy", "-e", "dev"]), 9);
    let left = blobs_are_whole(&disk);
    output(Command::new("umount").arg(&disk))?;
    said?.tells(&["No space left on device"])?;
    left?;
    unchanged(&before, deployed)
}

/// Ctrl-C while a blob is on its way.
pub(crate) fn interrupt(parts: &Parts, deployed: &Deployed) -> Outcome {
    let before = published(deployed)?;
    let proxy = LoggingProxy::start(parts.registry.address())?;
    proxy.inject(Rule::on("PUT", "/blobs/", Fault::Hang { time: Duration::from_mins(1) }));
    let mut command = parts.esb(&deployed.root, "interrupt");
    command.env("CONTAINER_REGISTRY", proxy.address());
    let mut child = command
        .args(["deploy", "-e", "dev", "--tag", "interrupted"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let start = Instant::now();
    while proxy.count("POST", "/blobs/uploads/") == 0 && start.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    output(Command::new("kill").arg("-INT").arg(child.id().to_string()))?;
    let status = child.wait()?;
    if status.code() != Some(130) {
        return Err(Trouble::Failed(format!("an interrupted deploy ended with {status}")));
    }
    blobs_are_whole(&parts.work.join("caches/interrupt"))?;
    unchanged(&before, deployed)
}

/// Every file of a store has the content that its name says.
pub(super) fn blobs_are_whole(store: &Path) -> Outcome {
    let blobs = store.join("blobs/sha256");
    if !blobs.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(blobs)? {
        let path = entry?.path();
        let sum = output(Command::new("sha256sum").arg(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !sum.starts_with(&name) {
            return Err(Trouble::Failed(format!("{} is partial", path.display())));
        }
    }
    Ok(())
}

fn unchanged(before: &BTreeMap<PathBuf, Vec<u8>>, deployed: &Deployed) -> Outcome {
    if before.is_empty() {
        return Err("nothing was published before".into());
    }
    if *before == published(deployed)? {
        return Ok(());
    }
    Err("the published configuration changed".into())
}

fn with(name: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Failed(text) => Trouble::Failed(format!("{name}: {text}")),
        missing @ Trouble::Missing(_) => missing,
    }
}
