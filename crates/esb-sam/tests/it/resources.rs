//! Tables, buckets, and what the platform does differently.

use esb_model::{AttributeType, KeyType, Projection, Throughput};

use crate::{findings, read};

#[test]
fn tables() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  Bare: {Type: AWS::Serverless::SimpleTable}
  Keyed: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: keyed, PrimaryKey: {Name: n, Type: Number}, ProvisionedThroughput: {ReadCapacityUnits: 2, WriteCapacityUnits: '3'}}}
  Full:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: a, AttributeType: S}
        - {AttributeName: b, AttributeType: N}
      KeySchema: [{AttributeName: a, KeyType: HASH}, {AttributeName: b, KeyType: RANGE}]
      GlobalSecondaryIndexes:
        - IndexName: i
          KeySchema: [{AttributeName: b, KeyType: HASH}]
          Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [x, y]}
  Keyless: {Type: AWS::DynamoDB::Table}
";
    let tables = read(text).application.tables;
    let [bare, keyed, full, _] = &tables[..] else { panic!("{tables:?}") };
    assert_eq!((&*bare.name, &*bare.keys[0].attribute, bare.on_demand), ("Bare", "id", true));
    assert_eq!((&*keyed.name, keyed.attributes[0].kind), ("keyed", AttributeType::Number));
    assert_eq!(keyed.throughput, Some(Throughput { read: 2, write: 3 }));
    assert!(!keyed.on_demand && full.on_demand);
    assert_eq!(full.keys[1].kind, KeyType::Range);
    assert_eq!(full.attributes[1].kind, AttributeType::Number);
    assert_eq!(full.indexes[0].projection, Projection::Include(vec!["x".into(), "y".into()]));
    assert_eq!(findings(text), ["error sam::table 18:3 table `Keyless` has no key"]);
}

#[test]
fn buckets() {
    let text = r"
Resources:
  MyBucket: {Type: AWS::S3::Bucket}
  Named:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub named-${AWS::Region}
      LifecycleConfiguration:
        Rules:
          - {Id: old, Status: Enabled, Prefix: logs/, ExpirationInDays: 7}
          - {Status: Disabled, ExpirationInDays: '9'}
          - {Status: Enabled, NoncurrentVersionExpirationInDays: 1}
";
    let buckets = read(text).application.buckets;
    let [plain, named] = &buckets[..] else { panic!("{buckets:?}") };
    assert_eq!((&*plain.name, &*named.name), ("mybucket", "named-us-east-1"));
    let rules: Vec<_> = named
        .lifecycle
        .iter()
        .map(|r| (r.id.as_deref(), r.enabled, &*r.prefix, r.expiration_days))
        .collect();
    assert_eq!(rules, [(Some("old"), true, "logs/", Some(7)), (None, false, "", Some(9))]);
    assert!(findings(text).is_empty());
}

#[test]
fn sections_and_macros_are_checked() {
    let text = "Transform: [AWS::Serverless-2016-10-31, Mine]\nResorces: {}\nResources: {}\n";
    assert_eq!(
        findings(text),
        [
            "warning sam::transform 1:41 the macro `Mine` is not run",
            "warning sam::unknown-section 2:1 `Resorces` is not a section of a template (did you mean `Resources`?)",
        ]
    );
    let text = "Resources: {T: {Type: AWS::Serverless::SimpleTable}}\n";
    assert_eq!(
        findings(text),
        [
            "warning sam::transform 1:13 SAM's resources need `Transform: AWS::Serverless-2016-10-31`",
        ]
    );
}

#[test]
fn the_platform_is_no_aws() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      Timeout: 60
      MemorySize: 256
      Events: {E: {Type: HttpApi}, S: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}}
";
    let codes = |text: &str| {
        let notes = esb_sam::platform_findings(&read(text).application);
        notes
            .iter()
            .map(|note| note.code.0.trim_start_matches("esb::platform::"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes(text),
        ["authorization", "payload", "timeout", "concurrency", "memory", "schedule"]
    );
    assert!(codes("Resources: {}").is_empty());
    // Each once, with a place and what to do.
    for note in esb_sam::platform_findings(&read(text).application) {
        assert_eq!(note.severity, esb_model::Severity::Note);
        assert!(note.span.is_some() && note.help.is_some(), "{note:?}");
    }
}

#[test]
fn variables_that_the_platform_sets() {
    let text = r"
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Environment: {Variables: {LOG_LEVEL: debug}}}}
  G: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Environment: {Variables: {LOG_LEVEL: info, S3_ENDPOINT: x}}}}
";
    assert_eq!(
        findings(text),
        [
            "note platform::environment 3:110 the platform sets `LOG_LEVEL` itself",
            "note platform::environment 4:127 the platform sets `S3_ENDPOINT` itself",
        ]
    );
}

#[test]
fn what_a_macro_adds_is_unknown() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Parameters:
  Fn::Transform: {Name: M}
Conditions:
  Fn::Transform: {Name: M}
Resources:
  A: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: !Transform {Name: M}}}
  B: {Type: AWS::DynamoDB::Table, Properties: {Fn::Transform: {Name: M}}}
  C: {Type: AWS::DynamoDB::Table, Properties: {KeySchema: [!Transform {Name: M}]}}
  D: {Fn::Transform: {Name: M}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      MemorySize: {Fn::Transform: {Name: M}, Other: x}
      Layers: !Transform {Name: M}
      Events:
        A: {Type: Api, Properties: !Transform {Name: M}}
        B: {Type: HttpApi, Properties: {Method: get, Fn::Transform: {Name: M}}}
        C: {Type: Schedule, Properties: {Fn::Transform: {Name: M}, Input: x}}
        D: {Type: Api, Properties: {Path: !ImportValue p, Method: get}}
";
    let parsed = super::read(text);
    assert_eq!(parsed.parameters, []);
    let told = findings(text);
    let unknown = "warning sam::unresolved-value";
    let (unknown, others): (Vec<_>, Vec<_>) =
        told.iter().partition(|finding| finding.starts_with(unknown));
    assert_eq!(unknown.len(), 8, "{told:#?}");
    assert_eq!(others, [] as [&String; 0]);
}
