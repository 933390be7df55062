//! Reuse of images and layers that the registry has, and which of their annotations are believed.

use std::fs;

use esb_image::{Action, ExpectedImage, Pins, PublishedImages};
use esb_model::{Dependencies, FollowLinks, ImageRecipe, Platform};
use esb_oci::{Blob, BoxFuture, Digest, Image};

use crate::fixture::{Project, builder, image};

/// A place that has one image, whatever it is asked for.
struct Place(Image);

impl PublishedImages for Place {
    fn find<'a>(&'a self, _: &'a ImageRecipe, _: ExpectedImage) -> BoxFuture<'a, Option<Image>> {
        Box::pin(async { Some(self.0.clone()) })
    }
}

/// A project with installed packages, its image, and what a build found out for others.
fn project() -> (Project, Image, Pins) {
    let dockerfile = "FROM base:1\nCOPY packages/ /var/task/\nCOPY code /var/task/\n";
    let mut project = Project::new(dockerfile, "packages/six.py s\ncode/app.py a");
    project.recipe.dependencies = Some(Dependencies {
        requirements: "requirements.txt".into(),
        target: "packages".into(),
        runtime: "python3.12".parse().unwrap(),
        platform: Platform::default(),
        follow: FollowLinks::default(),
    });
    let report = project.build().unwrap();
    let image = image(&report);
    (project, image, report.pins)
}

/// A machine that knows nothing.
fn elsewhere(project: &mut Project, store: &str) {
    project.builder = builder(&project.folder.path().join(store));
}

fn blobs(project: &Project, store: &str) -> usize {
    fs::read_dir(project.folder.path().join(store).join("blobs/sha256")).unwrap().count()
}

#[test]
fn an_image_that_comes_out_the_same_is_used() {
    let (mut project, ours, pins) = project();
    assert_eq!(pins.image.unwrap().1, ours.digest());
    elsewhere(&mut project, "cold");
    let place = Place(ours.clone());
    let report = project.build_for(Some(&place), &Pins::default()).unwrap();
    assert_eq!(report.action, Action::Cached, "{}", report.reason);
    assert_eq!(image(&report).digest(), ours.digest());
    assert_eq!(report.pins, pins, "the same is found out wherever it is built");
    assert_eq!(blobs(&project, "cold"), 2, "config and manifest; no layer");
}

#[test]
fn a_pinned_layer_need_not_be_read() {
    let (mut project, ours, pins) = project();
    let (key, diff_id) = pins.packages.unwrap();
    // A wrong pin makes nothing of ours wrong: the layer is not taken for the one that lies there.
    let wrong = Pins { packages: Some((key, Digest::of(b"x"))), ..Pins::default() };
    let other = Pins { packages: Some((Digest::of(b"y"), diff_id)), ..Pins::default() };
    for (store, pins, action, blobs_of) in [
        ("right", &pins, Action::Cached, 2),
        // Nobody but the registry vouches for the other layer of a new image: it is made here too.
        ("wrong", &wrong, Action::Built, 4),
        ("other", &other, Action::Cached, 2),
    ] {
        elsewhere(&mut project, store);
        let report = project.build_for(Some(&Place(ours.clone())), pins).unwrap();
        assert_eq!(report.action, action, "{store}");
        assert_eq!(image(&report).digest(), ours.digest());
        assert_eq!(blobs(&project, store), blobs_of, "{store}");
    }
}

#[test]
fn a_layer_that_says_another_content_is_made_here() {
    let (mut project, ours, _) = project();
    let foreign = Blob::from_bytes("application/vnd.oci.image.layer.v1.tar+gzip", &b"foreign"[..]);
    let mut forged = ours.clone();
    let mut manifest = (*ours.manifest).clone();
    let said = manifest.layers.last_mut().unwrap();
    (said.digest, said.size) = (foreign.descriptor.digest, foreign.descriptor.size);
    said.annotations.insert("com.esb.diff_id".to_owned(), Digest::of(b"other").to_string());
    forged.layers[2] = foreign;
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let Image { config_bytes, config, layers, .. } = forged;
    let forged = Image::new(bytes.into(), config_bytes.unwrap(), config, layers).unwrap();
    elsewhere(&mut project, "cold");
    let report = project.build_for(Some(&Place(forged)), &Pins::default()).unwrap();
    assert_eq!(report.action, Action::Built);
    assert_eq!(image(&report).digest(), ours.digest());
    assert_eq!(blobs(&project, "cold"), 4, "config, manifest and both layers of a new image");
}
