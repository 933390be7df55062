//! Asks before a run for what is required and not given: the template, and the values of parameters
//! without a default. With `--ask` also for what has a default: the environment, the mode, and the
//! other parameters.
//!
//! Answers complete the command line as if they had been flags there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use esb_deploy::{Error, Mode, Project, TEMPLATE_NAMES, settings::SettingsFile};
use esb_sam::{Parameter, ParameterOrigin};

use crate::{
    answers::{Saved, TemplateAnswers, Values},
    ask::{self, Question},
    cli::{BuildArgs, Cli, Command},
    environment::Environment,
    inputs,
};

/// Values of parameters for each template by its number.
pub(crate) type Answers = BTreeMap<usize, Values>;

/// The most folders that are looked into for templates, and the most templates that are offered.
const FOLDERS: usize = 500;
const OFFERED: usize = 20;

/// The most defaults that a line names, and the longest that is shown whole.
const DEFAULTS: usize = 8;
const LONGEST: usize = 40;

/// The answers that were given before the templates are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct PromptedFields {
    environment: Option<String>,
    mode: Option<Mode>,
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

/// Whether a command asks for what has a default as well.
pub(crate) fn asks_all(cli: &mut Cli) -> bool {
    build_args(&mut cli.command).is_some_and(|args| args.plan.ask)
}

/// Asks for a template, where the folder has none and nothing names one.
pub(crate) async fn template(
    cli: &mut Cli,
    file: &SettingsFile,
    environment: &Environment,
) -> Result<(), Error> {
    let Some(args) = build_args(&mut cli.command) else { return Ok(()) };
    let current = environment.current_folder()?;
    let is_found = || esb_deploy::find_template(current, Path::new("."), true).is_ok();
    if !args.template.templates.is_empty() || file.names_templates() || is_found() {
        return Ok(());
    }
    let found = below(current);
    if found.is_empty() {
        return Ok(());
    }
    ask::tell(["This folder has no template. Templates in its subfolders:"]);
    let shown: Vec<String> = found.iter().map(|path| path.display().to_string()).collect();
    for (number, path) in shown.iter().enumerate() {
        ask::tell([format!("  {}  {path}", number + 1)]);
    }
    let chosen = |answer: &str| match answer.parse::<usize>() {
        Ok(number) => number.checked_sub(1).and_then(|at| found.get(at).cloned()),
        Err(_) => Some(PathBuf::from(answer)).filter(|path| current.join(path).is_file()),
    };
    let check = |answer: &str| match chosen(answer) {
        Some(_) => Ok(()),
        None if found.len() == 1 => Err(format!("`{answer}` is neither 1 nor a file")),
        None => Err(format!("`{answer}` is neither a number from 1 to {} nor a file", found.len())),
    };
    let default = (found.len() == 1).then_some("1");
    let question = Question { name: "Number or path", default, is_secret: false };
    args.template.templates.extend(chosen(&question.ask(check).await?));
    Ok(())
}

/// Asks for the environment, with what was answered before for the first template.
pub(crate) async fn environment(
    cli: &mut Cli,
    environment: &Environment,
    asked: &mut PromptedFields,
) -> Result<(), Error> {
    if inputs::names_environment(&cli.global, environment) {
        return Ok(());
    }
    let Some(args) = build_args(&mut cli.command) else { return Ok(()) };
    // What is wrong with the templates is told by who reads them.
    let Ok(project) = inputs::project(&cli.global, &args.template, environment) else {
        return Ok(());
    };
    let saved = before(&project).and_then(|saved| saved.environment);
    let default = Some(saved.as_deref().unwrap_or("default"));
    let check = |name: &str| esb_model::check_environment_name(name).map_err(|e| e.to_string());
    let question = Question { name: "Environment", default, is_secret: false };
    let name = question.ask(check).await?;
    asked.environment = Some(name.clone());
    cli.global.env = Some(name);
    Ok(())
}

