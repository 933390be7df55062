//! Runs a program and captures its output.
//!
//! The program gets only the given environment, and is killed with all that it started when it is no
//! longer waited for. No shell is used.

use std::{collections::VecDeque, ffi::OsStr, io, path::Path, process::Stdio};

use super::address::shown_address;
use esb_oci::ProcessGroup;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
    sync::mpsc,
};

/// The longest line that is kept, in bytes; what is longer is cut.
const MAX_LINE: usize = 4096;

/// The last lines that are kept: an error may need them.
const MAX_LINES: usize = 200;

/// A program with its arguments.
pub(crate) struct Program(Command);

/// The output of a program and its exit status.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Vec<String>,
    success: bool,
}

impl Program {
    /// A program that sees nothing of this process's environment.
    pub(crate) fn new(path: &Path) -> Self {
        let mut command = Command::new(path);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Self(command)
    }

    pub(crate) fn arguments(&mut self, arguments: &[&str]) -> &mut Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(argument);
        self
    }

    pub(crate) fn variable(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.env(name, value);
    }

    pub(crate) fn folder(&mut self, folder: &Path) {
        self.0.current_dir(folder);
    }

    /// Runs the program to its end and calls `tell` with each line of output.
    pub(crate) async fn run(mut self, tell: &mut (dyn FnMut(&str) + Send)) -> io::Result<Log> {
        let mut child = self.0.spawn()?;
        let group = child.id().and_then(ProcessGroup::of);
        let (sender, mut receiver) = mpsc::channel(64);
        let stdout = child.stdout.take().map(|stream| lines(stream, sender.clone()));
        let stderr = child.stderr.take().map(|stream| lines(stream, sender));
        let streams = async {
            if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
                tokio::join!(stdout, stderr);
            }
        };
        let mut log = VecDeque::with_capacity(MAX_LINES);
        let hear = async {
            while let Some(line) = receiver.recv().await {
                tell(&line);
                if log.len() == MAX_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
        };
        let ((), (), status) = tokio::join!(streams, hear, child.wait());
        if let (Some(group), Ok(_)) = (group, &status) {
            group.leave();
        }
        Ok(Log { lines: log.into(), success: status?.success() })
    }
}

impl Log {
    pub(crate) fn success(&self) -> bool {
        self.success
    }

    /// The same in other words.
    pub(crate) fn map(mut self, words: impl Fn(&str) -> String) -> Self {
        for line in &mut self.lines {
            *line = words(line);
        }
        self
    }

    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The last words that say something, escaped.
    pub(crate) fn last(&self) -> String {
        let said = |line: &&String| !line.trim().is_empty();
        let error = |line: &&String| line.to_ascii_lowercase().contains("error");
        let lines = || self.lines.iter().rev().filter(said);
        let begins = |line: &&String| line.trim_start().to_ascii_lowercase().starts_with("error");
        let last = lines().find(begins).or_else(|| lines().find(error)).or_else(|| lines().next());
        last.map_or_else(
            || "it said nothing".to_owned(),
            |line| line.trim().escape_debug().to_string(),
        )
    }
}

async fn lines(mut stream: impl AsyncRead + Unpin, sender: mpsc::Sender<String>) {
    let mut block = vec![0; 4096];
    let mut line = Vec::new();
    // A stream that breaks ends: the exit code tells whether that matters.
    while let Ok(read @ 1..) = stream.read(&mut block).await {
        for byte in &block[..read] {
            if matches!(byte, b'\n' | b'\r') {
                send(&mut line, &sender).await;
            } else if line.len() < MAX_LINE {
                line.push(*byte);
            }
        }
    }
    send(&mut line, &sender).await;
}

async fn send(line: &mut Vec<u8>, sender: &mpsc::Sender<String>) {
    if !line.is_empty() {
        let text = String::from_utf8_lossy(line).into_owned();
        line.clear();
        // Nobody listens any more: the program is about to be killed.
        let _ = sender.send(text).await;
    }
}

/// What pip and uv say when they do not reach an index.
const OUT_OF_REACH: [&str; 9] = [
    "Failed to establish",
    "Connection refused",
    "Max retries exceeded",
    "dns error",
    "Name or service not known",
    "Temporary failure in name resolution",
    "No route to host",
    "tcp connect error",
    "timed out",
];

/// The address of an index that was not reached, without credentials; empty when it is not said.
pub(crate) fn index_out_of_reach(lines: &[String]) -> Option<String> {
    // Of a connection that is tried again only the last time counts.
    let fails = |line: &&String| {
        let again = line.contains("Retrying (Retry(") && !line.contains("(total=0,");
        !again && OUT_OF_REACH.iter().any(|words| line.contains(words))
    };
    let line = lines.iter().find(fails)?;
    let host = line.split_once("host='").and_then(|(_, rest)| rest.split('\'').next());
    let address = |line: &String| {
        let start = line.find("https://").or_else(|| line.find("http://"))?;
        let rest = &line[start..];
        let ends = |c: char| c.is_whitespace() || "`'\"),".contains(c);
        let address = &rest[..rest.find(ends).unwrap_or(rest.len())];
        Some(shown_address(address))
    };
    let fits = |address: &String| host.is_none_or(|host| address.contains(host));
    let found = [line].into_iter().chain(lines).filter_map(address).find(fits);
    Some(found.or_else(|| host.map(str::to_owned)).unwrap_or_default())
}

