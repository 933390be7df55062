//! Parameters: where values come from, types, constraints.

use esb_sam::{
    Options,
    ParameterOrigin::{Aws, Default as InTemplate, Given, Missing},
};

use crate::{findings, findings_with, read_with, shown};

fn options(given: &[(&str, &str)]) -> Options {
    let parameters = given.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Options { parameters, ..Options::default() }
}

const TEXT: &str = r"
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod], Description: the stage}
  Size: {Type: Number, Default: 5, MinValue: 1, MaxValue: 9}
  Flag: {Type: String, Default: true}
  Names: {Type: List<String>, Default: [a, b]}
  Key: {Type: String, NoEcho: 'true', Default: s3cret, MinLength: 3}
  Image: {Type: AWS::SSM::Parameter::Value<String>, Default: /path}
  Needed: {Type: String}
Resources:
  F:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      Code: src
      Environment:
        Variables:
          STAGE: !Ref Stage
          SIZE: !Ref Size
          FLAG: !Ref Flag
          NAMES: !Join ['+', !Ref Names]
          KEY: !Ref Key
          IMAGE: !Ref Image
          NEEDED: !Ref Needed
";

#[test]
fn defaults_and_given_values() {
    let values = |given| {
        let parsed = read_with(TEXT, &options(given));
        let environment = shown(&parsed.application.functions[0].environment);
        environment.into_values().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values(&[]), "true <!Ref Image> **** a+b <!Ref Needed> 5 dev");
    assert_eq!(
        values(&[("Stage", "prod"), ("Names", "x, y"), ("Image", "i"), ("Needed", "n")]),
        "true i **** x+y n 5 prod"
    );
}

#[test]
fn declarations_are_listed() {
    let parsed = read_with(TEXT, &options(&[("Stage", "prod")]));
    let origins: Vec<_> = parsed.parameters.iter().map(|p| (p.name.as_str(), p.origin)).collect();
    assert_eq!(
        origins,
        [
            ("Stage", Given),
            ("Size", InTemplate),
            ("Flag", InTemplate),
            ("Names", InTemplate),
            ("Key", InTemplate),
            ("Image", Aws),
            ("Needed", Missing),
        ]
    );
    let missing: Vec<_> = parsed.missing_parameters().map(|p| &*p.name).collect();
    assert_eq!(missing, ["Needed"]);
    let stage = &parsed.parameters[0];
    assert_eq!(stage.allowed, ["dev", "prod"]);
    assert_eq!(stage.description.as_deref(), Some("the stage"));
    let key = &parsed.parameters[4];
    assert!(key.no_echo);
    assert_eq!(key.default.as_deref(), Some("****"));
}

#[test]
fn a_secret_never_shows() {
    let parsed = read_with(TEXT, &options(&[("Key", "x")]));
    assert!(!format!("{parsed:?}").contains("s3cret"));
    let given = findings_with(TEXT, &options(&[("Key", "zz"), ("Needed", ""), ("Image", "")]));
    assert_eq!(
        given,
        [
            "error sam::parameter-constraint 7:3 the value `****` of parameter `Key` must have at least 3 characters",
        ]
    );
}

#[test]
fn constraints_and_unknown_names() {
    let given =
        options(&[("Stage", "test"), ("Size", "12"), ("Stag", "x"), ("Needed", ""), ("Image", "")]);
    assert_eq!(
        findings_with(TEXT, &given),
        [
            "error sam::parameter-constraint 3:3 the value `test` of parameter `Stage` must be one of `dev`, `prod`",
            "warning sam::unknown-parameter 3:3 the template has no parameter `Stag` (did you mean `Stage`?)",
            "error sam::parameter-constraint 4:3 the value `12` of parameter `Size` must be at most 9",
        ]
    );
}

#[test]
fn env_vars_replace_what_aws_would_compute() {
    let mut options = options(&[]);
    options.env_vars.entry("F".into()).or_default().insert("IMAGE".into(), "one".into());
    options.env_vars.entry("Parameters".into()).or_default().insert("NEEDED".into(), "all".into());
    let parsed = read_with(TEXT, &options);
    let environment = shown(&parsed.application.functions[0].environment);
    assert_eq!((&*environment["IMAGE"], &*environment["NEEDED"]), ("one", "all"));
}

