//! Images whose blobs must not be read.

use std::sync::Arc;

use esb_oci::{BlobError, BlobSource, BlobStream, BoxFuture, Descriptor, Image};

/// A place whose blobs must not be read.
#[derive(Debug)]
pub(crate) struct Forbidden;

impl BlobSource for Forbidden {
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, BlobError>> {
        let missing = BlobError::Missing { digest: blob.digest, place: "a forbidden place".into() };
        Box::pin(async move { Err(missing) })
    }
}

/// The same image, the lowest `count` layers of which must not be read.
pub(crate) fn without_reading(mut image: Image, count: usize) -> Image {
    for layer in image.layers.iter_mut().take(count) {
        layer.source = Arc::new(Forbidden);
    }
    image
}
