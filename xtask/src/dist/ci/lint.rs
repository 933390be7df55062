//! Reads workflows, the action and the guide's examples with the tools that people check theirs with.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use esb_test::go_program;

use super::{REQUIREMENTS, fresh};
use crate::{
    checks::Outcome,
    command::{command, output, root},
    python,
};

const WORKFLOWS: [&str; 2] = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
const ACTION: &str = ".github/actions/setup-esb/action.yml";
const SCRIPTS: [&str; 2] =
    [".github/actions/setup-esb/install.sh", ".github/actions/setup-esb/validate.sh"];
const GUIDE: &str = "docs/guides/ci.md";

/// Reads all of them.
pub(super) fn all(folder: &Path) -> Outcome {
    let folder = fresh(folder, "lint")?;
    let tools = python::environment("ci", REQUIREMENTS)?;
    let tool = |name: &str| tools.with_file_name(name);
    let example = |start: &str, name: &str| example(&folder, start, name);
    let workflow = example("name: ", "workflow.yml")?;
    let steps = folder.join("steps.yml");
    fs::write(&steps, as_workflow(&fs::read_to_string(root().join(ACTION))?)?)?;

    output(command(tool("shellcheck")).args(SCRIPTS))?;
    let mut actionlint = command(go_program("actionlint", "actionlint")?);
    actionlint.arg("-shellcheck").arg(tool("shellcheck")).args(WORKFLOWS);
    output(actionlint.arg(&workflow).arg(&steps))?;

    let schema = |name: &str, file: &Path| {
        let mut check = command(tool("check-jsonschema"));
        output(check.args(["--builtin-schema", name]).arg(file)).map(drop)
    };
    for path in WORKFLOWS.map(|path| root().join(path)).iter().chain([&workflow]) {
        schema("vendor.github-workflows", path)?;
    }
    schema("vendor.github-actions", &root().join(ACTION))?;
    schema("vendor.gitlab-ci", &example("stages: ", "gitlab-ci.yml")?)?;
    let hooks = root().join(".pre-commit-hooks.yaml");
    output(command(tool("pre-commit")).arg("validate-manifest").arg(hooks))?;
    let config = example("repos:", "pre-commit.yaml")?;
    output(command(tool("pre-commit")).arg("validate-config").arg(config)).map(drop)
}

/// Writes the guide's example that starts with a text to a file.
fn example(folder: &Path, start: &str, name: &str) -> Outcome<PathBuf> {
    let guide = fs::read_to_string(root().join(GUIDE))?;
    let mut found = guide.split("```yaml\n").filter(|block| block.starts_with(start));
    let (Some(block), None) = (found.next(), found.next()) else {
        return Err(format!("{GUIDE} has other than one example that starts with `{start}`").into());
    };
    let path = folder.join(name);
    fs::write(&path, block.split("```").next().unwrap_or_default())?;
    Ok(path)
}

/// The steps of an action as those of a workflow that is called with the same inputs, for the linter
/// reads no steps of actions.
fn as_workflow(action: &str) -> Outcome<String> {
    let part = |start: &str, end: &str| {
        let (_, rest) = action.split_once(start).ok_or("the action has another form")?;
        Ok::<_, &str>(rest.split(end).next().unwrap_or_default())
    };
    let mut text = "on:\n  workflow_call:\n    inputs:\n".to_owned();
    for line in part("\ninputs:\n", "\noutputs:")?.lines() {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        if let Some(name) = line.trim().strip_suffix(':').filter(|_| is_name) {
            let _ = writeln!(text, "      {name}:\n        type: string");
        }
    }
    text.push_str("jobs:\n  action:\n    runs-on: ubuntu-latest\n    steps:\n");
    for line in part("\n  steps:\n", "\0")?.lines() {
        let _ = writeln!(text, "  {line}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::as_workflow;

    #[test]
    fn an_action_is_read_as_a_workflow() {
        let action = "name: a\ninputs:\n  one:\n    default: ''\n  two:\n    description: >-\n      \
                      text:\n\noutputs:\n  x:\nruns:\n  using: composite\n  steps:\n    - run: y\n";
        let expected = "on:\n  workflow_call:\n    inputs:\n      one:\n        type: string\n      \
                        two:\n        type: string\njobs:\n  action:\n    runs-on: \
                        ubuntu-latest\n    steps:\n      - run: y\n";
        assert_eq!(as_workflow(action).unwrap(), expected);
    }
}
