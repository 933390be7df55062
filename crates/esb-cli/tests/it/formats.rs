//! Files of other releases: each row of docs/contracts/formats.md that `esb` alone can show.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{bases, context::Context};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
";

const DEPLOY: [&str; 9] = [
    "deploy",
    "-e",
    "dev",
    "--to",
    "oci",
    "--mirror",
    "public.ecr.aws=oci:bases",
    "--config-to",
    "gateway",
];

/// A project that was deployed.
fn deployed() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("code/app.py", "def handler(event, context): pass\n");
    bases::write(&context.path().join("bases"), "amd64", "one");
    deploys(&context);
    context
}

fn deploys(context: &Context) {
    let said = context.esb(&DEPLOY);
    assert!(said.starts_with("exit: 0\n"), "{said}");
}

/// Runs a command that is refused with these words, and gives what it said as one line.
fn refused(context: &Context, command: &[&str], told: &[&str]) -> String {
    let said = context.esb(command);
    assert!(said.starts_with("exit: 1\n"), "{command:?} {told:?}: {said}");
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.iter().all(|words| flat.contains(words)), "{command:?} {told:?}: {said}");
    flat
}

/// The contents of all files below a folder but locks and stores.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("cache") {
            found.extend(contents(&path));
        } else if path.is_file() && !path.ends_with(".deploy.lock") {
            let text = fs::read(&path).unwrap();
            found.insert(path, text);
        }
    }
    found
}

const STAGED: &str = ".esb/staging/esb-dev/dev";

