//! Levels of findings: flags over comments over settings; and what `esb explain` says of a code.

use std::process::Output;

use crate::context::Context;

/// One warning (`platform::published-layer`'s cause) and one note.
const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: app.handler
      CodeUri: code/
      Events:
        Odd: {Type: Apii}
        Queue: {Type: SQS, Properties: {Queue: arn:aws:sqs:us-east-1:1:q}}
";

fn context(template: &str, settings: &str) -> Context {
    let context = Context::new(template);
    context.write("code/app.py", "def handler(event, context): pass");
    context.write("esb.toml", settings);
    context
}

fn validate(context: &Context, arguments: &[&str]) -> String {
    context.esb(&[&["validate"], arguments].concat())
}

#[test]
fn settings_change_levels_and_flags_win() {
    let plain = validate(&context(TEMPLATE, ""), &[]);
    assert!(plain.contains("warning[esb::sam::event]: event `Odd`"), "{plain}");
    assert!(plain.contains("1 function, 1 warning"), "{plain}");

    let denied = context(TEMPLATE, "[findings]\n\"esb::sam::event\" = \"deny\"\n");
    let said = validate(&denied, &[]);
    assert!(said.starts_with("exit: 1") && said.contains("error[esb::sam::event]"), "{said}");
    let said = validate(&denied, &["--allow", "esb::sam::event"]);
    assert!(said.starts_with("exit: 0") && !said.contains("esb::sam::event"), "{said}");
    let said = denied.esb(&["deploy", "-e", "dev", "--to", "oci", "--dry-run"]);
    assert!(said.starts_with("exit: 1") && said.contains("the template has 1 error"), "{said}");

    let allowed = context(TEMPLATE, "[findings]\n\"esb::sam::event\" = \"allow\"\n");
    let said = validate(&allowed, &["--deny", "warnings"]);
    assert!(said.starts_with("exit: 0"), "{said}");

    let raised = context(TEMPLATE, "[findings]\n\"esb::platform::trigger\" = \"warn\"\n");
    let said = validate(&raised, &[]);
    assert!(said.contains("warning[esb::platform::trigger]"), "{said}");
}

#[test]
fn the_final_level_is_in_json() {
    let denied = context(TEMPLATE, "[findings]\n\"esb::sam::event\" = \"deny\"\n");
    let Output { stdout, .. } = denied.command(&["validate", "--format", "json"]).output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    let at = said.find("esb::sam::event").unwrap();
    assert!(said[..at].rfind("\"severity\": \"error\"") > said[..at].rfind('{'), "{said}");
}

#[test]
fn comments_allow_what_they_stand_before_or_beside() {
    for (from, to) in [
        ("  Hello:\n", "  # esb: allow esb::sam::event\n  Hello:\n"),
        (
            "        Odd: {Type: Apii}",
            "        # esb: allow esb::sam::event\n        Odd: {Type: Apii}",
        ),
        ("        Odd: {Type: Apii}", "        Odd: {Type: Apii} # esb: allow esb::sam::event"),
        ("      Events:\n", "      Events: # esb: allow esb::platform::trigger, esb::sam::event\n"),
    ] {
        let template = TEMPLATE.replace(from, to);
        let said = validate(&context(&template, ""), &[]);
        assert!(!said.contains("esb::sam::event"), "{to}: {said}");
        // A comment takes precedence over the settings.
        let settings = "[findings]\n\"esb::sam::event\" = \"deny\"\n";
        let said = validate(&context(&template, settings), &[]);
        assert!(said.starts_with("exit: 0"), "{to}: {said}");
    }
    let elsewhere =
        TEMPLATE.replace("        Queue:", "        # esb: allow esb::sam::event\n        Queue:");
    let said = validate(&context(&elsewhere, ""), &[]);
    assert!(said.contains("warning[esb::sam::event]"), "{said}");
}

