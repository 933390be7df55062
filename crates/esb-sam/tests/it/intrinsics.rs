//! Every intrinsic function, in short and long form, through an environment variable.

use std::fmt::Write as _;

use crate::{findings, function, shown};

const HEAD: &str = r#"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Name: {Type: String, Default: alpha}
  List: {Type: CommaDelimitedList, Default: 'one, two,three'}
  Count: {Type: Number, Default: 7}
  Missing: {Type: String}
  Password: {Type: String, NoEcho: true, Default: hunter2}
Mappings:
  Map:
    alpha: {key: mapped, list: [p, q], NO: "1", 1: one}
Conditions:
  Yes: !Equals [!Ref Name, alpha]
  Unsure: !Equals [!Ref Missing, x]
Resources:
  Table: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub "${Name}-table", KeySchema: [{AttributeName: id, KeyType: HASH}]}}
  Simple: {Type: AWS::Serverless::SimpleTable}
  Bucket: {Type: AWS::S3::Bucket}
  Queue: {Type: AWS::SQS::Queue}
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: v1}}
  Machine: {Type: AWS::Serverless::StateMachine}
  Other: {Type: AWS::Lambda::Function, Properties: {FunctionName: other-fn, Runtime: python3.12, Handler: a.b, Code: src}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      AutoPublishAlias: live
      Environment:
        Variables:
"#;

/// Each expression gives the value; `<…>` marks one that stays symbolic.
#[track_caller]
fn check(table: &[(&str, &str)]) {
    let mut text = HEAD.to_owned();
    for (at, (expression, _)) in table.iter().enumerate() {
        writeln!(text, "          V{at}: {expression}").expect("a string takes all");
    }
    let environment = shown(&function(&text, "F").environment);
    for (at, (expression, expected)) in table.iter().enumerate() {
        let value = environment.get(&format!("V{at}")).map_or("(absent)", String::as_str);
        assert_eq!(value, *expected, "{expression}");
    }
}

#[test]
fn references() {
    check(&[
        ("!Ref Name", "alpha"),
        ("{Ref: Name}", "alpha"),
        ("!Ref Count", "7"),
        ("!Ref Missing", "<!Ref Missing>"),
        ("!Ref AWS::Region", "us-east-1"),
        ("!Ref AWS::AccountId", "123456789012"),
        ("!Ref AWS::NoValue", "(absent)"),
        ("!Ref AWS::URLSuffix", "amazonaws.com"),
        ("!Ref AWS::Partition", "aws"),
        ("!Ref Table", "alpha-table"),
        ("!Ref Simple", "Simple"),
        ("!Ref Bucket", "bucket"),
        ("!Ref Queue", "https://sqs.us-east-1.amazonaws.com/123456789012/Queue"),
        ("!Ref Topic", "arn:aws:sns:us-east-1:123456789012:news"),
        ("!Ref Machine", "arn:aws:states:us-east-1:123456789012:stateMachine:Machine"),
        ("!Ref Other", "other-fn"),
        ("!Ref F", "F"),
        ("!Ref Api", "<!Ref Api>"),
        ("!Ref Nope", "<!Ref Nope>"),
        ("!Ref Password", "****"),
        ("!Ref F.Alias", "arn:aws:lambda:us-east-1:123456789012:function:F:live"),
        ("!Ref FRole", "FRole"),
        ("!Ref ServerlessRestApi", "<!Ref ServerlessRestApi>"),
    ]);
}

#[test]
fn attributes() {
    check(&[
        ("!GetAtt Table.Arn", "arn:aws:dynamodb:us-east-1:123456789012:table/alpha-table"),
        ("!GetAtt [Table, Arn]", "arn:aws:dynamodb:us-east-1:123456789012:table/alpha-table"),
        ("{'Fn::GetAtt': Bucket.Arn}", "arn:aws:s3:::bucket"),
        ("!GetAtt Bucket.RegionalDomainName", "bucket.s3.us-east-1.amazonaws.com"),
        ("!GetAtt Queue.QueueName", "Queue"),
        ("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:123456789012:Queue"),
        ("!GetAtt Other.Arn", "arn:aws:lambda:us-east-1:123456789012:function:other-fn"),
        ("!GetAtt FRole.Arn", "arn:aws:iam::123456789012:role/FRole"),
        ("!GetAtt Table.StreamArn", "<!GetAtt Table.StreamArn>"),
        ("!GetAtt Api.RootResourceId", "<!GetAtt Api.RootResourceId>"),
        ("!GetAtt Nope.Arn", "<!GetAtt Nope.Arn>"),
        ("!GetAtt [Table, !Sub 'A${Missing}']", "<!GetAtt Table.!Sub \"A${Missing}\">"),
    ]);
}

#[test]
fn substitution() {
    check(&[
        ("!Sub 'a-${Name}-b'", "a-alpha-b"),
        ("!Sub '${Table.Arn}/x'", "arn:aws:dynamodb:us-east-1:123456789012:table/alpha-table/x"),
        ("!Sub '${!Name}'", "${Name}"),
        ("!Sub ['${x_y}${Name}', {x_y: !Ref Count, Name: local}]", "7local"),
        ("!Sub ['${a}', {a: '${Name}'}]", "${Name}"),
        ("!Sub '${Nope} $ ${'", "${Nope} $ ${"),
        ("!Sub '${Missing}-${Api}.${Api.Id}'", "<${Missing}-${Api}.${Api.Id}>"),
        ("!Sub 'p:${Password}'", "****"),
        ("!Sub '${Password}${Missing}'", "<****${Missing}>"),
        ("!Sub plain", "plain"),
        ("'${Name}'", "${Name}"),
        ("!Sub '${ js.code() }'", "${ js.code() }"),
    ]);
}

#[test]
fn lists() {
    check(&[
        ("!Join ['-', [a, !Ref Name, !Ref AWS::NoValue, 5]]", "a-alpha-5"),
        ("!Join [':', !Ref List]", "one:two:three"),
        ("!Join ['_', !Split ['|', 'x|y']]", "x_y"),
        ("!Join ['', [a, !Ref Missing]]", "<a${Missing}>"),
        ("!Join ['', [a, !Ref Password]]", "****"),
        ("!Select [1, !Ref List]", "two"),
        ("!Select ['0', [p, q]]", "p"),
        ("!Select [9, [p, q]]", "<!Select [9, [p, q]]>"),
        ("!Join [',', !GetAZs '']", "us-east-1a,us-east-1b,us-east-1c"),
        ("!Join [',', !Cidr ['10.0.0.0/16', 2, 8]]", "10.0.0.0/24,10.0.1.0/24"),
        ("{'Fn::Length': !Ref List}", "3"),
    ]);
}

#[test]
fn choice_and_encoding() {
    check(&[
        ("!If [Yes, a, !Ref Nope]", "a"),
        ("!If [Yes, !Ref AWS::NoValue, b]", "(absent)"),
        ("!If [Unsure, same, same]", "same"),
        ("!If [Unsure, a, b]", "<!If [Unsure, a, b]>"),
        ("!FindInMap [Map, !Ref Name, key]", "mapped"),
        ("!FindInMap [Map, alpha, NO]", "1"),
        ("!FindInMap [Map, alpha, 1]", "one"),
        ("!Join ['', !FindInMap [Map, alpha, list]]", "pq"),
        ("!FindInMap [Map, alpha, nope, {DefaultValue: d}]", "d"),
        ("!FindInMap [Map, !Ref Missing, key]", "<!FindInMap [Map, !Ref Missing, key]>"),
        ("!Base64 hello", "aGVsbG8="),
        ("{'Fn::Base64': !Sub 'v=${Name}'}", "dj1hbHBoYQ=="),
        (
            "{'Fn::ToJsonString': {a: 1, b: [true, x, !Ref Name]}}",
            r#"{"a":1,"b":[true,"x","alpha"]}"#,
        ),
        ("!ImportValue shared", "<!ImportValue shared>"),
        ("!Nonsense x", "<!Nonsense x>"),
        ("'{{resolve:ssm:name}}'", "<{{resolve:ssm:name}}>"),
    ]);
}

#[test]
fn what_is_wrong_is_said_at_its_place() {
    let text = format!(
        "{HEAD}          A: !Ref Nam\n          B: !FindInMap [Map, alpha, kee]\n          C: !GetAtt Tabel.Arn\n          D: !Joyn [a, [b]]\n          E: [x]\n          F: !Ref Missing\n"
    );
    assert_eq!(
        findings(&text),
        [
            "error sam::unresolved-ref 32:19 the template has no parameter or resource `Nam` (did you mean `Name`?)",
            "warning sam::mapping-key 33:38 there is no second key `kee` (did you mean `key`?)",
            "error sam::unresolved-ref 34:22 the template has no resource `Tabel` (did you mean `Table`?)",
            "warning sam::unknown-intrinsic 35:14 there is no function `!Joyn` (did you mean `!Join`?)",
            "error sam::wrong-type 36:14 variable `E` of `F` must be text, not a list",
            "warning sam::unresolved-value 37:14 variable `F` of `F` cannot be known without AWS: `!Ref Missing`",
        ]
    );
}

#[test]
fn names_that_depend_on_themselves() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  A: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: !Ref B}}
  B: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: !Sub 'x-${A}'}}
