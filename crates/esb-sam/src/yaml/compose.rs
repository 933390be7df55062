//! Builds the tree of a document from the events of the YAML parser, within limits.
//!
//! The only file that names the parser's crate. Everything is counted before it is built; the
//! parser is pulled, so nothing here recurses.

use std::{borrow::Cow, collections::HashMap, ops::Range, rc::Rc};

use esb_model::{Finding, Severity, SourceId};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, StructureStyle, Tag};

use super::{
    fault::Fault,
    merge::{Duplicate, last_wins, merge, merge_sources},
    node::{MapEntry, Node, NodeKind, NodePlace, Style},
    texts::Texts,
};
use crate::{codes, findings::quote, limits::Limits};

/// Why a text is no usable document.
#[derive(Debug, thiserror::Error)]
#[error("{}", finding.message)]
pub(crate) struct Error {
    finding: Box<Finding>,
    /// Nodes that were made before, for a budget that several documents share.
    pub(crate) nodes: usize,
}

impl Error {
    fn syntax(place: NodePlace, message: impl Into<String>) -> Self {
        Self::new(Finding::new(Severity::Error, codes::SYNTAX, place.span(), message))
    }

    fn limit(place: NodePlace, message: String) -> Self {
        Self::new(Finding::new(Severity::Error, codes::LIMIT, place.span(), message))
    }

    fn new(finding: Finding) -> Self {
        Self { finding: Box::new(finding), nodes: 0 }
    }

    fn help(mut self, help: &str) -> Self {
        self.finding.help = Some(help.into());
        self
    }

    pub(crate) fn into_finding(self) -> Finding {
        *self.finding
    }
}

/// The tree of one document, with its findings.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) root: Rc<Node>,
    /// Nodes of the tree, repeated ones counted as often as they stand.
    pub(crate) nodes: usize,
    pub(crate) findings: Vec<Finding>,
}

/// Reads exactly one document of at most `budget` nodes.
pub(crate) fn compose(
    source: SourceId,
    text: &str,
    limits: &Limits,
    budget: usize,
) -> Result<Document, Error> {
    let at = |start, end| NodePlace::new(source, start, end);
    if let Some((offset, c)) = first_unprintable(text) {
        let message =
            format!("the control character U+{:04X} is not allowed in YAML", u32::from(c));
        return Err(Error::syntax(at(offset, offset + c.len_utf8()), message));
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
        block_scalar_eof_without_line_feed: true,
    };
    let mut composer = Composer::new(source, limits, budget);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let offset = error.marker().byte_offset().unwrap_or(text.len());
            match error.kind() {
                ErrorKind::RecursionLimitExceeded => too_deep(at(offset, offset), limits),
                kind => {
                    let bracket = composer.open.last().and_then(|frame| frame.bracket);
                    Error::new(Fault::new(source, text, offset, bracket).finding(kind))
                }
            }
        })?;
        let range = span.byte_range().unwrap_or_default();
        let place = match span.tag_start().and_then(|mark| mark.byte_offset()) {
            Some(tag) => at(tag.min(range.start), range.end.max(range.start)),
            None => at(range.start, range.end),
        };
        composer
            .event(event, place, range)
            .map_err(|error| Error { nodes: composer.nodes, ..error })?;
    }
    let root =
        composer.root.take().ok_or_else(|| Error::syntax(at(0, 0), "the template is empty"))?;
    Ok(Document { root, nodes: composer.nodes, findings: composer.findings() })
}

/// The first character that PyYAML's reader refuses.
fn first_unprintable(text: &str) -> Option<(usize, char)> {
    let printable = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        _ => !c.is_control(),
    };
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r')) {
        return None;
    }
    text.char_indices().find(|(_, c)| !printable(*c))
}

/// A container whose end has not come yet.
#[derive(Debug)]
struct Frame {
    place: NodePlace,
    wrap: Option<Wrap>,
    /// Where its bracket is, if it has one.
    bracket: Option<usize>,
    anchor: usize,
    /// Nodes that were counted before this one.
    before: usize,
    /// Containers below this one.
    height: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Seq(Vec<Rc<Node>>),
    Map { entries: Vec<MapEntry>, key: Option<(Rc<str>, NodePlace, bool)>, merges: Vec<Rc<Node>> },
}

/// What a tag makes of its node.
#[derive(Debug)]
enum Wrap {
    /// `!Ref x` is a map with this one key.
    Call(Rc<str>),
}

/// A complete node that an alias may repeat.
#[derive(Debug, Clone)]
struct Anchor {
    node: Rc<Node>,
    nodes: usize,
    height: usize,
}

#[derive(Debug)]
struct Composer<'a> {
    source: SourceId,
    limits: &'a Limits,
    /// The most nodes.
    budget: usize,
    texts: Texts,
    open: Vec<Frame>,
    /// How many of them a tag wraps.
    wraps: usize,
    anchors: HashMap<usize, Anchor>,
    /// Nodes of the tree so far, repeated ones counted as often as they stand.
    nodes: usize,
    /// Those that aliases and merge keys added.
    copied: usize,
    duplicates: Vec<Duplicate>,
    extensions: Vec<(NodePlace, &'static str)>,
    root: Option<Rc<Node>>,
    documents: usize,
}

