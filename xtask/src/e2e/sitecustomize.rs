//! Checks that the hooks of the base image run beside a `sitecustomize` of the function's own, and that
//! what a program writes while its interpreter ends neither hangs it nor is lost.

use std::fs;

use serde_json::json;

use super::{deploy::finish, hooks::bridge, invoke::invoke_with, parts::Parts, sink::Sink};
use crate::checks::{Outcome, Trouble};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  Starts:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: starts
      Runtime: python3.13
      Handler: app.handler
      CodeUri: src/
      Environment: {Variables: {PYTHONPATH: /var/task/start}}
";

const START: &str = "import os\nos.environ['STARTED'] = 'yes'\n";

/// Runs a program whose first write comes with the last garbage.
const HANDLER: &str = r"
import os, subprocess, sys

LATE = '''
import io, sys
wrapper = io.TextIOWrapper(sys.stdout.buffer, encoding=\'utf-8\')
cycle = [wrapper]; cycle.append(cycle)
wrapper.write(\'written at the end\\n\')
del wrapper, cycle
'''

def handler(event, context):
    done = subprocess.run([sys.executable, '-c', LATE], timeout=30, capture_output=True, text=True)
    print('handled')
    return {'started': os.environ.get('STARTED'), 'said': done.stdout, 'status': done.returncode}
";

/// One function with a start of its own.
pub(crate) fn both_run(parts: &Parts) -> Outcome {
    let root = parts.work.join("projects/starts");
    fs::create_dir_all(root.join("src/start"))?;
    fs::write(root.join("src/app.py"), HANDLER)?;
    fs::write(root.join("src/start/sitecustomize.py"), START)?;
    fs::write(root.join("esb.toml"), "")?;
    fs::write(root.join("template.yaml"), TEMPLATE)?;
    let mut command = parts.esb_to_registry(&root, "main");
    let deployed = finish(command.args(["deploy", "-e", "dev", "--format", "json"]), root)?;
    let function = deployed.functions.first().ok_or("nothing was deployed")?;
    parts.engine.output(["pull", "--quiet", &function.image])?;
    let sink = Sink::start(&bridge(&parts.engine)?)?;
    let mut environment = function.environment.clone();
    environment.push(("VICTORIALOGS_URL".to_owned(), sink.url().to_owned()));
    environment.push(("ESB_LOG_EXIT_FLUSH_MS".to_owned(), "5000".to_owned()));
    let answer = invoke_with(&parts.engine, &function.image, &environment, &[], &json!({}))?;
    if answer != json!({"started": "yes", "said": "written at the end\n", "status": 0}) {
        return Err(Trouble::Failed(format!("it answered {answer}")));
    }
    for message in ["handled", "written at the end"] {
        let found = sink.wait(|record| record["message"] == message);
        if found.len() != 1 {
            return Err(Trouble::Failed(format!("`{message}` arrived {} times", found.len())));
        }
    }
    Ok(())
}
