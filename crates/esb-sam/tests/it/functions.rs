//! Functions: code in all forms, images, layers, limits, what is wrong with them.

use esb_model::{Code, EnvValue, LayerRef, Package};

use crate::{findings, function, read};

fn template(body: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Dir: {{Type: String, Default: from/}}\n  \
         Bucket: {{Type: String}}\nResources:\n  L: {{Type: AWS::Serverless::LayerVersion, Properties: \
         {{ContentUri: layer/, LayerName: named}}}}\n  F:\n    {body}\n"
    )
}

fn code(body: &str) -> String {
    match function(&template(body), "F").package {
        Package::Zip(zip) => match zip.code {
            Code::Path { path, .. } => format!("path {path}"),
            Code::S3 { uri, .. } => format!("s3 {uri}"),
            Code::Inline { text, file_name } => format!("inline {file_name} {text}"),
            Code::Unknown { symbolic, .. } => format!("unknown {symbolic}"),
        },
        Package::Image(image) => {
            let uri = match image.uri {
                Some(EnvValue::Known(uri)) => uri,
                other => format!("{other:?}"),
            };
            let build = image.build.map(|b| format!("{:?} {:?}", b.dockerfile, b.context));
            format!("image {uri} {}", build.unwrap_or_default())
        }
    }
}

#[test]
fn code_in_all_forms() {
    let serverless = |properties: &str| {
        format!(
            "{{Type: AWS::Serverless::Function, Properties: {{Runtime: nodejs22.x, Handler: index.h, {properties}}}}}"
        )
    };
    let lambda = |properties: &str| {
        format!(
            "{{Type: AWS::Lambda::Function, Properties: {{Runtime: python3.12, Handler: index.h, {properties}}}}}"
        )
    };
    for (body, expected) in [
        (serverless("CodeUri: ./src/fn/"), "path ./src/fn/"),
        (serverless(""), "path ."),
        (serverless("CodeUri: !Ref Dir"), "path from/"),
        (serverless("CodeUri: !Ref Bucket"), "unknown !Ref Bucket"),
        (serverless("CodeUri: 's3://b/k'"), "s3 s3://b/k"),
        (serverless("CodeUri: {Bucket: b, Key: !Ref Dir}"), "s3 s3://b/from/"),
        (serverless("CodeUri: {Bucket: !Ref Bucket, Key: k}"), "s3 s3://${Bucket}/k"),
        (serverless("InlineCode: 'x', CodeUri: y"), "inline index.js x"),
        (serverless("InlineCode: !Sub '// ${Dir}'"), "inline index.js // from/"),
        (lambda("Code: {ZipFile: 'print()'}"), "inline index.py print()"),
        (lambda("Code: {S3Bucket: b, S3Key: k}"), "s3 s3://b/k"),
        (lambda("Code: src"), "path src"),
        (lambda("PackageType: Image, Code: {ImageUri: 'repo/i:1'}"), "image repo/i:1 "),
        ("{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: 'i:1'}}".into(), "image i:1 "),
        ("{Type: AWS::Serverless::Function, Properties: {ImageUri: 'i:1'}}".into(), "image i:1 "),
        ("{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: 'i:1'}, Metadata: {DockerContext: ./c, Dockerfile: D}}".into(),
         "image None Some(\"D\") Some(\"./c\")"),
        ("{Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: {S3Bucket: b, S3Key: k}}, Metadata: {'aws:asset:path': ../asset.1, 'aws:asset:property': Code}}".into(),
         "path ../asset.1"),
    ] {
        assert_eq!(code(&body), expected, "{body}");
    }
}

#[test]
fn layers_by_reference_id_and_arn() {
    let body = "{Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, \
                Layers: [!Ref L, L, !Sub 'arn:aws:lambda:${AWS::Region}:1:layer:x:1', !Ref Bucket]}}";
    let Package::Zip(zip) = function(&template(body), "F").package else { panic!("no zip") };
    assert_eq!(
        zip.layers,
        [
            LayerRef::Local("L".into()),
            LayerRef::Local("L".into()),
            LayerRef::Arn("arn:aws:lambda:us-east-1:1:layer:x:1".into()),
            LayerRef::Unknown("!Ref Bucket".into()),
        ]
    );
    let layer = &read(&template(body)).application.layers[0];
    assert_eq!((&*layer.logical_id, layer.name.as_deref()), ("L", Some("named")));
}

