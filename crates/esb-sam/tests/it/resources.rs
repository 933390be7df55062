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
          - {Id: tagged, Status: Enabled, ExpirationInDays: 1, TagFilters: [{Key: k, Value: v}]}
          - {Id: large, Status: Enabled, ExpirationInDays: 1, ObjectSizeGreaterThan: '10'}
          - {Id: filter, Status: Enabled, ExpirationInDays: 1, Filter: {Prefix: p/}}
          - {Id: unknown, Status: Enabled, ExpirationInDays: 1, Prefix: !GetAtt MyBucket.Nothing}
";
    let buckets = read(text).application.buckets;
    let [plain, named] = &buckets[..] else { panic!("{buckets:?}") };
    assert_eq!((&*plain.name, &*named.name), ("mybucket", "named-us-east-1"));
    let rules: Vec<_> = named
        .lifecycle
        .iter()
        .map(|r| (r.id.as_deref(), r.enabled, &*r.prefix, r.expiration_days))
        .collect();
    assert_eq!(rules[..2], [(Some("old"), true, "logs/", Some(7)), (None, false, "", Some(9))]);
    // What spares some of the objects is left out, as a rule without days.
    let others: Vec<_> = rules[2..].iter().map(|(id, _, _, days)| (id.unwrap(), *days)).collect();
    assert_eq!(others, ["tagged", "large", "filter", "unknown"].map(|id| (id, None)));
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

#[test]
fn keys_and_attributes_agree() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Parameters: {Open: {Type: String}}
Resources:
  Slip: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Nam: id, Type: String}}}
  Kind: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: id, Type: Strng}}}
  Lacks:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: a, KeyType: HASH}, {AttributeName: b, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}, {AttributeName: c, AttributeType: S}]
  Order:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: a, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}]
  Odd:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: a, KeyTyp: HASH}]
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}]
  Local:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: a, KeyType: HASH}, {AttributeName: b, KeyType: RANGE}]
      AttributeDefinitions: [{AttributeName: a, AttributeType: S}, {AttributeName: b, AttributeType: S}, {AttributeName: c, AttributeType: S}]
      LocalSecondaryIndexes: [{IndexName: i, KeySchema: [{AttributeName: a, KeyType: HASH}, {AttributeName: c, KeyType: RANGE}], Projection: {ProjectionType: ALL}}]
  Unknown:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: !Ref Open, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: b, AttributeType: S}]
";
    let found = findings(text).into_iter().filter(|finding| !finding.contains("Open"));
    let expected = [
        r"error sam::table 5:71 PrimaryKey of `Slip` has no Name",
        r"warning sam::unknown-property 5:72 PrimaryKey of `Slip` has no property `Nam` (did you mean `Name`?)",
        r"error sam::table 6:3 table `Kind`: `Strng` is not a type of a key: use S, N or B",
        r"error sam::table 11:29 the AttributeDefinitions of table `Lacks` lack its key `b`",
        r"error sam::table 11:29 the AttributeDefinitions of table `Lacks` have `c`, which is no key of the table or of an index",
        r"error sam::table 15:18 the KeySchema of table `Order` is a HASH key, and after it at most one RANGE key",
        r"error sam::table 20:19 KeySchema of `Odd` has no KeyType",
        r"warning sam::unknown-property 20:38 KeySchema of `Odd` has no property `KeyTyp` (did you mean `KeyType`?)",
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn names_that_aws_refuses() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Parameters: {Secret: {Type: String, NoEcho: true, Default: a b}}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {FunctionName: a b, Runtime: python3.13, Handler: a.b, InlineCode: x}}
  G: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Sub '${F}-g', Runtime: python3.13, Handler: a.b, InlineCode: x}}
  H: {Type: AWS::Serverless::Function, Properties: {FunctionName: 'arn:aws:lambda:eu-west-1:123456789012:function:h', Runtime: python3.13, Handler: a.b, InlineCode: x}}
  I: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Ref Secret, Runtime: python3.13, Handler: a.b, InlineCode: x}}
  T: {Type: AWS::Serverless::SimpleTable, Properties: {TableName: ab}}
  B: {Type: AWS::S3::Bucket, Properties: {BucketName: My_Bucket}}
";
    let expected = [
        r"error sam::name 5:67 FunctionName of `F` is `a b`: a function's name has 1 to 64 letters, digits, `-` and `_`",
        r"error sam::name 6:67 FunctionName of `G` is `a b-g`: a function's name has 1 to 64 letters, digits, `-` and `_`",
        r"error sam::name 8:67 FunctionName of `I` is `****`: a function's name has 1 to 64 letters, digits, `-` and `_`",
        r"error sam::name 9:67 TableName of `T` is `ab`: a table's name has 3 to 255 letters, digits, `-`, `_` and `.`",
        r"warning sam::name 10:55 BucketName of `B` is `My_Bucket`: a bucket's name has 3 to 63 small letters, digits, `-` and single `.`, begins and ends with a letter or a digit, and is no IP address",
    ];
    assert_eq!(findings(text), expected);
}
