//! Adds one layer to an image that others built, or changes its settings alone, without reading its
//! layers.
//!
//! Owns that image's new config and manifest. What its own layers hold is neither read nor known:
//! files go to exactly the given paths, and folders on their way get the usual attributes.

use std::collections::{BTreeMap, BTreeSet};

use esb_model::ImageOverrides;
use esb_oci::{Attributes, Blob, Descriptor, History, Image, LayerWriter, manifest::media_type};

use crate::{
    Base, Error,
    image::assemble::{self, annotations_of, label, of_base, rfc3339},
    paths,
};

/// What is added to an image and replaced in it.
#[derive(Debug, Clone, Default)]
pub struct Extension<'a> {
    /// Files of root with mode 644, by their path from the root without its slash, sorted. Without
    /// any, there is no layer more.
    pub files: Vec<(&'a str, &'a [u8])>,
    /// Variables with their new values.
    pub variables: Vec<(&'a str, &'a str)>,
    /// Labels that win over the image's.
    pub labels: BTreeMap<String, String>,
    pub overrides: ImageOverrides,
    /// The text of the history entry.
    pub created_by: &'a str,
}

/// The extended image; a function of its arguments. All of its own layers keep their digests and
/// their sources.
///
/// # Errors
/// When the image's config is not JSON.
pub fn extend(base: &Base, extension: &Extension<'_>, epoch: i64) -> Result<Image, Error> {
    let mut config = base.image.parse_config()?;
    let created = rfc3339(epoch);
    config.set_created(&created);
    label(&mut config, Some(base), &extension.labels);
    for (name, value) in &extension.variables {
        config.set_env(name, value);
    }
    let ImageOverrides { entry_point, command, working_directory } = &extension.overrides;
    for (setting, words) in [("Entrypoint", entry_point), ("Cmd", command)] {
        if let Some(words) = words {
            config.set(setting, words.clone());
        }
    }
    if let Some(folder) = working_directory {
        config.set("WorkingDir", folder.clone());
    }
    let mut descriptors: Vec<Descriptor> = base.image.manifest.layers.iter().map(of_base).collect();
    let mut layers = base.image.layers.clone();
    let history = History { created: &created, created_by: extension.created_by };
    if extension.files.is_empty() {
        config.push_empty_history(&history);
    } else {
        let (blob, diff_id) = layer(&extension.files, epoch);
        config.push_layer(diff_id, &history);
        descriptors.push(blob.descriptor.clone());
        layers.push(blob);
    }
    let config_bytes = config.to_bytes();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
    let manifest =
        assemble::manifest(config.descriptor.clone(), descriptors, annotations_of(Some(base)));
    Ok(Image::new(manifest.into(), config_bytes.into(), config, layers)?)
}

fn layer(files: &[(&str, &[u8])], epoch: i64) -> (Blob, esb_oci::Digest) {
    let written = || {
        let mut writer = LayerWriter::new(Vec::new(), epoch);
        let mut folders = BTreeSet::new();
        for (path, content) in files {
            let mut above: Vec<&str> =
                std::iter::successors(Some(paths::parent(path)), |path| Some(paths::parent(path)))
                    .take_while(|path| !path.is_empty())
                    .take(64)
                    .collect();
            above.reverse();
            for folder in above {
                if folders.insert(folder) {
                    writer.dir(folder, Attributes::root(0o755))?;
                }
            }
            let size = content.len() as u64;
            writer.file(path, Attributes::root(0o644), size, &mut &**content)?;
        }
        writer.finish()
    };
    let (bytes, digests) = written().expect("memory takes what is written to it");
    (Blob::from_bytes(media_type::OCI_LAYER_GZIP, bytes), digests.diff_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_the_image_stays_but_what_is_asked_for() {
        let mut config = esb_oci::ImageConfig::empty("amd64");
        config.set("Entrypoint", vec!["/entry"]);
        config.set_env("PATH", "/bin");
        let old = Blob::from_bytes(media_type::DOCKER_LAYER_GZIP, &b"layer"[..]);
        config.push_layer(esb_oci::Digest::of(b"x"), &History { created: "c", created_by: "b" });
        let config_bytes = config.to_bytes();
        let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
        let layers = vec![of_base(&old.descriptor)];
        let manifest = assemble::manifest(config.descriptor.clone(), layers, BTreeMap::new());
        let image =
            Image::new(manifest.into(), config_bytes.into(), config, vec![old.clone()]).unwrap();
        let base = Base { image, pullable: None, name: "r/a:1".to_owned() };
        let extension = Extension {
            files: vec![("opt/a/x", b"1"), ("opt/a/y", b"2")],
            variables: vec![("PATH", "/x:/bin"), ("NEW", "1")],
            labels: BTreeMap::from([("own".to_owned(), "yes".to_owned())]),
            overrides: ImageOverrides::default(),
            created_by: "hooks",
        };
        let made = extend(&base, &extension, 0).unwrap();
        assert_eq!(made.digest(), extend(&base, &extension, 0).unwrap().digest());
        let config = made.parse_config().unwrap();
        assert_eq!(config.list("Entrypoint"), Some(vec!["/entry"]));
        assert_eq!(config.env_entries().collect::<Vec<_>>(), ["PATH=/x:/bin", "NEW=1"]);
        assert_eq!(config.label("own"), Some("yes"));
        assert_eq!(config.label(assemble::BASE_NAME), Some("r/a:1"));
        assert_eq!(config.diff_ids().len(), 2);
        assert_eq!(made.layers[0].descriptor.digest, old.descriptor.digest);
        assert_eq!(made.manifest.layers.len(), 2);
        assert_eq!(made.manifest.layers[0].media_type, media_type::OCI_LAYER_GZIP);
        let overrides =
            ImageOverrides { command: Some(vec!["a.b".to_owned()]), ..ImageOverrides::default() };
        let extension = Extension { overrides, ..Extension::default() };
        let made = extend(&base, &extension, 0).unwrap();
        let config = made.parse_config().unwrap();
        assert_eq!(config.list("Entrypoint"), Some(vec!["/entry"]));
        assert_eq!(config.list("Cmd"), Some(vec!["a.b"]));
        assert_eq!((config.diff_ids().len(), made.layers.len()), (1, 1));
    }
}
