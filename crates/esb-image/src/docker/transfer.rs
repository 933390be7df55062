//! Transfers images into an engine: by `docker load` as one stream, and by pulls of the engine
//! itself.

use std::collections::{HashMap, HashSet};

use bollard::{
    auth::DockerCredentials,
    query_parameters::{
        CreateImageOptionsBuilder, ImportImageOptionsBuilder, ListImagesOptionsBuilder,
    },
};
use esb_oci::{ArchiveImage, Blob, Credentials, Digest, Reference, docker_archive};
use futures_util::StreamExt as _;

use super::{
    DockerEngine,
    engine::{api_error, checked, split_tag},
};
use crate::{Engine as _, Error};

/// Images of the engine that are looked at for layers it has.
const LOOKED_AT: usize = 500;
/// Requests at a time.
const AT_ONCE: usize = 8;

/// Loads images in one stream, without the layers that the engine has.
pub(super) async fn load(engine: &DockerEngine, images: &[ArchiveImage]) -> Result<(), Error> {
    if images.is_empty() {
        return Ok(());
    }
    for name in images.iter().flat_map(|image| &image.names) {
        checked("load", name)?;
    }
    let present = if engine.has_containerd_store() {
        HashSet::new()
    } else {
        let chains = chains(engine).await?;
        present_layers(images, &chains)?
    };
    let loaded = send(engine, images, &present).await;
    match loaded {
        // An image may have been removed since it was looked at.
        Err(Error::Engine { .. }) if !present.is_empty() => {
            send(engine, images, &HashSet::new()).await?;
        }
        loaded => loaded?,
    }
    for name in images.iter().flat_map(|image| &image.names) {
        if engine.find(name).await?.is_none() {
            let reason = "it took the archive without an error, and has no such image".to_owned();
            return Err(Error::Engine { action: "load", subject: name.clone(), reason });
        }
    }
    Ok(())
}

async fn send(
    engine: &DockerEngine,
    images: &[ArchiveImage],
    present: &HashSet<Digest>,
) -> Result<(), Error> {
    let subject = match images {
        [one] => one.names.first().cloned().unwrap_or_default(),
        many => format!("{} images", many.len()),
    };
    let (docker, _guard) = engine.long("load")?;
    let archive = docker_archive(images, |blob| present.contains(&blob.descriptor.digest));
    let options = ImportImageOptionsBuilder::new().quiet(true).build();
    let mut answers = docker.import_image_stream(options, archive, None);
    while let Some(answer) = answers.next().await {
        answer.map_err(api_error("load", &subject))?;
    }
    Ok(())
}

/// The layers of all images of the engine, by their uncompressed digests, lowest first.
async fn chains(engine: &DockerEngine) -> Result<Vec<Vec<Digest>>, Error> {
    let options = ListImagesOptionsBuilder::new().build();
    let images = engine.docker().list_images(Some(options)).await;
    let images = images.map_err(api_error("list", "images"))?;
    let mut inspected = futures_util::stream::iter(images.into_iter().take(LOOKED_AT))
        .map(|image| async move { engine.inspect(&image.id).await })
        .buffer_unordered(AT_ONCE);
    let mut chains = Vec::new();
    while let Some(image) = inspected.next().await {
        let layers = image?.and_then(|image| image.root_fs).and_then(|root| root.layers);
        let layers = layers.unwrap_or_default();
        chains.push(layers.iter().map_while(|layer| layer.parse().ok()).collect());
    }
    Ok(chains)
}

/// The layers of `images` that need not be sent, by their compressed digests. The engine knows a
/// layer by all that lies below it, so that each image must begin as one of the engine's does.
fn present_layers(
    images: &[ArchiveImage],
    chains: &[Vec<Digest>],
) -> Result<HashSet<Digest>, Error> {
    let mut present = HashSet::new();
    let mut needed = HashSet::new();
    for ArchiveImage { image, .. } in images {
        let diff_ids = image.parse_config()?.diff_ids();
        let same = |chain: &Vec<Digest>| {
            chain.iter().zip(&diff_ids).take_while(|(has, want)| has == want).count()
        };
        let common = chains.iter().map(same).max().unwrap_or(0);
        let digest = |blob: &Blob| blob.descriptor.digest;
        present.extend(image.layers.iter().take(common).map(digest));
        needed.extend(image.layers.iter().skip(common).map(digest));
    }
    Ok(present.difference(&needed).copied().collect())
}

/// See [`DockerEngine::pull`].
pub(super) async fn pull(
    engine: &DockerEngine,
    reference: &str,
    platform: &str,
) -> Result<(), Error> {
    checked("pull", reference)?;
    let (name, tag) = match reference.split_once('@') {
        Some((name, digest)) => (split_tag(name).0, digest),
        None => split_tag(reference),
    };
    let credentials = credentials(engine, reference).await?.map(|(_, credentials)| credentials);
    let options =
        CreateImageOptionsBuilder::new().from_image(name).tag(tag).platform(platform).build();
    let (docker, _guard) = engine.long("pull")?;
    let mut answers = docker.create_image(Some(options), None, credentials);
    while let Some(answer) = answers.next().await {
        answer.map_err(api_error("pull", reference))?;
    }
    Ok(())
}

