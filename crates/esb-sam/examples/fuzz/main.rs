//! Makes inputs out of a corpus and looks for one that breaks an invariant.
//!
//! `fuzz TARGET CORPUS OUT SECONDS SEED`: TARGET is `compose` or `parse`, CORPUS a folder of
//! inputs to start from, OUT a folder for what fails. Inputs that make something happen that no
//! other did are kept as further starting points. A panic, a broken invariant, an input that takes
//! seconds, and too much memory are failures; where the process dies, `OUT/TARGET.current` is the
//! input that killed it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program")]

mod mutate;

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use esb_sam::{
    LoadError, Loader, Options,
    fuzz::{self, Traits},
};

use mutate::Mutator;

/// A thread of an embedder may be as small as this.
const STACK: usize = 2 << 20;
/// What one input may take; the slowest machine needs a tenth.
const SLOWEST: Duration = Duration::from_secs(10);
/// Bytes of memory that the whole process may need: the limits hold for each input.
const MEMORY: usize = 256 << 20;

/// What a run is made of.
#[derive(Debug, Clone)]
struct Plan {
    target: Target,
    corpus: Vec<String>,
    out: PathBuf,
    time: Duration,
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Compose,
    Parse,
}

/// What the working thread tells.
#[derive(Debug)]
enum News {
    /// It is alive.
    Round,
    Done(Result<Summary, Failure>),
}

#[derive(Debug)]
struct Summary {
    rounds: u64,
    kept: usize,
    traits: usize,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    input: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let plan = match plan(&arguments) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let current = plan.current();
    let name = &arguments[0];
    let (sender, news) = mpsc::channel();
    let worker = plan.clone();
    let started = thread::Builder::new().stack_size(STACK).spawn(move || work(&worker, &sender));
    if let Err(error) = started {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    loop {
        let failure = match news.recv_timeout(SLOWEST) {
            Ok(News::Round) => continue,
            Ok(News::Done(Ok(summary))) => {
                let Summary { rounds, kept, traits } = summary;
                println!(
                    "{name}: {rounds} inputs, {traits} traits, {kept} kept (seed {})",
                    plan.seed
                );
                return ExitCode::SUCCESS;
            }
            Ok(News::Done(Err(failure))) => failure,
            Err(RecvTimeoutError::Timeout) => {
                Failure { reason: format!("an input takes more than {SLOWEST:?}"), input: current }
            }
            Err(RecvTimeoutError::Disconnected) => {
                Failure { reason: "the working thread died".to_owned(), input: current }
            }
        };
        eprintln!("error: {name}: {}\n{}", failure.reason, failure.input.display());
        return ExitCode::FAILURE;
    }
}

fn plan(arguments: &[String]) -> Result<Plan, String> {
    let [target, corpus, out, seconds, seed] = arguments else {
        return Err("usage: fuzz compose|parse CORPUS OUT SECONDS SEED".to_owned());
    };
    let target = match &**target {
        "compose" => Target::Compose,
        "parse" => Target::Parse,
        other => return Err(format!("there is no target `{other}`")),
    };
    let seconds: u64 = seconds.parse().map_err(|error| format!("{seconds}: {error}"))?;
    let seed = seed.parse().map_err(|error| format!("{seed}: {error}"))?;
    fs::create_dir_all(out).map_err(|error| format!("{out}: {error}"))?;
    Ok(Plan {
        target,
        corpus: read_corpus(Path::new(corpus)).map_err(|error| format!("{corpus}: {error}"))?,
        out: out.into(),
        time: Duration::from_secs(seconds),
        seed,
    })
}

/// All files of a folder, by name.
fn read_corpus(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        texts.push(String::from_utf8_lossy(&fs::read(path)?).into_owned());
    }
    if texts.is_empty() {
        return Err(std::io::Error::other("the corpus is empty"));
    }
    Ok(texts)
}

impl Plan {
    fn current(&self) -> PathBuf {
        self.out.join(match self.target {
            Target::Compose => "compose.current",
            Target::Parse => "parse.current",
        })
    }
}

fn work(plan: &Plan, news: &Sender<News>) {
    // What panics is told below, with its input.
    panic::set_hook(Box::new(|_| {}));
    let result = rounds(plan, news);
    // Nobody listens any more when the main thread gave up.
    let _ = news.send(News::Done(result));
}

fn rounds(plan: &Plan, news: &Sender<News>) -> Result<Summary, Failure> {
    let start = Instant::now();
    let mut mutator = Mutator::new(plan.seed);
    let mut corpus = plan.corpus.clone();
    let mut seen = Traits::new();
    let mut rounds = 0;
    while start.elapsed() < plan.time || rounds < plan.corpus.len() as u64 {
        // The seeds themselves come first.
        let at = usize::try_from(rounds).unwrap_or(usize::MAX);
        let text = match plan.corpus.get(at) {
            Some(text) => text.clone(),
            None => mutator.input(&corpus),
        };
        rounds += 1;
        let _ = news.send(News::Round);
        let traits = try_one(plan, &corpus, &text)?;
        let known = seen.len();
        seen.extend(traits);
        if seen.len() > known && at >= plan.corpus.len() && text.len() < 16 << 10 {
            corpus.push(text);
        }
    }
    Ok(Summary { rounds, kept: corpus.len() - plan.corpus.len(), traits: seen.len() })
}

fn try_one(plan: &Plan, corpus: &[String], text: &str) -> Result<Traits, Failure> {
    let current = plan.current();
    let failed = |reason: String| Failure { reason, input: current.clone() };
    fs::write(&current, text).map_err(|error| failed(error.to_string()))?;
    let run = || match plan.target {
        Target::Compose => fuzz::compose(text),
        Target::Parse => fuzz::read(text, &options(), &Files(corpus)),
    };
    let traits = panic::catch_unwind(AssertUnwindSafe(run)).map_err(|cause| {
        let words = cause.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| cause.downcast_ref::<&str>().copied());
        failed(format!("panicked: {}", words.unwrap_or_default()))
    })?;
    let traits = traits.map_err(&failed)?;
    match peak_memory() {
        Some(bytes) if bytes > MEMORY => Err(failed(format!("needs {} MiB", bytes >> 20))),
        _ => Ok(traits),
    }
}

/// The most memory that the process held so far, where the system tells.
fn peak_memory() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()? << 10)
}

/// Values that reach every source of values.
fn options() -> Options {
    let mut options = Options::default();
    for (name, value) in
        [("Stage", "prod"), ("Secret", "hunter2-hunter2"), ("Names", "a,b,,c"), ("Size", "x")]
    {
        options.parameters.insert(name.to_owned(), value.to_owned());
    }
    let variables = options.env_vars.entry("Parameters".to_owned()).or_default();
    variables.insert("GIVEN".to_owned(), "value".to_owned());
    options
}

/// Included files: the corpus itself, by the last character of what is asked for.
struct Files<'a>(&'a [String]);

impl Loader for Files<'_> {
    fn load(&self, _: &str, location: &str) -> Result<String, LoadError> {
        let last = location.chars().next_back().ok_or(LoadError::NotFound)?;
        let at = last as usize % (self.0.len() + 1);
        self.0.get(at).cloned().ok_or(LoadError::NotFound)
    }
}
