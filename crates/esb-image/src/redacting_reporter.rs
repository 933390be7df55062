//! A reporter that removes secrets from the output of programs: values of build arguments, and
//! passwords of package indexes.
//!
//! BuildKit names its steps with the arguments put in, and a step may write them. A template may
//! have such a value from a secret, so none is shown: its argument's name stands for it.

use esb_model::{Event, Reporter};

use crate::{Error, Unsupported};

/// Shorter values hide nothing, and would be found in every other word.
const SHORTEST: usize = 4;

/// Passes events on, without values.
pub(crate) struct RedactingReporter<'a> {
    reporter: &'a dyn Reporter,
    /// Values and what stands for them, the longest first.
    values: Vec<(String, String)>,
}

impl<'a> RedactingReporter<'a> {
    pub(crate) fn new(reporter: &'a dyn Reporter, own: Option<&esb_model::OwnDockerfile>) -> Self {
        let args = own.into_iter().flat_map(|own| &own.args);
        Self::of(reporter, args.map(|(name, value)| (value.reveal().as_str(), format!("${name}"))))
    }

    /// Hides values behind what stands for them.
    pub(crate) fn of<'v>(
        reporter: &'a dyn Reporter,
        secrets: impl IntoIterator<Item = (&'v str, String)>,
    ) -> Self {
        let mut values = Vec::new();
        for (value, name) in secrets {
            // A value of several lines is said line by line.
            let lines = value.lines().map(str::trim);
            let long = lines.filter(|line| line.len() >= SHORTEST);
            values.extend(long.map(|line| (line.to_owned(), name.clone())));
        }
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { reporter, values }
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let hide = |text: String, (value, name): &(String, String)| text.replace(value, name);
        self.values.iter().fold(text.to_owned(), hide)
    }

    /// An error with its words cleaned.
    pub(crate) fn error(&self, error: Error) -> Error {
        match error {
            Error::Dockerfile { image, line, reason } => {
                Error::Dockerfile { image, line, reason: self.text(&reason) }
            }
            Error::Unsupported { image, engine, source: Unsupported { line, reason } } => {
                let source = Unsupported { line, reason: self.text(&reason) };
                Error::Unsupported { image, engine, source }
            }
            Error::MissingSource { image, path } => {
                Error::MissingSource { image, path: self.text(&path.to_string_lossy()).into() }
            }
            Error::Step { image, step, log, at } => {
                Error::Step { image, step: self.text(&step), log: self.text(&log), at }
            }
            Error::Engine { action, subject, reason } => {
                Error::Engine { action, subject: self.text(&subject), reason: self.text(&reason) }
            }
            Error::Denied { registry, daemon, image, reason } => {
                Error::Denied { registry, daemon, image, reason: self.text(&reason) }
            }
            Error::Fleet { image, tried } => {
                Error::Fleet { image, tried: tried.iter().map(|tried| self.text(tried)).collect() }
            }
            other => other,
        }
    }
}

impl Reporter for RedactingReporter<'_> {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Output { subject, line } => {
                self.reporter.event(&Event::Output { subject, line: &self.text(line) });
            }
            Event::Decided { subject, decision } => {
                let (subject, decision) = (self.text(subject), self.text(decision));
                self.reporter.event(&Event::Decided { subject: &subject, decision: &decision });
            }
            _ => self.reporter.event(event),
        }
    }
}

#[cfg(all(test, any(feature = "docker", feature = "buildkit")))]
mod tests {
    use esb_model::{NullReporter, OwnDockerfile, Secret};

    use super::*;

    #[test]
    fn names_stand_for_values() {
        let args =
            [("V", "1"), ("TOKEN", "abcd"), ("LONG", "abcdef"), ("KEY", "first\n  second\n")];
        let args = args.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        let own = OwnDockerfile { args: args.into(), ..OwnDockerfile::default() };
        let hidden = RedactingReporter::new(&NullReporter, Some(&own));
        let check = |text: &str, expected: &str| assert_eq!(hidden.text(text), expected);
        check("RUN x1 abcd abcdef", "RUN x1 $TOKEN $LONG");
        check("the second line", "the $KEY line");
        let error = Error::Step {
            image: "i".to_owned(),
            step: "RUN abcd".to_owned(),
            log: "said abcdef".to_owned(),
            at: crate::StepPlace::default(),
        };
        let shown = format!("{:?}", hidden.error(error));
        assert!(shown.contains("RUN $TOKEN") && shown.contains("said $LONG"), "{shown}");
        assert_eq!(RedactingReporter::new(&NullReporter, None).text("abcd"), "abcd");
    }
}
