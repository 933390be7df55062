//! Someone who may push to the registry can neither change an image that is published nor
//! substitute another one on a machine with an empty cache.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::{
    attacker::{Attacker, EVIL, Forgery, evil_layer},
    project::{Place, Project, all, base_saying, digests, writes},
};

/// An index of a base in which `var/task` is a link to `/etc/cron.d`.
const INDEX: &str = "1:eNpjYmBOLUlmYmbXTy7Kz9NLYWJgzi8oAZJliUWMzKz6JYnF2bx6evpARVAVABzQDJk";

/// The name of a function's image.
const NAME: &str = "esb-fn-0";
const BASE: &str = "esb-lambda-base";

/// The digest of an image of a run.
fn digest(document: &Value, repository: &str) -> String {
    digests(document)[&format!("{repository}:latest")].clone()
}

fn reason<'a>(document: &'a Value, repository: &str) -> &'a str {
    let images = document["images"].as_array().unwrap().iter();
    let mut image = images.filter(|image| image["name"] == format!("{repository}:latest"));
    image.next().unwrap()["reason"].as_str().unwrap()
}

fn content_tag(digest: &str) -> String {
    format!("latest-{}", &digest["sha256:".len()..][..12])
}

/// What the functions of a run hold, as an engine unpacks the published digests. Nothing of the
/// attacker's is among it.
fn deployed(attacker: &Attacker, document: &Value) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (name, digest) in digests(document) {
        let repository = name.split(':').next().unwrap();
        let image = attacker.image(repository, &digest);
        if repository != BASE {
            let tag = attacker.image(repository, &content_tag(&digest));
            assert_eq!(tag.digest(), image.digest(), "{name}: where functions.yml leads");
        }
        for (path, content) in attacker.unpack(&image).unwrap() {
            assert!(content != EVIL && !path.contains("cron"), "{name}: {path}");
            files.insert(format!("{repository} {path}"), content);
        }
    }
    files
}

/// A place, a project of one function that was deployed from one machine, and the attacker.
fn start() -> Option<(Place, Project, Attacker, Value)> {
    let place = Place::start()?;
    let project = Project::new(1);
    let (first, _) = place.deploy(&project, "store", &[]);
    let attacker = Attacker::new(place.address());
    Some((place, project, attacker, first))
}

fn without_lock(project: &Project) {
    fs::remove_file(project.path().join("esb.lock")).unwrap();
}

#[test]
fn a_forged_fingerprint_makes_no_image_ours() {
    let Some((place, project, attacker, first)) = start() else { return };
    let ours = attacker.image(NAME, "latest");
    let evil = evil_layer("var/task/app.py");
    // An image that engines take, one whose config alone is another, and one that no engine takes.
    let forgeries = [
        Forgery::of(&ours).with_blob(&evil).consistent(&evil).image(),
        Forgery::of(&ours)
            .configured(|config| {
                config.insert("Cmd".to_owned(), serde_json::json!(["evil"]));
            })
            .image(),
        Forgery::of(&ours).annotated("org.opencontainers.image.base.name", "evil").image(),
    ];
    for (number, forged) in forgeries.iter().enumerate() {
        let tag = content_tag(&forged.digest().to_string());
        attacker.push(forged, NAME, &["latest", &tag]);
        let store = format!("cold-{number}");
        for store in [&*store, &*store, "store"] {
            let (again, _) = place.deploy(&project, store, &[]);
            assert_eq!(digests(&again), digests(&first), "{number} {store}");
            deployed(&attacker, &again);
        }
        let restored = attacker.image(NAME, "latest").digest();
        assert_eq!(restored, ours.digest(), "the plain tag leads to what was deployed");
    }
}

