//! What helps against a finding.

/// What helps against a [`crate::Finding`]. The caller words it, because only it knows its own
/// flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Give local code for the function.
    GiveCode {
        /// None where several functions may need it.
        function: Option<String>,
    },
    /// Give a value for the environment variable that only AWS knows.
    GiveVariable,
    /// Let the Gateway fill in the variable of the functions from its own environment.
    FillInFromGateway { functions: Vec<String>, variable: String },
    /// Look at which variables the Gateway is to fill in: this one does not exist.
    CheckFilledIn,
    /// Give the template's parameter a value, which may be one that nobody is to see.
    GiveParameter { name: String, is_secret: bool },
    /// Run the image where its architecture is, or build it for another one.
    MatchArchitecture,
    /// In words that name no setting of the caller.
    Advice(String),
}

impl Remedy {
    /// The words, where they name no setting of the caller.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Advice(advice) => Some(advice),
            _ => None,
        }
    }
}

impl From<String> for Remedy {
    fn from(advice: String) -> Self {
        Self::Advice(advice)
    }
}

impl From<&str> for Remedy {
    fn from(advice: &str) -> Self {
        Self::Advice(advice.to_owned())
    }
}
