//! Command lines as people write them for SAM CLI: what means the same here is taken, what means
//! nothing here is left out with a word, and the rest is answered with what to write instead.

use std::{ffi::OsString, path::Path};

use esb_deploy::{Error, Kind};

use crate::cli::{Cli, Command};

/// How many values a flag takes.
#[derive(Debug, Clone, Copy)]
enum Values {
    None,
    One,
    /// All words up to the next flag.
    Many,
}

/// What a flag of SAM CLI means here.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The same as flags of ours.
    Same(&'static str),
    /// Nothing: why not.
    Nothing(&'static str),
    /// Something that is said otherwise: how.
    Otherwise(&'static str),
}

use Meaning::{Nothing, Otherwise, Same};

const NO_ACCOUNT: &str = "nothing is sent to an AWS account";
const NO_ROLES: &str = "no roles are created";
const NO_BUCKET: &str = "nothing is uploaded to S3";
const NO_STACK: &str = "there is no CloudFormation stack";
const BUILDS: &str = "images are built from what changed, several at a time, and packages that have to \
                      be compiled are compiled in the image";

/// Flags that are SAM CLI's alone.
const FLAGS: [(&str, Values, Meaning); 29] = [
    ("--json", Values::None, Same("--format=json")),
    ("--no-confirm-changeset", Values::None, Same("--yes")),
    ("--guided", Values::None, Same("--ask")),
    ("--debug", Values::None, Same("--verbose")),
    ("--config-env", Values::One, Same("--env")),
    ("--profile", Values::One, Nothing(NO_ACCOUNT)),
    ("--role-arn", Values::One, Nothing(NO_ACCOUNT)),
    ("--capabilities", Values::Many, Nothing(NO_ROLES)),
    ("--s3-bucket", Values::One, Nothing(NO_BUCKET)),
    ("--s3-prefix", Values::One, Nothing(NO_BUCKET)),
    ("--resolve-s3", Values::None, Nothing(NO_BUCKET)),
    ("--force-upload", Values::None, Nothing(NO_BUCKET)),
    ("--kms-key-id", Values::One, Nothing(NO_BUCKET)),
    ("--tags", Values::Many, Nothing(NO_STACK)),
    ("--notification-arns", Values::Many, Nothing(NO_STACK)),
    ("--fail-on-empty-changeset", Values::None, Nothing(NO_STACK)),
    ("--no-fail-on-empty-changeset", Values::None, Nothing(NO_STACK)),
    ("--disable-rollback", Values::None, Nothing(NO_STACK)),
    ("--resolve-image-repos", Values::None, Nothing("`--registry` names the registry")),
    ("--use-container", Values::None, Nothing(BUILDS)),
    ("--cached", Values::None, Nothing(BUILDS)),
    ("--parallel", Values::None, Nothing(BUILDS)),
    ("--lint", Values::None, Nothing("`esb validate` always reports everything")),
    ("--no-execute-changeset", Values::None, Otherwise("`--dry-run` shows what would be done")),
    (
        "--confirm-changeset",
        Values::None,
        Otherwise("set `confirm = \"always\"` in esb.toml to be asked before every deploy"),
    ),
    (
        "--stack-name",
        Values::One,
        Otherwise("set `application = \"NAME\"` in esb.toml, or `stack_name` in samconfig.toml"),
    ),
    (
        "--config-file",
        Values::One,
        Otherwise("the samconfig.toml beside the template, or in the project root, is read"),
    ),
    ("--image-repository", Values::One, Otherwise("name the registry with `--registry`")),
    ("--build-dir", Values::One, Otherwise("`--output DIR` copies what is generated")),
];

/// Commands that are SAM CLI's alone, or that people expect.
const COMMANDS: [(&str, &str); 10] = [
    ("local", "`esb invoke FUNCTION` runs one function's image with an event"),
    ("remote", "`esb invoke FUNCTION` runs one function's image with an event"),
    ("package", "`esb build` builds the images, `esb deploy` publishes them as well"),
    ("sync", "`esb deploy` builds and publishes what changed"),
    ("up", "`esb deploy` builds and publishes what changed"),
    ("delete", "`esb config rm --owner TEMPLATE` removes what a template published"),
    ("rm", "`esb config rm --owner TEMPLATE` removes what a template published"),
    ("list", "`esb config ls` lists what is published"),
    ("ls", "`esb config ls` lists what is published, `esb image ls` the images"),
    ("traces", "`esb logs --trace ID` shows the records of one trace"),
];

/// What to do instead of a command that there is not.
pub(crate) fn instead_of_command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}

/// A command line of ours, made from one of SAM CLI.
#[derive(Debug, Default)]
pub(crate) struct Translated {
    pub(crate) arguments: Vec<OsString>,
    /// What is to be said about flags that were left out.
    pub(crate) warnings: Vec<String>,
    /// What is wrong: the first flag that has to be written otherwise.
    pub(crate) error: Option<String>,
}

/// Takes flags of SAM CLI from a command line.
pub(crate) fn translate(arguments: impl IntoIterator<Item = OsString>) -> Translated {
    let mut translated = Translated::default();
    let mut rest = arguments.into_iter().peekable();
    translated.arguments.extend(rest.next());
    while let Some(argument) = rest.next() {
        if argument == "--" {
            translated.arguments.push(argument);
            translated.arguments.extend(rest.by_ref());
            break;
        }
        let text = argument.to_str().unwrap_or_default();
        let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
        let Some((name, values, meaning)) = FLAGS.iter().find(|(known, ..)| *known == name) else {
            translated.arguments.push(argument);
            continue;
        };
        if let Same(own) = meaning {
            let value = value.map(|value| format!("={value}")).unwrap_or_default();
            translated.arguments.push(format!("{own}{value}").into());
            continue;
        }
        let is_value = |next: &OsString| !next.to_string_lossy().starts_with('-');
        match values {
            Values::One if value.is_none() => drop(rest.next_if(is_value)),
            Values::Many => while rest.next_if(is_value).is_some() {},
            Values::None | Values::One => {}
        }
        match meaning {
            Otherwise(instead) => {
                let text = format!("there is no `{name}` here: {instead}");
                translated.error.get_or_insert(text);
            }
            Nothing(why) => translated.warnings.push(format!("`{name}` has no effect: {why}")),
            Same(_) => {}
        }
    }
    translated
}

/// SAM CLI's `-e` names an event.
pub(crate) fn check_event(cli: &Cli) -> Result<(), Error> {
    let (Command::Invoke(invoke), Some(name)) = (&cli.command, &cli.global.env) else {
        return Ok(());
    };
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("json"))
        || name == "-"
        || name.contains('/') && path.is_file();
    if invoke.event.is_some() || !is_file {
        return Ok(());
    }
    let text = "`-e` names the environment, not the event";
    let hint = format!("name the event with `--event {}`", name.escape_debug());
    Err(Error::new(Kind::Usage, "event", text).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_sam_cli() {
        let check = |line: &str, expected: &str| {
            let Translated { arguments, warnings, error } =
                translate(line.split(' ').map(OsString::from));
            let own: Vec<_> = arguments.iter().filter_map(|one| one.to_str()).collect();
            let said: Vec<String> = warnings.into_iter().chain(error).collect();
            let said: Vec<_> = said.iter().map(|text| text.split(':').next().unwrap()).collect();
            assert_eq!(format!("{} / {}", own.join(" "), said.join("; ")), expected, "{line}");
        };
        check("esb validate --json a", "esb validate --format=json a / ");
        check(
            "esb deploy --capabilities A B --dry-run",
            "esb deploy --dry-run / `--capabilities` has no effect",
        );
        check("esb deploy --profile=x t.yaml", "esb deploy t.yaml / `--profile` has no effect");
        check("esb deploy --profile x t.yaml", "esb deploy t.yaml / `--profile` has no effect");
        check(
            "esb deploy --stack-name x --guided",
            "esb deploy --ask / there is no `--stack-name` here",
        );
        check("esb deploy --config-env=x -e y", "esb deploy --env=x -e y / ");
        check("esb invoke F -- --json", "esb invoke F -- --json / ");
        check("--json", "--json / ");
    }

    /// A flag that becomes one of ours is not a flag of SAM CLI alone.
    #[test]
    fn no_flag_hides_one_of_ours() {
        let mut root = crate::cli::help::command();
        root.build();
        let mut commands = vec![root];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            for (name, ..) in FLAGS {
                let is_ours = |arg: &clap::Arg| arg.get_long() == name.strip_prefix("--");
                assert!(!command.get_arguments().any(is_ours), "{name} of {command}");
            }
            let is_ours = |(name, _): &(&str, &str)| command.get_name() == *name;
            let taken = COMMANDS.iter().find(|one| is_ours(one));
            assert!(taken.is_none_or(|(name, _)| ["ls", "rm"].contains(name)), "{taken:?}");
        }
    }
}
