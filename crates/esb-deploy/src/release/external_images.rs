//! The external images that image functions name.

use esb_model::{Application, EnvValue, Package, Platform};
use esb_oci::Reference;
use esb_registry::Internal;

use crate::{
    Remedy,
    deployment::Deployment,
    error::{Error, Kind},
    external::{External, ExternalState},
    image_names::Target,
    lockfile::Pinned,
    options::Prewarm,
};

/// Finds all external images, and what forbids their sync, before any work.
pub(crate) fn find(
    run: &Deployment,
    app: &Application,
    target: &Target,
) -> Result<Vec<External>, Error> {
    let mut images = Vec::new();
    // A run that publishes nothing syncs nothing, and only names where the images would go.
    let options = &run.options.registry;
    let planned = options.configured.as_ref().unwrap_or(&options.default);
    let registry = target.registry.as_ref().or((!run.options.publish).then_some(planned));
    for function in &app.functions {
        let Package::Image(package) = &function.package else { continue };
        let name = function.effective_name();
        let source = match &package.uri {
            None => continue, // built from its own Dockerfile
            Some(EnvValue::Known(uri)) => uri.clone(),
            Some(EnvValue::Secret(uri)) => uri.reveal().clone(),
            Some(EnvValue::Symbolic(symbolic)) => {
                let text = format!("the image of `{name}` is `{symbolic}`, which only AWS knows");
                return Err(Error::new(Kind::Input, "image-uri", text).hint(Remedy::GiveParameters));
            }
        };
        let reference: Reference = source.parse().map_err(|error| {
            Error::of(Kind::Input, "image-uri", &error)
                .during(format!("the image of `{name}` cannot be used"))
        })?;
        let Some(registry) = registry else {
            let text =
                format!("`{name}` is an image function, and there is no registry to sync to");
            return Err(
                Error::new(Kind::Input, "registry", text).hint(Remedy::NameInternalRegistry)
            );
        };
        let (name, target) = match esb_registry::internal_reference(&reference, registry) {
            Internal::Own(name) => (name, None),
            Internal::Copy(target) => (target.runtime(), Some(target)),
        };
        let architecture =
            run.options.platform.map_or(function.architecture(), |own| own.architecture);
        let platform = Platform { architecture };
        if run.options.publish {
            run.learned.lock.need(Pinned::External, &source, platform);
        }
        images.push(External {
            function: function.id.clone(),
            platform,
            source,
            reference,
            name,
            target,
            hooks: run.options.site.image_hooks,
            overrides: package.overrides.clone(),
            hooks_loaded_by: None,
            digest: None,
            state: ExternalState::default(),
        });
    }
    if run.options.publish
        && run.options.site.image_prewarm == Prewarm::Off
        && let Some(external) = images.iter().find(|external| external.target.is_some())
    {
        let text = format!(
            "`{}` needs the external image `{}`, and external images are not to be copied",
            external.function.logical_id, external.source
        );
        return Err(Error::new(Kind::Input, "prewarm", text).hint(Remedy::AllowSync));
    }
    Ok(images)
}
