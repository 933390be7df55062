//! `Fn::ForEach`.

use crate::{findings, read, shown};

#[test]
fn loops_give_resources_and_properties() {
    let text = r"
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters: {Names: {Type: CommaDelimitedList, Default: 'a,b'}}
Globals: {Function: {Runtime: python3.12, Handler: a.b}}
Resources:
  'Fn::ForEach::Outer':
    - Name
    - !Ref Names
    - 'F${Name}':
        Type: AWS::Serverless::Function
        Properties:
          CodeUri: src/${Name}
          Environment:
            Variables:
              NAME: !Ref Name
              TEXT: 'is ${Name}, not ${Other}'
              SUB: !Sub '${Name}-${AWS::Region}'
              'Fn::ForEach::Inner': [N, ['1', '2'], {'V${N}': !Sub '${Name}${N}'}]
";
    let app = read(text).application;
    let ids: Vec<_> = app.functions.iter().map(|f| &*f.id.logical_id).collect();
    assert_eq!(ids, ["Fa", "Fb"]);
    let environment = shown(&app.functions[1].environment);
    let environment: Vec<_> = environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        environment,
        ["NAME=b", "SUB=b-us-east-1", "TEXT=is b, not ${Other}", "V1=b1", "V2=b2"]
    );
    assert!(findings(text).is_empty(), "{:?}", findings(text));
}

#[test]
fn loops_that_cannot_run() {
    let body = |body: &str| {
        format!(
            "Transform: AWS::LanguageExtensions\nParameters: {{P: {{Type: String}}}}\nResources:\n  'Fn::ForEach::X': {body}\n"
        )
    };
    for (text, expected) in [
        (
            "[A, [x, y], {Same: {Type: AWS::S3::Bucket}}]",
            "error sam::for-each 4:34 the loop creates the key `Same` twice",
        ),
        (
            "[A, !Ref P, {'B${A}': {Type: AWS::S3::Bucket}}]",
            "error sam::for-each 4:25 the loop needs a value for the parameter `P` (GiveParameter { name: \"P\", is_secret: false })",
        ),
        (
            "[A, !Split [',', !ImportValue names], {'B${A}': {Type: AWS::S3::Bucket}}]",
            "error sam::for-each 4:25 the list of a loop must be known without AWS: `!Split [\",\", !ImportValue names]`",
        ),
        (
            "[A, x, {'B${A}': {Type: AWS::S3::Bucket}}]",
            "error sam::for-each 4:25 a loop needs a list, not text",
        ),
        ("[A, [x]]", "error sam::for-each 4:3 a loop needs a variable, a list and a body"),
        ("5", "error sam::for-each 4:3 a loop needs a variable, a list and a body"),
    ] {
        let found = findings(&body(text));
        assert!(found.contains(&expected.to_owned()), "{text}: {found:?}");
    }
}
