//! Workers of changed functions are found, waited for and replaced, and their addresses are held.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    gateway_project::{GATEWAY, GatewayProject, Settings},
    parts::{Parts, expect},
};
use crate::{checks::Outcome, steps::say};

/// Old code may answer for so long after a deploy ended.
const OLD: Duration = Duration::from_secs(3);
const QUICK: Duration = Duration::from_millis(10);
/// A request that is later than that is not one of evenly spaced ones.
const RHYTHM: Duration = Duration::from_millis(20);

/// Found also when the Agent was started without ENV; a call under way is waited for; the address
/// refuses connections; placeholders go when they are not needed.
pub(crate) fn are_replaced(parts: &Parts) -> Outcome {
    let settings = Settings {
        name: "workers",
        functions: &["A", "B"],
        network: &["--subnet", "10.215.33.0/24"],
        environment: "default",
    };
    let stage = GatewayProject::new(parts, &settings)?;
    stage.write(1)?;
    let summary = stage.small.deployed(&[])?;
    let told = summary["workers"]["none_found"].as_str().unwrap_or_default();
    if !told.contains("esb_env=default or dev") {
        return Err(format!("nothing about workers that were not found: {summary:#}").into());
    }
    stage.wait_until_known(&summary)?;
    answers(&stage, "a", 1)?;
    answers(&stage, "b", 1)?;
    let workers = stage.labelled("created_by=esb-agent")?;
    // Somebody else's, of another project whose environment has the same name.
    other_worker(&stage, "other", "com.esb.owner=other", "sleep 600")?;
    stage.write(2)?;
    let summary = thread::scope(|scope| {
        let slow = scope.spawn(|| stage.call("a", Duration::from_secs(5)));
        thread::sleep(Duration::from_millis(500));
        let summary = stage.small.deployed(&[])?;
        let slow = slow.join().map_err(|_| "the slow call panicked".to_owned())?;
        expect_answer(&slow, "a", 1)?;
        Ok::<Value, crate::checks::Trouble>(summary)
    })?;
    let mut replaced = names(&summary, "replaced");
    let mut expected: Vec<String> = workers.clone();
    replaced.sort();
    expected.sort();
    if replaced != expected || summary["workers"]["cut"] != 0 {
        return Err(format!("replaced {replaced:?}, not {expected:?}: {summary:#}").into());
    }
    for name in ["a", "b"] {
        let called = answers(&stage, name, 2)?;
        if called.refused != 1 {
            return Err(format!("the old address did not refuse: {called:?}").into());
        }
    }
    if stage.labelled("com.esb.kind=placeholder")?.len() != 2 {
        return Err("no placeholders hold the addresses".into());
    }
    if !stage.labelled("com.esb.owner=other")?.contains(&"other".to_owned()) {
        return Err("a worker of another Gateway was removed".into());
    }
    // Each pool is full of a worker that lives: nothing remembers the addresses of before.
    stage.small.deployed(&[])?;
    match stage.labelled("com.esb.kind=placeholder")? {
        left if left.is_empty() => Ok(()),
        left => Err(format!("placeholders that nobody needs: {left:?}").into()),
    }
}

/// One that is never idle, and one whose address cannot be held: listed with what to run, or the
/// Gateway is restarted where that is allowed.
pub(crate) fn are_listed(parts: &Parts) -> Outcome {
    let settings = Settings {
        name: "listed",
        functions: &["A"],
        network: &["--subnet", "10.215.34.0/24"],
        environment: "dev",
    };
    let stage = GatewayProject::new(parts, &settings)?;
    let owner = format!("com.esb.owner={}", stage.owner);
    let calls = "while :; do echo START RequestId: $(date +%N); sleep 1; done";
    other_worker(&stage, "busy", &owner, calls)?;
    other_worker(&stage, "nowhere", &owner, "sleep 600")?;
    parts.engine.output(["network", "disconnect", &stage.network, "nowhere"])?;
    stage.write(1)?;
    let summary = stage.small.deployed(&[])?;
    let workers = &summary["workers"];
    if names(&summary, "busy") != ["busy"]
        || workers["kept"][0]["name"] != "nowhere"
        || workers["command"] != "docker compose -p esb-dev restart gateway"
        || stage.labelled("created_by=esb-agent")?.len() != 2
    {
        return Err(format!("{summary:#}").into());
    }
    parts.engine.output(["rm", "--force", "busy"])?;
    let started = || parts.engine.output(["inspect", "--format", "{{.State.StartedAt}}", GATEWAY]);
    let before = started()?;
    // Nothing changed since: the worker still runs another image than functions.yml names.
    let said = expect(&mut stage.small.deploy(&["--restart-gateway"]), 0)?;
    if said.json()?["workers"]["restarted"] != GATEWAY || started()? == before {
        return Err(format!("the Gateway was not restarted: {}", said.stdout).into());
    }
    Ok(())
}

