//! Builds the connections of a run from flags and environment: the content store, registries,
//! engines, tools.

use std::path::PathBuf;

use esb_deploy::{Connections, Error, Kind, Mode, Project, RegistryNames, engine, wheelhouse};
use esb_image::{
    Tools,
    docker::{ClientSettings, DockerEngine},
};
use esb_model::Brand;
use esb_oci::{ContentStore, StoreAccess};

use crate::{
    access,
    cli::{AccessArgs, BuildArgs},
    environment::Environment,
    fleet::fleet,
    printer::Printer,
};

/// Registries, the store and the engine, as every command reaches them.
pub(crate) fn connections(
    access: &AccessArgs,
    registry: &RegistryNames,
    project: &Project,
    environment: &Environment,
    printer: Printer,
) -> Result<Connections, Error> {
    let store = open_store(environment, &project.brand, printer)?;
    let internal = registry.configured.iter().chain([&registry.default]);
    let client = access::client(access, environment, internal, &store)?;
    let mut connections = Connections::new(store, client);
    connections.engine = engine_settings(environment);
    Ok(connections)
}

/// As [`connections`], with what builds.
pub(crate) fn of_build(
    args: &BuildArgs,
    registry: &RegistryNames,
    project: &Project,
    environment: &Environment,
    printer: Printer,
) -> Result<Connections, Error> {
    let mut connections = connections(&args.access, registry, project, environment, printer)?;
    connections.fleet = fleet(&args.fleet, environment)?;
    connections.tools = Tools {
        install_uv: !args.packages.no_uv_install,
        offline: args.access.offline.then(|| wheelhouses(&connections, project)),
        allow_builds: args.packages.allow_host_builds,
        ..tools(project, environment)
    };
    connections.step_arguments = environment.proxy_arguments();
    connections.step_secrets = environment.step_secrets();
    Ok(connections)
}

/// The programs that install packages, with nothing built on this machine.
pub(crate) fn tools(project: &Project, environment: &Environment) -> Tools {
    Tools {
        uv: environment.program("uv"),
        python: environment.program("python3"),
        environment: environment.everything(),
        env_file: environment.of_files(),
        folder: project.current.clone(),
        install_uv: true,
        offline: None,
        allow_builds: false,
    }
}

/// The folders of wheels beside the layouts that are mirrors.
pub(crate) fn wheelhouses(connections: &Connections, project: &Project) -> Vec<PathBuf> {
    let layouts = connections.client.settings().mirrors.layouts();
    let folders = layouts.iter().map(|layout| wheelhouse(&project.current.join(layout)));
    folders.filter(|folder| folder.is_dir()).collect()
}

/// Where the content store of this user lies.
pub(crate) fn store_folder(environment: &Environment, brand: &Brand) -> Result<PathBuf, Error> {
    environment.cache_dir(brand).ok_or_else(|| {
        let name = format!("{}_CACHE_DIR", brand.variable_prefix());
        Error::new(Kind::Local, "store", format!("neither {name} nor HOME says where to cache"))
    })
}

/// The content store of this user, to build with.
pub(crate) fn open_store(
    environment: &Environment,
    brand: &Brand,
    printer: Printer,
) -> Result<ContentStore, Error> {
    let dir = trusted_folder(environment, brand, printer)?;
    Ok(ContentStore::open_held_telling(dir, |wait| printer.note(&wait.to_string()))?)
}

/// Where the content store of this user lies, when it can be trusted.
pub(crate) fn trusted_folder(
    environment: &Environment,
    brand: &Brand,
    printer: Printer,
) -> Result<PathBuf, Error> {
    let dir = store_folder(environment, brand)?;
    if environment.trusts_store() {
        return Ok(dir);
    }
    let shown = dir.display();
    match esb_oci::check_store_access(&dir)? {
        StoreAccess::Trusted => {}
        StoreAccess::Narrowed => printer.warning(&format!(
            "every user of this machine could write to the content store `{shown}`; now they no \
             longer can"
        )),
        StoreAccess::OpenToAll => printer.warning(&format!(
            "every user of this machine can write to the content store `{shown}`; if that is \
             meant to be, say so with `--trust-store`"
        )),
    }
    Ok(dir)
}

/// The content store of this user where there is one, for what was found out before: a command
/// that only looks makes none, and does without one that cannot be opened.
pub(crate) fn known_store(environment: &Environment, brand: &Brand) -> Option<ContentStore> {
    let dir = store_folder(environment, brand).ok().filter(|dir| dir.is_dir())?;
    let is_trusted = environment.trusts_store() || esb_oci::check_store_access(&dir).is_ok();
    is_trusted.then(|| ContentStore::open(dir).ok())?
}

/// The settings that name the container engine.
fn engine_settings(environment: &Environment) -> ClientSettings {
    let get = |name| environment.get(name).map(str::to_owned);
    ClientSettings {
        host: get("DOCKER_HOST"),
        tls_verify: get("DOCKER_TLS_VERIFY"),
        cert_path: get("DOCKER_CERT_PATH").map(PathBuf::from),
        context: get("DOCKER_CONTEXT"),
        config: environment.docker_config(),
    }
}

/// Connects to the container engine; what is exported from it lies in `store`.
pub(crate) async fn engine(
    environment: &Environment,
    store: &ContentStore,
) -> Result<DockerEngine, Error> {
    let credentials = access::docker_credentials(environment);
    engine::connect(&engine_settings(environment), store, credentials).await
}

/// The mode of a compose project that runs; an engine that does not answer knows of none.
pub(crate) async fn running_mode(
    environment: &Environment,
    store: &ContentStore,
    compose_project: &str,
) -> Option<Mode> {
    let engine = engine(environment, store).await.ok()?;
    engine::mode_of(&engine, compose_project).await.ok()?
}