/// Asks for the mode, with that of earlier answers; a project that runs has its own.
pub(crate) async fn mode(
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
    let default = saved.as_deref().filter(|mode| Mode::named(mode).is_some()).or(Some("docker"));
    let check = |name: &str| match Mode::named(name) {
        Some(_) => Ok(()),
        None => Err(format!("`{name}` is not one of docker, containerd")),
    };
    let question = Question { name: "Mode (docker, containerd)", default, is_secret: false };
    asked.mode = Mode::named(&question.ask(check).await?);
    args.mode = asked.mode;
    Ok(())
}

fn saved_answers(project: &Project) -> Saved {
    Saved::read(&project.folder().join(project.brand.folder_name()), &project.root)
}

fn before(project: &Project) -> Option<TemplateAnswers> {
    saved_answers(project).templates.remove(&project.templates.first()?.owner)
}

/// A parameter that may be asked for, with the number of its template.
pub(crate) type Open = (usize, Parameter);

/// The parameters that a person is asked for.
pub(crate) fn wanted(open: &[Open], asks_all: bool) -> Vec<Open> {
    let is_wanted =
        |(_, parameter): &&Open| asks_all || parameter.origin == ParameterOrigin::Missing;
    open.iter().filter(is_wanted).cloned().collect()
}

/// Asks for parameters, with what was answered before; once for those of several templates that
/// have one name, as `--parameter NAME=VALUE` is for all of them. `check` says what is wrong with a
/// value.
///
/// # Errors
/// At the end of the input, which cancels the command.
pub(crate) async fn parameters(
    project: &Project,
    wanted: &[Open],
    check: impl Fn(&Open, &str) -> Result<(), String>,
) -> Result<Answers, Error> {
    let saved = saved_answers(project);
    let mut answers = Answers::new();
    for group in of_one_name(wanted) {
        let names: Vec<&str> =
            group.iter().map(|(number, _)| &*project.templates[*number].name).collect();
        let mut parameter = group[0].1.clone();
        parameter.no_echo = group.iter().any(|(_, parameter)| parameter.no_echo);
        let check = |value: &str| group.iter().try_for_each(|open| check(open, value));
        let before = group.iter().find_map(|open| saved_value(&saved, project, open));
        let before = before.filter(|value| !parameter.no_echo && check(value).is_ok());
        let value = parameter_value(&parameter, &names.join(" and "), before, check).await?;
        for (number, parameter) in group {
            let own = answers.entry(*number).or_default();
            own.extend(value.clone().map(|value| (parameter.name.clone(), value)));
        }
    }
    answers.retain(|_, values| !values.is_empty());
    Ok(answers)
}

/// Parameters of one name and default side by side, in the order of the first of each.
fn of_one_name(wanted: &[Open]) -> Vec<Vec<&Open>> {
    let mut groups: Vec<Vec<&Open>> = Vec::new();
    for open in wanted {
        let (_, parameter) = open;
        let is_same = |group: &&mut Vec<&Open>| {
            let (_, first) = group[0];
            first.name == parameter.name && first.default == parameter.default
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push(open),
            None => groups.push(vec![open]),
        }
    }
    groups
}

fn saved_value<'a>(
    saved: &'a Saved,
    project: &Project,
    (number, parameter): &Open,
) -> Option<&'a String> {
    let of = saved.templates.get(&project.templates[*number].owner)?;
    of.parameters.get(&project.environment)?.get(&parameter.name)
}

/// A line for answers of before where nobody can be asked: they are no values, and one may be meant.
pub(crate) fn unused_answers_line(project: &Project, open: &[Open]) -> Option<String> {
    let saved = saved_answers(project);
    let of_missing = wanted(open, false);
    let flag = |open: &Open| {
        let value = saved_value(&saved, project, open).filter(|_| !open.1.no_echo)?;
        Some(format!("`--parameter {}={}`", open.1.name, shortened(value)))
    };
    let flags: Vec<String> = of_missing.iter().filter_map(flag).collect();
    (!flags.is_empty()).then(|| {
        format!("Saved answers only prefill questions; as flags they are {}", flags.join(", "))
    })
}