/// How much is asked of [`under_load`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) deploys: usize,
    /// Requests come at random times instead of evenly: some may begin while a worker ends.
    pub(crate) random: bool,
    /// The network has a subnet of its own, so that an address can be asked for.
    pub(crate) subnet: bool,
}

/// Ten requests a second of two functions during deploys: every one is answered, by its own
/// function, and by new code soon after each deploy.
pub(crate) fn under_load(parts: &Parts, load: Load) -> Outcome {
    let subnet: &[&str] = if load.subnet { &["--subnet", "10.215.35.0/24"] } else { &[] };
    let settings = Settings {
        name: if load.subnet { "load" } else { "load-any" },
        functions: &["A", "B"],
        network: subnet,
        environment: "dev",
    };
    let stage = GatewayProject::new(parts, &settings)?;
    stage.wait_until_known(&stage.first)?;
    answers(&stage, "a", 0)?;
    answers(&stage, "b", 0)?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (requests, deploys) = thread::scope(|scope| {
        let often = scope.spawn(|| request(&stage, "a", Duration::from_millis(100), load, &stop));
        let seldom = scope.spawn(|| request(&stage, "b", Duration::from_millis(700), load, &stop));
        let deploys = deploy(&stage, load.deploys);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut requests = often.join().map_err(|_| "the requests panicked".to_owned())?;
        requests.extend(seldom.join().map_err(|_| "the requests panicked".to_owned())?);
        Ok::<_, crate::checks::Trouble>((requests, deploys?))
    })?;
    judge(&requests, &deploys, load)
}

/// A request that was sent.
struct Request {
    function: &'static str,
    at: Instant,
    /// How much later than it should have been: a machine with other work keeps no rhythm.
    late: Duration,
    took: Duration,
    called: esb_test::Called,
}

/// A deploy that ended.
struct Deploy {
    began: Instant,
    ended: Instant,
    cut: u64,
}

fn deploy(stage: &GatewayProject<'_>, count: usize) -> Outcome<Vec<Deploy>> {
    let mut deploys = Vec::new();
    for number in 1..=count {
        stage.write(number)?;
        let began = Instant::now();
        let summary = stage.small.deployed(&[])?;
        let workers = &summary["workers"];
        if names(&summary, "busy").len() + workers["lost"].as_array().map_or(0, Vec::len) > 0 {
            return Err(format!("deploy {number}: {workers:#}").into());
        }
        let cut = workers["cut"].as_u64().unwrap_or(0);
        deploys.push(Deploy { began, ended: Instant::now(), cut });
    }
    // Old code would still answer then.
    thread::sleep(OLD + Duration::from_secs(1));
    Ok(deploys)
}

/// Sends requests until it is told to stop; each has its own thread, as a server's have.
fn request(
    stage: &GatewayProject<'_>,
    function: &'static str,
    interval: Duration,
    load: Load,
    stop: &std::sync::atomic::AtomicBool,
) -> Vec<Request> {
    thread::scope(|scope| {
        let (mut next, mut sent) = (Instant::now(), Vec::new());
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            sent.push(scope.spawn(move || {
                let at = Instant::now();
                let called = stage.call(function, QUICK);
                let late = at.saturating_duration_since(next);
                Request { function, at, late, took: at.elapsed(), called }
            }));
            next += if load.random {
                interval.mul_f64(-(1.0 - fastrand::f64()).ln())
            } else {
                interval
            };
        }
        sent.into_iter().filter_map(|request| request.join().ok()).collect()
    })
}

