//! From arguments, environment and files to settings that are complete and checked.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use esb_model::{Brand, FollowLinks, Platform, PublishTarget, check_environment_name, decode_text};
use esb_oci::Links;

use crate::{
    cli::{BuildArgs, BuilderChoice, GlobalArgs, ImageRefForm, Mode, TemplateArgs},
    environment::Environment,
    exit::{Exit, Failure},
};

/// Names that a folder given with `-t` may hold a template under, in that order.
pub(crate) const TEMPLATE_NAMES: [&str; 3] = ["template.yaml", "template.yml", "template.json"];

/// The most bytes of a template, of a file of parameters, and of what they name.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;

/// A template that is there.
#[derive(Debug, Clone)]
pub(crate) struct TemplateFile {
    /// As the user named it.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Its folder relative to the project root; absolute when it lies outside.
    pub(crate) folder: PathBuf,
    /// Its path relative to the project root: the owner of what it publishes.
    pub(crate) owner: String,
}

/// Where a run works and for what.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) brand: Brand,
    pub(crate) environment: String,
    pub(crate) templates: Vec<TemplateFile>,
    /// Function (name or logical id) and variable that the Gateway's own environment fills in.
    pub(crate) secret_env: BTreeSet<(String, String)>,
    /// How far links that lead out of code or of a layer may lead.
    pub(crate) follow_links: FollowLinks,
    /// Whether the platform is said to run workers in containerd.
    pub(crate) containerd: bool,
    /// What happens where links lie in folders that are written to.
    pub(crate) links: Links,
}

impl Project {
    /// The folder of generated files of this environment.
    pub(crate) fn generated(&self) -> PathBuf {
        self.brand.folder(&self.root).join(&self.environment)
    }

    /// The folder of the merged configuration of a compose project
    /// (docs/contracts/platform.md#merge-and-ownership).
    pub(crate) fn staging(&self, compose_project: &str) -> PathBuf {
        let folder = self.brand.folder(&self.root).join("staging");
        folder.join(compose_project).join(&self.environment).join("config")
    }

    /// The project of the current folder, for what needs no template.
    pub(crate) fn bare(global: &GlobalArgs, environment: &Environment) -> Result<Self, Failure> {
        let settings = environment.settings();
        let current = current_folder()?;
        let root = match &settings.root {
            Some(root) => root.clone(),
            // The name of a file in it: its own folder is looked at too.
            None => project_root(&current, global.project_dir.as_deref(), &current.join("-"))?,
        };
        Ok(Self {
            root,
            brand: brand(global, settings.text("brand"))?,
            environment: environment_name(global, environment)?,
            templates: Vec::new(),
            secret_env: BTreeSet::new(),
            follow_links: settings.follow_links(),
            containerd: false,
            links: environment.links(),
        })
    }

    /// Finds templates and the project root.
    pub(crate) fn resolve(
        global: &GlobalArgs,
        args: &TemplateArgs,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let settings = environment.settings();
        let brand = brand(global, settings.text("brand"))?;
        let name = environment_name(global, environment)?;
        let current = current_folder()?;
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
            paths.push(find_template(&current, template, is_default)?);
        }
        let root = match &settings.root {
            Some(root) => root.clone(),
            None => project_root(&current, global.project_dir.as_deref(), &paths[0])?,
        };
        let templates = paths
            .into_iter()
            .map(|path| {
                let folder = path.parent().unwrap_or(&root);
                let relative = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
                TemplateFile {
                    name: display_name(&current, &path),
                    folder: relative(folder),
                    owner: owner_path(&root, &path),
                    path,
                }
            })
            .collect();
        let secret_env = secret_env(&args.secret_env)?;
        let (follow_links, links) = (settings.follow_links(), environment.links());
        Ok(Self {
            root,
            brand,
            environment: name,
            templates,
            secret_env,
            follow_links,
            containerd: false,
            links,
        })
    }
}

pub(crate) fn current_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::of(Exit::Local, "disk", &error).during("could not find the current folder")
    })
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
        .map_or_else(|| format!("{}-{}", project.brand.slug(), project.environment), str::to_owned)
}

/// `FUNCTION.NAME`; a variable's name has no dot, so the last one parts them.
fn secret_env(given: &[String]) -> Result<BTreeSet<(String, String)>, Failure> {
    let part = |text: &String| match text.rsplit_once('.') {
        Some((function, variable)) if !function.is_empty() && !variable.is_empty() => {
            Ok((function.to_owned(), variable.to_owned()))
        }
        _ => {
            let text = format!("`--secret-env {text}` names no variable: expected FUNCTION.NAME");
            Err(Failure::new(Exit::Usage, "secret-env", text))
        }
    };
    given.iter().map(part).collect()
}

