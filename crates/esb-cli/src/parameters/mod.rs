//! Collects the values of template parameters from all their sources.
//!
//! Owns the order of the sources, the strongest first: `--parameter`, `--parameters-file`,
//! `ESB_PARAM_<KEY>`, `parameter_overrides` of samconfig; the template's own defaults come last,
//! where templates are read. Knows no declarations but their names.

mod samconfig;
mod shapes;
mod tree;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use esb_deploy::{Error, Kind, Project, TemplateFile, read_given_text};
use esb_model::{Finding, Severity};
use esb_sam::codes;

use crate::{cli::TemplateArgs, environment::Environment};
use shapes::Values;
use tree::{Language, Tree};

/// Most names that a message lists.
const NAMES_SHOWN: usize = 20;

/// All given values.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// The weakest first.
    layers: Vec<Layer>,
}

/// The values of one source.
#[derive(Debug)]
struct Layer {
    source: Source,
    /// The one template that they are for, else all.
    template: Option<usize>,
    values: Values,
}

/// Where values come from.
#[derive(Debug)]
enum Source {
    /// `--parameter` of this run: a name that nothing declares is a mistake.
    Argument,
    /// A file by its name; it may hold values for other templates.
    File(String),
    /// Variables with this prefix, which may be there for other templates.
    Variables(String),
}

impl Source {
    /// The severity of a name that no template declares.
    fn severity(&self) -> Severity {
        match self {
            Self::Argument => Severity::Error,
            Self::File(_) | Self::Variables(_) => Severity::Warning,
        }
    }

    /// What stands behind a name in messages.
    fn words(&self, name: &str) -> String {
        match self {
            Self::Argument => String::new(),
            Self::File(file) => format!(" of `{file}`"),
            Self::Variables(prefix) => format!(" that `{prefix}{name}` sets"),
        }
    }
}

impl Parameters {
    /// Reads all sources.
    pub(crate) fn read(
        project: &Project,
        args: &TemplateArgs,
        environment: &Environment,
    ) -> Result<Self, Error> {
        let mut layers = Vec::new();
        for (number, template) in project.templates.iter().enumerate() {
            layers.extend(from_samconfig(project, template, number)?);
        }
        let own = environment.parameters();
        let values = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let source = Source::Variables(environment.parameter_prefix());
        layers.push(Layer { source, template: None, values });
        for path in &args.parameters_file {
            layers.push(from_file(path)?);
        }
        layers.extend(from_overrides(&args.parameter_overrides)?);
        layers.extend(from_arguments(project, &args.parameters)?);
        Ok(Self { layers })
    }

    /// The values for a template.
    pub(crate) fn of(&self, template: usize) -> Values {
        let fits = |layer: &&Layer| layer.template.is_none_or(|own| own == template);
        let values = self.layers.iter().filter(fits).flat_map(|layer| layer.values.clone());
        values.collect()
    }

    /// Findings about names that no template declares: slips of the pen.
    ///
    /// `declared` has the names of each template.
    pub(crate) fn unused(&self, declared: &[BTreeSet<String>]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for layer in &self.layers {
            let names: BTreeSet<&str> = declared
                .iter()
                .enumerate()
                .filter(|(number, _)| layer.template.is_none_or(|own| own == *number))
                .flat_map(|(_, names)| names.iter().map(String::as_str))
                .collect();
            let who = if layer.template.is_some() {
                "the template does not declare"
            } else {
                "no template declares"
            };
            let unknown = layer.values.keys().filter(|name| !names.contains(name.as_str()));
            findings.extend(unknown.map(|name| {
                let name = name.escape_debug().to_string();
                let of = layer.source.words(&name);
                let message = format!("{who} the parameter `{name}`{of}");
                Finding::new(layer.source.severity(), codes::UNKNOWN_PARAMETER, None, message)
                    .help(help(&name, &names))
            }));
        }
        findings
    }
}

