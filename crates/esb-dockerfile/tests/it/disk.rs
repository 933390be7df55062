//! The project on a real disk.

use std::{fs, io::Write as _, path::Path};

use esb_dockerfile::{DiskProject, EntryKind, Project as _};

use esb_model::FollowLinks;

use crate::support::{
    Memory, With as _, application, copies, findings, function, layer, make, make_clean, make_with,
    only, path, staged,
};

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

#[cfg(unix)]
#[test]
fn links_that_lead_out_are_staged() {
    use std::os::unix::fs::symlink;

    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("project");
    for file in ["src/app.py", "common/x.py", "plain/app.py", "layer/python/y.py"] {
        fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        fs::write(root.join(file), "").unwrap();
    }
    symlink("../common", root.join("src/common")).unwrap();
    symlink("app.py", root.join("plain/main.py")).unwrap();
    symlink("../../common/x.py", root.join("layer/python/x.py")).unwrap();
    let project = DiskProject::open(&root).unwrap();
    let made = |code: &str, change: &dyn Fn(&mut esb_dockerfile::RecipeSettings<'_>)| {
        let function = function("Hello", path(code)).layers(&["Layer"]);
        make_with(
            &application(vec![function], vec![layer("Layer", path("layer"))]),
            &project,
            change,
        )
    };
    let kept = |_: &mut esb_dockerfile::RecipeSettings<'_>| ();
    let junk = "**/.git **/.esb **/.aws-sam **/.venv **/__pycache__ **/*.pyc";
    let of_layer = format!(".esb/dev/layers/layer <- copy `layer` without {junk}\n");
    let of_code = format!(".esb/dev/functions/Hello/code <- copy `src` without {junk}\n");
    let plain = made("plain", &kept);
    assert_eq!((staged(only(&plain)), findings(&plain)), (of_layer.clone(), String::new()));
    let followed = made("src", &kept);
    assert_eq!(
        (staged(only(&followed)), findings(&followed)),
        (of_layer + &of_code, String::new())
    );

    fs::create_dir(temp.path().join("out")).unwrap();
    symlink("../../out", root.join("src/out")).unwrap();
    symlink("..", root.join("src/up")).unwrap();
    fs::create_dir(root.join(".git")).unwrap();
    symlink("../.git", root.join("src/git")).unwrap();
    symlink(root.join("common"), root.join("src/absolute")).unwrap();
    let project = DiskProject::open(&root).unwrap();
    let made = |change: &dyn Fn(&mut esb_dockerfile::RecipeSettings<'_>)| {
        make_with(&application(vec![function("Hello", path("src"))], vec![]), &project, change)
    };
    let refused = made(&kept);
    assert!(refused.images.is_empty());
    let told = findings(&refused);
    for expected in [
        "warning esb::recipe::absolute-link @5: the symbolic link `src/absolute` leads to `",
        "error esb::recipe::link-outside @5: the code of function `Hello` cannot be copied: the \
         symbolic link `src/out` leads to `../../out`, which lies outside of the project | move it",
        "error esb::recipe::unusable-link @5: the code of function `Hello` cannot be copied: the \
         symbolic link `src/up` leads to `..`, a folder that holds the link | change or remove",
        "error esb::recipe::unusable-link @5: the code of function `Hello` cannot be copied: the \
         symbolic link `src/git` leads to `../.git`, which is never part of an image | change or",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    let anywhere = made(&|settings| settings.follow_links = FollowLinks::Anywhere);
    assert!(
        !findings(&anywhere).contains("link-outside") && findings(&anywhere).contains("`src/up`")
    );
    fs::write(root.join("src/.samignore"), "up\ngit\nout\nabsolute\n").unwrap();
    let left_out = make_clean(vec![function("Hello", path("src"))], vec![], &project);
    assert!(staged(only(&left_out)).contains("copy `src` without"));
    fs::write(root.join("src/.samignore"), "up\ngit\nout\nabsolute\ncommon\n").unwrap();
    let left_out = make_clean(vec![function("Hello", path("src"))], vec![], &project);
    assert_eq!(staged(only(&left_out)), "");
}

#[test]
fn names_with_backslashes_are_told() {
    let project = Memory::default().archive("a.zip", &["app.py", "lib\\x.py", "lib\\y.py", "b/"]);
    let made = make(&application(vec![function("Hello", path("a.zip"))], vec![]), &project);
    assert_eq!(
        findings(&made),
        "warning esb::recipe::backslash-name @5: the code of function `Hello`, `a.zip`, has names \
         with a backslash (`lib\\x.py` and 1 more): in Lambda as in the image it is a character of a \
         file's name and parts no folders | make the archive with a tool that writes `/`, such as \
         `zip -r`\n"
    );
    assert_eq!(made.images.len(), 2);
}