#[test]
fn region_account_and_stack_name() {
    let options = Options {
        region: "cn-north-1".into(),
        account_id: "000000000000".into(),
        stack_name: "shop".into(),
        ..Options::default()
    };
    let text = r"
Resources:
  Q: {Type: AWS::SQS::Queue}
  F:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      Code: src
      FunctionName: !Sub '${AWS::StackName}-f'
      Environment: {Variables: {A: !GetAtt Q.Arn, B: !Ref Q}}
";
    let parsed = read_with(text, &options);
    let function = &parsed.application.functions[0];
    let environment = shown(&function.environment);
    assert_eq!(environment["A"], "arn:aws-cn:sqs:cn-north-1:000000000000:Q");
    assert_eq!(environment["B"], "https://sqs.cn-north-1.amazonaws.com.cn/000000000000/Q");
    assert_eq!(function.name.as_deref(), Some("shop-f"));
    assert_eq!(parsed.application.region, "cn-north-1");
}

/// The findings of one parameter's value, without what all of them have.
#[track_caller]
fn check(declaration: &str, given: Option<&str>, expected: &[&str]) {
    let text = format!("Parameters:\n  P: {{{declaration}}}\nResources: {{}}\n");
    let given: Vec<_> = given.map(|value| ("P", value)).into_iter().collect();
    let found: Vec<_> = findings_with(&text, &options(&given))
        .into_iter()
        .map(|finding| finding.replace("sam::parameter-constraint ", ""))
        .collect();
    assert_eq!(found, expected, "{declaration}");
}

#[test]
fn patterns_match_whole_values() {
    let pattern = "Type: String, AllowedPattern: '[a-z]+|x\\d{1,255}'";
    check(pattern, Some("abc"), &[]);
    check(pattern, Some("x12"), &[]);
    check(
        pattern,
        Some("abc1"),
        &[
            "error 2:3 the value `abc1` of parameter `P` does not match the pattern `[a-z]+|x\\d{1,255}`",
        ],
    );
    check(
        "Type: CommaDelimitedList, AllowedPattern: '[a-z]+', Default: 'a, B,c'",
        None,
        &["warning 2:68 the value `B` of parameter `P` does not match the pattern `[a-z]+`"],
    );
    check(
        "Type: String, NoEcho: true, AllowedPattern: '.{8,}', Default: hunter2, ConstraintDescription: eight letters",
        None,
        &[
            "warning 2:3 the value `****` of parameter `P` does not match the pattern `.{8,}` (eight letters)",
        ],
    );
    // A value that nobody knows and a number are not matched.
    check("Type: String, AllowedPattern: '[a-z]+'", None, &[]);
    check("Type: Number, AllowedPattern: '[a-z]+', Default: 5", None, &[]);
}

