//! Combines arguments, environment and files into settings that are complete and checked.

use std::{collections::BTreeSet, path::Path};

use esb_deploy::{
    ApplicationName, Error, Kind, Mode, Options, Origin, Project, RegistryNames, SiteOptions,
    find_template, lockfile::LockUse, project_root, settings,
};
use esb_model::{Brand, Platform, PublishTarget, check_environment_name};

use crate::{
    cli::{BuildArgs, DeployArgs, GlobalArgs, LockArgs, PlaceArgs, TemplateArgs, choices},
    environment::Environment,
    parameters,
};

/// The project of the current folder, for what needs no template.
pub(crate) fn bare_project(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Project, Error> {
    let current = environment.current_folder()?;
    let root = match &environment.settings().root {
        Some(root) => root.clone(),
        // The name of a file in it: its own folder is looked at too.
        None => project_root(current, global.project_dir.as_deref(), &current.join("-"))?,
    };
    with_settings(
        Project::new(root, current, environment_name(global, environment)?)?,
        global,
        environment,
    )
}

/// Finds templates and the project root.
pub(crate) fn project(
    global: &GlobalArgs,
    args: &TemplateArgs,
    environment: &Environment,
) -> Result<Project, Error> {
    let settings = environment.settings();
    let name = environment_name(global, environment)?;
    let current = environment.current_folder()?;
    let of_settings = settings.root.as_ref().map(|root| {
        settings.list("templates").iter().map(|path| root.join(path)).collect::<Vec<_>>()
    });
    let (named, is_default) = match of_settings {
        _ if !args.templates.is_empty() => (args.templates.clone(), false),
        Some(paths) if !paths.is_empty() => (paths, false),
        _ => (vec![".".into()], true),
    };
    let mut paths = Vec::new();
    for template in &named {
        paths.push(find_template(current, template, is_default)?);
    }
    let root = match &settings.root {
        Some(root) => root.clone(),
        None => project_root(current, global.project_dir.as_deref(), &paths[0])?,
    };
    let mut project = Project::new(root, current, name)?.with_templates(paths);
    project.secret_env = secret_env(&args.secret_env)?;
    with_settings(project, global, environment)
}

fn with_settings(
    mut project: Project,
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Project, Error> {
    let settings = environment.settings();
    project.brand = brand(global, settings.text("brand"))?;
    project.follow_links = settings.follow_links();
    project.links = environment.links();
    Ok(project)
}

/// The application of a template, where esb.toml or samconfig says it.
pub(crate) fn application(
    project: &Project,
    template: &Path,
    environment: &Environment,
) -> Result<Option<ApplicationName>, Error> {
    let named = |name, origin| ApplicationName::new(name, origin).map(Some);
    if let Some(setting) = environment.settings().get("application") {
        let origin = Origin::Settings { of_environment: setting.of_environment };
        return named(setting.values.concat(), origin);
    }
    match parameters::stack_name(project, template)? {
        Some((name, file)) => named(name, Origin::Samconfig(file)),
        None => Ok(None),
    }
}

/// The compose project: as given, of a variable, else of brand and environment.
pub(crate) fn compose_project(
    given: Option<&str>,
    project: &Project,
    environment: &Environment,
) -> String {
    given
        .or_else(|| environment.branded("PROJECT"))
        .or_else(|| environment.get("PROJECT_NAME"))
        .map_or_else(|| project.compose_project(), str::to_owned)
}

/// `FUNCTION.NAME`; a variable's name has no dot, so the last one parts them.
fn secret_env(given: &[String]) -> Result<BTreeSet<(String, String)>, Error> {
    let part = |text: &String| match text.rsplit_once('.') {
        Some((function, variable)) if !function.is_empty() && !variable.is_empty() => {
            Ok((function.to_owned(), variable.to_owned()))
        }
        _ => {
            let text = format!("`--secret-env {text}` names no variable: expected FUNCTION.NAME");
            Err(Error::new(Kind::Usage, "secret-env", text))
        }
    };
    given.iter().map(part).collect()
}

/// The brand of a run: as given, else as the project's settings say.
pub(crate) fn brand(global: &GlobalArgs, setting: Option<&str>) -> Result<Brand, Error> {
    match global.brand.as_deref().or(setting) {
        Some(name) => Brand::new(name).map_err(|error| Error::of(Kind::Usage, "brand", &error)),
        None => Ok(Brand::default()),
    }
}

/// Whether a flag or a variable names the environment.
pub(crate) fn names_environment(global: &GlobalArgs, environment: &Environment) -> bool {
    global.env.is_some() || environment.branded("ENV").is_some() || environment.get("ENV").is_some()
}

/// The environment of a run.
pub(crate) fn environment_name(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<String, Error> {
    let name = global
        .env
        .as_deref()
        .or_else(|| environment.branded("ENV"))
        .or_else(|| environment.get("ENV"))
        .unwrap_or("default");
    check_environment_name(name).map_err(|error| Error::of(Kind::Usage, "env", &error))?;
    Ok(name.to_owned())
}

/// The flags that name the registry.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RegistryFlags<'a> {
    pub(crate) registry: Option<&'a str>,
    pub(crate) push_registry: Option<&'a str>,
    pub(crate) insecure: &'a [String],
}

/// Registry names from flags and environment (docs/contracts/platform.md#registries).
pub(crate) fn registry_names(
    flags: RegistryFlags<'_>,
    environment: &Environment,
    mode: Mode,
) -> Result<RegistryNames, Error> {
    let invalid = |error: esb_model::InvalidTarget| Error::of(Kind::Usage, "registry", &error);
    let local = format!("127.0.0.1:{}", environment.get("PORT_REGISTRY").unwrap_or("5010"));
    let explicit_push = flags.push_registry.or_else(|| environment.get("HOST_REGISTRY_ADDR"));
    // The name `registry` exists only inside the platform's network.
    let push_for = |name: &str| {
        let bare = name.trim_start_matches("http://").trim_start_matches("https://");
        let host = bare.split(['/', ':']).next().unwrap_or_default();
        match explicit_push {
            Some(push) => Some(push.to_owned()),
            None if host == "registry" => Some(local.clone()),
            None => None,
        }
    };
    let insecure = environment.is_true("CONTAINER_REGISTRY_INSECURE");
    let target = |name: &str| {
        let mut target = PublishTarget::parse(name, push_for(name).as_deref()).map_err(invalid)?;
        target.insecure = insecure || flags.insecure.iter().any(|host| host == target.push_host());
        Ok::<_, Error>(target)
    };
    let configured = flags
        .registry
        .or_else(|| environment.get("CONTAINER_REGISTRY"))
        .or_else(|| environment.branded("REGISTRY"));
    let default = match mode {
        Mode::Docker => target(&local)?,
        Mode::Containerd => target("registry:5010")?,
    };
    Ok(RegistryNames { configured: configured.map(target).transpose()?, default })
}

/// The platform's mode, where a flag or a variable says it.
pub(crate) fn given_mode(
    given: Option<Mode>,
    environment: &Environment,
) -> Result<Option<Mode>, Error> {
    if given.is_some() { Ok(given) } else { mode_of_environment(environment) }
}

/// The platform's mode, where a variable or the project's settings say it.
pub(crate) fn mode_of_environment(environment: &Environment) -> Result<Option<Mode>, Error> {
    let Some(text) = environment.branded("MODE").or_else(|| environment.get("MODE")) else {
        return Ok(None);
    };
    Mode::named(text).map(Some).ok_or_else(|| {
        let text = format!("`{text}` is not a mode: use docker or containerd");
        Error::new(Kind::Usage, "mode", text)
    })
}

/// Whether a flag, a variable or the project's settings name a registry.
pub(crate) fn names_registry(args: &BuildArgs, environment: &Environment) -> bool {
    args.registry.is_some()
        || environment.get("CONTAINER_REGISTRY").is_some()
        || environment.branded("REGISTRY").is_some()
}

/// The options of a build; what a deploy does beside it is in `deploy`.
pub(crate) fn options(
    args: &BuildArgs,
    deploy: Option<&DeployArgs>,
    project: &Project,
    environment: &Environment,
) -> Result<Options, Error> {
    let mode = given_mode(args.mode, environment)?;
    let mut options = Options::default();
    options.mode = mode;
    options.registry = registry_names(flags(args), environment, mode.unwrap_or_default())?;
    options.applications = applications(project, environment)?;
    let given = deploy.and_then(|deploy| deploy.project.as_deref());
    options.compose_project = Some(compose_project(given, project, environment));
    options.tag = tag(args.tag.as_deref(), environment)?;
    options.platform = platform(args.platform.as_deref(), environment)?;
    options.epoch = epoch(environment)?;
    options.jobs = args.jobs;
    options.no_cache = args.no_cache;
    options.builder = choice(args.builder, "builder", choices::BUILDERS, environment)?;
    options.image_ref = choice(args.image_ref, "image-ref", choices::IMAGE_REFS, environment)?;
    options.moving_tag = !environment.settings().is_off(settings::MOVING_TAG);
    options.lock = lock_use(args.lock);
    options.trust_registry = environment.settings().is_on(settings::TRUST_REGISTRY);
    options.lock_wait = environment.lock_wait()?;
    options.dry_run = args.plan.dry_run;
    for to in &args.to {
        options = options.to(to.parse()?);
    }
    if let Some(deploy) = deploy {
        options.publish = !deploy.build_only;
        options.site = site(deploy, environment);
    }
    Ok(options)
}

/// The options of a command that looks at what is published.
pub(crate) fn place_options(
    place: &PlaceArgs,
    flags: RegistryFlags<'_>,
    project: &Project,
    environment: &Environment,
) -> Result<Options, Error> {
    let mode = mode_of_environment(environment)?;
    let mut options = Options::default();
    options.mode = mode;
    options.registry = registry_names(flags, environment, mode.unwrap_or_default())?;
    let compose_project = compose_project(place.project.as_deref(), project, environment);
    options.compose_project = Some(compose_project);
    options.lock_wait = environment.lock_wait()?;
    options.site.config_to = config_to(place.config_to.as_deref(), environment);
    Ok(options)
}

fn site(deploy: &DeployArgs, environment: &Environment) -> SiteOptions {
    let mut site = SiteOptions::default();
    site.config_to = config_to(deploy.config_to.as_deref(), environment);
    site.allow_local = deploy.allow_local;
    site.adopt = deploy.adoption.adopt;
    site.image_prewarm = deploy.sync.image_prewarm;
    site.all_platforms = deploy.sync.all_platforms;
    site.image_hooks = deploy.sync.image_hooks;
    site.pull = deploy.pull.pull;
    site.keep_workers = deploy.workers.keep_workers;
    site.restart_gateway = deploy.workers.restart_gateway;
    site
}

/// `--config-to`, else `CONFIG_DIR`.
fn config_to(given: Option<&str>, environment: &Environment) -> Option<String> {
    given.or_else(|| environment.get("CONFIG_DIR")).map(str::to_owned)
}

/// What names the registry of a build.
pub(crate) fn flags(args: &BuildArgs) -> RegistryFlags<'_> {
    RegistryFlags {
        registry: args.registry.as_deref(),
        push_registry: args.push_registry.as_deref(),
        insecure: &args.access.registry_insecure,
    }
}

/// The application of each template, as far as esb.toml or samconfig says it.
pub(crate) fn applications(
    project: &Project,
    environment: &Environment,
) -> Result<Vec<Option<ApplicationName>>, Error> {
    let templates = project.templates.iter();
    templates.map(|template| application(project, &template.path, environment)).collect()
}

/// How esb.lock is used.
pub(crate) fn lock_use(args: LockArgs) -> LockUse {
    match (args.locked, args.update_lock) {
        (true, _) => LockUse::Locked,
        (false, true) => LockUse::Update,
        (false, false) => LockUse::Add,
    }
}

/// The tag of images.
pub(crate) fn tag(given: Option<&str>, environment: &Environment) -> Result<String, Error> {
    let tag = given.or_else(|| environment.branded("TAG")).unwrap_or("latest");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // 13 characters are left for `-` and the digits of the content tag, 11 for a base's suffix.
    let valid = tag.len() <= 100
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    if valid {
        return Ok(tag.to_owned());
    }
    Err(Error::new(Kind::Usage, "tag", format!("`{tag}` cannot be an image's tag")))
}

/// A flag, else the setting of that name, else the default.
fn choice<T: Copy + Default + 'static>(
    given: Option<T>,
    key: &str,
    names: choices::Names<T>,
    environment: &Environment,
) -> Result<T, Error> {
    if let Some(given) = given {
        return Ok(given);
    }
    let Some(text) = environment.settings().text(key) else { return Ok(T::default()) };
    choices::named(names, text).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let text =
            format!("the setting `{key}` is `{text}`, and must be one of {}", names.join(", "));
        Error::new(Kind::Input, "settings", text)
    })
}

