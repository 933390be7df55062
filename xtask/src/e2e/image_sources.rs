//! Image functions whose image is not copied unchanged: one that gets a layer with the hooks, and
//! one that only the container engine has.

use std::{fs, path::Path, process::Command};

use esb_test::{LoggingProxy, Registry};
use serde_json::{Value, json};

use super::{
    hooks::{CLIENT_CONTEXT, TRACE_ID, bridge},
    invoke::{invoke, invoke_with},
    parts::{Parts, expect},
    sink::Sink,
    small_project::images,
    sync::equal,
};
use crate::{
    checks::{Outcome, Trouble, chain},
    command::run,
};

/// A start of the function's own beside that of the hooks.
const START: &str = "import os\nos.environ['STARTED'] = 'yes'\n";

const HANDLER: &str = "import logging, os\n\ndef handler(event, context):\n    \
                       logging.getLogger().warning('asked by %s', event['name'])\n    \
                       return {'said': 'hello ' + event['name'], \
                       'started': os.environ.get('STARTED')}\n";

/// A function on AWS's base, built by the engine's own client without anything of ours; gives its
/// name in the engine.
fn built(parts: &Parts, source: &Registry) -> Outcome<String> {
    let folder = parts.work.join("image-sources/context");
    fs::create_dir_all(&folder)?;
    let stand_in = parts.mirrors.iter().find_map(|mirror| mirror.split_once("=oci:"));
    let base = if let Some((_, layout)) = stand_in {
        let base = format!("{}/base/python:3.13", source.address());
        run(Command::new("skopeo")
            .args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"])
            .arg(format!("oci:{layout}:lambda/python:3.13"))
            .arg(format!("docker://{base}")))?;
        base
    } else {
        "public.ecr.aws/lambda/python:3.13".to_owned()
    };
    fs::write(folder.join("app.py"), HANDLER)?;
    fs::create_dir_all(folder.join("start"))?;
    fs::write(folder.join("start/sitecustomize.py"), START)?;
    let dockerfile = format!(
        "FROM {base}\nCOPY app.py /var/task/\nCOPY start /var/task/start\nCMD [\"app.handler\"]\n"
    );
    fs::write(folder.join("Dockerfile"), dockerfile)?;
    let name = format!("{}/acme/plain:1", source.address());
    let folder = folder.display().to_string();
    parts.engine.output(["build", "--quiet", "--tag", &name, &folder])?;
    Ok(name)
}

/// A project with one image function.
fn project(parts: &Parts, name: &str, image: &str) -> Outcome<std::path::PathBuf> {
    let root = parts.work.join("image-sources").join(name);
    fs::create_dir_all(&root)?;
    fs::write(root.join("esb.toml"), "")?;
    let template = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Job:\n    Type: \
         AWS::Serverless::Function\n    Properties: {{PackageType: Image, FunctionName: job, \
         ImageUri: '{image}', Environment: {{Variables: {{PYTHONPATH: /var/task/start}}}}}}\n"
    );
    fs::write(root.join("template.yaml"), template)?;
    Ok(root)
}

/// What was published for the one function.
fn published(root: &Path) -> Outcome<(String, Value)> {
    let folder = root.join(".esb/staging/esb-dev/dev/config");
    let image = images(&folder)?.pop_last().ok_or("no image was published")?;
    let file = fs::read(folder.join("image-import.json"))?;
    let file = serde_json::from_slice(&file).map_err(|error| error.to_string())?;
    Ok((image, file))
}

/// The published `PYTHONPATH` of the one function.
fn python_path(root: &Path) -> Outcome<String> {
    let folder = root.join(".esb/staging/esb-dev/dev/config");
    let config = esb_config::read(&folder).map_err(|error| chain(&error))?.config;
    let function = config.functions.functions.into_values().next().ok_or("no function")?;
    let value = function.environment.0.get("PYTHONPATH").ok_or("no PYTHONPATH")?;
    Ok(value.resolve(|_| None))
}