";
    assert!(
        findings(text).iter().any(|f| f.contains("error sam::reference-cycle")),
        "{:?}",
        findings(text)
    );
}

#[test]
fn misspelt_functions_are_told_once_as_they_are_written() {
    let check = |value: &str, expected: &[&str]| {
        let text = format!(
            "Resources:\n  T: {{Type: AWS::S3::Bucket}}\n  F:\n    Type: AWS::Lambda::Function\n    \
             Properties:\n      Runtime: python3.12\n      Handler: a.b\n      Code: x\n      \
             Environment: {{Variables: {{A: {value}}}}}\n"
        );
        assert_eq!(findings(&text), expected, "{value}");
    };
    let none = "warning sam::unknown-intrinsic 9:36 there is no function";
    check("!ref T", &[&format!("{none} `!ref` (did you mean `!Ref`?)")]);
    check("!getatt T.Arn", &[&format!("{none} `!getatt` (did you mean `!GetAtt`?)")]);
    check("{Fn::ref: T}", &[&format!("{none} `Fn::ref` (did you mean `Ref`?)")]);
    check("!Xyzzy T", &[&format!("{none} `!Xyzzy`")]);
    let shape = "error sam::wrong-type 9:36 variable `A` of `F` must be text, not a map";
    check("{Reff: T}", &[&format!("{shape} (did you mean `Ref`?)")]);
    check("{ref: T}", &[&format!("{shape} (did you mean `Ref`?)")]);
    check("{FN::Sub: x}", &[&format!("{shape} (did you mean `Fn::Sub`?)")]);
    check("{Key: T}", &[shape]);
}

