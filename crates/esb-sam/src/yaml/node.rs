//! The tree of a document: uninterpreted scalars, shared subtrees, and the position of each node.

use std::rc::Rc;

use esb_model::{SourceId, Span};

/// A range of bytes of a source, in half the space of a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NodePlace {
    source: SourceId,
    start: u32,
    end: u32,
}

/// One value of a document. Aliases and merged globals share subtrees, so the tree is a graph
/// without cycles whose depth is limited.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: NodePlace,
    pub(crate) kind: NodeKind,
}

#[derive(Debug)]
pub(crate) enum NodeKind {
    /// Text after unescaping and folding, not yet given a meaning.
    Scalar {
        text: Rc<str>,
        style: Style,
    },
    Seq(Box<[Rc<Node>]>),
    /// Keys are distinct.
    Map(Box<[MapEntry]>),
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Its meaning depends on its text.
    Plain,
    /// Quoted, a block, or tagged as text: always a string.
    Text,
}

/// One key of a map with its value.
#[derive(Debug, Clone)]
pub(crate) struct MapEntry {
    pub(crate) key: Rc<str>,
    pub(crate) place: NodePlace,
    pub(crate) value: Rc<Node>,
}

impl NodePlace {
    /// A range of a source; offsets beyond 4 GiB, which no accepted source has, are cut.
    pub(crate) fn new(source: SourceId, start: usize, end: usize) -> Self {
        let cut = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { source, start: cut(start), end: cut(end.max(start)) }
    }

    pub(crate) fn span(self) -> Span {
        Span { source: self.source, start: self.start as usize, end: self.end as usize }
    }
}

impl Node {
    /// A string that stands at a place without being written there.
    pub(crate) fn text(place: NodePlace, text: impl Into<Rc<str>>) -> Rc<Self> {
        Rc::new(Self { place, kind: NodeKind::Scalar { text: text.into(), style: Style::Text } })
    }

    pub(crate) fn seq(place: NodePlace, items: Vec<Rc<Self>>) -> Rc<Self> {
        Rc::new(Self { place, kind: NodeKind::Seq(items.into()) })
    }

    pub(crate) fn map(place: NodePlace, entries: Vec<MapEntry>) -> Rc<Self> {
        Rc::new(Self { place, kind: NodeKind::Map(entries.into()) })
    }

    pub(crate) fn span(&self) -> Span {
        self.place.span()
    }

    /// The entries, when this is a map.
    pub(crate) fn entries(&self) -> Option<&[MapEntry]> {
        match &self.kind {
            NodeKind::Map(entries) => Some(entries),
            NodeKind::Scalar { .. } | NodeKind::Seq(_) => None,
        }
    }

    /// The items, when this is a sequence.
    pub(crate) fn items(&self) -> Option<&[Rc<Self>]> {
        match &self.kind {
            NodeKind::Seq(items) => Some(items),
            NodeKind::Scalar { .. } | NodeKind::Map(_) => None,
        }
    }

    /// The raw text, when this is a scalar other than null.
    pub(crate) fn scalar(&self) -> Option<&Rc<str>> {
        match &self.kind {
            NodeKind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The entry of a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&MapEntry> {
        self.entries()?.iter().find(|entry| &*entry.key == key)
    }

    /// The value of a key; a null value counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&Rc<Self>> {
        self.entry(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            NodeKind::Scalar { text, style: Style::Plain } => {
                matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// How many nodes this has, itself and keys included; as deep as documents may be.
    pub(crate) fn count(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar { .. } => 0,
            NodeKind::Seq(items) => items.iter().map(|item| item.count()).sum(),
            NodeKind::Map(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
        }
    }

    /// What this is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Scalar { .. } if self.is_null() => "null",
            NodeKind::Scalar { .. } => "text",
            NodeKind::Seq(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }
}
