//! Command lines as people write them for SAM CLI.

use crate::context::Context;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Stage: {Type: String}\n  \
                        Note: {Type: String}\nResources:\n  Table: {Type: AWS::Serverless::Function, \
                        Properties: {FunctionName: f, Runtime: python3.13, Handler: a.h, \
                        CodeUri: ./, Environment: {Variables: {V: !Sub '${Stage}-${Note}'}}}}\n";

fn names(context: &Context, arguments: &[&str]) -> String {
    context.esb(&[&["inspect", "--json"], arguments].concat())
}

#[test]
fn parameter_overrides() {
    let context = Context::new(TEMPLATE);
    context.write("other/t.yaml", TEMPLATE);
    for given in [
        &["--parameter-overrides", "Stage=dev", "Note=x"][..],
        &["--parameter-overrides", "Stage=dev Note=x"],
        &["--parameter-overrides", "ParameterKey=Stage,ParameterValue=dev", "Note=x"],
        &["--template-file", "other/t.yaml", "--parameter-overrides", "Stage=dev", "Note=x"],
        &["--parameter-overrides", "Stage=dev", "Note=y", "--parameter", "Note=x"],
    ] {
        let said = names(&context, given);
        assert!(said.contains("exit: 0") && said.contains("\"dev-x\""), "{given:?}: {said}");
    }
    // The shell has taken the quotes.
    let said = names(&context, &["--parameter-overrides", "Stage=dev", "Note=a b"]);
    assert!(said.contains("\"dev-a b\""), "{said}");
    // The value may be a secret.
    let said = names(&context, &["--parameter-overrides", "Stage=dev", "Note=\"hidden"]);
    assert!(said.contains("exit: 2") && said.contains("`Note`"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
    let said = names(&context, &["--parameter-overrides", "Stage=dev", "Note=x", "Stagee=1"]);
    assert!(said.contains("did you mean `Stage`?"), "{said}");
}

#[test]
fn flags_and_commands() {
    let context = Context::new(TEMPLATE);
    let values = ["--parameter-overrides", "Stage=dev", "Note=x"];
    let said = context
        .esb(&[&["validate", "--capabilities", "CAPABILITY_IAM", "-q"][..], &values].concat());
    assert!(said.contains("exit: 0"), "{said}");
    assert!(said.contains("warning: `--capabilities` has no effect"), "{said}");
    for (arguments, expected) in [
        (&["deploy", "--stack-name", "shop"][..], "set `application = \"NAME\"` in esb.toml"),
        (&["delpoy"], "'deploy'"),
        (&["local", "invoke"], "`esb invoke FUNCTION`"),
        (&["invoke", "F", "-e", "event.json"], "`--event event.json`"),
        (&["config", "rm", "-y"], "--owner"),
    ] {
        let said = context.esb(arguments);
        assert!(said.contains("exit: 2") && said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(!context.esb(&["delpoy"]).contains("'help'"));
    let help = context.esb(&["deploy", "--help"]);
    for hidden in ["--parameter-overrides", "--template-file", "-y,", "--stack-name"] {
        assert!(!help.contains(hidden), "{hidden}: {help}");
    }
}