/// Asks for one value; none where the template's hidden default stays.
async fn parameter_value(
    parameter: &Parameter,
    file: &str,
    before: Option<&String>,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<String>, Error> {
    let Parameter { name, allowed, description, default, no_echo, .. } = parameter;
    let about = description.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    ask::tell([format!("Parameter `{name}` of {file}{about}")]);
    if !allowed.is_empty() {
        ask::tell([format!("  one of {}", allowed.join(", "))]);
    }
    if let (Some(default), Some(before)) = (default, before)
        && before != default
    {
        ask::tell([format!("  the template's default is {default}")]);
    }
    // The default of a secret is not known here: what stands for it is never a value.
    let is_kept = |value: &str| *no_echo && default.as_deref() == Some(value);
    let check = |value: &str| match value {
        _ if is_kept(value) => Ok(()),
        "" if default.as_deref() != Some("") => Err("a value is required".to_owned()),
        value => check(value),
    };
    let prefilled = before.or(default.as_ref()).map(String::as_str);
    let question = Question { name, default: prefilled, is_secret: *no_echo };
    let value = question.ask(check).await?;
    Ok(Some(value).filter(|value| !is_kept(value)))
}

/// Remembers what was answered, for the next questions; never a secret.
///
/// # Errors
/// When a link is in the way.
pub(crate) fn remember(
    project: &Project,
    asked: &PromptedFields,
    open: &[Open],
    answers: &Answers,
) -> Result<(), Error> {
    if answers.is_empty() && asked.environment.is_none() && asked.mode.is_none() {
        return Ok(());
    }
    let mut saved = saved_answers(project);
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, parameter) in open.iter().filter(|(_, parameter)| !parameter.no_echo) {
        let owner = project.templates[*number].owner.clone();
        known.entry(owner).or_default().push(parameter.name.clone());
    }
    for (number, template) in project.templates.iter().enumerate() {
        let of = saved.templates.entry(template.owner.clone()).or_default();
        if asked.environment.is_some() {
            of.environment.clone_from(&asked.environment);
        }
        if let Some(mode) = asked.mode {
            of.mode = Some(mode.name().to_owned());
        }
        let (Some(values), Some(known)) = (answers.get(&number), known.get(&template.owner)) else {
            continue;
        };
        let own = of.parameters.entry(project.environment.clone()).or_default();
        let public = values.iter().filter(|(name, _)| known.contains(name));
        own.extend(public.map(|(name, value)| (name.clone(), value.clone())));
    }
    match saved.write(project, &known) {
        Err(error @ esb_config::Error::Folder(_)) => Err(error.into()),
        // A folder that cannot be written is told by what has to be written there.
        _best_effort => Ok(()),
    }
}

/// The line that says which values were taken without a question; `taken` are those of flags that
/// nothing gave.
pub(crate) fn defaults_line(
    taken: &[(&str, &str)],
    open: &[Open],
    may_ask: bool,
) -> Option<String> {
    let own = taken.iter().map(|(name, value)| format!("{name} {value}"));
    let parameters = open.iter().filter_map(|(_, parameter)| {
        let value = parameter.default.as_deref()?;
        Some(format!("{} = {}", parameter.name, shortened(value)))
    });
    let mut all: Vec<String> = own.chain(parameters).collect();
    if all.len() > DEFAULTS {
        let more = all.len() - DEFAULTS;
        all.truncate(DEFAULTS);
        all.push(format!("{more} more"));
    }
    let how = if may_ask { " (`--ask` asks for them)" } else { "" };
    (!all.is_empty()).then(|| format!("Using defaults: {}{how}", all.join(", ")))
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
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
