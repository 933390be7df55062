//! The official merge of Globals.

use esb_model::{Architecture, LayerRef, Package};

use crate::{findings, function, shown};

const TEXT: &str = r"
Transform: AWS::Serverless-2016-10-31
Conditions: {Dev: !Equals [a, a]}
Globals:
  Function:
    Runtime: python3.12
    Handler: app.handler
    Timeout: 5
    Layers: [arn:aws:lambda:r:1:layer:global:1]
    Architectures: [x86_64]
    Environment: {Variables: {A: g, B: g}}
Resources:
  Plain: {Type: AWS::Serverless::Function}
  Local:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 9
      Layers: [arn:aws:lambda:r:1:layer:local:1]
      Architectures: [arm64]
      Environment: {Variables: {B: l, C: l}}
  Scalar:
    Type: AWS::Serverless::Function
    Properties:
      Layers: []
      Environment: !If [Dev, {Variables: {ONLY: x}}, {}]
  Ignoring:
    Type: AWS::Serverless::Function
    IgnoreGlobals: [Timeout, Environment]
    Properties: {Handler: own.handler}
  Raw: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: x}}
";

fn layers(id: &str) -> Vec<String> {
    let Package::Zip(zip) = function(TEXT, id).package else { panic!("{id} is no zip") };
    let name = |layer: &LayerRef| match layer {
        LayerRef::Arn(arn) => arn.rsplit(':').nth(1).unwrap_or_default().to_owned(),
        other => format!("{other:?}"),
    };
    zip.layers.iter().map(name).collect()
}

#[test]
fn scalars_maps_and_lists() {
    let environment = |id| {
        let shown = shown(&function(TEXT, id).environment);
        shown.into_iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    };
    for (id, timeout, variables, layer_names) in [
        ("Plain", Some(5), "A=g B=g", vec!["global"]),
        ("Local", Some(9), "A=g B=l C=l", vec!["global", "local"]),
        ("Scalar", Some(5), "ONLY=x", vec!["global"]),
        ("Ignoring", None, "", vec!["global"]),
        ("Raw", None, "", vec![]),
    ] {
        assert_eq!(function(TEXT, id).timeout, timeout, "{id}");
        assert_eq!(environment(id), variables, "{id}");
        assert_eq!(layers(id), layer_names, "{id}");
    }
    assert_eq!(function(TEXT, "Local").architectures, [Architecture::Arm64]);
}

#[test]
fn sections_that_do_not_exist() {
    let text = "Globals: {Functions: {Timeout: 3}, Api: 5}\nResources: {}\n";
    assert_eq!(
        findings(text),
        [
            "warning sam::globals 1:11 Globals has no section `Functions` (did you mean `Function`?)",
            "error sam::globals 1:36 `Api` in Globals must be a map, not text",
        ]
    );
}
