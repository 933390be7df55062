//! Which user reads the published configuration: secret values in functions.yml are kept from
//! others where that is known.

use std::os::unix::fs::PermissionsExt as _;

use esb_config::{ConfigFile, READABLE, Reader, is_same_folder};

use crate::{
    apply::{
        config::Places,
        delivery::{ConfigPlace, Delivery, GATEWAY_FOLDER},
    },
    deployment::Deployment,
    error::Error,
    options::Mode,
};

/// The user that reads what is delivered: that of the project's Gateway, when it reads there. None
/// where that is not known.
pub(crate) fn of_place(run: &Deployment, found: &Delivery) -> Option<Reader> {
    let place = found.place.as_ref()?;
    let gateway = match (place, &found.gateway) {
        (ConfigPlace::Container(inside), _) => Some(inside.container()),
        (ConfigPlace::Folder(folder), Some(gateway)) => {
            let mut mounts = gateway.mounts.iter();
            let mount = mounts.find(|mount| mount.target == GATEWAY_FOLDER)?;
            let bind = mount.bind.as_ref()?;
            is_same_folder(bind, &folder.path()).then_some(gateway)
        }
        (ConfigPlace::Folder(_), None) => None,
    };
    let Some(gateway) = gateway else {
        // There it runs as root, on this machine.
        let is_root = run.options.mode == Some(Mode::Containerd);
        return is_root.then_some(Reader { uid: 0, gid: Some(0) });
    };
    if run.connected().is_none_or(esb_image::docker::DockerEngine::maps_users) {
        return None;
    }
    let (uid, gid) = gateway.user?;
    Some(Reader { uid, gid })
}

/// The user that reads staging: its owner alone, where a Gateway is known to read elsewhere.
pub(crate) fn of_staging(found: &Delivery, of_place: Option<Reader>) -> Option<Reader> {
    found.place.as_ref()?;
    // Root stands for whoever can read a file of any mode, as its owner can.
    of_place.map(|_| Reader { uid: 0, gid: None })
}

/// Whether every user can read the functions.yml that counts.
pub(crate) fn is_open(places: &Places, reader: Option<Reader>) -> Result<bool, Error> {
    let folder = match &places.found.place {
        // A volume is the engine's own.
        Some(ConfigPlace::Container(_)) => return Ok(reader.is_none()),
        Some(ConfigPlace::Folder(folder)) => folder,
        None => &places.staging,
    };
    let found = folder.metadata(ConfigFile::Functions.name())?;
    Ok(found.is_some_and(|found| found.permissions().mode() & 0o777 == READABLE))
}
