//! Credentials for registries, and the trait of their sources.

use std::fmt;

use esb_model::Secret;

/// Credentials of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Name and password.
    Basic { username: String, password: Secret<String> },
    /// A refresh token that the registry's token server exchanges.
    IdentityToken(Secret<String>),
}

impl Credentials {
    /// A name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic { username: username.into(), password: Secret::new(password.into()) }
    }

    /// A refresh token.
    pub fn identity_token(token: impl Into<String>) -> Self {
        Self::IdentityToken(Secret::new(token.into()))
    }
}

/// Credentials of a registry are configured, and could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not get credentials for `{registry}`")]
pub struct CredentialError {
    pub registry: String,
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A source of credentials, such as a file or a helper program. Calls may block.
pub trait CredentialSource: Send + Sync + fmt::Debug {
    /// The name under which the credentials of a repository are kept: its registry, or a path that
    /// leads to it, `host[:port]/path`, where that has credentials of its own.
    fn name_of(&self, registry: &str, _repository: &str) -> String {
        registry.to_owned()
    }

    /// The credentials for `host[:port]`, or for what [`CredentialSource::name_of`] gave; `None`
    /// when there are none.
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, CredentialError>;
}

/// A source without any credentials.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl CredentialSource for Anonymous {
    fn credentials(&self, _: &str) -> Result<Option<Credentials>, CredentialError> {
        Ok(None)
    }
}