#[test]
fn a_forged_layer_key_puts_nothing_into_an_image() {
    let Some((place, project, attacker, first)) = start() else { return };
    let ours = attacker.image(NAME, "latest");
    let evil = evil_layer("var/task/app.py");
    let forged = Forgery::of(&ours).with_blob(&evil).consistent(&evil);
    let forged = forged.annotated("com.esb.image_fingerprint", &"0".repeat(64)).image();
    attacker.push(&forged, NAME, &["latest"]);
    let (cold, asked) = place.deploy(&project, "cold", &[]);
    assert_eq!(digests(&cold), digests(&first));
    assert!(writes(&asked).iter().any(|asked| asked.contains("/manifests/")), "{asked:#?}");
    deployed(&attacker, &cold);

    // One that says what the layer should unpack to: it is not taken for a new image.
    let forged = Forgery::of(&ours).with_blob(&evil);
    let forged = forged.annotated("com.esb.image_fingerprint", &"0".repeat(64)).image();
    attacker.push(&forged, NAME, &["latest"]);
    let to = ["deploy", "--to", "registry", "--to", "oci:out"];
    let run = |store: &str| {
        let mut command = project.command(store, &to);
        command.env("CONTAINER_REGISTRY", place.proxy.address());
        command.output().unwrap()
    };
    for text in ["handler = number = 0\n", "handler = number = 'new'\n"] {
        project.write("functions/f0/app.py", text);
        let output = run("colder");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{said:#}");
        let files = deployed(&attacker, &said);
        assert_eq!(files[&format!("{NAME} var/task/app.py")], text);
        attacker.push(&forged, NAME, &["latest"]);
    }
    // Who believes the registry looks at a layer before it is handed on without being unpacked.
    project.write("esb.toml", "application = 'shop'\ntrust-registry = true\n");
    project.write("functions/f0/app.py", "handler = number = 0\n");
    let output = run("handed");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said:#}");
    assert!(said["error"]["hint"].as_str().unwrap().contains("--no-cache"), "{said:#}");
    let (healed, _) = place.deploy(&project, "handed", &["--no-cache"]);
    assert_eq!(digests(&healed), digests(&first));
    deployed(&attacker, &healed);
}

#[test]
fn a_forged_index_does_not_say_where_files_land() {
    let Some((place, project, attacker, first)) = start() else { return };
    let ours = attacker.image(BASE, "latest");
    let forged = Forgery::of(&ours).annotated("com.esb.base_index", INDEX).image();
    let evil = evil_layer("opt/python/sitecustomize.py");
    let foreign = Forgery::of(&ours).with_blob(&evil).consistent(&evil).image();
    for (number, forged) in [forged, foreign].iter().enumerate() {
        attacker.push(forged, BASE, &["latest"]);
        // The function has to be built: another base would be seen in it.
        project.write("functions/f0/app.py", &format!("handler = number = 'new {number}'\n"));
        for (store, locked) in [("pinned", true), ("unpinned", false)] {
            if !locked {
                without_lock(&project);
                attacker.push(forged, BASE, &["latest"]);
            }
            let (cold, _) = place.deploy(&project, &format!("{store}-{number}"), &[]);
            assert_eq!(digest(&cold, BASE), digest(&first, BASE), "{store}");
            let files = deployed(&attacker, &cold);
            let code = &files[&format!("{NAME} var/task/app.py")];
            assert_eq!(*code, format!("handler = number = 'new {number}'\n"));
        }
    }
}

#[test]
fn a_base_of_the_outside_world_cannot_say_where_files_land_either() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(1);
    fs::remove_dir_all(project.path().join("base")).unwrap();
    let said = BTreeMap::from([("com.esb.base_index".to_owned(), INDEX.to_owned())]);
    base_saying(&project.path().join("base"), said);
    let (first, _) = place.deploy(&project, "store", &[]);
    let files = deployed(&Attacker::new(place.address()), &first);
    assert!(files.contains_key(&format!("{NAME} var/task/app.py")), "{files:#?}");
}

