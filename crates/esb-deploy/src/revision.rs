//! What a release made and a site needs: one plain value that can be kept and carried elsewhere.
//!
//! It has no template in it, and nothing that only the machine that built knows.

use std::collections::{BTreeMap, BTreeSet};

use esb_config::{ConfigFile, Owner, PublishedConfig, Rendered, RunOwners};
use esb_model::{FormatVersions, ImageKind};
use esb_oci::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::{external::External, image_names::Target, made_image::MadeImage};

/// The form of the value (docs/contracts/formats.md#revisions).
const VERSIONS: FormatVersions = FormatVersions::up_to(1);

/// Everything that a site needs of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Revision {
    /// The form of this value; a newer one than this crate knows is not read.
    #[serde(deserialize_with = "read_version")]
    version: u32,
    /// The environment that it was made for.
    pub environment: String,
    /// The configuration of functions, routes, resources and external images, with the owner of
    /// each entry and the digest behind each function's image.
    #[serde(serialize_with = "write_files", deserialize_with = "read_files")]
    pub config: PublishedConfig,
    /// The images that the release built, of functions alone.
    pub images: Vec<FunctionImage>,
    /// The images of the outside world that functions need.
    pub external_images: Vec<ExternalImage>,
    /// The owners of what is published: an entry of theirs that is not in the configuration any
    /// more is removed.
    pub owners: BTreeSet<Owner>,
    /// What tells the project from others whose application has the same name.
    pub project: Option<String>,
    /// Names of applications that other projects may have by chance.
    pub common_names: BTreeSet<String>,
}

/// The image of a function that the release built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionImage {
    /// As functions.yml names it.
    pub reference: String,
    /// Its name in a registry, without host and prefix.
    pub repository: String,
    /// Its plain tag.
    pub tag: String,
    /// `linux/amd64` or `linux/arm64`.
    pub platform: String,
    /// Of its manifest.
    pub digest: Digest,
}

/// An image of the outside world that a function needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExternalImage {
    /// The function's name in functions.yml.
    pub function: String,
    /// Where it comes from, as the template names it.
    pub source: String,
    /// As functions.yml names it.
    pub reference: String,
    /// Its repository and tag in the internal registry; none when it lies there already.
    pub copied_to: Option<(String, String)>,
    /// `linux/amd64` or `linux/arm64`.
    pub platform: String,
    /// Whether it gets the platform's hooks on its way.
    pub hooks: bool,
    /// Of its manifest, once that is known.
    pub digest: Option<Digest>,
}

impl Revision {
    /// What a release comes to. `names` are those of the functions of `externals`.
    pub(crate) fn new(
        environment: &str,
        rendered: Rendered,
        owners: RunOwners,
        (images, target): (&[MadeImage], &Target),
        externals: impl Iterator<Item = (String, External)>,
    ) -> Self {
        let functions = images.iter().filter(|made| matches!(made.kind, ImageKind::Function(_)));
        let image = |made: &MadeImage| FunctionImage {
            reference: target.written(&made.repository, &made.tag, made.image.digest()),
            repository: made.repository.clone(),
            tag: made.tag.clone(),
            platform: made.platform.to_string(),
            digest: made.image.digest(),
        };
        let external = |(function, external): (String, External)| ExternalImage {
            function,
            source: external.source,
            reference: external.name,
            copied_to: external.target.map(|target| (target.repository, target.tag)),
            platform: external.platform.to_string(),
            hooks: external.hooks,
            digest: external.digest,
        };
        Self {
            version: VERSIONS.newest(),
            environment: environment.to_owned(),
            config: PublishedConfig { config: rendered.config, state: rendered.state },
            images: functions.map(image).collect(),
            external_images: externals.map(external).collect(),
            owners: owners.owners,
            project: owners.project,
            common_names: owners.common_names,
        }
    }

    /// Notes what external images turned out to be when they were copied, in their order.
    pub(crate) fn note_digests(&mut self, digests: impl Iterator<Item = Option<Digest>>) {
        for (external, digest) in self.external_images.iter_mut().zip(digests) {
            let Some(digest) = digest.filter(|digest| external.digest != Some(*digest)) else {
                continue;
            };
            external.digest = Some(digest);
            let PublishedConfig { config, state } = &mut self.config;
            if let Some(known) = state.digests.get_mut(&external.function) {
                *known = digest.to_string();
            }
            let mut imports = config.images.images.iter_mut();
            if let Some(entry) = imports.find(|entry| entry.function_name == external.function) {
                entry.digest = Some(digest.to_string());
            }
        }
    }

    /// The configuration, as it is merged with what is published.
    pub(crate) fn rendered(&self) -> Rendered {
        let PublishedConfig { config, state } = self.config.clone();
        Rendered { config, state, findings: Vec::new() }
    }

    /// For whom the revision is published.
    pub(crate) fn run_owners(&self, adopt: bool) -> RunOwners {
        RunOwners {
            owners: self.owners.clone(),
            adopt,
            project: self.project.clone(),
            common_names: self.common_names.clone(),
            former: BTreeSet::new(),
        }
    }
}