impl<'a> Composer<'a> {
    fn new(source: SourceId, limits: &'a Limits, budget: usize) -> Self {
        Self {
            source,
            limits,
            budget,
            texts: Texts::default(),
            open: Vec::new(),
            wraps: 0,
            anchors: HashMap::new(),
            nodes: 0,
            copied: 0,
            duplicates: Vec::new(),
            extensions: Vec::new(),
            root: None,
            documents: 0,
        }
    }

    fn event(
        &mut self,
        event: Event<'_>,
        place: NodePlace,
        range: Range<usize>,
    ) -> Result<(), Error> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a template is one YAML document, but a second one starts here";
                    return Err(Error::syntax(place, message));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                // The parser puts `~` where nothing stands.
                let text = if range.is_empty() { Cow::Borrowed("") } else { text };
                self.scalar(&text, style, anchor, tag.as_deref(), place)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.start(Content::Seq(Vec::new()), anchor, tag.as_deref(), place)?;
                self.note_bracket(style, range.start);
            }
            Event::MappingStart(style, anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), key: None, merges: Vec::new() };
                self.start(content, anchor, tag.as_deref(), place)?;
                self.note_bracket(style, range.start);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place)?,
            Event::Alias(id) => self.alias(id, place)?,
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: NodePlace,
    ) -> Result<(), Error> {
        if text.len() > self.limits.scalar_bytes {
            let message = format!("a value has more than {} bytes", self.limits.scalar_bytes);
            return Err(Error::limit(place, message));
        }
        let before = self.nodes;
        self.count(1, place)?;
        let plain = style == ScalarStyle::Plain;
        let mut style = if plain { Style::Plain } else { Style::Text };
        let mut wrap = None;
        match tag.map(tag_meaning) {
            None => {}
            Some(TagMeaning::Plain) => style = Style::Plain,
            Some(TagMeaning::Text) => style = Style::Text,
            Some(TagMeaning::Special(words)) => {
                style = Style::Text;
                self.extensions.push((place, words));
            }
            Some(TagMeaning::Call(key)) => {
                style = Style::Text;
                self.count(2, place)?;
                wrap = Some(Wrap::Call(key));
            }
            Some(TagMeaning::Refused(tag)) => return Err(refused_tag(place, &tag)),
        }
        let text = self.texts.share(text);
        let node = Rc::new(Node { place, kind: NodeKind::Scalar { text, style } });
        let height = usize::from(wrap.is_some());
        self.finish(node, wrap, anchor, before, height, plain)
    }

    fn start(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        place: NodePlace,
    ) -> Result<(), Error> {
        let before = self.nodes;
        self.count(1, place)?;
        let mut wrap = None;
        match tag.map(tag_meaning) {
            None | Some(TagMeaning::Plain | TagMeaning::Text) => {}
            Some(TagMeaning::Special(words)) => self.extensions.push((place, words)),
            Some(TagMeaning::Call(key)) => {
                self.count(2, place)?;
                wrap = Some(Wrap::Call(key));
            }
            Some(TagMeaning::Refused(tag)) => return Err(refused_tag(place, &tag)),
        }
        if let Some(Frame { content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Error::syntax(place, "a key must be text, not a list or a map")
                .help("put a value such as `{{…}}` in quotes"));
        }
        self.wraps += usize::from(wrap.is_some());
        self.open.push(Frame { place, wrap, bracket: None, anchor, before, height: 0, content });
        self.check_depth(0, place)
    }

    fn note_bracket(&mut self, style: StructureStyle, start: usize) {
        if let Some(frame) = self.open.last_mut() {
            frame.bracket = (style == StructureStyle::Flow).then_some(start);
        }
    }

    fn end(&mut self, end: NodePlace) -> Result<(), Error> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        self.wraps -= usize::from(frame.wrap.is_some());
        let start = frame.place.span();
        let place = NodePlace::new(self.source, start.start, end.span().end.max(start.start));
        let kind = match frame.content {
            Content::Seq(items) => NodeKind::Seq(items.into()),
            Content::Map { entries, merges, .. } => {
                let entries = last_wins(entries, &mut self.duplicates);
                let entries = if merges.is_empty() { entries } else { merge(entries, &merges) };
                NodeKind::Map(entries.into())
            }
        };
        let node = Rc::new(Node { place, kind });
        let height = frame.height + 1 + usize::from(frame.wrap.is_some());
        self.finish(node, frame.wrap, frame.anchor, frame.before, height, false)
    }

    fn alias(&mut self, id: usize, place: NodePlace) -> Result<(), Error> {
        // Only complete nodes are known, so `&a [*a]` ends here.
        let Some(Anchor { node, nodes, height }) = self.anchors.get(&id).cloned() else {
            return Err(Error::syntax(place, "an alias is inside the value that it repeats"));
        };
        self.extensions.push((place, "an alias"));
        self.copied = self.copied.saturating_add(nodes);
        let before = self.nodes;
        self.count(nodes, place)?;
        self.check_depth(height, place)?;
        self.finish(node, None, 0, before, height, false)
    }

    /// Hands a complete node to its container.
    fn finish(
        &mut self,
        node: Rc<Node>,
        wrap: Option<Wrap>,
        anchor: usize,
        before: usize,
        height: usize,
        plain: bool,
    ) -> Result<(), Error> {
        let place = node.place;
        let node = match wrap {
            None => node,
            Some(Wrap::Call(key)) => {
                self.check_depth(1, place)?;
                Node::map(place, vec![MapEntry { key, place, value: node }])
            }
        };
        if anchor > 0 {
            let nodes = self.nodes - before;
            self.anchors.insert(anchor, Anchor { node: node.clone(), nodes, height });
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.height = frame.height.max(height);
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map { key: key @ None, .. } => {
                let NodeKind::Scalar { text, .. } = &node.kind else {
                    return Err(Error::syntax(place, "a key must be text, not a list or a map")
                        .help("put a value such as `{{…}}` in quotes"));
                };
                *key = Some((text.clone(), place, plain));
            }
            Content::Map { entries, key, merges } => {
                let (key, key_place, plain) = key.take().expect("the other arm took maps without");
                if plain
                    && &*key == "<<"
                    && let Some(sources) = merge_sources(&node)
                {
                    let added =
                        sources.iter().filter_map(|source| source.entries()).map(<[_]>::len);
                    let added = added.sum::<usize>().saturating_mul(2);
                    merges.extend(sources);
                    self.extensions.push((key_place, "a merge key"));
                    self.copied = self.copied.saturating_add(added);
                    return self.count(added, key_place);
                }
                entries.push(MapEntry { key, place: key_place, value: node });
            }
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, place: NodePlace) -> Result<(), Error> {
        self.nodes = self.nodes.saturating_add(nodes);
        let written = self.nodes.saturating_sub(self.copied);
        let expanded = self.copied > 10_000
            && self.copied > written.saturating_mul(self.limits.expansion_ratio);
        if expanded {
            let message = "aliases make the template far larger than its text".to_owned();
            return Err(Error::limit(place, message));
        }
        if self.nodes > self.budget {
            let message = format!("the template has more than {} values", self.limits.nodes);
            return Err(Error::limit(place, message));
        }
        Ok(())
    }

    fn check_depth(&self, below: usize, place: NodePlace) -> Result<(), Error> {
        if self.open.len() + self.wraps + below > self.limits.depth {
            return Err(too_deep(place, self.limits));
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        const MOST: usize = 1_000;
        let repeated = self.duplicates.iter().take(MOST).map(|duplicate| {
            let message =
                format!("the key {} is repeated; the last one counts", quote(&duplicate.key));
            Finding::new(Severity::Warning, codes::DUPLICATE_KEY, duplicate.last.span(), message)
                .label("this one is used")
                .related(duplicate.first.span(), "this one is ignored")
        });
        let extended = self.extensions.first().into_iter().map(|(place, words)| {
            let message = format!("{words} is accepted here, but CloudFormation refuses it");
            Finding::new(Severity::Warning, codes::YAML_EXTENSION, place.span(), message)
        });
        repeated.chain(extended).collect()
    }
}

fn too_deep(place: NodePlace, limits: &Limits) -> Error {
    Error::limit(place, format!("lists and maps are nested more than {} deep", limits.depth))
}

enum TagMeaning {
    /// The text decides.
    Plain,
    /// Always a string; for containers, what they are anyway.
    Text,
    /// Accepted by SAM CLI, refused by CloudFormation.
    Special(&'static str),
    Call(Rc<str>),
    Refused(String),
}

fn tag_meaning(tag: &Tag) -> TagMeaning {
    if let Some(name) = tag.suffix_in_namespace("tag:yaml.org,2002:") {
        return match &*name {
            "str" | "timestamp" | "map" | "seq" => TagMeaning::Text,
            "int" | "float" | "bool" | "null" => TagMeaning::Plain,
            "binary" => TagMeaning::Special("the tag `!!binary`"),
            "set" => TagMeaning::Special("the tag `!!set`"),
            "omap" => TagMeaning::Special("the tag `!!omap`"),
            "pairs" => TagMeaning::Special("the tag `!!pairs`"),
            _ => TagMeaning::Refused(tag.original()),
        };
    }
    if tag.handle() != "!" && !(tag.handle().is_empty() && tag.suffix().starts_with('!')) {
        return TagMeaning::Refused(tag.original());
    }
    match tag.suffix().trim_start_matches('!') {
        "" => TagMeaning::Text,
        name @ ("Ref" | "Condition") => TagMeaning::Call(name.into()),
        name => TagMeaning::Call(format!("Fn::{name}").into()),
    }
}

fn refused_tag(place: NodePlace, tag: &str) -> Error {
    Error::syntax(place, format!("the tag {} has no meaning in a template", quote(tag)))
        .help("use plain values, or a short form such as `!Sub`")
}
