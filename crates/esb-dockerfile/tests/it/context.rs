//! What `Dockerfile.dockerignore` lets through, judged by Docker's rules.

use crate::support::{Memory, With as _, copies, function, layer, make_clean, only, path, staged};

/// Docker's rule: the last pattern that matches a path or a folder on the way to it decides.
fn is_sent(dockerignore: &str, path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    let ways: Vec<_> = (1..=parts.len()).map(|count| parts[..count].join("/")).collect();
    let mut sent = true;
    for line in dockerignore.lines().filter(|line| !line.starts_with('#')) {
        let (pattern, verdict) = line.strip_prefix('!').map_or((line, false), |rest| (rest, true));
        if ways.iter().any(|way| matches(pattern, way)) {
            sent = verdict;
        }
    }
    sent
}

fn matches(pattern: &str, path: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**/") {
        let mut starts = path.match_indices('/').map(|(at, _)| at + 1);
        return matches(rest, path) || starts.any(|start| matches(rest, &path[start..]));
    }
    match (pattern.split_once('/'), path.split_once('/')) {
        (Some((first, pattern)), Some((part, path))) => {
            matches_part(first, part) && matches(pattern, path)
        }
        (None, None) => matches_part(pattern, path),
        _ => false,
    }
}

fn matches_part(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => {
            part.len() >= pattern.len() - 1 && part.starts_with(start) && part.ends_with(end)
        }
        None => pattern == part,
    }
}

#[track_caller]
fn check(dockerignore: &str, sent: &[&str], kept: &[&str]) {
    for path in sent {
        assert!(is_sent(dockerignore, path), "{path} is missing\n{dockerignore}");
    }
    for path in kept {
        assert!(!is_sent(dockerignore, path), "{path} is sent\n{dockerignore}");
    }
}

#[test]
fn the_whole_project_goes_without_tools_and_leftovers() {
    let project = Memory::new(&["app.py"]);
    let made = make_clean(vec![function("Hello", path("./"))], vec![], &project);
    assert_eq!(copies(only(&made)), "COPY ./ ${LAMBDA_TASK_ROOT}/");
    check(
        &only(&made).dockerignore,
        &["app.py", "lib/x.py", "node_modules/x/index.js", ".env", "sub/gitx/y"],
        &[
            ".git/config",
            "sub/.git",
            ".esb/dev/config/functions.yml",
            "sub/.esb/x",
            ".aws-sam/build/x",
            ".venv/bin/python",
            "lib/__pycache__/x.cpython-312.pyc",
            "lib/x.pyc",
        ],
    );
}

#[test]
fn staged_inputs_are_sent_and_those_of_others_are_not() {
    let project = Memory::new(&["f/app.py"])
        .archive("code.zip", &["app.pyc"])
        .archive("tools.zip", &["python/tools.py"]);
    let made = make_clean(
        vec![function("Hello", path("code.zip")).layers(&["Tools"])],
        vec![layer("Tools", path("tools.zip"))],
        &project,
    );
    check(
        &only(&made).dockerignore,
        &[
            ".esb/dev/functions/Hello/code/app.pyc",
            ".esb/dev/layers/tools/python/tools.py",
            "f/app.py",
        ],
        &[".esb/dev/functions/other/code/app.py", ".esb/dev/layers/other/x", ".esb/dev/config/x"],
    );
}

#[test]
fn code_in_an_excluded_folder_is_sent() {
    let project = Memory::new(&[".aws-sam/build/Hello/app.py"]);
    let code = path(".aws-sam/build/Hello");
    let made = make_clean(vec![function("Hello", code)], vec![], &project);
    assert_eq!(copies(only(&made)), "COPY .aws-sam/build/Hello/ ${LAMBDA_TASK_ROOT}/");
    check(
        &only(&made).dockerignore,
        &[".aws-sam/build/Hello/app.py", ".aws-sam/build/Hello/six/x.py"],
        &[
            ".aws-sam/build/Other/app.py",
            ".aws-sam/build/Hello/__pycache__/app.cpython-312.pyc",
            ".aws-sam/build/Hello/sub/.git/config",
            ".aws-sam/cache/x",
        ],
    );
}

#[test]
fn a_leftover_that_is_named_is_sent() {
    let project = Memory::new(&["f/app.pyc"]);
    let made = make_clean(vec![function("Hello", path("f/app.pyc"))], vec![], &project);
    check(&only(&made).dockerignore, &["f/app.pyc"], &["f/other.pyc"]);
}

