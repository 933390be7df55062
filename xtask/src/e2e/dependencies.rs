//! A package without a wheel, from an index that requires a password: pip builds it in the engine.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    invoke::invoke,
    listen::listen,
    parts::{Parts, expect},
};
use crate::{
    checks::{Outcome, Trouble},
    command::output,
};

pub(crate) const SECRET: &str = "hunter2";
/// `u:hunter2`, as a client says it.
const AUTHORIZATION: &str = "Basic dTpodW50ZXIy";

/// A project with a function that needs such a package, and the address of the index that has it,
/// with the password.
pub(crate) fn project(parts: &Parts, copy: &str) -> Outcome<(PathBuf, String)> {
    let project = parts.fixture("source-package", copy)?;
    let archive = project.join("onlysource-1.0.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--gzip").arg("--file").arg(&archive).current_dir(&project);
    output(tar.args(["--transform", "s,^package,onlysource-1.0,", "package"]))?;
    let content = fs::read(&archive)?;
    let index = listen("127.0.0.1", move |stream| serve(stream, &content))?;
    Ok((project, format!("http://u:{SECRET}@{index}/simple/")))
}

/// Deploys, asks, and looks for the password where it must not be.
pub(crate) fn built_in_the_engine(parts: &Parts) -> Outcome {
    let (project, index) = project(parts, "source-package")?;
    let run = |cache: &str, more: &[&str]| {
        let mut command = parts.esb_to_registry(&project, cache);
        command.env("PIP_INDEX_URL", &index);
        command.env_remove("PIP_FIND_LINKS");
        command.args(["deploy", "-e", "dev", "--format", "json", "-v"]).args(more);
        command
    };
    let refused = expect(&mut run("source-package-0", &["--builder", "embedded"]), 3)?;
    refused.tells(&["no wheel of `onlysource", "--builder auto"])?;

    let said = expect(&mut run("source-package", &[]), 0)?;
    said.tells(&["pip runs in the container engine"])?;
    let document = said.json()?;
    let images = document["images"].as_array().into_iter().flatten();
    let mut names = images.filter_map(|image| image["reference"].as_str());
    let image = names.rfind(|name| name.contains("/esb-built"));
    let image = image.ok_or_else(|| Trouble::Failed(format!("no image in {document}")))?;
    parts.engine.output(["pull", "--quiet", image])?;
    let answer = invoke(&parts.engine, image, &[], &json!({"word": "hi"}))?;
    if answer != json!({"built on": "3.13", "said": "hi"}) {
        return Err(Trouble::Failed(format!("`{image}` answered {answer}")));
    }

    let history = parts.engine.output(["history", "--no-trunc", image])?;
    let config = parts.engine.output(["image", "inspect", image])?;
    let texts = [refused.stderr, said.stdout.clone(), said.stderr.clone(), history, config];
    if let Some(text) = texts.iter().find(|text| text.contains(SECRET)) {
        return Err(Trouble::Failed(format!("the password was said:\n{text}")));
    }
    for folder in [parts.work.join("caches/source-package"), project.join(".esb")] {
        nowhere(&folder)?;
    }
    // The installation is known by the index's address, and not by the password in it.
    let lock = fs::read_to_string(project.join("esb.lock"))?;
    if !lock.contains("\"onlysource==1.0\"") {
        return Err(Trouble::Failed(format!("the package is not pinned:\n{lock}")));
    }
    let mut again = run("source-package", &["--locked"]);
    let other = index.replace(SECRET, "forgotten");
    let again = expect(again.env("PIP_INDEX_URL", other), 0)?;
    if again.stderr.contains("container engine") {
        return Err(Trouble::Failed(format!("it was built again:\n{}", again.stderr)));
    }
    Ok(())
}

/// Fails when a file below a folder holds the password.
pub(crate) fn nowhere(folder: &Path) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            nowhere(&path)?;
        } else if path.is_file() {
            let bytes = fs::read(&path)?;
            if bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                return Err(Trouble::Failed(format!("the password is in {}", path.display())));
            }
        }
    }
    Ok(())
}

/// Answers a client of an index of one package.
fn serve(mut stream: &TcpStream, archive: &[u8]) -> std::io::Result<()> {
    let (mut path, mut allowed) = (String::new(), false);
    for line in BufReader::new(stream).lines().take(100) {
        let line = line?;
        if path.is_empty() {
            line.split(' ').nth(1).unwrap_or("/").clone_into(&mut path);
        }
        allowed |=
            line.to_ascii_lowercase().starts_with("authorization:") && line.contains(AUTHORIZATION);
        if line.is_empty() {
            break;
        }
    }
    let page = b"<a href=\"/files/onlysource-1.0.tar.gz\">onlysource-1.0.tar.gz</a>\n";
    let (status, kind, body) = match &*path {
        _ if !allowed => ("401 Unauthorized\r\nWWW-Authenticate: Basic", "text/plain", &b""[..]),
        "/simple/onlysource/" => ("200 OK", "text/html", &page[..]),
        "/files/onlysource-1.0.tar.gz" => ("200 OK", "application/gzip", archive),
        _ => ("404 Not Found", "text/plain", &b""[..]),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}
