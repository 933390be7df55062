//! Names that hold line feeds, control characters of eight bits and overrides of direction: a
//! terminal gets none of them, and a line stays a line.

use crate::context::Context;

/// As YAML writes it: moves the cursor, turns the direction of text, and adds a line.
const NAME: &str = r"a\u009b2J\u202Eb\nfunction Forged\e]0;x\a";

fn project() -> Context {
    let context = Context::new(&format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: \
         AWS::Serverless::Function\n    Properties:\n      Runtime: python3.13\n      Handler: \
         app.handler\n      CodeUri: f/\n      FunctionName: \"{NAME}\"\n      Environment:\n        \
         Variables: {{V: \"{NAME}\", W: !Ref Missing}} # \u{9b}2J\u{202e}\n"
    ));
    context.write("f/app.py", "handler = print\n");
    context
}

/// Whether a terminal would do something else than show the text.
fn moves(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[test]
fn no_text_moves_the_terminal() {
    let context = project();
    for command in [
        &["inspect"][..],
        &["inspect", "--format", "json"],
        &["inspect", "--format", "mermaid"],
        &["validate"],
        &["validate", "--format", "json"],
        &["validate", "--format", "sarif"],
        &["deploy", "--dry-run", "--to", "oci", "-e", "dev"],
        &["deploy", "--dry-run", "--to", "oci", "-e", "dev", "--progress", "json"],
        &["build", "--to", "oci", "-e", "dev", "--progress", "plain", "-v", "--offline"],
    ] {
        let output = context.command(command).output().unwrap();
        for bytes in [&output.stdout, &output.stderr] {
            let text = std::str::from_utf8(bytes).unwrap();
            assert_eq!(text.find(moves), None, "{command:?}: {text:?}");
            let mut lines = text.lines().map(str::trim_start);
            assert!(lines.all(|line| !line.starts_with("function Forged")), "{command:?}: {text}");
        }
        let is_json = command.contains(&"json");
        if is_json && !command.contains(&"--progress") {
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        }
        if command.contains(&"--progress") && is_json {
            for line in std::str::from_utf8(&output.stderr).unwrap().lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}
