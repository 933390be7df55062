//! `esb config`: shows effective settings, and dispatches to the commands about owners.

use esb_deploy::{
    ApplicationName, Error, Project, TEMPLATE_NAMES,
    lockfile::{LockFile, LockUse},
    settings::{self, Holds},
};
use esb_model::without_user;

use super::owners;
use crate::{
    cli::{ConfigCommand, GlobalArgs},
    documents::{Setting, SettingValue, SettingsDocument},
    environment::{self, Environment},
    exit_code::CliError,
    inputs,
    printer::Printer,
    settings_text, tables,
};

pub(crate) async fn run(
    command: &ConfigCommand,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), CliError> {
    match command {
        ConfigCommand::Show { origin } => Ok(show(*origin, global, environment, printer)?),
        ConfigCommand::Ls(place) => owners::list(place, global, environment, printer).await,
        ConfigCommand::Rm(args) => owners::remove(args, global, environment, printer).await,
    }
}

/// The origin of a setting that nobody set.
const DEFAULT: &str = "default";

/// Settings whose default depends on the run: people get it in words, programs as null.
const DESCRIBED: [&str; 3] = ["templates", "mode", "config-to"];

/// Settings that are addresses: nobody may have a user in one, and what is refused is shown too.
const ADDRESSES: [&str; 4] = ["registry", "push-registry", "mirrors", "buildkit"];

/// A setting as it was found: the texts of its values, none where it has no value.
struct Shown {
    name: &'static str,
    value: Vec<String>,
    origin: String,
}

impl Shown {
    /// The setting with a value of its type.
    fn typed(self) -> Setting {
        let Self { name, value: texts, origin } = self;
        let is_described = origin == DEFAULT && DESCRIBED.contains(&name);
        let value = match texts.first() {
            _ if is_described => None,
            _ if matches!(Holds::of(name), Some(Holds::List)) => {
                // A variable holds its list in one text.
                let items = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
                let items = items.filter(|item| !item.is_empty()).map(str::to_owned);
                Some(SettingValue::List(items.collect()))
            }
            Some(text) if matches!(Holds::of(name), Some(Holds::Switch)) => Some(
                text.parse().map_or_else(|_| SettingValue::Text(text.clone()), SettingValue::Bool),
            ),
            Some(text) if !text.is_empty() => Some(SettingValue::Text(text.clone())),
            _ => None,
        };
        Setting { name, value, origin }
    }
}

fn show(
    origin: bool,
    global: &GlobalArgs,
    environment: &Environment,
    printer: Printer,
) -> Result<(), Error> {
    let project = inputs::bare_project(global, environment)?;
    let shown = settings(global, environment, &project)?;
    if printer.json {
        let settings = shown.into_iter().map(Shown::typed).collect();
        printer.document(&SettingsDocument { settings });
        return Ok(());
    }
    let mut head = vec!["setting", "value"];
    head.extend(origin.then_some("origin"));
    let rows = shown.into_iter().map(|one| {
        let mut row = vec![one.name.to_owned(), one.value.join(", ")];
        row.extend(origin.then_some(one.origin));
        row
    });
    tables::print(printer, &head, &rows.collect::<Vec<_>>());
    Ok(())
}

/// Every setting in effect, the strongest origin first found.
fn settings(
    global: &GlobalArgs,
    environment: &Environment,
    project: &Project,
) -> Result<Vec<Shown>, Error> {
    let of_flag = |name, value: &str| Shown {
        name,
        value: vec![value.to_owned()],
        origin: format!("--{name}"),
    };
    let mut shown = vec![match &global.project_dir {
        Some(_) => of_flag("project-dir", &project.root.display().to_string()),
        None => Shown {
            name: "project-dir",
            value: vec![project.root.display().to_string()],
            origin: "found from the current folder".to_owned(),
        },
    }];
    shown.push(match &global.env {
        Some(name) => of_flag("env", name),
        None => of_variables("env", &["ESB_ENV", "ENV"], environment, "default"),
    });
    for name in settings::KEYS.map(|key| key.name) {
        let variables = environment::of_setting(name);
        if name == "brand" && global.brand.is_some() {
            shown.push(of_flag("brand", project.brand.slug()));
            continue;
        }
        if name == "application" {
            shown.push(application(environment, project)?);
            continue;
        }
        let default = match name {
            "templates" => "the one in the current folder",
            name => settings_text::default(name).unwrap_or_default(),
        };
        shown.push(of_variables(name, variables, environment, default));
    }
    let compose = inputs::compose_project(None, project, environment);
    let cache = environment.cache_dir(&project.brand);
    let cache = cache.map_or_else(String::new, |folder| folder.display().to_string());
    for (name, variables, default) in [
        ("mode", &["ESB_MODE", "MODE"][..], "the running project's, else docker"),
        ("tag", &["ESB_TAG"], "latest"),
        ("project", &["ESB_PROJECT", "PROJECT_NAME"], &*compose),
        ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"], "us-east-1"),
        ("config-to", &["CONFIG_DIR"], "the project's Gateway container"),
        ("cache-dir", &["ESB_CACHE_DIR"], &*cache),
    ] {
        shown.push(of_variables(name, variables, environment, default));
    }
    for one in shown.iter_mut().filter(|one| ADDRESSES.contains(&one.name)) {
        one.value = one.value.iter().map(|address| without_user(address)).collect();
    }
    Ok(shown)
}

/// The application of a template in the project's root.
fn application(environment: &Environment, project: &Project) -> Result<Shown, Error> {
    let locked = LockFile::open(project.folder(), LockUse::Locked)?.application();
    let template = project.root.join(TEMPLATE_NAMES[0]);
    let given = inputs::application(project, &template, environment)?;
    let named = ApplicationName::of_template(project, given.as_ref(), locked)?;
    let origin = named.origin.words();
    Ok(Shown { name: "application", value: vec![named.name], origin })
}

/// A setting that is a variable, stands in the project's file, or has its default.
fn of_variables(
    name: &'static str,
    variables: &[&str],
    environment: &Environment,
    default: &str,
) -> Shown {
    for variable in variables {
        if let Some((value, origin)) = environment.origin(variable) {
            return Shown { name, value: vec![value], origin };
        }
    }
    let settings = environment.settings();
    if let Some(setting) = settings.get(name) {
        let table = if setting.of_environment { " [env]" } else { "" };
        let origin = format!("{}{table}", settings::NAME);
        return Shown { name, value: setting.values.clone(), origin };
    }
    Shown { name, value: vec![default.to_owned()], origin: DEFAULT.to_owned() }
}
