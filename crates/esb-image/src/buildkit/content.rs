//! Serves the blobs of base images that no registry has to a daemon, through the session, as from
//! an OCI layout.
//!
//! Owns the reading half of containerd's content service, which the generated protocols lack.
//! Refuses every blob that is not of a base of the session, and all that would write.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fmt,
    fs::File,
    os::unix::fs::FileExt as _,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use esb_oci::{Blob, BoxFuture, ContentStore, Digest, Image};
use futures_util::stream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use crate::daemon::chain;

/// What a daemon calls: the size of a blob, and a part of one.
pub(super) const INFO: &str = "/containerd.services.content.v1.Content/Info";
pub(super) const READ: &str = "/containerd.services.content.v1.Content/Read";

/// Bytes of a blob that travel at a time.
const BLOCK: u64 = 256 * 1024;

/// The blobs that a daemon may read. Clones share them.
#[derive(Clone)]
pub(super) struct Contents {
    store: ContentStore,
    blobs: Arc<Mutex<HashMap<Digest, Blob>>>,
    /// Blobs of the store that were read and are right; daemons read a blob in parts.
    checked: Arc<Mutex<HashSet<Digest>>>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contents")
    }
}

impl Contents {
    /// Blobs that are not at hand are fetched into `store` when they are asked for.
    pub(super) fn new(store: ContentStore) -> Self {
        Self { store, blobs: Arc::default(), checked: Arc::default() }
    }

    /// Lets daemons read an image.
    pub(super) fn offer(&self, image: &Image) {
        let manifest = Blob::from_bytes(&image.descriptor.media_type, image.manifest_bytes.clone());
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        for blob in [&manifest, &image.config].into_iter().chain(&image.layers) {
            blobs.insert(blob.descriptor.digest, blob.clone());
        }
    }

    fn blob(&self, digest: &str) -> Result<Blob, Status> {
        let digest: Digest =
            digest.parse().map_err(|_| Status::invalid_argument("this is not a digest"))?;
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        blobs.get(&digest).cloned().ok_or_else(|| Status::not_found("there is no such blob"))
    }

    /// The blob as a file of the store.
    async fn open(&self, blob: &Blob) -> Result<File, Status> {
        let failed = |error: &dyn std::error::Error| Status::unavailable(chain(error));
        let digest = blob.descriptor.digest;
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_checked = checked().contains(&digest);
        if !is_checked {
            self.store.ingest_checked(blob).await.map_err(|error| failed(&error))?;
            checked().insert(digest);
        }
        esb_oci::open_file(&self.store.blob_path(digest)).map_err(|error| failed(&error))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct InfoRequest {
    #[prost(string, tag = "1")]
    digest: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct InfoResponse {
    #[prost(message, optional, tag = "1")]
    info: Option<Info>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Info {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(int64, tag = "2")]
    size: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadRequest {
    #[prost(string, tag = "1")]
    digest: String,
    #[prost(int64, tag = "2")]
    offset: i64,
    /// All that is left without one.
    #[prost(int64, tag = "3")]
    size: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadResponse {
    #[prost(int64, tag = "1")]
    offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

struct Infos(Contents);

impl UnaryService<InfoRequest> for Infos {
    type Response = InfoResponse;
    type Future = BoxFuture<'static, Result<Response<InfoResponse>, Status>>;

    fn call(&mut self, request: Request<InfoRequest>) -> Self::Future {
        let found = self.0.blob(&request.get_ref().digest);
        Box::pin(async move {
            let descriptor = found?.descriptor;
            let size = i64::try_from(descriptor.size).unwrap_or(i64::MAX);
            let info = Info { digest: descriptor.digest.to_string(), size };
            Ok(Response::new(InfoResponse { info: Some(info) }))
        })
    }
}

struct Reads(Contents);

type Parts = stream::BoxStream<'static, Result<ReadResponse, Status>>;

impl ServerStreamingService<ReadRequest> for Reads {
    type Response = ReadResponse;
    type ResponseStream = Parts;
    type Future = BoxFuture<'static, Result<Response<Parts>, Status>>;

    fn call(&mut self, request: Request<ReadRequest>) -> Self::Future {
        let contents = self.0.clone();
        Box::pin(async move {
            let request = request.into_inner();
            let blob = contents.blob(&request.digest)?;
            let (start, end) = part(blob.descriptor.size, request.offset, request.size);
            let file = contents.open(&blob).await?;
            let parts = stream::try_unfold((file, start), move |(file, at)| async move {
                let length = BLOCK.min(end - at);
                if length == 0 {
                    return Ok(None);
                }
                // A block of the page cache: as cheap as to hand it to another thread.
                let mut data = vec![0; usize::try_from(length).expect("a block is small")];
                file.read_exact_at(&mut data, at)
                    .map_err(|error| Status::unavailable(error.to_string()))?;
                let offset = i64::try_from(at).unwrap_or(i64::MAX);
                Ok(Some((ReadResponse { offset, data }, (file, at + length))))
            });
            Ok(Response::new(Box::pin(parts) as Parts))
        })
    }
}

/// Where a part of a blob starts and ends, as far as the blob has it.
fn part(whole: u64, offset: i64, size: i64) -> (u64, u64) {
    let start = u64::try_from(offset).unwrap_or(0).min(whole);
    match u64::try_from(size) {
        Ok(size @ 1..) => (start, start.saturating_add(size).min(whole)),
        _ => (start, whole),
    }
}

/// The service, as a session serves it.
#[derive(Debug, Clone)]
pub(super) struct ContentServer(pub(super) Contents);

impl NamedService for ContentServer {
    const NAME: &'static str = "containerd.services.content.v1.Content";
}

impl Service<http::Request<Body>> for ContentServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let contents = self.0.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                INFO => Grpc::new(ProstCodec::default()).unary(Infos(contents), request).await,
                READ => {
                    Grpc::new(ProstCodec::default())
                        .server_streaming(Reads(contents), request)
                        .await
                }
                _ => Status::unimplemented("a base is read and nothing else").into_http(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_inside_a_blob() {
        for (offset, size, expected) in [
            (0, 0, (0, 10)),
            (3, 0, (3, 10)),
            (3, 4, (3, 7)),
            (8, 4, (8, 10)),
            (12, 4, (10, 10)),
            (-1, -1, (0, 10)),
            (1, i64::MAX, (1, 10)),
        ] {
            assert_eq!(part(10, offset, size), expected, "{offset} {size}");
        }
    }

    #[test]
    fn only_blobs_of_bases_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let other = store.put(b"another blob of the store").unwrap();
        let contents = Contents::new(store);
        assert_eq!(contents.blob(&other.to_string()).unwrap_err().code(), tonic::Code::NotFound);
        let wrong = contents.blob("../../etc/passwd").unwrap_err();
        assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    }
}