#[test]
fn a_version_that_no_run_may_replace_is_refused_before_anything_is_written() {
    let context = deployed();
    let made = fs::read_to_string(context.path().join(".esb/dev/made.json")).unwrap();
    assert!(made.contains("\"version\": 2"), "{made}");
    let cases = [
        (
            "esb.lock",
            "version = 3\nnew = 1\n",
            "is of version 3, and this program reads versions 1 to 2",
        ),
        ("esb.lock", "version = 0\n", "is of version 0"),
        ("esb.lock", "version = 'x'\n", "could not understand"),
        ("gateway/state.json", r#"{"version": 3, "owners": 1}"#, "reads versions 1 to 2"),
        ("gateway/state.json", r#"{"version": 0}"#, "is of version 0"),
        ("gateway/state.json", r#"{"owners": {}}"#, "could not understand"),
        ("gateway/image-import.json", r#"{"version": "2", "images": 1}"#, "reads version 1"),
        (
            "gateway/image-import.json",
            r#"{"version": "x"}"#,
            "a number in quotes at line 1 column 16",
        ),
        ("gateway/state.json", "[]", "expected a document with a `version` at line 1 column 0"),
        (&format!("{STAGED}/config/state.json"), r#"{"version": 99}"#, "is of version 99"),
        (&format!("{STAGED}/config/image-import.json"), r#"{"version": "2"}"#, "reads version 1"),
        (&format!("{STAGED}/delivered.json"), r#"{"version": 2}"#, "reads version 1"),
        ("cache/content-store.json", r#"{"contentStore": 2}"#, "reads version 1"),
        (
            "cache/content-store.json",
            r#"{"contentStore": "2"}"#,
            "a version in `content-store.json` that is no number",
        ),
    ];
    // A change that a run would make.
    context.write("code/app.py", "def handler(event, context): return 2\n");
    for (file, text, told) in cases {
        let path = context.path().join(file);
        let old = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let before = contents(context.path());
        let name = if file.starts_with("cache") { "cache" } else { file };
        let said = refused(&context, &DEPLOY, &[told, name]);
        if told.contains("reads") {
            assert!(said.contains("use that release, or a later one"), "{file} {text}: {said}");
            let said = context.esb(&[&DEPLOY[..], &["--format", "json"]].concat());
            assert!(said.contains("\"code\": \"format-version\""), "{file} {text}: {said}");
        }
        let is_of_publishing = !file.starts_with("cache") && file != "esb.lock";
        for command in [&["ls"][..], &["rm", "--owner", "esb", "--yes"]]
            .into_iter()
            .filter(|_| is_of_publishing)
        {
            let place = ["-e", "dev", "--config-to", "gateway"];
            refused(&context, &[&["config"], command, &place].concat(), &[told, file]);
        }
        assert!(contents(context.path()) == before, "{file} {text}: something was written");
        fs::write(&path, old).unwrap();
    }
    deploys(&context);
}

/// It alone says which other folders name images.
#[test]
fn no_command_passes_over_a_damaged_list_of_folders() {
    let context = deployed();
    context.write(&format!("{STAGED}/delivered.json"), "[");
    let place = ["-e", "dev", "--config-to", "gateway"];
    let rm = [&["config", "rm", "--owner", "esb", "--yes"][..], &place].concat();
    for command in [&DEPLOY[..], &[&["config", "ls"][..], &place].concat(), &rm] {
        let said = context.esb(command);
        assert!(said.contains("delivered.json`: ") && !said.starts_with("exit: 0"), "{said}");
    }
}

/// What staging has is replaced by what the Gateway's folder has.
#[test]
fn a_damaged_file_in_staging_is_made_anew() {
    let context = deployed();
    for file in ["state.json", "image-import.json", "functions.yml"] {
        let path = context.path().join(STAGED).join("config").join(file);
        let old = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        deploys(&context);
        assert!(fs::read(&path).unwrap() == old, "{file}");
    }
}

/// Whichever store it was written with.
#[test]
fn a_later_list_of_images_is_refused() {
    let context = deployed();
    let path = context.path().join(".esb/dev/made.json");
    let old = fs::read(&path).unwrap();
    for (text, told) in [
        (
            r#"{"version": 3, "images": 1}"#,
            "is of version 3, and this program reads versions 1 to 2",
        ),
        (r#"{"version": 0, "images": []}"#, "is of version 0"),
    ] {
        fs::write(&path, text).unwrap();
        let before = contents(context.path());
        for command in [&DEPLOY[..], &["image", "ls", "-e", "dev"]] {
            refused(&context, command, &[told, "made.json"]);
        }
        assert!(contents(context.path()) == before, "something was written");
    }
    fs::write(&path, old).unwrap();
    deploys(&context);
}

#[test]
fn what_is_only_a_help_is_made_anew() {
    let context = deployed();
    let brand = context.path().join(".esb");
    let answers = "version: 3\ntemplates: {template.yaml: {environment: prod}}\n";
    let cases = [
        ("dev/images.json", r#"{"version": 2, "images": {}}"#),
        ("dev/images.json", "["),
        ("dev/target.json", r#"{"registry": 7}"#),
        ("dev/folders.json", r#"{"version": 2}"#),
        ("dev/copied.json", r#"{"folder": 7}"#),
        ("dev/made.json", r#"{"images": 7}"#),
        ("config.yaml", answers),
    ];
    for (file, text) in cases {
        fs::write(brand.join(file), text).unwrap();
        if file == "dev/images.json" {
            let said = context.esb(&["invoke", "Hello", "-e", "dev"]);
            assert!(said.starts_with("exit: 1\n") && said.contains("run `esb build`"), "{said}");
        }
        let said = context.esb(&[&DEPLOY[..], &["--output", "out"]].concat());
        assert!(said.starts_with("exit: 0\n"), "{file}: {said}");
        assert!(said.contains("unchanged") || !said.contains("built"), "{file}: {said}");
    }
    let images = fs::read_to_string(brand.join("dev/images.json")).unwrap();
    assert!(images.contains("\"version\": 1"), "{images}");
    // It is left as it is where nothing is asked.
    assert_eq!(fs::read_to_string(brand.join("config.yaml")).unwrap(), answers);
}

#[test]
fn a_store_with_a_damaged_marker_is_one_and_the_damage_is_told() {
    let context = deployed();
    let marker = context.path().join("cache/content-store.json");
    for (command, exit, told) in [
        (&["cache"][..], 0, "content-store.json` is damaged; the next run makes it again"),
        (&["cache", "gc"], 0, "content-store.json` is damaged; the next run makes it again"),
        (&["cache", "verify", "--dry-run"], 7, "damage in 1 entry; nothing was removed"),
        (&["cache", "verify"], 7, "content-store.json` is damaged\n"),
        (&DEPLOY, 0, "content-store.json` is damaged; it is made again"),
    ] {
        for text in ["", "{", "[1]", "{\"version\": 1}"] {
            fs::write(&marker, text).unwrap();
            let said = context.esb(command);
            assert!(said.starts_with(&format!("exit: {exit}\n")), "{command:?} {text}: {said}");
            assert!(said.contains(told), "{command:?} {text}: {said}");
            let is_made = command == DEPLOY || command == ["cache", "verify"];
            let expected = if is_made { "{\"contentStore\":1}" } else { text };
            assert_eq!(fs::read_to_string(&marker).unwrap(), expected);
        }
    }
    assert!(context.esb(&["cache", "verify"]).contains("nothing is damaged"));
}

#[test]
fn a_list_of_images_with_a_byte_order_mark_is_read() {
    let context = deployed();
    let path = context.path().join("gateway/image-import.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("\u{feff}{text}")).unwrap();
    deploys(&context);
}

#[test]
fn keys_of_the_platform_that_a_program_does_not_know_stay() {
    let context = deployed();
    let gateway = context.path().join("gateway");
    for (file, text) in [
        (
            "functions.yml",
            "\"functions\":\n  \"other\":\n    \"image\": \"a:1\"\n    \"new\": 7\n\"newer\": \"x\"\n",
        ),
        ("routing.yml", "\"routes\": []\n\"newer\": \"x\"\n"),
        ("resources.yml", "\"resources\":\n  \"queues\": []\n\"newer\": \"x\"\n"),
    ] {
        fs::write(gateway.join(file), text).unwrap();
    }
    deploys(&context);
    let read = |file: &str| fs::read_to_string(gateway.join(file)).unwrap();
    assert!(read("functions.yml").contains("\"new\": 7"), "{}", read("functions.yml"));
    assert!(read("resources.yml").contains("\"queues\": []"), "{}", read("resources.yml"));
    for file in ["functions.yml", "routing.yml", "resources.yml"] {
        assert!(read(file).contains("\"newer\": \"x\""), "{}", read(file));
    }
}

/// The page says which version each file has; another one there, or in the code, is a change that
/// has to be meant.
#[test]
fn the_page_names_the_versions_that_are_written() {
    let context = deployed();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/contracts/formats.md");
    let page = fs::read_to_string(page).unwrap();
    for (row, path) in [
        ("| `esb.lock` | `version`, ", "esb.lock"),
        (
            "| `<env>/made.json`: images that runs made, for `esb image prune` | `version`, ",
            ".esb/dev/made.json",
        ),
        (
            "| `<env>/images.json`: images of the last run, for `esb invoke` | `version`, ",
            ".esb/dev/images.json",
        ),
        (
            "| `<staging>/delivered.json`: folders that were delivered to | `version`, ",
            ".esb/staging/esb-dev/dev/delivered.json",
        ),
        ("| `image-import.json` | `version`, `\"", "gateway/image-import.json"),
        ("| `state.json`: owners and digests | `version`, ", "gateway/state.json"),
        ("holds the version of the whole store, ", "cache/content-store.json"),
    ] {
        let at = page.find(row).unwrap_or_else(|| panic!("the page has no `{row}`")) + row.len();
        let told = &page[at..=at];
        let text = fs::read_to_string(context.path().join(path)).unwrap();
        let text = text.replace(['"', ' '], "");
        let written = ["version=", "version:", "contentStore:"];
        let written = written.iter().find_map(|key| text.split_once(key)).unwrap().1;
        assert!(written.starts_with(told), "{path}: the page says {told}: {text}");
    }
}
