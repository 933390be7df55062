//! Hand-written Dockerfiles of the suite, by topic.

mod copy;
mod flags;
mod instructions;
mod sources;

use super::{Case, Expected};

/// What every context holds beside what a case asks for.
const FILES: &str = "single = one
other = two
0755 run.sh = #!/bin/sh
0640 odd = odd mode
0700 private = p
void
0700 code/
code/app.py = print
code/lib/x.so = lib
0711 code/bin/run = go
code/lib/l -> x.so
code/empty/
code/.git/config = g
code/a b.txt = spaces
code/größe/ü.py = u
hard => single
lns -> single
lnd -> code/lib
lnin -> code/lib/l
lnabs -> /code/app.py
layer/python/common.py = c
layer/file = l";

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let topics = [
        copy::files(),
        copy::folders(),
        copy::patterns(),
        copy::links(),
        copy::replacing(),
        copy::owners_and_modes(),
        copy::work_folders(),
        sources::stages(),
        sources::archives(),
        sources::names(),
        sources::ignored(),
        flags::parents(),
        flags::excludes(),
        flags::links(),
        flags::modes(),
        flags::of_add(),
        flags::triggers(),
        instructions::settings(),
        instructions::variables(),
        instructions::spelling(),
        instructions::left_to_the_engine(),
    ];
    topics.into_iter().flatten().collect()
}

/// A case that starts from the suite's base, unless it says something else.
fn case(text: &str, expected: Expected) -> Case {
    let starts = text.lines().any(|line| line.starts_with("FROM"));
    let dockerfile = if starts { format!("{text}\n") } else { format!("FROM base:1\n{text}\n") };
    Case {
        dockerfile,
        shared: FILES,
        files: String::new(),
        dockerignore: String::new(),
        expected,
        folder: None,
        own: None,
    }
}

fn same(text: &str) -> Case {
    case(text, Expected::Same)
}

fn wrong(text: &str) -> Case {
    case(text, Expected::Wrong)
}

fn refused(text: &str, reason: &'static str) -> Case {
    case(text, Expected::Refused(reason))
}

/// Engines of version 20.10 do otherwise, as the words say: what they make does not count.
fn old(text: &str, how: &'static str) -> Case {
    case(text, Expected::Old(how))
}

impl Case {
    fn with(mut self, files: &str) -> Self {
        files.clone_into(&mut self.files);
        self
    }

    fn ignoring(mut self, dockerignore: &str) -> Self {
        dockerignore.clone_into(&mut self.dockerignore);
        self
    }
}