fn judge(requests: &[Request], deploys: &[Deploy], load: Load) -> Outcome {
    let (mut failed, mut wrong, mut old) = (Vec::new(), Vec::new(), Vec::new());
    let (mut staleness, mut out_of_rhythm) = (Duration::ZERO, 0);
    for (number, request) in requests.iter().enumerate() {
        let Request { function, at, called, .. } = request;
        if called.status != 200 {
            let before = requests[..number].iter().rfind(|other| other.function == *function);
            let ended = before.map_or(Duration::ZERO, |before| before.late + before.took);
            let line = format!(
                "{function}, sent {:.0} ms late, the one before answered {:.0} ms after its time: {} {}",
                request.late.as_secs_f64() * 1e3,
                ended.as_secs_f64() * 1e3,
                called.status,
                called.body
            );
            say(&format!("  {line}"));
            if load.random || request.late > RHYTHM || ended > 2 * RHYTHM {
                out_of_rhythm += 1;
            } else {
                failed.push(line);
            }
            continue;
        }
        let answer: Value = serde_json::from_str(&called.body).unwrap_or_default();
        if answer["function"] != **function {
            wrong.push(format!("{function} was answered by {}", called.body));
        }
        let newest = deploys.iter().rposition(|deploy| deploy.ended < *at).map_or(0, |at| at + 1);
        let number = answer["deploy"].as_u64().unwrap_or(0);
        if number < newest as u64 {
            let since = at.duration_since(deploys[usize::try_from(number).unwrap_or(0)].ended);
            staleness = staleness.max(since);
            if since > OLD {
                old.push(format!("{function} at {since:?} after deploy {}", number + 1));
            }
        }
    }
    let seconds = deploys.iter().map(|deploy| deploy.ended - deploy.began).sum::<Duration>();
    let each = seconds / u32::try_from(deploys.len()).unwrap_or(u32::MAX).max(1);
    let slowest = requests.iter().map(|request| request.took).max().unwrap_or_default();
    say(&format!(
        "{} requests during {} deploys of {:.1} s each: {} 5xx ({} of requests out of rhythm), {} wrong, {} old (the oldest {:.2} s \
         after a deploy), {} calls cut, the slowest answer after {:.2} s",
        requests.len(),
        deploys.len(),
        each.as_secs_f64(),
        failed.len() + out_of_rhythm,
        out_of_rhythm,
        wrong.len(),
        old.len(),
        staleness.as_secs_f64(),
        deploys.iter().map(|deploy| deploy.cut).sum::<u64>(),
        slowest.as_secs_f64(),
    ));
    if !failed.is_empty() && is_overloaded() {
        say("  the machine has too much other work to judge the moments of replacements");
        failed.clear();
    }
    if !wrong.is_empty() || !old.is_empty() || !failed.is_empty() {
        return Err(format!("failed {failed:?}, wrong {wrong:?}, old {old:?}").into());
    }
    Ok(())
}

/// Whether processes wait so long for a processor that a signal takes as long as a request.
fn is_overloaded() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    load > f64::from(u32::try_from(processors).unwrap_or(u32::MAX)) * 3.0
}

/// Calls a function, which has to answer as the deploy of that number.
fn answers(stage: &GatewayProject<'_>, function: &str, number: usize) -> Outcome<esb_test::Called> {
    let called = stage.call(function, QUICK);
    expect_answer(&called, function, number)?;
    Ok(called)
}

fn expect_answer(called: &esb_test::Called, function: &str, number: usize) -> Outcome {
    let expected = serde_json::json!({ "function": function, "deploy": number });
    let answer: Value = serde_json::from_str(&called.body).unwrap_or_default();
    if called.status == 200 && answer == expected {
        return Ok(());
    }
    Err(format!("{function} answered {called:?}, not {expected}").into())
}

/// A container with the Agent's labels that runs a script.
fn other_worker(stage: &GatewayProject<'_>, name: &str, owner: &str, script: &str) -> Outcome {
    let image = super::delivery::image_of(&stage.first, "A")?;
    let mut run = vec!["run", "--detach", "--network", &stage.network, "--name", name];
    let environment = format!("esb_env={}", stage.environment);
    for label in ["created_by=esb-agent", &environment, "esb_function=a", owner] {
        run.extend(["--label", label]);
    }
    run.extend(["--entrypoint", "sh", &image, "-c", script]);
    stage.parts.engine.output(run)?;
    Ok(())
}

fn names(summary: &Value, key: &str) -> Vec<String> {
    let names = summary["workers"][key].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}
