//! A [`Registry`] that is implemented outside the library: repositories in memory, no network.

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use esb_model::Platform;
use esb_oci::{BlobStream, BoxFuture, Descriptor, Digest, manifest::media_type};
use esb_registry::{
    Access, Attempted, Client, CopyScope, Error, ErrorKind, ManifestHead, PushSession, RawManifest,
    Registry, RegistrySettings, Repository, RequestAction, ServerMessage, Upload, UploadSession,
};

use crate::images::{copy, image, noise, quiet, reference};

/// Documents and blobs of all repositories, by `registry/repository` and by tag or digest.
#[derive(Debug, Default)]
struct InMemory {
    manifests: Mutex<BTreeMap<(Repository, String), (String, Bytes)>>,
    blobs: Mutex<BTreeMap<(Repository, Digest), Bytes>>,
}

fn absent(attempted: Attempted) -> Error {
    let message = ServerMessage::plain("not in memory");
    Error::NotFound { attempted: Box::new(attempted), message }
}

impl Registry for InMemory {
    fn manifest_head<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        _: Access,
    ) -> BoxFuture<'a, Result<Option<ManifestHead>, Error>> {
        let manifests = self.manifests.lock().unwrap();
        let found = manifests.get(&(at.clone(), target.to_owned()));
        let head = found.map(|(_, bytes)| ManifestHead { digest: Some(Digest::of(bytes)) });
        Box::pin(ready(Ok(head)))
    }

    fn manifest_get<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
    ) -> BoxFuture<'a, Result<RawManifest, Error>> {
        let manifests = self.manifests.lock().unwrap();
        let found = manifests.get(&(at.clone(), target.to_owned())).map(|(media_type, bytes)| {
            let (media_type, bytes) = (media_type.clone(), bytes.clone());
            RawManifest { digest: Digest::of(&bytes), media_type, bytes }
        });
        let action = RequestAction::ReadManifest;
        let absent = || absent(Attempted::manifest(at, target, action, Access::Pull));
        Box::pin(ready(found.ok_or_else(absent)))
    }

    fn manifest_put<'a>(
        &'a self,
        at: &'a Repository,
        target: &'a str,
        media_type: &'a str,
        bytes: &'a Bytes,
    ) -> BoxFuture<'a, Result<Option<Digest>, Error>> {
        let digest = Digest::of(bytes);
        let mut manifests = self.manifests.lock().unwrap();
        for name in [target.to_owned(), digest.to_string()] {
            manifests.insert((at.clone(), name), (media_type.to_owned(), bytes.clone()));
        }
        Box::pin(ready(Ok(Some(digest))))
    }

    fn manifest_delete<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let is_other = |(own, _): &(Repository, String), (_, bytes): &mut (String, Bytes)| {
            own != at || Digest::of(bytes) != digest
        };
        self.manifests.lock().unwrap().retain(is_other);
        Box::pin(ready(Ok(())))
    }

    fn blob_head<'a>(
        &'a self,
        at: &'a Repository,
        digest: Digest,
        _: Access,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let has = self.blobs.lock().unwrap().contains_key(&(at.clone(), digest));
        Box::pin(ready(Ok(has)))
    }

    fn blob_get<'a>(
        &'a self,
        at: &'a Repository,
        blob: &'a Descriptor,
        offset: u64,
    ) -> BoxFuture<'a, Result<BlobStream, Error>> {
        let found = self.blobs.lock().unwrap().get(&(at.clone(), blob.digest)).cloned();
        let action = RequestAction::ReadBlob;
        let absent = || absent(Attempted::blob(at, blob.digest, action, Access::Pull));
        Box::pin(ready(found.ok_or_else(absent).map(|bytes| -> BlobStream {
            let rest = bytes.slice(usize::try_from(offset).unwrap()..);
            Box::pin(futures_util::stream::iter([Ok(rest)]))
        })))
    }

    fn blob_push<'a>(
        &'a self,
        to: &'a Repository,
        upload: Upload<'a>,
        _: Option<UploadSession>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let digest = upload.blob.descriptor.digest;
            let attempted = Attempted::blob(to, digest, RequestAction::UploadBlob, Access::Push);
            let bytes = upload.blob.read(u64::MAX).await;
            let bytes =
                bytes.map_err(|source| Error::Source { attempted: Box::new(attempted), source })?;
            self.blobs.lock().unwrap().insert((to.clone(), digest), bytes);
            Ok(())
        })
    }

    fn tags<'a>(&'a self, at: &'a Repository) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let manifests = self.manifests.lock().unwrap();
        let names = manifests.keys().filter(|(own, name)| own == at && !name.contains(':'));
        Box::pin(ready(Ok(names.map(|(_, name)| name.clone()).collect())))
    }

    fn repositories<'a>(&'a self, registry: &'a str) -> BoxFuture<'a, Result<Vec<String>, Error>> {
        let manifests = self.manifests.lock().unwrap();
        let own = manifests.keys().filter(|(at, _)| at.registry == registry);
        let mut names: Vec<String> = own.map(|(at, _)| at.repository.clone()).collect();
        names.dedup();
        Box::pin(ready(Ok(names)))
    }

    fn ping<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(ready(true))
    }
}

#[tokio::test]
async fn images_are_pushed_copied_and_read_without_a_network() {
    let registry = Arc::new(InMemory::default());
    let client = Client::with_registry(RegistrySettings::default(), Arc::clone(&registry) as _);
    let image = image("amd64", &[noise(1, 3_000), noise(2, 10)]);
    let (from, to) = (reference("memory.example/team/app:1"), reference("other.example/copy:1"));
    let session = PushSession::new();
    assert!(client.ping("memory.example").await);

    let report = client.push(&image, &from, &["latest"], &session, &quiet()).await.unwrap();
    assert_eq!((report.uploaded, report.unchanged), (3, false));
    let again = client.push(&image, &from, &["latest"], &PushSession::new(), &quiet()).await;
    assert!(again.unwrap().unchanged);

    let resolved = client.resolve(&from, Platform::default()).await.unwrap();
    assert_eq!(resolved.digest, image.digest());
    let layer = resolved.image.layers[0].read(u64::MAX).await.unwrap();
    assert_eq!(layer, noise(1, 3_000));

    let copied = copy(&client, &from, &to, CopyScope::Whole, &PushSession::new()).await.unwrap();
    assert_eq!((copied.uploaded, copied.digest), (3, Some(image.digest())));
    client.verify(&to, image.digest()).await.unwrap();
    let names = client.repositories("memory.example").await.unwrap();
    assert_eq!(names, ["team/app"]);

    let at = esb_registry::repository(&from);
    assert_eq!(client.tags(&at).await.unwrap(), ["1", "latest"]);
    client.delete(&at, image.digest()).await.unwrap();
    let error = client.verify(&from, image.digest()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert_eq!(registry.manifests.lock().unwrap().len(), 2, "the copy stays");
    assert_eq!(image.manifest.media_type.as_deref(), Some(media_type::OCI_MANIFEST));
}
