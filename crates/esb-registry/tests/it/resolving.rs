//! From references to images: mirrors, layouts, offline.

use esb_model::Platform;
use esb_oci::{ContentStore, write_layout};
use esb_registry::{Client, ErrorKind, Mirrors, PushSession, Remedy};

use crate::{
    images::{client, image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry},
};

fn mirrored(mirrors: &[&str], offline: bool) -> Client {
    let mirrors = Mirrors::parse(mirrors.iter().copied()).unwrap();
    Client::new(settings().with_mirrors(mirrors).with_offline(offline)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_tried_in_order_and_all_named() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("bases");
    let (one, two) = (image("amd64", &[noise(1, 10)]), image("amd64", &[noise(2, 20)]));
    let images = [("lambda/python:3.12".to_owned(), one.clone())];
    write_layout(&layout, &images).await.unwrap();
    let registry = MemoryRegistry::start(Manners::default());
    let address = registry.server.address();
    let stored = reference(&format!("{address}/ecr/lambda/python:3.13"));
    client().push(&two, &stored, &[], &PushSession::new(), &quiet()).await.unwrap();

    let oci = format!("public.ecr.aws=oci:{}", layout.display());
    let other = format!("public.ecr.aws={address}/ecr");
    let missing = format!("public.ecr.aws=oci:{}/nowhere", folder.path().display());
    let client = mirrored(&[&missing, &oci, &other], false);
    let python = |tag: &str| reference(&format!("public.ecr.aws/lambda/python:{tag}"));
    let found = client.resolve(&python("3.12"), Platform::default()).await.unwrap();
    assert_eq!((found.digest, found.index), (one.digest(), None));
    assert_eq!(found.source, format!("oci:{}", layout.display()));
    assert_eq!(found.image.layers[0].read(100).await.unwrap(), noise(1, 10));
    let found = client.resolve(&python("3.13"), Platform::default()).await.unwrap();
    assert_eq!(
        (found.digest, &*found.source),
        (two.digest(), &*format!("{address}/ecr/lambda/python"))
    );
    let found = client.resolve(&python("x").pinned(one.digest()), Platform::default()).await;
    assert_eq!(found.unwrap().digest, one.digest());

    // Offline, only layouts count; what was tried and what would help is said.
    let offline = mirrored(&[&missing, &oci, &other], true);
    registry.server.clear();
    assert!(offline.resolve(&python("3.12"), Platform::default()).await.is_ok());
    let error = offline.resolve(&python("3.13"), Platform::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nowhere") && text.contains("is not in the OCI layout"), "{text}");
    assert!(text.ends_with("no registry is asked while offline"), "{text}");
    let copy = Remedy::GoOnlineOrGiveCopy { host: "public.ecr.aws".to_owned() };
    assert_eq!(error.remedy(), Some(copy));
    assert_eq!(registry.server.requests().len(), 0);

    let arm = client.resolve(&python("3.12"), "linux/arm64".parse().unwrap()).await.unwrap_err();
    assert!(arm.to_string().contains("has no image for linux/arm64; it has linux/amd64"), "{arm}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_the_store_knows_costs_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let store = ContentStore::open(folder.path()).unwrap();
    let registry = MemoryRegistry::start(Manners::default());
    let base = image("amd64", &[noise(1, 10)]);
    let name = reference(&format!("{}/base:1", registry.server.address()));
    client().push(&base, &name, &[], &PushSession::new(), &quiet()).await.unwrap();
    let with_store = |offline| {
        let store = Some(store.clone());
        Client::new(settings().with_store(store).with_offline(offline)).unwrap()
    };
    let (online, offline) = (with_store(false), with_store(true));
    let pinned = name.with_digest(base.digest());
    let error = offline.resolve(&pinned, Platform::default()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("it lacks `{}`", base.digest())), "{error}");

    online.resolve(&name, Platform::default()).await.unwrap();
    registry.server.clear();
    let found = online.resolve(&pinned, Platform::default()).await.unwrap();
    assert_eq!(found.digest, base.digest());
    assert_eq!(registry.server.requests().len(), 0);
    let location = found.image.layers[0].source.location().unwrap();
    assert_eq!(location.repository, "base", "it can be mounted from there");

    // A layer is read where it is, and once only when somebody keeps it.
    assert_eq!(found.image.layers[0].read(100).await.unwrap(), noise(1, 10));
    assert_eq!(registry.server.requests().len(), 1);
    let found = offline.resolve(&pinned, Platform::default()).await.unwrap();
    let layer = &found.image.layers[0];
    let error = layer.read(100).await.unwrap_err().to_string();
    let digest = layer.descriptor.digest.to_string();
    assert!(error.contains(&digest) && error.contains("the content store"), "{error}");
    let found = online.resolve(&pinned, Platform::default()).await.unwrap();
    store.ingest(&found.image.layers[0]).await.unwrap();
    assert_eq!(layer.read(100).await.unwrap(), noise(1, 10));

    // What is damaged on the disk is fetched again.
    std::fs::write(store.blob_path(base.digest()), "{}").unwrap();
    assert!(offline.resolve(&pinned, Platform::default()).await.is_err());
    assert_eq!(online.resolve(&pinned, Platform::default()).await.unwrap().digest, base.digest());
    assert!(offline.resolve(&pinned, Platform::default()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_platforms_are_one_tag() {
    let folder = tempfile::tempdir().unwrap();
    let registry = MemoryRegistry::start(Manners::default());
    let (amd, arm) = (image("amd64", &[noise(1, 10)]), image("arm64", &[noise(2, 20)]));
    let name = reference(&format!("{}/base:1", registry.server.address()));
    let push = async || {
        let client = client();
        client.push_index(&[&arm, &amd], &name, &PushSession::new(), &quiet()).await.unwrap()
    };
    let pushed = push().await;
    assert!(!pushed.unchanged && pushed.uploaded == 4, "{pushed:?}");
    let layout = folder.path().join("bases");
    let images = [("base:1".to_owned(), arm.clone()), ("base:1".to_owned(), amd.clone())];
    write_layout(&layout, &images).await.unwrap();
    let mirror = format!("a.example=oci:{}", layout.display());
    let mirrored = (mirrored(&[&mirror], true), reference("a.example/base:1"));
    for (client, name) in [(client(), name.clone()), mirrored] {
        for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
            let found = client.resolve(&name, platform.parse().unwrap()).await.unwrap();
            assert_eq!((found.digest, found.index), (image.digest(), pushed.digest));
        }
    }
    registry.server.clear();
    assert!(push().await.unchanged);
    assert_eq!(registry.server.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_nowhere_says_where_it_was_looked_for() {
    let registry = MemoryRegistry::start(Manners::default());
    let address = registry.server.address();
    let free = esb_test::free_port().unwrap();
    let client = mirrored(&[&format!("127.0.0.1:{free}={address}")], false);
    let error = client
        .resolve(&reference(&format!("127.0.0.1:{free}/a:1")), Platform::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!(": {address}/a: not found: ")), "{text}");
    assert!(text.contains(&format!("; 127.0.0.1:{free}/a: no connection: ")), "{text}");
    let (message, list) = error.parts().unwrap();
    let unreached = format!("`127.0.0.1:{free}` could not be reached");
    assert_eq!(message, format!("could not read `127.0.0.1:{free}/a:1`: {unreached}"));
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(error.code(), Some("IMAGE_PULL_FAILED"));
}
