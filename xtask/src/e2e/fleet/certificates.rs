//! Certificates for daemons and their clients, made by OpenSSL for one run.

use std::{fs, path::Path, process::Command};

use crate::{checks::Outcome, command::output};

/// The name in the daemons' certificates, beside the address.
pub(super) const NAME: &str = "buildkit.test";

/// Makes `ca.pem` and a folder with `ca.pem`, `cert.pem` and `key.pem` each for `server`, `client`
/// and `expired`, whose certificate was good until yesterday.
pub(super) fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder)?;
    let mut authority = openssl(folder, &["req", "-x509", "-newkey", "rsa:2048", "-nodes"]);
    authority.args(["-days", "2", "-subj", "/CN=esb test authority"]);
    output(authority.args(["-keyout", "ca.key", "-out", "ca.pem"]))?;
    for (name, days) in [("server", "2"), ("client", "2"), ("expired", "-1")] {
        let own = folder.join(name);
        fs::create_dir_all(&own)?;
        fs::copy(folder.join("ca.pem"), own.join("ca.pem"))?;
        let extensions = format!(
            "subjectAltName=DNS:{NAME},IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"
        );
        fs::write(own.join("extensions"), extensions)?;
        let mut request = openssl(&own, &["req", "-new", "-newkey", "rsa:2048", "-nodes"]);
        request.args(["-subj", &format!("/CN={name}")]);
        output(request.args(["-keyout", "key.pem", "-out", "request.pem"]))?;
        let mut sign = openssl(&own, &["x509", "-req", "-in", "request.pem", "-days", days]);
        sign.args(["-CA", "../ca.pem", "-CAkey", "../ca.key", "-CAcreateserial"]);
        output(sign.args(["-extfile", "extensions", "-out", "cert.pem"]))?;
    }
    Ok(())
}

fn openssl(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments);
    command
}
