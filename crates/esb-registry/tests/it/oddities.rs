//! Registries and files that are odd, and as the common clients take them. Each test names those
//! whose source was read for it: crane (`go-containerregistry` 0.21.7), skopeo (`containers/image`
//! 5.36.2), docker (its `cli` 29.8 and `distribution`'s client 2.8).

use std::{fs, sync::Arc};

use base64::Engine as _;
use esb_model::Platform;
use esb_oci::{Digest, Image, manifest::media_type};
use esb_registry::{Client, CredentialFiles, DockerConfig, ErrorKind, PushSession};

use crate::{
    fake::{Response, Server},
    images::{client, image, noise, quiet, reference, settings},
    memory::{Manners, MemoryRegistry},
};

/// An entry of an index.
fn entry(kind: &str, bytes: &[u8], more: &str) -> String {
    let (digest, size) = (Digest::of(bytes), bytes.len());
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}{more}}}"#)
}

fn index(entries: &[String]) -> Vec<u8> {
    let (kind, entries) = (media_type::OCI_INDEX, entries.join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{entries}]}}"#).into_bytes()
}

/// A registry with an image for each architecture; what they are in an index.
async fn place() -> (MemoryRegistry, Image, Image) {
    let registry = MemoryRegistry::start(Manners::default());
    let (amd, arm) = (image("amd64", &[noise(1, 10)]), image("arm64", &[noise(2, 10)]));
    for image in [&amd, &arm] {
        let target = reference(&format!("{}/a", registry.server.address())).pinned(image.digest());
        client().push(image, &target, &[], &PushSession::new(), &quiet()).await.unwrap();
    }
    (registry, amd, arm)
}

fn plain(image: &Image) -> String {
    entry(media_type::OCI_MANIFEST, &image.manifest_bytes, "")
}

/// A name, the entries, and what they have for amd64 and arm64.
type IndexCase<'a> = (&'a str, Vec<String>, Option<&'a Image>, Option<&'a Image>);

const ATTESTATION: &str = r#","platform":{"architecture":"unknown","os":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;

