//! Reads the `esb.lock` entries of one image for its build, and records those that the build found.
//!
//! Owns which images have a pin of their own: our bases, and functions that an engine builds. All
//! others are put together from their files, on every machine that does not know them.

use esb_image::{Builder, Pins};
use esb_model::{ImageKind, ImageRecipe};

use crate::{
    copied_source::takes_lock,
    deployment::Deployment,
    lockfile::{PinPurpose, PinnedImage},
};

/// The pins of a recipe.
pub(crate) fn of(run: &Deployment, recipe: &ImageRecipe) -> Pins {
    let made = match recipe.kind {
        ImageKind::Base(_) => PinPurpose::Base,
        ImageKind::Function(_) => PinPurpose::Steps,
    };
    let named = (&*name(recipe), recipe.platform, &*run.project.environment);
    Pins {
        image: run.learned.lock.made(made, named),
        packages: place(recipe).and_then(|place| run.learned.lock.layer_of(&place)),
    }
}

/// Notes what a build found out.
pub(crate) fn note(run: &Deployment, recipe: &ImageRecipe, builder: &dyn Builder, found: &Pins) {
    let made = match recipe.kind {
        ImageKind::Base(_) => Some(PinPurpose::Base),
        ImageKind::Function(_) => {
            (builder.name() != run.builders.embedded.name()).then_some(PinPurpose::Steps)
        }
    };
    let made = made.filter(|_| !takes_lock(recipe, &run.project.root));
    if let (Some(made), Some(pin)) = (made, found.image) {
        let image = PinnedImage::new(name(recipe), recipe.platform, &run.project.environment, pin);
        run.learned.lock.found_made(made, image);
    }
    if let (Some(place), Some(pin)) = (place(recipe), found.packages) {
        run.learned.lock.found_layer(place, pin);
    }
}

fn name(recipe: &ImageRecipe) -> String {
    format!("{}:{}", recipe.repository, recipe.tag)
}

/// Where `esb.lock` has the packages of a recipe.
fn place(recipe: &ImageRecipe) -> Option<[String; 3]> {
    let wanted = recipe.dependencies.as_ref()?;
    let requirements = wanted.requirements.display().to_string();
    Some([requirements, wanted.runtime.to_string(), wanted.platform.to_string()])
}