#[test]
fn numbers() {
    let body = "{Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, \
                Timeout: '30', MemorySize: 1_024, EphemeralStorage: {Size: '600'}, \
                ReservedConcurrentExecutions: 4, \
                ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}}}";
    let function = function(&template(body), "F");
    assert_eq!(
        (
            function.timeout,
            function.memory,
            function.ephemeral_storage,
            function.reserved_concurrency,
            function.provisioned_concurrency
        ),
        (Some(30), Some(1024), Some(600), Some(4), Some(2))
    );
}

#[test]
fn image_configuration() {
    let body = "{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: i, \
                ImageConfig: {Command: [app.handler], EntryPoint: [/e, x], WorkingDirectory: /w}}}";
    let Package::Image(image) = function(&template(body), "F").package else { panic!("no image") };
    let overrides = image.overrides;
    assert_eq!(overrides.command, Some(vec!["app.handler".to_owned()]));
    assert_eq!(overrides.entry_point, Some(vec!["/e".to_owned(), "x".to_owned()]));
    assert_eq!(overrides.working_directory.as_deref(), Some("/w"));
    let body = "{Type: AWS::Serverless::Function, Properties: {PackageType: Image, ImageUri: i, \
                ImageConfig: {Command: [], EntryPoint: [], WorkingDirectory: ''}}}";
    let Package::Image(image) = function(&template(body), "F").package else { panic!("no image") };
    assert!(image.overrides.is_empty(), "{image:?}");
}

#[test]
fn a_secret_stays_one_on_every_way() {
    let text = "
Parameters: {P: {Type: String, NoEcho: true, Default: hunter2}}
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      PackageType: Image
      Code: {ImageUri: !Sub 'repo/${P}'}
      Environment: {Variables: {A: !Ref P, B: !Sub 'x${P}', C: !Join ['', [a, !Ref P]], D: !Base64 {Ref: P}, E: !Select [0, !Split [',', !Ref P]]}}
";
    let function = function(text, "F");
    for (name, value) in &function.environment {
        assert!(matches!(value, EnvValue::Secret(_)), "{name}: {value:?}");
    }
    assert!(!format!("{function:?}").contains("hunter2"));
    let EnvValue::Secret(joined) = &function.environment["C"] else { panic!("no secret") };
    assert_eq!(joined.reveal(), "ahunter2");
}

#[test]
fn what_is_wrong_with_a_function() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: pythn3.12
      Timeout: abc
      Enviroment: {}
      Architectures: [sparc]
  G: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}}
";
    assert_eq!(
        findings(text),
        [
            "warning sam::missing-property 4:3 `F` has no Handler (lambda_function.lambda_handler is used; set `Handler` to choose another)",
            "error sam::unknown-runtime 7:16 Runtime of `F`: Lambda has no runtime `pythn3.12` (did you mean `python3.12`?)",
            "error sam::wrong-type 8:16 Timeout of `F` must be a whole number, not `abc`",
            "warning sam::unknown-property 9:7 AWS::Serverless::Function has no property `Enviroment` (did you mean `Environment`?)",
            "warning sam::wrong-type 10:23 Architectures of `F`: unknown platform `sparc`: known are linux/amd64 and linux/arm64",
            "error sam::image-source 11:3 image function `G` does not name an image (name one with `ImageUri`, or build one with `Metadata: DockerContext`)",
        ]
    );
}

#[test]
fn names_that_mean_nothing() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.12, Handler: a.b, Tracng: Active, Events: {}}}
Resources:
  F:
    Type: AWS::Serverless::Function
    Metdata: {}
    Timeout: 5
    Properties:
      Environment: {Variable: {A: b}}
      Events:
        E: {Type: Api, Proprties: {}, Properties: {Path: /, Method: get, RestApi: X}}
        S: {Type: SQS, Properties: {Anything: goes}}
  G: {Type: AWS::Serverless::Function, Properties: {Fn::Transform: {Name: M}}}
  H: {Type: AWS::Serverless::Funktion}
  T: {Type: AWS::DynamoDB::Tabel, Properties: {}}
  B: {Type: AWS::S3::Bucket, Properties: {Bucketname: b}}
  Far: {Type: AWS::S3::BucketPolicy, Properties: {Bukcet: b}}
  C: {Type: Custom::Thing, Properties: {Any: thing}}