/// skopeo takes the first entry without a platform when no other fits, crane the first for
/// linux/amd64: here the config decides, so that nothing of
/// another architecture is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_a_platform_is_what_its_config_says() {
    let (registry, amd, arm) = place().await;
    let of = |platform: &str| format!(r#","platform":{platform}"#);
    let attestation = entry(media_type::OCI_MANIFEST, b"{}", ATTESTATION);
    let with =
        |image: &Image, text: &str| entry(media_type::OCI_MANIFEST, &image.manifest_bytes, text);
    let artifact = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    registry.plant(&format!("a/{}", Digest::of(artifact)), media_type::OCI_MANIFEST, artifact);
    let signature = entry(media_type::OCI_MANIFEST, artifact, "");
    let linux = |name: &str| of(&format!(r#"{{"architecture":"{name}","os":"linux"}}"#));
    let cases: Vec<IndexCase<'_>> = vec![
        ("one", vec![plain(&amd)], Some(&amd), None),
        ("two", vec![plain(&amd), plain(&arm)], Some(&amd), Some(&arm)),
        ("turned", vec![plain(&arm), plain(&amd)], Some(&amd), Some(&arm)),
        ("attested", vec![attestation.clone(), plain(&arm)], None, Some(&arm)),
        ("signed", vec![signature.clone(), plain(&amd)], Some(&amd), None),
        ("null", vec![with(&amd, &of("null"))], Some(&amd), None),
        ("empty", vec![with(&amd, &of(r#"{"architecture":"","os":""}"#))], Some(&amd), None),
        (
            "half",
            vec![with(&amd, &of(r#"{"architecture":"amd64"}"#)), plain(&arm)],
            None,
            Some(&arm),
        ),
        // What says its platform comes before what does not.
        ("said", vec![plain(&amd), with(&amd, &linux("amd64"))], Some(&amd), None),
        ("only attested", vec![attestation.clone()], None, None),
        ("nothing", vec![], None, None),
    ];
    for (number, (name, entries, for_amd, for_arm)) in cases.into_iter().enumerate() {
        let bytes = index(&entries);
        registry.plant(&format!("a/{number}"), media_type::OCI_INDEX, &bytes);
        let at = reference(&format!("{}/a:{number}", registry.server.address()));
        for (platform, expected) in [("linux/amd64", for_amd), ("linux/arm64", for_arm)] {
            let found = client().resolve(&at, platform.parse().unwrap()).await;
            match (found, expected) {
                (Ok(found), Some(expected)) => {
                    assert_eq!(found.digest, expected.digest(), "{name} {platform}");
                    assert_eq!(found.index, Some(Digest::of(&bytes)), "{name}");
                }
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::Input, "{name} {platform}: {error}");
                    let text = format!("could not read `{at}`: there is no image for {platform}");
                    assert!(error.to_string().starts_with(&text), "{name}: {error}");
                }
                (found, expected) => panic!("{name} {platform}: {found:?}, not {expected:?}"),
            }
        }
    }
}

/// crane descends into an index; ours into four levels.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_an_index_is_descended_to_a_limit() {
    let (registry, amd, arm) = place().await;
    let mut bytes = index(&[plain(&amd), plain(&arm)]);
    for level in 1..=6 {
        registry.plant(&format!("a/level-{level}"), media_type::OCI_INDEX, &bytes);
        registry.plant(&format!("a/{}", Digest::of(&bytes)), media_type::OCI_INDEX, &bytes);
        let at = reference(&format!("{}/a:level-{level}", registry.server.address()));
        for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
            let found = client().resolve(&at, platform.parse().unwrap()).await;
            match found {
                Ok(found) => assert!(level <= 4 && found.digest == image.digest(), "{level}"),
                Err(error) => assert!(level > 4, "{level}: {error}"),
            }
        }
        bytes = index(&[entry(media_type::OCI_INDEX, &bytes, "")]);
    }
    // An index that names itself cannot exist; one that lists a thousand others can.
    let many: Vec<String> = (0..1000).map(|_| entry(media_type::OCI_INDEX, &bytes, "")).collect();
    registry.plant("a/many", media_type::OCI_INDEX, &index(&many));
    registry.server.clear();
    let at = reference(&format!("{}/a:many", registry.server.address()));
    client().resolve(&at, Platform::default()).await.unwrap_err();
    assert!(registry.server.requests().len() < 50);
}

/// Go's programs, which all three are, write and read empty lists and maps as `null`.
#[tokio::test(flavor = "multi_thread")]
async fn null_is_as_good_as_empty() {
    let (registry, amd, _) = place().await;
    let one = entry(media_type::OCI_MANIFEST, &amd.manifest_bytes, r#","annotations":null"#);
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{one}],"annotations":null}}"#);
    registry.plant("a/null", media_type::OCI_INDEX, text.as_bytes());
    registry.plant("a/nothing", media_type::OCI_INDEX, br#"{"schemaVersion":2,"manifests":null}"#);
    let at = |tag: &str| reference(&format!("{}/a:{tag}", registry.server.address()));
    let found = client().resolve(&at("null"), Platform::default()).await.unwrap();
    assert_eq!(found.digest, amd.digest());
    let error = client().resolve(&at("nothing"), Platform::default()).await.unwrap_err();
    assert!(error.to_string().contains("there is no image for linux/amd64"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_system_or_without_all_diff_ids_is_no_base() {
    let registry = MemoryRegistry::start(Manners::default());
    let good = image("amd64", &[noise(1, 10), noise(2, 10)]);
    let config = String::from_utf8(good.config_bytes.clone().unwrap().to_vec()).unwrap();
    let ids = good.parse_config().unwrap().diff_ids();
    let plant = |tag: &str, config: &str| {
        let config = config.as_bytes();
        registry.plant_blob("a", config);
        let text = String::from_utf8(good.manifest_bytes.to_vec()).unwrap();
        let old = &good.config.descriptor;
        let text = text.replace(&old.digest.to_string(), &Digest::of(config).to_string());
        let text = text
            .replace(&format!(r#""size":{}"#, old.size), &format!(r#""size":{}"#, config.len()));
        registry.plant(&format!("a/{tag}"), media_type::OCI_MANIFEST, text.as_bytes());
        reference(&format!("{}/a:{tag}", registry.server.address()))
    };
    let second = format!(r#","{}""#, ids[1]);
    for (tag, config, said) in [
        ("good", config.clone(), None),
        ("no-os", config.replace(r#""os":"linux","#, ""), None),
        ("missing", config.replace(&second, ""), Some("has 2 layers, and its config names 1")),
        ("extra", config.replace(&second, &format!("{second}{second}")), Some("names 3")),
        ("none", config.replace(r#""rootfs""#, r#""other""#), Some("names 0")),
        ("garbage", config.replace(&second, r#","sha256:12""#), Some("names 1")),
        ("windows", config.replace(r#""os":"linux""#, r#""os":"windows""#), Some("windows/amd64")),
    ] {
        let at = plant(tag, &config);
        let found = client().resolve(&at, Platform::default()).await;
        let checked = match found {
            Ok(found) => found.check_layers(),
            Err(error) => Err(error),
        };
        match (checked, said) {
            (Ok(()), None) => {}
            (Err(error), Some(said)) => {
                let text = format!("{error}: {:?}", std::error::Error::source(&error));
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let text = text + &cause.unwrap_or_default();
                assert!(text.contains(said) && text.contains(&at.to_string()), "{tag}: {text}");
                assert!(error.remedy().is_some(), "{tag}");
            }
            (checked, _) => panic!("{tag}: {checked:?}"),
        }
    }
}

/// A registry that gives one token, by this answer.
fn with_token(answer: &'static str) -> Server {
    Server::start(move |request| {
        let host = request.header("host").unwrap();
        match (request.path(), request.header("authorization")) {
            ("/token", _) => Response::new(200).body(answer),
            (_, Some("Bearer good")) => {
                Response::new(200).with("Docker-Content-Digest", Digest::of(b"x").to_string())
            }
            _ => Response::new(401)
                .with("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/token""#)),
        }
    })
}

/// docker and crane prefer `access_token`, skopeo `token`; an empty one counts for none of them.
/// docker and skopeo use a token for at least a minute, crane until it is refused; none of them reads
/// a number that is a text.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_from_answers_of_every_form() {
    for answer in [
        r#"{"token":"good"}"#,
        r#"{"access_token":"good"}"#,
        r#"{"token":"","access_token":"good"}"#,
        r#"{"token":null,"access_token":"good","expires_in":null}"#,
        r#"{"token":"good","access_token":""}"#,
        r#"{"token":"good","expires_in":0}"#,
        r#"{"token":"good","expires_in":-1}"#,
        r#"{"token":"good","expires_in":0.5}"#,
        r#"{"token":"good","expires_in":"300"}"#,
        r#"{"token":"good","expires_in":1e300}"#,
        r#"{"token":"good","expires_in":300,"issued_at":"2001-01-01T00:00:00Z"}"#,
        r#"{"token":"good","expires_in":300,"issued_at":"yesterday"}"#,
        r#"{"token":"good","refresh_token":"more","scope":"x"}"#,
    ] {
        let server = with_token(answer);
        let client = client();
        let at = reference(&format!("{}/a:1", server.address()));
        for _ in 0..3 {
            client.digest_of(&at).await.unwrap_or_else(|error| panic!("{answer}: {error}"));
        }
        assert_eq!(server.count("GET", "/token"), 1, "{answer}");
    }
    for answer in ["", "{}", "[]", "<html>", r#"{"token":""}"#, r#"{"token":7}"#] {
        let server = with_token(answer);
        let at = reference(&format!("{}/a:1", server.address()));
        let error = client().digest_of(&at).await.unwrap_err();
        assert!(error.to_string().contains("its token server sent no token"), "{answer}: {error}");
    }
}

/// crane and skopeo fail where they look credentials up, for whatever registry.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_credential_file_is_told_only_where_credentials_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for text in ["{\n \"auths\": [1]\n}", "{", r#"{"auths":{"r":7}}"#] {
        fs::write(&path, text).unwrap();
        let files = CredentialFiles::load([path.as_path()]);
        let client = Client::new(settings().with_credentials(Arc::new(files))).unwrap();
        // Nobody asks for any, and whoever asks gives a token to everybody.
        let open = MemoryRegistry::start(Manners::default());
        let at = reference(&format!("{}/a:1", open.server.address()));
        let image = image("amd64", &[noise(1, 10)]);
        client.push(&image, &at, &[], &PushSession::new(), &quiet()).await.unwrap();
        let generous = with_token(r#"{"token":"good"}"#);
        client.digest_of(&reference(&format!("{}/a:1", generous.address()))).await.unwrap();
        for challenge in ["Basic realm=\"x\"", "Bearer realm=\"http://HOST/token\""] {
            let closed = Server::start(move |request| {
                let challenge = challenge.replace("HOST", request.header("host").unwrap());
                Response::new(401).with("WWW-Authenticate", challenge)
            });
            let at = reference(&format!("{}/a:1", closed.address()));
            let error = client.digest_of(&at).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            let mut chain = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                chain = format!("{chain}: {inner}");
                cause = inner.source();
            }
            for part in [&*path.to_string_lossy(), "line ", "column "] {
                assert!(chain.contains(part), "{part}: {chain}");
            }
        }
    }
    // The working one of several serves.
    let other = folder.path().join("auth.json");
    fs::write(&other, r#"{"auths":{"r.example":{"auth":"dXNlcjpzZWNyZXQ="}}}"#).unwrap();
    let files = CredentialFiles::load([path.as_path(), other.as_path()]);
    let found = esb_oci::CredentialSource::credentials(&files, "r.example").unwrap();
    assert!(found.is_some());
    let error = esb_oci::CredentialSource::credentials(&files, "other.example").unwrap_err();
    assert!(error.to_string().contains("other.example"), "{error}");
}

/// skopeo and crane take keys with a path, docker takes such a key for the whole registry.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_path_are_sent_for_what_is_below_it() {
    let server = Server::start(|request| {
        let expected = match request.path() {
            path if path.starts_with("/v2/team/inner/") => "inner",
            path if path.starts_with("/v2/team/") => "team",
            _ => "all",
        };
        let expected = base64::engine::general_purpose::STANDARD.encode(format!("user:{expected}"));
        match request.header("authorization") {
            Some(given) if given == format!("Basic {expected}") => {
                Response::new(200).with("Docker-Content-Digest", Digest::of(b"x").to_string())
            }
            _ => Response::new(401).with("WWW-Authenticate", "Basic realm=\"x\""),
        }
    });
    let host = server.address();
    // base64 of `user:all`, `user:team`, `user:inner`
    let config = format!(
        r#"{{"auths":{{"{host}":{{"auth":"dXNlcjphbGw="}},"{host}/team":{{"auth":"dXNlcjp0ZWFt"}},
            "{host}/team/inner":{{"auth":"dXNlcjppbm5lcg=="}}}}}}"#
    );
    let config = DockerConfig::parse(&config).unwrap();
    let client = Client::new(settings().with_credentials(Arc::new(config))).unwrap();
    for name in
        ["a", "team/a", "team/inner/a", "teams/a", "team/innermost/b", "other/team/a", "team/a"]
    {
        let at = reference(&format!("{host}/{name}:1"));
        client.digest_of(&at).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Proxies for plain HTTP: as Go's programs use them, but for this machine and what is `direct`.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_plain_http_is_reached_through_the_proxy() {
    let proxy = Server::start(|_| {
        Response::new(200).with("Docker-Content-Digest", Digest::of(b"x").to_string())
    });
    let host = "insecure.invalid:5000";
    let with = |no_proxy: &str, direct: &[&str]| {
        let proxy = esb_registry::ProxySettings {
            http: Some(proxy.address()),
            https: None,
            no_proxy: vec![no_proxy.to_owned()],
        };
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = settings().with_proxy(proxy).with_insecure(names(&[host]));
        Client::new(settings.with_direct(names(direct))).unwrap()
    };
    let at = reference(&format!("{host}/a:1"));
    with("other.invalid", &[]).digest_of(&at).await.unwrap();
    let asked = proxy.requests();
    assert_eq!(asked[0].target, format!("http://{host}/v2/a/manifests/1"), "{asked:?}");
    proxy.clear();
    for client in [with("*.invalid:5000", &[]), with("*", &[]), with("", &[host])] {
        let error = client.digest_of(&at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
    let local = MemoryRegistry::start(Manners::default());
    let at = reference(&format!("{}/a:1", local.server.address()));
    with("", &[]).digest_of(&at).await.unwrap_err();
    assert_eq!(local.server.requests().len(), 1);
    assert_eq!(proxy.requests().len(), 0, "{:?}", proxy.requests());
}
