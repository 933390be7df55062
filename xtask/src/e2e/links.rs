//! Symbolic links that lead out of code and of layers: every engine, and `docker build` by hand,
//! gives the same image.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    deploy::{self, Deployed, Function},
    invoke::invoke,
    parts::{Parts, expect},
};
use crate::checks::{Outcome, Trouble};

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Linked:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: linked
      Runtime: python3.13
      Handler: app.handler
      CodeUri: functions/linked/
      Layers: [!Ref Shared]
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/shared}
";

const HANDLER: &str = "import json, os
from common import names, texts
from shared import words
def handler(event, context):
    here = os.path.dirname(__file__)
    links = {name: os.path.islink(os.path.join(here, name)) for name in ('common', 'version', 'main.py')}
    with open(os.path.join(here, 'version')) as file:
        return {'said': [names.NAME, texts.TEXT, words.WORD, file.read()], 'links': links}
";

/// A project with links to folders and files, in what they lead to, and in a layer.
fn write(root: &Path) -> Outcome {
    let files = [
        ("esb.toml", ""),
        ("template.yaml", TEMPLATE),
        ("functions/linked/app.py", HANDLER),
        ("functions/linked/.samignore", "common/tests\n"),
        ("common/__init__.py", ""),
        ("common/names.py", "NAME = 'common'\n"),
        ("common/tests/test_names.py", ""),
        ("texts/texts.py", "TEXT = 'one'\n"),
        ("VERSION", "7"),
        ("layers/shared/python/marker", ""),
        ("words/words.py", "WORD = 'layer'\n"),
    ];
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, text)?;
    }
    for (target, link) in [
        ("../../common", "functions/linked/common"),
        ("../../VERSION", "functions/linked/version"),
        ("app.py", "functions/linked/main.py"),
        ("../texts/texts.py", "common/texts.py"),
        ("../../../words", "layers/shared/python/shared"),
    ] {
        symlink(target, root.join(link))?;
    }
    Ok(())
}

fn deployed(parts: &Parts, root: &Path) -> Outcome<Deployed> {
    let mut command = parts.esb_to_registry(root, "links");
    deploy::finish(command.args(["deploy", "-e", "dev", "--format", "json"]), root.to_owned())
}

fn answer(parts: &Parts, deployed: &Deployed) -> Outcome<Value> {
    let Function { image, environment, .. } = &deployed.functions[0];
    parts.engine.output(["pull", "--quiet", image])?;
    invoke(&parts.engine, image, environment, &json!({}))
}

/// What the links lead to is in the image; a change behind one makes another image; the embedded
/// engine, the Docker engine and a person build the same.
pub(crate) fn are_followed(parts: &Parts) -> Outcome {
    let root = parts.work.join("projects/links");
    write(&root)?;
    let first = deployed(parts, &root)?;
    let expected = |text: &str| {
        json!({
            "said": ["common", text, "layer", "7"],
            "links": {"common": false, "version": false, "main.py": true},
        })
    };
    same(&expected("one"), &answer(parts, &first)?)?;
    deploy::engines_agree(parts, &first)?;
    deploy::docker_builder_agrees(parts, &first)?;
    if root.join(".esb/dev/functions/linked/code/common/tests").exists() {
        return Err(Trouble::Failed("what .samignore names came in through a link".into()));
    }

    fs::write(root.join("texts/texts.py"), "TEXT = 'two'\n")?;
    let second = deployed(parts, &root)?;
    same(&expected("two"), &answer(parts, &second)?)?;
    if deployed(parts, &root)?.digests != second.digests {
        return Err(Trouble::Failed("an unchanged project became another image".into()));
    }
    refused(parts, &root)
}

/// Links that must not be followed end a run before anything happened, with their path.
fn refused(parts: &Parts, root: &Path) -> Outcome {
    let elsewhere = root.parent().unwrap_or(root).join("links-elsewhere");
    fs::create_dir_all(&elsewhere)?;
    fs::write(elsewhere.join("data"), "elsewhere")?;
    let link = root.join("functions/linked/out");
    let command = |arguments: &[&str]| -> Command {
        let mut command = parts.esb_to_registry(root, "links");
        command.args(arguments);
        command
    };
    symlink("../../../links-elsewhere", &link)?;
    for arguments in [&["validate"][..], &["build", "-e", "dev"], &["deploy", "-e", "dev"]] {
        let said = expect(&mut command(arguments), 1)?;
        said.tells(&["esb::recipe::link-outside", "`functions/linked/out`", "follow-links"])?;
    }
    fs::write(root.join("esb.toml"), "[code]\nfollow-links = \"anywhere\"\n")?;
    expect(&mut command(&["build", "-e", "dev"]), 0)?;
    let copy = root.join(".esb/dev/functions/linked/code/out/data");
    same(&"elsewhere".into(), &fs::read_to_string(copy)?.into())?;
    fs::remove_file(&link)?;
    symlink("../..", &link)?;
    let said = expect(&mut command(&["build", "-e", "dev"]), 1)?;
    said.tells(&["esb::recipe::unusable-link", "`functions/linked/out`", "holds the link"])
}

fn same(expected: &Value, found: &Value) -> Outcome {
    if expected == found {
        return Ok(());
    }
    Err(Trouble::Failed(format!("{found} instead of {expected}")))
}
