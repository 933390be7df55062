//! Builds an image that the daemon exports instead of pushing it.
//!
//! Owns the session of its own that such a build has, and the reading of what arrives in it.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::Exporter;
use esb_model::Reporter;
use futures_util::stream;
use tokio::sync::mpsc;

use crate::buildkit::fleet::{BuildOutput, Inner, request::attributes, sent};
use crate::{
    BuildRequest, Error,
    buildkit::{
        failure::SolveError,
        node::Link,
        session::{Session, SharedTree},
        solve::solve,
    },
    daemon::{
        archive::{self, ExportOptions, Normalization},
        job::Job,
        pipe::read_blocking,
        progress::Progress,
    },
    image::assemble,
};

impl Inner {
    /// Builds with a session of its own, in which the image comes back.
    pub(super) async fn build_and_export(
        &self,
        link: &Link,
        request: BuildRequest<'_>,
        job: &Arc<Job>,
        show: impl FnOnce(&Session) -> (SharedTree, SharedTree),
        progress: &mut Progress<'_>,
        reporter: &dyn Reporter,
    ) -> Result<Result<BuildOutput, SolveError>, Error> {
        let (archive, mut pieces) = mpsc::channel(8);
        let session = Session::open(link.channel.clone(), &self.config, Some(archive)).await;
        let session = match session {
            Ok(session) => session,
            Err(status) => return Ok(Err(SolveError::of(&status, None))),
        };
        let shown = show(&session);
        let exporter = Exporter { r#type: "docker".to_owned(), attrs: attributes(job) };
        let solve_request = self.solve_request(request, job, &session, &shown, exporter);
        let base = job.rewrite.last_base().and_then(|name| job.bases.get(name)).cloned();
        let options = ExportOptions {
            known: Arc::new(job.known_layers()?),
            base,
            mark: Some((job.names.clone(), job.parts.key())),
            normal: Some(Normalization {
                epoch: job.epoch,
                created: assemble::rfc3339(job.epoch),
                prefix: String::new(),
            }),
        };
        let (store, reference) = (self.store.clone(), job.image.clone());
        let read = read_blocking(stream::poll_fn(move |cx| pieces.poll_recv(cx)), move |reader| {
            let wanted = vec![(reference.clone(), options)];
            let mut images = archive::read(store, reference, wanted, reader)?;
            Ok::<_, Error>(images.pop().expect("each image that is wanted is given"))
        });
        let build = async {
            let answer = solve(link, solve_request, progress).await;
            let fetched = sent(&shown, &job.image, reporter);
            drop((shown, session)); // nothing more comes
            fetched.map(|()| answer)
        };
        let (answer, read) = tokio::join!(build, read);
        if let Err(failed) = answer? {
            return Ok(Err(failed));
        }
        let read = read.map_err(|source| Error::Io {
            action: "read the archive of",
            path: job.image.clone().into(),
            source,
        })?;
        Ok(Ok(BuildOutput::Exported(Box::new(read?))))
    }
}
