//! Decodes the bytes of a file as UTF-8 or UTF-16 text.

/// Bytes that are not text in UTF-8, or in UTF-16 with a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not UTF-8, nor UTF-16 with a byte order mark")]
pub struct InvalidText;

/// Reads UTF-8, or UTF-16 where a byte order mark says so, as Windows' editors and shells write it.
/// The mark is no part of the text.
///
/// # Errors
/// When the bytes are neither.
pub fn decode_text(bytes: Vec<u8>) -> Result<String, InvalidText> {
    type Unit = fn([u8; 2]) -> u16;
    let unit: Unit = match bytes.get(..2) {
        Some([0xff, 0xfe]) => u16::from_le_bytes,
        Some([0xfe, 0xff]) => u16::from_be_bytes,
        _ => {
            let mut text = String::from_utf8(bytes).map_err(|_| InvalidText)?;
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            return Ok(text);
        }
    };
    let (units, odd) = bytes[2..].as_chunks::<2>();
    if !odd.is_empty() {
        return Err(InvalidText);
    }
    char::decode_utf16(units.iter().copied().map(unit))
        .collect::<Result<_, _>>()
        .map_err(|_| InvalidText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_the_encoding() {
        let check = |bytes: &[u8], expected: Result<&str, InvalidText>| {
            assert_eq!(decode_text(bytes.to_vec()).as_deref(), expected.as_ref().map(|t| *t));
        };
        check(b"", Ok(""));
        check("gr\u{fc}n".as_bytes(), Ok("gr\u{fc}n"));
        check("\u{feff}a\u{feff}".as_bytes(), Ok("a\u{feff}"));
        check(b"\xff\xfea\0=\0\x3d\xd8\x00\xde", Ok("a=\u{1f600}"));
        check(b"\xfe\xff\0a\0=", Ok("a="));
        check(b"\xff\xfea", Err(InvalidText));
        check(b"\xff\xfe\x3d\xd8", Err(InvalidText));
        check(b"a\xff", Err(InvalidText));
    }
}
