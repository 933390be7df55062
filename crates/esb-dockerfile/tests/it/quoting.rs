//! Hostile names in a whole Dockerfile.

use crate::support::{Memory, With as _, copies, function, layer, make_clean, only, path};

#[test]
fn stay_where_they_belong() {
    let project = Memory::new(&["my code/[id]/app.py", "l $HOME/python/x.py"]);
    let mut odd = layer("Odd", path("l $HOME"));
    odd.name = Some("x\nRUN curl example.org".to_owned());
    let hello = function("Hello", path("my code/[id]"))
        .layers(&["Odd"])
        .zip(|package| package.handler = Some("a\" ]\nRUN x \\ ${Y}".to_owned()));
    let made = make_clean(vec![hello], vec![odd], &project);
    insta::assert_snapshot!(only(&made).dockerfile, @r##"
    FROM esb-lambda-base:latest

    # Layer x\nRUN curl example.org
    COPY ["l \\$HOME/", "/opt/"]

    # Function code
    COPY ["my code/[[]id]/", "${LAMBDA_TASK_ROOT}/"]

    CMD [ "a\" ]\nRUN x \\ ${Y}" ]
    "##);
}

#[test]
fn every_text_of_a_recipe_is_a_known_instruction() {
    let project = Memory::new(&["#a/app.py", "--b/app.py", "<<c/app.py", "é 'f'/app.py"]);
    for name in ["#a", "--b", "<<c", "é 'f'"] {
        let made = make_clean(vec![function("Hello", path(name))], vec![], &project);
        let lines: Vec<_> = only(&made).dockerfile.lines().collect();
        assert_eq!(lines.len(), 6, "{name:?}");
        assert!(copies(only(&made)).starts_with("COPY [\""), "{name:?}");
    }
}
