//! A project with functions and a shared layer, a base image as a layout, a registry behind a
//! proxy that counts, and `esb` run between them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use esb_oci::{
    Attributes, Blob, Descriptor, History, Image, ImageConfig, LayerWriter, Manifest, media_type,
};
use esb_test::{LoggingProxy, Registry};
use serde_json::Value;
use tempfile::TempDir;

use crate::schemas;

/// The name of a project's functions: `fn-<number>`, in the folder `functions/f<number>`.
pub(crate) const FUNCTIONS: usize = 4;

pub(crate) struct Project {
    pub(crate) folder: TempDir,
}

impl Project {
    pub(crate) fn new(functions: usize) -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        let mut template = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function:\n    \
             Runtime: python3.12\n    Handler: app.handler\n    Layers: [!Ref Shared]\nResources:\n  \
             Shared:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n      \
             ContentUri: layer/\n"
            .to_owned();
        project.write("layer/python/shared.py", "shared = True\n");
        for number in 0..functions {
            write!(
                template,
                "  F{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
                 FunctionName: fn-{number}\n      CodeUri: functions/f{number}/\n"
            )
            .unwrap();
            project.write(
                &format!("functions/f{number}/app.py"),
                &format!("handler = number = {number}\n"),
            );
            project.write(&format!("functions/f{number}/lib/help.py"), &format!("h = {number}\n"));
        }
        project.write("template.yaml", &template);
        project.write("esb.toml", "application = 'shop'\n");
        base(&project.path().join("base"));
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// `esb` in this project, with a store of that name.
    pub(crate) fn command(&self, store: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_esb"));
        let mirror = format!("public.ecr.aws=oci:{}", self.path().join("base").display());
        command
            .args(arguments)
            .args(["-e", "dev", "--format", "json"])
            .current_dir(self.path())
            .env_clear()
            .env("ESB_CACHE_DIR", self.path().join(store))
            .env("ESB_MIRRORS", mirror)
            .env("DOCKER_HOST", "unix:///no/such/socket")
            .env("PORT_REGISTRY", "9")
            .stdin(Stdio::null());
        command
    }

    /// The store of a machine.
    pub(crate) fn store(&self, store: &str) -> PathBuf {
        self.path().join(store)
    }
}

/// Runs `esb` to its end and gives its document.
pub(crate) fn document(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stdout));
    let document = serde_json::from_slice(&output.stdout).unwrap();
    schemas::check(command, &document);
    document
}

/// Function and digest of each image.
pub(crate) fn digests(document: &Value) -> BTreeMap<String, String> {
    let images = document["images"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    images.map(|image| (text(&image["name"]), text(&image["digest"]))).collect()
}

/// A field of each image.
pub(crate) fn all<'a>(document: &'a Value, field: &str) -> Vec<&'a str> {
    let images = document["images"].as_array().unwrap().iter();
    images.map(|image| image[field].as_str().unwrap()).collect()
}

/// A registry, and the proxy that runs go through.
pub(crate) struct Place {
    pub(crate) proxy: LoggingProxy,
    registry: Registry,
    _folder: TempDir,
}

impl Place {
    /// `None` where no registry can be had, which is said.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let registry = esb_test::or_skip(Registry::start(folder.path()))?;
        let proxy = LoggingProxy::start(registry.address()).unwrap();
        Some(Self { proxy, registry, _folder: folder })
    }

    /// The registry's own address: what is asked there is not among what runs asked.
    pub(crate) fn address(&self) -> String {
        self.registry.address().to_string()
    }

    /// Deploys, and gives the document and what was asked meanwhile as `METHOD path`.
    pub(crate) fn deploy(
        &self,
        project: &Project,
        store: &str,
        arguments: &[&str],
    ) -> (Value, Vec<String>) {
        self.proxy.clear();
        let mut command = project.command(store, &[&["deploy"], arguments].concat());
        let document = document(command.env("CONTAINER_REGISTRY", self.proxy.address()));
        let asked = self.proxy.requests().into_iter();
        let asked = asked.map(|request| {
            let path = request.target.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        });
        (document, asked.collect())
    }
}

/// Those requests that carry something to the registry.
pub(crate) fn writes(asked: &[String]) -> Vec<&str> {
    let writes = |asked: &&str| !asked.starts_with("GET ") && !asked.starts_with("HEAD ");
    asked.iter().map(String::as_str).filter(writes).collect()
}

/// Writes a layout with a small image that looks like AWS's.
pub(crate) fn base(root: &Path) {
    base_saying(root, BTreeMap::new());
}

/// The same, whose manifest has annotations.
pub(crate) fn base_saying(root: &Path, annotations: BTreeMap<String, String>) {
    let mut layer = LayerWriter::new(Vec::new(), 0);
    for folder in ["opt", "tmp", "var", "var/lang", "var/lang/lib", "var/task", "usr", "usr/lib"] {
        layer.dir(folder, Attributes::root(0o755)).unwrap();
    }
    for number in 0..300 {
        let path = format!("usr/lib/module{number}.so");
        layer.file(&path, Attributes::root(0o644), 2, &mut &b"so"[..]).unwrap();
    }
    let (blob, digests) = layer.finish().unwrap();
    let mut config = ImageConfig::empty("amd64");
    config.set_env("PATH", "/var/lang/bin:/bin");
    config.set_env("LAMBDA_TASK_ROOT", "/var/task");
    config.set("WorkingDir", "/var/task");
    let history = History { created: "2020-01-01T00:00:00Z", created_by: "base" };
    config.push_layer(digests.diff_id, &history);
    let config_bytes = config.to_bytes();
    let config = Blob::from_bytes(media_type::OCI_CONFIG, config_bytes.clone());
    let layer = Blob::from_bytes(media_type::OCI_LAYER_GZIP, blob);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config.descriptor.clone(),
        layers: vec![Descriptor::clone(&layer.descriptor)],
        annotations,
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let image = Image::new(bytes.into(), config_bytes.into(), config, vec![layer]).unwrap();
    let images = ["3.12", "3.13"].map(|of| (format!("lambda/python:{of}"), image.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(esb_oci::write_layout(root, &images)).unwrap();
}
