//! What an application is called: one half of who owns what a run publishes.
//!
//! Owns the order of the places that say it, the strongest first: `application` in esb.toml,
//! `stack_name` of samconfig as SAM CLI reads it, the name that an earlier run left in esb.lock, the
//! name of the project's folder. The last is the same on another machine only by luck, so the first
//! deploy records it.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use esb_config::{Owner, application_of_folder, is_application_name};
use esb_oci::Digest;

use crate::{
    environment::Environment,
    exit::{Exit, Failure},
    inputs::Project,
    lockfile, parameters, settings,
};

/// The name where a folder has none that could be used.
const NAMELESS: &str = "project";

/// An application's name and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// What says an application's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// esb.toml, perhaps for the environment alone.
    Settings {
        of_environment: bool,
    },
    /// A samconfig file, as messages name it.
    Samconfig(String),
    Lock,
    Folder,
}

impl Origin {
    /// As `config show --origin` says it.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Settings { of_environment: false } => settings::NAME.to_owned(),
            Self::Settings { of_environment: true } => format!("{} [env]", settings::NAME),
            Self::Samconfig(name) => format!("stack_name in {name}"),
            Self::Lock => lockfile::NAME.to_owned(),
            Self::Folder => "name of the project's folder".to_owned(),
        }
    }
}

impl Application {
    /// The application of a template. `locked` is the name in esb.lock.
    ///
    /// # Errors
    /// When the strongest place says what cannot be a name, or cannot be read.
    pub(crate) fn of_template(
        project: &Project,
        template: &Path,
        environment: &Environment,
        locked: Option<String>,
    ) -> Result<Self, Failure> {
        let named = |name: String, origin: Origin| {
            if is_application_name(&name) {
                return Ok(Self { name, origin });
            }
            let text = format!("`{name}` of {} cannot name an application", origin.words());
            Err(Failure::new(Exit::Input, "application", text).hint(
                "a name has 1 to 128 characters, no colon or slash, and no blanks at its ends",
            ))
        };
        if let Some(setting) = environment.settings().get("application") {
            let origin = Origin::Settings { of_environment: setting.of_environment };
            return named(setting.values.concat(), origin);
        }
        if let Some((name, file)) = parameters::stack_name(project, template)? {
            return named(name, Origin::Samconfig(file));
        }
        if let Some(name) = locked {
            return named(name, Origin::Lock);
        }
        Ok(Self { name: of_folder(&project.root), origin: Origin::Folder })
    }

    /// The application of each template of a project, in their order.
    pub(crate) fn of_templates(
        project: &Project,
        environment: &Environment,
        locked: Option<&str>,
    ) -> Result<Vec<Self>, Failure> {
        let of = |template: &crate::inputs::TemplateFile| {
            Self::of_template(project, &template.path, environment, locked.map(str::to_owned))
        };
        project.templates.iter().map(of).collect()
    }

    /// The owner of what one of its templates publishes.
    pub(crate) fn owner(&self, template: &str) -> Owner {
        Owner::new(&self.name, template)
    }
}

/// A text that tells a project from all others: its folder's name and what nobody else has.
pub(crate) fn new_project(root: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = format!("{}\n{}\n{}", root.display(), now.as_nanos(), std::process::id());
    let digits: String = Digest::of(text.as_bytes()).hex().chars().take(12).collect();
    format!("{}-{digits}", of_folder(root))
}

/// The folder's own name, also where the project was reached through a link.
fn of_folder(root: &Path) -> String {
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| application_of_folder(&name)).unwrap_or_else(|| NAMELESS.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use esb_model::Brand;

    use super::*;
    use crate::inputs::TemplateFile;

    /// A project in the folder `shop` with a template in `svc`.
    fn project(folder: &Path, environment: &str) -> Project {
        let root = folder.join("shop");
        fs::create_dir_all(root.join("svc")).unwrap();
        Project {
            links: esb_oci::Links::Followed,
            templates: vec![TemplateFile {
                name: "svc/template.yaml".to_owned(),
                path: root.join("svc/template.yaml"),
                folder: PathBuf::from("svc"),
                owner: "svc/template.yaml".to_owned(),
            }],
            root,
            brand: Brand::default(),
            environment: environment.to_owned(),
            secret_env: BTreeSet::new(),
            follow_links: esb_model::FollowLinks::default(),
            containerd: false,
        }
    }

    fn name(project: &Project, settings: &str, locked: Option<&str>) -> Result<String, Failure> {
        let file = settings::File::parse(settings, "1.0.0").unwrap();
        let mut environment = Environment::default();
        environment.set_settings(file.settings(&project.environment));
        let mut all = Application::of_templates(project, &environment, locked)?;
        let application = all.remove(0);
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
        for text in ["application = ''", "application = 'a:b'", "application = ' a'"] {
            let failure = name(&dev, text, None).unwrap_err();
            assert_eq!(failure.exit, Exit::Input);
            assert!(failure.message.contains("of esb.toml cannot name"), "{}", failure.message);
        }
        let failure = name(&dev, "", Some("a:b")).unwrap_err();
        assert!(failure.message.contains("esb.lock"), "{}", failure.message);
        fs::write(dev.root.join("samconfig.toml"), "default = [").unwrap();
        let failure = name(&dev, "", None).unwrap_err();
        assert!(failure.message.contains("samconfig.toml"), "{}", failure.message);
    }

    #[test]
    fn a_folder_names_it_by_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("a:b");
        fs::create_dir(&real).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(of_folder(&link), "a-b");
        assert_eq!(of_folder(Path::new("/")), NAMELESS);
    }
}
