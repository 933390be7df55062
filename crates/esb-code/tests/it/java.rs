//! Handlers of Java functions.

use crate::support::{Sample, archive, sample};

const REQUEST_HANDLER: &str = "com/amazonaws/services/lambda/runtime/RequestHandler";

/// The bytes of a class file (JVM specification, chapter 4).
fn class(name: &str, superclass: &str, interfaces: &[&str], methods: &[&str]) -> Vec<u8> {
    let mut pool = Vec::new();
    let mut count = 1_u16;
    let mut text = |pool: &mut Vec<u8>, text: &str| {
        pool.push(1);
        pool.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        pool.extend(text.as_bytes());
        count += 1;
        count - 1
    };
    let mut classes = Vec::new();
    for name in [name, superclass].iter().chain(interfaces) {
        classes.push(text(&mut pool, name));
    }
    let names: Vec<u16> = methods.iter().map(|name| text(&mut pool, name)).collect();
    let descriptor = text(&mut pool, "()V");
    // A number of eight bytes, which takes two places.
    pool.push(5);
    pool.extend([0; 8]);
    let mut count = count + 2;
    let mut indexes = Vec::new();
    for name in classes {
        pool.push(7);
        pool.extend(name.to_be_bytes());
        indexes.push(count);
        count += 1;
    }
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61];
    bytes.extend(count.to_be_bytes());
    bytes.extend(pool);
    for number in [0x21, indexes[0], indexes[1], u16::try_from(interfaces.len()).unwrap()] {
        bytes.extend(number.to_be_bytes());
    }
    indexes[2..].iter().for_each(|index| bytes.extend(index.to_be_bytes()));
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(methods.len()).unwrap().to_be_bytes());
    for name in names {
        for number in [1, name, descriptor, 0] {
            bytes.extend(number.to_be_bytes());
        }
    }
    bytes.extend([0, 0]);
    bytes
}

fn object(name: &str, methods: &[&str]) -> Vec<u8> {
    class(name, "java/lang/Object", &[], methods)
}

/// A function whose code is a jar with these classes.
fn jar(handler: &str, classes: &[(&str, Vec<u8>)]) -> Sample {
    sample("java21", handler).archive("app.jar", classes).code_from("app.jar")
}

#[test]
fn classes_and_methods() {
    let classes = [
        ("com/a/App.class", object("com/a/App", &["<init>", "handle"])),
        ("com/a/App$Inner.class", object("com/a/App$Inner", &["handle"])),
        (
            "com/a/Impl.class",
            class("com/a/Impl", "java/lang/Object", &[REQUEST_HANDLER], &["handleRequest"]),
        ),
    ];
    let check = |handler: &str, expected: &str| jar(handler, &classes).finds(expected);
    check("com.a.App::handle", "");
    check("com.a.App$Inner::handle", "");
    check("com.a.Impl", "");
    check("com.a.Impl::handleRequest", "");
    check(
        "com.a.App::handel",
        "error: the class `com.a.App` has no method `handel`, the handler of function `Hello` (did you mean `com.a.App::handle`?)",
    );
    check(
        "com.a.App",
        "error: the class `com.a.App` has no method `handleRequest`, the handler of function `Hello`",
    );
    check(
        "com.b.App::handle",
        "error: cannot find class `com.b.App` in the code of function `Hello` (did you mean `com.a.App::handle`?)",
    );
    check(
        "com.a.App.Inner::handle",
        "error: cannot find class `com.a.App.Inner` in the code of function `Hello` (did you mean `com.a.App$Inner::handle`?)",
    );
    check(
        "com.a.Ap::handle",
        "error: cannot find class `com.a.Ap` in the code of function `Hello` (did you mean `com.a.App::handle`?)",
    );
    let form = jar("com.a.App::", &classes).findings();
    assert!(form.starts_with("error: the handler of function `Hello` is not a class and method"));
}

