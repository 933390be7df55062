//! Images whose labels and annotations are false, in the engine and in the registry.

use std::{collections::BTreeMap, fs, path::Path};

use esb_image::{
    Action, BuildReport, BuildRequest, Builder as _, Engine as _, ExpectedImage, Pins,
    PublishedImages,
    docker::{DockerBuilder, DockerEngine},
};
use esb_model::{ImageRecipe, NullReporter};
use esb_oci::{ArchiveImage, Blob, BoxFuture, ContentStore, Digest, Image, Manifest, media_type};

use crate::contract::support::{FINGERPRINT, File, flatten, image, local, recipe, write};

/// A place that has one image, whatever it is asked for.
struct Place(Image);

impl PublishedImages for Place {
    fn find<'a>(&'a self, _: &'a ImageRecipe, _: ExpectedImage) -> BoxFuture<'a, Option<Image>> {
        Box::pin(async { Some(self.0.clone()) })
    }
}

const CODE: &str = "644 0:0 app.py \"ours\"";

struct Bench<'a> {
    engine: &'a DockerEngine,
    root: &'a Path,
    recipe: ImageRecipe,
}

impl Bench<'_> {
    async fn build(
        &self,
        store: &Path,
        published: Option<&dyn PublishedImages>,
        (pins, trusts_published): (Pins, bool),
    ) -> BuildReport {
        let builder = DockerBuilder::new(self.engine.clone(), ContentStore::open(store).unwrap());
        let none = BTreeMap::new();
        let mut request = BuildRequest::new(&self.recipe, self.root, &none);
        request.fingerprint_label = Some(FINGERPRINT);
        request.published = published;
        request.pins = &pins;
        request.trusts_published = trusts_published;
        builder.build(request, &NullReporter).await.unwrap()
    }
}

pub(crate) async fn nothing_is_ours_for_what_it_says(
    engine: &DockerEngine,
    store: &ContentStore,
    folder: &Path,
) {
    let (root, at) = (folder.join("forged"), |name: &str| folder.join(format!("forged-{name}")));
    write(&root, &[("app.py", "ours")]);
    let recipe = recipe("esb-forged", "FROM scratch\nCOPY app.py /\n");
    let bench = Bench { engine, root: &root, recipe };
    let nothing = || (Pins::default(), false);
    let ours = bench.build(&at("first"), None, nothing()).await;
    assert_eq!(flatten(local(&ours), 0).await, CODE);
    let pin = ours.pins.image.unwrap();
    assert_eq!(pin.1, local(&ours).digest());
    let forged = forged(store, local(&ours));

    // In the engine, under the name and with all labels of ours: on a machine that does not know
    // the image, and on one that built it and lost its layers.
    for name in ["cold", "first"] {
        let names = vec!["esb-forged:latest".to_owned()];
        engine.load(&[ArchiveImage { image: forged.clone(), names }]).await.unwrap();
        if name == "first" {
            for blob in fs::read_dir(at("first/blobs/sha256")).unwrap() {
                fs::remove_file(blob.unwrap().path()).unwrap();
            }
        }
        let report = bench.build(&at(name), None, nothing()).await;
        assert_eq!(report.action, Action::Built, "{name}");
        assert_eq!(flatten(local(&report), 0).await, CODE);
        assert_eq!(local(&report).descriptor, local(&ours).descriptor);
    }
    // What the engine itself made of it is used again.
    for blob in fs::read_dir(at("first/blobs/sha256")).unwrap() {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let again = bench.build(&at("first"), None, nothing()).await;
    assert_eq!(again.action, Action::Cached);
    assert_eq!(local(&again).descriptor, local(&ours).descriptor);

    // Where the image goes.
    let place = Place(forged.clone());
    let unpinned = bench.build(&at("unpinned"), Some(&place), nothing()).await;
    assert_eq!((unpinned.action, &*unpinned.reason), (Action::Built, "new, and not pinned"));
    assert_eq!(local(&unpinned).descriptor, local(&ours).descriptor);
    let pins = |image| Pins { image: Some(image), packages: None };
    let outdated = (Digest::of(b"another"), forged.digest());
    for (store, pin, why) in [
        ("outdated", outdated, "pinned with another content"),
        ("pinned", pin, "what is pinned was not found"),
    ] {
        let report = bench.build(&at(store), Some(&place), (pins(pin), false)).await;
        assert_eq!(report.action, Action::Built);
        assert!(report.reason.ends_with(why), "{}", report.reason);
        assert_eq!(flatten(local(&report), 0).await, CODE);
    }
    let place_of_ours = Place(local(&ours).clone());
    let report = bench.build(&at("found"), Some(&place_of_ours), (pins(pin), false)).await;
    assert_eq!(report.action, Action::Cached);
    assert_eq!((local(&report).digest(), report.pins), (pin.1, pins(pin)));

    // Somebody who wants to believe it; that is not remembered for who does not.
    let believed = bench.build(&at("trusting"), Some(&place), (Pins::default(), true)).await;
    assert_eq!(local(&believed).digest(), forged.digest());
    assert_eq!(believed.pins, Pins::default());
    let after = bench.build(&at("trusting"), Some(&place), nothing()).await;
    assert_eq!(local(&after).descriptor, local(&ours).descriptor);
}

/// Another image that says of itself what `ours` does: labels and annotations.
fn forged(store: &ContentStore, ours: &Image) -> Image {
    let evil = image(store, &[&[File("app.py", 0o644, b"evil")]]);
    let mut config: serde_json::Value =
        serde_json::from_slice(ours.config_bytes.as_ref().unwrap()).unwrap();
    let ids = evil.parse_config().unwrap().diff_ids();
    config["rootfs"]["diff_ids"] = serde_json::json!([ids[0].to_string()]);
    let bytes = serde_json::to_vec(&config).unwrap();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, bytes.clone());
    let manifest = Manifest {
        config: config.descriptor.clone(),
        layers: evil.manifest.layers.clone(),
        ..(*ours.manifest).clone()
    };
    let manifest = serde_json::to_vec(&manifest).unwrap();
    Image::new(manifest.into(), bytes.into(), config, evil.layers).unwrap()
}
