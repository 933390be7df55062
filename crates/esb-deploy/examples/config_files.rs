//! From a template to the platform's files, in a program of one's own: no registry, no engine.
//!
//! `config_files TEMPLATE [KEY=VALUE …]` prints one JSON document: the files' texts by name, and what
//! was found. Images are named as if somebody else had built them.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
};

use esb_config::{PublishedImage, RenderSettings, render};
use esb_model::{SourceMap, TemplateId};
use esb_sam::{NoLoader, Options, parse};
use serde_json::json;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "template.yaml".to_owned());
    let mut options = Options::default();
    for (key, value) in arguments.filter_map(|argument| {
        argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
    }) {
        options.parameters.insert(key, value);
    }
    let mut sources = SourceMap::default();
    let text = fs::read_to_string(&path)?;
    let parsed = parse(&mut sources, TemplateId(0), &path, &text, &options, &NoLoader);

    let app = parsed.application;
    let image = |name: &str| PublishedImage {
        reference: format!("registry:5010/{}:latest", name.to_lowercase()),
        digest: format!("sha256:{}", "0".repeat(64)),
        ..PublishedImage::default()
    };
    let ids = app.functions.iter().map(|function| function.id.clone());
    let images: BTreeMap<_, _> = ids.map(|id| (id.clone(), image(&id.logical_id))).collect();
    let rendered = render(&app, &images, &RenderSettings::default());

    let findings = parsed.findings.iter().chain(&rendered.findings);
    let document = json!({
        "files": {
            "functions.yml": rendered.config.functions.to_yaml(),
            "routing.yml": rendered.config.routing.to_yaml(),
            "resources.yml": rendered.config.resources.to_yaml(),
        },
        "findings": findings.map(|finding| finding.message.clone()).collect::<Vec<_>>(),
    });
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &document)?;
    writeln!(out)
}
