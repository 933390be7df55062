//! What the platform cannot have, and what becomes of it.

use std::collections::BTreeSet;

use esb_config::{RenderSettings, Section, render};
use esb_model::{Api, Application, EnvValue, Package, Route, TemplateId};

use crate::sample::{app, findings, function, id, images, owner, rendered, route, schedule, span};

/// Renders routes to the functions `F` and `G`: `METHOD path -> function` of each, and findings.
#[track_caller]
fn check(routes: Vec<Route>, expected: &[&str], expected_findings: &[&str]) {
    let mut app = app(&["F", "G"]);
    app.routes = routes;
    let rendered = rendered(&app, "t.yaml");
    let routes = &rendered.config.routing.routes;
    let routes: Vec<String> = routes
        .iter()
        .map(|route| format!("{} {} -> {}", route.method, route.path, route.function))
        .collect();
    assert_eq!(routes, expected);
    let findings = findings(&rendered);
    assert_eq!(findings.len(), expected_findings.len(), "{findings:?}");
    for (finding, expected) in findings.iter().zip(expected_findings) {
        assert!(finding.contains(expected), "{finding}: {expected}");
    }
}

fn http(mut route: Route) -> Route {
    route.api = Api::Http(None);
    route
}

#[test]
fn named_methods_go_before_any() {
    check(
        vec![route("F", "ANY", "/x"), route("G", "GET", "/x"), http(route("G", "ANY", "$default"))],
        &[
            "DELETE /x -> F",
            "GET /x -> G",
            "PATCH /x -> F",
            "POST /x -> F",
            "PUT /x -> F",
            "DELETE /.* -> G",
            "GET /.* -> G",
            "PATCH /.* -> G",
            "POST /.* -> G",
            "PUT /.* -> G",
        ],
        &[],
    );
}

#[test]
fn one_table_for_all_apis() {
    check(
        vec![
            route("F", "GET", "/a/{x}"),
            http(route("F", "GET", "/a/{x}")), // the same function: fine
            http(route("G", "GET", "/a/{y}")),
            route("F", "GET", "/a/{x}"),
        ],
        &["GET /a/{x} -> F"],
        &[
            "error esb::platform::duplicate-route: route `GET /a/{y}` is `/a/{x}` again",
            "warning esb::platform::duplicate-route: route `GET /a/{x}` is defined twice",
        ],
    );
    // One finding for the five methods of an `ANY`.
    check(
        vec![http(route("F", "ANY", "/a")), route("G", "ANY", "/a")],
        &["DELETE /a -> F", "GET /a -> F", "PATCH /a -> F", "POST /a -> F", "PUT /a -> F"],
        &["error esb::platform::duplicate-route"],
    );
}

#[test]
fn what_the_gateway_cannot_route() {
    check(
        vec![
            route("F", "GET", "/u/{user-id}"),
            route("F", "GET", "/{a}/{a}"),
            route("F", "OPTIONS", "/o"),
            route("Missing", "GET", "/m"),
            route("F", "HEAD", "h"),
        ],
        &["HEAD /h -> F"],
        &[
            "error esb::platform::route-path: route `/u/{user-id}` cannot be served: parameter \
             `user-id` is not an identifier",
            "error esb::platform::route-path: route `/{a}/{a}` cannot be served: parameter `a` \
             is in the path twice",
            "warning esb::platform::options-route",
        ],
    );
}

#[test]
fn schedules_that_cannot_run_are_left_out() {
    let mut app = app(&["F"]);
    let mut unknown = schedule("F", "");
    unknown.expression = None;
    let mut empty = schedule("F", "rate(1 day)");
    empty.input = Some(String::new());
    app.schedules = vec![schedule("F", "at(2030-01-01T00:00:00)"), unknown, empty];
    let rendered = rendered(&app, "t.yaml");
    let events = &rendered.config.functions.functions["F"].events;
    assert_eq!(*events, [esb_config::FunctionEvent::schedule("rate(1 day)", None)]);
    assert_eq!(
        findings(&rendered),
        [
            "warning esb::platform::schedule-expression: schedule `Tick` is left out: \
             `at(2030-01-01T00:00:00)` runs once, which the Gateway cannot do",
            "warning esb::platform::schedule-expression: schedule `Tick` is left out: its \
             expression is known only to AWS",
        ]
    );
}

