//! What a run does for a fleet of `BuildKit` daemons: makes bases available to them, assigns
//! functions to them, and checks what they report as pushed.

use std::collections::BTreeMap;

use esb_image::BuildRequest;
use esb_model::{ImageRecipe, ImageRef};
use esb_oci::{Digest, Image, Reference};

use crate::{
    deployment::Deployment,
    error::{Error, Kind},
    image_names::{Target, push_reference},
    options::BuilderChoice,
    release::{
        bases::{self, Bases, BuildInputs},
        inputs,
    },
};

/// Whether the fleet builds a recipe.
fn is_ours(run: &Deployment, recipe: &ImageRecipe) -> bool {
    run.may_use_fleet() && run.engine_for(recipe).0 == BuilderChoice::Buildkit
}

/// Makes sure that the fleet answers when it is needed, and pushes bases that lie in no registry to
/// the one that images go to, for that is where daemons pull from.
pub(crate) async fn prepare(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
    sources: &mut Bases,
) -> Result<(), Error> {
    for recipe in recipes.iter().filter(|recipe| is_ours(run, recipe)) {
        run.fleet(target).await?;
        let Some(registry) = &target.registry else { continue };
        for name in bases::of_recipe(recipe)? {
            let known = sources.get_mut(&recipe.platform).and_then(|known| known.get_mut(&name));
            let Some(base) = known.filter(|base| base.pullable.is_none()) else { continue };
            let wanted: Reference =
                name.parse().map_err(|error| Error::of(Kind::Input, "reference", &error))?;
            let slug = run.project.brand.slug();
            let repository = format!("{slug}-bases/{}", wanted.repository());
            let digest = base.image.digest();
            let image = registry.image(&repository, &digest.short());
            let reference = push_reference(&image)?;
            base.image.read_config().await?;
            let pushed = run
                .connections
                .client
                .push(&base.image, &reference, &[], &run.learned.session, &run.events())
                .await;
            pushed.map_err(|error| Error::from(&error))?;
            base.pullable = Some(format!("{}/{}@{digest}", image.push_host, image.repository));
        }
    }
    Ok(())
}

/// Gives each function that the fleet builds a daemon, and names it, by the images' repositories.
pub(crate) async fn place(
    run: &Deployment,
    target: &Target,
    recipes: &[ImageRecipe],
    bases: &Bases,
) -> Result<BTreeMap<String, String>, Error> {
    let ours: Vec<&ImageRecipe> =
        inputs::of_kind(recipes, false).filter(|recipe| is_ours(run, recipe)).collect();
    if ours.is_empty() {
        return Ok(BTreeMap::new());
    }
    let inputs: Vec<BuildInputs<'_>> =
        ours.iter().map(|recipe| BuildInputs::new(run, target, recipe)).collect();
    let requests: Vec<BuildRequest<'_>> =
        inputs.iter().map(|inputs| inputs.request(bases)).collect();
    let daemons = run.fleet(target).await?.place(&requests).await;
    Ok(ours.iter().map(|recipe| recipe.repository.clone()).zip(daemons).collect())
}

/// The image that a daemon says it pushed, as the registry has it.
pub(crate) async fn pushed(
    run: &Deployment,
    recipe: &ImageRecipe,
    reference: &ImageRef,
    digest: Digest,
) -> Result<Image, Error> {
    let reference = push_reference(reference)?.pinned(digest);
    let failed = |error: &esb_registry::Error| {
        Error::from(error).during(format!("a daemon pushed `{reference}`, and it is not there"))
    };
    run.connections.client.verify(&reference, digest).await.map_err(|error| failed(&error))?;
    let found = run.connections.client.resolve(&reference, recipe.platform).await;
    Ok(found.map_err(|error| failed(&error))?.image)
}
