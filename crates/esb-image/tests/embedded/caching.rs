//! Nothing is done twice.

use std::{fs, thread, time::Duration};

use esb_image::{Action, BuildReport};

use esb_oci::media_type;

use crate::fixture::{Project, base, base_with, builder, image};

const DOCKERFILE: &str = "FROM base:1\nCOPY layer /opt/\nCOPY code /var/task/\nCMD [\"a.b\"]";
/// What sources held, in the store.
const LISTS: &str = "store/records/source-files.log";
const FILES: &str = "layer/common.py c\ncode/app.py a\ncode/lib.py l";

fn told(report: &BuildReport) -> (Action, &str) {
    (report.action, &report.reason)
}

#[test]
fn an_unchanged_image_is_not_built_again() {
    let mut project = Project::new(DOCKERFILE, FILES);
    let first = project.build().unwrap();
    assert_eq!(told(&first), (Action::Built, "new"));
    let second = project.build().unwrap();
    assert_eq!(told(&second), (Action::Cached, "same content, base and recipe"));
    assert_eq!(image(&second).manifest_bytes, image(&first).manifest_bytes);

    // Another process with the same store.
    project.builder = builder(&project.folder.path().join("store"));
    assert_eq!(project.build().unwrap().action, Action::Cached);
}

#[test]
fn an_unchanged_image_is_found_without_its_contents() {
    let project = Project::new(DOCKERFILE, FILES);
    // Files as old as in a project that was checked out a moment ago.
    thread::sleep(Duration::from_millis(120));
    let first = project.image();
    let code = project.root().join("code/app.py");
    fs::set_permissions(&code, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    thread::sleep(Duration::from_millis(120));
    assert_eq!(project.build().unwrap().action, Action::Cached, "a new stat, the same content");
    // Base layers that cannot be read are no hindrance either.
    assert_eq!(project.image().digest(), first.digest());
}

#[test]
fn changes_are_seen_and_told() {
    let mut project = Project::new(DOCKERFILE, FILES);
    let first = project.image();
    project.write("code/app.py b");
    let second = project.build().unwrap();
    assert_eq!(told(&second), (Action::Built, "`code/app.py` changed"));
    let second = image(&second);
    assert_eq!(second.layers[1].descriptor, first.layers[1].descriptor, "the layer is the same");
    assert_ne!(second.layers[2].descriptor, first.layers[2].descriptor);

    project.write("code/app.py a");
    let third = project.build().unwrap();
    assert_eq!(third.action, Action::Cached, "back to what was built first");
    assert_eq!(image(&third).digest(), first.digest());

    project.write("code/sub/new.py n");
    assert_eq!(told(&project.build().unwrap()), (Action::Built, "`code/sub/new.py` added"));
    fs::remove_file(project.root().join("code/sub/new.py")).unwrap();
    fs::remove_file(project.root().join("code/lib.py")).unwrap();
    project.write("layer/common.py d");
    let several = project.build().unwrap();
    assert_eq!(told(&several), (Action::Built, "`layer/common.py` changed, and 2 more"));
    // Without what an earlier run noted, the source is all that can be named.
    fs::remove_file(project.folder.path().join(LISTS)).unwrap();
    project.builder = builder(&project.folder.path().join("store"));
    project.write("code/lib.py l");
    project.write("layer/common.py e");
    let unknown = project.build().unwrap();
    assert_eq!(told(&unknown), (Action::Built, "`layer` changed, and 1 more"));

    project.recipe.dockerfile += "\nENV A=1";
    let reason = "recipe changed (`ENV A=1` added)";
    assert_eq!(told(&project.build().unwrap()), (Action::Built, reason));
    project.epoch += 1;
    let reason = "labels or time changed (`SOURCE_DATE_EPOCH` changed)";
    assert_eq!(told(&project.build().unwrap()), (Action::Built, reason));
    project.bases = [("base:1".to_owned(), base(media_type::DOCKER_MANIFEST))].into();
    assert_eq!(project.build().unwrap().action, Action::Cached, "the same base in another form");
    let changed = base_with(media_type::OCI_MANIFEST, "/usr/bin");
    project.bases = [("base:1".to_owned(), changed)].into();
    assert_eq!(
        told(&project.build().unwrap()),
        (Action::Built, "base image `registry.test/base:1` changed")
    );
}

#[test]
fn a_run_that_changes_nothing_keeps_no_list() {
    let mut project = Project::new(DOCKERFILE, FILES);
    project.image();
    let lists = project.folder.path().join(LISTS);
    let text = fs::read_to_string(&lists).unwrap();
    assert!(text.contains("code/app.py") && text.contains("layer/common.py"), "{text}");
    fs::remove_file(&lists).unwrap();
    project.builder = builder(&project.folder.path().join("store"));
    assert_eq!(project.build().unwrap().action, Action::Cached);
    assert!(!lists.exists());
}

#[test]
fn comments_change_nothing() {
    let mut project = Project::new(DOCKERFILE, FILES);
    let first = project.image();
    project.recipe.dockerfile = format!("# hello\n\n{DOCKERFILE}\n# end");
    assert_eq!(project.build().unwrap().action, Action::Cached);
    assert_eq!(project.image().digest(), first.digest());
}

#[test]
fn without_the_cache_everything_is_made_again() {
    let mut project = Project::new(DOCKERFILE, FILES);
    let first = project.image();
    project.no_cache = true;
    let second = project.build().unwrap();
    assert_eq!(told(&second), (Action::Built, "the cache is not used"));
    assert_eq!(image(&second).digest(), first.digest());
}

#[test]
fn lost_blobs_are_made_again() {
    let project = Project::new(DOCKERFILE, FILES);
    let first = project.image();
    let store = project.folder.path().join("store/blobs/sha256");
    for blob in fs::read_dir(&store).unwrap() {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let second = project.build().unwrap();
    assert_eq!(told(&second), (Action::Built, "its layers are not in the store any more"));
    assert_eq!(image(&second).digest(), first.digest());
    assert!(store.join(first.layers[2].descriptor.digest.hex()).exists());
}

#[test]
fn many_images_share_a_layer() {
    let project = Project::new(DOCKERFILE, FILES);
    // All but two hold different things.
    for name in 0..12 {
        project.write(&format!("f{name}/app.py {}", name.min(10)));
    }
    let recipes: Vec<_> = (0..12)
        .map(|name| {
            let mut recipe = project.recipe.clone();
            recipe.repository = format!("esb-f{name}");
            recipe.dockerfile = DOCKERFILE.replace("COPY code", &format!("COPY f{name}"));
            recipe
        })
        .collect();
    let (root, pins) = (project.root(), esb_image::Pins::default());
    let builds = recipes.iter().map(|recipe| {
        let mut request = esb_image::BuildRequest::new(recipe, &root, &project.bases);
        request.labels = &project.labels;
        request.pins = &pins;
        request.epoch = 0;
        esb_image::Builder::build(&project.builder, request, &esb_model::NullReporter)
    });
    let reports = crate::fixture::block_on(futures_util::future::try_join_all(builds)).unwrap();
    let shared: Vec<_> =
        reports.iter().map(|report| image(report).layers[1].descriptor.digest).collect();
    assert!(shared.windows(2).all(|pair| pair[0] == pair[1]));
    let blobs = fs::read_dir(project.folder.path().join("store/blobs/sha256")).unwrap().count();
    assert_eq!(blobs, 1 + 11 + 12 * 2, "one shared layer, layers, config and manifest of each");
}