";
    assert_eq!(
        findings(text),
        [
            "warning sam::unknown-property 3:57 AWS::Serverless::Function has no property `Tracng` (did you mean `Tracing`?)",
            "warning sam::globals 3:73 Globals cannot set `Events` for functions",
            "warning sam::unknown-property 7:5 resource `F` has no property `Metdata` (did you mean `Metadata`?)",
            "warning sam::unknown-property 8:5 `Timeout` is outside `Properties` (move it below `Properties`)",
            "warning sam::unknown-property 10:21 Environment of `F` has no property `Variable` (did you mean `Variables`?)",
            "warning sam::unknown-property 12:24 event `E` of `F` has no property `Proprties` (did you mean `Properties`?)",
            "warning sam::unknown-property 12:74 event `E` of `F` has no property `RestApi` (did you mean `RestApiId`?)",
            "note platform::trigger 13:9 the platform does not serve SQS events",
            "warning sam::unresolved-value 14:53 a part of the properties of `G` cannot be known without AWS: `!Transform {Name: M}`",
            "error sam::unknown-resource-type 15:13 there is no resource type `AWS::Serverless::Funktion` (did you mean `AWS::Serverless::Function`?)",
            "error sam::unknown-resource-type 16:13 there is no resource type `AWS::DynamoDB::Tabel` (did you mean `AWS::DynamoDB::Table`?)",
            "warning sam::unknown-property 17:43 AWS::S3::Bucket has no property `Bucketname` (did you mean `BucketName`?)",
        ]
    );
}

#[test]
fn runtimes_that_are_none_gone_or_to_come() {
    for (runtime, code, expected) in [
        (
            "python3.133",
            "src",
            "error sam::unknown-runtime Runtime of `F`: Lambda has no runtime `python3.133` (did you mean `python3.13`?)",
        ),
        (
            "nodejs20",
            "src",
            "error sam::unknown-runtime Runtime of `F`: Lambda has no runtime `nodejs20` (did you mean `nodejs20.x`?)",
        ),
        (
            "python3.16",
            "src",
            "warning sam::unknown-runtime Runtime of `F`: `python3.16` is not known here; if AWS has it, its image is built on public.ecr.aws/lambda/python:3.16 (did you mean `python3.15`?)",
        ),
        (
            "JAVA_VERSION",
            "src",
            "warning sam::unknown-runtime Runtime of `F`: unknown runtime `JAVA_VERSION`",
        ),
        (
            "python2.7",
            "src",
            "warning sam::ended-runtime AWS ended the support of `python2.7` on 2021-07-15 (public.ecr.aws/lambda/python:2.7 gets no more updates: change to `python3.14`)",
        ),
        // What is not built here can only be looked at.
        (
            "python3.133",
            "s3://bucket/key",
            "warning sam::unknown-runtime Runtime of `F`: Lambda has no runtime `python3.133` (did you mean `python3.13`?)",
        ),
        ("python3.13", "src", ""),
        (
            "provided",
            "src",
            "warning sam::ended-runtime AWS ended the support of `provided` on 2024-01-08 (public.ecr.aws/lambda/provided:alami gets no more updates: change to `provided.al2023`)",
        ),
    ] {
        let text = format!(
            "Transform: AWS::Serverless-2016-10-31\nResources: {{F: {{Type: AWS::Serverless::Function, \
             Properties: {{Handler: a.b, CodeUri: '{code}', Runtime: {runtime}}}}}}}"
        );
        let found = findings(&text).into_iter().filter(|finding| finding.contains("runtime "));
        let without_place = |finding: String| {
            let mut words: Vec<&str> = finding.split(' ').collect();
            words.remove(2);
            words.join(" ")
        };
        assert_eq!(found.map(without_place).collect::<String>(), expected, "{runtime} {code}");
    }
}

#[test]
fn a_layer_is_a_reference_and_no_plain_word() {
    let body = "{Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, \
                Layers: [L, common, LL, !Ref Bucket]}}";
    let found = findings(&template(body)).into_iter().filter(|f| f.contains("sam::layer"));
    let found: Vec<_> = found.map(|f| f.split_once(" sam::layer ").unwrap().1.to_owned()).collect();
    let without_place: Vec<_> = found.iter().map(|f| f.split_once(' ').unwrap().1).collect();
    assert_eq!(
        without_place,
        [
            "Layers of `F`: `L` is a plain word, not a reference to a layer (write `!Ref L`)",
            "Layers of `F`: `common` is a plain word, not a reference to a layer (name a layer of this template with `!Ref`, or a published one by its ARN)",
            "Layers of `F`: `LL` is a plain word, not a reference to a layer (write `!Ref L`)",
        ]
    );
}

