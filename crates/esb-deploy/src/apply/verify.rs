//! Makes sure that every reference which will be written leads to the digest that is meant.

use esb_model::PublishTarget;
use esb_registry::KnownTag;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    deployment::Deployment,
    error::Error,
    image_names::{Target, push_reference},
    revision::Revision,
};

/// Asks the registry for each image that it has not told of in this run.
pub(crate) async fn verify(
    run: &Deployment,
    registry: Option<&PublishTarget>,
    revision: &Revision,
) -> Result<(), Error> {
    let Some(registry) = registry else { return Ok(()) };
    let (client, session) = (&run.connections.client, &run.learned.session);
    client.confirm_accepted(session).await?;
    stream::iter(&revision.images)
        .map(|image| async move {
            let tag = Target::content_tag(&image.tag, image.digest);
            let content = push_reference(&registry.image(&image.repository, &tag))?;
            let at = esb_registry::repository(&content);
            if session.tag(&at, &tag) == KnownTag::Confirmed(image.digest) {
                return Ok(()); // the registry said so when it took the manifest
            }
            client.verify(&content, image.digest).await.map_err(Error::from)
        })
        .buffer_unordered(run.jobs())
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}
