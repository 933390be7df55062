//! Finds the line of a build step from the position in its name: `BuildKit`'s `[build 2/5] RUN
//! make` is the second step of the stage `build`.
//!
//! A daemon sends the line with its error only sometimes, and an engine never; the place in a name
//! is always there. Refuses to guess: a name that does not fit the Dockerfile has no line.

/// The steps of each stage that are counted, by their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StepLines(Vec<StageSteps>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct StageSteps {
    /// In lower case.
    name: Option<String>,
    /// Whether the first step is that of its image.
    image: bool,
    lines: Vec<u64>,
}

impl StepLines {
    /// Begins a stage; getting its image is a step, unless it starts from another stage or nothing.
    pub(super) fn stage(&mut self, name: Option<String>, image: Option<u64>) {
        let lines: Vec<u64> = image.into_iter().collect();
        self.0.push(StageSteps { name, image: !lines.is_empty(), lines });
    }

    /// Adds a step to the last stage.
    pub(super) fn step(&mut self, line: u64) {
        if let Some(stage) = self.0.last_mut() {
            stage.lines.push(line);
        }
    }

    /// The line, from 1, of a step by its name.
    pub(crate) fn line(&self, step: &str) -> Option<u64> {
        let (stage, number) = self.find(step)?;
        stage.lines.get(number - 1).copied()
    }

    /// As [`StepLines::line`], where images come through a session: a daemon counts getting one as a
    /// step, and gives it no number.
    #[cfg(feature = "buildkit")]
    pub(crate) fn line_by_session(&self, step: &str) -> Option<u64> {
        let (stage, number) = self.find(step)?;
        stage.lines.get(number - 1 + usize::from(stage.image)).copied()
    }

    /// The stage of a step, and its number from 1.
    fn find(&self, step: &str) -> Option<(&StageSteps, usize)> {
        let (place, _) = step.strip_prefix('[')?.split_once(']')?;
        let mut words = place.split_whitespace().rev();
        let (number, total) = words.next()?.split_once('/')?;
        let (number, total): (usize, usize) = (number.parse().ok()?, total.parse().ok()?);
        let stage = match words.next() {
            // The only stage may have a name, and a platform be told before it.
            None => self.0.last()?,
            Some(name) => self.named(&name.to_lowercase()).or_else(|| self.alone())?,
        };
        (stage.lines.len() == total && number > 0).then_some((stage, number))
    }

    fn named(&self, name: &str) -> Option<&StageSteps> {
        let number = || self.0.get(name.strip_prefix("stage-")?.parse::<usize>().ok()?);
        self.0.iter().rev().find(|stage| stage.name.as_deref() == Some(name)).or_else(number)
    }

    fn alone(&self) -> Option<&StageSteps> {
        self.0.first().filter(|_| self.0.len() == 1)
    }
}

#[cfg(test)]
mod tests {
    use crate::dockerfile::rewrite::{DockerfileRewrite, tests::recipe};

    const TEXT: &str = "ARG V=1\nFROM py:$V AS Build\nENV A=b\nWORKDIR /x\nRUN a \\\n  && b\n\n\
                        FROM build\nRUN c\nFROM scratch\nCOPY --from=0 /x /\nADD y /\nCMD [\"h\"]\n";

    #[test]
    fn a_step_has_its_line() {
        let steps = DockerfileRewrite::read(&recipe(TEXT)).unwrap().steps;
        let check = |name: &str, line: Option<u64>| assert_eq!(steps.line(name), line, "{name}");
        check("[build 1/3] FROM py:1", Some(2));
        check("[build 2/3] WORKDIR /x", Some(4));
        check("[linux/arm64 build 3/3] RUN a   && b", Some(5));
        check("[stage-1 1/1] RUN c", Some(9));
        check("[stage-2 1/2] COPY --from=0 /x /", Some(11));
        check("[stage-2 2/2] ADD y /", Some(12));
        check("[stage-2 2/3] ADD y /", None);
        check("[stage-2 0/2] ADD y /", None);
        check("[other 1/1] RUN c", None);
        check("[internal] load build context", None);
        check("exporting to image", None);
    }

    #[test]
    fn the_only_stage_needs_no_name() {
        let steps = DockerfileRewrite::read(&recipe("FROM b\nRUN a\n")).unwrap().steps;
        assert_eq!(steps.line("[2/2] RUN a"), Some(2));
        assert_eq!(steps.line("[linux/amd64 2/2] RUN a"), Some(2));
        #[cfg(feature = "buildkit")]
        assert_eq!(steps.line_by_session("[1/2] RUN a"), Some(2));
    }
}
