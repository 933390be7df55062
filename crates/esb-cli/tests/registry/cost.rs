//! Unchanged images are neither built nor uploaded again, on a machine with a cache and without
//! one.

use std::{fs, thread, time::Duration};

use crate::{
    opened::Opened,
    project::{FUNCTIONS, Place, Project, all, digests, writes},
};

/// Files that were written a moment ago are read again whatever is remembered of them.
fn settle() {
    thread::sleep(Duration::from_millis(120));
}

/// How many requests were about a repository.
fn about(asked: &[String], repository: &str) -> usize {
    asked.iter().filter(|asked| asked.contains(&format!("/v2/{repository}/"))).count()
}

#[test]
fn nothing_changed_costs_one_request_an_image_and_no_file_is_read() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(FUNCTIONS);
    settle();
    let (first, asked) = place.deploy(&project, "store", &[]);
    assert!(all(&first, "action").iter().all(|action| *action == "built"), "{first:#}");
    assert!(!writes(&asked).is_empty());

    let folders = [project.path().join("functions"), project.path().join("layer")];
    let opened = Opened::below(&[&folders[0], &folders[1]]);
    let (second, asked) = place.deploy(&project, "store", &[]);
    assert_eq!(digests(&second), digests(&first));
    assert!(all(&second, "action").iter().all(|action| *action == "skipped"), "{second:#}");
    assert_eq!(
        asked.len(),
        FUNCTIONS + 1,
        "one for each function and one for the base: {asked:#?}"
    );
    assert!(asked.iter().all(|asked| asked.starts_with("HEAD ")), "{asked:#?}");
    assert_eq!(opened.files(), Vec::<String>::new());
    // The watch does see what is read.
    fs::read(folders[0].join("f0/lib/help.py")).unwrap();
    assert!(opened.files().contains(&"help.py".to_owned()));
}

#[test]
fn one_line_changed_moves_one_layer_one_config_and_one_manifest() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(FUNCTIONS);
    settle();
    let (first, _) = place.deploy(&project, "store", &[]);
    project.write("functions/f2/lib/help.py", "h = 'other'\n");
    for store in ["store", "of-another-machine"] {
        // The second machine knows nothing; the base's layers are nowhere but in the registry.
        let (second, asked) = place.deploy(&project, store, &[]);
        let (before, after) = (digests(&first), digests(&second));
        let changed: Vec<_> = before.iter().filter(|(name, old)| after[*name] != **old).collect();
        assert_eq!(changed.len(), 1);
        if store != "store" {
            assert_eq!(writes(&asked), [""; 0], "another machine published it already");
            continue;
        }
        let uploads = writes(&asked);
        assert!(uploads.iter().all(|asked| asked.contains("/v2/esb-fn-2/")), "{uploads:#?}");
        let count = |part: &str| uploads.iter().filter(|asked| asked.starts_with(part)).count();
        assert_eq!(count("PUT /v2/esb-fn-2/blobs/"), 2, "code and config: {uploads:#?}");
        assert_eq!(count("PUT /v2/esb-fn-2/manifests/"), 2, "by content and plain");
        // Whether the last image is there, and for each blob where it goes: no layer that stays
        // is asked for.
        // The last manifest is asked for again.
        assert_eq!(about(&asked, "esb-fn-2"), 1 + 2 + 4 + 1, "{asked:#?}");
        for repository in ["esb-fn-0", "esb-fn-1", "esb-fn-3", "esb-lambda-base"] {
            assert_eq!(about(&asked, repository), 1, "{repository}: {asked:#?}");
        }
    }
}

#[test]
fn a_cold_machine_is_not_a_cold_build() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(FUNCTIONS);
    settle();
    let (first, _) = place.deploy(&project, "store", &[]);
    // No layer of a base is read by a function's build: there is none to read here.
    for blob in fs::read_dir(project.path().join("base/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::remove_file(path).unwrap();
        }
    }
    let (second, asked) = place.deploy(&project, "cold", &[]);
    assert_eq!(digests(&second), digests(&first));
    assert_eq!(writes(&asked), [""; 0], "nothing is uploaded");
    for number in 0..FUNCTIONS {
        let asked = about(&asked, &format!("esb-fn-{number}"));
        assert!(asked <= 2, "{asked} requests for a function");
    }
    for blob in fs::read_dir(project.store("cold").join("blobs/sha256")).unwrap() {
        let bytes = fs::read(blob.unwrap().path()).unwrap();
        assert!(bytes.starts_with(b"{"), "no layer was compressed or read");
    }
    let (third, asked) = place.deploy(&project, "cold", &[]);
    assert_eq!(digests(&third), digests(&first));
    assert_eq!(asked.len(), FUNCTIONS + 1, "as on a machine that built it: {asked:#?}");

    // A change on a cold machine: what lies in the registry is not uploaded again. A layer of an
    // image that is new is made here, for nobody but the registry says what the blob there holds.
    let change = |text: &str, store: &str| {
        project.write("functions/f1/app.py", text);
        let (_, asked) = place.deploy(&project, store, &[]);
        let uploads = writes(&asked);
        assert!(uploads.iter().all(|asked| asked.contains("/v2/esb-fn-1/")), "{uploads:#?}");
        let count = |part: &str| uploads.iter().filter(|asked| asked.starts_with(part)).count();
        assert_eq!(count("PUT /v2/esb-fn-1/blobs/"), 2, "code and config: {uploads:#?}");
        let blobs = fs::read_dir(project.store(store).join("blobs/sha256")).unwrap();
        let layers = blobs.filter(|blob| {
            let path = blob.as_ref().unwrap().path();
            fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])
        });
        layers.count()
    };
    assert_eq!(change("handler = number = 'one'\n", "colder"), 2, "the layers of one image");
    // A machine that made a layer knows its blob, also when it has it no more.
    for blob in fs::read_dir(project.store("colder").join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(change("handler = number = 'two'\n", "colder"), 1, "the code alone was compressed");
    project.write("esb.toml", "application = 'shop'\ntrust-registry = true\n");
    assert_eq!(
        change("handler = number = 'three'\n", "trusting"),
        1,
        "the code alone was compressed"
    );
}

#[test]
fn without_the_cache_all_is_made_again_to_the_same_bytes() {
    let Some(place) = Place::start() else { return };
    let project = Project::new(2);
    let (first, _) = place.deploy(&project, "store", &[]);
    let (second, asked) = place.deploy(&project, "store", &["--no-cache"]);
    assert!(all(&second, "action").iter().all(|action| *action == "built"), "{second:#}");
    assert_eq!(digests(&second), digests(&first));
    assert_eq!(writes(&asked), [""; 0]);
}
