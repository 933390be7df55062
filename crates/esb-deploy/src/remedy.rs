//! What helps against an error of a run.

use std::path::PathBuf;

/// What helps against an [`crate::Error`]. The caller words it, because only it knows its own flags
/// and commands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Name a template, or a folder that holds one.
    NameTemplate,
    /// Give the template's parameters that the value depends on.
    GiveParameters,
    /// Build or deploy the environment first.
    BuildFirst,
    /// Wait, or use another environment.
    UseAnotherEnvironment,
    /// Start or name a container engine, or name `BuildKit` daemons.
    StartEngineOrNameDaemons,
    /// Name the daemons of the fleet.
    NameDaemons,
    /// Name the registry that external images are copied into.
    NameInternalRegistry,
    /// Start the registry, or name another.
    StartOrNameRegistry,
    /// Name the registry of the last deploy again, or say that another target is meant.
    NameLastRegistry {
        /// The registry of the last deploy.
        before: String,
    },
    /// Start the registry, or name the address at which this machine reaches it.
    StartOrNamePushAddress,
    /// Start or name a registry that the platform's Agent reaches and push there, or allow names
    /// of this machine.
    PushWhereAgentPulls,
    /// Let the engine reach the registry, in one of several ways.
    LetEngineReach {
        /// What can be changed on the engine's machine.
        ways: Vec<String>,
        /// A registry that the engine reaches, whose name can be published instead.
        registry: Option<String>,
    },
    /// Name images by a tag of their content or by their digest, or push plain tags.
    NameByContent,
    /// Let external images be copied into the internal registry.
    AllowSync,
    /// Name the folder where a Gateway reads, or deliver nowhere.
    NameDelivery,
    /// Let this user write into the folder of a Gateway, or deliver to another one.
    MakeDeliveryWritable { folder: PathBuf },
    /// Mount the folder of a Gateway so that it can be written, or deliver to another one.
    MountWritable,
    /// Run once so that the lock file may change, and commit it.
    ChangeLockFile,
    /// What helps against the error itself, or pin what the reference leads to now.
    PinAnew { otherwise: Option<Box<Remedy>>, reference: String },
    /// What helps against an error of a content store or a layout.
    Store(esb_oci::Remedy),
    /// What helps against an error of the image builders.
    Image(esb_image::Remedy),
    /// What helps against an error of a registry.
    Registry(esb_registry::Remedy),
    /// What helps against an error of the published configuration.
    Config {
        remedy: esb_config::Remedy,
        /// The program whose commands change it, when it is known.
        program: Option<String>,
    },
    /// In words that name no setting of the caller.
    Advice(String),
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

impl From<esb_oci::Remedy> for Remedy {
    fn from(remedy: esb_oci::Remedy) -> Self {
        Self::Store(remedy)
    }
}

impl From<esb_image::Remedy> for Remedy {
    fn from(remedy: esb_image::Remedy) -> Self {
        Self::Image(remedy)
    }
}

impl From<esb_registry::Remedy> for Remedy {
    fn from(remedy: esb_registry::Remedy) -> Self {
        Self::Registry(remedy)
    }
}

impl From<esb_config::Remedy> for Remedy {
    fn from(remedy: esb_config::Remedy) -> Self {
        Self::Config { remedy, program: None }
    }
}
