//! Applications that share one place: none takes, changes or removes what is another's.

use esb_config::{
    EntryKey, Error, FunctionEntry, Merged, PublishedConfig, Remedy, RunOwners, Section, merge,
    remove_owner,
};
use esb_model::{Application, Bucket, Code, Layer, TemplateId};

use crate::sample::{app, owner, rendered, route, run_of, span};

/// A run of an owner, which may take over.
fn deploy(
    published: &PublishedConfig,
    app: &Application,
    of: &str,
    adopt: bool,
) -> Result<Merged, Error> {
    merge(published, &rendered(app, of), &RunOwners { adopt, ..run_of(of) })
}

fn after(merged: &Merged) -> PublishedConfig {
    PublishedConfig { config: merged.config.clone(), state: merged.state.clone() }
}

/// The first state of a place: what `of` published.
fn first(app: &Application, of: &str) -> PublishedConfig {
    after(&deploy(&PublishedConfig::default(), app, of, false).unwrap())
}

/// `entry owner, owner` of everything that is published.
fn all(published: &PublishedConfig) -> Vec<String> {
    let words = |(entry, owners): (EntryKey, _)| {
        let owners: std::collections::BTreeSet<esb_config::Owner> = owners;
        let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
        format!("{entry} {}", owners.join(", "))
    };
    published.entries().into_iter().map(words).collect()
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn left(merged: &Merged) -> Vec<String> {
    merged.left.iter().map(|(entry, _)| entry.to_string()).collect()
}

/// Functions with a route to each.
fn routed(functions: &[&str]) -> Application {
    let mut app = app(functions);
    app.routes = functions.iter().map(|name| route(name, "GET", &format!("/{name}"))).collect();
    app
}

fn layer(path: &str) -> Layer {
    Layer {
        template: TemplateId(0),
        logical_id: "Common".into(),
        span: span(0),
        name: None,
        content: Code::Path { path: path.into(), span: None },
        compatible_architectures: Vec::new(),
        build_method: None,
    }
}

fn bucket(name: &str) -> Bucket {
    Bucket {
        template: TemplateId(0),
        logical_id: "B".into(),
        span: span(0),
        name: name.into(),
        lifecycle: Vec::new(),
    }
}

#[test]
fn the_same_template_path_of_two_applications() {
    let one = first(&routed(&["a", "b"]), "one:template.yaml");
    let both = deploy(&one, &routed(&["c"]), "two:template.yaml", false).unwrap();
    assert_eq!(
        all(&after(&both)),
        [
            "function `a` one:template.yaml",
            "function `b` one:template.yaml",
            "function `c` two:template.yaml",
            "route `GET /a` one:template.yaml",
            "route `GET /b` one:template.yaml",
            "route `GET /c` two:template.yaml",
        ]
    );
    let less = deploy(&after(&both), &routed(&["a"]), "one:template.yaml", false).unwrap();
    assert_eq!(less.config.functions.functions.keys().collect::<Vec<_>>(), ["a", "c"]);
    let gone = remove_owner(&after(&less), &owner("one:template.yaml"));
    assert_eq!(gone.config.functions.functions.keys().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn the_same_function_of_two_applications_is_an_error_unless_adopted() {
    let one = first(&routed(&["a", "b"]), "one:template.yaml");
    let run = |adopt| deploy(&one, &routed(&["a", "c"]), "two:template.yaml", adopt);
    let error = run(false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "function `a` of `two:template.yaml` is already published by `one:template.yaml`; route \
         `GET /a` of `two:template.yaml` is already published by `one:template.yaml`"
    );
    let join = Remedy::RenameOrJoin { application: "one".to_owned() };
    assert_eq!(error.remedy(), Some(join));

    let adopted = run(true).unwrap();
    assert_eq!(
        all(&after(&adopted)),
        [
            "function `a` two:template.yaml",
            "function `b` one:template.yaml",
            "function `c` two:template.yaml",
            "route `GET /a` two:template.yaml",
            "route `GET /b` one:template.yaml",
            "route `GET /c` two:template.yaml",
        ]
    );
    let from: Vec<_> = adopted.adopted.iter().map(|adopted| adopted.from.clone()).collect();
    assert_eq!(from, [Some(owner("one:template.yaml")), Some(owner("one:template.yaml"))]);
    // The one that lost it is told, and cannot remove it.
    let error = deploy(&after(&adopted), &routed(&["a", "b"]), "one:template.yaml", false);
    assert!(error.unwrap_err().to_string().contains("`two:template.yaml`"));
    let less = deploy(&after(&adopted), &routed(&["b"]), "one:template.yaml", false).unwrap();
    assert_eq!(less.changes, []);
}

#[test]
fn two_applications_of_one_name_do_not_remove_each_other() {
    let one = first(&routed(&["a", "b"]), "sam-app:template.yaml");
    let run = |adopt| deploy(&one, &routed(&["c"]), "sam-app:template.yaml", adopt);
    let error = run(false).unwrap_err();
    assert!(matches!(error, Error::NameCollision(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "`sam-app:template.yaml` has published function `a`, function `b`, and \
         this run's template has none of that but function `c`"
    );
    let name = Remedy::NameOneOrTakeOver { run: owner("sam-app:template.yaml") };
    assert_eq!(error.remedy(), Some(name));
    let same = run(true).unwrap();
    assert_eq!(same.config.functions.functions.keys().collect::<Vec<_>>(), ["c"]);

    // A template that is empty now shares nothing either.
    let error = deploy(&one, &app(&[]), "sam-app:template.yaml", false).unwrap_err();
    assert!(error.to_string().ends_with("has none of that but nothing"), "{error}");
}

#[test]
fn without_functions_other_entries_tell_who_it_is() {
    let mut data = app(&[]);
    data.buckets = vec![bucket("x"), bucket("y")];
    let one = first(&data, "sam-app:template.yaml");
    data.buckets = vec![bucket("z")];
    deploy(&one, &data, "sam-app:template.yaml", false).unwrap_err();
    data.buckets.push(bucket("y"));
    let same = deploy(&one, &data, "sam-app:template.yaml", false).unwrap();
    assert_eq!(all(&after(&same)).len(), 2);
}

#[test]
fn a_function_that_moves_between_templates_of_a_run_is_shared() {
    let mut two = app(&["f", "g"]);
    two.functions[1].id.template = TemplateId(1);
    let owners = ["shop:a.yaml", "shop:b.yaml"].map(owner);
    let render = |app: &Application| {
        let owners = owners.to_vec();
        let settings =
            esb_config::RenderSettings { owners, ..esb_config::RenderSettings::default() };
        esb_config::render(app, &crate::sample::images(app), &settings)
    };
    let run = RunOwners::new(owners.clone());
    let before = after(&merge(&PublishedConfig::default(), &render(&two), &run).unwrap());
    two.functions[0].id.template = TemplateId(1);
    two.functions[1].id.template = TemplateId(0);
    let moved = merge(&before, &render(&two), &run).unwrap();
    assert_eq!(all(&after(&moved)), ["function `f` shop:b.yaml", "function `g` shop:a.yaml"]);
}

#[test]
fn what_was_published_without_an_application() {
    let old = first(&routed(&["a", "b"]), ":template.yaml");

    // Path and a function agree: what the run has is its own now, the rest stays as it was.
    let run = deploy(&old, &routed(&["a", "c"]), "one:template.yaml", false).unwrap();
    let rest = ["function `b`", "route `GET /b`"];
    assert_eq!(left(&run), rest);
    assert_eq!(
        all(&after(&run)),
        [
            "function `a` one:template.yaml",
            "function `b` template.yaml",
            "function `c` one:template.yaml",
            "route `GET /a` one:template.yaml",
            "route `GET /b` template.yaml",
            "route `GET /c` one:template.yaml",
        ]
    );
    let adopted: Vec<EntryKey> = run.adopted.iter().map(|adopted| adopted.entry.clone()).collect();
    assert_eq!(texts(&adopted), ["function `a`", "route `GET /a`"]);
    let again = deploy(&after(&run), &routed(&["c"]), "one:template.yaml", false).unwrap();
    assert_eq!(left(&again), rest, "a later run does not remove it either");
    let gone = remove_owner(&after(&again), &owner(":template.yaml"));
    assert_eq!(gone.config.functions.functions.keys().collect::<Vec<_>>(), ["c"]);

    // The path alone agrees, then the function alone.
    let error = deploy(&old, &routed(&["c"]), "two:template.yaml", false).unwrap_err();
    assert!(error.to_string().starts_with("`template.yaml` has published function `a`"));
    let remove = Remedy::TakeOverOrRemove { published_by: owner(":template.yaml") };
    assert_eq!(error.remedy(), Some(remove));
    let error = deploy(&old, &routed(&["a"]), "two:other.yaml", false).unwrap_err();
    assert!(error.to_string().contains("already published by `template.yaml`"), "{error}");
    assert_eq!(error.remedy(), Some(Remedy::RenameOrTakeOver));

    let beside = deploy(&old, &routed(&["c"]), "two:template.yaml", true).unwrap();
    assert_eq!(beside.config.functions.functions.len(), 3, "nothing is removed");
    deploy(&after(&beside), &routed(&["c", "d"]), "two:template.yaml", false).unwrap();
    // Neither agrees: nothing has to be asked.
    deploy(&old, &routed(&["c"]), "two:other.yaml", false).unwrap();
}

#[test]
fn resources_stay_as_long_as_one_application_has_them() {
    let with = |functions: &[&str], path: &str| {
        let mut app = app(functions);
        app.buckets = vec![bucket("shared")];
        app.layers = vec![layer(path)];
        app
    };
    let one = first(&with(&["a"], "layer/"), "one:template.yaml");
    let both = deploy(&one, &with(&["b"], "lib/"), "two:template.yaml", false).unwrap();
    let shared = ["one:template.yaml", "two:template.yaml"].map(owner);
    for (section, key) in [(Section::Bucket, "shared"), (Section::Layer, "Common")] {
        assert!(both.state.owners.of(section, key).iter().eq(&shared), "{section:?}");
    }
    assert_eq!(both.config.resources.layers, one.config.resources.layers, "the first one's stays");
    let less = deploy(&after(&both), &app(&["a"]), "one:template.yaml", false).unwrap();
    assert_eq!(less.changes, []);
    assert_eq!(less.config.resources.s3.len(), 1);
    let none = deploy(&after(&less), &app(&["b"]), "two:template.yaml", false).unwrap();
    assert_eq!(none.config.resources.s3.len(), 0);
    assert_eq!(none.config.resources.layers.len(), 0);
}

#[test]
fn an_import_of_another_application_stands_in_the_way_as_its_function_does() {
    let mut one = first(&app(&["a"]), "one:template.yaml");
    let images = &mut one.config.images.images;
    images.push(esb_config::ImportEntry {
        function_name: "b".into(),
        image_source: "ghcr.io/x/y:1".into(),
        image_ref: "registry:5010/ghcr.io/x/y:1".into(),
        digest: None,
    });
    one.state.owners.add(Section::Image, "b", owner("one:template.yaml"));
    let mut wanted = rendered(&app(&["b"]), "two:template.yaml");
    wanted.config.images.images.clone_from(&one.config.images.images);
    wanted.state.owners.add(Section::Image, "b", owner("two:template.yaml"));
    let run = run_of("two:template.yaml");
    let error = merge(&one, &wanted, &run).unwrap_err();
    assert!(error.to_string().starts_with("image of function `b`"), "{error}");
    // With its function there, the function alone is named.
    one.config.functions.functions.insert("b".into(), FunctionEntry::default());
    one.state.owners.add(Section::Function, "b", owner("one:template.yaml"));
    let error = merge(&one, &wanted, &run).unwrap_err();
    assert_eq!(
        error.to_string(),
        "function `b` of `two:template.yaml` is already published by `one:template.yaml`"
    );
}

/// A run of a project whose application has a name that others may have too.
fn twin(published: &PublishedConfig, app: &Application, project: &str) -> Result<Merged, Error> {
    let run = RunOwners {
        project: Some(project.to_owned()),
        common_names: ["sam-app".to_owned()].into(),
        ..run_of("sam-app:template.yaml")
    };
    merge(published, &rendered(app, "sam-app:template.yaml"), &run)
}

#[test]
fn a_twin_removes_no_routes_and_resources() {
    let with = |routes: &[&str], buckets: &[&str], functions: &[&str]| {
        let mut app = app(functions);
        app.routes = routes.iter().map(|path| route("Hello", "GET", path)).collect();
        app.buckets = buckets.iter().map(|name| bucket(name)).collect();
        app
    };
    let nothing = PublishedConfig::default();
    let lost = |published: &PublishedConfig, app: &Application, project: &str| match twin(
        published, app, project,
    ) {
        Err(Error::OtherProject(lost)) => {
            texts(&lost.iter().map(|one| &one.entry).collect::<Vec<_>>())
        }
        other => panic!("{other:?}"),
    };
    let all = with(&["/a", "/b"], &["invoices"], &["Hello"]);
    let mut of_a = after(&twin(&nothing, &all, "a").unwrap());
    let less = with(&["/a"], &[], &["Hello"]);
    let expected = ["route `GET /b`", "bucket `invoices`"];
    assert_eq!(lost(&of_a, &less, "b"), expected);
    // Its own project removes what it has no longer.
    assert_eq!(twin(&of_a, &less, "a").unwrap().changes.len(), 2);
    // What earlier versions published has a record of functions alone.
    of_a.state.projects_of_others.clear();
    assert_eq!(lost(&of_a, &less, "b"), expected);
    assert_eq!(twin(&of_a, &less, "a").unwrap().changes.len(), 2);

    // Without functions, a resource of both does not make them the same application.
    let of_one = with(&[], &["shared", "one"], &[]);
    let of_two = with(&[], &["shared", "two"], &[]);
    let one = after(&twin(&nothing, &of_one, "one").unwrap());
    assert_eq!(lost(&one, &of_two, "two"), ["bucket `one`"]);
    let again = after(&twin(&one, &of_one, "one").unwrap());
    assert_eq!(again, one);
    let both = with(&[], &["shared", "one", "two"], &[]);
    let both = after(&twin(&one, &both, "two").unwrap());
    assert_eq!(lost(&both, &of_one, "one"), ["bucket `two`"]);
}
