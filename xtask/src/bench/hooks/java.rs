//! Measures the hooks of the Java base image: the start of a JVM, and an invocation.
//!
//! Owns the two images, the measured programs and their targets.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use esb_test::DockerEngine;

use super::{
    super::{
        frame::{Contender, Times, contest},
        report::{Goal, Phase, Ratio, Report},
        site::{Site, copy_base},
    },
    DEADLINE_MS, INVOCATIONS, SLOW_INVOCATIONS,
    function::Function,
};
use crate::{
    base_image::Version,
    checks::{Outcome, Trouble},
    command::{command, output, root},
    java,
    steps::say,
};

const SOURCES: [(&str, &str); 2] = [
    ("Handler.java", include_str!("java/Handler.java")),
    ("Start.java", include_str!("java/Start.java")),
];
const HANDLER: &str = "Handler::handle";
const WRAPPER: &str = "com.runtime.lambda.HandlerWrapper::handleRequest";
const FROM: &str = "public.ecr.aws/lambda/java:${JAVA_VERSION}";
const HOOKED: &str = "esb-bench-java-hooks";
/// Invocations after which the compiler of a JVM has done most of its work.
const WARM: usize = 600;

/// AWS's image and ours, and a jar with the programs.
pub(super) struct Java<'a> {
    engine: &'a DockerEngine,
    base: String,
    jar: PathBuf,
}

impl<'a> Java<'a> {
    /// Compiles the programs below `work`, and builds our image on AWS's in the site's registry.
    pub(super) fn new(engine: &'a DockerEngine, site: &Site, work: &Path) -> Outcome<Self> {
        let base = copy_base(Version::Java21, &site.address())?;
        engine.output(["pull", "--quiet", &base])?;
        fs::create_dir_all(work)?;
        let dockerfile = fs::read_to_string(root().join("runtime/java/docker/Dockerfile"))?;
        let path = work.join("Dockerfile");
        fs::write(&path, dockerfile.replace(FROM, &base))?;
        let mut build = engine.docker();
        build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet", "--tag", HOOKED, "--file"]);
        output(build.arg(&path).arg(root().join("runtime/java")))?;
        Ok(Self { engine, base, jar: compile(work)? })
    }

    fn volume(&self) -> String {
        format!("{}:/var/task/lib/bench.jar:ro", self.jar.display())
    }

    /// JVMs that end at once, and that print one line.
    pub(super) fn start_up(&self, rounds: usize, report: &mut Report) -> Outcome {
        for (program, title) in [
            ("nothing", "a JVM from start to end"),
            ("line", "the same, with a line that is printed"),
        ] {
            say(title);
            let times = contest(
                rounds,
                &mut [
                    Contender::timed("with agent", || self.start(HOOKED, program)),
                    Contender::timed("without", || self.start(&self.base, program)),
                ],
            )?;
            let more = (times[0].median() - times[1].median()) * 1000.0;
            report.ratios.push(Ratio::new(format!("{title}: ms more"), more, Goal::AtMost(150.0)));
            report.phases.push(Phase::new(title, times));
        }
        Ok(())
    }

    /// Seconds.
    fn start(&self, image: &str, program: &str) -> Outcome<f64> {
        let arguments = ["run", "--rm", "--network=none", "--volume", &self.volume()];
        let mut all = arguments.to_vec();
        // A sink that refuses at once: nothing but the start is measured.
        all.extend(["--env", "VICTORIALOGS_URL=http://127.0.0.1:9", "--entrypoint", "java", image]);
        all.extend(["-cp", "/var/task/lib/bench.jar", "Start", "measure", program]);
        let said = self.engine.output(all)?;
        let number = said.lines().find_map(|line| line.strip_prefix("milliseconds "));
        let number = number.and_then(|number| number.parse::<f64>().ok());
        number
            .map(|milliseconds| milliseconds / 1000.0)
            .ok_or_else(|| Trouble::Failed(format!("Start said {said:?}")))
    }

    /// An invocation that prints one line, with a sink that takes it and one that hangs.
    pub(super) fn invocations(
        &self,
        rounds: usize,
        sink: &str,
        hanging: &str,
        report: &mut Report,
    ) -> Outcome {
        let title = "Java: an invocation that prints one line";
        say(title);
        let event = r#"{"lines": 1}"#;
        let start = |image: &str, handler: &str, sink: Option<&str>| {
            let original = format!("LAMBDA_ORIGINAL_HANDLER={HANDLER}");
            let mut function =
                Function::start(self.engine, &self.volume(), image, handler, sink, &[&original])?;
            for _ in 0..WARM {
                function.invoke(event)?;
            }
            Ok::<_, Trouble>(RefCell::new(function))
        };
        let without = start(&self.base, HANDLER, None)?;
        let up = start(HOOKED, WRAPPER, Some(sink))?;
        let down = start(HOOKED, WRAPPER, Some(hanging))?;
        let ask = |function: &RefCell<Function<'_>>, times: usize| {
            let mut seconds = Vec::with_capacity(times);
            for _ in 0..times {
                seconds.push(function.borrow_mut().invoke(event)?);
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
            Ratio::new("Java: an invocation, sink up: ms more", more(1), Goal::AtMost(1.0)),
            Ratio::new(
                "Java: an invocation, sink hangs: ms more",
                more(2),
                Goal::AtMost(DEADLINE_MS),
            ),
        ]);
        report.phases.push(Phase::new(title, times));
        Ok(())
    }
}

/// The jar of the programs.
fn compile(work: &Path) -> Outcome<PathBuf> {
    let home = java::jdk()?;
    let mut javac = command(home.join("bin/javac"));
    javac.args(["--release", "11", "-d"]).arg(work.join("classes"));
    for (name, text) in SOURCES {
        fs::write(work.join(name), text)?;
        javac.arg(work.join(name));
    }
    output(&mut javac)?;
    let jar = work.join("bench.jar");
    let mut pack = Command::new(home.join("bin/jar"));
    pack.args(["--create", "--file"]).arg(&jar).arg("-C").arg(work.join("classes")).arg(".");
    output(&mut pack)?;
    Ok(jar)
}