#[test]
fn patterns_that_are_no_business_of_ours_get_a_note() {
    let value = "Type: String, Default: x, AllowedPattern: ";
    for (pattern, cause) in [
        ("'(?!y).*'", "look-around is not supported"),
        ("'a)(b'", "found closing ')' without matching '('"),
        ("'(((a{1000}){1000}){1000})'", "size limit"),
    ] {
        let text = format!("Parameters: {{P: {{{value}{pattern}}}}}\nResources: {{}}\n");
        let found = findings_with(&text, &options(&[]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("note sam::parameter-constraint 1:"), "{found:?}");
        assert!(found[0].contains(cause), "{found:?}");
    }
}

#[test]
fn bounds_and_allowed_values() {
    for (declaration, given, expected) in [
        ("Type: String, AllowedValues: [true, 010]", Some("true"), ""),
        ("Type: String, AllowedValues: [true, 010]", Some("010"), ""),
        ("Type: String, AllowedValues: [true, 010]", Some("8"), ""),
        ("Type: String, AllowedValues: [a], Default: ''", None, "must be one of `a`"),
        ("Type: List<Number>, MaxValue: 5, Default: '1,9'", None, "must be at most 5"),
        ("Type: Number, Default: many", None, "is not a number"),
        ("Type: Number, MinValue: -1.5", Some("-2"), "must be at least -1.5"),
        ("Type: String, MaxLength: 2", Some("äöü"), "must have at most 2 characters"),
        ("Type: CommaDelimitedList, AllowedValues: ['a, b', c], Default: 'a,b'", None, ""),
        ("Type: CommaDelimitedList, MaxLength: 2", Some("long,list"), ""),
        ("Type: AWS::SSM::Parameter::Value<String>, AllowedPattern: '/.*', Default: x", None, ""),
    ] {
        let text = format!("Parameters: {{P: {{{declaration}}}}}\nResources: {{}}\n");
        let given: Vec<_> = given.map(|value| ("P", value)).into_iter().collect();
        let found = findings_with(&text, &options(&given));
        assert_eq!(found.len(), usize::from(!expected.is_empty()), "{declaration}: {found:?}");
        assert!(found.iter().all(|finding| finding.ends_with(expected)), "{found:?}");
    }
}

#[test]
fn a_broken_constraint_is_an_error_and_an_empty_default_asks_for_a_value() {
    let first = |declaration: &str, strict: bool, given: Option<&str>| {
        let text = format!("Parameters: {{P: {{{declaration}}}}}\nResources: {{}}\n");
        let given: Vec<_> = given.map(|value| ("P", value)).into_iter().collect();
        let options = Options { strict, ..options(&given) };
        let found = findings_with(&text, &options);
        found.first().map_or(String::new(), |f| f.split(' ').next().unwrap_or_default().to_owned())
    };
    let broken = "Type: String, AllowedValues: [a, b], Default: c";
    let empty = "Type: String, AllowedPattern: .+@.+, Default: ''";
    assert_eq!(first(broken, false, None), "error");
    assert_eq!(first(broken, false, Some("a")), "");
    assert_eq!(
        (first(empty, false, None), first(empty, true, None)),
        ("warning".into(), "error".into())
    );
    assert_eq!(first(empty, false, Some("")), "error");
    let placeholder = "Type: String, AllowedPattern: 's3-.*', Default: your-bucket";
    assert_eq!(
        (first(placeholder, false, None), first(placeholder, true, None)),
        ("warning".into(), "error".into())
    );
}

#[test]
fn types_of_parameters() {
    for (kind, expected) in [
        ("Strng", "error 2:13 parameter `P` has the unknown type `Strng` (did you mean `String`?)"),
        ("Float", "warning 2:13 parameter `P` has the unknown type `Float`"),
        ("AWS::EC2::VPC::Id", ""),
        ("List<AWS::EC2::Subnet::Id>", ""),
        ("List<Number>", ""),
        ("AWS::SSM::Parameter::Value<List<String>>", ""),
    ] {
        let expected: Vec<&str> =
            Some(expected).filter(|text| !text.is_empty()).into_iter().collect();
        check(&format!("Type: {kind}"), Some("1"), &expected);
    }
}

#[test]
fn what_follows_from_a_missing_value_says_so() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Parameters: {P: {Type: String}}
Conditions: {C: !Equals [!Ref P, x]}
Resources:
  Topic: {Type: AWS::Events::EventBus, Properties: {Name: !Sub 'a-${P}'}}
  F:
    Type: AWS::Serverless::Function
    Condition: C
    Properties:
      Handler: !Ref P
      Runtime: python3.13
      MemorySize: !If [C, 1, 2]
      Layers: [!Ref P]
      Environment: {Variables: {A: !Ref P, B: !Ref Topic, C: !Sub 'x-${P}', D: !ImportValue x}}
      Events: {E: {Type: Api, Properties: {Path: !Sub '/${P}', Method: get}}}
";
    let parsed = super::read(text);
    let follows = Some(esb_model::Cause::MissingParameter);
    let others: Vec<_> = parsed.findings.iter().filter(|found| found.cause != follows).collect();
    let [other] = *others else { panic!("{others:#?}") };
    assert!(other.message.starts_with("variable `D` of `F`"), "{other:?}");
    assert_eq!(parsed.findings.len(), 10);
}

#[test]
fn attributes_that_no_parameter_has() {
    let told = |declaration: &str| {
        let text = format!("Parameters:\n  P: {{Type: String, Default: secret, {declaration}}}\n");
        findings(&text)
            .into_iter()
            .filter(|finding| finding.contains("attribute"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told("NoEhco: true"),
        [
            "error sam::unknown-property 2:38 parameter `P` has the unknown attribute `NoEhco` (did you mean `NoEcho`?)"
        ]
    );
    assert_eq!(
        told("Mask: true"),
        ["warning sam::unknown-property 2:38 parameter `P` has the unknown attribute `Mask`"]
    );
    assert_eq!(told("NoEcho: true, MinLength: 1"), [""; 0]);
}

#[test]
fn a_secret_default_is_not_in_the_excerpt() {
    let text = "Parameters:\n  P: {Type: String, NoEcho: true, MinLength: 9, Default: secret}\n";
    let found = findings(text);
    let error = found.iter().find(|finding| finding.contains("parameter-constraint")).unwrap();
    assert!(error.contains(" 2:3 "), "{found:?}");
}
