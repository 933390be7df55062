//! Flags whose value is one of a few names, and the options of the deploy that they stand for.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use esb_deploy::{BuilderChoice, ImageRefForm, Mode, Prewarm, Pull};

/// Choices with their names.
pub(crate) type Names<T> = &'static [(&'static str, T)];

pub(crate) const MODES: Names<Mode> = &[("docker", Mode::Docker), ("containerd", Mode::Containerd)];

pub(crate) const BUILDERS: Names<BuilderChoice> = &[
    ("auto", BuilderChoice::Auto),
    ("embedded", BuilderChoice::Embedded),
    ("docker", BuilderChoice::Docker),
    ("buildkit", BuilderChoice::Buildkit),
];

pub(crate) const IMAGE_REFS: Names<ImageRefForm> = &[
    ("content", ImageRefForm::Content),
    ("tag", ImageRefForm::Tag),
    ("digest", ImageRefForm::Digest),
];

pub(crate) const PREWARMS: Names<Prewarm> = &[("all", Prewarm::All), ("off", Prewarm::Off)];

pub(crate) const PULLS: Names<Pull> = &[("all", Pull::All), ("off", Pull::Off)];

/// Reads the name of a choice.
pub(crate) fn parser<T: Copy + Send + Sync + 'static>(
    names: Names<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names.iter().map(|(name, _)| *name))
        .map(move |text| named(names, &text).expect("only these names are taken"))
}

/// The choice of a name.
pub(crate) fn named<T: Copy>(names: Names<T>, text: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice)
}

/// Reads a number of things that are worked on at a time.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("is not a number".to_owned()),
    }
}
