//! `esb.lock`, `--locked`, `--update-lock`, `--offline`, and layouts as mirrors.

use std::fs;

use crate::{bases, context::Context};

const TEMPLATE: &str = r"Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: code/}
";

const MIRROR: [&str; 2] = ["--mirror", "public.ecr.aws=oci:bases"];

fn project() -> Context {
    let context = Context::new(TEMPLATE);
    context.write("code/app.py", "def handler(event, context): pass\n");
    context
}

/// Builds with further arguments, wants words in what it says, and gives the tag of the function's
/// image.
fn build(context: &Context, arguments: &[&str], exit: i32, words: &[&str]) -> String {
    let said = context.esb(&[&["build", "--quiet", "-v"], arguments].concat());
    assert!(said.starts_with(&format!("exit: {exit}\n")), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
    let mut words = said.split_whitespace().skip_while(|word| *word != "esb-hello");
    words.nth(1).unwrap_or_default().to_owned()
}

/// Its files lie apart from the folder of published configuration, which has that name.
#[test]
fn an_environment_may_be_called_staging() {
    let context = project();
    bases::write(&context.path().join("bases"), "amd64", "one");
    let built = ["-e", "staging", "--to", "oci"];
    let built = build(&context, &[&MIRROR[..], &built].concat(), 0, &[".esb/staging.env/config"]);
    assert!(built.starts_with("latest-"), "{built}");
    let brand = context.path().join(".esb");
    for there in ["staging.env/images.json", "staging.env/functions/Hello/Dockerfile"] {
        assert!(brand.join(there).is_file(), "{there}");
    }
    assert!(!brand.join("staging").exists());
    let deploy = ["deploy", "-e", "staging", "--to", "oci", "--config-to", "none"];
    let said = context.esb(&[&deploy[..], &MIRROR].concat());
    assert!(said.starts_with("exit: 0\n"), "{said}");
    assert!(brand.join("staging/esb-staging/staging/config/functions.yml").is_file());
    assert!(!said.contains("no Gateway reads it"), "{said}");
    assert!(!said.contains("create them with"), "there are no tables and buckets: {said}");
    let said = context.esb(&["image", "ls", "-e", "staging", "--in", "store"]);
    assert!(said.contains("esb-hello:latest"), "{said}");
}

fn lock(context: &Context) -> String {
    fs::read_to_string(context.path().join("esb.lock")).unwrap()
}

#[test]
fn a_base_is_pinned_and_stays_what_it_was() {
    let context = project();
    let layout = context.path().join("bases");
    bases::write(&layout, "amd64", "one");
    let to_oci = [&MIRROR[..], &["--to", "oci"]].concat();
    let locked = [&to_oci[..], &["--locked"]].concat();

    let missing = ["esb.lock` would change", "python:3.13` for linux/amd64 is not pinned"];
    build(&context, &locked, 7, &missing);
    assert!(!context.path().join("esb.lock").exists());
    build(&context, &[&to_oci[..], &["--dry-run"]].concat(), 0, &["first build for environment"]);
    assert!(!context.path().join("esb.lock").exists(), "a dry run writes nothing");
    build(&context, &to_oci, 0, &[]);
    let one = lock(&context);
    let digest = bases::image("amd64", "one").digest().to_string();
    assert!(one.contains("reference = \"public.ecr.aws/lambda/python:3.13\""), "{one}");
    assert!(one.contains(&format!("\"linux/amd64\" = \"{digest}\"")), "{one}");
    let first = build(&context, &locked, 0, &[]);

    // The tag moves; the pin does not.
    bases::write(&layout, "amd64", "two");
    assert_eq!(build(&context, &to_oci, 0, &[]), first);
    assert_eq!(lock(&context), one);
    let update = [&to_oci[..], &["--update-lock"]].concat();
    assert_ne!(build(&context, &update, 0, &[]), first);
    assert_ne!(lock(&context), one);
    build(&context, &[&update[..], &["--locked"]].concat(), 2, &["cannot be used with"]);

    // On a machine that never had the pinned image, the layout's new one does not replace it.
    fs::write(context.path().join("esb.lock"), one).unwrap();
    fs::remove_dir_all(context.path().join("cache")).unwrap();
    let hints = [&*digest, "--update-lock", "--mirror public.ecr.aws=oci:DIR"];
    build(&context, &[&to_oci[..], &["--offline"]].concat(), 4, &hints);
}

#[test]
fn what_the_store_has_is_enough_offline() {
    let context = project();
    let layer = bases::write(&context.path().join("bases"), "amd64", "one").to_string();
    build(&context, &[&MIRROR[..], &["--to", "oci:first"]].concat(), 0, &[]);
    fs::remove_dir_all(context.path().join("bases")).unwrap();
    context.write("code/app.py", "def handler(event, context): return 1\n");

    // The first layout has the base's layer, the second would need it.
    build(&context, &["--offline", "--to", "oci:first"], 0, &[]);
    let missing = [&*layer, "the content store", "--mirror"];
    build(&context, &["--offline", "--to", "oci:second"], 4, &missing);
    assert!(!context.path().join("second/index.json").exists());

    fs::remove_file(context.path().join("esb.lock")).unwrap();
    build(
        &context,
        &["--offline", "--to", "oci:first"],
        4,
        &["no registry is asked while offline"],
    );
}

#[test]
fn both_platforms_get_their_base_and_one_lock() {
    let context = project();
    let arm =
        TEMPLATE.replace("Hello:", "Arm:").replace("code/}", "code/, Architectures: [arm64]}");
    let arm = arm.split_once("Resources:\n").unwrap().1;
    context.write("template.yaml", &format!("{TEMPLATE}{arm}"));
    let layout = context.path().join("bases");
    bases::write_all(&layout, &["amd64", "arm64"], "one");
    let arguments = [&MIRROR[..], &["--to", "oci:images"]].concat();
    build(&context, &arguments, 0, &[]);
    let text = lock(&context);
    let index =
        esb_oci::OciLayout::open(&layout).unwrap().find(bases::PYTHON, None).unwrap().digest;
    for digest in
        [index, bases::image("amd64", "one").digest(), bases::image("arm64", "one").digest()]
    {
        assert!(text.contains(&digest.to_string()), "{digest} is not in {text}");
    }
    let images = esb_oci::OciLayout::open(context.path().join("images")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, architecture) in [("esb-hello:latest", "amd64"), ("esb-arm:latest", "arm64")] {
        let image = |name, architecture| runtime.block_on(images.image(name, None, architecture));
        let function = image(name, architecture).unwrap();
        let base = image("esb-lambda-base:latest-python3.13", architecture).unwrap();
        let config = function.parse_config().unwrap();
        assert_eq!(config.architecture(), architecture);
        let digest = base.digest().to_string();
        assert_eq!(config.label("org.opencontainers.image.base.digest"), Some(&*digest));
        assert_eq!(function.layers[..base.layers.len()].len(), base.layers.len());
        let history: serde_json::Value =
            serde_json::from_slice(function.config_bytes.as_ref().unwrap()).unwrap();
        let entries = history["history"].as_array().unwrap().iter();
        let layers = entries.filter(|entry| entry["empty_layer"] != true).count();
        assert_eq!(layers, function.layers.len(), "one entry for each layer");
    }
    build(&context, &[&arguments[..], &["--locked"]].concat(), 0, &[]);
}
