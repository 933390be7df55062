//! The content store under processes that are killed, that run at once, and `esb cache`.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use esb_oci::Digest;

use crate::{bases, context::Context};

/// Two functions that share a layer.
pub(crate) const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.13, Handler: app.handler}
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: one/, Layers: [!Ref Common]}
  Two:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: two/, Layers: [!Ref Common]}
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
";

const BUILD: [&str; 7] =
    ["build", "--quiet", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases", "--jobs=2"];

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    bases::write(&context.path().join("bases"), "amd64", "one");
    for name in ["one", "two"] {
        context.write(&format!("{name}/app.py"), &format!("handler = print # {name}\n"));
        // Long enough that a build can be killed while it compresses.
        let lines: Vec<String> = (0..40_000_u64).map(|n| (n * n % 10_007).to_string()).collect();
        context.write(&format!("{name}/data-{name}.txt"), &lines.join(name));
    }
    context.write("layer/common.py", "");
    context
}

/// Every blob is what its name says, and every record and index can be read.
fn verify(cache: &Path) {
    let Ok(blobs) = fs::read_dir(cache.join("blobs/sha256")) else { return };
    for path in blobs.map(|entry| entry.unwrap().path()) {
        let (digest, _) = esb_oci::hash_file(&path).unwrap();
        assert_eq!(digest.hex(), path.file_name().unwrap().to_str().unwrap());
    }
    let records = fs::read_dir(cache.join("records")).into_iter().flatten();
    let logs = records.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    for path in logs {
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !line.is_empty()) {
            let (key, value) = line.split_once(' ').unwrap();
            assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
            let (check, value) = value.split_once(' ').unwrap();
            assert!(
                check.len() == 16 && check.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{line}"
            );
            if !value.starts_with('@') {
                serde_json::from_str::<serde_json::Value>(value).unwrap();
            }
        }
    }
    if cache.join("index.json").exists() {
        esb_oci::OciLayout::open(cache).unwrap();
    }
}

/// The digests of the layout's images by name.
fn images(context: &Context) -> Vec<(String, Digest)> {
    let layout = esb_oci::OciLayout::open(context.path().join(".esb/default/images")).unwrap();
    let names: Vec<_> = layout.names().map(str::to_owned).collect();
    let digest = |name: &String| layout.find(name, None).unwrap().digest;
    names.iter().map(|name| (name.clone(), digest(name))).collect()
}

fn spawn(context: &Context, environment: &str) -> std::process::Child {
    let mut command: Command = context.command(&[&BUILD[..], &["-e", environment]].concat());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_build_may_be_killed_at_any_moment_and_another_one_run_beside_it() {
    let context = project();
    let cache = context.path().join("cache");
    assert!(context.esb(&BUILD).starts_with("exit: 0"));
    let expected = images(&context);
    fs::remove_dir_all(context.path().join(".esb")).unwrap();
    fs::remove_dir_all(&cache).unwrap();

    let mut killed = 0;
    for step in 0..16 {
        let mut build = spawn(&context, "default");
        thread::sleep(Duration::from_millis(4 + step * 9));
        build.kill().unwrap();
        killed += i32::from(!build.wait().unwrap().success());
        verify(&cache);
        if step % 6 == 5 {
            let _ = fs::remove_dir_all(&cache);
        }
    }
    assert!(killed > 0, "no build was killed");

    fs::remove_dir_all(&cache).unwrap();
    // The store serves both environments; of the same one, one works after the other.
    for _ in 0..2 {
        let builds = ["default", "other", "default"].map(|name| spawn(&context, name));
        for build in builds {
            let output = build.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        verify(&cache);
        assert_eq!(images(&context), expected);
    }
    assert_eq!(fs::read_dir(cache.join("tmp")).unwrap().count(), 0);
}

#[test]
fn the_store_shows_what_it_holds_and_gets_smaller() {
    let context = project();
    assert!(context.esb(&BUILD).starts_with("exit: 0"));
    let expected = images(&context);
    let cache = context.path().join("cache");
    // It is a layout by itself.
    let names: Vec<_> =
        esb_oci::OciLayout::open(&cache).unwrap().names().map(str::to_owned).collect();
    assert_eq!(names, ["esb-lambda-base:latest-python3.13", "esb-one:latest", "esb-two:latest"]);

    fs::write(cache.join("tmp/.tmpKiLlEd"), vec![0; 1000]).unwrap();
    let shown = context.esb(&["cache"]);
    for line in ["blobs ", "leftovers ", "records/", "1.0 kB"] {
        assert!(shown.contains(line), "{shown}");
    }
    let collected = context.esb(&["cache", "gc"]);
    assert!(collected.contains("removed 1.0 kB in 1 entries"), "{collected}");
    let collected = context.esb(&["cache", "gc", "--max-size", "1B", "--format", "json"]);
    assert!(collected.contains("\"bytes\": 0"), "{collected}");
    assert_eq!(esb_oci::OciLayout::open(&cache).unwrap().names().count(), 0);
    assert!(context.esb(&["cache", "gc", "--max-size", "big"]).starts_with("exit: 2"));

    // A build makes again what was collected.
    assert!(context.esb(&BUILD).starts_with("exit: 0"));
    assert_eq!(images(&context), expected);
}
