//! Measures the hooks of the base images against the same bases without them: start-up, an
//! invocation, and the delivery of log lines to a real `VictoriaLogs`.
//!
//! Owns the measured programs and the targets. Runs in containers of the base images themselves,
//! under the interface emulator.

mod function;
mod java;

use std::{cell::RefCell, fs, net::TcpListener, path::Path, thread};

use esb_test::DockerEngine;

use self::{function::Function, java::Java};
use super::{
    frame::{Contender, Times, contest},
    report::{Goal, Phase, Ratio, Report, count, count_u64},
    site::{Site, remove},
};
use crate::{
    checks::{Outcome, Trouble},
    command::target,
    steps::say,
    tools::VictoriaLogs,
};

const HANDLER: &str = include_str!("handler.py");
const START: &str = include_str!("start.py");
/// Invocations of which one figure is the median.
const INVOCATIONS: usize = 101;
/// A sink that hangs makes an invocation wait, so fewer will do.
const SLOW_INVOCATIONS: usize = 9;
const LINES: usize = 10_000;
/// The end of an invocation waits for its records as long as it takes.
const PATIENT: &str = "ESB_LOG_FLUSH_MS=60000";
/// How long the runtime waits for a sink at most, by the hooks' documentation.
const DEADLINE_MS: f64 = 50.0;

pub(crate) fn measure(rounds: usize, esb: &Path) -> Outcome<Report> {
    let work = target().join("bench/hooks");
    remove(&work)?;
    fs::create_dir_all(work.join("task"))?;
    let engine = DockerEngine::start(&work.join("engine"))?;
    let site = Site::new(&work.join("site"), esb, 0, false, None)?;
    let (base, hooks) = (site.aws_base(), site.base());
    for image in [&base, &hooks] {
        engine.output(["pull", "--quiet", image])?;
    }
    fs::write(work.join("task/handler.py"), HANDLER)?;
    fs::write(work.join("task/start.py"), START)?;
    let bench = Images { engine: &engine, work: work.clone(), base, hooks };
    let host = bench.host()?;
    let logs = VictoriaLogs::start_on(&host, &work.join("victoria-logs"))?;
    let mut report = Report {
        notes: vec![
            "Containers of the base image with its hooks, beside the same base without them, on \
             one engine; records go to a real VictoriaLogs."
                .to_owned(),
        ],
        ..Report::default()
    };
    bench.start_up(rounds, &mut report)?;
    bench.invocations(rounds, &host, &logs, &mut report)?;
    bench.throughput(rounds, &logs, &mut report)?;
    let java = Java::new(&engine, &site, &work.join("java"))?;
    java.start_up(rounds, &mut report)?;
    java.invocations(rounds, &format!("http://{}", logs.address()), &hanging(&host)?, &mut report)?;
    Ok(report)
}

/// The address of a sink that takes connections and never answers.
fn hanging(host: &str) -> Outcome<String> {
    let listener = TcpListener::bind((host, 0))?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    Ok(address)
}

struct Images<'a> {
    engine: &'a DockerEngine,
    work: std::path::PathBuf,
    base: String,
    hooks: String,
}

