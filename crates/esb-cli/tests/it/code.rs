//! Handlers that are not in the code, and imports that nothing provides.

use crate::{bases, context::Context};

const BUILD: [&str; 5] = ["build", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases"];

/// A project whose one function has a handler.
fn project(handler: &str) -> Context {
    let context = Context::new(&format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Hello:\n    Type: \
         AWS::Serverless::Function\n    Properties:\n      Runtime: python3.13\n      Handler: \
         {handler}\n      CodeUri: code/\n"
    ));
    context
        .write("code/app.py", "import json, nowhere\n\ndef handler(event, context):\n    pass\n");
    bases::write(&context.path().join("bases"), "amd64", "one");
    context
}

#[track_caller]
fn contains(said: &str, all: &[&str]) {
    for words in all {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
}

#[test]
fn a_wrong_handler_ends_a_run_before_anything_is_made() {
    let missing = project("ap.handler");
    for command in [&["validate"][..], &BUILD] {
        let said = missing.esb(command);
        contains(
            &said,
            &[
                "exit: 1",
                "error[esb::code::missing-handler]: cannot find module `ap` in the code of function",
                "--> template.yaml:7:16",
                "there is no `ap.py` in `code`",
                "did you mean `app.handler`?",
            ],
        );
        assert!(!missing.path().join(".esb").exists());
    }
    let said = project("app.handlr").esb(&["validate"]);
    contains(&said, &["`code/app.py` does not define `handlr`", "did you mean `app.handler`?"]);
    let broken = project("app.handler");
    broken.write("code/app.py", "def handler(event, context)\n    pass\n");
    contains(
        &broken.esb(&["validate"]),
        &[
            "exit: 1",
            "error[esb::code::python-syntax]: `code/app.py` is not valid Python 3.13",
            "--> code/app.py:1:28",
            "the handler of function `Hello`",
        ],
    );
}

#[test]
fn imports_are_looked_at_once_the_image_is_known() {
    let context = project("app.handler");
    let said = context.esb(&["validate"]);
    assert!(said.starts_with("exit: 0") && !said.contains("nowhere"), "{said}");
    for _ in ["built", "found again"] {
        let said = context.esb(&BUILD);
        contains(
            &said,
            &[
                "exit: 0",
                "warning[esb::code::missing-import]: nothing in the image provides the module \
                 `nowhere`",
                "--> code/app.py:1:14",
            ],
        );
        assert_eq!(said.matches("missing-import").count(), 1, "{said}");
    }
    let said = context.esb(&[&BUILD[..], &["--format", "json"]].concat());
    contains(&said, &["\"esb::code::missing-import\"", "\"code/app.py\""]);
    context.write("code/nowhere.py", "");
    assert!(!context.esb(&BUILD).contains("missing-import"));
}

#[test]
fn a_comment_in_the_code_or_above_the_function_allows_a_finding() {
    let in_code = project("app.handler");
    in_code.write(
        "code/app.py",
        "import nowhere  # esb: allow esb::code::missing-import\n\ndef handler(event, context):\n    \
         pass\n",
    );
    let said = in_code.esb(&BUILD);
    assert!(said.starts_with("exit: 0") && !said.contains("missing-import"), "{said}");

    let in_template = project("app.handler");
    let path = in_template.path().join("template.yaml");
    let template = std::fs::read_to_string(&path).unwrap();
    let comment = "  # esb: allow esb::code::missing-import\n  Hello:";
    in_template.write("template.yaml", &template.replace("  Hello:", comment));
    let said = in_template.esb(&BUILD);
    assert!(said.starts_with("exit: 0") && !said.contains("missing-import"), "{said}");
}
