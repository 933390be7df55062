//! `esb image fetch`: fetches the images that a site without a network needs.

use std::{collections::BTreeSet, path::Path};

use esb_deploy::{Deployment, Error, Fetched, FetchedSite, Kind, Options, fetch, wheelhouse};

use crate::{
    cli::{FetchArgs, GlobalArgs},
    connections,
    documents::{FetchDocument, FetchedImage},
    environment::Environment,
    exit_code::CliError,
    inputs::{self, RegistryFlags},
    interruption, loading,
    printer::Printer,
    reporter::{TerminalReporter, bytes},
    tables,
};

pub(crate) async fn run(
    args: &FetchArgs,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    let dir = folder(&args.to)?;
    let project = inputs::project(global, &args.template, environment)?;
    let mode = inputs::mode_of_environment(environment)?;
    let flags =
        RegistryFlags { insecure: &args.access.registry_insecure, ..RegistryFlags::default() };
    let mut options = Options::default();
    options.mode = mode;
    options.registry = inputs::registry_names(flags, environment, mode.unwrap_or_default())?;
    options.applications = inputs::applications(&project, environment)?;
    options.tag = inputs::tag(None, environment)?;
    options.platform = inputs::platform(args.platform.as_deref(), environment)?;
    options.jobs = args.jobs;
    options.lock = inputs::lock_use(args.lock);
    options.dry_run = true;
    let mut connections =
        connections::connections(&args.access, &options.registry, &project, environment, printer)?;
    connections.tools = connections::tools(&project, environment);
    if args.access.offline {
        connections.tools.offline = Some(connections::wheelhouses(&connections, &project));
    }
    let reporter = TerminalReporter::new(printer);
    let deployment = Deployment::open(project, options, connections, reporter)?;
    let templates = loading::load_templates(&deployment, &args.template, environment)?;
    loading::check(&templates.loaded, printer)?;
    interruption::leaves("the folder may be incomplete: run the command again");
    let fetched = fetch(&deployment, &templates, dir).await?;
    report(&fetched, dir, printer);
    Ok(())
}

/// Prints what was fetched, what could not be, and how it is used.
fn report(fetched: &FetchedSite, dir: &Path, printer: Printer) {
    let FetchedSite { images: fetched, wheels } = fetched;
    for reason in &wheels.missing {
        printer.warning(&format!(
            "{reason}; a deploy with `--offline` cannot install it, unless a wheel is put into `{}`",
            wheelhouse(dir).display()
        ));
    }
    let mirrors: Vec<String> = registries(fetched)
        .into_iter()
        .map(|registry| format!("{registry}=oci:{}", dir.display()))
        .collect();
    if printer.json {
        let images = fetched.iter().map(|image| FetchedImage {
            source: image.source.clone(),
            platform: image.platform.to_string(),
            digest: image.digest.to_string(),
            bytes: image.bytes,
            found_in: image.from.clone(),
        });
        let images = images.collect();
        return printer.document(&FetchDocument {
            layout: dir.display().to_string(),
            images,
            wheels: wheels.files.clone(),
            missing: wheels.missing.clone(),
            mirrors,
        });
    }
    let head = ["image", "platform", "digest", "size"];
    let rows: Vec<Vec<String>> = fetched
        .iter()
        .map(|image| {
            let platform = image.platform.to_string();
            vec![image.source.clone(), platform, image.digest.short(), bytes(image.bytes)]
        })
        .collect();
    tables::print(printer, &head, &rows);
    let mirrors: Vec<String> = mirrors.iter().map(|mirror| format!("--mirror {mirror}")).collect();
    if !wheels.files.is_empty() {
        let (count, size) = (wheels.files.len(), wheels.files.values().sum());
        let folder = wheelhouse(dir);
        printer.out(&format!(
            "{count} wheels of packages in `{}` ({})",
            folder.display(),
            bytes(size)
        ));
    }
    printer.out(&format!("use it with {} --offline", mirrors.join(" ")));
}

/// The registry of each fetched image, once.
fn registries(fetched: &[Fetched]) -> BTreeSet<&str> {
    fetched.iter().map(|image| &*image.registry).collect()
}

/// Parses the folder of `--to`.
fn folder(to: &str) -> Result<&Path, Error> {
    let dir = to.strip_prefix("oci:").filter(|dir| !dir.is_empty());
    dir.map(Path::new).ok_or_else(|| {
        let text = format!("`{to}` is not a layout: expected oci:DIR");
        Error::new(Kind::Usage, "to", text)
    })
}
