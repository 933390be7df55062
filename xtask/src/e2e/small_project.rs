//! A small project that checks change and deploy many times, and what they compare afterwards.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::parts::{Parts, expect};
use crate::checks::{Outcome, Trouble, chain};

/// A project of small Python functions with one route each.
pub(crate) struct SmallProject<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) root: PathBuf,
    cache: String,
}

impl<'a> SmallProject<'a> {
    /// An empty project; projects of one cache share their base image.
    pub(crate) fn new(parts: &'a Parts, name: &str, cache: &str) -> Outcome<Self> {
        let root = parts.work.join("small").join(name);
        fs::create_dir_all(&root)?;
        fs::write(root.join("esb.toml"), "")?; // a root of its own
        Ok(Self { parts, root, cache: cache.to_owned() })
    }

    /// Writes a template with these functions, whose code holds `text`.
    pub(crate) fn write(&self, template: &str, functions: &[&str], text: &str) -> Outcome {
        let mut body = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
        for name in functions {
            let _ = writeln!(
                body,
                "  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
                 FunctionName: {lower}\n      Runtime: python3.13\n      Handler: app.handler\n      \
                 Timeout: 3\n      CodeUri: code/{lower}/\n      Events:\n        Http:\n          \
                 Type: Api\n          Properties: {{Path: /{lower}, Method: get}}",
                lower = name.to_lowercase()
            );
            let folder = self.root.join("code").join(name.to_lowercase());
            fs::create_dir_all(&folder)?;
            fs::write(
                folder.join("app.py"),
                format!("def handler(event, context):\n    return {text:?}\n"),
            )?;
        }
        Ok(fs::write(self.root.join(template), body)?)
    }

    /// `esb deploy -e dev` of this project with further arguments.
    pub(crate) fn deploy(&self, arguments: &[&str]) -> Command {
        let mut command = self.parts.esb_to_registry(&self.root, &self.cache);
        command.args(["deploy", "-e", "dev", "--format", "json"]).args(arguments);
        command
    }

    /// Deploys and gives the summary.
    pub(crate) fn deployed(&self, arguments: &[&str]) -> Outcome<serde_json::Value> {
        expect(&mut self.deploy(arguments), 0)?.json()
    }

    /// The merged configuration of the project.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join(".esb/staging/esb-dev/dev/config")
    }
}

/// The images that a folder's functions.yml names.
pub(crate) fn images(folder: &Path) -> Outcome<BTreeSet<String>> {
    let published = esb_config::read(folder).map_err(|error| Trouble::Failed(chain(&error)))?;
    let entries = published.config.functions.functions.into_values();
    Ok(entries.filter_map(|entry| Some(entry.image?.resolve(|_| None))).collect())
}

/// Functions that routes lead to and functions.yml does not have.
pub(crate) fn dead_routes(folder: &Path) -> Outcome<Vec<String>> {
    let config = esb_config::read(folder).map_err(|error| chain(&error))?.config;
    let targets = config.routing.routes.into_iter().map(|route| route.function);
    Ok(targets.filter(|name| !config.functions.functions.contains_key(name)).collect())
}

/// Fails unless the registry has all of these images.
pub(crate) fn exist(images: impl IntoIterator<Item = String>) -> Outcome {
    for image in images {
        let (registry, rest) = image.split_once('/').ok_or("an image without a registry")?;
        let (name, tag) = rest.rsplit_once(':').ok_or("an image without a tag")?;
        let accept = "application/vnd.oci.image.manifest.v1+json";
        let target = format!("/v2/{name}/manifests/{tag}");
        let answer = esb_test::request(
            registry,
            "HEAD",
            &target,
            &[("Accept", accept)],
            &[],
            Duration::from_secs(10),
        )?;
        if answer.status != 200 {
            return Err(Trouble::Failed(format!("{image} is published and does not exist")));
        }
    }
    Ok(())
}