#[test]
fn inherited_methods_count() {
    let with = |superclass: &str, interfaces: &[&str], more: &[(&str, Vec<u8>)]| {
        let mut classes = vec![("App.class", class("App", superclass, interfaces, &["<init>"]))];
        classes.extend(more.iter().cloned());
        jar("App::handle", &classes)
    };
    let base = || ("p/Base.class", object("p/Base", &["handle"]));
    with("p/Base", &[], &[base()]).is_silent();
    with("p/Middle", &[], &[base(), ("p/Middle.class", class("p/Middle", "p/Base", &[], &[]))])
        .is_silent();
    with("java/lang/Object", &["p/Base"], &[base()]).is_silent();
    // What is not here may have it.
    with("not/Here", &[], &[]).is_silent();
    with("java/lang/Object", &["java/util/function/Function"], &[]).is_silent();
    assert!(
        !with("java/lang/Object", &["java/io/Serializable", REQUEST_HANDLER], &[])
            .findings()
            .is_empty()
    );
    // A circle ends.
    let circle = [("A.class", class("A", "App", &[], &[]))];
    assert!(with("A", &[], &circle).findings().contains("has no method"));
}

#[test]
fn classes_lie_in_folders_jars_and_layers() {
    let app = || object("com/a/App", &["handle"]);
    let handler = "com.a.App::handle";
    let folder = || sample("java21", handler);
    folder().file("code/com/a/App.class", app()).is_silent();
    folder().archive("code/lib/app.jar", &[("com/a/App.class", app())]).is_silent();
    folder()
        .file("code/lib/other.jar", archive(&[]))
        .archive("layer/java/lib/app.jar", &[("com/a/App.class", app())])
        .layer("layer", "/opt")
        .is_silent();
    // A jar in an archive, as Gradle's `buildZip` makes it.
    let inner = archive(&[("com/a/App.class", app())]);
    folder().archive("app.zip", &[("lib/app.jar", inner.clone())]).code_from("app.zip").is_silent();
    sample("java21", "com.a.App::other")
        .archive("app.zip", &[("lib/app.jar", inner.clone())])
        .code_from("app.zip")
        .finds(
            "error: the class `com.a.App` has no method `other`, the handler of function `Hello`",
        );
    assert!(
        sample("java21", "com.b.App::handle")
            .archive("app.zip", &[("lib/app.jar", inner)])
            .code_from("app.zip")
            .findings()
            .contains("cannot find class")
    );
    folder().file("code/lib/app.jar", "no archive").is_silent();
    folder().file("code/com/a/App.class", &app()[..20]).is_silent();
    folder().file("code/com/a/App.class", "no class").is_silent();
}

#[test]
fn sources_are_not_built_yet() {
    let handler = "com.a.App::handle";
    sample("java21", handler).file("code/pom.xml", "").is_silent();
    sample("java21", handler).file("code/build.gradle", "").file("code/x/Y.class", "").is_silent();
    sample("java21", handler)
        .file("code/settings.gradle.kts", "")
        .file("code/x/Y.class", "")
        .is_silent();
    sample("java21", handler).file("code/com/a/App.java", "").is_silent();
    assert!(!sample("java21", handler).file("code/com/a/Other.class", "").findings().is_empty());
}

#[test]
fn broken_classes_end_early() {
    let whole = class("App", "java/lang/Object", &["I"], &["handle"]);
    for end in 0..whole.len() {
        sample("java21", "App::other").file("code/App.class", &whole[..end]).is_silent();
    }
}

#[test]
fn files_that_are_no_jars_hold_no_classes() {
    let with = |handler: &str| {
        sample("java21", handler)
            .file("code/a/Handler.class", object("a/Handler", &["run"]))
            .file("code/lib/junk.jar", "not a zip archive")
    };
    with("a.Handler::run").is_silent();
    let missing = with("a.Missing::run").findings();
    assert!(missing.starts_with("error: "), "{missing}");
}
