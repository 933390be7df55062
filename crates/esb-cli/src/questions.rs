//! Asks before a run for what is not given: the template, the environment, the mode, the values of
//! parameters; then for confirmation.
//!
//! Answers complete the command line as if they had been flags there. Secrets are not asked for: a
//! terminal would show them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_deploy::{Error, Kind, Mode, Project, TEMPLATE_NAMES, settings::SettingsFile};
use esb_oci::Folder;
use esb_sam::Parameter;

use crate::{
    answers::{Saved, Values},
    ask,
    cli::{BuildArgs, Cli, Command, GlobalArgs},
    environment::Environment,
    inputs,
};

/// Values of parameters for each template by its number.
pub(crate) type Answers = BTreeMap<usize, Values>;

/// The most folders that are looked into for templates, and the most templates that are offered.
const FOLDERS: usize = 500;
const OFFERED: usize = 20;

/// The fields that are asked for before the templates are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptedFields {
    environment: bool,
    mode: bool,
    template: bool,
}

/// The arguments of a command that asks before it begins.
pub(crate) fn build_args(command: &mut Command) -> Option<&mut BuildArgs> {
    match command {
        Command::Deploy(args) => Some(&mut args.build),
        Command::Build(args) => Some(args),
        _ => None,
    }
}

/// Whether a command asks questions, and a person can answer.
pub(crate) fn is_asking(cli: &mut Cli, environment: &Environment) -> bool {
    build_args(&mut cli.command).is_some() && ask::may_ask(&cli.global, environment)
}

/// Asks for a template, where the folder has none and nothing names one.
pub(crate) fn template(
    cli: &mut Cli,
    file: &SettingsFile,
    environment: &Environment,
    asked: &mut PromptedFields,
) -> Result<(), Error> {
    let Some(args) = build_args(&mut cli.command) else { return Ok(()) };
    let current = environment.current_folder()?;
    if !args.template.templates.is_empty() || file.names_templates() || holds(current).is_some() {
        return Ok(());
    }
    let found = below(current);
    if found.is_empty() {
        return Ok(());
    }
    ask::tell(["this folder holds no template; further down are"]);
    let shown: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
    for (number, path) in shown.iter().enumerate() {
        ask::tell([format!("  {}  {path}", number + 1).as_str()]);
    }
    let chosen = |answer: &str| match answer.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|at| found.get(at).cloned()),
        Err(_) => Some(PathBuf::from(answer)).filter(|path| current.join(path).exists()),
    };
    let default = (found.len() == 1).then_some("1");
    let answer = ask::text("number or path", default, |text| chosen(text).is_some())?;
    if let Some(path) = answer.as_deref().and_then(chosen) {
        args.template.templates.push(path);
        asked.template = true;
    }
    Ok(())
}

/// Asks for the environment, with what was answered before for the first template.
pub(crate) fn environment(
    cli: &mut Cli,
    environment: &Environment,
    asked: &mut PromptedFields,
) -> Result<(), Error> {
    let is_given = cli.global.env.is_some()
        || environment.branded("ENV").is_some()
        || environment.get("ENV").is_some();
    let Some(args) = build_args(&mut cli.command).filter(|_| !is_given) else { return Ok(()) };
    // What is wrong with the templates is told by who reads them.
    let Ok(project) = inputs::project(&cli.global, &args.template, environment) else {
        return Ok(());
    };
    let saved = before(&project).and_then(|saved| saved.environment);
    let default = saved.as_deref().unwrap_or("default");
    let fits = |name: &str| esb_model::check_environment_name(name).is_ok();
    cli.global.env = ask::text("environment", Some(default), fits)?;
    asked.environment = cli.global.env.is_some();
    Ok(())
}

/// Asks for the mode, with that of earlier answers; a project that runs has its own.
pub(crate) fn mode(
    cli: &mut Cli,
    project: &Project,
    environment: &Environment,
    asked: &mut PromptedFields,
) -> Result<(), Error> {
    let Some(args) = build_args(&mut cli.command) else { return Ok(()) };
    if inputs::given_mode(args.mode, environment)?.is_some() {
        return Ok(());
    }
    let saved = before(project).and_then(|saved| saved.mode);
    let default = saved.as_deref().filter(|mode| Mode::named(mode).is_some()).unwrap_or("docker");
    let fits = |name: &str| Mode::named(name).is_some();
    let answer = ask::text("mode, docker or containerd", Some(default), fits)?;
    args.mode = answer.as_deref().and_then(Mode::named);
    asked.mode = args.mode.is_some();
    Ok(())
}

fn before(project: &Project) -> Option<crate::answers::TemplateAnswers> {
    let mut saved = Saved::read(&project.folder().join(project.brand.folder_name()), &project.root);
    saved.templates.remove(&project.templates.first()?.owner)
}

/// The questions of one run.
pub(crate) struct Questions<'a> {
    pub(crate) asked: &'a PromptedFields,
    pub(crate) project: &'a Project,
    pub(crate) args: &'a BuildArgs,
    pub(crate) global: &'a GlobalArgs,
}

