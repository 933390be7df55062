//! `requirements.txt` beside Python code.

use crate::support::{
    Memory, With as _, application, copies, findings, function, make, make_clean, only, path,
    staged,
};

#[test]
fn are_copied_between_layers_and_code() {
    let project = Memory::new(&["f/app.py"]).file("f/requirements.txt", "inflection==0.5.1\n");
    let made =
        make_clean(vec![function("Hello", path("f")).runtime("python3.13")], vec![], &project);
    let recipe = only(&made);
    insta::assert_snapshot!(recipe.dockerfile, @r#"
    FROM esb-lambda-base:latest-python3.13

    # Dependencies
    COPY .esb/dev/functions/Hello/dependencies/ ${LAMBDA_TASK_ROOT}/

    # Function code
    COPY f/ ${LAMBDA_TASK_ROOT}/

    CMD [ "lambda_function.lambda_handler" ]
    "#);
    insta::assert_snapshot!(recipe.dockerignore, @r"
    # Never part of an image
    **/.git
    **/.esb
    **/.aws-sam
    **/.venv
    **/__pycache__
    **/*.pyc
    !.esb/dev/functions/Hello/dependencies
    ");
    let dependencies = recipe.dependencies.as_ref().unwrap();
    assert_eq!(dependencies.requirements.to_str(), Some("f/requirements.txt"));
    assert_eq!(dependencies.target.to_str(), Some(".esb/dev/functions/Hello/dependencies"));
    assert_eq!(dependencies.runtime.name(), "python3.13");
    assert_eq!(dependencies.platform, recipe.platform);
}

#[test]
fn are_wanted_only_where_something_is_missing() {
    let check = |project: Memory, runtime: &str, wanted: bool| {
        let app = application(vec![function("Hello", path("f")).runtime(runtime)], vec![]);
        let made = make(&app, &project);
        assert_eq!(only(&made).dependencies.is_some(), wanted);
        assert_eq!(only(&made).dockerfile.contains("# Dependencies"), wanted);
    };
    let with = |text: &str, more: &[&str]| {
        let project = Memory::new(more).file("f/app.py", "");
        project.file("f/requirements.txt", text)
    };
    check(with("inflection\n", &[]), "python3.12", true);
    check(with("inflection\n", &[]), "nodejs20.x", false);
    check(with("# nothing yet\n\n", &[]), "python3.12", false);
    let installed = ["f/inflection-0.5.1.dist-info/METADATA", "f/inflection.py"];
    check(with("inflection\n", &installed), "python3.12", false);
    check(with("inflection\nhumanize\n", &installed), "python3.12", true);
    check(Memory::new(&["f/app.py", "f/requirements.txt/"]), "python3.12", false);
    check(Memory::new(&["f/app.py", "requirements.txt"]), "python3.12", false);
}

#[test]
fn the_most_exact_file_counts() {
    let check = |files: &[&str], project: &str, expected: Option<&str>| {
        let memory = files.iter().fold(Memory::new(&["f/app.py"]), |memory, name| {
            let text = match *name {
                "f/pyproject.toml" => project,
                _ => "six\n",
            };
            memory.file(name, text)
        });
        let app = application(vec![function("Hello", path("f"))], vec![]);
        let made = make(&app, &memory);
        let found = only(&made).dependencies.as_ref().map(|found| &found.requirements);
        assert_eq!(found.and_then(|path| path.to_str()), expected, "{files:?}");
    };
    let project = "[project]\nname = 'app'\ndependencies = ['six']\n";
    let all = ["f/requirements.txt", "f/uv.lock", "f/pyproject.toml"];
    check(&all, project, Some("f/requirements.txt"));
    check(&all[1..], project, Some("f/uv.lock"));
    check(&all[2..], project, Some("f/pyproject.toml"));
    check(&all[1..2], project, None);
    check(&all[1..], "[project]\nname = 'app'\n", None);
    check(&["f/six-1.17.0.dist-info/METADATA", all[1], all[2]], project, None);

    let broken = Memory::new(&["f/app.py"]).file("f/pyproject.toml", "[project\n");
    let made = make(&application(vec![function("Hello", path("f"))], vec![]), &broken);
    assert!(findings(&made).contains(
        "could not read the dependencies of the code of function `Hello`: `pyproject.toml`: "
    ));
}

#[test]
fn of_code_at_the_root_do_not_come_twice() {
    let project = Memory::new(&["app.py"]).file("requirements.txt", "inflection\n");
    let made = make_clean(vec![function("Hello", path("./"))], vec![], &project);
    let recipe = only(&made);
    insta::assert_snapshot!(copies(recipe), @r"
    COPY .esb/dev/functions/Hello/dependencies/ ${LAMBDA_TASK_ROOT}/
    COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/
    ");
    insta::assert_snapshot!(
        staged(recipe),
        @".esb/dev/functions/Hello/code <- copy `` without **/.git **/.esb **/.aws-sam **/.venv **/__pycache__ **/*.pyc esb.lock esb.schema.json"
    );
    assert_eq!(
        recipe.dependencies.as_ref().unwrap().requirements.to_str(),
        Some("requirements.txt")
    );
}

#[test]
fn of_code_outside_are_read_there() {
    let project = Memory::new(&["/out/f/app.py"]).file("/out/f/requirements.txt", "inflection\n");
    let made = make_clean(vec![function("Hello", path("/out/f"))], vec![], &project);
    let requirements = &only(&made).dependencies.as_ref().unwrap().requirements;
    assert_eq!(requirements.to_str(), Some("/out/f/requirements.txt"));
}

#[test]
fn a_list_without_end_is_refused() {
    let text = "x\n".repeat(1024 * 1024);
    let project = Memory::new(&["f/app.py"]).file("f/requirements.txt", &text);
    let made = make(&application(vec![function("Hello", path("f"))], vec![]), &project);
    insta::assert_snapshot!(findings(&made), @"error esb::recipe::unreadable @5: could not read the dependencies of the code of function `Hello`: is too long");
    assert!(made.images.is_empty());
}