#[test]
fn names_that_are_computed() {
    let text = |transform: &str| {
        format!(
            "Transform: [{transform}AWS::Serverless-2016-10-31]
Parameters: {{Stage: {{Type: String, Default: Prod}}}}
Resources:
  TableProd: {{Type: AWS::DynamoDB::Table, Properties: {{TableName: ttt, KeySchema: [{{AttributeName: a, KeyType: HASH}}], AttributeDefinitions: [{{AttributeName: a, AttributeType: S}}]}}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: a.b
      Runtime: python3.13
      Environment:
        Variables:
          A: {{Ref: !Sub 'Table${{Stage}}'}}
          B: {{Fn::GetAtt: [!Join ['', [Table, !Ref Stage]], Arn]}}
          C: {{Fn::GetAtt: !Sub 'Table${{Stage}}.Arn'}}
          D: {{Ref: !ImportValue x}}
"
        )
    };
    let extended = text("AWS::LanguageExtensions, ");
    let arn = "arn:aws:dynamodb:us-east-1:123456789012:table/ttt";
    let environment = shown(&function(&extended, "F").environment);
    assert_eq!(environment["A"], "ttt");
    assert_eq!([&*environment["B"], &*environment["C"]], [arn, arn]);
    let told = findings(&extended);
    assert_eq!(
        told,
        [
            "warning sam::unresolved-value 15:14 variable `D` of `F` cannot be known without AWS: `!Ref !ImportValue x`"
        ]
    );
    // Without the extensions, CloudFormation refuses them.
    assert_eq!(findings(&text("")).iter().filter(|told| told.starts_with("error")).count(), 4);
}
