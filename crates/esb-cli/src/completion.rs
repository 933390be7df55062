//! Names that a shell completes: environments, functions, owners and templates.
//!
//! A shell asks the program itself, with the words that are typed so far. Reads files of the project
//! alone, and answers with nothing rather than with an error.

use std::{collections::BTreeSet, ffi::OsStr, path::Path};

use clap::{Arg, Parser as _};
use clap_complete::{
    ArgValueCandidates, ArgValueCompleter, CompleteEnv, CompletionCandidate, PathCompleter,
    env::Shells,
};
use esb_deploy::Project;

use crate::{
    cli::{self, Cli, Command, GlobalArgs, InspectArgs},
    environment::Environment,
    inputs, loading,
};

/// The variable by which a shell asks for completions.
pub(crate) const VARIABLE: &str = "ESB_COMPLETE";

/// Flags that say of which project names are completed.
const FLAGS: [(&str, &str); 5] = [
    ("--env", "-e"),
    ("--template", "-t"),
    ("--project-dir", ""),
    ("--brand", ""),
    ("--env-file", ""),
];

/// Answers a shell that asks for completions, and ends the process then.
pub(crate) fn complete() {
    CompleteEnv::with_factory(cli::help::command).var(VARIABLE).completer("esb").complete();
}

/// The script that lets a shell ask this program for completions.
pub(crate) fn registration(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(completer) = Shells::builtins().completer(&shell.to_string()) {
        let written = completer.write_registration(VARIABLE, "esb", "esb", "esb", &mut script);
        debug_assert!(written.is_ok(), "memory can be written to");
    }
    if shell != clap_complete::Shell::Bash {
        return script;
    }
    let script = String::from_utf8_lossy(&script);
    let (asks, ends) = ("    COMPREPLY=( $( \\\n", "\n}\n");
    debug_assert!(script.contains(asks) && script.contains(ends), "{script}");
    let script = script.replacen(asks, &[JOIN, asks].concat(), 1);
    script.replacen(ends, &["\n", TRIM, "}\n"].concat(), 1).into_bytes()
}

/// Bash takes words apart at a colon, which owners contain, and at `=`, which may stand between a
/// flag and its value: they are put together again.
const JOIN: &str = r#"    if [[ " ${COMP_WORDS[*]} " == *[:=]* ]]; then
        local joined=() part="" before="" at
        for at in "${!COMP_WORDS[@]}"; do
            part="${COMP_WORDS[at]}"
            if [[ ${#joined[@]} -gt 0 && ( $part == [:=] || $before == [:=] ) ]]; then
                joined[${#joined[@]}-1]+="$part"
            else
                joined+=("$part")
            fi
            before="$part"
            if [[ $at -eq $COMP_CWORD ]]; then
                _CLAP_COMPLETE_INDEX=$(( ${#joined[@]} - 1 ))
            fi
        done
        words=("${joined[@]}")
    fi
"#;

/// Bash replaces only what follows the colon or `=`.
const TRIM: &str = r#"    local current="${words[_CLAP_COMPLETE_INDEX]}"
    if [[ $current == *[:=]* && $COMP_WORDBREAKS == *:* && ${#COMPREPLY[@]} -gt 0 ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*[:=]}"}"}")
    fi
"#;

/// A flag or an argument with the names that it can have.
pub(crate) fn with_candidates(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "env" => arg.add(ArgValueCandidates::new(environments)),
        "function" => arg.add(ArgValueCandidates::new(functions)),
        "owner" => arg.add(ArgValueCandidates::new(owners)),
        "templates" | "paths" => {
            arg.add(ArgValueCompleter::new(PathCompleter::file().filter(is_template)))
        }
        _ => arg,
    }
}

fn is_template(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    path.is_dir() || extension.is_some_and(|kind| ["yaml", "yml", "json"].contains(&kind))
}

fn candidates(names: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The project of the words that are typed.
struct Typed {
    global: GlobalArgs,
    args: InspectArgs,
    environment: Environment,
    environments: Vec<String>,
}

impl Typed {
    fn read() -> Option<Self> {
        let words: Vec<String> = std::env::args().skip_while(|word| word != "--").skip(1).collect();
        let mut known = vec!["esb".to_owned(), "inspect".to_owned()];
        for (long, short) in FLAGS {
            known.extend(values(&words, long, short).map(|value| format!("{long}={value}")));
        }
        let cli = Cli::try_parse_from(known).ok()?;
        let mut environment = Environment::capture();
        let file = crate::read_settings(&cli, &mut environment).ok()?;
        let environments = file.environments().into_iter().map(str::to_owned).collect();
        crate::take_settings(&cli, &file, &mut environment).ok()?;
        let Command::Inspect(args) = cli.command else { return None };
        Some(Self { global: cli.global, args, environment, environments })
    }

    fn project(&self) -> Option<Project> {
        let found = inputs::project(&self.global, &self.args.template, &self.environment);
        found.or_else(|_| inputs::bare_project(&self.global, &self.environment)).ok()
    }
}

/// The values that words give a flag.
fn values<'a>(words: &'a [String], long: &'a str, short: &'a str) -> impl Iterator<Item = &'a str> {
    words.iter().enumerate().filter_map(move |(at, word)| {
        let next = || words.get(at + 1).map(String::as_str).filter(|next| !next.is_empty());
        if word == long || !short.is_empty() && word == short {
            return next();
        }
        word.strip_prefix(long)?.strip_prefix('=')
    })
}

/// Environments that esb.toml names, and those that something was built for.
fn environments() -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::read() else { return Vec::new() };
    let Some(project) = typed.project() else { return Vec::new() };
    let built = std::fs::read_dir(project.brand.folder(&project.root));
    let built = built
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("config").is_dir() && entry.file_name() != "staging");
    let mut names: BTreeSet<String> =
        built.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.extend(typed.environments);
    candidates(names)
}

/// The functions of the project's templates, by logical id.
fn functions() -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::read() else { return Vec::new() };
    let project = inputs::project(&typed.global, &typed.args.template, &typed.environment);
    let Ok(project) = project else { return Vec::new() };
    let loaded = loading::load(&project, &typed.args.template, &typed.environment);
    let functions = loaded.map(|loaded| loaded.app.functions).unwrap_or_default();
    candidates(functions.into_iter().map(|function| function.id.logical_id))
}

/// The owners of what this project has published.
fn owners() -> Vec<CompletionCandidate> {
    let Some(typed) = Typed::read() else { return Vec::new() };
    let Some(project) = typed.project() else { return Vec::new() };
    let compose_project = inputs::compose_project(None, &project, &typed.environment);
    let staging = project.folder_at(&project.staging(&compose_project));
    let Ok(published) = esb_config::read(&staging) else { return Vec::new() };
    let owners = published.state.owners.iter();
    let names: BTreeSet<String> = owners
        .map(|(_, owner)| format!("{}:{}", owner.application().unwrap_or(""), owner.template()))
        .collect();
    candidates(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_however_they_are_typed() {
        let words =
            ["esb", "invoke", "-e", "dev", "--template=a.yaml", "--template", "b.yaml", "-t", ""];
        let words = words.map(str::to_owned);
        let of = |long, short| values(&words, long, short).collect::<Vec<_>>();
        assert_eq!(of("--env", "-e"), ["dev"]);
        assert_eq!(of("--template", "-t"), ["a.yaml", "b.yaml"]);
        assert!(of("--brand", "").is_empty());
    }
}
