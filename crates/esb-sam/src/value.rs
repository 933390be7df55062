//! The values that expressions of a template evaluate to.
//!
//! Values are cheap to copy, remember whether a secret went into them, and, when they are a plain
//! reference, which resource they came from.

use std::rc::Rc;

use esb_model::{EnvValue, Secret};

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Null or `AWS::NoValue`: the property, item or entry does not exist.
    Absent,
    Text(Text),
    List(Rc<[Value]>),
    Map(Rc<[(Rc<str>, Value)]>),
    Unknown(Unknown),
}

/// A known scalar.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "a text's text is what it is")]
pub(crate) struct Text {
    pub(crate) text: Rc<str>,
    pub(crate) kind: TextKind,
    /// A `NoEcho` parameter went into it.
    pub(crate) secret: bool,
    pub(crate) origin: Option<Rc<Origin>>,
}

/// What a scalar is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextKind {
    String,
    Number,
    Bool,
}

/// A value that only AWS can compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unknown {
    /// How a person would write it: `!GetAtt Table.StreamArn`. Holds no secret.
    pub(crate) symbolic: Rc<str>,
    pub(crate) origin: Option<Rc<Origin>>,
    /// Whether it is unknown only because a parameter has no value.
    pub(crate) is_unset: bool,
}

/// The resource that a plain `Ref` or `GetAtt` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) id: Rc<str>,
    /// `None` for `Ref`.
    pub(crate) attribute: Option<Rc<str>>,
}

impl PartialEq for Text {
    /// Where a text comes from does not matter for conditions.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Text {
    pub(crate) fn new(text: impl Into<Rc<str>>) -> Self {
        Self { text: text.into(), kind: TextKind::String, secret: false, origin: None }
    }

    /// The text, or an unknown value where CloudFormation looks up a part of it in AWS:
    /// `{{resolve:ssm:…}}`.
    pub(crate) fn known(self) -> Result<Self, Unknown> {
        let is_looked_up = self.text.contains("{{resolve:") && !self.secret;
        if is_looked_up { Err(Unknown::new(self.text)) } else { Ok(self) }
    }

    /// The text, or `****` where it must not be seen.
    pub(crate) fn shown(&self) -> &str {
        if self.secret { "****" } else { &self.text }
    }
}

impl Unknown {
    pub(crate) fn new(symbolic: impl Into<Rc<str>>) -> Self {
        Self { symbolic: symbolic.into(), origin: None, is_unset: false }
    }

    /// How the value looks inside a longer text: `${Table.StreamArn}`.
    pub(crate) fn placeholder(&self) -> String {
        let symbolic = &*self.symbolic;
        let name = symbolic.strip_prefix("!Ref ").or_else(|| symbolic.strip_prefix("!GetAtt "));
        match name {
            Some(name) => format!("${{{name}}}"),
            None if symbolic.contains("${") || symbolic.starts_with("{{") => symbolic.to_owned(),
            None => format!("${{{symbolic}}}"),
        }
    }
}

impl Value {
    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::new(text))
    }

    pub(crate) fn unknown(symbolic: impl Into<Rc<str>>) -> Self {
        Self::Unknown(Unknown::new(symbolic))
    }

    pub(crate) fn list(items: Vec<Self>) -> Self {
        Self::List(items.into())
    }

    /// The resource that a plain reference names.
    pub(crate) fn origin(&self) -> Option<&Origin> {
        match self {
            Self::Text(text) => text.origin.as_deref(),
            Self::Unknown(unknown) => unknown.origin.as_deref(),
            Self::Absent | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// What this is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Unknown(_) => "a value that only AWS knows",
        }
    }

    /// The value, or an unknown one where it is a text with a dynamic reference.
    pub(crate) fn known(self) -> Self {
        match self {
            Self::Text(text) => text.known().map_or_else(Self::Unknown, Self::Text),
            other => other,
        }
    }

    /// How a person would write it, without secrets; long values are cut.
    pub(crate) fn symbolic(&self) -> String {
        const LONGEST: usize = 200;
        let mut text = match self {
            Self::Absent => String::new(),
            Self::Text(text) => text.shown().chars().take(LONGEST).collect(),
            Self::Unknown(unknown) => unknown.symbolic.chars().take(LONGEST).collect(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().take(10).map(Self::symbolic).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(_) => "{…}".to_owned(),
        };
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
        }
        text
    }
}

impl From<&Text> for EnvValue {
    fn from(text: &Text) -> Self {
        if text.secret {
            Self::Secret(Secret::new(text.text.to_string()))
        } else {
            Self::Known(text.text.to_string())
        }
    }
}