/// The content of a regular file of bounded size.
pub(crate) fn read_limited(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > FILE_LIMIT {
        return Err(format!("it has more than {FILE_LIMIT} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// The text of a regular file of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    decode_text(read_limited(path)?).map_err(|error| error.to_string())
}

/// The brand of a run: as given, else as the project's settings say.
pub(crate) fn brand(global: &GlobalArgs, setting: Option<&str>) -> Result<Brand, Failure> {
    match global.brand.as_deref().or(setting) {
        Some(name) => Brand::new(name).map_err(|error| Failure::of(Exit::Usage, "brand", &error)),
        None => Ok(Brand::default()),
    }
}

/// The environment of a run.
pub(crate) fn environment_name(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<String, Failure> {
    let name = global
        .env
        .as_deref()
        .or_else(|| environment.branded("ENV"))
        .or_else(|| environment.get("ENV"))
        .unwrap_or("default");
    check_environment_name(name).map_err(|error| Failure::of(Exit::Usage, "env", &error))?;
    Ok(name.to_owned())
}

fn find_template(current: &Path, given: &Path, is_default: bool) -> Result<PathBuf, Failure> {
    let path = normal(&current.join(given));
    let missing = |path: &Path, source: Option<std::io::Error>| {
        let text = format!("could not read the template `{}`", display_name(current, path));
        let mut failure = Failure::new(Exit::Input, "template", text);
        failure.causes.extend(source.map(|error| error.to_string()));
        failure.hint("name a template, or a folder that holds one, with `--template PATH`")
    };
    let metadata = std::fs::metadata(&path).map_err(|error| missing(&path, Some(error)))?;
    if !metadata.is_dir() {
        return Ok(path);
    }
    let found = TEMPLATE_NAMES.iter().map(|name| path.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        let place =
            if is_default { "this folder".to_owned() } else { format!("`{}`", given.display()) };
        let text = format!("{place} holds no {}", TEMPLATE_NAMES.join(", "));
        Failure::new(Exit::Input, "template", text)
            .hint("name a template, or a folder that holds one, with `--template PATH`")
    })
}

/// `--project-dir`, else the nearest folder from the template upwards that holds `esb.toml` or
/// `.git`, else the template's own.
fn project_root(current: &Path, given: Option<&Path>, template: &Path) -> Result<PathBuf, Failure> {
    let folder = template.parent().unwrap_or(current);
    let Some(given) = given else {
        let marked = |dir: &&Path| dir.join("esb.toml").exists() || dir.join(".git").exists();
        return Ok(folder.ancestors().find(marked).unwrap_or(folder).to_owned());
    };
    let root = normal(&current.join(given));
    if root.is_dir() {
        return Ok(root);
    }
    let text = format!("the project folder `{}` does not exist", given.display());
    Err(Failure::new(Exit::Usage, "project-dir", text))
}

/// A path without `.` and `..`; links are left alone, so that paths stay as the user knows them.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// A template's path relative to the project root, the same on every machine: links on the way to
/// either do not count, and what lies outside is reached by `..`.
fn owner_path(root: &Path, template: &Path) -> String {
    let relative = template.strip_prefix(root).map(Path::to_owned);
    let relative = relative.unwrap_or_else(|_| {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = real(root);
        let folder = real(template.parent().unwrap_or(&root));
        let path = folder.join(template.file_name().unwrap_or_default());
        let common = root.components().zip(path.components()).take_while(|(a, b)| a == b).count();
        let up = root.components().skip(common).map(|_| Component::ParentDir);
        up.chain(path.components().skip(common)).collect()
    });
    relative.display().to_string()
}

/// A path as short as it can be said from here.
pub(crate) fn display_name(current: &Path, path: &Path) -> String {
    path.strip_prefix(current).unwrap_or(path).display().to_string()
}

/// Which registry names a run uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegistryNames {
    /// What the user asked for; Dockerfiles carry its prefix.
    pub(crate) configured: Option<PublishTarget>,
    /// The registry of the platform's mode, used when it answers.
    pub(crate) default: PublishTarget,
}

/// Registry names from flags and environment (docs/contracts/platform.md#registries).
pub(crate) fn registry_names(
    args: &BuildArgs,
    environment: &Environment,
    mode: Mode,
) -> Result<RegistryNames, Failure> {
    let invalid = |error: esb_model::InvalidTarget| Failure::of(Exit::Usage, "registry", &error);
    let local = format!("127.0.0.1:{}", environment.get("PORT_REGISTRY").unwrap_or("5010"));
    let explicit_push =
        args.push_registry.as_deref().or_else(|| environment.get("HOST_REGISTRY_ADDR"));
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
        target.insecure =
            insecure || args.access.registry_insecure.iter().any(|host| host == target.push_host());
        Ok::<_, Failure>(target)
    };
    let configured = args
        .registry
        .as_deref()
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
    args: &BuildArgs,
    environment: &Environment,
) -> Result<Option<Mode>, Failure> {
    if args.mode.is_some() { Ok(args.mode) } else { mode_of_environment(environment) }
}

/// The platform's mode, where a variable or the project's settings say it.
pub(crate) fn mode_of_environment(environment: &Environment) -> Result<Option<Mode>, Failure> {
    let Some(text) = environment.branded("MODE").or_else(|| environment.get("MODE")) else {
        return Ok(None);
    };
    Mode::named(text).map(Some).ok_or_else(|| {
        let text = format!("`{text}` is no mode: use docker or containerd");
        Failure::new(Exit::Usage, "mode", text)
    })
}

/// Whether a flag, a variable or the project's settings name a registry.
pub(crate) fn names_registry(args: &BuildArgs, environment: &Environment) -> bool {
    args.registry.is_some()
        || environment.get("CONTAINER_REGISTRY").is_some()
        || environment.branded("REGISTRY").is_some()
}

/// The tag of images.
pub(crate) fn tag(args: &BuildArgs, environment: &Environment) -> Result<String, Failure> {
    let tag = args.tag.as_deref().or_else(|| environment.branded("TAG")).unwrap_or("latest");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // 13 characters are left for `-` and the digits of the content tag, 11 for a base's suffix.
    let valid = tag.len() <= 100
        && tag.starts_with(word)
        && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'));
    if valid {
        return Ok(tag.to_owned());
    }
    Err(Failure::new(Exit::Usage, "tag", format!("`{tag}` cannot be an image's tag")))
}

/// `--builder`.
pub(crate) fn builder(
    args: &BuildArgs,
    environment: &Environment,
) -> Result<BuilderChoice, Failure> {
    match args.builder {
        Some(builder) => Ok(builder),
        None => Ok(choice("builder", environment)?.unwrap_or(BuilderChoice::Auto)),
    }
}

/// `--image-ref`.
pub(crate) fn image_ref(
    args: &BuildArgs,
    environment: &Environment,
) -> Result<ImageRefForm, Failure> {
    match args.image_ref {
        Some(form) => Ok(form),
        None => Ok(choice("image-ref", environment)?.unwrap_or_default()),
    }
}

/// A setting whose values are those of a flag.
fn choice<T: clap::ValueEnum>(key: &str, environment: &Environment) -> Result<Option<T>, Failure> {
    let Some(text) = environment.settings().text(key) else { return Ok(None) };
    T::from_str(text, false).map(Some).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()))
            .collect();
        let text =
            format!("the setting `{key}` is `{text}`, and must be one of {}", names.join(", "));
        Failure::new(Exit::Input, "settings", text)
    })
}