impl Images<'_> {
    /// This machine's address as containers see it.
    fn host(&self) -> Outcome<String> {
        let format = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
        let made = self.engine.output(["network", "inspect", "bridge", "--format", format])?;
        if made.is_empty() { Err("the engine's bridge has no address".into()) } else { Ok(made) }
    }

    /// The measured handler on an image.
    fn function(&self, image: &str, sink: Option<&str>, more: &[&str]) -> Outcome<Function<'_>> {
        let volume = format!("{}:/var/task:ro", self.work.join("task").display());
        Function::start(self.engine, &volume, image, "handler.handler", sink, more)
    }

    /// Interpreters that end at once, and with the runtime client loaded.
    fn start_up(&self, rounds: usize, report: &mut Report) -> Outcome {
        for (program, title) in [
            ("bare", "an interpreter from start to end"),
            ("runtime", "the same, with the runtime client loaded"),
        ] {
            say(title);
            let others = [(); 2].map(|()| RefCell::new((Vec::new(), Vec::new())));
            let start = |image: &str, others: &RefCell<(Vec<f64>, Vec<f64>)>| {
                let [wall, processor, memory] = self.start(image, program)?;
                let (processors, memories) = &mut *others.borrow_mut();
                processors.push(processor);
                memories.push(memory);
                Ok(wall / 1000.0)
            };
            let mut contenders = [
                Contender::timed("with hooks", || start(&self.hooks, &others[0])),
                Contender::timed("without", || start(&self.base, &others[1])),
            ];
            let times = contest(rounds, &mut contenders)?;
            drop(contenders);
            let more = (times[0].median() - times[1].median()) * 1000.0;
            let [with, without] = others.map(|others| {
                let (processors, memories) = others.into_inner();
                (Times::of("", processors).median(), Times::of("", memories).median())
            });
            let name = |unit: &str| format!("{title}: {unit} more");
            let processor = with.0 - without.0;
            report.ratios.extend([
                Ratio::new(name("ms"), more, Goal::AtMost(5.0)),
                Ratio::new(name("ms of a processor's work"), processor, Goal::AtMost(5.0)),
                Ratio::new(name("MiB"), with.1 - without.1, Goal::AtMost(1.0)),
            ]);
            report.phases.push(Phase::new(title, times));
        }
        Ok(())
    }

    /// Milliseconds, milliseconds of a processor, MiB.
    fn start(&self, image: &str, program: &str) -> Outcome<[f64; 3]> {
        let volume = format!("{}:/var/task:ro", self.work.join("task").display());
        let said = self.engine.output([
            "run",
            "--rm",
            "--network=none",
            "--volume",
            &volume,
            "--env",
            "VICTORIALOGS_URL=http://127.0.0.1:9",
            "--entrypoint",
            "python3",
            image,
            "/var/task/start.py",
            program,
        ])?;
        let numbers: Vec<f64> =
            said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let wrong = |_| Trouble::Failed(format!("start.py said {said:?}"));
        <[f64; 3]>::try_from(numbers).map_err(wrong)
    }

    /// An invocation that prints one line.
    fn invocations(
        &self,
        rounds: usize,
        host: &str,
        logs: &VictoriaLogs,
        report: &mut Report,
    ) -> Outcome {
        say("an invocation that prints one line");
        let hanging = hanging(host)?;
        let sink = format!("http://{}", logs.address());
        let start = |image: &str, sink: Option<&str>| self.function(image, sink, &[]);
        let without = RefCell::new(start(&self.base, None)?);
        let up = RefCell::new(start(&self.hooks, Some(&sink))?);
        let down = RefCell::new(start(&self.hooks, Some(&hanging))?);
        let ask = |function: &RefCell<Function<'_>>, times: usize| {
            let mut seconds = Vec::with_capacity(times);
            for _ in 0..times {
                seconds.push(function.borrow_mut().invoke(r#"{"lines": 1}"#)?);
            }
            Ok(Times::of("", seconds).median())
        };
        let times = contest(
            rounds,
            &mut [
                Contender::timed("without", || ask(&without, INVOCATIONS)),
                Contender::timed("with hooks, sink up", || ask(&up, INVOCATIONS)),
                Contender::timed("with hooks, sink hangs", || ask(&down, SLOW_INVOCATIONS)),
            ],
        )?;
        let more = |at: usize| (times[at].median() - times[0].median()) * 1000.0;
        report.ratios.extend([
            Ratio::new("an invocation, sink up: ms more", more(1), Goal::AtMost(1.0)),
            Ratio::new("an invocation, sink hangs: ms more", more(2), Goal::AtMost(DEADLINE_MS)),
        ]);
        report.phases.push(Phase::new("an invocation that prints one line", times));
        Ok(())
    }

    /// Lines until the last one has arrived.
    fn throughput(&self, rounds: usize, logs: &VictoriaLogs, report: &mut Report) -> Outcome {
        say("10,000 log lines");
        let sink = format!("http://{}", logs.address());
        let shipping = RefCell::new(self.function(&self.hooks, Some(&sink), &[PATIENT])?);
        let posting = RefCell::new(self.function(&self.base, Some(&sink), &[])?);
        // The first invocation pays for the start of the sender.
        let before = logs.ingested()?;
        shipping.borrow_mut().invoke(r#"{"lines": 10}"#)?;
        logs.wait_for(before + 10)?;
        let earlier = logs.count("printed")?;
        // An invocation ends when the store has answered for its last line; the store's own counters
        // are of the second before.
        let run = |function: &RefCell<Function<'_>>, event: &str| {
            let before = logs.ingested()?;
            let seconds = function.borrow_mut().invoke(event)?;
            logs.wait_for(before + LINES as u64)?;
            Ok(seconds)
        };
        let ship = || run(&shipping, &format!(r#"{{"lines": {LINES}}}"#));
        let post = || run(&posting, &format!(r#"{{"lines": {LINES}, "post": true}}"#));
        let times = contest(
            rounds,
            &mut [
                Contender::timed("printed, with hooks", ship),
                Contender::timed("one urllib POST for each", post),
            ],
        )?;
        let ratio = times[1].median() / times[0].median();
        let lost =
            count(rounds * LINES) - count_u64(logs.count("printed")?.saturating_sub(earlier));
        report.ratios.extend([
            Ratio::new("10,000 lines: one POST for each, to ours", ratio, Goal::AtLeast(50.0)),
            Ratio::new("10,000 lines: printed and not stored", lost, Goal::Exactly(0.0)),
        ]);
        report.phases.push(Phase::new("10,000 log lines, until the last has arrived", times));
        Ok(())
    }
}
