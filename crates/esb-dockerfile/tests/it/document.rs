//! The example of the container management document, byte for byte apart from names and the
//! language of its comments.

use crate::support::{Memory, application, function, layer, make, make_with, only, path};
use esb_model::Application;

fn document() -> (Application, Memory) {
    use crate::support::With as _;
    let mut common = layer("CommonLayer", path("tests/fixtures/layers/common/"));
    common.name = Some("common-lib".to_owned());
    let xxx = function("XxxFunction", path("tests/fixtures/functions/xxx/"))
        .named("lambda-xxx")
        .layers(&["CommonLayer"]);
    let project = Memory::new(&[
        "template.yaml",
        "tests/fixtures/functions/xxx/lambda_function.py",
        "tests/fixtures/layers/common/python/common.py",
    ]);
    (application(vec![xxx], vec![common]), project)
}

#[test]
fn without_a_registry() {
    let (app, project) = document();
    let made = make(&app, &project);
    let recipe = only(&made);
    insta::assert_snapshot!(recipe.dockerfile, @r#"
    FROM esb-lambda-base:latest

    # Layer common-lib
    COPY tests/fixtures/layers/common/ /opt/

    # Function code
    COPY tests/fixtures/functions/xxx/ ${LAMBDA_TASK_ROOT}/

    CMD [ "lambda_function.lambda_handler" ]
    "#);
    assert!(recipe.dockerfile.ends_with("]\n") && !recipe.dockerfile.ends_with("\n\n"));
    assert_eq!(recipe.repository, "esb-lambda-xxx");
    assert_eq!(recipe.folder.to_str(), Some(".esb/dev/functions/lambda-xxx"));
    assert_eq!(recipe.context.folder.to_str(), Some(""));
    assert!(recipe.staged.is_empty() && recipe.dependencies.is_none());
    insta::assert_snapshot!(recipe.dockerignore, @r"
    # Never part of an image
    **/.git
    **/.esb
    **/.aws-sam
    **/.venv
    **/__pycache__
    **/*.pyc
    ");
}

#[test]
fn with_a_registry() {
    let (app, project) = document();
    let dockerfile = |prefix: &'static str| {
        let made = make_with(&app, &project, |settings| settings.registry_prefix = Some(prefix));
        assert_eq!(made.images[0].repository, "esb-lambda-base");
        only(&made).dockerfile.clone()
    };
    insta::assert_snapshot!(dockerfile("registry:5010"), @r#"
    FROM registry:5010/esb-lambda-base:latest

    # Layer common-lib
    COPY tests/fixtures/layers/common/ /opt/

    # Function code
    COPY tests/fixtures/functions/xxx/ ${LAMBDA_TASK_ROOT}/

    CMD [ "lambda_function.lambda_handler" ]
    "#);
    assert_eq!(dockerfile("registry:5010/"), dockerfile("registry:5010"));
    assert!(dockerfile("r/team").starts_with("FROM r/team/esb-lambda-base:latest\n"));
    assert_eq!(dockerfile(""), only(&make(&app, &project)).dockerfile);
}
