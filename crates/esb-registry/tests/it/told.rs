//! What a registry refuses, in words: the headline says what happened, and nothing twice.

use esb_model::Platform;
use esb_registry::{Client, Error, ErrorKind, PushSession, Remedy};

use crate::{
    fake::{Response, Server},
    images::{Fixed, client, image, noise, quiet, reference, settings},
};

/// Pushes to a registry that has nothing, and answers one kind of requests like this.
async fn push_to(
    method: &'static str,
    part: &'static str,
    status: u16,
    body: &'static str,
) -> Error {
    let server = Server::start(move |request| {
        if request.method == method && request.target.contains(part) {
            return Response::new(status).with("Retry-After", "0").body(body);
        }
        match &*request.method {
            "POST" => Response::new(202).with("Location", "/v2/app/blobs/uploads/1"),
            "PUT" => Response::new(201),
            _ => Response::new(404),
        }
    });
    let target = reference(&format!("{}/app:1", server.address()));
    let image = image("amd64", &[noise(1, 100)]);
    let push = client();
    let push = push.push(&image, &target, &[], &PushSession::new(), &quiet()).await;
    push.unwrap_err()
}

/// The bodies with which registries refuse to move a tag.
#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_is_told_as_that() {
    let page =
        "https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation";
    let azure = format!(
        r#"{{"errors":[{{"code":"REGISTRY_DISALLOWED_OPERATION","detail":{{}},"message":"The operation is disallowed on this registry, repository or image. View troubleshooting steps at {page}"}}]}}"#
    );
    let azure: &'static str = azure.leak();
    for (name, status, body) in [
        (
            "ECR, a repository",
            400,
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'app' repository and cannot be overwritten because the repository is immutable."}]}"#,
        ),
        (
            "ECR, a tag",
            400,
            r#"{"errors":[{"code":"TAG_INVALID","message":"The image tag '1' already exists in the 'app' repository and cannot be overwritten because the tag is immutable."}]}"#,
        ),
        (
            "ECR's interface",
            400,
            r#"{"__type":"ImageTagAlreadyExistsException","message":"image tag '1' already exists"}"#,
        ),
        (
            "Harbor",
            412,
            r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'app:1' configured as immutable."}]}"#,
        ),
        (
            "Harbor 1.10",
            412,
            r#"{"errors":[{"code":"DENIED","message":"The tag:app:1 is immutable, cannot be overwrite."}]}"#,
        ),
        (
            "GitLab",
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied: the tag is protected"}]}"#,
        ),
        ("Azure", 405, azure),
        (
            "Artifactory",
            403,
            r#"{"errors":[{"code":"DENIED","message":"Not enough permissions to delete/overwrite artifact 'docker-local:app/1/manifest.json' (user 'ci' needs DELETE permission)."}]}"#,
        ),
        (
            "Nexus",
            400,
            r#"{"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"blob upload invalid","detail":"Repository does not allow updating assets: docker-hosted"}]}"#,
        ),
    ] {
        let error = push_to("PUT", "/manifests/", status, body).await;
        assert!(matches!(error, Error::Immutable { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("/app:1` immutable: "), "{name}: {error}");
        assert_eq!(error.remedy(), Some(Remedy::KeepTags), "{name}");
        let code = Some("IMAGE_PUSH_FAILED");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, code), "{name}");
        // The same words about anything else are another matter.
        let other = push_to("POST", "/uploads/", status, body).await;
        assert!(!matches!(other, Error::Immutable { .. }), "{name}: {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_headline_says_what_happened() {
    let page = "<html>\r\n<head><title>No</title></head>\r\n<body><h1>No</h1></body></html>";
    let json = r#"{"errors":[{"code":"DENIED","message":"not you"}]}"#;
    for (method, part, status, body, headline, rest) in [
        (
            "PUT",
            "/uploads/",
            413,
            page,
            "or a proxy before it takes nothing of this size",
            "status 413",
        ),
        (
            "PUT",
            "/uploads/",
            413,
            "",
            "or a proxy before it takes nothing of this size",
            "status 413",
        ),
        ("PUT", "/uploads/", 507, "", "has no space left", "status 507"),
        (
            "POST",
            "/uploads/",
            429,
            json,
            "limits how often it is asked",
            "status 429, DENIED: not you",
        ),
        ("POST", "/uploads/", 401, "", "requires credentials", "could not upload blob"),
        ("POST", "/uploads/", 403, json, "denied access", "DENIED: not you"),
        ("POST", "/uploads/", 502, page, "could not", "what answered is no registry"),
        ("POST", "/uploads/", 200, page, "could not", "what answered is no registry"),
        ("PUT", "/manifests/", 418, "{}", "could not write", "status 418, {}"),
    ] {
        let error = push_to(method, part, status, body).await;
        let text = error.to_string();
        let case = format!("{method} {status}: {text}");
        assert!(text.contains(headline) && text.contains(rest), "{case}");
        assert!(text.matches("status").count() <= 1, "{case}");
        for wrong in ["<", ">", "``", "was not found", ": :", ", ,", "no reason given"] {
            assert!(!text.contains(wrong), "{wrong}: {case}");
        }
    }
}

/// A login page of a network answers every request with itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_is_no_registry() {
    let portal = Server::start(|_| {
        let page = "<!DOCTYPE html><html><body>Welcome to the hotel</body></html>";
        Response::new(200).with("Content-Type", "text/html; charset=utf-8").body(page)
    });
    let at = reference(&format!("{}/app:1", portal.address()));
    let image = image("amd64", &[noise(1, 100)]);
    let client = client();
    let push = client.push(&image, &at, &[], &PushSession::new(), &quiet()).await.unwrap_err();
    let pull = client.resolve(&at, Platform::default()).await.unwrap_err();
    for error in [push, pull] {
        let text = error.to_string();
        assert!(text.contains("what answered is no registry"), "{text}");
        assert!(!text.contains("hotel") && !text.contains('<'), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_read_is_not_called_absent() {
    let page = "<html><body>No</body></html>";
    for (status, body, headline) in [
        (404, "", "was not found"),
        (401, "", "requires credentials"),
        (403, "", "denied access"),
        (429, page, "limits how often it is asked"),
        (500, "", "answered with status 500"),
        (503, page, "answered with status 503"),
    ] {
        let server = Server::start(move |_| {
            let response = Response::new(status).with("Retry-After", "0").body(body);
            response.with("WWW-Authenticate", "Basic realm=\"x\"")
        });
        let at = reference(&format!("{}/a:1", server.address()));
        let error = client().resolve(&at, Platform::default()).await.unwrap_err();
        let (message, list) = error.parts().unwrap();
        assert!(message.contains(headline) && message.contains(&at.to_string()), "{message}");
        assert_eq!(message.contains("was not found"), status == 404, "{message}");
        assert_eq!(list.len(), 1);
        let text = error.to_string();
        assert!(!text.contains('<') && !text.contains("``"), "{text}");
        assert!(list[0].matches("status").count() <= 1, "{list:?}");
    }
    let server =
        Server::start(|_| Response::new(401).with("WWW-Authenticate", "Basic realm=\"x\""));
    let at = reference(&format!("{}/a:1", server.address()));
    let client = Client::new(settings().with_credentials(Fixed::basic("wrong"))).unwrap();
    let error = client.resolve(&at, Platform::default()).await.unwrap_err();
    let (message, list) = error.parts().unwrap();
    assert!(message.ends_with("does not accept the credentials"), "{message}");
    assert!(list[0].ends_with("/a: credentials not accepted"), "{list:?}");
    let free = format!("127.0.0.1:{}", esb_test::free_port().unwrap());
    let error = client.resolve(&reference(&format!("{free}/a:1")), Platform::default()).await;
    let (message, _) = error.unwrap_err().parts().unwrap();
    assert_eq!(message, format!("could not read `{free}/a:1`: `{free}` could not be reached"));
}
