//! Measures the reading of templates: the whole `esb inspect` process, beside the official
//! translator, loaded and warmed up.
//!
//! The translator's seconds are those of the translation alone: it is handed a template that is
//! parsed already, while `esb` starts, reads the text and prints the document.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use super::{
    frame::{Contender, Times, contest},
    report::{Goal, Phase, Ratio, Report},
};
use crate::{
    checks::{Outcome, Trouble},
    command::{command, target},
    python,
};

/// Bytes of the template that stands for what people write.
const TYPICAL: usize = 5_000;

pub(crate) fn measure(rounds: usize, esb: &Path) -> Outcome<Report> {
    let python = python::environment("translator", "xtask/tools/translate.requirements.txt")?;
    let folder = target().join("bench/sam");
    let write = |name: &str, text: String| -> Outcome<PathBuf> {
        let path = folder.join(name).join("template.yaml");
        fs::create_dir_all(folder.join(name).join("code"))?;
        fs::write(&path, text)?;
        Ok(path)
    };
    let typical = write("typical", typical())?;
    let [small, middle, large] =
        [50, 500, 5_000].map(|count| write(&count.to_string(), uniform(count)));
    let (small, middle, large) = (small?, middle?, large?);
    let translator = std::cell::RefCell::new(Translator::start(&python)?);
    // The first runs of both pay for what later ones find: files, caches, compiled patterns.
    inspect(esb, &typical, 1)?;
    translator.borrow_mut().run(&typical)?;
    let translate = |path: &Path, runs: usize| {
        let mut seconds = Vec::with_capacity(runs);
        for _ in 0..runs {
            seconds.push(translator.borrow_mut().run(path)?);
        }
        Ok(median(seconds))
    };
    let times = contest(
        rounds,
        &mut [
            Contender::timed("esb inspect, 5 kB", || inspect(esb, &typical, 41)),
            Contender::timed("translator, 5 kB", || translate(&typical, 11)),
            Contender::timed("esb inspect, 50 functions", || inspect(esb, &small, 41)),
            Contender::timed("esb inspect, 500 functions", || inspect(esb, &middle, 21)),
            Contender::timed("translator, 500 functions", || translate(&middle, 1)),
            Contender::timed("esb inspect, 5,000 functions", || inspect(esb, &large, 7)),
        ],
    )?;
    let ratios = ratios(&times);
    let phases = vec![Phase::new("reading templates", times)];
    Ok(Report { phases, ratios, ..Report::default() })
}

fn ratios(times: &[Times]) -> Vec<Ratio> {
    let [typical, peer, small, middle, middle_peer, large] =
        [0, 1, 2, 3, 4, 5].map(|at: usize| times[at].median());
    vec![
        Ratio {
            name: "500 functions: the translator's time to ours".to_owned(),
            value: middle_peer / middle,
            goal: Goal::AtLeast(700.0),
        },
        Ratio {
            name: "5 kB: the translator's time to ours".to_owned(),
            value: peer / typical,
            goal: Goal::AtLeast(4.0),
        },
        Ratio {
            name: "linear: t(5,000) − t(50) to 11 × (t(500) − t(50))".to_owned(),
            value: (large - small) / (11.0 * (middle - small)),
            goal: Goal::AtMost(1.2),
        },
    ]
}

/// The median seconds of `esb inspect` processes, from start to end.
fn inspect(esb: &Path, template: &Path, runs: usize) -> Outcome<f64> {
    let mut seconds = Vec::with_capacity(runs);
    for _ in 0..runs {
        let mut command = Command::new(esb);
        command.args(["inspect", "--format", "json", "--template"]).arg(template);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        seconds.push(start.elapsed().as_secs_f64());
        if !status.success() {
            return Err(Trouble::Failed(format!("`esb inspect` ended with {status}")));
        }
    }
    Ok(median(seconds))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The official translator, loaded once.
struct Translator {
    process: Child,
    paths: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Translator {
    fn start(python: &Path) -> Outcome<Self> {
        let mut command = command(python);
        command.arg("xtask/tools/translate.py").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let paths = process.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        Ok(Self { process, paths, answers })
    }

    /// The seconds of one translation.
    fn run(&mut self, template: &Path) -> Outcome<f64> {
        writeln!(self.paths, "{}", template.display())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let seconds = answer.split(' ').next().and_then(|word| word.parse().ok());
        seconds.ok_or_else(|| Trouble::Failed(format!("the translator answered {answer:?}")))
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Functions with one API route each, and nothing else.
fn uniform(count: usize) -> String {
    let mut text = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function:\n    Runtime: \
                    python3.13\n    Handler: app.handler\n    Timeout: 20\nResources:\n"
        .to_owned();
    for number in 0..count {
        let _ = write!(
            text,
            "  Function{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             CodeUri: code/\n      Events:\n        Api:\n          Type: Api\n          \
             Properties:\n            Path: /items/{number}\n            Method: get\n"
        );
    }
    text
}

/// How a template with usual contents begins.
const TYPICAL_HEAD: &str = r"AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Description: Orders of a shop
Parameters:
  Stage:
    Type: String
    Default: dev
    AllowedValues: [dev, prod]
Globals:
  Function:
    Runtime: python3.13
    Timeout: 20
    MemorySize: 256
    Environment:
      Variables:
        STAGE: !Ref Stage
        LOG_FORMAT: json
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: !Ref Stage
  Table:
    Type: AWS::Serverless::SimpleTable
    Properties:
      PrimaryKey:
        Name: id
        Type: String
  Uploads:
    Type: AWS::S3::Bucket
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: code/
      CompatibleRuntimes: [python3.13]
";

/// A template of the size and the contents that are usual.
fn typical() -> String {
    let mut text = TYPICAL_HEAD.to_owned();
    let mut outputs = "Outputs:\n".to_owned();
    for number in 0.. {
        if text.len() + outputs.len() >= TYPICAL {
            break;
        }
        let _ = write!(
            text,
            "  Orders{number}Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub 'orders-{number}-${{Stage}}'
      CodeUri: code/
      Handler: app.handler
      Layers:
        - !Ref Common
      Policies:
        - DynamoDBCrudPolicy:
            TableName: !Ref Table
      Environment:
        Variables:
          TABLE: !Ref Table
          BUCKET: !Ref Uploads
          LEVEL: !If [IsProd, WARN, DEBUG]
      Events:
        Get:
          Type: Api
          Properties:
            RestApiId: !Ref Api
            Path: /orders/{number}/{{id}}
            Method: get
        Nightly:
          Type: Schedule
          Properties:
            Schedule: rate(1 day)
"
        );
        let _ = write!(
            outputs,
            "  Orders{number}Arn:\n    Value: !GetAtt Orders{number}Function.Arn\n"
        );
    }
    text + &outputs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_have_their_size() {
        let typical = typical();
        assert!((TYPICAL..TYPICAL + 1_000).contains(&typical.len()), "{}", typical.len());
        assert_eq!(uniform(500).matches("Type: Api\n").count(), 500);
    }
}
