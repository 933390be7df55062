//! External images of image functions: where they come from, and their way into the internal
//! registry (contracts, section 10.7).

use std::time::{Duration, Instant};

use esb_model::{EnvValue, FunctionId, ImageRef, Package, Platform};
use esb_oci::{Digest, Reference};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    Order,
    images::push_reference,
    run::{Run, registry_failure},
    target::Target,
};
use crate::{
    cli::Prewarm,
    exit::{Exit, Failure},
    load::Loaded,
    lockfile::Pinned,
};

/// An image function and its image.
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) function: FunctionId,
    pub(crate) platform: Platform,
    /// As in the template.
    pub(crate) source: String,
    /// Where it goes; none when it lies in the internal registry already.
    pub(crate) target: Option<ImageRef>,
    /// The platform's own manifest, once resolved.
    pub(crate) digest: Option<Digest>,
    /// What its copy took, once it is made.
    pub(crate) synced: Option<Synced>,
}

/// How a copy went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synced {
    pub(crate) bytes: u64,
    /// Whether the internal registry had it all.
    pub(crate) unchanged: bool,
    pub(crate) time: Duration,
}

/// Finds all external images, and what forbids their sync, before any work.
pub(crate) fn plan(
    run: &Run,
    loaded: &Loaded,
    target: &Target,
    order: &Order<'_>,
) -> Result<Vec<External>, Failure> {
    let mut externals = Vec::new();
    for function in &loaded.app.functions {
        let Package::Image(package) = &function.package else { continue };
        let name = function.effective_name();
        let source = match &package.uri {
            None => continue, // built from its own Dockerfile
            Some(EnvValue::Known(uri)) => uri.clone(),
            Some(EnvValue::Secret(uri)) => uri.reveal().clone(),
            Some(EnvValue::Symbolic(symbolic)) => {
                let text = format!("the image of `{name}` is `{symbolic}`, which only AWS knows");
                return Err(Failure::new(Exit::Input, "image-uri", text)
                    .hint("give the parameters that it depends on with `--parameter`"));
            }
        };
        let reference: Reference = source.parse().map_err(|error| {
            Failure::of(Exit::Input, "image-uri", &error)
                .during(format!("the image of `{name}` cannot be used"))
        })?;
        let Some(registry) = &target.registry else {
            let text =
                format!("`{name}` is an image function, and there is no registry to sync to");
            return Err(Failure::new(Exit::Input, "registry", text)
                .hint("name the internal registry with `--registry HOST[:PORT]`"));
        };
        let architecture = run.platform.map_or(function.architecture(), |own| own.architecture);
        let platform = Platform { architecture };
        if order.publishes() {
            run.lock.need(Pinned::External, &source, platform);
        }
        externals.push(External {
            function: function.id.clone(),
            platform,
            source,
            target: esb_registry::internal_reference(&reference, registry),
            digest: None,
            synced: None,
        });
    }
    if order.publishes()
        && order.prewarm() == Prewarm::Off
        && let Some(external) = externals.iter().find(|external| external.target.is_some())
    {
        let text = format!(
            "`--image-prewarm=off`, but `{}` needs the external image `{}`",
            external.function.logical_id, external.source
        );
        return Err(Failure::new(Exit::Input, "prewarm", text)
            .hint("leave the flag out, so that the image is synced into the internal registry"));
    }
    Ok(externals)
}

/// Copies the platform's own manifest of every external image, registry to registry.
pub(crate) async fn copy(run: &Run, externals: &mut [External]) -> Result<(), Failure> {
    stream::iter(externals.iter_mut())
        .map(|external| async move {
            let start = Instant::now();
            let doing = format!("could not sync `{}`", external.source);
            let resolved = run
                .resolve(Pinned::External, &external.source, external.platform)
                .await
                .map_err(|error| error.during(&doing))?;
            if let Some(target) = &external.target {
                let target = push_reference(target)?;
                let (session, events) = (&run.session, run.events());
                let pushed = run.client.push(&resolved.image, &target, &[], session, &events);
                let report =
                    pushed.await.map_err(|error| registry_failure(&error).during(&doing))?;
                external.synced = Some(Synced {
                    bytes: report.uploaded_bytes,
                    unchanged: report.unchanged,
                    time: start.elapsed(),
                });
            }
            external.digest = Some(resolved.image.digest());
            Ok::<_, Failure>(())
        })
        .buffer_unordered(run.jobs)
        .try_collect::<Vec<()>>()
        .await?;
    run.lock.write()
}
