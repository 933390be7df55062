//! What `esb.lock` has of an image that takes work to know, for its build and from it.
//!
//! Owns which images have a pin of their own: our bases, and functions that an engine builds. All
//! others are put together from their files, on every machine that does not know them.

use esb_image::{Builder, Pins};
use esb_model::{ImageKind, ImageRecipe};

use super::run::Run;
use crate::lockfile::{Made, MadeImage};

/// The pins of a recipe.
pub(super) fn of(run: &Run, recipe: &ImageRecipe) -> Pins {
    let made = match recipe.kind {
        ImageKind::Base(_) => Made::Base,
        ImageKind::Function(_) => Made::Steps,
    };
    let named = (&*name(recipe), recipe.platform, &*run.project.environment);
    Pins {
        image: run.lock.made(made, named),
        packages: place(recipe).and_then(|place| run.lock.layer_of(&place)),
    }
}

/// Notes what a build found out.
pub(super) fn note(run: &Run, recipe: &ImageRecipe, builder: &dyn Builder, found: &Pins) {
    let made = match recipe.kind {
        ImageKind::Base(_) => Some(Made::Base),
        ImageKind::Function(_) => (builder.name() != run.embedded.name()).then_some(Made::Steps),
    };
    if let (Some(made), Some(pin)) = (made, found.image) {
        let image = MadeImage::new(name(recipe), recipe.platform, &run.project.environment, pin);
        run.lock.found_made(made, image);
    }
    if let (Some(place), Some(pin)) = (place(recipe), found.packages) {
        run.lock.found_layer(place, pin);
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
