//! The text with which a registry refuses a request, as error messages quote it: bounded, escaped,
//! and without credentials.

use std::fmt::{self, Write as _};

use esb_oci::Redactor;

/// The most characters of a registry's own words that a message quotes.
const WORDS_LIMIT: usize = 300;

/// The most errors of one answer that are looked at.
const MAX_ERRORS: usize = 100;

/// The text with which a registry refused a request (OCI distribution specification, "Error Codes").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// The first error's code: `DENIED`, `MANIFEST_UNKNOWN`; empty when there is none.
    pub code: String,
    /// The codes of the errors after the first.
    more_codes: Vec<String>,
    text: String,
    /// Whether it is a web page, which no registry sends.
    is_page: bool,
    /// The other host that said it, where the registry redirects to it.
    stranger: Option<String>,
}

impl ServerMessage {
    /// Reads the body of a refusal: the specification's JSON, else any text. What we sent may have
    /// come back in it, and is hidden.
    pub(crate) fn read(body: &[u8], redactor: &Redactor) -> Self {
        #[derive(serde::Deserialize)]
        struct Envelope {
            errors: Vec<RefusalEntry>,
        }
        #[derive(serde::Deserialize)]
        struct RefusalEntry {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
            /// Registries say anything here; Nexus its only words.
            #[serde(default)]
            detail: serde_json::Value,
        }
        if let Ok(Envelope { errors }) = serde_json::from_slice(body) {
            let mut codes = errors.iter().take(MAX_ERRORS).map(|entry| redactor.hide(&entry.code));
            let code = codes.next().unwrap_or_default();
            let more_codes = codes.collect();
            let texts: Vec<String> = errors
                .into_iter()
                .take(5)
                .map(|RefusalEntry { code, message, detail }| {
                    let detail = detail.as_str().unwrap_or_default();
                    let parts = [&*code, &*message, detail];
                    let parts: Vec<&str> =
                        parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
                    parts.join(": ")
                })
                .filter(|text| !text.is_empty())
                .collect();
            let text = redactor.hide(&texts.join("; "));
            return Self { code, more_codes, text, ..Self::default() };
        }
        if let Some(text) = storage_error(body) {
            return Self { text: redactor.hide(&text), ..Self::default() };
        }
        if is_page(body) {
            return Self { is_page: true, ..Self::default() };
        }
        // Written anew, JSON of another form has no escapes that hide a credential from the redactor.
        let text = match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(value) => value.to_string(),
            Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
        };
        Self::plain(redactor.hide(&text))
    }

    /// A message without a code. It is shown as it is: no credential is removed from it.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Whether one of the errors has this code.
    pub fn has_code(&self, code: &str) -> bool {
        self.code == code || self.more_codes.iter().any(|other| other == code)
    }

    /// Whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.is_page && self.stranger.is_none()
    }

    /// The message as it follows other words; nothing when there is none.
    pub(crate) fn after_colon(&self) -> String {
        if self.is_empty() { String::new() } else { format!(": {self}") }
    }

    /// Whether it has one of the words, which are in lower case.
    pub(crate) fn mentions(&self, words: &[&str]) -> bool {
        let text = self.text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    /// Tells which other host than the registry sent the message.
    pub(crate) fn of_stranger(mut self, stranger: Option<String>) -> Self {
        self.stranger = stranger;
        self
    }
}

/// The error of a storage such as S3, to which registries redirect: `CODE: MESSAGE`.
fn storage_error(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let of = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.trim().to_owned())
    };
    text.contains("<Error>").then(|| Some(format!("{}: {}", of("Code")?, of("Message")?)))?
}

/// Whether a body is HTML: a proxy or a login page answered.
pub(crate) fn is_page(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let starts =
        ["<!doctype", "<html", "<head", "<body", "<!--", "<?xml", "<title", "<center", "<h1"];
    starts.iter().any(|start| text.starts_with(start))
}

/// Bounded and escaped; `no reason given` when the registry said nothing.
impl fmt::Display for ServerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_page {
            f.write_str("what answered is no registry: it sent a web page")?;
        } else if self.text.is_empty() {
            f.write_str("no reason given")?;
        }
        for c in self.text.chars().take(WORDS_LIMIT) {
            // Quotation marks are harmless, and common in these texts.
            if matches!(c, '"' | '\'') {
                f.write_char(c)?;
            } else {
                write!(f, "{}", c.escape_debug())?;
            }
        }
        if self.text.chars().nth(WORDS_LIMIT).is_some() {
            f.write_str("…")?;
        }
        match &self.stranger {
            Some(host) => {
                write!(f, " (said by `{}`, to which it redirects)", host.escape_debug())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_bounded_and_escaped() {
        let check = |body: &[u8], code: &str, text: &str| {
            let message = ServerMessage::read(body, &Redactor::default());
            assert_eq!((message.code.as_str(), message.to_string().as_str()), (code, text));
        };
        let json = br#"{"errors":[{"code":"DENIED","message":"no \u001b[31m\"pull\""}]}"#;
        check(json, "DENIED", r#"DENIED: no \u{1b}[31m"pull""#);
        check(br#"{"errors":[{"code":"UNKNOWN"}]}"#, "UNKNOWN", "UNKNOWN");
        let two = br#"{"errors":[{"code":"DIGEST_INVALID"},{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
        let two = ServerMessage::read(two, &Redactor::default());
        assert!(two.has_code("DIGEST_INVALID") && two.has_code("MANIFEST_BLOB_UNKNOWN"));
        assert!(!two.has_code("DENIED"));
        check(b" plain\n", "", "plain");
        let nexus =
            br#"{"errors":[{"code":"X","message":"","detail":"no updates"},{"detail":{}}]}"#;
        check(nexus, "X", "X: no updates");
        check(br#"{"errors":[{"code":"","message":""}]}"#, "", "no reason given");
        let storage =
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No.</Message></Error>";
        check(storage, "", "AccessDenied: No.");
        let page = "what answered is no registry: it sent a web page";
        check(b"\xef\xbb\xbf\n<!DOCTYPE html><p>Log in</p>", "", page);
        check(b"<html>\r\n<head><title>413 Request Entity Too Large", "", page);
        check(b"", "", "no reason given");
        let long = ServerMessage::read(&[b'x'; 1000], &Redactor::default()).to_string();
        assert_eq!(long.chars().count(), WORDS_LIMIT + 1);
    }
}
