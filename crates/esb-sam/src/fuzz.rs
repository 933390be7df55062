//! Invariants that hold for any input, as checks for fuzz targets and tests.
//!
//! Only there with the feature `fuzz`. Gives, for each input, the traits that tell a new kind of
//! behaviour from one that was seen before; a fuzzer keeps inputs with new traits.

use std::{collections::BTreeSet, rc::Rc};

use esb_model::{Finding, Remedy, SourceMap, Span, TemplateId};

use crate::{
    Limits, Loader, Options, parse,
    yaml::{self, Node, NodeKind},
};

/// Names of the behaviours that an input causes; inputs that are handled alike have equal ones.
pub type Traits = BTreeSet<String>;

/// Parses a text as YAML and checks the tree.
///
/// # Errors
/// Says which invariant is broken.
pub fn compose(text: &str) -> Result<Traits, String> {
    let mut sources = SourceMap::default();
    let source = sources.add("t", text);
    let limits = Limits::default();
    let mut traits = Traits::new();
    match yaml::compose(source, text, &limits, limits.nodes) {
        Ok(document) => {
            if document.nodes > limits.nodes {
                return Err("the composer counts more nodes than the limit".to_owned());
            }
            let mut walk = Walk { limits: &limits, sources: &sources, left: limits.nodes, traits };
            walk.node(&document.root, 1)?;
            traits = walk.traits;
            document.findings.iter().try_for_each(|own| finding(own, &sources, &mut traits))?;
        }
        Err(error) => finding(&error.into_finding(), &sources, &mut traits)?,
    }
    Ok(traits)
}

/// Reads a template and checks the result.
///
/// # Errors
/// Says which invariant is broken.
pub fn read(text: &str, options: &Options, loader: &dyn Loader) -> Result<Traits, String> {
    let mut traits = Traits::new();
    let mut sources = SourceMap::default();
    let parsed = parse(&mut sources, TemplateId(0), "t.yaml", text, options, loader);
    if !parsed.readable && !parsed.has_errors() {
        return Err("an unreadable text has no error".to_owned());
    }
    if parsed.findings.len() > 2 * options.limits.findings + 1 {
        return Err(format!("{} findings are more than the limit", parsed.findings.len()));
    }
    parsed.findings.iter().try_for_each(|own| finding(own, &sources, &mut traits))?;
    for hidden in parsed.parameters.iter().filter(|parameter| parameter.no_echo) {
        let value = options.parameters.get(&hidden.name);
        if value.is_some_and(|value| value.len() > 8 && !text.contains(&**value))
            && let Some(value) = value
            && format!("{parsed:?}").contains(value)
        {
            return Err(format!("the value of `{}` is shown", hidden.name.escape_debug()));
        }
    }
    let again = parse(&mut SourceMap::default(), TemplateId(0), "t.yaml", text, options, loader);
    if again != parsed {
        return Err("reading twice gives different results".to_owned());
    }
    let app = &parsed.application;
    for (what, count) in [
        ("functions", app.functions.len()),
        ("layers", app.layers.len()),
        ("routes", app.routes.len()),
        ("schedules", app.schedules.len()),
        ("triggers", app.triggers.len()),
        ("tables", app.tables.len()),
        ("buckets", app.buckets.len()),
        ("parameters", parsed.parameters.len()),
    ] {
        traits.insert(format!("{what} {}", count.checked_ilog2().map_or(0, |log| log + 1)));
    }
    Ok(traits)
}

/// A tree, visited within its own limits.
struct Walk<'a> {
    limits: &'a Limits,
    sources: &'a SourceMap,
    left: usize,
    traits: Traits,
}

impl Walk<'_> {
    fn node(&mut self, node: &Rc<Node>, depth: usize) -> Result<(), String> {
        self.left = self.left.checked_sub(1).ok_or("the tree has more nodes than the limit")?;
        place(node.span(), self.sources)?;
        match &node.kind {
            NodeKind::Scalar { text, style } => {
                if text.len() > self.limits.scalar_bytes {
                    return Err("a scalar is longer than the limit".to_owned());
                }
                self.traits.insert(format!("{style:?}"));
                return Ok(());
            }
            _ if depth > self.limits.depth => return Err("the tree is too deep".to_owned()),
            NodeKind::Seq(items) => items.iter().try_for_each(|item| self.node(item, depth + 1))?,
            NodeKind::Map(entries) => {
                let mut keys = BTreeSet::new();
                for entry in entries {
                    place(entry.place.span(), self.sources)?;
                    if !keys.insert(&entry.key) {
                        return Err(format!("the key `{}` is there twice", entry.key));
                    }
                    self.node(&entry.value, depth + 1)?;
                }
            }
        }
        self.traits.insert(format!("depth {depth}"));
        Ok(())
    }
}

fn finding(finding: &Finding, sources: &SourceMap, traits: &mut Traits) -> Result<(), String> {
    let texts = finding.related.iter().map(|(_, words)| words);
    let texts = texts.chain(&finding.label).chain([&finding.message]);
    let help = finding.help.as_ref().and_then(Remedy::advice);
    for text in texts.map(String::as_str).chain(help) {
        if text.contains(char::is_control) {
            return Err(format!("a finding holds a control character: {text:?}"));
        }
    }
    let related = finding.related.iter().map(|(span, _)| *span);
    finding.span.into_iter().chain(related).try_for_each(|span| place(span, sources))?;
    // The words before and after what is quoted of the input.
    let message = &finding.message;
    let before = message.split('`').next().unwrap_or_default();
    let after = message.rsplit('`').next().filter(|after| after.len() < message.len());
    let words = format!("{} {before}…{}", finding.code, after.unwrap_or_default());
    traits.insert(words.replace(|c: char| c.is_ascii_digit(), ""));
    Ok(())
}

/// A place lies in its source and between characters.
fn place(span: Span, sources: &SourceMap) -> Result<(), String> {
    let text = &sources.get(span.source).ok_or("a place is in no source")?.text;
    match text.get(span.start..span.end) {
        Some(_) => Ok(()),
        None => Err(format!("{}..{} is no place in the text", span.start, span.end)),
    }
}
