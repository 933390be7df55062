//! The fleet of `BuildKit` daemons that flags, variables and settings name.

use std::path::Path;

use esb_deploy::{Error, Fleet, Kind};
use esb_image::docker::{EngineAddress, TlsFiles};
use esb_model::without_user;

use crate::{cli::FleetArgs, environment::Environment};

/// The daemons that are named, the strongest origin first; none when no daemon is named.
pub(crate) fn fleet(args: &FleetArgs, environment: &Environment) -> Result<Option<Fleet>, Error> {
    let set = environment.get("BUILDKIT_HOST").unwrap_or_default();
    let given: Vec<&str> = if args.buildkit.is_empty() {
        set.split(',').map(str::trim).filter(|address| !address.is_empty()).collect()
    } else {
        args.buildkit.iter().map(String::as_str).collect()
    };
    if given.is_empty() {
        return Ok(None);
    }
    let tls = args.buildkit_tls.as_deref().map(tls_files).transpose()?;
    let mut daemons = Vec::with_capacity(given.len());
    for text in given {
        let address = address(text)?;
        daemons.push(match &tls {
            Some(files) => address.with_tls(files.clone()),
            None => address,
        });
    }
    if let Some(host) = args.buildkit_registry.as_deref()
        && !esb_model::is_registry_host(host)
    {
        let host = without_user(host);
        let text = format!("`{host}` is not a registry: expected HOST[:PORT]");
        return Err(Error::new(Kind::Usage, "buildkit-registry", text));
    }
    Ok(Some(Fleet {
        daemons,
        server_name: args.buildkit_server_name.clone(),
        registry: args.buildkit_registry.clone(),
    }))
}

/// `tcp://HOST:PORT` or `unix:///PATH`; a port is always said.
fn address(text: &str) -> Result<EngineAddress, Error> {
    let said = |port: u16| text.trim().trim_end_matches('/').ends_with(&format!(":{port}"));
    match text.parse() {
        Ok(address @ EngineAddress::Unix(_)) => Ok(address),
        Ok(EngineAddress::Tcp { host, port, tls }) if said(port) => {
            Ok(EngineAddress::Tcp { host, port, tls })
        }
        _ => {
            let text = format!(
                "`{}` is not the address of a BuildKit daemon: expected tcp://HOST:PORT or unix:///PATH",
                without_user(text).escape_debug()
            );
            Err(Error::new(Kind::Usage, "buildkit", text))
        }
    }
}

fn tls_files(folder: &Path) -> Result<TlsFiles, Error> {
    let files = TlsFiles::below(folder);
    for path in [&files.ca, &files.certificate, &files.key] {
        std::fs::metadata(path).map_err(|error| {
            let text = format!("could not read `{}` for `--buildkit-tls`", path.display());
            Error::of(Kind::Input, "buildkit-tls", &error).during(text)
        })?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(addresses: &[&str]) -> FleetArgs {
        let buildkit = addresses.iter().map(|text| (*text).to_owned()).collect();
        FleetArgs { buildkit, ..FleetArgs::default() }
    }

    #[test]
    fn addresses_are_whole() {
        let check = |text: &str, good: bool| {
            let read = fleet(&args(&[text]), &Environment::default());
            assert_eq!(read.is_ok(), good, "{text}: {read:?}");
        };
        check("tcp://h:1234", true);
        check("tcp://[::1]:1234", true);
        check("unix:///run/buildkit/buildkitd.sock", true);
        check("tcp://h", false);
        check("h:1234", false);
        check("docker-container://x", false);
        assert_eq!(fleet(&args(&[]), &Environment::default()).unwrap(), None);
        let tls = FleetArgs { buildkit_tls: Some("/nowhere".into()), ..args(&["tcp://h:1"]) };
        let failure = fleet(&tls, &Environment::default()).unwrap_err();
        assert_eq!(failure.kind, Kind::Input);
        let registry = FleetArgs { buildkit_registry: Some("a/b".into()), ..args(&["tcp://h:1"]) };
        assert!(fleet(&registry, &Environment::default()).is_err());
    }
}