#[test]
fn functions_of_one_name_and_without_image() {
    let mut app = app(&["A", "B", "C"]);
    app.functions[1].name = Some("A".into());
    app.functions[1].span = span(7);
    app.routes = vec![route("B", "GET", "/b"), route("C", "GET", "/c")];
    let mut images = images(&app);
    images.remove(&id("C"));
    let rendered = render(&app, &images, &RenderSettings::default());
    crate::schemas::check(&rendered);
    assert_eq!(rendered.config.functions.functions.keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(rendered.config.routing.routes, []);
    assert_eq!(
        findings(&rendered),
        [
            "error esb::platform::duplicate-function: two functions are named `A`",
            "note esb::platform::function-without-image: function `C` has no image and is left \
             out of the configuration",
        ]
    );
    assert_eq!(rendered.findings[0].related, [(span(0), "the first is here".to_owned())]);
}

#[test]
fn variables_that_do_not_do_what_they_say() {
    let mut app = app(&["F"]);
    app.functions[0].reserved_concurrency = Some(0);
    let known = |text: &str| EnvValue::Known(text.to_owned());
    app.functions[0].environment = [
        ("LOG_LEVEL".to_owned(), known("DEBUG")),
        ("S3_ENDPOINT".to_owned(), known("x")),
        ("not-a-name".to_owned(), known("x")),
    ]
    .into();
    let settings = RenderSettings {
        secret_env: BTreeSet::from([
            ("F".to_owned(), "not-a-name".to_owned()),
            ("F".to_owned(), "TYPO".to_owned()),
        ]),
        ..RenderSettings::default()
    };
    let rendered = render(&app, &images(&app), &settings);
    crate::schemas::check(&rendered);
    assert_eq!(
        findings(&rendered),
        [
            "error esb::platform::secret-env: the Gateway cannot fill in a variable called \
             `not-a-name`",
            "warning esb::platform::no-capacity: no container of function `F` may run: every call \
             of it times out",
            "error esb::platform::secret-env: `F.TYPO` is not a variable of any function",
        ]
    );
}

/// A function's own options would otherwise replace the image's, and the hooks with them.
#[test]
fn options_of_the_jvm_keep_the_agent() {
    let value = |runtime: &str| {
        let mut app = app(&["F"]);
        let Package::Zip(package) = &mut app.functions[0].package else { panic!("no zip") };
        package.runtime = Some(Ok(runtime.parse().unwrap()));
        let options = EnvValue::Known("-Xshare:off".to_owned());
        app.functions[0].environment = [("JAVA_TOOL_OPTIONS".to_owned(), options)].into();
        let rendered = render(&app, &images(&app), &RenderSettings::default());
        crate::schemas::check(&rendered);
        rendered.config.functions.functions["F"].environment.0["JAVA_TOOL_OPTIONS"]
            .as_literal()
            .unwrap()
    };
    assert_eq!(value("java8.al2"), "-Xshare:off");
    assert_eq!(value("java21"), "-javaagent:/var/task/lib/lambda-java-agent.jar -Xshare:off");
}

/// The same for an image of others that got the hooks on its way; a value that only the Gateway
/// knows too.
#[test]
fn values_of_image_functions_keep_the_hooks() {
    let value = |variable: &str, loaded_by: (&str, &str), outside: bool| {
        let mut app = app(&["F"]);
        app.functions[0].package = Package::Image(esb_model::ImagePackage::default());
        let known = EnvValue::Known("/mine$".to_owned());
        app.functions[0].environment = [(variable.to_owned(), known)].into();
        let mut images = images(&app);
        for image in images.values_mut() {
            image.hooks_loaded_by = Some((loaded_by.0.to_owned(), loaded_by.1.to_owned()));
        }
        let secret = ("F".to_owned(), variable.to_owned());
        let settings = RenderSettings {
            secret_env: outside.then_some(secret).into_iter().collect(),
            ..RenderSettings::default()
        };
        let rendered = render(&app, &images, &settings);
        crate::schemas::check(&rendered);
        rendered.config.functions.functions["F"].environment.0[variable].template().to_owned()
    };
    let python = ("PYTHONPATH", "/opt/esb/python:");
    assert_eq!(value("PYTHONPATH", python, false), "/opt/esb/python:/mine$$");
    assert_eq!(value("PYTHONPATH", python, true), "/opt/esb/python:${PYTHONPATH}");
    assert_eq!(value("JAVA_TOOL_OPTIONS", python, false), "/mine$$");
}

#[test]
fn routes_that_the_gateway_answers_itself() {
    let mut health = route("F", "ANY", "/health");
    health.path_span = Some(span(7));
    let routes = vec![health, route("F", "ANY", "/{proxy+}"), route("F", "GET", "/metrics/{x}")];
    let mut app = app(&["F"]);
    app.routes = routes;
    let rendered = rendered(&app, "t.yaml");
    assert_eq!(
        findings(&rendered),
        [
            "warning esb::platform::gateway-route: the Gateway answers `GET /health` itself: \
             function `F` is never called for it",
            "note esb::platform::gateway-route: the Gateway answers some requests of `GET \
             /metrics/{x}` itself: `GET /metrics/containers`, `GET /metrics/pools`",
        ]
    );
    assert_eq!(rendered.findings[0].span, Some(span(7)));
}

/// containerd enforces the limit, and takes names of 76 characters.
#[test]
fn what_containerd_cannot_start() {
    let found = |name: &str, runtime: &str, memory: Option<u32>, prefix: Option<&str>| {
        let mut app = app(&["F"]);
        let function = &mut app.functions[0];
        function.name = Some(name.to_owned());
        function.name_span = Some(span(3));
        function.memory = memory;
        function.memory_span = memory.map(|_| span(5));
        let Package::Zip(package) = &mut function.package else { panic!("no zip") };
        package.runtime = Some(Ok(runtime.parse().unwrap()));
        let prefix = prefix.map(ToOwned::to_owned);
        let settings = RenderSettings { containerd_prefix: prefix, ..RenderSettings::default() };
        let rendered = render(&app, &images(&app), &settings);
        crate::schemas::check(&rendered);
        let told = rendered.findings.iter();
        told.map(|finding| (finding.code.to_string(), finding.span.unwrap())).collect::<Vec<_>>()
    };
    let name = |length: usize| "n".repeat(length);
    let told = |code: &str, place| vec![(format!("esb::platform::{code}"), span(place))];
    let dev = Some("esb-dev-");
    // esb-dev-, the function, -, and eight digits.
    assert_eq!(found(&name(59), "python3.12", None, dev), []);
    assert_eq!(found(&name(60), "python3.12", None, dev), told("container-name", 3));
    assert_eq!(found(&name(60), "python3.12", None, None), []);
    assert_eq!(found("f", "python3.12", None, Some("esb-a.-")), told("container-name", 3));
    assert_eq!(found("f", "java21", Some(255), dev), told("jvm-memory", 5));
    assert_eq!(found("f", "java8.al2", None, dev), told("jvm-memory", 0));
    assert_eq!(found("f", "java21", Some(256), dev), []);
    assert_eq!(found("f", "java21", Some(128), None), []);
    assert_eq!(found("f", "nodejs24.x", Some(128), dev), []);
}

#[test]
fn each_template_owns_what_is_its_own() {
    let mut second = function("B");
    second.id.template = TemplateId(1);
    let app = Application {
        templates: vec!["a.yaml".into(), "b.yaml".into()],
        functions: vec![function("A"), second],
        ..Application::default()
    };
    let settings = RenderSettings { owners: vec![owner("x/a.yaml")], ..RenderSettings::default() };
    let rendered = render(&app, &images(&app), &settings);
    crate::schemas::check(&rendered);
    let owners = |name| {
        let owners = rendered.state.owners.of(Section::Function, name).iter();
        owners.map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    assert_eq!((&*owners("A"), &*owners("B")), ("shop:x/a.yaml", "b.yaml"));
    assert_eq!(rendered.state.digests["B"], "sha256:b");
}
