//! Reads the event of an invocation: from a file, from stdin, or from the command line itself.

use std::{ffi::OsStr, io::Read as _, path::Path};

use esb_deploy::{Error, Kind};
use esb_model::decode_text;

/// The most bytes of an event; Lambda's own limit is 6 MB.
const LIMIT: u64 = 64 * 1024 * 1024;

/// The bytes of an event, which are JSON; an empty object where none is given.
pub(super) fn read(given: Option<&OsStr>) -> Result<Vec<u8>, Error> {
    let Some(given) = given else { return Ok(b"{}".to_vec()) };
    let inline = given.to_str().filter(|text| is_json(text));
    let name = match inline {
        Some(_) => "the event on the command line".to_owned(),
        None if given == "-" => "the event on stdin".to_owned(),
        None => format!("the event `{}`", Path::new(given).display()),
    };
    let bytes = match inline {
        Some(text) => text.as_bytes().to_vec(),
        None => file(given, &name)?,
    };
    let not_json = |error: &(dyn std::error::Error + 'static)| {
        let hint = "pass a file, `-` for stdin, or JSON in quotes: --event '{\"key\": \"value\"}'";
        Error::of(Kind::Input, "event", error).during(format!("{name} is not JSON")).hint(hint)
    };
    let event = decode_text(bytes).map_err(|error| not_json(&error))?;
    serde_json::from_str::<serde::de::IgnoredAny>(&event).map_err(|error| not_json(&error))?;
    Ok(event.into_bytes())
}

/// Whether a value is JSON itself and names no file.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

fn file(given: &OsStr, name: &str) -> Result<Vec<u8>, Error> {
    let mut event = Vec::new();
    let read = if given == "-" {
        std::io::stdin().lock().take(LIMIT).read_to_end(&mut event).map(|_| event)
    } else {
        esb_oci::read_given(Path::new(given), LIMIT)
    };
    read.map_err(|error| {
        Error::of(Kind::Input, "event", &error).during(format!("could not read {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_file_or_json() {
        let event = |text: &str| read(Some(OsStr::new(text)));
        assert_eq!(read(None).unwrap(), b"{}");
        assert_eq!(event(r#"{"a": 1}"#).unwrap(), br#"{"a": 1}"#);
        assert_eq!(event(" [1]").unwrap(), b" [1]");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("event.json");
        std::fs::write(&path, "\u{feff}{\"b\": 2}").unwrap();
        assert_eq!(read(Some(path.as_os_str())).unwrap(), br#"{"b": 2}"#);
        let check = |text: &str, expected: &str| {
            let error = event(text).unwrap_err();
            assert!(error.chain().starts_with(expected), "{}", error.chain());
        };
        check(
            "{a: 1}",
            "the event on the command line is not JSON: key must be a string at line 1",
        );
        check("/no/such/file", "could not read the event `/no/such/file`: No such file");
        std::fs::write(&path, "no").unwrap();
        check(path.to_str().unwrap(), "the event `");
    }
}
