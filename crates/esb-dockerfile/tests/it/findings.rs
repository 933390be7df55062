//! What is wrong or skipped, told all at once.

use esb_model::{Code, ImagePackage, Package, Remedy};

use crate::support::{
    Memory, With as _, application, findings, function, make, make_with, only, path, span,
};

#[test]
fn code_whose_path_is_nearly_right() {
    let project = Memory::new(&["functions/hello/app.py", "src/app.py", "lib/a.py"]);
    let help = |wrong: &str| {
        let made = make(&application(vec![function("F", path(wrong))], vec![]), &project);
        made.findings[0].help.as_ref().and_then(Remedy::advice).map(str::to_owned)
    };
    let relative = "paths are relative to the template's folder";
    for (wrong, expected) in [
        ("functoins/hello", "did you mean `functions/hello`?"),
        ("functions/helo/", "did you mean `functions/hello`?"),
        ("./scr/", "did you mean `src`?"),
        ("scr/app.py", "did you mean `src/app.py`?"),
        ("scr/other", relative),
        ("app", relative),
        ("../src", relative),
    ] {
        assert_eq!(help(wrong).as_deref(), Some(expected), "{wrong}");
    }
}

#[test]
fn code_without_a_place_is_all_of_the_folder() {
    let project = Memory::new(&["app.py"]);
    let told = |code| findings(&make(&application(vec![function("F", code)], vec![]), &project));
    assert!(
        told(path(".")).starts_with("warning esb::recipe::default-code @"),
        "{}",
        told(path("."))
    );
    assert_eq!(told(Code::Path { path: ".".to_owned(), span: Some(span(1)) }), "");
}

#[test]
fn code_that_is_not_there() {
    let project = Memory::new(&["f/app.py", "broken.zip"]).socket("f/socket");
    let mut gone = function("Gone", path("functions/gone"));
    gone = gone.zip(|package| {
        package.code = Code::Path { path: "functions/gone".to_owned(), span: Some(span(77)) };
    });
    let unknown = Code::Unknown { symbolic: "!Ref CodePath".to_owned(), span: Some(span(78)) };
    let app = application(
        vec![
            gone,
            function("Symbolic", unknown),
            function("Broken", path("broken.zip")),
            function("Pipe", path("f/socket")),
            function("Breaks", path("f\nRUN rm -rf /")),
            function("Fine", path("f")),
        ],
        vec![],
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made), @r"
    error esb::recipe::missing-code @77: the code of function `Gone` does not exist: there is no `functions/gone` | paths are relative to the template's folder
    error esb::recipe::unknown-code @78: the location of the code of function `Symbolic` is known only to AWS: `!Ref CodePath`
    error esb::recipe::broken-archive @6: the code of function `Broken`, `broken.zip`, is not a readable archive: no end of central directory
    error esb::recipe::missing-code @4: the code of function `Pipe`, `f/socket`, is neither a folder nor a file
    error esb::recipe::unusable-path @6: the path of the code of function `Breaks`, `f
    RUN rm -rf /`, cannot be written in a Dockerfile
    ");
    assert_eq!(only(&made).repository, "esb-fine");
}

#[test]
fn runtimes_and_handlers() {
    let project = Memory::new(&["f/app.py"]);
    let app = application(
        vec![
            function("Typo", path("f")).runtime("pyhton3.12"),
            function("Cobol", path("f")).runtime("cobol85"),
            function("Bare", path("f")).zip(|package| {
                package.runtime = None;
                package.handler = None;
            }),
        ],
        vec![],
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made), @r"
    error esb::recipe::unknown-runtime @4: function `Typo` has the unknown runtime `pyhton3.12` | did you mean `python3.12`?
    error esb::recipe::unknown-runtime @5: function `Cobol` has the unknown runtime `cobol85`
    warning esb::recipe::default-runtime @4: function `Bare` has no Runtime; python3.12 is used
    warning esb::recipe::default-handler @4: function `Bare` has no Handler; lambda_function.lambda_handler is used
    ");
    let dockerfile = &only(&made).dockerfile;
    assert!(dockerfile.starts_with("FROM esb-lambda-base:latest\n"), "{dockerfile}");
    assert!(dockerfile.ends_with("CMD [ \"lambda_function.lambda_handler\" ]\n"), "{dockerfile}");
}

#[test]
fn everything_wrong_with_a_function_is_told() {
    let app = application(
        vec![
            function("Bad", path("gone"))
                .runtime("python")
                .zip(|package| package.handler = None)
                .layers(&["Nowhere"]),
        ],
        vec![],
    );
    let made = make(&app, &Memory::default());
    let codes: Vec<_> = made.findings.iter().map(|finding| finding.code.0).collect();
    assert_eq!(
        codes,
        [
            "esb::recipe::missing-code",
            "esb::recipe::unknown-runtime",
            "esb::recipe::default-handler",
            "esb::recipe::missing-layer",
        ]
    );
}

#[test]
fn image_names_are_unique_and_usable() {
    let project = Memory::new(&["f/app.py"]);
    let app = application(
        vec![
            function("First", path("f")).named("My Func"),
            function("Second!", path("f")).named("my-func!!"),
            function("Nameless", path("f")).named("___"),
            function("Base", path("f")).named("Lambda-Base"),
        ],
        vec![],
    );
    let made = make(&app, &project);
    insta::assert_snapshot!(findings(&made), @r"
    error esb::recipe::duplicate-image @7: functions `My Func` and `my-func!!` would both have the image name `my-func` | rename one of them with `FunctionName` | @5: first function with this image name
    error esb::recipe::no-image-name @8: the function name `___` has no letter or digit to use in an image name | give the function a `FunctionName`
    error esb::recipe::reserved-image @4: function `Lambda-Base` would have the image name of the base, `lambda-base` | rename the function
    ");
    assert_eq!(only(&made).folder.to_str(), Some(".esb/dev/functions/my-func"));
}

#[test]
fn what_lies_in_s3_or_is_an_image_is_skipped() {
    let s3 = Code::S3 { uri: "s3://bucket/key.zip".to_owned(), span: None };
    let mut external = function("External", path("f"));
    external.package = Package::Image(ImagePackage::default());
    let app = application(vec![function("Remote", s3).runtime("cobol85"), external], vec![]);
    let made = make(&app, &Memory::new(&["f/app.py"]));
    insta::assert_snapshot!(findings(&made), @"warning esb::platform::s3-content @6: the code of function `Remote` is in S3 (`s3://bucket/key.zip`); the function is skipped | GiveCode { function: Some(\"Remote\") }");
    assert!(made.images.is_empty());
}

#[test]
fn names_from_outside_cannot_add_instructions() {
    let app = application(vec![function("Hello", path("f"))], vec![]);
    let made = make_with(&app, &Memory::new(&["f/app.py"]), |settings| {
        settings.registry_prefix = Some("registry\nRUN x");
    });
    insta::assert_snapshot!(findings(&made), @r"error esb::recipe::invalid-name @5: could not write the Dockerfile of `hello`: `registry\nRUN x/esb-lambda-base:latest` cannot be written in a Dockerfile");
    assert!(made.images.is_empty());
}
