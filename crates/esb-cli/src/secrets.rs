//! Hides secrets in everything that this process shows.
//!
//! Owns the values that are known to be secret, and how they are replaced in text and in JSON. What
//! is shown is the process's, and so is this: whoever learns a secret adds it here, and every
//! output asks. Files that hold values by contract are not output.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use esb_model::{mask_credentials, without_credentials};
use esb_oci::Redactor;

const MASK: &str = "****";

/// The fewest characters of a value that is hidden wherever it stands, also when it is a word.
const LONG: usize = 8;
/// The fewest characters of a value that is hidden without quotes around it: a shorter one is a part
/// of too many words, and where they were hidden it could be guessed.
const SHORT: usize = 4;

/// Words that our own texts are made of. As values they are hidden like short ones: a report without
/// them could not be read, and their gaps would tell the value.
const OUR_WORDS: [&str; 43] = [
    "application",
    "bucket",
    "build",
    "built",
    "cached",
    "code",
    "default",
    "deploy",
    "docker",
    "embedded",
    "environment",
    "error",
    "event",
    "false",
    "file",
    "function",
    "functions",
    "handler",
    "image",
    "images",
    "latest",
    "layer",
    "line",
    "local",
    "localhost",
    "message",
    "name",
    "none",
    "note",
    "null",
    "number",
    "parameter",
    "python",
    "registry",
    "route",
    "schedule",
    "schema",
    "string",
    "table",
    "template",
    "true",
    "value",
    "warning",
];

static SECRETS: RwLock<Secrets> = RwLock::new(Secrets::new());

/// Hides values from now on.
pub(crate) fn add<'a>(values: impl IntoIterator<Item = &'a str>) {
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    values.into_iter().for_each(|value| secrets.add(value));
}

/// A text without secrets.
pub(crate) fn hide(text: &str) -> Cow<'_, str> {
    SECRETS.read().unwrap_or_else(PoisonError::into_inner).hide(text)
}

/// A text whose secrets are replaced by as many bytes.
pub(crate) fn hide_in_place(text: &str) -> Cow<'_, str> {
    SECRETS.read().unwrap_or_else(PoisonError::into_inner).hide_in_place(text)
}

/// A JSON document whose texts have no secrets; all else of it stays as it is.
pub(crate) fn hide_in_json(document: &str) -> Cow<'_, str> {
    SECRETS.read().unwrap_or_else(PoisonError::into_inner).hide_in_json(document)
}

/// Values, and how far each is looked for.
struct Secrets {
    values: BTreeSet<String>,
    /// Those that no other text contains by chance.
    distinct: Option<Redactor>,
    /// These, and words and numbers that are hidden where they stand alone.
    all: Option<Redactor>,
}

impl Secrets {
    const fn new() -> Self {
        Self { values: BTreeSet::new(), distinct: None, all: None }
    }

    fn add(&mut self, value: &str) {
        self.add_one(value);
        self.add_one(value.trim());
        // An excerpt and a log show a key of several lines one by one.
        let lines = value.lines().map(str::trim).filter(|line| line.len() >= LONG);
        lines.for_each(|line| self.add_one(line));
    }

    fn add_one(&mut self, value: &str) {
        if value.chars().all(|c| c == '*')
            || !self.values.insert(value.to_owned())
            || is_short(value)
        {
            return;
        }
        let all = self.all.get_or_insert_default();
        if is_distinct(value) {
            all.add(value);
            self.distinct.get_or_insert_default().add(value);
        } else {
            all.add_word(value);
        }
    }

    fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(all) = &self.all.as_ref().filter(|_| !text.is_empty()) else {
            return self.hide_short(without_credentials(text));
        };
        let hidden = all.hide_known(text, |_| MASK.to_owned());
        let hidden = self.hide_cut(self.hide_short(Cow::Owned(hidden)).into_owned());
        Cow::Owned(without_credentials(&hidden).into_owned())
    }

    /// Hides short values where a text quotes them.
    fn hide_short<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let mut text = text;
        for value in self.values.iter().filter(|value| is_short(value)) {
            for quote in ['`', '"', '\''] {
                let quoted = format!("{quote}{value}{quote}");
                if text.contains(&quoted) {
                    text = text.replace(&quoted, &format!("{quote}{MASK}{quote}")).into();
                }
            }
        }
        text
    }

    /// Hides the start of a value where a text was cut.
    fn hide_cut(&self, mut text: String) -> String {
        const CUT: char = '…';
        let mut from = 0;
        while let Some(at) = text[from..].find(CUT).map(|at| from + at) {
            let starts = self.values.iter().filter(|value| is_distinct(value));
            let length = starts.filter_map(|value| cut_length(value, &text[..at])).max();
            let start = at - length.unwrap_or_default();
            if length.is_some() {
                text.replace_range(start..at, MASK);
            }
            from = text[start..].find(CUT).map_or(text.len(), |at| start + at + CUT.len_utf8());
        }
        text
    }

    fn hide_in_place<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let stars = |found: &str| "*".repeat(found.len());
        match &self.all {
            Some(all) => {
                let hidden = all.hide_known(text, stars);
                Cow::Owned(mask_credentials(&hidden, &stars).into_owned())
            }
            None => mask_credentials(text, &stars),
        }
    }

    fn hide_in_json<'a>(&self, document: &'a str) -> Cow<'a, str> {
        if self.values.is_empty() && !document.contains(['@', '?', '#']) {
            return Cow::Borrowed(document);
        }
        let mut safe = String::with_capacity(document.len());
        let mut rest = document;
        while let Some(start) = rest.find('"') {
            let literal = literal_length(&rest[start..]);
            let (before, from) = rest.split_at(start);
            let (literal, after) = from.split_at(literal);
            safe.push_str(before);
            safe.push_str(&self.hide_literal(literal, after.starts_with(':')));
            rest = after;
        }
        safe.push_str(rest);
        Cow::Owned(safe)
    }

    /// Hides what a JSON text with its quotes says. A name keeps words, as those of our own are.
    fn hide_literal<'a>(&self, literal: &'a str, is_name: bool) -> Cow<'a, str> {
        let Ok(text) = serde_json::from_str::<Cow<'_, str>>(literal) else {
            return Cow::Borrowed(literal);
        };
        let hidden = match &self.distinct {
            Some(distinct) if is_name => distinct.hide_known(&text, |_| MASK.to_owned()).into(),
            None if is_name => Cow::Borrowed(&*text),
            _ => self.hide(&text),
        };
        if hidden == text {
            return Cow::Borrowed(literal);
        }
        Cow::Owned(serde_json::Value::from(hidden).to_string())
    }
}

/// Whether a value is hidden only between quotes.
fn is_short(value: &str) -> bool {
    value.chars().count() < SHORT || OUR_WORDS.contains(&value)
}

/// Whether no other text contains a value by chance, as `latest` contains the word `test`.
fn is_distinct(value: &str) -> bool {
    let is_alike = value.chars().all(char::is_alphabetic) || value.chars().all(char::is_numeric);
    let least = if is_alike { LONG } else { SHORT };
    value.chars().count() >= least
}

/// The length of a value's start at the end of a text, when it is longer than what is there by
/// chance.
fn cut_length(value: &str, text: &str) -> Option<usize> {
    let ends = value.char_indices().map(|(at, _)| at).skip(SHORT);
    ends.filter(|end| text.ends_with(&value[..*end])).max()
}

/// The length of the JSON text that begins there, with its quotes.
fn literal_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let mut secrets = Secrets::new();
        for value in values {
            secrets.add(value);
        }
        secrets
    }

    #[test]
    fn how_far_a_value_is_looked_for() {
        let secrets =
            secrets(&["hunter2", "password", "test", "5432", "ab", "true", "template", ""]);
        let check = |text: &str, expected: &str| assert_eq!(secrets.hide(text), expected);
        check("xhunter2x aHVudGVyMg== hunter%32", "x****x **** ****");
        check("mypasswords", "my****s");
        check("the latest test, 15432 and 5432", "the latest ****, 15432 and ****");
        check("about `ab`, \"ab\" and true", "about `****`, \"****\" and true");
        check("template.yaml: `template`", "template.yaml: `****`");
        check("at https://me:pw@h/x", "at https://****@h/x");
        check("`the value hunte…`, `hunt…`, `hun…`", "`the value ****…`, `****…`, `hun…`");
    }

    #[test]
    fn keys_of_several_lines_are_hidden_line_by_line() {
        let secrets = secrets(&["-----BEGIN-----\nMIIEpAIB\n  AAKCAQEA\n"]);
        assert_eq!(secrets.hide("3 |   AAKCAQEA"), "3 |   ****");
    }

    #[test]
    fn an_excerpt_keeps_its_length() {
        let secrets = secrets(&["hünter2"]);
        assert_eq!(secrets.hide_in_place("a: hünter2 # b"), "a: ******** # b");
        assert_eq!(secrets.hide_in_place("u: https://me:pw@h"), "u: https://*****@h");
    }

    #[test]
    fn json_stays_json() {
        let secrets = secrets(&["label", "5432", "a\"b\\cd"]);
        let document = r#"{"label": "a label", "port": 5432, "x a\"b\\cd": ["a\"b\\cd", "\\"]}"#;
        let hidden = r#"{"label": "a ****", "port": 5432, "x ****": ["****", "\\"]}"#;
        assert_eq!(secrets.hide_in_json(document), hidden);
        assert_eq!(secrets.hide_in_json("{\"cut"), "{\"cut");
        assert_eq!(Secrets::new().hide_in_json(r#"["http://a:b@c"]"#), r#"["http://****@c"]"#);
    }
}
