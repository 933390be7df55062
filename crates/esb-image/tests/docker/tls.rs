//! An engine that is reached over TCP with certificates on both ends.

use std::{collections::BTreeMap, fs, path::Path};

use esb_image::{
    Engine as _, Error,
    docker::{DockerEngine, EngineAddress, TlsFiles},
};
use esb_test::{Missing, skip};

/// An authority, and a certificate of it for both ends.
pub(crate) struct Certificates {
    folder: std::path::PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Option<Self> {
        let folder = folder.join("certificates");
        fs::create_dir_all(&folder).unwrap();
        let Some(openssl) = esb_test::find_program("openssl") else {
            skip("an engine behind TLS", &Missing::new("openssl", "it is not installed"));
            return None;
        };
        fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let commands = [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=test-ca -days 2",
            "req -newkey rsa:2048 -nodes -keyout key.pem -out request -subj /CN=test",
            "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile names",
            "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=other -days 2",
        ];
        for command in commands {
            let mut run = std::process::Command::new(&openssl);
            let output = run.args(command.split(' ')).current_dir(&folder).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Some(Self { folder })
    }

    pub(crate) fn arguments(&self, port: u16) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        vec![
            format!("--host=tcp://127.0.0.1:{port}"),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", file("ca.pem")),
            format!("--tlscert={}", file("cert.pem")),
            format!("--tlskey={}", file("key.pem")),
        ]
    }

    fn files(&self, ca: &str) -> TlsFiles {
        let file = |name: &str| self.folder.join(name);
        TlsFiles { ca: file(ca), certificate: file("cert.pem"), key: file("key.pem") }
    }
}

/// Only the authority that was given counts.
pub(crate) async fn an_engine_behind_tls(certificates: &Certificates, port: u16) {
    let plain: EngineAddress = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    let with = |ca| plain.clone().with_tls(certificates.files(ca));
    let engine = DockerEngine::connect(&with("ca.pem")).await.unwrap();
    assert_eq!(engine.list(&BTreeMap::new()).await.unwrap(), []);
    for refused in [with("other.pem"), with("missing.pem"), plain] {
        let error = DockerEngine::connect(&refused).await.unwrap_err();
        assert!(matches!(error, Error::NoEngine { .. }), "{error:?}");
    }
}
