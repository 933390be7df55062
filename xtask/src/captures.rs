//! `captures`: what people see at terminals of 100 and 60 columns, written below `target/captures`
//! to be looked at by eye.
//!
//! Runs each scene in a real terminal (tmux) against a real registry and engine. Owns no judgement:
//! nothing of it is a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use esb_test::ensure_packages;

use crate::{
    base_image::Version,
    bases,
    checks::{Checks, Outcome, Trouble},
    command::{output, run, target},
    e2e::parts::Parts,
    steps::say,
};

mod scenes;

use scenes::{Key, Scene, Step};

/// Columns of the terminals.
const WIDTHS: [u16; 2] = [100, 60];
/// Lines that a terminal holds; what scrolls out above is captured too.
const LINES: u16 = 48;
/// The longest that a command or a question may take.
const LIMIT: Duration = Duration::from_mins(3);
/// What the shell shows when it waits for a command.
const PROMPT: &str = "$ ";

/// Captures every scene, or those whose name holds `only`.
pub(crate) fn captures(esb: Option<PathBuf>, only: &str) -> bool {
    let mut checks = Checks::default();
    let esb = esb.or_else(|| checks.run("release build", crate::e2e::release_build));
    let parts = esb.and_then(|esb| {
        checks.run("start registry and engine", || {
            ensure_packages(&["tmux"])?;
            let work = target().join("captures/work");
            Parts::start_below(work, esb, bases::mirrors(&[Version::Python313])?)
        })
    });
    if let Some(parts) = parts {
        for scene in scenes::all().iter().filter(|scene| scene.name.contains(only)) {
            for width in WIDTHS {
                let name = format!("{} at {width} columns", scene.name);
                checks.run(&name, || capture(&parts, scene, width));
            }
        }
        say(&format!("see {}", target().join("captures").display()));
    }
    checks.finish("captures")
}

fn capture(parts: &Parts, scene: &Scene, width: u16) -> Outcome {
    let label = format!("{}-{width}", scene.name);
    let project = parts.work.join(&label);
    fs::create_dir_all(&project)?;
    (scene.prepare)(&project)?;
    let terminal = Terminal::open(parts, &project, &label, width)?;
    for step in scene.steps {
        terminal.play(step)?;
    }
    let folder = target().join("captures");
    fs::write(folder.join(format!("{label}.txt")), terminal.text(&[])?)?;
    fs::write(folder.join(format!("{label}.ansi")), terminal.text(&["-e"])?)?;
    Ok(())
}

/// A shell in a terminal of its own.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn open(parts: &Parts, project: &Path, label: &str, width: u16) -> Outcome<Self> {
        let socket = parts.work.join(format!("{label}.tmux"));
        let bin = parts.work.join("bin");
        fs::create_dir_all(&bin)?;
        let link = bin.join("esb");
        if !link.exists() {
            std::os::unix::fs::symlink(&parts.esb, &link)?;
        }
        // What `esb` gets elsewhere, gets the shell here.
        let mut shell = parts.esb_to_registry(project, label);
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", bin.display())).env("PS1", PROMPT);
        let variables = shell
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?)));
        let terminal = Self { socket };
        let (width, lines) = (width.to_string(), LINES.to_string());
        let mut tmux = terminal.tmux(&["-f", "/dev/null", "new-session", "-d"]);
        tmux.args(["-x", &width, "-y", &lines, "-c"]).arg(project);
        tmux.args(["env", "-i", "TERM=tmux-256color", "LC_ALL=C.UTF-8"]).args(variables);
        run(tmux.args(["bash", "--norc", "--noprofile"]))?;
        terminal.wait(|text| last_line(text) == PROMPT.trim_end())?;
        Ok(terminal)
    }

    fn play(&self, step: &Step) -> Outcome {
        match step {
            Step::Run(line) => {
                self.keys(&["-l", line])?;
                self.keys(&["Enter"])?;
                thread::sleep(Duration::from_millis(300));
                self.wait(|text| last_line(text) == PROMPT.trim_end())
            }
            Step::Start(line) => {
                self.keys(&["-l", line])?;
                self.keys(&["Enter"])
            }
            Step::Answer { question, key } => {
                self.wait(|text| last_line(text).contains(question))?;
                match key {
                    Key::Text(text) => {
                        self.keys(&["-l", text]).and_then(|()| self.keys(&["Enter"]))
                    }
                    Key::Control(letter) => self.keys(&[&format!("C-{letter}")]),
                }
            }
            Step::End => self.wait(|text| last_line(text) == PROMPT.trim_end()),
        }
    }

    fn keys(&self, keys: &[&str]) -> Outcome {
        run(self.tmux(&["send-keys"]).args(keys))
    }

    fn text(&self, options: &[&str]) -> Outcome<String> {
        output(self.tmux(&["capture-pane", "-p", "-S", "-", "-t", ":"]).args(options))
    }

    fn wait(&self, shown: impl Fn(&str) -> bool) -> Outcome {
        let start = Instant::now();
        loop {
            let text = self.text(&[])?;
            if shown(&text) {
                return Ok(());
            }
            if start.elapsed() > LIMIT {
                let text: Vec<&str> = text.trim_end().lines().collect();
                let last = text[text.len().saturating_sub(10)..].join(" / ");
                return Err(Trouble::Failed(format!("what was waited for did not come: {last}")));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(&self.socket).args(arguments);
        tmux
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.tmux(&["kill-server"]).status();
    }
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default().trim_end()
}