/// `--platform`.
pub(crate) fn platform(
    args: &BuildArgs,
    environment: &Environment,
) -> Result<Option<Platform>, Failure> {
    let given = args.platform.as_deref().or_else(|| environment.settings().text("platform"));
    given.map(parse_platform).transpose()
}

/// The text of a `--platform`.
pub(crate) fn parse_platform(text: &str) -> Result<Platform, Failure> {
    text.parse().map_err(|error: esb_model::UnknownArchitecture| {
        Failure::of(Exit::Usage, "platform", &error)
    })
}

/// How many images are worked on at a time, unless `--jobs` says it.
pub(crate) fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(8, usize::from).max(8)
}

/// The time of files and images.
pub(crate) fn epoch(environment: &Environment) -> Result<i64, Failure> {
    let Some(text) = environment.get("SOURCE_DATE_EPOCH") else {
        return Ok(esb_oci::DEFAULT_EPOCH);
    };
    text.parse::<i64>().ok().filter(|epoch| (0..=253_402_300_799).contains(epoch)).ok_or_else(
        || {
            let text =
                format!("SOURCE_DATE_EPOCH is `{text}`, which is no time in seconds since 1970");
            Failure::new(Exit::Usage, "epoch", text)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &str, registry: Option<&str>, mode: Mode) -> (String, String, bool) {
        let mut environment = Environment::default();
        environment.add_file(Path::new("test"), variables).unwrap();
        let args = BuildArgs { registry: registry.map(str::to_owned), ..BuildArgs::default() };
        let names = registry_names(&args, &environment, mode).unwrap();
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

    #[test]
    fn an_owner_has_one_path_however_the_template_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("real/shop");
        std::fs::create_dir_all(root.join("svc")).unwrap();
        std::fs::create_dir_all(folder.path().join("real/other")).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("real"), &link).unwrap();
        let linked = link.join("shop");
        for (root, template, expected) in [
            (&root, root.join("template.yaml"), "template.yaml"),
            (&root, linked.join("svc/template.yaml"), "svc/template.yaml"),
            (&linked, root.join("svc/template.yaml"), "svc/template.yaml"),
            (&linked, linked.join("template.yaml"), "template.yaml"),
            (&linked, folder.path().join("real/other/template.yaml"), "../other/template.yaml"),
            (&root, root.join("absent/t.yaml"), "absent/t.yaml"),
        ] {
            assert_eq!(owner_path(root, &template), expected, "{}", template.display());
        }
    }

    #[test]
    fn paths_lose_their_dots() {
        assert_eq!(normal(Path::new("/a/./b/../c")), Path::new("/a/c"));
        assert_eq!(normal(Path::new("/..")), Path::new("/"));
    }
}