#[test]
fn what_makes_the_application_unknown_stays_an_error() {
    let template = TEMPLATE.replace("code/", "none/");
    let settings = "[findings]\n\"esb::recipe::missing-code\" = \"allow\"\n";
    let said = validate(&context(&template, settings), &["--allow", "esb::recipe::missing-code"]);
    assert!(said.starts_with("exit: 1") && said.contains("error[esb::recipe::missing-code]"));
}

#[test]
fn codes_that_do_not_exist_are_told_with_what_was_meant() {
    let plain = context(TEMPLATE, "");
    let said = validate(&plain, &["--allow", "esb::sam::evnt"]);
    assert!(said.starts_with("exit: 2") && said.contains("did you mean `esb::sam::event`?"));
    let settings = context(TEMPLATE, "[findings]\n\"sam::event\" = \"allow\"\n");
    let said = validate(&settings, &[]);
    assert!(
        said.starts_with("exit: 1") && said.contains("did you mean `esb::sam::event`?"),
        "{said}"
    );
    let template = format!("# esb: allow esb::sam::evnt\n{TEMPLATE}");
    let said = validate(&context(&template, ""), &[]);
    assert!(said.contains("warning[esb::sam::unknown-code]: there is no finding"), "{said}");
    assert!(said.contains("template.yaml:1:14"), "{said}");
    assert!(said.contains("did you mean `esb::sam::event`?"), "{said}");
}

#[test]
fn explain_says_cause_example_and_fix() {
    let context = Context::new("");
    insta::assert_snapshot!(context.esb(&["explain", "esb::sam::reference-cycle"]));
    // The end of a code is enough where no other code has it.
    let said = context.esb(&["explain", "reference-cycle"]);
    assert_eq!(said, context.esb(&["explain", "esb::sam::reference-cycle"]));
    for (wrong, meant) in [
        ("import", "did you mean `esb::code::missing-import`?"),
        ("schedule", "did you mean `esb::platform::schedule` or `esb::sam::schedule`?"),
        ("refrence-cycle", "did you mean `esb::sam::reference-cycle`?"),
        ("nothing-like-it", "`esb explain` lists all codes"),
    ] {
        let said = context.esb(&["explain", wrong]);
        assert!(said.starts_with("exit: 2") && said.contains(meant), "{said}");
    }
    let list = context.esb(&["explain"]);
    assert!(list.contains("esb::sam::syntax") && list.contains("esb::recipe::missing-code"));
    let json = context.esb(&["explain", "esb::sam::event", "--format", "json"]);
    assert!(json.contains("\"fixed\": false") && json.contains("\"severities\""), "{json}");
    assert_eq!(json.matches("\"schema\"").count(), 1, "{json}");
}

/// The examples of every explanation are what they say: the wrong one has the finding, the right
/// one does not.
#[test]
fn examples_of_explanations_are_true() {
    let codes = Context::new("").esb(&["explain", "--format", "json"]);
    let codes = codes.lines().filter_map(|line| line.trim().strip_prefix("\"code\": \""));
    let codes: Vec<&str> = codes.filter_map(|rest| rest.split('"').next()).collect();
    assert!(codes.len() > 80, "{codes:?}");
    let mut checked = 0;
    for code in codes {
        let text = Context::new("").esb(&["explain", code]);
        for (heading, is_wrong) in [("Wrong:", true), ("Right:", false)] {
            let Some((_, rest)) = text.split_once(heading) else { continue };
            let Some(example) = rest.trim_start().strip_prefix("```yaml\n") else { continue };
            let example = example.split("```").next().unwrap();
            let is_template = example.lines().any(|line| line.starts_with("Resource"));
            if !is_template && code != "esb::sam::no-resources" {
                continue;
            }
            let context = context(example, "");
            for file in ["src/app.py", "layer/python/common.py"] {
                context.write(file, "def handler(event, context): pass");
            }
            context.write("openapi.yaml", "openapi: 3.0.0\npaths: {}\n");
            context.write("shop.yaml", "Resources: {Orders: {Type: AWS::S3::Bucket}}\n");
            let said = validate(&context, &[]);
            assert_eq!(said.contains(&format!("[{code}]")), is_wrong, "{code}: {example}{said}");
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}
