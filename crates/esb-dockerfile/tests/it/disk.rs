//! The project on a real disk.

use std::{fs, io::Write as _, path::Path};

use esb_dockerfile::{DiskProject, EntryKind, Project as _};

use crate::support::{With as _, copies, function, layer, make_clean, only, path, staged};

#[test]
fn finds_what_lies_inside_and_outside() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("project");
    fs::create_dir_all(root.join("f/sub")).unwrap();
    fs::create_dir_all(temp.path().join("out")).unwrap();
    fs::write(root.join("f/app.py"), "x = 1\n").unwrap();
    let project = DiskProject::open(&root).unwrap();
    let locate = |path: &str| {
        let located = project.locate(Path::new(path)).unwrap();
        (located.path.to_str().unwrap().to_owned(), located.kind)
    };
    assert_eq!(locate("f/sub/.."), ("f".to_owned(), EntryKind::Dir));
    assert_eq!(locate(""), (String::new(), EntryKind::Dir));
    assert_eq!(locate(root.join("f/app.py").to_str().unwrap()).0, "f/app.py");
    assert!(Path::new(&locate("../out").0).is_absolute());
    assert!(project.locate(Path::new("f/gone")).is_err());
    let names: Vec<_> = project.entries(Path::new("f")).unwrap();
    assert_eq!(names.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["app.py", "sub"]);
    assert_eq!(project.read(Path::new("f/app.py"), 6).unwrap(), b"x = 1\n");
    assert!(project.read(Path::new("f/app.py"), 5).is_err());
    assert!(project.archive_names(Path::new("f/app.py")).is_err());
    assert!(DiskProject::open(&root.join("gone")).is_err());
}

#[test]
fn lists_archives() {
    let temp = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(temp.path().join("l.zip")).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("python/tools.py", options).unwrap();
    zip.write_all(b"x = 1\n").unwrap();
    zip.finish().unwrap();
    let project = DiskProject::open(temp.path()).unwrap();
    assert_eq!(project.archive_names(Path::new("l.zip")).unwrap(), ["python/tools.py"]);
}

#[cfg(unix)]
#[test]
fn links_are_copied_from_where_they_lead() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("project");
    fs::create_dir_all(root.join("real")).unwrap();
    fs::create_dir_all(temp.path().join("out")).unwrap();
    fs::write(root.join("real/app.py"), "").unwrap();
    std::os::unix::fs::symlink("real", root.join("inside")).unwrap();
    std::os::unix::fs::symlink("../out", root.join("outside")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    let project = DiskProject::open(&root).unwrap();
    let made = |name: &str| make_clean(vec![function("Hello", path(name))], vec![], &project);
    assert_eq!(copies(only(&made("inside"))), "COPY real/ ${LAMBDA_TASK_ROOT}/");
    assert!(staged(only(&made("outside"))).contains("/out` without"));
    assert!(project.locate(Path::new("dangling")).is_err());
    let entries = project.entries(Path::new("")).unwrap();
    let dangling = entries.iter().find(|entry| entry.name == "dangling").unwrap();
    assert_eq!(dangling.kind, EntryKind::Other);
}

fn fixture(name: &str) -> DiskProject {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    DiskProject::open(&fixtures.join(name)).unwrap()
}

#[test]
fn the_document_s_example_as_a_fixture() {
    let xxx = function("XxxFunction", path("tests/fixtures/functions/xxx/")).layers(&["Common"]);
    let common = layer("Common", path("tests/fixtures/layers/common/"));
    let made = make_clean(vec![xxx], vec![common], &fixture("document"));
    insta::assert_snapshot!(copies(only(&made)), @r"
    COPY tests/fixtures/layers/common/ /opt/
    COPY tests/fixtures/functions/xxx/ ${LAMBDA_TASK_ROOT}/
    ");
}

#[test]
fn the_quickstart_s_layers_and_requirements() {
    let label = function("Label", path("functions/label_order/"));
    let quote = function("Quote", path("functions/quote_order/")).layers(&["Pricing", "Common"]);
    let layers =
        vec![layer("Pricing", path("layers/pricing.zip")), layer("Common", path("layers/common/"))];
    let made = make_clean(vec![label, quote], layers, &fixture("quickstart"));
    let (label, quote) = (&made.images[1], &made.images[2]);
    insta::assert_snapshot!(copies(label), @r"
    COPY .esb/dev/functions/Label/dependencies/ ${LAMBDA_TASK_ROOT}/
    COPY functions/label_order/ ${LAMBDA_TASK_ROOT}/
    ");
    insta::assert_snapshot!(copies(quote), @r"
    COPY .esb/dev/layers/pricing/ /opt/
    COPY layers/common/ /opt/
    COPY functions/quote_order/ ${LAMBDA_TASK_ROOT}/
    ");
}
