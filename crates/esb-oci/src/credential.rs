//! Credentials for registries, asked for by host.

use std::fmt;

/// What opens a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Name and password.
    Basic { username: String, password: String },
    /// A refresh token that the registry's token server exchanges.
    IdentityToken(String),
}

/// The credentials of a host cannot be had, although some are configured.
#[derive(Debug, thiserror::Error)]
#[error("could not get credentials for `{registry}`")]
pub struct CredentialError {
    pub registry: String,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Something that knows credentials. Calls may block (a helper program may run).
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// The credentials for `host[:port]`; `None` when there are none.
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, CredentialError>;
}

/// Knows none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl CredentialSource for Anonymous {
    fn credentials(&self, _: &str) -> Result<Option<Credentials>, CredentialError> {
        Ok(None)
    }
}

/// Shows the kind alone.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username}, ****)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(****)"),
        }
    }
}
