//! Parts a container's log into what the function wrote and what the emulator says of itself.

/// The words that start the emulator's lines about a request; an id of this length follows.
const OF_REQUEST: [&str; 3] = ["START RequestId: ", "END RequestId: ", "REPORT RequestId: "];
const ID: usize = 36;

/// The function's own lines; all lines when `is_verbose`.
pub(super) fn lines(log: &str, is_verbose: bool) -> Vec<&str> {
    if is_verbose {
        return log.lines().collect();
    }
    log.lines().filter_map(own).collect()
}

/// What is the function's own of a line.
fn own(line: &str) -> Option<&str> {
    if is_of_emulator(line) {
        return None;
    }
    // A function that ends a line with nothing has the emulator's words behind its own.
    let start =
        OF_REQUEST.iter().filter_map(|words| line.rfind(words)).find(|at| is_request(&line[*at..]));
    match start {
        Some(0) => None,
        Some(at) => Some(&line[..at]),
        None => Some(line),
    }
}

fn is_request(text: &str) -> bool {
    let Some(rest) = OF_REQUEST.iter().find_map(|words| text.strip_prefix(words)) else {
        return false;
    };
    let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    rest.get(..ID).is_some_and(is_id)
        && rest.get(ID..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether a line is one of the emulator's log: `30 Nov 2026 02:00:00,123 [INFO] (rapid) …`.
fn is_of_emulator(line: &str) -> bool {
    let mut words = line.split(' ');
    let number = |word: Option<&str>| word.is_some_and(|word| word.parse::<u16>().is_ok());
    let is_date = number(words.next())
        && words.next().is_some_and(|month| month.len() == 3)
        && number(words.next())
        && words.next().is_some_and(|time| time.len() == 12 && time.as_bytes()[8] == b',');
    is_date && words.next().is_some_and(|level| level.starts_with('[') && level.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulators_lines_are_for_who_asks() {
        let log = "30 Nov 2026 02:00:00,123 [INFO] (rapid) exec '/var/runtime/bootstrap'\n\
                   START RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10 Version: $LATEST\n\
                   hello\n30 Nov 2026: opened\nSTART RequestId: mine\n\
                   no line feedEND RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10\n\
                   REPORT RequestId: 6f1f0e5c-3b1f-4a57-9a2b-0c6d7a1d8f10\tInit Duration: 1 ms\n";
        let own = ["hello", "30 Nov 2026: opened", "START RequestId: mine", "no line feed"];
        assert_eq!(lines(log, false), own);
        assert_eq!(lines(log, true).len(), 7);
    }
}
