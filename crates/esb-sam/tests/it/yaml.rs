//! Documents: syntax, repeated keys, aliases, and what plain scalars mean.

use crate::{findings, function, read, shown};

fn template(variables: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    \
         Properties:\n      Runtime: python3.12\n      Handler: a.b\n      Environment:\n        \
         Variables:\n{variables}"
    )
}

#[track_caller]
fn check_env(variables: &str, expected: &[(&str, &str)]) {
    let environment = shown(&function(&template(variables), "F").environment);
    let environment: Vec<_> = environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(environment, expected);
}

#[test]
fn scalars_follow_yaml_1_1() {
    check_env(
        "          A: yes\n          B: 0777\n          C: '0777'\n          D: 012345678901\n          \
         E: 1.10\n          F: 2012-10-17\n          G: !!str yes\n          H: ~\n          I: |\n            \
         l1\n            l2\n          J: \"\\x41\\/\\u00e9\"\n          K: 1_000\n",
        &[
            ("A", "true"),
            ("B", "511"),
            ("C", "0777"),
            ("D", "012345678901"),
            ("E", "1.1"),
            ("F", "2012-10-17"),
            ("G", "yes"),
            ("H", ""),
            ("I", "l1\nl2\n"),
            ("J", "A/é"),
            ("K", "1000"),
        ],
    );
}

#[test]
fn a_surprising_reading_is_a_warning() {
    assert_eq!(
        findings(&template("          A: 0777\n          B: true\n")),
        [
            "warning sam::number-reading 10:14 variable `A` of `F` is `511`, which is how YAML 1.1 reads `0777` (put it in quotes to keep it as it is written)",
        ]
    );
}

#[test]
fn crlf_bom_and_missing_final_newline() {
    let text = template("          A: |\n            x\n            y").replace('\n', "\r\n");
    let environment = shown(&function(&format!("\u{feff}{text}"), "F").environment);
    assert_eq!(environment["A"], "x\ny");
}

#[test]
fn json_is_read_too() {
    let text = r#"{"Resources":{"F":{"Type":"AWS::Lambda::Function","Properties":{
	"Runtime":"python3.12","Handler":"a.b","Code":{"ZipFile":"x"},
	"Environment":{"Variables":{"A":{"Fn::Join":["-",["a",1]]},"U":"\ud83d\ude00\/","N":12,}}}}}}"#;
    let environment = shown(&function(text, "F").environment);
    assert_eq!(
        environment.into_iter().collect::<Vec<_>>(),
        [
            ("A".to_owned(), "a-1".to_owned()),
            ("N".to_owned(), "12".to_owned()),
            ("U".to_owned(), "😀/".to_owned()),
        ]
    );
}

#[test]
fn the_last_of_repeated_keys_wins() {
    let text = template("          A: one\n          B: x\n          A: two\n");
    assert_eq!(shown(&function(&text, "F").environment)["A"], "two");
    assert_eq!(
        findings(&text),
        ["warning sam::duplicate-key 12:11 the key `A` is repeated; the last one counts",]
    );
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    let text = "Resources:\n  A: &a {Type: AWS::Lambda::Function, Properties: &p {Runtime: python3.12, \
                Handler: a.b, Code: x}}\n  B: {Type: AWS::Lambda::Function, Properties: {<<: *p, \
                Handler: c.d}}\n  C: *a\n";
    let parsed = read(text);
    let ids: Vec<_> = parsed.application.functions.iter().map(|f| &*f.id.logical_id).collect();
    assert_eq!(ids, ["A", "B", "C"]);
    assert_eq!(
        findings(text),
        [
            "warning sam::yaml-extension 3:53 an alias is accepted here, but CloudFormation refuses it",
        ]
    );
}

#[test]
fn what_is_no_document() {
    for (text, expected) in [
        ("", "error sam::syntax 1:1 the template is empty"),
        ("a: [1", "error sam::syntax 1:"),
        ("a:\n\tb: 1", "error sam::syntax 2:"),
        ("a: 1\n---\nb: 2\n", "error sam::syntax 2:1 a template is one YAML document"),
        ("a: \u{0}", "error sam::syntax 1:4 the control character U+0000"),
        ("a: \u{1b}[31m", "error sam::syntax 1:4 the control character U+001B"),
        ("a: \"\\q\"", "error sam::syntax 1:"),
        ("a: !!python/object x", "error sam::syntax 1:4 the tag `!!python/object` has no meaning"),
        ("? [a]\n: b\n", "error sam::syntax 1:3 a key must be text"),
        ("&a [*a]", "error sam::syntax 1:"),
        ("*nope", "error sam::syntax 1:"),
        ("- a", "error sam::no-resources 1:1 a template must be a map, not a list"),
        ("text", "error sam::no-resources 1:1 a template must be a map, not text"),
        ("a: 1", "error sam::no-resources 1:1 the template has no resources"),
        ("Resources: [a]", "error sam::no-resources 1:12 Resources must be a map, not a list"),
    ] {
        let found = findings(text);
        assert!(found.iter().any(|f| f.starts_with(expected)), "{text:?}: {found:?}");
        assert!(!read(text).readable, "{text:?}");
    }
}

#[test]
fn unusable_resources_do_not_hide_the_others() {
    let text = "Resources:\n  A: text\n  B: {Properties: {}}\n  C:\n  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: x}}\nOutputs: 5\n";
    assert_eq!(read(text).application.functions.len(), 1);
    assert_eq!(
        findings(text),
        [
            "error sam::resource-shape 2:3 resource `A` must be a map with a `Type`",
            "error sam::resource-shape 3:3 resource `B` must be a map with a `Type`",
            "error sam::resource-shape 4:3 resource `C` must be a map with a `Type`",
        ]
    );
}
