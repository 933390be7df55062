//! Conditions: three-valued logic, resources that vanish, cycles.

use crate::{findings, read};

const HEAD: &str = "
Parameters:
  A: {Type: String, Default: a}
  Missing: {Type: String}
  N: {Type: Number, Default: 1}
Conditions:
  IsA: !Equals [!Ref A, a]
  Unsure: !Equals [!Ref Missing, x]
";

/// Whether a resource with this condition is created.
#[track_caller]
fn check(condition: &str, created: bool) {
    let text = format!(
        "{HEAD}  C: {condition}\nResources:\n  F: {{Type: AWS::Lambda::Function, Condition: C, \
         Properties: {{Runtime: python3.12, Handler: a.b, Code: x}}}}\n"
    );
    let parsed = read(&text);
    assert_eq!(parsed.application.functions.len() == 1, created, "{condition}");
    let undecided = parsed.findings.iter().any(|f| f.code.0 == "esb::sam::undecided-condition");
    assert!(created || !undecided, "{condition}");
}

#[test]
fn three_valued_logic() {
    for (condition, created) in [
        ("!Equals [a, b]", false),
        ("!Equals [true, 'true']", true),
        ("!Equals ['1', !Ref N]", true),
        ("!Condition IsA", true),
        ("{Condition: IsA}", true),
        ("!Not [!Condition IsA]", false),
        ("!And [!Condition IsA, !Condition Unsure]", true), // undecided keeps
        ("!And [!Condition Unsure, !Not [!Condition IsA]]", false),
        ("!Or [!Condition Unsure, !Condition IsA]", true),
        ("!Or [!Equals [a, b], !Equals [c, d]]", false),
        ("!Not [!Condition Unsure]", true),
        ("!Equals [!Join ['', [!Ref A, b]], ab]", true),
        ("!Equals [!Ref AWS::Region, eu-west-1]", false),
    ] {
        check(condition, created);
    }
}

#[test]
fn an_undecided_condition_keeps_and_says_so() {
    let text = format!(
        "{HEAD}Resources:\n  F: {{Type: AWS::S3::Bucket, Condition: Unsure}}\n  G: {{Type: AWS::S3::Bucket, Condition: Unsure}}\n"
    );
    assert_eq!(read(&text).application.buckets.len(), 2);
    assert_eq!(
        findings(&text),
        [
            "warning sam::undecided-condition 10:41 condition `Unsure` cannot be decided without AWS; what depends on it is kept",
        ]
    );
}

#[test]
fn cycles_and_unknown_names_are_errors() {
    let text = "
Conditions:
  A: !Not [!Condition B]
  B: !And [!Condition C, !Condition C]
  C: !Condition A
  D: !Condition Nope
Resources:
  F: {Type: AWS::S3::Bucket, Condition: A}
  G: {Type: AWS::S3::Bucket, Condition: Isa}
";
    assert_eq!(read(text).application.buckets.len(), 2);
    let found = findings(text);
    assert_eq!(
        found[0],
        "error sam::condition-cycle 3:3 conditions depend on each other: `A` → `B` → `C` → `A`"
    );
    assert!(
        found.contains(&"error sam::unknown-condition 6:6 there is no condition `Nope`".into()),
        "{found:?}"
    );
    assert!(found.iter().any(|f| f.starts_with("error sam::unknown-condition 9:")), "{found:?}");
}

#[test]
fn what_hangs_on_a_false_condition_vanishes() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Conditions: {Never: !Equals [a, b]}
Resources:
  Api: {Type: AWS::Serverless::Api, Condition: Never, Properties: {StageName: v1}}
  Layer: {Type: AWS::Serverless::LayerVersion, Condition: Never, Properties: {ContentUri: l}}
  Gone:
    Type: AWS::Serverless::Function
    Condition: Never
    Properties: {Events: {E: {Type: Api, Properties: {Path: /gone, Method: get}}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      Events:
        A: {Type: Api, Properties: {Path: /a, Method: get, RestApiId: !Ref Api}}
        B: {Type: Api, Properties: {Path: /b, Method: get}}
        C: {Type: Api, Properties: {Path: /c, Method: get, RestApiId: Api}}
";
    let app = read(text).application;
    assert_eq!(app.functions.len(), 1);
    assert!(app.layers.is_empty());
    assert_eq!(app.routes.iter().map(|r| &*r.path).collect::<Vec<_>>(), ["/b"]);
}
