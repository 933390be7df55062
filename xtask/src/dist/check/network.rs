//! How the program finds other machines and believes them, where nothing of a C library is: names
//! from `/etc/hosts`, from a name server and from a proxy, certificates where distributions have them.

mod proxy;

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    thread,
};

use esb_test::{Guard, Identity, Missing, Registry};

use super::bare::Bare;
use crate::{
    checks::{Checks, Outcome, Trouble},
    dist::build::Program,
    folders,
};

/// Where distributions keep the certificates that their users trust.
const PLACES: [(&str, &str); 5] = [
    ("Debian", "etc/ssl/certs/ca-certificates.crt"),
    ("Alpine", "etc/ssl/cert.pem"),
    ("Fedora", "etc/pki/tls/certs/ca-bundle.crt"),
    ("RHEL", "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    ("openSUSE", "etc/ssl/ca-bundle.pem"),
];

/// The registry's full name, and its name in the domain that is searched.
const FULL: &str = "registry.esb.test";
const SHORT: &str = "registry";
const DOMAIN: &str = "esb.test";

/// An address of this machine that no other name server has.
const SERVER: Ipv4Addr = Ipv4Addr::new(127, 53, 31, 1);

/// Deploys to a registry with TLS and a password, and asks it for the images in each of the ways.
pub(super) fn all(checks: &mut Checks, folder: &Path, program: &Program, mirrors: &[String]) {
    let site =
        checks.run("a deploy to a registry with TLS", || Site::start(folder, program, mirrors));
    let Some(site) = site else { return };
    for (distribution, place) in PLACES {
        checks.run(&format!("the certificates of {distribution} are found"), || {
            site.prepare(Some(place), Names::Hosts)?;
            site.verify(&[], FULL)
        });
    }
    checks.run("SSL_CERT_FILE and SSL_CERT_DIR name others", || {
        site.prepare(Some("own/ca.pem"), Names::Hosts)?;
        site.verify(&["SSL_CERT_FILE=/own/ca.pem"], FULL)?;
        site.verify(&["SSL_CERT_DIR=/own"], FULL)
    });
    checks.run("without certificates the registry is refused", || {
        site.prepare(None, Names::Hosts)?;
        match site.verify(&[], FULL) {
            Err(Trouble::Failed(text)) if text.contains("certificate") => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    });
    checks.run("names come from a name server, in a domain that is searched too", || {
        serve_names()?;
        site.prepare(Some(PLACES[0].1), Names::Server)?;
        site.verify(&[], FULL)?;
        site.verify(&[], SHORT)
    });
    checks.run("a proxy finds base images whose registries nobody else has a name for", || {
        proxy::finds_registries(&site, mirrors)
    });
}

/// Where names are looked up.
#[derive(Debug, Clone, Copy)]
enum Names {
    Hosts,
    Server,
    Nobody,
}

/// A folder with a deployed project, and the registry with its images.
struct Site {
    bare: Bare,
    registry: Registry,
    identity: Identity,
}

impl Site {
    fn start(folder: &Path, program: &Program, mirrors: &[String]) -> Outcome<Self> {
        let bare = Bare::new(&folder.join("root"), program, None)?;
        let identity = Identity::make(&folder.join("tls"))?;
        let guard = Guard::Passwords(identity.clone());
        let registry = Registry::start_guarded(&folder.join("registry"), guard)?;
        let site = Self { bare, registry, identity };
        let mirrors = site.bare.mirrors(mirrors)?;
        let password = esb_test::BASIC.trim_start_matches("Basic ");
        let known =
            [FULL, SHORT].map(|host| (site.at(host), serde_json::json!({"auth": password})));
        let known = serde_json::Map::from_iter(known);
        fs::create_dir_all(site.bare.root.join("home/.docker"))?;
        fs::write(
            site.bare.root.join("home/.docker/config.json"),
            serde_json::json!({ "auths": known }).to_string(),
        )?;
        site.prepare(Some(PLACES[0].1), Names::Hosts)?;
        let full = site.at(FULL);
        let mut deploy = vec!["deploy", "-e", "dev", "--registry", &full, "--config-to", "/config"];
        deploy.extend(mirrors.iter().map(String::as_str));
        site.bare.run(&[], &deploy)?;
        Ok(site)
    }

    /// The registry by a name.
    fn at(&self, host: &str) -> String {
        let port = self.registry.address().rsplit(':').next().unwrap_or_default();
        format!("{host}:{port}")
    }

    /// Puts the certificate at a place, and nothing else that this is about.
    fn prepare(&self, certificate: Option<&str>, names: Names) -> Outcome {
        for folder in ["etc", "own"] {
            folders::empty(&self.bare.root.join(folder))?;
        }
        if let Some(place) = certificate {
            let place = self.bare.root.join(place);
            fs::create_dir_all(place.parent().unwrap_or(&place))?;
            fs::copy(&self.identity.certificate, place)?;
        }
        let (name, text) = match names {
            Names::Hosts => ("hosts", format!("127.0.0.1 {FULL} {SHORT}\n")),
            Names::Server => ("resolv.conf", format!("search {DOMAIN}\nnameserver {SERVER}\n")),
            // It does not know the short name, and no domain is searched.
            Names::Nobody => ("resolv.conf", format!("nameserver {SERVER}\n")),
        };
        Ok(fs::write(self.bare.root.join("etc").join(name), text)?)
    }

    /// Asks the registry, by one of its names, for all images.
    fn verify(&self, environment: &[&str], host: &str) -> Outcome {
        let (full, host) = (self.at(FULL), self.at(host));
        let arguments = ["image", "verify", "--config-to", "/config", "--registry", &full];
        let arguments = [&arguments[..], &["--push-registry", &host]].concat();
        self.bare.run(environment, &arguments).map(drop)
    }
}

/// Answers to questions for addresses until this process ends: the registry's name is known alone.
fn serve_names() -> Outcome {
    let socket = UdpSocket::bind((SERVER, 53))
        .map_err(|error| Missing::new("a name server", format!("{SERVER}:53: {error}")))?;
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let Some(answer) = answer(&buffer[..length]) else { continue };
            // Whoever asked may have gone.
            let _ = socket.send_to(&answer, from);
        }
    });
    Ok(())
}

