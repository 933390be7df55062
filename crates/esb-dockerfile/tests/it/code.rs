//! Where code comes from, and when it is staged.

use esb_model::{Code, TemplateId};

use crate::support::{
    Memory, With as _, application, copies, findings, function, make, make_clean, make_with, only,
    path, span, staged,
};

/// The `COPY` lines and staged inputs of a function with this code.
fn check(project: &Memory, mut code: Code, expected_copies: &str, expected_staged: &str) {
    // As the template names it: without a place, `.` is a default.
    if let Code::Path { span: place, .. } = &mut code {
        *place = Some(span(1));
    }
    let made = make_clean(vec![function("Hello", code)], vec![], project);
    assert_eq!(copies(only(&made)), expected_copies);
    assert_eq!(staged(only(&made)), expected_staged);
}

#[test]
fn folders_and_files_are_copied_from_where_they_are() {
    let project = Memory::new(&["functions/hello/app.py", "lib/one.py"]);
    for spelling in
        ["functions/hello", "functions/hello/", "./functions/hello/.", "lib/../functions/hello"]
    {
        check(&project, path(spelling), "COPY functions/hello/ ${LAMBDA_TASK_ROOT}/", "");
    }
    let absolute = path("/project/functions/hello");
    check(&project, absolute, "COPY functions/hello/ ${LAMBDA_TASK_ROOT}/", "");
    check(&project, path("lib/one.py"), "COPY lib/one.py ${LAMBDA_TASK_ROOT}/", "");
    check(&project, path("./"), "COPY ./ ${LAMBDA_TASK_ROOT}/", "");
    check(&project, path(""), "COPY ./ ${LAMBDA_TASK_ROOT}/", "");
}

#[test]
fn archives_are_unpacked() {
    let project = Memory::new(&["x.zip/app.py"])
        .archive("dist/hello.zip", &["app.py"])
        .archive("build/app.JAR", &["a/B.class"]);
    let copy = "COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/";
    let unpack = |from| format!(".esb/dev/functions/Hello/code <- unpack {from}\n");
    check(&project, path("dist/hello.zip"), copy, &unpack("dist/hello.zip"));
    check(&project, path("build/app.JAR"), copy, &unpack("build/app.JAR"));
    check(&project, path("x.zip"), "COPY x.zip/ ${LAMBDA_TASK_ROOT}/", "");
}

#[test]
fn inline_code_becomes_a_file() {
    let inline = |name: &str| Code::Inline {
        text: "def handler(e, c):\n    pass\n".to_owned(),
        file_name: name.to_owned(),
    };
    check(
        &Memory::default(),
        inline("index.py"),
        "COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/",
        ".esb/dev/functions/Hello/code/index.py <- \"def handler(e, c):\\n    pass\\n\"\n",
    );
    for bad in ["", ".", "..", "a/b.py", "/etc/x", "a\nb"] {
        let app = application(vec![function("Hello", inline(bad))], vec![]);
        let made = make(&app, &Memory::default());
        assert!(findings(&made).contains("esb::recipe::unusable-path"), "{bad:?}");
        assert!(made.images.is_empty());
    }
}

#[test]
fn what_lies_outside_is_copied_in() {
    let project =
        Memory::new(&["/elsewhere/code/app.py", "/elsewhere/one.py", "app/template.yaml"])
            .archive("/elsewhere/a.zip", &["app.py"]);
    let copy = "COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/";
    let junk = "**/.git **/.esb **/.aws-sam **/.venv **/__pycache__ **/*.pyc";
    let folder =
        format!(".esb/dev/functions/Hello/code <- copy `/elsewhere/code` without {junk}\n");
    check(&project, path("../elsewhere/code"), copy, &folder);
    check(&project, path("/elsewhere/code"), copy, &folder);
    let file = ".esb/dev/functions/Hello/code/one.py <- copy `/elsewhere/one.py` without \n";
    check(&project, path("../elsewhere/one.py"), copy, file);
    let unpack = ".esb/dev/functions/Hello/code <- unpack /elsewhere/a.zip\n";
    check(&project, path("../elsewhere/a.zip"), copy, unpack);
}

#[test]
fn what_cannot_be_spelled_is_copied_in() {
    let project = Memory::new(&["a*b/app.py", "what?/app.py", "back\\slash/app.py", "f/x*.py"]);
    for odd in ["a*b", "what?", "back\\slash"] {
        let made = make_clean(vec![function("Hello", path(odd))], vec![], &project);
        let recipe = only(&made);
        assert_eq!(copies(recipe), "COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/");
        assert!(staged(recipe).contains(&format!("code <- copy `{odd}` without")), "{odd:?}");
    }
    let file = ".esb/dev/functions/Hello/code/x*.py <- copy `f/x*.py` without \n";
    let copy = "COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/";
    check(&project, path("f/x*.py"), copy, file);
}

#[test]
fn paths_count_from_the_template() {
    let project = Memory::new(&["one/src/app.py", "two/src/app.py", "/out/src/app.py"]);
    let mut functions = Vec::new();
    for (index, name) in ["One", "Two", "Out"].into_iter().enumerate() {
        let mut function = function(name, path("src/")).named(name);
        function.id.template = TemplateId(index);
        functions.push(function);
    }
    let made = make_with(&application(functions, vec![]), &project, |settings| {
        settings.template_folders = vec!["one".into(), "./two".into(), "/out".into()];
    });
    let all: Vec<_> = made.images[1..].iter().map(copies).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    COPY one/src/ ${LAMBDA_TASK_ROOT}/
    COPY .esb/dev/functions/Out/code/ ${LAMBDA_TASK_ROOT}/
    COPY two/src/ ${LAMBDA_TASK_ROOT}/
    ");
}
