//! The image of `esb` itself: the program and the certificates that it trusts, built by its own
//! embedded engine, for both architectures under one name.

use std::{collections::BTreeMap, fs};

use esb_image::{BuildRequest, Builder as _, Built, EmbeddedBuilder, EmbeddedSettings};
use esb_model::{BaseRef, FunctionId, ImageKind, ImageRecipe, NullReporter, Platform, TemplateId};
use esb_oci::{ContentStore, write_layout};

use super::{build::Program, release::Release, tree::Tree};
use crate::checks::{Outcome, Trouble, chain};

/// Where Debian keeps the certificates that its users trust.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

const DOCKERFILE: &str = "FROM scratch
COPY esb /esb
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
WORKDIR /work
ENTRYPOINT [\"/esb\"]
";

/// Writes an archive that is an OCI layout with the image.
pub(super) fn write(release: &Release, programs: &[Program]) -> Outcome {
    esb_test::ensure_packages(&["ca-certificates"])?;
    let folder = release.work.join("image");
    let failed = |error: &dyn std::error::Error| Trouble::Failed(chain(error));
    let store = ContentStore::open(folder.join("store")).map_err(|error| failed(&error))?;
    let builder = EmbeddedBuilder::new(store, EmbeddedSettings::default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut images = Vec::new();
    for program in programs {
        let context = folder.join(program.target.debian);
        fs::create_dir_all(&context)?;
        fs::copy(&program.path, context.join("esb"))?;
        fs::copy(CERTIFICATES, context.join("ca-certificates.crt"))?;
        let recipe = recipe(program);
        let bases = BTreeMap::new();
        let mut request = BuildRequest::new(&recipe, &context, &bases);
        request.epoch = release.epoch.try_into().map_err(|_| "the last commit has no time")?;
        let report = runtime.block_on(builder.build(request, &NullReporter));
        match report.map_err(|error| failed(&error))?.built {
            Built::Local(image) => images.push((format!("esb:{}", release.version), *image)),
            other => return Err(format!("the embedded engine made {other:?}").into()),
        }
    }
    let layout = folder.join("layout");
    runtime.block_on(write_layout(&*layout, &images)).map_err(|error| failed(&error))?;
    let mut tree = Tree::default();
    for entry in walkdir::WalkDir::new(&layout) {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(&layout).unwrap_or(entry.path());
            tree.add(path.to_string_lossy(), 0o644, &fs::read(entry.path())?);
        }
    }
    Ok(fs::write(release.file(&name(release)), tree.to_tar(release.epoch)?)?)
}

/// The image's file.
pub(super) fn name(release: &Release) -> String {
    format!("esb-{}.oci.tar", release.version)
}

fn recipe(program: &Program) -> ImageRecipe {
    let function = FunctionId { template: TemplateId(0), logical_id: "Esb".to_owned() };
    ImageRecipe::new(
        "esb".to_owned(),
        "latest".to_owned(),
        ImageKind::Function(function),
        Platform { architecture: program.target.architecture },
        BaseRef::External { reference: "scratch".to_owned() },
        DOCKERFILE.to_owned(),
    )
    .with_folder("../recipe".into())
}
