//! What is done in each captured terminal.

use std::{fmt::Write as _, fs, path::Path};

use crate::checks::Outcome;

/// A project and what somebody does with it.
pub(super) struct Scene {
    pub(super) name: &'static str,
    pub(super) prepare: fn(&Path) -> Outcome,
    pub(super) steps: &'static [Step],
}

/// One thing that somebody does.
pub(super) enum Step {
    /// Runs a command to its end.
    Run(&'static str),
    /// Starts a command that asks.
    Start(&'static str),
    /// Answers when the last line shows the question.
    Answer { question: &'static str, key: Key },
    /// Waits until the command has ended.
    End,
}

/// What is pressed.
pub(super) enum Key {
    Text(&'static str),
    Control(char),
}

use Step::{Answer, End, Run, Start};

/// Every scene.
pub(super) fn all() -> Vec<Scene> {
    let mut scenes = of_deploys();
    scenes.extend(of_readers());
    scenes.extend(of_faults());
    scenes
}

/// What works.
fn of_deploys() -> Vec<Scene> {
    vec![
        Scene {
            name: "deploy",
            prepare: |root| functions(root, 12),
            steps: &[
                Run("esb deploy --yes"),
                Run("esb deploy --yes"),
                Run("echo '# changed' >> code/f3/app.py; esb deploy --yes"),
                Run("esb deploy --dry-run"),
                Run("esb image ls; esb config ls"),
            ],
        },
        Scene {
            name: "sixty-functions",
            prepare: |root| functions(root, 60),
            steps: &[Run("esb deploy --yes"), Run("clear; esb deploy --yes"), Run("esb deploy -v")],
        },
        Scene {
            name: "questions",
            prepare: |root| {
                functions(root, 2).and_then(|()| required(root))?;
                Ok(fs::write(root.join("esb.toml"), "confirm = \"always\"\n")?)
            },
            steps: &[
                Start("esb deploy"),
                Answer { question: "Stage", key: Key::Text("nowhere") },
                Answer { question: "Stage", key: Key::Text("dev") },
                Answer { question: "Password", key: Key::Text("hidden-from-you") },
                Answer { question: "[y/N]", key: Key::Text("perhaps") },
                Answer { question: "[y/N]", key: Key::Text("n") },
                End,
                Start("esb deploy --parameter Stage=dev"),
                Answer { question: "Password", key: Key::Text("hidden-from-you") },
                Answer { question: "[y/N]", key: Key::Text("y") },
                End,
                Start(
                    "rm -r code/f1; sed -i '/Function1:/,$d' template.yaml; esb deploy --parameter Stage=dev",
                ),
                Answer { question: "Password", key: Key::Text("hidden-from-you") },
                Answer { question: "[y/N]", key: Key::Control('c') },
                End,
                Start("esb deploy --parameter Stage=dev"),
                Answer { question: "Password", key: Key::Control('c') },
                End,
                Run("echo $?"),
            ],
        },
        Scene {
            name: "init",
            prepare: |root| {
                functions(root, 2)?;
                Ok(fs::remove_file(root.join("esb.toml"))?)
            },
            steps: &[Run("esb init"), Run("cat esb.toml"), Run("esb config show")],
        },
    ]
}

/// What is read of what is there.
fn of_readers() -> Vec<Scene> {
    vec![
        Scene {
            name: "help",
            prepare: |root| functions(root, 1),
            steps: &[
                Run("esb"),
                Run("esb deploy -h"),
                Run("esb deploy --help"),
                Run("esb validate -h"),
                Run("esb deploy --hepl"),
                Run("esb delpoy"),
                Run("esb image import"),
                Run("esb completions --help"),
            ],
        },
        Scene {
            name: "explain",
            prepare: |root| functions(root, 1),
            steps: &[
                Run("esb explain esb::sam::unresolved-ref"),
                Run("esb explain import"),
                Run("esb explain nothing-of-that-name"),
                Run("esb explain"),
            ],
        },
        Scene {
            name: "read",
            prepare: scheduled,
            steps: &[
                Run("esb inspect; esb validate"),
                Run("esb deploy --yes"),
                Run("esb config ls"),
                Run("esb config show --origin"),
                Run("esb image ls; esb image verify; esb image prune --dry-run"),
                Run("esb image ls --in registry; esb cache"),
                Run("esb config rm --owner template.yaml --dry-run"),
                Run("esb logs Function0"),
                Run("esb version"),
            ],
        },
    ]
}

/// What fails.
fn of_faults() -> Vec<Scene> {
    vec![
        Scene {
            name: "wrong-template",
            prepare: |root| functions(root, 1).and_then(|()| mistakes(root)),
            steps: &[Run("esb validate"), Run("esb deploy --yes"), Run("echo $?")],
        },
        Scene {
            name: "faults",
            prepare: |root| functions(root, 2),
            steps: &[
                Run("esb deploy --yes --registry 127.0.0.1:9 --to registry"),
                Run(
                    "ESB_MIRRORS=public.ecr.aws=127.0.0.1:9 ESB_CACHE_DIR=$PWD/c esb build --to oci",
                ),
                Run(
                    "echo 'no-such-package-of-ours==1' > code/f0/requirements.txt; esb deploy --yes",
                ),
                Run(
                    "rm code/f0/requirements.txt; sed -i 's/app.handler/app.handelr/' template.yaml; esb deploy --yes",
                ),
            ],
        },
        Scene {
            name: "invoke",
            prepare: failing,
            steps: &[
                Run("esb build"),
                Run("esb invoke Good --event '{\"name\": \"Ada\"}'"),
                Run("esb invoke Raises"),
                Run("esb invoke Exits"),
                Run("esb invoke Sleeps"),
                Run("esb invoke Nothing"),
            ],
        },
    ]
}

const HEAD: &str = "Transform: AWS::Serverless-2016-10-31\n";

/// A project of small functions with a route each.
fn functions(root: &Path, number: usize) -> Outcome {
    let mut template = format!("{HEAD}Resources:\n");
    for number in 0..number {
        let _ = write!(
            template,
            "  Function{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             Runtime: python3.13\n      Handler: app.handler\n      CodeUri: code/f{number}/\n      \
             Events:\n        Http:\n          Type: Api\n          Properties: {{Path: \
             '/orders/{number}/{{id}}', Method: get}}\n"
        );
        code(root, &format!("f{number}"), "    return {\"statusCode\": 200}\n")?;
    }
    write_project(root, &template)
}

fn code(root: &Path, name: &str, body: &str) -> Outcome {
    let folder = root.join("code").join(name);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join("app.py"), format!("def handler(event, context):\n{body}"))?)
}

fn write_project(root: &Path, template: &str) -> Outcome {
    fs::write(root.join("esb.toml"), "")?;
    Ok(fs::write(root.join("template.yaml"), template)?)
}

/// Adds parameters that have to be given.
fn required(root: &Path) -> Outcome {
    let path = root.join("template.yaml");
    let text = fs::read_to_string(&path)?;
    let parameters = "Parameters:\n  Stage: {Type: String, AllowedValues: [dev, prod]}\n  \
                      Password: {Type: String, NoEcho: true}\nResources:\n";
    Ok(fs::write(path, text.replace("Resources:\n", parameters))?)
}

/// Functions with a schedule and routes of several forms.
fn scheduled(root: &Path) -> Outcome {
    functions(root, 1)?;
    let path = root.join("template.yaml");
    let text = fs::read_to_string(&path)?;
    let events = "        Nightly: {Type: Schedule, Properties: {Schedule: 'cron(0 3 * * ? *)'}}\n        \
                  Any: {Type: Api, Properties: {Path: '/{proxy+}', Method: any}}\n";
    Ok(fs::write(path, text + events)?)
}

/// A template with common mistakes.
fn mistakes(root: &Path) -> Outcome {
    let template = format!(
        "{HEAD}Parameters:\n  Stage: {{Type: String, Default: dev, AllowedValues: [test, prod]}}\n\
         Resources:\n  Common: {{Type: AWS::Serverless::LayerVersion, Properties: {{ContentUri: \
         code/}}}}\n  Orders:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: \
         python3.133\n      Handler: app.handler\n      CodeUri: code/f1/\n      Layers: \
         [Common]\n      Environment: {{Variables: {{TABLE: !Ref Tabel}}}}\n      Events:\n        \
         Http: {{Type: Api, Properties: {{Path: orders, Method: gte}}}}\n        Timer: {{Type: \
         Schedule, Properties: {{Schedule: cron(0 12 * * ?)}}}}\n  Table: {{Type: \
         AWS::Serverless::SimpelTable}}\n"
    );
    fs::write(root.join("template.yaml"), template)?;
    Ok(())
}

/// Functions that fail in every way.
fn failing(root: &Path) -> Outcome {
    let mut template = format!(
        "{HEAD}Globals: {{Function: {{Runtime: python3.13, Handler: app.handler}}}}\n\
                 Resources:\n"
    );
    for (name, body) in [
        ("Good", "    print(\"said\")\n    return event\n"),
        ("Raises", "    print(\"before\")\n    raise ValueError(\"no such order\")\n"),
        ("Exits", "    import os\n    os._exit(3)\n"),
        ("Sleeps", "    import time\n    time.sleep(60)\n"),
    ] {
        let lower = name.to_lowercase();
        let _ = writeln!(
            template,
            "  {name}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: \
             code/{lower}/, Timeout: 2}}"
        );
        code(root, &lower, body)?;
    }
    write_project(root, &template)
}
