//! Common mistakes in templates, as a person sees them.

use insta::assert_snapshot;

use crate::mistakes::{TEMPLATE, project, without_notes};

/// What `esb validate` says of a template, without notes.
fn told(template: &str) -> String {
    without_notes(&project(template).esb(&["validate"]))
}

#[test]
fn common_mistakes() {
    let mistakes = [
        ("bad indentation", "      CodeUri: code/", "     CodeUri: code/"),
        ("deeper than a value", "      CodeUri: code/", "        CodeUri: code/"),
        ("a tab", "      CodeUri: code/", "\tCodeUri: code/"),
        ("a missing colon", "  Hello:\n", "  Hello\n"),
        ("an unclosed quote", "python3.13", "\"python3.13"),
        ("an unclosed bracket", "Method: get}", "Method: get"),
        ("a colon in a value", "python3.13", "python: 3.13"),
        ("a duplicate key", "      CodeUri: code/", "      CodeUri: code/\n      CodeUri: code/"),
        ("a misspelt property", "      Handler", "      Hanlder"),
        ("a misspelt runtime", "python3.13", "pyhton3.13"),
        ("no code", "      CodeUri: code/\n", ""),
        ("a wrong folder", "code/", "scr/"),
        ("a number that is none", "code/\n", "code/\n      Timeout: 30s\n"),
        (
            "a section of Globals",
            "Resources:\n",
            "Globals: {Functions: {Timeout: 3}}\nResources:\n",
        ),
    ];
    let mut all = String::new();
    for (what, from, to) in mistakes {
        let template = TEMPLATE.replacen(from, to, 1);
        assert_ne!(template, TEMPLATE, "{what}");
        all.push_str(&["=== ", what, "\n", &told(&template), "\n"].concat());
    }
    assert_snapshot!(all);
}

#[test]
fn json_mistakes() {
    let json = r#"{
  "Resources": {
    "Orders": {"Type": "AWS::S3::Bucket"}
  }
}
"#;
    let mut all = String::new();
    for (what, from, to) in [
        ("a missing comma", r#""Type": "AWS::S3::Bucket""#, r#""Type": "AWS::S3::Bucket" "A": 1"#),
        ("a missing colon", r#""Orders":"#, r#""Orders""#),
        ("a missing brace", "}\n}", "}\n"),
        ("a wrong bracket", "Bucket\"}", "Bucket\"]"),
        ("text after the end", "}\n}\n", "}\n}\nmore\n"),
    ] {
        let template = json.replacen(from, to, 1);
        assert_ne!(template, json, "{what}");
        all.push_str(&["=== ", what, "\n", &told(&template), "\n"].concat());
    }
    assert_snapshot!(all);
}

#[test]
fn circles_show_their_way() {
    let bucket = |id: &str, other: &str| {
        format!(
            "  {id}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: !Sub \"${{{other}}}-x\"}}}}\n"
        )
    };
    let names = [bucket("A", "B"), bucket("B", "C"), bucket("C", "A")].concat();
    let said = told(&format!(
        "Conditions:\n  X: !Not [!Condition Y]\n  Y: !Not [!Condition X]\nResources:\n{names}"
    ));
    assert!(said.contains("conditions depend on each other: `X` → `Y` → `X`"), "{said}");
    assert!(
        said.contains("the names of resources depend on each other: `A` → `B` → `C` → `A`"),
        "{said}"
    );
}

#[test]
fn the_same_is_told_once() {
    let function = |id: &str| {
        format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties:\n      FunctionName: same\n      \
             Runtime: python3.13\n      Handler: app.handler\n      CodeUri: code/\n      Layers: \
             [arn:aws:lambda:us-east-1:123456789012:layer:x:1]\n      Events:\n        Once: {{Type: \
             ScheduleV2, Properties: {{ScheduleExpression: at(2030-01-01T00:00:00)}}}}\n"
        )
    };
    let template = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n{}{}",
        function("Hello"),
        function("Other")
    );
    let said = told(&template);
    assert_eq!(said.matches("layer:x:1`").count(), 1, "{said}");
    assert_eq!(said.matches("`same`").count(), 1, "{said}");
    assert_eq!(
        said.matches("at(2030").count(),
        said.matches("at(2030-01-01T00:00:00)}").count() + 1,
        "{said}"
    );
    assert!(said.contains("= note: the same at"), "{said}");
}
