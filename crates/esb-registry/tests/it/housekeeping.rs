//! What a registry holds, and how an image leaves it.

use esb_oci::Digest;
use esb_registry::{Error, Repository};

use crate::{
    fake::{Response, Server},
    images::client,
};

#[tokio::test(flavor = "multi_thread")]
async fn names_come_in_pages() {
    let server = Server::start(|request| {
        let last = request.query("last");
        match (request.path(), last.first().map(String::as_str)) {
            ("/v2/_catalog", None) => Response::new(200)
                .with("Link", "</v2/_catalog?last=b>; rel=\"next\"")
                .body(r#"{"repositories": ["a", "b"]}"#),
            ("/v2/_catalog", Some("b")) => Response::new(200).body(r#"{"repositories": ["c"]}"#),
            ("/v2/empty/tags/list", None) => Response::new(200).body(r#"{"tags": null}"#),
            // One that never ends.
            ("/v2/same/tags/list", _) => {
                Response::new(200).with("Link", "<x>").body(r#"{"tags": ["1"]}"#)
            }
            _ => Response::new(404),
        }
    });
    let client = client();
    assert_eq!(client.repositories(&server.address()).await.unwrap(), ["a", "b", "c"]);
    let at = |name: &str| Repository { registry: server.address(), repository: name.to_owned() };
    assert_eq!(client.tags(&at("empty")).await.unwrap(), [""; 0]);
    assert_eq!(client.tags(&at("absent")).await.unwrap(), [""; 0]);
    assert_eq!(client.tags(&at("same")).await.unwrap(), ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_may_not_delete() {
    let server = Server::start(|request| match request.path() {
        path if path.starts_with("/v2/gone/") => Response::new(404),
        path if path.starts_with("/v2/kept/") => Response::new(405),
        _ => Response::new(202),
    });
    let client = client();
    let at = |name: &str| Repository { registry: server.address(), repository: name.to_owned() };
    let digest = Digest::of(b"x");
    client.delete(&at("there"), digest).await.unwrap();
    assert_eq!(server.count("DELETE", &format!("/v2/there/manifests/{digest}")), 1);
    client.delete(&at("gone"), digest).await.unwrap();
    let error = client.delete(&at("kept"), digest).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 405, .. }), "{error:?}");
    assert!(error.to_string().contains("could not delete `"), "{error}");
}