/// The texts of the files, by name.
fn write_files<S: Serializer>(config: &PublishedConfig, serializer: S) -> Result<S::Ok, S::Error> {
    let text = |file: ConfigFile| match file {
        ConfigFile::State => Ok(config.state.to_json()),
        file => config.config.text(file).ok_or_else(|| ser::Error::custom("a file has no text")),
    };
    let files = ConfigFile::GENERATED.into_iter().chain([ConfigFile::State]);
    let texts: Result<BTreeMap<&str, String>, S::Error> =
        files.map(|file| Ok((file.name(), text(file)?))).collect();
    texts?.serialize(serializer)
}

fn read_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    let checked = VERSIONS.check(version);
    checked.map_err(|error| de::Error::custom(format_args!("the revision {error}")))?;
    Ok(version)
}

fn read_files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublishedConfig, D::Error> {
    let mut texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    PublishedConfig::parse(|file| Ok(texts.remove(file.name()).map(|text| (file.name(), text))))
        .map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use esb_model::{Application, EnvValue, SourceMap, TemplateId};

    use super::*;

    const TEMPLATE: &str = r#"
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      PackageType: Image
      ImageUri: ghcr.io/a/b:1
      ReservedConcurrentExecutions: 2
      Environment: {Variables: {A: 'yes', B: '${C} $$ "q"', N: '0123', E: ''}}
      Events:
        Api: {Type: Api, Properties: {Path: '/a/{id}', Method: get}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(1 minute)}}
  Orders:
    Type: AWS::Serverless::SimpleTable
  Files:
    Type: AWS::S3::Bucket
"#;

    fn app() -> Application {
        let (mut sources, options) = (SourceMap::default(), esb_sam::Options::default());
        let loader = &esb_sam::NoLoader;
        let parsed =
            esb_sam::parse(&mut sources, TemplateId(0), "t.yaml", TEMPLATE, &options, loader);
        let app = parsed.application;
        let known = |value: &EnvValue| matches!(value, EnvValue::Known(_));
        assert!(app.functions[0].environment.values().all(known));
        app
    }

    fn revision() -> Revision {
        let app = app();
        let image = esb_config::PublishedImage {
            reference: "r:5010/ghcr.io/a/b:1".to_owned(),
            digest: String::new(),
            import: Some(esb_config::ImportedImage {
                source: "ghcr.io/a/b:1".to_owned(),
                image_ref: "r:5010/ghcr.io/a/b:1".to_owned(),
            }),
            hooks_loaded_by: None,
        };
        let images = [(app.functions[0].id.clone(), image)].into();
        let owner = Owner::new("shop", "t.yaml");
        let settings =
            esb_config::RenderSettings { owners: vec![owner.clone()], ..Default::default() };
        let rendered = esb_config::render(&app, &images, &settings);
        Revision {
            version: VERSIONS.newest(),
            environment: "dev".to_owned(),
            config: PublishedConfig { config: rendered.config, state: rendered.state },
            images: Vec::new(),
            external_images: vec![ExternalImage {
                function: "Hello".to_owned(),
                source: "ghcr.io/a/b:1".to_owned(),
                reference: "r:5010/ghcr.io/a/b:1".to_owned(),
                copied_to: Some(("ghcr.io/a/b".to_owned(), "1".to_owned())),
                platform: "linux/amd64".to_owned(),
                hooks: false,
                digest: None,
            }],
            owners: [owner].into(),
            project: Some("shop-1".to_owned()),
            common_names: BTreeSet::new(),
        }
    }

    #[test]
    fn a_revision_is_the_same_after_it_was_written_and_read() {
        let mut revision = revision();
        assert!(!revision.config.config.routing.routes.is_empty());
        revision.note_digests([Some(Digest::of(b"image"))].into_iter());
        let text = serde_json::to_string_pretty(&revision).unwrap();
        let read: Revision = serde_json::from_str(&text).unwrap();
        assert_eq!(read, revision);
        let mut broken: serde_json::Value = serde_json::from_str(&text).unwrap();
        broken["config"]["functions.yml"] = "[".into();
        assert!(serde_json::from_value::<Revision>(broken).is_err());
        for (version, told) in
            [("2", "reads version 1"), ("0", "version 0"), ("\"1\"", "expected u32")]
        {
            let other = text.replacen("\"version\": 1", &format!("\"version\": {version}"), 1);
            let error = serde_json::from_str::<Revision>(&other).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_digest_that_is_known_late_stands_everywhere() {
        let mut revision = revision();
        let digest = Digest::of(b"image");
        revision.note_digests([Some(digest)].into_iter());
        let text = digest.to_string();
        assert_eq!(revision.config.state.digests["Hello"], text);
        assert_eq!(revision.config.config.images.images[0].digest.as_deref(), Some(&*text));
        assert_eq!(revision.external_images[0].digest, Some(digest));
    }
}
