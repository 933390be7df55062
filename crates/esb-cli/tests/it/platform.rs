//! Findings for what the platform does not support, shown at the property that asks for it.

use crate::context::Context;

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: orders-of-the-shop-at-the-corner-of-the-street-with-a-long-name
      Runtime: java17.al2023
      Handler: shop.Orders
      CodeUri: code/
      MemorySize: 128
      Events:
        Health:
          Type: Api
          Properties:
            Path: /health
            Method: any
        Rest:
          Type: Api
          Properties: {Path: '/{proxy+}', Method: any}
";

/// The codes of those findings, with the line of each.
fn found(mode: &str) -> Vec<(String, u64)> {
    let context = Context::new(TEMPLATE);
    context.write("code/lib/app.jar", "PK");
    let mut command = context.command(&["validate", "--format", "json"]);
    let output = command.env("ESB_MODE", mode).output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap().iter();
    let mut found: Vec<_> = findings
        .filter_map(|finding| {
            let code = finding["code"].as_str()?.strip_prefix("esb::platform::")?;
            let ours = ["container-name", "gateway-route", "jvm-memory"].contains(&code);
            ours.then_some((code.to_owned(), finding["line"].as_u64()?))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn findings_of_the_platform_at_their_properties() {
    let told = |code: &str, line| (code.to_owned(), line);
    assert_eq!(found("docker"), [told("gateway-route", 15)]);
    let all = [told("container-name", 6), told("gateway-route", 15), told("jvm-memory", 10)];
    assert_eq!(found("containerd"), all);
}