/// The digest that the registry gives the engine for a reference, without a pull; `None` when the
/// engine does not find it there.
pub(super) async fn distribution(
    engine: &DockerEngine,
    reference: &str,
) -> Result<Option<Digest>, Error> {
    checked("find", reference)?;
    let credentials = credentials(engine, reference).await?.map(|(_, credentials)| credentials);
    match engine.docker().inspect_registry_image(reference, credentials).await {
        Ok(found) => {
            let digest = found.descriptor.digest.and_then(|digest| digest.parse().ok());
            digest.map(Some).ok_or_else(|| Error::Engine {
                action: "find",
                subject: reference.to_owned(),
                reason: "it gave no digest".to_owned(),
            })
        }
        Err(bollard::errors::Error::DockerResponseServerError { status_code, message })
            if status_code == 404 || message.contains("manifest unknown") =>
        {
            Ok(None)
        }
        Err(error) => Err(api_error("find in its registry", reference)(error)),
    }
}

/// The credentials for a reference's registry, and the registry's name as the engine has it.
pub(super) async fn credentials(
    engine: &DockerEngine,
    reference: &str,
) -> Result<Option<(String, DockerCredentials)>, Error> {
    let Ok(reference) = reference.parse::<Reference>() else { return Ok(None) };
    let registry = reference.registry().to_owned();
    let failed = |reason: String| Error::Engine {
        action: "get the credentials of",
        subject: registry.clone(),
        reason,
    };
    let (source, host) = (engine.credentials().clone(), registry.clone());
    source.allow(&host);
    let found = tokio::task::spawn_blocking(move || source.ask(&host)).await;
    let found = found.map_err(|error| failed(error.to_string()))?;
    let Some(found) = found.map_err(|error| failed(error.to_string()))? else { return Ok(None) };
    let mut credentials =
        DockerCredentials { serveraddress: Some(registry.clone()), ..DockerCredentials::default() };
    match found {
        Credentials::Basic { username, password } => {
            credentials.username = Some(username);
            credentials.password = Some(password.reveal().clone());
        }
        Credentials::IdentityToken(token) => {
            credentials.identitytoken = Some(token.reveal().clone());
        }
    }
    // The name that BuildKit asks for.
    let host = if registry == "docker.io" { "registry-1.docker.io".to_owned() } else { registry };
    Ok(Some((host, credentials)))
}

/// Credentials for all of the references' registries, as a build's session answers them.
pub(super) async fn session_credentials(
    engine: &DockerEngine,
    references: &[String],
) -> Result<HashMap<String, DockerCredentials>, Error> {
    let mut all = HashMap::new();
    for reference in references {
        all.extend(credentials(engine, reference).await?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use esb_oci::{Descriptor, Image, Manifest, media_type};

    use super::*;

    fn image(layers: &[&str]) -> ArchiveImage {
        let mut config = esb_oci::ImageConfig::empty("amd64");
        let history = esb_oci::History { created: "", created_by: "" };
        for layer in layers {
            config.push_layer(Digest::of(layer.as_bytes()), &history);
        }
        let config = config.to_bytes();
        let config_blob = Blob::from_bytes(media_type::OCI_CONFIG, config.clone());
        let layers: Vec<Blob> = layers
            .iter()
            .map(|layer| Blob::from_bytes(media_type::OCI_LAYER_GZIP, format!("gz {layer}")))
            .collect();
        let manifest = Manifest {
            schema_version: 2,
            media_type: None,
            config: config_blob.descriptor.clone(),
            layers: layers
                .iter()
                .map(|layer| layer.descriptor.clone())
                .collect::<Vec<Descriptor>>(),
            annotations: std::collections::BTreeMap::new(),
        };
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let image = Image::new(manifest.into(), config.into(), config_blob, layers).unwrap();
        ArchiveImage { image, names: vec!["a:b".to_owned()] }
    }

    #[track_caller]
    fn check(images: &[&[&str]], chains: &[&[&str]], left_out: &[&str]) {
        let images: Vec<_> = images.iter().map(|layers| image(layers)).collect();
        let digests = |layers: &[&str]| layers.iter().map(|l| Digest::of(l.as_bytes())).collect();
        let chains: Vec<Vec<Digest>> = chains.iter().map(|layers| digests(layers)).collect();
        let expected: HashSet<Digest> =
            left_out.iter().map(|layer| Digest::of(format!("gz {layer}").as_bytes())).collect();
        assert_eq!(present_layers(&images, &chains).unwrap(), expected);
    }

    #[test]
    fn layers_are_left_out_only_from_the_bottom() {
        check(&[&["a", "b", "c"]], &[&["a", "x"], &["a", "b"], &["c"]], &["a", "b"]);
        check(&[&["b", "a"]], &[&["a", "b"]], &[]);
        // One of the two images needs `b`.
        check(&[&["a", "b"], &["b"]], &[&["a", "b"]], &["a"]);
    }
}
