//! Records what a run built, beside the generated files, for `esb invoke`.

use std::{path::PathBuf, time::SystemTime};

use esb_model::{FormatHead, FormatVersions};
use serde_json::{Value, json};

use crate::{
    Remedy,
    deployment::Deployment,
    error::{Error, Kind},
    folders::put,
    image_names::{Target, function_of},
    made_image::MadeImage,
    project::Project,
};

/// The images of the last run.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub images: Vec<ImageRecord>,
    /// When the run ended; none where the disk does not say it.
    pub built: Option<SystemTime>,
}

/// One function's image and where it is.
#[derive(Debug, Clone)]
pub struct ImageRecord {
    pub function: String,
    /// The name in functions.yml.
    pub reference: String,
    /// The name by which this machine's engine can pull it, when a registry has it.
    pub pull: Option<String>,
    /// The layout that holds it, and its name there.
    pub layout: Option<(PathBuf, String)>,
}

/// The file's name in the folder of the environment.
pub(crate) const NAME: &str = "images.json";

/// The form of the file (docs/contracts/formats.md#files-of-a-project).
const VERSIONS: FormatVersions = FormatVersions::up_to(1);

/// The most bytes of the file that are read.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Writes the record of a run.
pub(crate) fn write(run: &Deployment, target: &Target, made: &[MadeImage]) -> Result<(), Error> {
    let mut images = Vec::new();
    for image in made {
        let Some(function) = function_of(&image.kind) else { continue };
        let digest = image.image.digest();
        let pull =
            target.pushed(&image.repository, &image.tag, digest).map(|[content, _]| content.push());
        images.push(json!({
            "function": function.logical_id,
            "reference": target.written(&image.repository, &image.tag, digest),
            "digest": digest.to_string(),
            "pull": pull,
            "layout": target.layout.as_ref().map(|dir| dir.display().to_string()),
            "name": format!("{}:{}", image.repository, image.tag),
        }));
    }
    let document = json!({"version": VERSIONS.newest(), "images": images});
    let folder = run.project.folder_at(&run.project.generated());
    put(&folder, NAME, format!("{document:#}\n").as_bytes())?;
    // The time says how old the images may be, also where the file says the same as before.
    if let Ok(file) = esb_oci::open_file(&folder.path().join(NAME)) {
        file.set_modified(SystemTime::now()).ok();
    }
    Ok(())
}

/// Reads the record of the last run of a project and environment.
pub fn read(project: &Project) -> Result<Record, Error> {
    let folder = project.folder_at(&project.generated());
    let path = folder.path().join(NAME);
    let missing = |cause: String| {
        let text = format!("nothing was built for the environment `{}`", project.environment);
        let mut failure = Error::new(Kind::Input, "invoke", text);
        failure.causes.push(format!("could not read `{}`: {cause}", path.display()));
        failure.hint(Remedy::BuildFirst)
    };
    let text = folder.read(NAME, LIMIT)?.ok_or_else(|| missing("it is not there".to_owned()))?;
    let wrong = |error: serde_json::Error| missing(error.to_string());
    let FormatHead { version } = serde_json::from_slice(&text).map_err(wrong)?;
    VERSIONS
        .check(version)
        .map_err(|version| Error::of_version(&path, version).hint(Remedy::BuildFirst))?;
    let document: Value = serde_json::from_slice(&text).map_err(wrong)?;
    let images = document["images"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let images = images.filter_map(|image| {
        Some(ImageRecord {
            function: text(&image["function"])?,
            reference: text(&image["reference"])?,
            pull: text(&image["pull"]),
            layout: text(&image["layout"]).map(PathBuf::from).zip(text(&image["name"])),
        })
    });
    let built = std::fs::metadata(&path).and_then(|found| found.modified()).ok();
    Ok(Record { images: images.collect(), built })
}