/// The answer to a message with one question.
fn answer(message: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const IP4: [u8; 2] = [0, 1];
    let mut name = String::new();
    let mut at = HEADER;
    while let length @ 1.. = usize::from(*message.get(at)?) {
        let label = message.get(at + 1..=at + length)?;
        name = format!("{name}{}.", String::from_utf8_lossy(label));
        at += length + 1;
    }
    let question = message.get(HEADER..at + 5)?;
    let is_known = name.trim_end_matches('.') == FULL;
    let answers = u8::from(is_known && message.get(at + 1..at + 3)? == IP4);
    let mut answer = message.get(..2)?.to_vec();
    // A response, recursion desired and available; its code says that there is no such name.
    answer.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, answers, 0, 0, 0, 0]);
    answer.extend(question);
    if answers == 1 {
        // The name of the question, an address of the internet, for a minute.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    #[test]
    fn the_registry_alone_has_an_address() {
        let known = answer(&question(FULL, 1)).unwrap();
        assert_eq!(known[..8], [7, 9, 0x81, 0x80, 0, 1, 0, 1]);
        assert!(known.ends_with(&[0, 4, 127, 0, 0, 1]));
        let of_kind_28 = answer(&question(FULL, 28)).unwrap();
        assert_eq!(of_kind_28[2..8], [0x81, 0x80, 0, 1, 0, 0]);
        let unknown = answer(&question(SHORT, 1)).unwrap();
        assert_eq!(unknown[2..8], [0x81, 0x83, 0, 1, 0, 0]);
        assert_eq!(answer(&[1, 2, 3]), None);
    }
}
