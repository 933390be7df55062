//! Templates in, applications and findings out: tables over the public interface.

mod conditions;
#[cfg(feature = "fuzz")]
mod corpus;
mod events;
mod faults;
mod files;
mod functions;
mod globals;
mod hostile;
mod intrinsics;
mod loops;
mod parameters;
mod references;
mod resources;
mod yaml;

use std::collections::BTreeMap;

use esb_model::{EnvValue, Function, Remedy, SourceMap, TemplateId};
use esb_sam::{NoLoader, Options, Parsed, parse};

/// Reads a template with nothing around it.
fn read(text: &str) -> Parsed {
    read_with(text, &Options::default())
}

fn read_with(text: &str, options: &Options) -> Parsed {
    let mut sources = SourceMap::default();
    parse(&mut sources, TemplateId(0), "t.yaml", text, options, &NoLoader)
}

/// `code line:column message` of every finding.
fn findings(text: &str) -> Vec<String> {
    findings_with(text, &Options::default())
}

fn findings_with(text: &str, options: &Options) -> Vec<String> {
    let mut sources = SourceMap::default();
    let parsed = parse(&mut sources, TemplateId(0), "t.yaml", text, options, &NoLoader);
    let place =
        |span| sources.locate(span).map_or_else(String::new, |(_, place)| place.to_string());
    let describe = |finding: esb_model::Finding| {
        let place = finding.span.map(place).unwrap_or_default();
        let code = finding.code.0.trim_start_matches("esb::");
        let help = match &finding.help {
            Some(Remedy::Advice(advice)) => format!(" ({advice})"),
            Some(help) => format!(" ({help:?})"),
            None => String::new(),
        };
        format!("{} {code} {place} {}{help}", finding.severity, finding.message)
    };
    parsed.findings.into_iter().map(describe).collect()
}

/// A function of a template.
fn function(text: &str, id: &str) -> Function {
    let parsed = read(text);
    let found = parsed.application.functions.iter().find(|f| f.id.logical_id == id);
    found.unwrap_or_else(|| panic!("no function {id}: {:?}", parsed.findings)).clone()
}

/// An environment as text: symbolic values in `<…>`, secrets as `****`.
fn shown(environment: &BTreeMap<String, EnvValue>) -> BTreeMap<String, String> {
    let show = |value: &EnvValue| match value {
        EnvValue::Known(text) => text.clone(),
        EnvValue::Secret(secret) => secret.to_string(),
        EnvValue::Symbolic(text) => format!("<{text}>"),
    };
    environment.iter().map(|(name, value)| (name.clone(), show(value))).collect()
}