/// The package that pip or uv found no wheel of.
pub(crate) fn package_without_wheel(lines: &[String]) -> Option<&str> {
    let word = |text: &'_ str| text.split_whitespace().next().map(str::len);
    lines.iter().find_map(|line| {
        for start in ["No matching distribution found for ", "satisfies the requirement "] {
            if let Some((_, rest)) = line.split_once(start) {
                return word(rest).map(|end| &rest[..end]);
            }
        }
        // `Because x==1 has no usable wheels and building from source is disabled`
        let (before, after) = line.split_once(" has no ")?;
        let wheels = after.split_whitespace().take(3).any(|word| word.starts_with("wheel"));
        before.split_whitespace().next_back().filter(|_| wheels)
    })
}

/// How lines start that say nothing of what failed.
const PASSING: [&str; 6] = [
    "Using CPython ",
    "Using Python ",
    "Looking in indexes: ",
    "Looking in links: ",
    "[notice]",
    "error: No solution found when resolving dependencies",
];

/// The lines that say why an installation failed.
pub(crate) fn telling(lines: &[String]) -> Vec<String> {
    let passes = |line: &&String| {
        let line = line.trim_start();
        !PASSING.iter().any(|start| line.starts_with(start))
    };
    lines.iter().filter(passes).cloned().collect()
}

/// Why nothing fits, in uv's own words.
pub(crate) fn no_solution(lines: &[String]) -> Option<String> {
    lines.iter().find_map(|line| {
        let (_, why) = line.split_once("Because ")?;
        let why = why.split_once(", we can conclude").map_or(why, |(why, _)| why);
        let says_it_all =
            |first: &&str| first.contains("no version") || first.contains("not found");
        let first = why.split_once(" and you require ").map(|(first, _)| first);
        let why = first.filter(says_it_all).unwrap_or(why);
        Some(why.trim().escape_debug().to_string())
    })
}

/// The latest versions that pip says there are of a package that it has no fitting one of.
pub(crate) fn other_versions(lines: &[String]) -> Vec<String> {
    /// How many are shown.
    const SHOWN: usize = 5;
    let list = lines.iter().find_map(|line| line.split_once("(from versions: "));
    let list = list.and_then(|(_, rest)| rest.split(')').next()).unwrap_or_default();
    let versions: Vec<_> =
        list.split(", ").filter(|version| !matches!(*version, "" | "none")).collect();
    let start = versions.len().saturating_sub(SHOWN);
    versions[start..].iter().map(|version| version.escape_debug().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_out_of_reach_is_named() {
        let check = |text: &str, expected: Option<&str>| {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            assert_eq!(index_out_of_reach(&lines).as_deref(), expected, "{text}");
        };
        let pip = "Looking in indexes: http://ci:****@h:1/simple\n\
                   WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by \
                   'NewConnectionError(\"HTTPConnection(host='h', port=1): Failed to establish a \
                   new connection: [Errno 111] Connection refused\")': /simple/x/\n\
                   ERROR: No matching distribution found for x";
        check(pip, Some("http://h:1/simple"));
        check(&pip.replace("total=0", "total=4"), None);
        let uv = "error: Failed to fetch: `http://ci:pw@h:1/simple/x/?sig=1`\n  Caused by: tcp \
                  connect error\n  Caused by: Connection refused (os error 111)";
        check(uv, Some("http://h:1/simple/x/"));
        check("ERROR: No matching distribution found for x", None);
        let log = Log { lines: uv.lines().map(str::to_owned).collect(), success: false };
        assert!(log.last().starts_with("error: Failed to fetch"), "{}", log.last());
    }

    #[test]
    fn packages_are_named() {
        let check = |text: &str, expected: Option<&str>| {
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            assert_eq!(package_without_wheel(&lines), expected, "{text}");
        };
        check(
            "Collecting x\nERROR: Could not find a version that satisfies the requirement cffi==99 (from versions: none)\n\
             ERROR: No matching distribution found for cffi==99",
            Some("cffi==99"),
        );
        check(
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because pyfoo==1.0 has no usable wheels and\n",
            Some("pyfoo==1.0"),
        );
        check("Because a has no wheels with a matching Python ABI tag", Some("a"));
        check("error: it has no time", None);
        check("", None);
    }

    #[test]
    fn the_reason_is_one_line() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let uv = lines(
            "Using CPython 3.11.7 interpreter at: /root/python3\n\
             error: No solution found when resolving dependencies\n  cause: Because there is no \
             version of six==99.0 and you require six==99.0, we can conclude that your requirements \
             are unsatisfiable.",
        );
        assert_eq!(no_solution(&uv).as_deref(), Some("there is no version of six==99.0"));
        assert_eq!(telling(&uv), uv[2..]);
        let both = lines("Because you require a==1 and a<1, we can conclude that x");
        assert_eq!(no_solution(&both).as_deref(), Some("you require a==1 and a<1"));
        assert_eq!(no_solution(&lines("error: other")), None);
        let pip = lines("ERROR: Could not find a version (from versions: 1, 2, 3, 4, 5, 6)");
        assert_eq!(other_versions(&pip), ["2", "3", "4", "5", "6"]);
        assert!(other_versions(&lines("(from versions: none)")).is_empty());
    }
}
