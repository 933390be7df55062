//! Values that come from outside the template: parameters, local code, secrets.

use insta::assert_snapshot;

use crate::context::Context;

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: template}
  Hosts: {Type: CommaDelimitedList, Default: template}
  Token: {Type: String, NoEcho: true, Default: template}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: s3://bucket/code.zip
      Environment:
        Variables:
          STAGE: !Ref Stage
          HOSTS: !Join [' ', !Ref Hosts]
          TOKEN: !Ref Token
";

const SAMCONFIG: &str = r#"version = 0.1
[default.global.parameters]
parameter_overrides = "Stage=samconfig Hosts=\"a,b\""
[prod.deploy.parameters]
parameter_overrides = { Stage = "samconfig of prod" }
"#;

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("build/app.py", "def handler(event, context): pass\n");
    context
}

/// The lines of `inspect` about variables.
fn variables(context: &Context, arguments: &[&str]) -> String {
    let text = context.esb(&[&["inspect"], arguments].concat());
    let lines = text.lines().filter(|line| line.contains("  environment"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn samconfig_files_and_flags() {
    let context = project();
    context.write("samconfig.toml", SAMCONFIG);
    let file = r#"[{"ParameterKey": "Stage", "ParameterValue": "file"}]"#;
    context.write("values.json", file);
    context.write("values.yaml", "Parameters:\n  Stage: 007\n  Hosts: [x, y]\n");
    let json = ["--parameters-file", "values.json"];
    let yaml = ["--parameters-file", "values.yaml"];
    let flag = ["--parameter", "Stage=flag"];
    let runs: [&[&str]; 6] =
        [&[], &["-e", "prod"], &json, &yaml, &[json, yaml].concat(), &[flag, json, yaml].concat()];
    let shown = runs.map(|run| format!("{}\n{}", run.join(" "), variables(&context, run)));
    assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn names_that_no_template_declares() {
    let context = project();
    context.write("samconfig.toml", &SAMCONFIG.replace("Hosts", "Host"));
    context.write("values.json", r#"{"Parameters": {"Stagge": "x"}}"#);
    assert_snapshot!(context.esb(&["validate", "--parameters-file", "values.json"]));
}

#[test]
fn parameters_file_of_another_shape() {
    let context = project();
    context.write("values.yaml", "Stage: {Value: hunter2}\n");
    assert_snapshot!(context.esb(&["inspect", "--parameters-file", "values.yaml"]));
}

#[test]
fn parameters_file_that_is_not_yaml() {
    let context = project();
    context.write("values.yaml", "Stage: [hunter2\n");
    let text = context.esb(&["inspect", "--parameters-file", "values.yaml", "--format", "json"]);
    assert!(!text.contains("hunter2"), "{text}");
    assert_snapshot!(text);
}

#[test]
fn samconfig_that_cannot_be_read() {
    let context = project();
    context.write("samconfig.toml", "[default.deploy.parameters]\nparameter_overrides = 'Stage'\n");
    assert_snapshot!(context.esb(&["inspect"]));
}

#[test]
fn code_in_s3() {
    assert_snapshot!(project().esb(&["validate"]));
}

#[test]
fn local_code() {
    let context = project();
    assert_snapshot!(context.esb(&["inspect", "--code", "Hello=build"]));
}

#[test]
fn local_code_as_deploy_sees_it() {
    let context = project();
    let arguments = ["deploy", "--dry-run", "--code", "Hello=./build/", "--to", "oci", "--quiet"];
    assert_snapshot!(context.esb(&arguments));
}

#[test]
fn local_code_for_nobody() {
    let context = project();
    assert_snapshot!(context.esb(&["inspect", "--code", "Helo=build"]));
    assert_snapshot!(context.esb(&["inspect", "--code", "Hello=nowhere"]));
    assert_snapshot!(context.esb(&["inspect", "--code", "Hello"]));
}

#[test]
fn secret_that_is_written() {
    let context = project();
    assert_snapshot!(context.esb(&["validate", "--code", "Hello=build"]));
}

#[test]
fn a_secret_of_several_functions_is_one_warning() {
    let functions: String = ["One", "Two"]
        .map(|name| {
            format!(
                "  {name}: {{Type: AWS::Serverless::Function, Properties: {{CodeUri: code/}}}}\n"
            )
        })
        .concat();
    let context = Context::new(&format!(
        "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Token: {{Type: String, NoEcho: \
         true}}\nGlobals:\n  Function:\n    Runtime: python3.13\n    Handler: app.handler\n    \
         Environment: {{Variables: {{TOKEN: !Ref Token}}}}\nResources:\n{functions}"
    ));
    context.write("code/app.py", "def handler(event, context): pass\n");
    let said = context.esb(&["validate", "--parameter", "Token=hidden-from-all"]);
    assert_eq!(said.matches("warning[").count(), 1, "{said}");
    assert!(said.contains("`TOKEN` of functions `One`, `Two` is written"), "{said}");
    assert!(said.contains("`--secret-env One.TOKEN --secret-env Two.TOKEN`"), "{said}");
    assert!(!said.contains("hidden-from-all"), "{said}");
}

#[test]
fn secret_that_the_gateway_fills_in() {
    let context = project();
    let secret = ["--secret-env", "Hello.TOKEN"];
    assert_snapshot!(context.esb(&[&["validate", "--code", "Hello=build"], &secret[..]].concat()));
}

#[test]
fn secret_of_nobody() {
    let context = project();
    assert_snapshot!(context.esb(&["validate", "--secret-env", "Hello.TOKN"]));
    assert_snapshot!(context.esb(&["validate", "--secret-env", "TOKEN"]));
}

/// A text as Windows' editors and shells write it.
fn marked(text: &str, utf16: bool) -> Vec<u8> {
    if !utf16 {
        return [b"\xef\xbb\xbf", text.as_bytes()].concat();
    }
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

#[test]
fn byte_order_marks() {
    for utf16 in [false, true] {
        let context = project();
        let write = |path: &str, text: &str| {
            std::fs::write(context.path().join(path), marked(text, utf16)).unwrap();
        };
        write("template.yaml", TEMPLATE);
        write("esb.toml", "registry = 'settings:5000'\n");
        write("samconfig.toml", SAMCONFIG);
        write(".env", "ESB_PARAM_Token='secret' # it is\nESB_TAG=marked\n");
        write("values.json", r#"{"Stage": "from the file"}"#);
        write("env.json", r#"{"Hello": {"STAGE": "from env-vars"}}"#);
        let shown = variables(&context, &["--parameters-file", "values.json"]);
        assert!(shown.contains("from the file") && shown.contains("a b"), "{shown}");
        let settings = context.esb(&["config", "show", "--origin"]);
        assert!(settings.contains("settings:5000") && settings.contains("marked"), "{settings}");
        let shown = variables(&context, &["--env-vars", "env.json"]);
        assert!(shown.contains("from env-vars"), "{shown}");
    }
}
