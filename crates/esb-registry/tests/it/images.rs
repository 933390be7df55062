//! Small images, clients and registries for tests.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use esb_model::{NullReporter, Reporter};
use esb_oci::{
    Blob, CredentialError, CredentialSource, Credentials, Descriptor, Digest, History, Image,
    ImageConfig, Index, Manifest, Reference,
    manifest::{PlatformSpec, media_type},
};
use esb_registry::{
    Client, CopyScope, Error, Journal, PushReport, PushSession, RegistrySettings, RetryPolicy,
    SyncItem,
};
use esb_test::Registry;

/// An image with layers of these contents.
pub(crate) fn image(architecture: &str, layers: &[Vec<u8>]) -> Image {
    let mut config = ImageConfig::empty(architecture);
    let mut blobs = Vec::new();
    for layer in layers {
        let history = History { created: "1980-01-01T00:00:00Z", created_by: "test" };
        config.push_layer(Digest::of(layer), &history);
        blobs.push(Blob::from_bytes(media_type::OCI_LAYER_GZIP, layer.clone()));
    }
    let config_bytes = config.to_bytes();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config.descriptor.clone(),
        layers: blobs.iter().map(|blob| blob.descriptor.clone()).collect(),
        annotations: std::collections::BTreeMap::default(),
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    Image::new(bytes.into(), config_bytes.into(), config, blobs).unwrap()
}

/// Bytes that no two seeds share and no compressor shrinks.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An index of images.
pub(crate) fn index(images: &[(&str, &Image)]) -> Vec<u8> {
    let entry = |(architecture, image): &(&str, &Image)| Descriptor {
        platform: Some(PlatformSpec {
            architecture: (*architecture).to_owned(),
            os: "linux".to_owned(),
            variant: None,
        }),
        ..image.descriptor.clone()
    };
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: images.iter().map(entry).collect(),
        annotations: std::collections::BTreeMap::default(),
    };
    serde_json::to_vec(&index).unwrap()
}

pub(crate) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

pub(crate) fn quiet() -> Arc<dyn Reporter> {
    Arc::new(NullReporter)
}

/// Settings that do not make a test wait.
pub(crate) fn settings() -> RegistrySettings {
    let retry = RetryPolicy {
        base: Duration::from_millis(1),
        cap: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    RegistrySettings::default().with_retry(retry)
}

pub(crate) fn client() -> Client {
    Client::new(settings()).unwrap()
}

/// Syncs one image.
pub(crate) async fn copy(
    client: &Client,
    source: &Reference,
    target: &Reference,
    scope: CopyScope,
    session: &PushSession,
) -> Result<PushReport, Error> {
    let item = SyncItem { source: source.clone(), target: target.clone(), scope, expected: None };
    let plan = client.plan_sync(vec![item], 1, &Journal::default()).await;
    let mut synced = client.sync(plan, 1, false, session, &quiet()).await;
    synced.images.remove(0).report.unwrap()
}

/// Always the same credentials; counts how often it was asked.
#[derive(Debug)]
pub(crate) struct Fixed {
    pub(crate) credentials: Credentials,
    pub(crate) asked: AtomicUsize,
}

impl Fixed {
    pub(crate) fn basic(password: &str) -> Arc<Self> {
        Self::new(Credentials::basic("user", password))
    }

    pub(crate) fn new(credentials: Credentials) -> Arc<Self> {
        Arc::new(Self { credentials, asked: AtomicUsize::new(0) })
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl CredentialSource for Fixed {
    fn credentials(&self, _: &str) -> Result<Option<Credentials>, CredentialError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Some(self.credentials.clone()))
    }
}

/// Debian's registry; `None` where this machine has none, and the test is skipped.
pub(crate) fn real_registry(folder: &Path) -> Option<Registry> {
    esb_test::or_skip(Registry::start(folder))
}
