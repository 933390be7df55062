//! Makes random contexts and Dockerfiles. The same seed gives the same case.

use std::fmt::Write as _;

use fastrand::Rng;

use super::{Case, Expected};

/// The case of a seed.
pub(super) fn case(seed: u64) -> Case {
    let mut random = Maker { rng: Rng::with_seed(seed), paths: Vec::new(), folders: Vec::new() };
    let files = random.files();
    let dockerfile = random.dockerfile();
    let dockerignore = if random.one_in(3) { random.rules() } else { String::new() };
    Case {
        dockerfile,
        shared: "",
        files,
        dockerignore,
        expected: Expected::Anything,
        folder: None,
        own: None,
    }
}

struct Maker {
    rng: Rng,
    /// Of the context.
    paths: Vec<String>,
    folders: Vec<String>,
}

impl Maker {
    fn one_in(&mut self, count: u32) -> bool {
        self.rng.u32(..count) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.rng.usize(..from.len())]
    }

    fn some_path(&mut self) -> String {
        self.paths[self.rng.usize(..self.paths.len())].clone()
    }

    fn some_folder(&mut self) -> String {
        match self.folders.len() {
            0 => String::new(),
            count => self.folders[self.rng.usize(..count)].clone(),
        }
    }

    /// Few names, so that things meet.
    fn name(&mut self) -> &'static str {
        const NAMES: [&str; 12] =
            ["a", "b", "c", "opt", "lnk", "exist", "sub", "file", "ü", "x y", ".h", "b.py"];
        self.pick(&NAMES)
    }

    fn files(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.rng.usize(3..12) {
            let folder = if self.one_in(2) { self.some_folder() } else { String::new() };
            let name = self.name();
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if self.paths.contains(&path) {
                continue;
            }
            match self.rng.u32(..10) {
                0..4 => {
                    let mode = self.pick(&["", "0755 ", "0600 ", "0751 "]);
                    writeln!(text, "{mode}{path} = {path}").expect("it is a string");
                }
                4..8 => {
                    let mode = self.pick(&["", "0700 ", "0777 "]);
                    writeln!(text, "{mode}{path}/").expect("it is a string");
                    self.folders.push(path.clone());
                }
                8 => {
                    let target = match self.rng.u32(..4) {
                        0 => self.name().to_owned(),
                        1 => format!("../{}", self.name()),
                        2 => format!("/{}", self.name()),
                        _ => "nowhere/x".to_owned(),
                    };
                    writeln!(text, "{path} -> {target}").expect("it is a string");
                }
                _ => writeln!(text, "{path}").expect("it is a string"),
            }
            self.paths.push(path);
        }
        if self.paths.is_empty() {
            self.paths.push("a".to_owned());
            text.push_str("a = a\n");
        }
        text
    }

    fn dockerfile(&mut self) -> String {
        let mut text = String::new();
        if self.one_in(4) {
            text.push_str(self.pick(&["FROM scratch AS one\n", "FROM base:1 AS one\n"]));
            self.steps(&mut text, 3, false);
            let from = self.pick(&["FROM base:1\n", "FROM one\n", "FROM scratch\n"]);
            text.push_str(from);
            self.steps(&mut text, 3, true);
        } else {
            text.push_str(self.pick(&["FROM base:1\n", "FROM base:1\n", "FROM other:1\n"]));
            self.steps(&mut text, 5, false);
        }
        text
    }

    fn steps(&mut self, text: &mut String, most: usize, staged: bool) {
        for _ in 0..self.rng.usize(1..=most) {
            let step = match self.rng.u32(..12) {
                0 => format!("WORKDIR {}", self.destination().trim_end_matches('/')),
                1 => format!("USER {}", self.pick(&["app", "5:6", "7", "app:staff", "root"])),
                2 => format!("ENV {}={}", self.pick(&["A", "B", "PATH"]), self.word()),
                3 => format!("ARG {}={}", self.pick(&["A", "B"]), self.word()),
                4 => format!("LABEL {}={}", self.pick(&["a", "b.c"]), self.word()),
                5 if staged => format!("COPY --from=one {}", self.of_stage()),
                _ => self.copy(),
            };
            text.push_str(&step);
            text.push('\n');
        }
    }

    fn of_stage(&mut self) -> String {
        let source = self.destination();
        let source = source.trim_end_matches('/');
        let source = if source.is_empty() { "/" } else { source };
        let star = if self.one_in(3) { "/*" } else { "" };
        let flag = self.pick(&["", "", "", "--parents ", "--link ", "--exclude=f* ", "--chown=5 "]);
        format!("{flag}[\"{source}{star}\", \"{}\"]", self.destination())
    }

    fn copy(&mut self) -> String {
        let mut text = self.pick(&["COPY ", "COPY ", "COPY ", "ADD "]).to_owned();
        if self.one_in(4) {
            text.push_str("--chown=");
            text.push_str(self.pick(&["app", "5", "5:6", "app:staff", "0:0"]));
            text.push(' ');
        }
        if self.one_in(6) {
            text.push_str("--chmod=");
            text.push_str(self.pick(&["600", "0755", "4711", "u=rwX,go=rX", "g-r,o=u", "a+s,+t"]));
            text.push(' ');
        }
        self.newer_flags(&mut text);
        let mut words = Vec::new();
        let several = self.one_in(4);
        for _ in 0..if several { 2 } else { 1 } {
            words.push(self.source());
        }
        let destination = self.destination();
        let folder = several && !destination.ends_with('/');
        words.push(if folder { destination + "/" } else { destination });
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("{text}[{}]", words.join(", "))
    }

    /// Flags that only newer engines know.
    fn newer_flags(&mut self, text: &mut String) {
        for flag in ["--link ", "--parents "] {
            if self.one_in(12) && !(flag == "--parents " && text.starts_with("ADD")) {
                text.push_str(flag);
            }
        }
        while self.one_in(10) {
            let path = self.some_path();
            let pattern = match self.rng.u32(..5) {
                0 => "*".to_owned(),
                1 => format!("**/{}", self.name()),
                2 => format!("!{path}"),
                3 => format!("!{}", self.name()),
                _ => path,
            };
            write!(text, "--exclude=\"{pattern}\" ").expect("it is a string");
        }
    }

    fn source(&mut self) -> String {
        let path = self.some_path();
        match self.rng.u32(..13) {
            0 => ".".to_owned(),
            1 => "*".to_owned(),
            2 => format!("{path}/"),
            3 => format!("./{path}"),
            4 => format!("/{path}"),
            5 => match path.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/*"),
                None => "?".to_owned(),
            },
            6 => {
                let start: String = path.chars().take(1).collect();
                format!("{start}*")
            }
            7 => self.some_folder() + "/.",
            8 => path.replacen('/', "/./", 1),
            _ => path,
        }
    }

    fn destination(&mut self) -> String {
        const BASE: [&str; 18] = [
            "/",
            "/opt",
            "/lnk",
            "/chain",
            "/exist",
            "/exist/sub",
            "/lib",
            "/up",
            "/new",
            "/new/er",
            "/dangling",
            "/flink",
            "/tmp",
            "/opt/back",
            ".",
            "rel",
            "../rel",
            "/a",
        ];
        let base = self.pick(&BASE);
        let slash = if self.one_in(2) { "/" } else { "" };
        match self.rng.u32(..4) {
            0 => format!("{}/{}{slash}", base.trim_end_matches('/'), self.name()),
            1 => format!("/{}{slash}", self.name()),
            _ => format!("{}{slash}", base.trim_end_matches('/')).replace("//", "/"),
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        for _ in 0..self.rng.usize(1..4) {
            word.push_str(self.pick(&[
                "x",
                "$A",
                "${B}",
                "\"q $A\"",
                "'s $A'",
                "\\$",
                "${A:-d}",
                "${C:+e}",
                "${B:+\"f\"}",
                "ü",
                "=",
                ":",
                "\\ ",
                "$PATH",
                "\"\\\"\"",
                "''",
                "${A:-${B}}",
            ]));
        }
        word
    }

    fn rules(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.rng.usize(1..4) {
            let path = self.some_path();
            let rule = match self.rng.u32(..8) {
                0 => "*".to_owned(),
                1 => "**/b*".to_owned(),
                2 => format!("!{path}"),
                3 => format!("{path}/*"),
                4 => format!("!{path}/**"),
                5 => format!("**/{}", self.name()),
                6 => format!("/{path}/"),
                _ => path,
            };
            text.push_str(&rule);
            text.push('\n');
        }
        text
    }
}
