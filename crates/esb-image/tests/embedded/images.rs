//! Configs, manifests and their digests.

use std::{fs, time::SystemTime};

use esb_oci::manifest::media_type;

use crate::fixture::{Project, base, builder, config, flatten, top};

const DOCKERFILE: &str = "FROM base:1

# Layer common
COPY layers/common/ /opt/

# Function code
COPY functions/hello/ ${LAMBDA_TASK_ROOT}/

CMD [ \"app.handler\" ]
";

const FILES: &str = "functions/hello/app.py def handler(event, context): return 1
functions/hello/lib/a.py a = 1
+functions/hello/run.sh #!/bin/sh
functions/hello/l->app.py
layers/common/python/common.py c = 1";

#[test]
fn config_and_manifest() {
    let mut project = Project::new(DOCKERFILE, FILES);
    project.labels = [("com.esb.kind".to_owned(), "function".to_owned())].into();
    let image = project.image();
    let config = config(&image);
    let base = &project.bases["base:1"].image;
    assert_eq!(config.list("Cmd"), Some(vec!["app.handler"]));
    assert_eq!(config.list("Entrypoint"), Some(vec!["/entry"]));
    assert_eq!(config.text("WorkingDir"), "/var/task");
    assert_eq!(config.label("of.base"), Some("yes"));
    assert_eq!(config.label("com.esb.kind"), Some("function"));
    assert_eq!(config.label("org.opencontainers.image.base.name"), Some("registry.test/base:1"));
    let digest = base.digest().to_string();
    assert_eq!(config.label("org.opencontainers.image.base.digest"), Some(&*digest));
    assert_eq!(config.label("com.esb.image_fingerprint").unwrap().len(), 64);

    let text = String::from_utf8(image.config_bytes.as_ref().unwrap().to_vec()).unwrap();
    assert!(text.contains(r#""created":"1980-01-01T00:00:00Z""#), "{text}");
    assert!(text.contains(r#""created_by":"COPY layers/common/ /opt/""#), "{text}");
    let layers = text.matches("created_by").count() - text.matches("empty_layer").count();
    assert_eq!((layers, config.diff_ids().len(), image.layers.len()), (3, 3, 3));

    let manifest = &image.manifest;
    assert_eq!(manifest.layers[0], base.manifest.layers[0]);
    assert_eq!(manifest.media_type.as_deref(), Some(media_type::OCI_MANIFEST));
    assert_eq!(top(&image).media_type, media_type::OCI_LAYER_GZIP);
    assert_eq!(manifest.annotations["org.opencontainers.image.base.digest"], digest);
    for layer in &image.layers {
        assert!(crate::fixture::block_on(layer.read(1 << 20)).is_ok(), "blobs are what they say");
    }
}

#[test]
fn docker_bases_give_oci_images() {
    let mut project = Project::new(DOCKERFILE, FILES);
    project.bases = [("base:1".to_owned(), base(media_type::DOCKER_MANIFEST))].into();
    let image = project.image();
    assert_eq!(image.descriptor.media_type, media_type::OCI_MANIFEST);
    assert_eq!(image.manifest.config.media_type, media_type::OCI_CONFIG);
    let (of_base, own) = (&image.manifest.layers[0], &image.manifest.layers[1]);
    assert_eq!(of_base.media_type, media_type::OCI_LAYER_GZIP);
    assert_eq!(own.media_type, media_type::OCI_LAYER_GZIP);
    assert_eq!(of_base.digest, project.bases["base:1"].image.layers[0].descriptor.digest);
}

#[test]
fn images_from_scratch() {
    let project =
        Project::new("FROM scratch\nCOPY functions/hello/app.py /\nUSER 1:2\nEXPOSE 80", FILES);
    let image = project.image();
    assert_eq!(flatten(&image, 0), ["app.py 644 def handler(event, context): return 1"]);
    let config = config(&image);
    assert_eq!((config.architecture(), config.text("User")), ("amd64", "1:2"));
    assert_eq!(config.label("org.opencontainers.image.base.name"), None);
}

/// The same content elsewhere, with other times and modes, made in another order.
#[test]
fn the_same_content_gives_the_same_bytes() {
    let first = Project::new(DOCKERFILE, FILES);
    let lines: Vec<_> = FILES.lines().rev().collect();
    let second = Project::new(DOCKERFILE, &lines.join("\n"));
    let app = second.root().join("functions/hello/app.py");
    let file = fs::File::options().write(true).open(&app).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    drop(file);
    let mode = |path: &str, mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(second.root().join(path), mode).unwrap();
    };
    mode("functions/hello/app.py", 0o666);
    mode("functions/hello/run.sh", 0o755);
    mode("functions/hello/lib", 0o700);
    assert_eq!(first.image().digest(), second.image().digest());
    assert_eq!(
        first.image().digest().to_string(),
        "sha256:299ce7f61e525636298b78309c3100ca5d2b8e5c2ea0a273704ce86d7971f913",
        "pinned: digests must not change unseen"
    );
}

#[test]
fn what_is_different_gives_other_bytes() {
    let digest = |change: &dyn Fn(&mut Project)| {
        let mut project = Project::new(DOCKERFILE, FILES);
        change(&mut project);
        project.image().digest()
    };
    let same = digest(&|_| {});
    let others = [
        digest(&|project| project.write("functions/hello/app.py other")),
        digest(&|project| project.write("functions/hello/new n")),
        digest(&|project| {
            project.write("+functions/hello/app.py def handler(event, context): return 1");
        }),
        digest(&|project| project.epoch = 0),
        digest(&|project| project.recipe.dockerfile += "ENV A=1\n"),
        digest(&|project| {
            project.labels.insert("l".to_owned(), "v".to_owned());
        }),
        digest(&|project| {
            project.bases = [("base:1".to_owned(), base(media_type::DOCKER_MANIFEST))].into();
        }),
    ];
    for (position, other) in others.iter().enumerate() {
        assert_ne!(*other, same, "{position}");
    }
}

#[test]
fn our_own_base_needs_no_layer_to_be_read() {
    let mut project = Project::new("FROM base:1\nCOPY layers/common /opt/", FILES);
    project.recipe.kind = esb_model::ImageKind::Base("python3.13".parse().unwrap());
    let mut own = project.bases["base:1"].clone();
    own.image = project.image();
    "esb-lambda-base:latest".clone_into(&mut own.name);
    // A store that has the records and not the layers.
    for layer in &own.image.layers {
        let blob =
            project.folder.path().join("store/blobs/sha256").join(layer.descriptor.digest.hex());
        if blob.exists() {
            fs::remove_file(blob).unwrap();
        }
    }
    own.image.layers = own.image.layers.iter().map(|layer| gone(layer.clone())).collect();
    project.bases = [("own:1".to_owned(), own)].into();
    project.recipe = crate::fixture::recipe("FROM own:1\nCOPY functions/hello/lib /lnk/python/");
    project.builder = builder(&project.folder.path().join("store"));
    let image = project.image();
    assert_eq!(image.layers.len(), 3);
    assert_eq!(
        crate::fixture::flatten(&image, 2),
        ["opt/python/a.py 644 a = 1"],
        "the folder of the layer below is known"
    );
}

/// The index that travels says where things lie, and not what they hold: a name of an account is
/// looked up in the base's layers, on a machine that has neither those nor a record, also after a
/// build that needed no name.
#[test]
fn names_of_accounts_are_found_behind_an_index_that_travels() {
    let files = format!("{FILES}\nsingle one\nusers me:x:11:12::/:/bin/sh\ngroups us:x:13:");
    let start = "FROM base:1\nCOPY users /etc/passwd\nCOPY groups /etc/group\n";
    let mut project = Project::new(start, &files);
    project.recipe.kind = esb_model::ImageKind::Base("python3.13".parse().unwrap());
    let mut own = project.bases["base:1"].clone();
    own.image = project.image();
    project.bases = [("own:1".to_owned(), own)].into();
    let cold = project.folder.path().join("cold");
    for (name, expected) in [("5", "x 644 5:5 one"), ("me:us", "x 644 11:13 one")] {
        project.recipe =
            crate::fixture::recipe(&format!("FROM own:1\nCOPY --chown={name} single /x"));
        for store in [&cold, &project.folder.path().join(name.replace(':', "-"))] {
            project.builder = builder(store);
            assert_eq!(crate::fixture::flatten(&project.image(), 3), [expected], "{name}");
        }
    }
}

/// The project's own Dockerfile of the base image, with the files that it copies.
#[test]
fn the_lambda_base_is_built() {
    let mut project = Project::new("", "");
    let runtime = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/python");
    project.recipe.dockerfile = fs::read_to_string(runtime.join("docker/Dockerfile")).unwrap();
    project.recipe.context.folder = runtime;
    let base = project.bases["base:1"].clone();
    project.bases = [("public.ecr.aws/lambda/python:3.12".to_owned(), base)].into();
    project.recipe.kind = esb_model::ImageKind::Base("python3.12".parse().unwrap());
    let added = flatten(&project.image(), 1);
    for path in [
        "var/lang/lib/python3.12/site-packages/sitecustomize.py 644 ",
        "opt/python/trace_bridge.py 644 ",
    ] {
        assert!(added.iter().any(|line| line.starts_with(path)), "{path}");
    }
}

fn gone(mut layer: esb_oci::Blob) -> esb_oci::Blob {
    #[derive(Debug)]
    struct Nothing;
    impl esb_oci::BlobSource for Nothing {
        fn open<'a>(
            &'a self,
            blob: &'a esb_oci::Descriptor,
        ) -> esb_oci::BoxFuture<'a, Result<esb_oci::BlobStream, esb_oci::BlobError>> {
            let (digest, place) = (blob.digest, "nowhere".to_owned());
            Box::pin(async move { Err(esb_oci::BlobError::Missing { digest, place }) })
        }
    }
    layer.source = std::sync::Arc::new(Nothing);
    layer
}