/// `--platform`.
pub(crate) fn platform(
    given: Option<&str>,
    environment: &Environment,
) -> Result<Option<Platform>, Error> {
    let given = given.or_else(|| environment.settings().text("platform"));
    given.map(parse_platform).transpose()
}

/// The text of a `--platform`.
pub(crate) fn parse_platform(text: &str) -> Result<Platform, Error> {
    text.parse()
        .map_err(|error: esb_model::UnknownArchitecture| Error::of(Kind::Usage, "platform", &error))
}

/// The time of files and images.
pub(crate) fn epoch(environment: &Environment) -> Result<i64, Error> {
    let Some(text) = environment.get("SOURCE_DATE_EPOCH") else {
        return Ok(esb_oci::DEFAULT_EPOCH);
    };
    text.parse::<i64>().ok().filter(|epoch| (0..=253_402_300_799).contains(epoch)).ok_or_else(
        || {
            let text =
                format!("SOURCE_DATE_EPOCH is `{text}`, which is not a time in seconds since 1970");
            Error::new(Kind::Usage, "epoch", text)
        },
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(variables: &str, registry: Option<&str>, mode: Mode) -> (String, String, bool) {
        let mut environment = Environment::default();
        environment.add_file(Path::new("test"), variables).unwrap();
        let flags = RegistryFlags { registry, ..RegistryFlags::default() };
        let names = registry_names(flags, &environment, mode).unwrap();
        let target = names.configured.unwrap_or(names.default);
        (target.to_string(), target.push_host().to_owned(), target.insecure)
    }

    #[test]
    fn runtime_name_and_push_address() {
        let expect = |runtime: &str, push: &str| (runtime.to_owned(), push.to_owned(), false);
        let check = |variables, registry, mode, expected| {
            assert_eq!(names(variables, registry, mode), expected, "{variables} {registry:?}");
        };
        check("", None, Mode::Docker, expect("127.0.0.1:5010", "127.0.0.1:5010"));
        check("", None, Mode::Containerd, expect("registry:5010", "127.0.0.1:5010"));
        check("PORT_REGISTRY=7", None, Mode::Containerd, expect("registry:5010", "127.0.0.1:7"));
        check(
            "CONTAINER_REGISTRY=registry:5010/team\nHOST_REGISTRY_ADDR=http://10.0.0.1:9",
            None,
            Mode::Docker,
            expect("registry:5010/team", "10.0.0.1:9"),
        );
        check(
            "CONTAINER_REGISTRY=a.example",
            Some("b.example/x/"),
            Mode::Docker,
            expect("b.example/x", "b.example"),
        );
    }

    /// A project in the folder `shop` with a template in `svc`.
    fn project(folder: &Path, environment: &str) -> Project {
        let root = folder.join("shop");
        fs::create_dir_all(root.join("svc")).unwrap();
        let template = root.join("svc/template.yaml");
        Project::new(root, folder, environment).unwrap().with_templates(vec![template])
    }

    fn name(project: &Project, settings: &str, locked: Option<&str>) -> Result<String, Error> {
        let file = settings::SettingsFile::parse(settings, "1.0.0").unwrap();
        let mut environment = Environment::default();
        environment.set_settings(file.settings(&project.environment));
        let given = application(project, &project.templates[0].path, &environment)?;
        let locked = locked.map(str::to_owned);
        let application = ApplicationName::of_template(project, given.as_ref(), locked)?;
        Ok(format!("{} ({})", application.name, application.origin.words()))
    }

    #[test]
    fn the_strongest_place_says_it() {
        let folder = tempfile::tempdir().unwrap();
        let dev = project(folder.path(), "dev");
        let prod = project(folder.path(), "prod");
        let check = |project, settings: &str, locked, expected: &str| {
            assert_eq!(name(project, settings, locked).unwrap(), expected);
        };
        check(&dev, "", None, "shop (name of the project's folder)");
        check(&dev, "", Some("first"), "first (esb.lock)");
        let samconfig = |folder: &str, name: &str| {
            let text = format!(
                "version = 0.1\n[default.global.parameters]\nstack_name = '{name}'\n\
                 [prod.deploy.parameters]\nstack_name = '{name}-prod'\n\
                 [prod.global.parameters]\nstack_name = 'weaker'\n\
                 [dev.validate.parameters]\nstack_name = 'never'\n"
            );
            fs::write(dev.root.join(folder).join("samconfig.toml"), text).unwrap();
        };
        samconfig("", "root");
        check(&dev, "", Some("first"), "root (stack_name in samconfig.toml)");
        samconfig("svc", "own");
        check(&dev, "", Some("first"), "own (stack_name in svc/samconfig.toml)");
        check(&prod, "", Some("first"), "own-prod (stack_name in svc/samconfig.toml)");
        let settings = "application = 'set'\n[env.prod]\napplication = 'set-prod'\n";
        check(&dev, settings, Some("first"), "set (esb.toml)");
        check(&prod, settings, Some("first"), "set-prod (esb.toml [env])");
    }

    #[test]
    fn what_cannot_be_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let dev = project(folder.path(), "dev");
        let failure = name(&dev, "", Some("a:b")).unwrap_err();
        assert!(failure.message.contains("esb.lock"), "{}", failure.message);
        fs::write(dev.root.join("samconfig.toml"), "default = [").unwrap();
        let failure = name(&dev, "", None).unwrap_err();
        assert!(failure.message.contains("samconfig.toml"), "{}", failure.message);
    }
}