#[test]
fn types_that_do_not_exist() {
    for (kind, expected) in [
        ("AWS::S3::BucketPolicy", ""),
        ("AWS::Lambda::Url", ""),
        ("Custom::Thing", ""),
        ("Vendor::Service::Thing", ""),
        ("AWS::CDK::Metadata", ""),
        (
            "AWS::Lambda::Funtcion",
            "error there is no resource type `AWS::Lambda::Funtcion` (did you mean `AWS::Lambda::Function`?)",
        ),
        ("AWS::Lambda::Nonsense", "error there is no resource type `AWS::Lambda::Nonsense`"),
        (
            "AWS::Serverless::Functions",
            "error there is no resource type `AWS::Serverless::Functions` (did you mean `AWS::Serverless::Function`?)",
        ),
        (
            "aws::s3::bucket",
            "error there is no resource type `aws::s3::bucket` (did you mean `AWS::S3::Bucket`?)",
        ),
        (
            "AWS::IAM::Polcy",
            "error there is no resource type `AWS::IAM::Polcy` (did you mean `AWS::IAM::Policy`?)",
        ),
        ("AWS::Brandnew::Thing", "warning there is no resource type `AWS::Brandnew::Thing`"),
        ("Bucket", "warning there is no resource type `Bucket`"),
    ] {
        let found = findings(&format!("Resources: {{R: {{Type: '{kind}'}}}}")).into_iter();
        let found = found.filter(|finding| finding.contains("unknown-resource-type"));
        let shown: Vec<_> =
            found.map(|f| f.replace("sam::unknown-resource-type 1:23 ", "")).collect();
        assert_eq!(shown.join(""), expected, "{kind}");
    }
}

#[test]
fn what_cloudformation_looks_up_is_unknown() {
    let whole = "Runtime: python3.12, Handler: a.h, Timeout: 3, MemorySize: 128, FunctionName: f, \
                 Layers: [!Ref L], EphemeralStorage: {Size: 512}, ReservedConcurrentExecutions: 77, \
                 PackageType: Zip, Events: {E: {Type: Api, Properties: {Path: /x, Method: get}}, S: \
                 {Type: Schedule, Properties: {Schedule: rate(1 day)}}}";
    for value in [
        "python3.12",
        "a.h",
        "3",
        "128",
        "f",
        "[!Ref L]",
        "512",
        "77",
        "Zip",
        "/x",
        "get",
        "rate(1 day)",
    ] {
        let looked_up = "'{{resolve:ssm:/x}}'";
        let looked_up =
            if value.starts_with('[') { format!("[{looked_up}]") } else { looked_up.to_owned() };
        let resolved = whole.replacen(&format!(": {value}"), &format!(": {looked_up}"), 1);
        let body =
            format!("{{Type: AWS::Serverless::Function, Properties: {{CodeUri: c, {resolved}}}}}");
        let found = findings(&template(&body));
        assert!(found.iter().any(|finding| finding.contains("{{resolve:")), "{value}: {found:?}");
        assert!(!found.iter().any(|finding| finding.starts_with("error")), "{value}: {found:?}");
    }
}

#[test]
fn variables_that_no_process_can_have() {
    for (variable, part) in [
        (r#""": x"#, "`` cannot be the name"),
        (r#""A=B": x"#, "`A=B` cannot be the name"),
        (r#""A\nB": x"#, "cannot be the name"),
        (r#"A: "x\0y""#, "a null character"),
    ] {
        let body = format!(
            "{{Type: AWS::Serverless::Function, Properties: {{CodeUri: c, Runtime: python3.12, Handler: \
             a.h, Environment: {{Variables: {{{variable}}}}}}}}}"
        );
        let found = findings(&template(&body));
        let error = found.iter().find(|finding| finding.starts_with("error sam::wrong-type"));
        assert!(error.is_some_and(|error| error.contains(part)), "{variable}: {found:?}");
    }
}
