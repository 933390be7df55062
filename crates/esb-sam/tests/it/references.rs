//! References to what does not exist: where they are errors, and where they are not.

use esb_sam::Options;

use crate::{findings, findings_with};

const HEAD: &str = "
Transform: AWS::Serverless-2016-10-31
Parameters: {Stage: {Type: String, Default: dev}}
Conditions: {Dev: !Equals [!Ref Stage, dev], Prod: !Not [!Condition Dev]}
Resources:
  Table: {Type: AWS::Serverless::SimpleTable}
  Queue: {Type: AWS::SQS::Queue}
  Rest: {Type: AWS::Serverless::Api, Properties: {StageName: Prod}}
  Hello:
    Type: AWS::Serverless::Function
    Connectors: {ToTable: {Properties: {Destination: {Id: Table}, Permissions: [Read]}}}
    Properties:
      Runtime: python3.12
      Handler: a.b
      CodeUri: src/
      AutoPublishAlias: live
      Events:
        Get: {Type: Api, Properties: {Path: /, Method: get, RestApiId: !Ref Rest}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}
      Environment:
        Variables:
          V: ";

/// What is found about references, each as severity, place and message.
fn shown(text: &str, options: &Options) -> Vec<(String, String, String)> {
    let all = findings_with(text, options).into_iter();
    let about = all.filter(|finding| finding.contains("sam::unresolved-ref"));
    about
        .map(|finding| {
            let mut words = finding.splitn(4, ' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            let (severity, _code, place) = (next(), next(), next());
            (severity, place, next())
        })
        .collect()
}

/// What is found about a value of a variable, without its place.
fn about(value: &str) -> String {
    let found = shown(&format!("{HEAD}{value}\n"), &Options::default());
    let found = found.into_iter().map(|(severity, _, message)| format!("{severity}: {message}"));
    found.collect::<Vec<_>>().join(" | ")
}

#[test]
fn what_names_nothing_is_an_error() {
    for (value, expected) in [
        (
            "!Ref Tabel",
            "error: the template has no parameter or resource `Tabel` (did you mean `Table`?)",
        ),
        ("!Ref Nothing", "error: the template has no parameter or resource `Nothing`"),
        (
            "!GetAtt Tabel.Arn",
            "error: the template has no resource `Tabel` (did you mean `Table`?)",
        ),
        ("!GetAtt [Nothing, Arn]", "error: the template has no resource `Nothing`"),
        ("!GetAtt Stage.Arn", "error: `Stage` is a parameter: only resources have attributes"),
        (
            "!Sub 'a-${Stge}-${Nothing.Arn}'",
            "error: the template has no parameter or resource `Stge` (did you mean `Stage`?) | \
             error: the template has no resource `Nothing`",
        ),
        (
            "!Sub ['${A}${B}', {A: !Ref Stage}]",
            "error: the template has no parameter or resource `B`",
        ),
        ("!GetAtt Table.Arnn", "error: `Table` has no attribute `Arnn` (did you mean `Arn`?)"),
        ("!Sub '${Table.Name}'", "warning: `Table` has no attribute `Name`"),
        ("!GetAtt [Queue, QueueUrl]", ""),
        (
            "!Ref AWS::Regoin",
            "error: there is no pseudo parameter `AWS::Regoin` (did you mean `AWS::Region`?)",
        ),
        (
            "!Ref Dev",
            "error: the template has no parameter or resource `Dev` (`Dev` is a condition: use it with `Fn::If`)",
        ),
        // A branch that is not taken now is one for other parameters.
        (
            "!If [Dev, x, !Ref Nothing]",
            "error: the template has no parameter or resource `Nothing`",
        ),
        (
            "!Join ['', [a, !Ref Nothing]]",
            "error: the template has no parameter or resource `Nothing`",
        ),
    ] {
        assert_eq!(about(value), expected, "{value}");
    }
}

#[test]
fn what_the_transform_makes_exists() {
    for value in [
        "!Ref ServerlessRestApi",
        "!Ref ServerlessRestApiProdStage",
        "!Ref ServerlessUsagePlan",
        "!GetAtt CodeDeployServiceRole.Arn",
        "!Ref HelloRole",
        "!GetAtt HelloRole.Arn",
        "!Ref Hello.Alias",
        "!Ref Hello.Version",
        "!Ref HelloAliaslive",
        "!Ref HelloTick",
        "!Ref HelloGetPermissionProd",
        "!Ref HelloToTable",
        "!Ref HelloUrl",
        "!Sub '${Rest.Stage}${Rest}${HelloRole.Arn}'",
        "!Ref RestProdStage",
        "!Ref AWS::NoValue",
        "!Sub '${!NotAName}$${AWS::Region}'",
    ] {
        assert_eq!(about(value), "", "{value}");
    }
    // What only begins like a function's name is made by nothing.
    assert_eq!(
        about("!Ref HelloTable"),
        "error: the template has no parameter or resource `HelloTable`"
    );
    assert_eq!(
        about("!Ref TableRole"),
        "error: the template has no parameter or resource `TableRole`"
    );
}

/// What is found in a template with one more part, as severities.
fn severities(part: &str, strict: bool) -> String {
    let options = Options { strict, ..Options::default() };
    let text = format!("{HEAD}x\n{part}\n");
    let found = shown(&text, &options);
    found.into_iter().map(|(severity, ..)| severity).collect::<Vec<_>>().join(" ")
}

#[test]
fn where_the_platform_ignores_it_a_deployment_alone_refuses_it() {
    for (part, read, deployed) in [
        // A name that is nearly another one is a mistake in any place.
        ("  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Stagee}}", "error", "error"),
        ("  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nothing}}", "warning", "error"),
        ("  Q: {Type: AWS::SQS::Queue, DependsOn: Nothing}", "warning", "error"),
        ("  Q: {Type: AWS::SQS::Queue, DependsOn: [Table, Hello, Queu]}", "error", "error"),
        ("  T: {Type: AWS::Serverless::SimpleTable, DependsOn: Nothing}", "error", "error"),
        ("  B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref Nothing}}", "error", "error"),
        ("  B: {Type: AWS::S3::Bucket, Properties: {Tags: !Ref Nothing}}", "warning", "error"),
        // Nothing is made of it.
        (
            "  Q: {Type: AWS::SQS::Queue, Condition: Prod, Properties: {QueueName: !Ref Stagee}}",
            "warning",
            "warning",
        ),
        (
            "Outputs: {A: {Value: !Ref Tabel}, B: {Value: !Sub '${Nothing.Arn}'}}",
            "warning warning",
            "warning warning",
        ),
        (
            "  C: {Type: AWS::S3::Bucket, Metadata: {'aws:cdk:path': x}, Properties: {BucketName: !Ref AssetParameters1}}",
            "warning",
            "warning",
        ),
        (
            "  S: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, \
             CodeUri: s3://b/k, Environment: {Variables: {V: !Ref Nothing}}}}",
            "warning",
            "error",
        ),
        // Names may come from elsewhere.
        ("Metadataa: {}\nOutputs: {}", "", ""),
        (
            "  Fn::Transform: {Name: AWS::Include}\n  T: {Type: AWS::Serverless::SimpleTable, DependsOn: Tabel}",
            "warning",
            "warning",
        ),
    ] {
        assert_eq!(severities(part, false), read, "{part}");
        assert_eq!(severities(part, true), deployed, "{part}, strict");
    }
}

#[test]
fn globals_count_where_they_apply() {
    let of = |kind: &str| {
        format!(
            "Transform: AWS::Serverless-2016-10-31\nGlobals: {{Function: {{Environment: {{Variables: \
             {{V: !Ref Nothing}}}}}}}}\nResources: {{R: {{Type: {kind}, Properties: {{Runtime: \
             python3.12, Handler: a.b}}}}}}"
        )
    };
    assert_eq!(
        findings(&of("AWS::Serverless::Function")),
        ["error sam::unresolved-ref 2:56 the template has no parameter or resource `Nothing`"]
    );
    assert_eq!(findings(&of("AWS::Lambda::Function")), [""; 0]);
}

#[test]
fn conditions_refer_to_parameters_alone() {
    let text = "
Conditions: {A: !Equals [!Ref Bucket, x], B: !Equals [!Ref Stgae, x]}
Parameters: {Stage: {Type: String, Default: x}}
Resources:
  Bucket: {Type: AWS::S3::Bucket, Properties: {Tags: !If [Aa, x, y]}}
";
    assert_eq!(
        findings(text),
        [
            "error sam::unresolved-ref 2:31 the template has no parameter `Bucket` (conditions can refer to parameters only)",
            "error sam::unresolved-ref 2:60 the template has no parameter `Stgae` (did you mean `Stage`?)",
            "error sam::unknown-condition 5:59 there is no condition `Aa` (did you mean `A`?)",
        ]
    );
}