/// `--image-hooks`: one layer more, none of the image's own is read, and its records arrive.
pub(crate) fn hooks_are_added(parts: &Parts) -> Outcome {
    let folder = parts.work.join("image-sources");
    let source = Registry::start(&folder.join("source"))?;
    let target = Registry::start(&folder.join("target"))?;
    let name = built(parts, &source)?;
    parts.engine.output(["push", "--quiet", &name])?;
    let proxy = LoggingProxy::start(source.address())?;
    let to = LoggingProxy::start(target.address())?;
    let root = project(parts, "hooked", &format!("{}/acme/plain:1", proxy.address()))?;
    let deploy = |more: &[&str]| {
        let mut command = parts.esb(&root, "image-sources");
        command.env("CONTAINER_REGISTRY", target.address());
        command.env("HOST_REGISTRY_ADDR", to.address());
        command.args(["deploy", "-e", "dev", "--config-to", "none"]).args(more);
        command
    };
    expect(&mut deploy(&[]), 0)?;
    let (plain, file) = published(&root)?;
    equal("entry of the plain image", &json!(plain), &file["images"][0]["image_ref"])?;
    proxy.clear();
    to.clear();
    expect(&mut deploy(&["--image-hooks", "--dry-run"]), 0)?;
    equal("written by a dry run", &0, &to.count("PUT", ""))?;
    expect(&mut deploy(&["--image-hooks"]), 0)?;
    equal("layers read", &0, &proxy.count("GET", "/blobs/"))?;
    equal("blobs sent: hooks and config", &2, &to.count("PUT", "/blobs/uploads/"))?;
    let (hooked, file) = published(&root)?;
    equal("entries by hand", &json!([]), &file["images"])?;
    if !hooked.contains("-hooks-") || hooked == plain {
        return Err(Trouble::Failed(format!("functions.yml names `{hooked}`")));
    }
    to.clear();
    expect(&mut deploy(&["--image-hooks"]), 0)?;
    equal("sent by a second deploy", &0, &to.count("PUT", ""))?;
    expect(parts.esb(&root, "image-sources").args(["image", "verify", "-e", "dev"]), 0)?;

    parts.engine.output(["pull", "--quiet", &hooked])?;
    let sink = Sink::start(&bridge(&parts.engine)?)?;
    let path = python_path(&root)?;
    equal("PYTHONPATH", &"/opt/esb/python:/var/task/start".to_owned(), &path)?;
    let environment = [
        ("PYTHONPATH".to_owned(), path),
        ("VICTORIALOGS_URL".to_owned(), sink.url().to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME".to_owned(), "job".to_owned()),
    ];
    let headers = [("X-Amz-Client-Context", CLIENT_CONTEXT)];
    let event = json!({"name": "Ada"});
    let answer = invoke_with(&parts.engine, &hooked, &environment, &headers, &event)?;
    equal("answer", &json!({"said": "hello Ada", "started": "yes"}), &answer)?;
    let found = sink.wait(|record| record["message"] == "asked by Ada");
    let [record] = found.as_slice() else {
        return Err(Trouble::Failed(format!("the record arrived {} times", found.len())));
    };
    equal("trace", &json!(TRACE_ID), &record["trace_id"])
}

/// An image that no registry has is exported from the engine, once.
pub(crate) fn only_in_engine(parts: &Parts) -> Outcome {
    let folder = parts.work.join("image-sources");
    let source = Registry::start(&folder.join("bases"))?;
    let target = Registry::start(&folder.join("local-target"))?;
    let name = built(parts, &source)?;
    let local = "127.0.0.1:9/acme/local:1";
    parts.engine.output(["tag", &name, local])?;
    let to = LoggingProxy::start(target.address())?;
    let root = project(parts, "local", local)?;
    let deploy = |more: &[&str]| {
        let mut command = parts.esb(&root, "image-sources-local");
        command.env("CONTAINER_REGISTRY", target.address());
        command.env("HOST_REGISTRY_ADDR", to.address());
        command.args(["deploy", "-e", "dev", "--config-to", "none"]).args(more);
        command
    };
    expect(&mut deploy(&["--dry-run"]), 0)?;
    equal("written by a dry run", &0, &to.count("PUT", ""))?;
    expect(&mut deploy(&[]), 0)?;
    let (image, file) = published(&root)?;
    equal("source", &json!(local), &file["images"][0]["image_source"])?;
    parts.engine.output(["pull", "--quiet", &image])?;
    let answer = invoke(&parts.engine, &image, &[], &json!({"name": "Bob"}))?;
    equal("answer", &json!({"said": "hello Bob", "started": null}), &answer)?;
    to.clear();
    let second = expect(&mut deploy(&["--format", "json"]), 0)?;
    equal("sent by a second deploy", &0, &to.count("PUT", ""))?;
    equal("action", &json!("skipped"), &second.json()?["images"][0]["action"])?;
    if second.stderr.contains("taken from the container engine") {
        return Err("the second deploy exported the image again".into());
    }
    // By hand into another registry: the export is the same, or its digest would not fit.
    let other = Registry::start(&folder.join("other-target"))?;
    let file = ".esb/dev/config/image-import.json";
    let mut import = parts.esb(&root, "image-sources-other");
    expect(import.args(["image", "import", file, "--push-registry", other.address()]), 0)?;
    parts.engine.output(["image", "rm", local])?;
    expect(&mut deploy(&[]), 4)?.tells(&["IMAGE_PULL_FAILED", local])
}
