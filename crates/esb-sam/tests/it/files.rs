//! Included files and nested applications, through a loader in memory.

use std::{cell::RefCell, collections::HashMap, fmt::Write as _};

use esb_model::{Code, LayerRef, Package, SourceMap, TemplateId};
use esb_sam::{LoadError, Loader, Options, Parsed, parse};

use crate::shown;

/// Files by the location that asks for them; remembers who asked.
#[derive(Default)]
struct Files {
    texts: HashMap<&'static str, String>,
    asked: RefCell<Vec<String>>,
}

impl Loader for Files {
    fn load(&self, from: &str, location: &str) -> Result<String, LoadError> {
        self.asked.borrow_mut().push(format!("{from} -> {location}"));
        self.texts.get(location).cloned().ok_or(LoadError::NotFound)
    }
}

fn read(text: &str, files: &[(&'static str, &str)]) -> (Parsed, Vec<String>, SourceMap) {
    let texts = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    let files = Files { texts, ..Files::default() };
    let mut sources = SourceMap::default();
    let options = Options::default();
    let parsed = parse(&mut sources, TemplateId(0), "app/t.yaml", text, &options, &files);
    (parsed, files.asked.into_inner(), sources)
}

#[test]
fn a_nested_application_becomes_part_of_the_whole() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  Child:
    Type: AWS::Serverless::Application
    Properties: {Location: child/c.yaml, Parameters: {Stage: dev, Names: [a, b]}}
  F:
    Type: AWS::Lambda::Function
    Properties: {Runtime: python3.12, Handler: a.b, Code: x, Environment: {Variables: {OUT: !GetAtt Child.Outputs.Name, NONE: !GetAtt Child.Outputs.Nope}}}
";
    let child = r"
Transform: AWS::Serverless-2016-10-31
Parameters: {Stage: {Type: String}, Names: {Type: CommaDelimitedList}, More: {Type: String}}
Resources:
  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: ../layer}}
  T: {Type: AWS::Serverless::SimpleTable}
  G:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: a.b
      CodeUri: src/
      Layers: [!Ref L]
      Environment: {Variables: {S: !Ref Stage, N: !Join ['+', !Ref Names], T: !Ref T, SELF: !GetAtt G.Arn}}
      Events: {E: {Type: Api, Properties: {Path: /g, Method: get}}}
Outputs: {Name: {Value: !Sub 'out-${Stage}'}}
";
    let (parsed, asked, _) = read(text, &[("child/c.yaml", child)]);
    assert_eq!(asked, ["app/t.yaml -> child/c.yaml"]);
    let app = &parsed.application;
    let nested = &app.functions[0];
    assert_eq!(nested.id.logical_id, "Child/G");
    assert_eq!(
        shown(&nested.environment).into_values().collect::<Vec<_>>(),
        ["a+b", "dev", "arn:aws:lambda:us-east-1:123456789012:function:Child-G", "Child-T",]
    );
    assert_eq!(nested.effective_name(), "Child-G");
    let Package::Zip(zip) = &nested.package else { panic!("no zip") };
    assert!(matches!(&zip.code, Code::Path { path, .. } if path == "child/src/"), "{:?}", zip.code);
    assert_eq!(zip.layers, [LayerRef::Local("Child/L".into())]);
    assert_eq!(app.tables[0].name, "Child-T");
    assert_eq!(app.routes[0].function.logical_id, "Child/G");
    let outer = shown(&app.functions[1].environment);
    assert_eq!((&*outer["OUT"], &*outer["NONE"]), ("out-dev", "<!GetAtt Child.Outputs.Nope>"));
    let messages: Vec<_> = parsed.findings.iter().map(|f| &*f.message).collect();
    assert!(messages.contains(&"`Child` passes no value for parameter `More`"), "{messages:?}");
}

#[test]
fn applications_that_are_not_read() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  Self: {Type: AWS::Serverless::Application, Properties: {Location: ./t.yaml}}
  Far: {Type: AWS::Serverless::Application, Properties: {Location: 'https://example.com/t.yaml'}}
  Sar: {Type: AWS::Serverless::Application, Properties: {Location: {ApplicationId: arn, SemanticVersion: 1.0.0}}}
  Lost: {Type: AWS::Serverless::Application, Properties: {Location: lost.yaml}}
";
    let (parsed, ..) = read(text, &[("./t.yaml", text)]);
    let messages: Vec<_> = parsed.findings.iter().map(|f| &*f.message).collect();
    assert_eq!(
        messages,
        [
            "applications contain each other: `app/t.yaml` → `app/t.yaml`",
            "`https://example.com/t.yaml` is not local and is left out",
            "`Sar` is published on AWS and is left out",
            "could not load `lost.yaml`: there is no such file",
        ]
    );
}

#[test]
fn included_definitions_give_routes_and_findings_of_their_own() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b}}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody: {Fn::Transform: {Name: AWS::Include, Parameters: {Location: api.yaml}}}
  Broken: {Type: AWS::Serverless::HttpApi, Properties: {DefinitionUri: broken.yaml}}
";
    let api = "paths:\n  /x:\n    get:\n      x-amazon-apigateway-integration:\n        uri:\n          Fn::Sub: arn:aws:apigateway:r:lambda:path/f/${F.Arn}/invocations\n";
    let (parsed, _, sources) = read(text, &[("api.yaml", api), ("broken.yaml", "a: [")]);
    assert_eq!(parsed.application.routes[0].path, "/x");
    let finding = parsed.findings.last().expect("the broken file has one");
    let span = finding.span.expect("with a place");
    assert!(sources.describe(span).starts_with("app/broken.yaml:1:"), "{finding:?}");
}

#[test]
fn limits_hold_for_all_files_together() {
    let mut text = "Transform: AWS::Serverless-2016-10-31\nResources:\n".to_owned();
    for at in 0..100 {
        let child = "{Type: AWS::Serverless::Application, Properties: {Location: c}}";
        writeln!(text, "  N{at}: {child}").expect("a string takes all");
    }
    let mut nodes = "Resources:\n".to_owned();
    for at in 0..5_000 {
        writeln!(nodes, "  F{at}: {{Type: AWS::Serverless::Function}}").expect("a string");
    }
    let bytes = format!("Metadata: '{}'\nResources: {{}}\n", "x".repeat(1 << 20));
    for (child, expected) in [
        (nodes, "the template has more than 250000 values"),
        (bytes, "the files have more than 10485760 bytes"),
    ] {
        let (parsed, ..) = read(&text, &[("c", &child)]);
        assert!(parsed.findings.iter().any(|finding| finding.message == expected), "{expected}");
        assert!(parsed.application.functions.len() <= 62_500);
    }
}
