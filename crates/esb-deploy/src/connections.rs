//! What a run works with: the content store, a registry client, and how engines and tools are
//! reached.

use std::{collections::BTreeMap, fmt, sync::Arc};

use esb_image::{
    Tools,
    docker::{ClientSettings, EngineAddress},
};
use esb_model::Secret;
use esb_oci::{ContentStore, CredentialSource};
use esb_registry::Client;

/// A fleet of `BuildKit` daemons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Where the daemons are.
    pub daemons: Vec<EngineAddress>,
    /// The name in their certificates; the host of each address where none is given.
    pub server_name: Option<String>,
    /// The name that the daemons have for the registry.
    pub registry: Option<String>,
}

/// The store, clients and tools that a run uses. Nothing is contacted before it is needed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Connections {
    /// Blobs, records and installed dependencies of this user.
    pub store: ContentStore,
    /// The client of all registries.
    pub client: Client,
    /// How the Docker engine is found.
    pub engine: ClientSettings,
    /// The `BuildKit` daemons that build what needs a process; none where no daemon is named.
    pub fleet: Option<Fleet>,
    /// The programs that install packages.
    pub tools: Tools,
    /// Build arguments of every step, such as proxies.
    pub step_arguments: BTreeMap<String, String>,
    /// Secrets of build steps, by name.
    pub step_secrets: BTreeMap<String, Secret<Vec<u8>>>,
}

impl Connections {
    /// A store and registries, with Docker's default address, no fleet and no tools.
    pub fn new(store: ContentStore, client: Client) -> Self {
        Self {
            store,
            client,
            engine: ClientSettings::default(),
            fleet: None,
            tools: Tools::default(),
            step_arguments: BTreeMap::new(),
            step_secrets: BTreeMap::new(),
        }
    }

    /// The credentials of registries.
    pub(crate) fn credentials(&self) -> Arc<dyn CredentialSource> {
        Arc::clone(&self.client.settings().credentials)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("store", &self.store.root())
            .field("engine", &self.engine)
            .field("fleet", &self.fleet)
            .finish_non_exhaustive()
    }
}
