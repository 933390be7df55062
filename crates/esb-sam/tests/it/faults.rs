//! Texts that are not YAML: what is said is what a person has to change, at its place.

use esb_model::{Finding, SourceMap, TemplateId};
use esb_sam::{NoLoader, Options, parse};

/// `line:column message | line:column label, … | help` of the one finding.
fn fault(text: &str) -> String {
    let mut sources = SourceMap::default();
    let parsed = parse(&mut sources, TemplateId(0), "t.yaml", text, &Options::default(), &NoLoader);
    let [finding]: [Finding; 1] = parsed.findings.try_into().expect("one finding");
    assert_eq!(finding.code.0, "esb::sam::syntax", "{}", finding.message);
    let place = |span| sources.locate(span).expect("a place").1.to_string();
    let said = format!("{} {}", place(finding.span.expect("a place")), finding.message);
    let related = finding.related.iter().map(|(span, words)| format!("{} {words}", place(*span)));
    let help = finding.help.as_ref().and_then(|help| help.advice()).map(str::to_owned);
    [vec![said], related.collect(), help.into_iter().collect()].concat().join(" | ")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(fault(text), expected, "{text}");
}

#[test]
fn indentation_names_the_lines_beside_which_one_could_stand() {
    check(
        "Resources:\n  A:\n    Type: X\n   B: 1\n",
        "4:4 `B` is not indented like anything above it | 3:5 indented by 4 spaces | 2:3 indented by \
         2 spaces | indent it by 4 spaces to put it beside `Type`, or indent it by 2 spaces to put it \
         beside `A`",
    );
    check(
        "Resources:\n  A:\n    Type: X\n     B: 1\n",
        "4:6 `B` is indented deeper than `Type`, which has a value | 3:5 indented by 4 spaces | indent \
         both alike, or remove the value of `Type` to put `B` below it",
    );
    check(
        "Resources:\n  A: x\n B: y\n",
        "3:2 `B` is not indented like anything above it | 2:3 indented by 2 spaces | 1:1 not indented \
         | indent it by 2 spaces to put it beside `A`, or remove its indentation to put it beside \
         `Resources`",
    );
    check(
        "  Resources:\n    A: x\nB: y\n",
        "3:1 `B` is indented less than everything above it | 1:3 indented by 2 spaces | indent it by 2 \
         spaces to put it beside `Resources`",
    );
    check(
        "A:\n  - Type: x\n    B: 1\n   C: 2\n",
        "4:4 `C` is not indented like anything above it | 3:5 indented by 4 spaces | 1:1 not indented \
         | indent it by 4 spaces to put it beside `B`, or remove its indentation to put it beside `A`",
    );
    check(
        "A:\n  - 1\n  B: 1\n",
        "3:3 `B` is a key, but list items stand at this level | 2:3 a list item | indent it by 4 spaces \
         to put it into the item above",
    );
    check(
        "A:\n  B: 1\n  - 1\n",
        "3:3 a list item cannot be beside a key | 2:3 a key | put the list below a key of its own, or \
         remove the `-`",
    );
}

#[test]
fn tabs_are_named_as_such() {
    let help = "replace the tabs with spaces, two for each level";
    check("A:\n\tB: 1\n", &format!("2:1 tabs cannot indent YAML | 1:1 not indented | {help}"));
    check(
        "A:\n  B: x\n\tC: 1\n",
        &format!("3:1 tabs cannot indent YAML | 2:3 indented by 2 spaces | {help}"),
    );
    check(
        "A:\n  B:\n\t  C: 1\n",
        &format!("3:1 tabs cannot indent YAML | 2:3 indented by 2 spaces | {help}"),
    );
}

#[test]
fn colons_that_are_missing_or_too_many() {
    check("A:\n  B\n    C: X\n", "2:4 expected `:` after `B` | write `B:`");
    check("A:\n  B X\n  C: 1\n", "2:4 expected `:` after `B` | write `B: X`");
    check("A:\n  B:\"b\"\n  C: 1\n", "2:4 expected a space after this `:` | write `B: \"b\"`");
    check("A: b: c\n", "1:5 a value with `: ` in it must be quoted | write `A: 'b: c'`");
    check("A: it's: c\n", "1:8 a value with `: ` in it must be quoted | write `A: 'it''s: c'`");
    check("A:\n- x\nB\n", "3:2 expected `:` after `B` | write `B:`");
    check(
        "A: |\n   x\n  y\nB: 1\n",
        "3:4 expected `:` after `y` | 1:1 the text of this value ends above | to go on with that text, \
         indent this line as far as its first line",
    );
    check(
        "A: - x\n",
        "1:4 a list item must start on a line of its own | put `- x` on the next line, or write the \
         list in brackets: `[…]`",
    );
}

#[test]
fn quotes_and_escapes() {
    check("A: \"X\nB: 1\n", "1:4 this quote is never closed | close it with `\"`");
    check("A: 'X\nB: 1\n", "1:4 this quote is never closed | close it with `'`");
    check(
        "A: \"X\nB: \"y\"\n",
        "1:4 this quote is not closed on its line | 2:4 the next quote is here | close it with `\"`",
    );
    check(
        "A: \"b\" c\n",
        "1:8 unexpected `c` after quoted text | 1:4 this text ends at its quote | put all of it into \
         the quotes",
    );
    check(
        "A: \"\\q\"\n",
        "1:5 `\\q` is not an escape of YAML | write `\\\\q`, or put the text in single quotes",
    );
    check("A: \"\\u12\"\n", "1:5 `\\u` needs 4 hexadecimal digits of a character");
    for c in ['@', '`', '%', '*'] {
        check(
            &format!("A: {c}\n"),
            &format!(
                "1:4 a value cannot start with `{c}` unless it is quoted | to use it as text, write \
                 `'{c}'`"
            ),
        );
    }
    check("A: *b\n", "1:4 there is no anchor for the alias `*b` | to use it as text, write `'*b'`");
}

#[test]
fn brackets() {
    check(
        "A: [a, b\nB: 1\n",
        "1:4 this `[` is never closed | 2:1 so this line is read as part of it | close it with `]`",
    );
    check(
        "A:\n  B: {C: a, D: 1\n  E: 2\n",
        "2:6 this `{` is never closed | 3:3 so this line is read as part of it | close it with `}`",
    );
    check("A: {B: a]\n", "1:9 `{` is closed by `]` | 1:4 `{` is opened here | close it with `}`");
    check("A: ]\n", "1:4 `]` closes nothing");
    check("A: [1,,2]\n", "1:7 a value is missing before this `,`");
    check(
        "{\"A\": {\"B\": 1 \"C\": 2}}\n",
        "1:15 expected `,` or `}` | 1:7 this `{` is still open | put a `,` after `1`, or close the \
         bracket before",
    );
    check("{\"A\" 1}\n", "1:5 expected `:` or `,` after `\"A\"`");
    check("{\"A\": \"b\" \"C\": 1}\n", "1:10 expected `,` after `\"b\"`");
    check("{\"A\": 1}\nmore\n", "2:1 unexpected text after the end of the template");
    check("{\"A\": 1\n", "1:1 this `{` is never closed | close it with `}`");
}

#[test]
fn places_are_right_behind_wide_characters_and_in_files_of_windows() {
    check(
        "A:\r\n  日本: [1 }\r\n",
        "2:10 `[` is closed by `}` | 2:7 `[` is opened here | close it with `]`",
    );
    check("\u{feff}A: 1\nB\n", "2:2 expected `:` after `B` | write `B:`");
}
