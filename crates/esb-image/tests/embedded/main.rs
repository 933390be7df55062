//! The embedded engine through its public face.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

mod agreement;
mod base_contents;
mod caching;
#[path = "../contract/mod.rs"]
mod contract;
mod dependencies;
mod fixture;
mod images;
mod landing;
mod own;
mod published;
mod refusals;
mod staging;

#[tokio::test]
async fn the_contract_of_all_engines_holds() {
    let folder = tempfile::tempdir().unwrap();
    let store = esb_oci::ContentStore::open(folder.path().join("store")).unwrap();
    let builder = esb_image::EmbeddedBuilder::new(store.clone(), <_>::default());
    contract::holds(&builder, &store, folder.path()).await;
}
