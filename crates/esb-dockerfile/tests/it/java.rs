//! Java functions: the wrapper in front of the handler, layouts of code and layers, and folders
//! that nobody built.

use esb_model::{Remedy, StagedSource};

use crate::support::{
    Memory, With as _, application, findings, function, images, layer, make, only, path, staged,
};

#[test]
fn the_wrapper_runs_the_handler() {
    let project = Memory::new(&["layers/common/java/lib/common.jar"])
        .archive("target/app.jar", &["com/acme/App.class", "settings.properties"]);
    let mut app = function("Hello", path("target/app.jar")).runtime("java21").layers(&["Common"]);
    let esb_model::Package::Zip(package) = &mut app.package else { panic!("no zip package") };
    package.handler = Some("com.acme.App$Inner::run".to_owned());
    let made =
        make(&application(vec![app], vec![layer("Common", path("layers/common"))]), &project);
    assert_eq!(findings(&made), "");
    insta::assert_snapshot!(images(&made), @r"
    base esb-lambda-base:latest-java21 linux/amd64 .esb/dev/base/java21 <- public.ecr.aws/lambda/java:21
    function esb-hello:latest linux/amd64 .esb/dev/functions/Hello <- esb-lambda-base:latest-java21
    ");
    let recipe = only(&made);
    insta::assert_snapshot!(recipe.dockerfile, @r#"
    FROM esb-lambda-base:latest-java21

    ENV LAMBDA_ORIGINAL_HANDLER="com.acme.App\$Inner::run"

    # Layer Common
    COPY layers/common/ /opt/

    # Function code
    COPY .esb/dev/functions/Hello/code/ ${LAMBDA_TASK_ROOT}/

    CMD [ "com.runtime.lambda.HandlerWrapper::handleRequest" ]
    "#);
    // A single jar is laid out as AWS does, so that its resources are files of the class path.
    assert_eq!(staged(recipe), ".esb/dev/functions/Hello/code <- unpack target/app.jar\n");
}

#[test]
fn the_base_carries_wrapper_and_agent() {
    let project = Memory::new(&["a/lib/app.jar"]);
    let app = application(vec![function("Hello", path("a")).runtime("java17")], vec![]);
    let made = make(&app, &project);
    let base = &made.images[0];
    insta::assert_snapshot!(base.dockerfile, @r#"
    # The Lambda base image of Java with the platform's hooks. Build context: the folder above this one.
    ARG JAVA_VERSION=17
    FROM public.ecr.aws/lambda/java:${JAVA_VERSION}

    # The wrapper's place is on the class path of every function; the agent's is where the JVM is told.
    COPY dist/ /var/task/lib/

    ENV JAVA_AGENT_PRESENT=1
    ENV JAVA_TOOL_OPTIONS="-javaagent:/var/task/lib/lambda-java-agent.jar ${JAVA_TOOL_OPTIONS}"
    "#);
    assert_eq!(base.dockerignore, "# Only the hooks\n*\n!dist\n");
    let names: Vec<_> = base.staged.iter().map(|s| s.target.to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            ".esb/dev/base/java17/dist/lambda-java-agent.jar",
            ".esb/dev/base/java17/dist/lambda-java-wrapper.jar"
        ]
    );
    assert!(base.staged.iter().all(
        |staged| matches!(&staged.source, StagedSource::Content(bytes) if bytes.starts_with(b"PK"))
    ));
}

#[test]
fn every_version_has_its_base_but_java_8() {
    let project = Memory::new(&["a/lib/app.jar"]);
    let functions = ["java8.al2", "java11", "java17", "java21", "java25"];
    let functions = functions.map(|name| function(&name.replace('.', ""), path("a")).runtime(name));
    let made = make(&application(functions.to_vec(), vec![]), &project);
    insta::assert_snapshot!(images(&made), @r"
    base esb-lambda-base:latest-java11 linux/amd64 .esb/dev/base/java11 <- public.ecr.aws/lambda/java:11
    base esb-lambda-base:latest-java17 linux/amd64 .esb/dev/base/java17 <- public.ecr.aws/lambda/java:17
    base esb-lambda-base:latest-java21 linux/amd64 .esb/dev/base/java21 <- public.ecr.aws/lambda/java:21
    base esb-lambda-base:latest-java25 linux/amd64 .esb/dev/base/java25 <- public.ecr.aws/lambda/java:25
    function esb-java11:latest linux/amd64 .esb/dev/functions/java11 <- esb-lambda-base:latest-java11
    function esb-java17:latest linux/amd64 .esb/dev/functions/java17 <- esb-lambda-base:latest-java17
    function esb-java21:latest linux/amd64 .esb/dev/functions/java21 <- esb-lambda-base:latest-java21
    function esb-java25:latest linux/amd64 .esb/dev/functions/java25 <- esb-lambda-base:latest-java25
    function esb-java8al2:latest linux/amd64 .esb/dev/functions/java8al2 <- public.ecr.aws/lambda/java:8.al2
    ");
    insta::assert_snapshot!(findings(&made), @"warning esb::platform::no-hooks @8: images of java8.al2 are made from public.ecr.aws/lambda/java:8.al2 without the platform's hooks: no log shipping, no trace ids, no redirected AWS clients");
}

#[test]
fn what_nobody_built_is_told() {
    let check = |files: &[&str], wanted: &str| {
        let project = Memory::new(files);
        let app = application(vec![function("A", path("a")).runtime("java21")], vec![]);
        let told = findings(&make(&app, &project));
        assert!(told.contains(wanted) && told.is_empty() == wanted.is_empty(), "{files:?}: {told}");
    };
    check(&["a/pom.xml", "a/src/main/java/A.java"], "is a Maven project: no class in it");
    check(&["a/build.gradle.kts", "a/src/A.java"], "is a Gradle project: no class in it");
    check(&["a/app.jar"], "has the jar `app.jar` in a place where its classes are not loaded");
    check(&["a/A.class"], "");
    check(&["a/lib/app.jar", "a/pom.xml"], "");
    check(&["a/META-INF/MANIFEST.MF", "a/com/acme/A.class", "a/pom.xml"], "");
}

#[test]
fn what_was_built_is_named() {
    let project = Memory::new(&["a/pom.xml", "a/target/original-app.jar", "a/target/app.jar"]);
    let app = application(vec![function("A", path("a")).runtime("java21")], vec![]);
    let made = make(&app, &project);
    let help = made.findings[0].help.as_ref().and_then(Remedy::advice);
    assert_eq!(help, Some("use what was built: `a/target/app.jar`"));
}
