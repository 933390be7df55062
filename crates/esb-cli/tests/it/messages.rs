//! Messages for bad input: what is wrong, where in which file, what to do, and the exit code.

use insta::assert_snapshot;

use crate::context::Context;

const FUNCTION: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code/
";

#[test]
fn missing_template() {
    let context = Context::new("");
    assert_snapshot!(context.esb(&["validate", "-t", "nope.yaml"]));
}

#[test]
fn unreadable_yaml() {
    let context = Context::new("Resources:\n  A: [1\n  B: }\n");
    assert_snapshot!(context.esb(&["validate"]));
}

#[test]
fn not_utf8() {
    let context = Context::new("");
    std::fs::write(context.path().join("template.yaml"), b"Resources:\n  \xff: 1\n").unwrap();
    assert_snapshot!(context.esb(&["validate"]));
}

#[test]
fn unknown_runtime_and_missing_code() {
    let context = Context::new(&FUNCTION.replace("python3.13", "pyhton3.13"));
    assert_snapshot!(context.esb(&["deploy", "-e", "dev"]));
}

#[test]
fn each_function_has_its_own_runtime_blamed() {
    let function = |id: &str, runtime: &str| {
        format!(
            "  {id}:\n    Type: AWS::Serverless::Function\n    Properties: {{Runtime: {runtime}, \
             Handler: app.handler, CodeUri: code/}}\n"
        )
    };
    let [a, b] = [function("A", "python3.16"), function("B", "pyhton3.13")];
    let c = function("C", "nodejs8.10");
    let context = Context::new(&format!("Resources:\n{a}{b}{c}"));
    context.write("code/app.py", "handler = print\n");
    let said = context.esb(&["validate"]);
    for expected in [
        "warning[esb::sam::unknown-runtime]: Runtime of `A`: `python3.16` is not known here",
        "did you mean `python3.15`?",
        "error[esb::sam::unknown-runtime]: Runtime of `B`: Lambda has no runtime",
        "error[esb::recipe::unknown-runtime]: function `C` runs on `nodejs8.10`",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    assert_eq!(said.matches("unknown-runtime]").count(), 3, "{said}");
}

#[test]
fn one_image_name_twice() {
    let second = FUNCTION.split_once("Resources:\n").unwrap().1.replace("Hello", "hello");
    let context = Context::new(&format!("{FUNCTION}{second}"));
    context.write("code/app.py", "handler = print\n");
    assert_snapshot!(context.esb(&["deploy", "-e", "dev"]));
}

#[test]
fn parameter_without_value() {
    let context = Context::new(&format!("Parameters:\n  Needed: {{Type: String}}\n{FUNCTION}"));
    context.write("code/app.py", "handler = print\n");
    assert_snapshot!(context.esb(&["deploy", "-e", "dev", "--parameter", "Neded=1"]));
}

#[test]
fn parameters_without_values_are_told_instead_of_what_follows() {
    let context = Context::new(
        "Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String}
  Folder: {Type: String}
  Names: {Type: CommaDelimitedList}
  Password: {Type: String, NoEcho: true}
Conditions: {IsProd: !Equals [!Ref Stage, prod]}
Resources:
  One:
    Type: AWS::Serverless::Function
    Condition: IsProd
    Properties:
      FunctionName: !Sub '${Stage}-one'
      Runtime: !Ref Stage
      Handler: !Ref Stage
      CodeUri: !Ref Folder
      MemorySize: !If [IsProd, 128, 256]
      Layers: [!Ref Stage]
      Environment: {Variables: {A: !Ref Stage, B: !Ref Password}}
      Events:
        Get: {Type: Api, Properties: {Path: !Sub '/${Stage}', Method: get}}
        Tick: {Type: Schedule, Properties: {Schedule: !Ref Stage}}
  Two:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image, ImageUri: !Ref Folder}
",
    );
    let said = ["validate", "deploy"].map(|command| context.esb(&[command, "--quiet"]));
    assert_snapshot!(said.join("\n"));
}

#[test]
fn registry_that_does_not_answer() {
    let context = Context::new(FUNCTION);
    context.write("code/app.py", "handler = print\n");
    assert_snapshot!(context.esb(&["deploy", "-e", "dev", "--registry", "127.0.0.1:9"]));
}

#[test]
fn engine_that_does_not_answer() {
    let context = Context::new(FUNCTION);
    context.write("code/app.py", "handler = print\n");
    assert_snapshot!(context.esb(&["build", "--to", "docker"]));
}

#[test]
fn base_image_that_cannot_be_found() {
    let context = Context::new(FUNCTION);
    context.write("code/app.py", "handler = print\n");
    context.write("layout/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    context.write("layout/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let mirror = ["--offline", "--mirror", "public.ecr.aws=oci:layout"];
    assert_snapshot!(context.esb(&[&["build", "--to", "oci"], &mirror[..]].concat()));
}

#[test]
fn image_function_without_prewarm_or_registry() {
    let template = FUNCTION.replace(
        "      Runtime: python3.13\n      Handler: app.handler\n      CodeUri: code/\n",
        "      PackageType: Image\n      ImageUri: ghcr.io/o/i:1\n",
    );
    let context = Context::new(&template);
    assert_snapshot!(context.esb(&["deploy", "--to", "oci"]));
}

#[test]
fn environment_that_cannot_be_a_folder() {
    let context = Context::new(FUNCTION);
    assert_snapshot!(context.esb(&["validate", "-e", "../dev"]));
}

#[test]
fn terminal_escapes_never_get_out() {
    let context = Context::new("Resources:\n  \"A\\e[31m\": {Type: AWS::Lambda::Function}\n");
    let text = context.esb(&["validate"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn help_is_as_wide_as_the_terminal() {
    let context = Context::new("");
    for (columns, widest) in [("60", 60), ("80", 80), ("200", 100)] {
        let mut command = context.command(&["deploy", "--help"]);
        let output = command.env("COLUMNS", columns).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let width = help.lines().map(|line| line.chars().count()).max().unwrap();
        // One word less than the terminal has is wasted, not more.
        assert!((widest - 12..=widest).contains(&width), "{columns} columns: {width}\n{help}");
    }
}
