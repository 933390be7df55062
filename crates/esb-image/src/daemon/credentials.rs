//! Selects the registry credentials that a daemon may have, and records those that it got.
//!
//! A daemon gets the credentials of only those registries that its build refers to, and its
//! messages are quoted without the credentials that it got. How a daemon asks is not known here.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use esb_oci::{CredentialError, CredentialSource, Credentials, Redactor};

use crate::Error;

/// The registry credentials that daemons may have, and a record of those that they got.
pub(crate) struct DaemonCredentials {
    source: Arc<dyn CredentialSource>,
    granted: Mutex<Granted>,
}

#[derive(Default)]
struct Granted {
    /// Registries as references name them.
    registries: BTreeSet<String>,
    given: Redactor,
}

impl fmt::Debug for DaemonCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonCredentials").field("source", &self.source).finish_non_exhaustive()
    }
}

impl DaemonCredentials {
    pub(crate) fn new(source: Arc<dyn CredentialSource>) -> Self {
        Self { source, granted: Mutex::default() }
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets daemons have the credentials of a registry, for they are sent there.
    pub(crate) fn allow(&self, registry: &str) {
        self.granted().registries.insert(registry.to_owned());
    }

    /// The credentials of a registry that daemons were sent to. A helper program may run.
    pub(crate) fn ask(&self, registry: &str) -> Result<Option<Credentials>, CredentialError> {
        if !self.granted().registries.contains(registry) {
            return Ok(None);
        }
        let found = self.source.credentials(registry)?;
        if let Some(credentials) = &found {
            self.granted().given.add_credentials(credentials);
        }
        Ok(found)
    }

    /// A daemon's words about a failure, without what it was given.
    pub(crate) fn hide(&self, text: &str) -> String {
        let given = self.granted().given.clone();
        given.hide(text)
    }

    /// An error of a daemon, without what it was given.
    pub(crate) fn clean(&self, error: Error) -> Error {
        match error {
            Error::Engine { action, subject, reason } => {
                Error::Engine { action, subject, reason: self.hide(&reason) }
            }
            Error::Denied { registry, daemon, image, reason } => {
                Error::Denied { registry, daemon, image, reason: self.hide(&reason) }
            }
            Error::Fleet { image, tried } => {
                Error::Fleet { image, tried: tried.iter().map(|tried| self.hide(tried)).collect() }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Everywhere;

    impl CredentialSource for Everywhere {
        fn credentials(&self, _: &str) -> Result<Option<Credentials>, CredentialError> {
            Ok(Some(Credentials::basic("user", "s3cret-word")))
        }
    }

    #[test]
    fn only_for_registries_that_daemons_are_sent_to() {
        let handed = DaemonCredentials::new(Arc::new(Everywhere));
        assert_eq!(handed.ask("r.example").unwrap(), None);
        handed.allow("r.example");
        assert!(handed.ask("r.example").unwrap().is_some());
        for other in ["r.example:443", "evil.example", "docker.io", ""] {
            assert_eq!(handed.ask(other).unwrap(), None, "{other}");
        }
        // base64 of `user:s3cret-word`
        let said = "403: Basic dXNlcjpzM2NyZXQtd29yZA== of user:s3cret-word";
        assert_eq!(handed.hide(said), "403: Basic **** of ****");
    }
}
