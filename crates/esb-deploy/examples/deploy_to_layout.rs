//! Deploys a template into an OCI layout: no registry, no daemon, nothing published.
//!
//! `deploy_to_layout TEMPLATE BASES LAYOUT STORE`, where the layout BASES holds AWS's base images.

use std::{env, io, io::Write as _, path::Path, path::PathBuf, sync::Arc};

use esb_deploy::{Connections, Deployment, Destination, Error, Options, Project, TemplateInputs};
use esb_model::{Event, Reporter};
use esb_oci::ContentStore;
use esb_registry::{Client, Mirrors, RegistrySettings};

/// Writes a line for each piece of work that ends, and for each warning.
struct Lines;

impl Reporter for Lines {
    fn event(&self, event: &Event<'_>) {
        let _nobody_has_to_read_it = match event {
            Event::Finished { subject, action, .. } => writeln!(io::stderr(), "{action} {subject}"),
            Event::Warning { text } => writeln!(io::stderr(), "warning: {text}"),
            _ => Ok(()),
        };
    }
}

/// Deploys, and gives the names of the functions' images. Later runs with the same store do only
/// what changed.
pub(crate) async fn deploy([template, bases, layout, store]: [&Path; 4]) -> Result<String, Error> {
    let current = env::current_dir().unwrap_or_default();
    let project = Project::of_template(&current, template, "dev")?;
    let options = Options::default().to(Destination::Layout(Some(layout.to_owned())));
    let mut settings = RegistrySettings::default();
    settings.mirrors = Mirrors::parse([&*format!("public.ecr.aws=oci:{}", bases.display())])?;
    let connections = Connections::new(ContentStore::open_held(store)?, Client::new(settings)?);
    let deployment = Deployment::open(project, options, connections, Arc::new(Lines))?;
    let templates = deployment.load(&TemplateInputs::default())?;
    let plan = deployment.plan(templates).await?;
    let outcome = deployment.run(plan).await?;
    let images: Vec<&str> = outcome.revision.images.iter().map(|image| &*image.reference).collect();
    let images = images.join("\n");
    deployment.close(outcome)?;
    Ok(images)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let paths: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let paths = std::array::from_fn(|at| paths.get(at).map_or(Path::new(""), PathBuf::as_path));
    let _nobody_has_to_read_it = writeln!(io::stdout(), "{}", deploy(paths).await?);
    Ok(())
}
