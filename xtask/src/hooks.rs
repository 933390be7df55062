//! Runs the suites of the Python hooks: under every Python of this machine, with aiobotocore, and
//! against the real log store.

use std::{
    path::{Path, PathBuf},
    process::Output,
    sync::Mutex,
    thread,
};

use crate::{
    checks::{Outcome, Trouble},
    command::{command, words},
    limit::{OF_COMMAND, output_within},
    python,
};

const SUITES: &str = "runtime/python/tests";
const REQUIREMENTS: &str = "runtime/python/tests/requirements.txt";
const AIO_REQUIREMENTS: &str = "runtime/python/tests/requirements-aiobotocore.txt";

/// How many suites run at once: they wait more than they work.
const AT_ONCE: usize = 3;

/// Makes the environments, so that the suites only have to run.
pub(crate) fn prepare() -> Outcome {
    for suite in suites() {
        suite.python()?;
    }
    Ok(())
}

/// The interpreter of the newest Python's suites, with moto beside it.
pub(crate) fn newest() -> Outcome<PathBuf> {
    let (version, base) = python::interpreters().pop().ok_or("there is no Python")?;
    Suite::of_version(&version, base).python()
}

/// The suites under every version of Python, and with aiobotocore.
pub(crate) fn of_every_python() -> Outcome {
    run_all(suites())
}

/// The suite of the log store, with the real one.
pub(crate) fn with_victoria_logs() -> Outcome {
    let store = crate::tools::victoria_logs()?;
    let (version, base) = python::interpreters().pop().ok_or("there is no Python")?;
    let suite = Suite {
        name: "VictoriaLogs".to_owned(),
        tests: "test_victorialogs.py",
        store: Some(store),
        ..Suite::of_version(&version, base)
    };
    suite.run()
}

/// Tests and the interpreter that they run under.
struct Suite {
    name: String,
    base: PathBuf,
    environment: String,
    requirements: &'static str,
    tests: &'static str,
    /// The program of the log store.
    store: Option<PathBuf>,
}

fn suites() -> Vec<Suite> {
    let interpreters = python::interpreters().into_iter();
    let mut suites: Vec<Suite> =
        interpreters.map(|(version, base)| Suite::of_version(&version, base)).collect();
    suites.push(Suite {
        name: "aiobotocore".to_owned(),
        base: "python3".into(),
        environment: "aiobotocore".to_owned(),
        requirements: AIO_REQUIREMENTS,
        tests: "test_aiobotocore.py",
        store: None,
    });
    suites
}

fn run_all(suites: Vec<Suite>) -> Outcome {
    let waiting = Mutex::new(suites);
    let troubles = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(suite) = waiting.lock().ok().and_then(|mut list| list.pop()) else {
                        return;
                    };
                    if let Err(trouble) = suite.run()
                        && let Ok(mut troubles) = troubles.lock()
                    {
                        troubles.push(trouble);
                    }
                }
            });
        }
    });
    let troubles = troubles.into_inner().unwrap_or_default();
    match troubles.into_iter().next() {
        Some(first) => Err(first),
        None => Ok(()),
    }
}

impl Suite {
    /// All that needs nothing special, under one version of Python.
    fn of_version(version: &str, base: PathBuf) -> Self {
        Self {
            name: format!("Python {version}"),
            base,
            environment: format!("hooks-{version}"),
            requirements: REQUIREMENTS,
            tests: "",
            store: None,
        }
    }

    fn python(&self) -> Outcome<PathBuf> {
        python::environment_of(&self.base, &self.environment, self.requirements)
    }

    /// Runs the tests; what they say is told when they fail.
    fn run(&self) -> Outcome {
        let mut pytest = command(self.python()?);
        pytest.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]);
        pytest.arg(Path::new(SUITES).join(self.tests));
        pytest.env_remove("ESB_TEST_VICTORIA_LOGS");
        if let Some(store) = &self.store {
            pytest.env("ESB_TEST_VICTORIA_LOGS", store);
        }
        let Output { status, stdout, stderr } = output_within(&mut pytest, OF_COMMAND)?;
        if status.success() {
            return Ok(());
        }
        Err(Trouble::Failed(format!(
            "{}: {} ended with {status}\n{}{}",
            self.name,
            words(&pytest),
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        )))
    }
}