impl Questions<'_> {
    /// Asks for each parameter, with what was answered before, then whether to begin with all
    /// that was asked. What is not answered stays without a value.
    ///
    /// # Errors
    /// When the person does not want to begin.
    pub(crate) fn parameters(&self, open: &[(usize, Parameter)]) -> Result<Answers, Error> {
        let mut saved = Saved::read(&self.folder(), &self.project.root);
        let mut answers = Answers::new();
        for (number, parameter) in open.iter().filter(|(_, parameter)| !parameter.no_echo) {
            let template = &self.project.templates[*number];
            let of = saved.templates.get(&template.owner);
            let values = of.and_then(|of| of.parameters.get(&self.project.environment));
            let before = values.and_then(|values| values.get(&parameter.name));
            let Some(value) = parameter_value(parameter, &template.name, before)? else { break };
            answers.entry(*number).or_default().insert(parameter.name.clone(), value);
        }
        let lines = self.review(&answers);
        if lines.is_empty() {
            return Ok(answers);
        }
        ask::tell(lines.iter().map(String::as_str));
        if !ask::agreed("begin?", true)? {
            return Err(Error::new(Kind::Input, "answers", "nothing was begun"));
        }
        if !self.args.plan.no_save_defaults {
            self.remember(&mut saved, &answers);
            let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (number, parameter) in open.iter().filter(|(_, parameter)| !parameter.no_echo) {
                let owner = self.project.templates[*number].owner.clone();
                known.entry(owner).or_default().push(parameter.name.clone());
            }
            match saved.write(self.project, &known) {
                Err(error @ esb_config::Error::Folder(_)) => return Err(error.into()),
                // A folder that cannot be written is told by what has to be written there.
                _best_effort => {}
            }
        }
        Ok(answers)
    }

    fn folder(&self) -> Folder {
        self.project.folder().join(self.project.brand.folder_name())
    }

    /// Everything that the run begins with, when anything of it was asked.
    fn review(&self, answers: &Answers) -> Vec<String> {
        let PromptedFields { environment, mode, template } = *self.asked;
        if answers.is_empty() && !environment && !mode && !template {
            return Vec::new();
        }
        let mut lines = vec![String::new()];
        let several = self.project.templates.len() > 1;
        for template in &self.project.templates {
            lines.push(format!("template     {}", template.name));
        }
        lines.push(format!("environment  {}", self.project.environment));
        if let Some(mode) = self.args.mode {
            lines.push(format!("mode         {}", mode.name()));
        }
        for (number, values) in answers {
            for (name, value) in values {
                let file = &self.project.templates[*number].name;
                let of = if several { format!(" of {file}") } else { String::new() };
                lines.push(format!("parameter    {name}{of} = {value}"));
            }
        }
        lines
    }

    fn remember(&self, saved: &mut Saved, answers: &Answers) {
        for (number, template) in self.project.templates.iter().enumerate() {
            let of = saved.templates.entry(template.owner.clone()).or_default();
            if self.asked.environment {
                of.environment.clone_from(&self.global.env);
            }
            if self.asked.mode {
                of.mode = self.args.mode.map(|mode| mode.name().to_owned());
            }
            if let Some(values) = answers.get(&number) {
                let own = of.parameters.entry(self.project.environment.clone()).or_default();
                own.extend(values.clone());
            }
        }
    }
}

fn parameter_value(
    parameter: &Parameter,
    file: &str,
    before: Option<&String>,
) -> Result<Option<String>, Error> {
    let Parameter { name, allowed, description, default, .. } = parameter;
    let fits = |value: &str| match allowed.as_slice() {
        [] => !value.is_empty() || default.as_deref() == Some(""),
        allowed => allowed.iter().any(|one| one == value),
    };
    let about = description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    ask::tell([format!("`{name}` of {file}{about}").as_str()]);
    if !allowed.is_empty() {
        ask::tell([format!("  one of {}", allowed.join(", ")).as_str()]);
    }
    if let (Some(default), Some(_)) =
        (default, before.filter(|before| Some(*before) != default.as_ref()))
    {
        ask::tell([format!("  the template's default is {default}").as_str()]);
    }
    let prefilled = before.filter(|value| fits(value)).or(default.as_ref());
    ask::text(&format!("  {name}"), prefilled.map(String::as_str), fits)
}

/// The template that a folder holds.
fn holds(folder: &Path) -> Option<PathBuf> {
    TEMPLATE_NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Templates in folders of this folder, and in theirs.
fn below(current: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![current.to_owned()];
    let mut left = FOLDERS;
    for _ in 0..2 {
        let mut next = Vec::new();
        for folder in level {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let is_hidden = |path: &Path| {
                path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
            };
            let paths = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
            next.extend(paths.filter(|path| !is_hidden(path)).take(left));
        }
        left = left.saturating_sub(next.len());
        let relative = |path: PathBuf| path.strip_prefix(current).map(Path::to_owned).ok();
        found.extend(next.iter().filter_map(|folder| holds(folder)).filter_map(relative));
        level = next;
    }
    found.sort();
    found.truncate(OFFERED);
    found
}