/// The name that is meant, else those that there are.
fn help(wrong: &str, declared: &BTreeSet<&str>) -> String {
    /// Names longer than this are compared with none.
    const LONGEST: usize = 64;
    if declared.is_empty() {
        return "the template has no parameters".to_owned();
    }
    let allowed = match wrong.len() {
        0..=1 => 0,
        2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let distance = |name: &str| strsim::osa_distance(&wrong.to_lowercase(), &name.to_lowercase());
    let near = declared.iter().filter(|name| wrong.len().max(name.len()) <= LONGEST);
    let near = near.map(|name| (distance(name), name)).filter(|(found, _)| *found <= allowed);
    if let Some((_, name)) = near.min() {
        return format!("did you mean `{name}`?");
    }
    let shown: Vec<&str> = declared.iter().take(NAMES_SHOWN).copied().collect();
    let more = if declared.len() > NAMES_SHOWN { ", …" } else { "" };
    format!("its parameters are {}{more}", shown.join(", "))
}

/// The file beside the template, else the one in the project's root, and its name in messages.
fn samconfig_of(project: &Project, template: &Path) -> Option<(PathBuf, String)> {
    let beside = template.parent().and_then(samconfig::find);
    let path = beside.or_else(|| samconfig::find(&project.root))?;
    let name = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
    Some((path, name))
}

/// The name of a template's stack in SAM CLI's configuration, and the file that says it.
pub(crate) fn stack_name(
    project: &Project,
    template: &Path,
) -> Result<Option<(String, String)>, Error> {
    let Some((path, file)) = samconfig_of(project, template) else { return Ok(None) };
    let name = samconfig::stack_name(&load_samconfig(&path, &file)?, &project.environment)
        .map_err(|cause| failure(format!("could not read the stack_name of `{file}`"), cause))?;
    Ok(name.map(|name| (name, file)))
}

fn load_samconfig(path: &Path, name: &str) -> Result<Tree, Error> {
    samconfig::load(path).map_err(|cause| {
        failure(format!("could not read `{name}`"), cause)
            .in_file(path, None)
            .hint("correct the file there, or move it away: SAM CLI cannot read it either")
    })
}

fn from_samconfig(
    project: &Project,
    template: &TemplateFile,
    number: usize,
) -> Result<Option<Layer>, Error> {
    let Some((path, name)) = samconfig_of(project, &template.path) else { return Ok(None) };
    let tree = load_samconfig(&path, &name)?;
    let values = samconfig::values(&tree, &path, &project.environment).map_err(|cause| {
        let text = format!("could not read the parameter_overrides of `{name}`");
        failure(text, cause).in_file(&path, None)
    })?;
    Ok(Some(Layer { source: Source::File(name), template: Some(number), values }))
}

fn from_file(path: &Path) -> Result<Layer, Error> {
    let name = path.display();
    let failed = |cause| {
        let text = format!("could not read the parameters file `{name}`");
        failure(text, cause).in_file(path, None).hint(
            "it holds a map of names and values, or CloudFormation's list of ParameterKey and \
             ParameterValue, in JSON or YAML",
        )
    };
    let text = read_given_text(path).map_err(failed)?;
    let tree = Tree::parse(&text, Language::of(path)).map_err(failed)?;
    let values = shapes::file(&tree).map_err(failed)?;
    Ok(Layer { source: Source::File(name.to_string()), template: None, values })
}

/// The values of `--parameter-overrides`, as SAM CLI reads them.
fn from_overrides(arguments: &[String]) -> Result<Option<Layer>, Error> {
    let mut values = Values::new();
    for text in arguments {
        let read = samconfig::overrides(text).map_err(|cause| {
            // The value may be a secret: only the name is told.
            let name: String = text.chars().take_while(|c| *c != '=').collect();
            let text = format!("could not read `{name}` of `--parameter-overrides`");
            let mut error = Error::new(Kind::Usage, "parameter", text);
            error.causes.push(cause);
            error
        })?;
        values.extend(read);
    }
    Ok((!values.is_empty()).then_some(Layer { source: Source::Argument, template: None, values }))
}

/// `KEY=VALUE` for all templates, and after it `TEMPLATE:KEY=VALUE` for one, which is stronger.
fn from_arguments(project: &Project, arguments: &[String]) -> Result<Vec<Layer>, Error> {
    let layer = |template| Layer { source: Source::Argument, template, values: Values::new() };
    let mut all = layer(None);
    let mut own: Vec<Layer> = (0..project.templates.len()).map(|at| layer(Some(at))).collect();
    for text in arguments {
        let usage = |text: String| Error::new(Kind::Usage, "parameter", text);
        let Some((key, value)) = text.split_once('=') else {
            return Err(usage(format!("`--parameter {text}` has no value: expected KEY=VALUE")));
        };
        let value = match value.strip_prefix('@') {
            Some(file) => {
                let text = read_given_text(Path::new(file)).map_err(|cause| {
                    failure(format!("could not read `{file}`, the value of `{key}`"), cause)
                })?;
                text.trim_end_matches(['\n', '\r']).to_owned()
            }
            None => value.to_owned(),
        };
        let Some((template, key)) = key.rsplit_once(':') else {
            all.values.insert(key.to_owned(), value);
            continue;
        };
        let fits = |file: &TemplateFile| file.name == template || file.owner == template;
        let Some(at) = project.templates.iter().position(fits) else {
            let names: Vec<&str> = project.templates.iter().map(|file| &*file.name).collect();
            return Err(usage(format!("`{template}` is not one of the templates"))
                .hint(format!("the templates are {}", names.join(", "))));
        };
        own[at].values.insert(key.to_owned(), value);
    }
    Ok([all].into_iter().chain(own).collect())
}

fn failure(text: String, cause: String) -> Error {
    let mut failure = Error::new(Kind::Input, "parameter", text);
    failure.causes.push(cause);
    failure
}

#[cfg(test)]
mod tests {
    use std::fs;

    use esb_model::Brand;

    use super::*;

    /// Two templates in folders of their own, and every source.
    fn project(root: &Path) -> Project {
        let template = |name: &str| root.join(name).join("template.yaml");
        for name in ["one", "two"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let overrides =
            |text: &str| format!("[default.deploy.parameters]\nparameter_overrides = '{text}'\n");
        fs::write(root.join("samconfig.toml"), overrides("A=root B=root S=root")).unwrap();
        fs::write(root.join("two/samconfig.toml"), overrides("A=two S=two X=two")).unwrap();
        fs::write(root.join("values.yaml"), "A: file\nB: file\nC: file\n").unwrap();
        fs::write(root.join("value"), "from a file\n").unwrap();
        let templates = vec![template("one"), template("two")];
        Project::new(root, root, "default").unwrap().with_templates(templates)
    }

    #[test]
    fn order_of_sources() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let project = project(root);
        let mut environment = Environment::default();
        environment.set_brand(&Brand::default());
        let variables = "ESB_PARAM_B=environment\nESB_PARAM_D=environment\nESB_PARAM_OTHER=1";
        environment.add_file(Path::new("test"), variables).unwrap();
        let read = |file: bool, arguments: &[&str]| {
            let args = TemplateArgs {
                parameters: arguments.iter().map(|text| (*text).to_owned()).collect(),
                parameters_file: file.then(|| root.join("values.yaml")).into_iter().collect(),
                ..TemplateArgs::default()
            };
            Parameters::read(&project, &args, &environment).unwrap()
        };
        let check = |given: &Parameters, template: usize, expected: &str| {
            let values = given.of(template);
            let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
            assert_eq!(shown.join(" "), expected);
        };
        let given = read(false, &[]);
        check(&given, 0, "A=root B=environment D=environment OTHER=1 S=root");
        check(&given, 1, "A=two B=environment D=environment OTHER=1 S=two X=two");
        let given = read(true, &["two/template.yaml:C=own", "C=flag", "E=x=y"]);
        check(&given, 0, "A=file B=file C=flag D=environment E=x=y OTHER=1 S=root");
        check(&given, 1, "A=file B=file C=own D=environment E=x=y OTHER=1 S=two X=two");
        let value = format!("A=@{}", root.join("value").display());
        check(
            &read(false, &[&value]),
            0,
            "A=from a file B=environment D=environment OTHER=1 S=root",
        );

        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let findings = given.unused(&[names("A B C S"), names("A B")]);
        let messages: Vec<&str> = findings.iter().map(|finding| &*finding.message).collect();
        assert_eq!(
            messages,
            [
                "the template does not declare the parameter `S` of `two/samconfig.toml`",
                "the template does not declare the parameter `X` of `two/samconfig.toml`",
                "no template declares the parameter `D` that `ESB_PARAM_D` sets",
                "no template declares the parameter `OTHER` that `ESB_PARAM_OTHER` sets",
                "no template declares the parameter `E`",
                "the template does not declare the parameter `C`",
            ]
        );
        assert_eq!(findings[4].help, Some("its parameters are A, B, C, S".into()));
        let severities: Vec<_> = findings.iter().map(|finding| finding.severity).collect();
        let (warning, error) = (Severity::Warning, Severity::Error);
        assert_eq!(severities, [warning, warning, warning, warning, error, error]);
        let declared = BTreeSet::from(["Stage", "Names"]);
        assert_eq!(help("Stgae", &declared), "did you mean `Stage`?");
    }

    #[test]
    fn bad_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path());
        let check = |argument: &str, expected: &str| {
            let failure = from_arguments(&project, &[argument.to_owned()]).unwrap_err();
            assert_eq!(failure.message, expected);
        };
        check("A", "`--parameter A` has no value: expected KEY=VALUE");
        check("three:A=1", "`three` is not one of the templates");
        check("A=@/no/such", "could not read `/no/such`, the value of `A`");
        check("A=@/dev/zero", "could not read `/dev/zero`, the value of `A`");
    }
}