#[test]
fn a_content_tag_that_leads_elsewhere_is_put_right() {
    let Some((place, project, attacker, first)) = start() else { return };
    let ours = attacker.image(NAME, "latest");
    let evil = evil_layer("var/task/app.py");
    let forged = Forgery::of(&ours).with_blob(&evil).consistent(&evil).image();
    let tag = content_tag(&digest(&first, NAME));
    for store in ["store", "cold", "cold"] {
        attacker.push(&forged, NAME, &[&tag]);
        let (again, _) = place.deploy(&project, store, &[]);
        assert_eq!(digests(&again), digests(&first), "{store}");
        deployed(&attacker, &again);
    }
}

#[test]
fn what_a_registry_says_counts_where_the_project_says_so() {
    let Some((place, project, attacker, _)) = start() else { return };
    let ours = attacker.image(NAME, "latest");
    let evil = evil_layer("var/task/app.py");
    let forged = Forgery::of(&ours).with_blob(&evil).consistent(&evil).image();
    let forge = || {
        let tag = content_tag(&forged.digest().to_string());
        attacker.push(&forged, NAME, &["latest", &tag]);
    };
    forge();
    project.write("esb.toml", "application = 'shop'\ntrust-registry = true\n");
    for _ in 0..2 {
        let (cold, asked) = place.deploy(&project, "cold", &[]);
        assert_eq!(digest(&cold, NAME), forged.digest().to_string());
        assert_eq!(writes(&asked), [""; 0]);
    }
    // It is not remembered as if it were known.
    project.write("esb.toml", "application = 'shop'\ntrust-registry = false\n");
    forge();
    let (again, _) = place.deploy(&project, "cold", &[]);
    assert_eq!(digest(&again, NAME), ours.digest().to_string());
    deployed(&attacker, &again);
}

#[test]
fn pins_are_shortcuts() {
    let Some((place, project, attacker, first)) = start() else { return };
    let path = project.path().join("esb.lock");
    let lock = || fs::read_to_string(&path).unwrap();
    let written = lock();
    assert!(written.contains("[[own-base]]\nimage = \"esb-lambda-base:latest\""), "{written}");
    assert!(!written.contains("[[built]]"), "what is made of files needs no pin: {written}");
    let (again, _) = place.deploy(&project, "store", &[]);
    assert_eq!((digests(&again), lock()), (digests(&first), written.clone()));

    // Without the pin, and with one of something else: the work is done, and told.
    let start = written.find("[[own-base]]").unwrap();
    let fingerprint = written.find("fingerprint = \"sha256:").unwrap() + 22;
    let (before, rest) = written.split_at(fingerprint);
    let outdated = [before, &"0".repeat(64), &rest[64..]].concat();
    let unpinned = written[..start].to_owned();
    for (store, text, why) in [
        ("unpinned", unpinned, "and not pinned"),
        ("outdated", outdated, "and pinned with another content"),
    ] {
        fs::write(&path, &text).unwrap();
        let (locked, asked) = place.deploy(&project, &format!("{store}-locked"), &["--locked"]);
        assert_eq!(digests(&locked), digests(&first));
        assert!(all(&locked, "action").iter().all(|action| *action == "skipped"), "{locked:#}");
        assert!(reason(&locked, BASE).ends_with(why), "{locked:#}");
        assert_eq!(writes(&asked), [""; 0], "nothing is uploaded");
        assert_eq!(lock(), text, "`--locked` writes nothing");
        for blob in fs::read_dir(project.store(&format!("{store}-locked/blobs/sha256"))).unwrap() {
            let bytes = fs::read(blob.unwrap().path()).unwrap();
            assert!(bytes.starts_with(b"{"), "nothing was compressed");
        }
        place.deploy(&project, store, &[]);
        assert_eq!(lock(), written, "the same whoever writes it");
    }
    // The tag of a base may lead elsewhere: what is pinned is found by its digest.
    let other = Forgery::of(&attacker.image(BASE, "latest")).annotated("a", "b").image();
    attacker.push(&other, BASE, &["latest"]);
    let (moved, _) = place.deploy(&project, "moved", &[]);
    assert_eq!(digests(&moved), digests(&first));
    assert!(!reason(&moved, BASE).contains("pinned"), "{moved:#}");
}