#[test]
fn an_excluded_folder_with_an_odd_name_is_staged() {
    let project = Memory::new(&[".aws-sam/build/[x]/app.py"]);
    let made = make_clean(vec![function("Hello", path(".aws-sam/build/[x]"))], vec![], &project);
    assert!(staged(only(&made)).contains("<- copy `.aws-sam/build/[x]`"));
}

#[test]
fn the_root_does_not_take_a_layer_of_an_excluded_folder_along() {
    let project = Memory::new(&["app.py", ".aws-sam/build/Common/python/common.py"]);
    let made = make_clean(
        vec![function("Hello", path("./")).layers(&["Common"])],
        vec![layer("Common", path(".aws-sam/build/Common"))],
        &project,
    );
    insta::assert_snapshot!(copies(only(&made)), @r"
    COPY .aws-sam/build/Common/ /opt/
    COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/
    ");
}

#[test]
fn a_root_layer_is_staged_beside_staged_code() {
    let project = Memory::new(&["python/common.py"]).archive("code.zip", &["app.py"]);
    let made = make_clean(
        vec![function("Hello", path("code.zip")).layers(&["Root"])],
        vec![layer("Root", path("."))],
        &project,
    );
    assert!(copies(only(&made)).starts_with("COPY .esb/dev/layers/root/ /opt/\n"));
}

#[test]
fn what_a_folder_leaves_out_is_not_sent() {
    let project = Memory::new(&["f/app.py", "f/tests/test_app.py", "l/python/x.py"])
        .file("f/.samignore", "tests\n*.md\n!README.md\n../l\n")
        .file("l/.samignore", "python/x.py\n");
    let made = make_clean(
        vec![function("Hello", path("f/")).layers(&["Common"]), function("Other", path("l/"))],
        vec![layer("Common", path("l"))],
        &project,
    );
    let hello = made.images.iter().find(|image| image.repository == "esb-hello").unwrap();
    assert_eq!(copies(hello), "COPY l/ /opt/\nCOPY f/ ${LAMBDA_TASK_ROOT}/");
    check(
        &hello.dockerignore,
        &["f/app.py", "f/README.md", "l/python/y.py", "tests/x", "notes.md"],
        &["f/tests/test_app.py", "f/notes.md", "f/.samignore", "l/python/x.py"],
    );
}

#[test]
fn what_a_folder_leaves_out_hides_nothing_that_others_copy() {
    let project =
        Memory::new(&["app.py", "layers/common/python/common.py"]).file(".samignore", "layers\n");
    let made = make_clean(
        vec![function("Hello", path("./")).layers(&["Common"])],
        vec![layer("Common", path("layers/common"))],
        &project,
    );
    insta::assert_snapshot!(copies(only(&made)), @r"
    COPY layers/common/ /opt/
    COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/
    ");
    check(&only(&made).dockerignore, &["layers/common/python/common.py"], &[]);
    assert!(staged(only(&made)).contains("layers"), "{}", staged(only(&made)));

    let odd = Memory::new(&["[f]/app.py"]).file("[f]/.samignore", "tests\n");
    let made = make_clean(vec![function("Hello", path("[f]"))], vec![], &odd);
    assert!(staged(only(&made)).contains("<- copy `[f]`"));
}

#[test]
fn the_lock_of_a_project_is_no_part_of_code_in_its_root() {
    let files = ["app.py", "esb.lock", "esb.schema.json", "f/app.py", "f/esb.lock"];
    let made = make_clean(
        vec![function("Root", path("./")), function("Below", path("f/"))],
        vec![],
        &Memory::new(&files),
    );
    let of = |name: &str| made.images.iter().find(|image| image.repository == name).unwrap();
    check(
        &of("esb-root").dockerignore,
        &["app.py", "f/esb.lock"],
        &["esb.lock", "esb.schema.json"],
    );
    check(&of("esb-below").dockerignore, &["f/app.py", "f/esb.lock"], &[]);

    // What is staged around something else leaves it out too.
    let project = Memory::new(&["app.py", ".aws-sam/build/Common/python/common.py"]);
    let made = make_clean(
        vec![function("Hello", path("./")).layers(&["Common"])],
        vec![layer("Common", path(".aws-sam/build/Common"))],
        &project,
    );
    assert!(staged(only(&made)).contains("esb.lock"), "{}", staged(only(&made)));
}
