//! The text of a Python file: byte order mark, `coding` line, UTF-8.

use super::encodings;

/// Why bytes are no text for Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotText {
    /// They are not UTF-8 from this one on.
    Byte(usize),
    /// A first line names an encoding that Python does not know.
    Encoding(String),
    /// A byte that no file of Python may have.
    Nul(usize),
}

/// Decodes a file as Python does; `None` when it names an encoding that is not known here.
pub(crate) fn decode(bytes: &[u8]) -> Option<Result<String, NotText>> {
    let (bytes, has_mark) = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => (rest, true),
        None => (bytes, false),
    };
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Some(Err(NotText::Nul(at)));
    }
    let coding = if has_mark { None } else { coding(bytes) };
    match coding.as_deref() {
        None | Some("utf-8" | "utf8" | "utf-8-sig" | "ascii" | "us-ascii") => {
            let text = std::str::from_utf8(bytes);
            let text = text.map(str::to_owned).map_err(|error| NotText::Byte(error.valid_up_to()));
            Some(text)
        }
        Some("latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1") => {
            Some(Ok(bytes.iter().map(|byte| char::from(*byte)).collect()))
        }
        Some(name) if !encodings::is_known(name) => Some(Err(NotText::Encoding(name.to_owned()))),
        // Names and keywords are ASCII in nearly every encoding, but this is for the parser to say.
        Some(_) => std::str::from_utf8(bytes).ok().map(|text| Ok(text.to_owned())),
    }
}

/// The encoding that a comment in the first two lines names, in lower case with `-`.
fn coding(bytes: &[u8]) -> Option<String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    for line in lines.take(2) {
        let line = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        let line = line.trim();
        // A blank first line may still be followed by it.
        let comment = line.strip_prefix('#').or(line.is_empty().then_some(""))?;
        let Some((_, rest)) = comment.split_once("coding") else { continue };
        let Some(rest) = rest.strip_prefix([':', '=']) else { continue };
        let rest = rest.trim_start();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        if !name.is_empty() {
            return Some(name.to_ascii_lowercase().replace('_', "-"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let check = |bytes: &[u8], expected: Option<Result<&str, NotText>>| {
            let found = decode(bytes);
            let found = found.as_ref().map(|found| found.as_deref().map_err(Clone::clone));
            assert_eq!(found, expected, "{bytes:?}");
        };
        check(b"x = 1", Some(Ok("x = 1")));
        check(b"\xef\xbb\xbfx", Some(Ok("x")));
        check(b"a\nb = '\xe4'", Some(Err(NotText::Byte(7))));
        check(b"# -*- coding: latin-1 -*-\n'\xe4'", Some(Ok("# -*- coding: latin-1 -*-\n'ä'")));
        check(
            b"#!/x\n# vim: set fileencoding=ISO_8859-1 :\n'\xe4'",
            Some(Ok("#!/x\n# vim: set fileencoding=ISO_8859-1 :\n'ä'")),
        );
        check(b"#\n#\n# coding: latin-1\n'\xe4'", Some(Err(NotText::Byte(23))));
        check(b"x = 1\n# coding: latin-1\n'\xe4'", Some(Err(NotText::Byte(25))));
        check(b"# coding: cp932\n'\x83'", None);
        check(b"# coding: nonesuch\n", Some(Err(NotText::Encoding("nonesuch".to_owned()))));
        check(b"# coding: utf-8-unix\n", Some(Ok("# coding: utf-8-unix\n")));
        check(b"x\0", Some(Err(NotText::Nul(1))));
        check(b"# coding: cp932\n", Some(Ok("# coding: cp932\n")));
    }
}
