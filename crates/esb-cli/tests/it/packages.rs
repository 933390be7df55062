//! Packages of functions and layers, installed by a stand-in for uv.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use crate::{bases, context::Context};

const BUILD: [&str; 5] = ["build", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases"];

/// Installs one package for each line, or fails as a real one does.
const UV: &str = r#"#!/bin/sh
while [ "$1" != --target ]; do shift || exit 3; done
cat "$4" >> "$(dirname "$0")/asked"
if [ -f "$(dirname "$0")/said" ]; then cat "$(dirname "$0")/said" >&2; exit 1; fi
sed 's/[=;].*//' "$4" | while read -r name; do
  mkdir -p "$2/$name-1.dist-info"
  echo "x = 1" > "$2/$name.py"
  echo "$name.py,," > "$2/$name-1.dist-info/RECORD"
done
"#;

fn project(template: &str) -> Context {
    let context = Context::new(template);
    bases::write(&context.path().join("bases"), "amd64", "one");
    context.write("bin/uv", UV);
    let tool = context.path().join("bin/uv");
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    context
}

fn esb(context: &Context, arguments: &[&str]) -> (i32, String) {
    let mut command: Command = context.command(arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", context.path().join("bin").display()));
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&said).into_owned())
}

const LAYER: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Shared:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: python3.13}
    Properties: {ContentUri: shared/}
  One:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/, Layers: [!Ref Shared]}
  Two:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/, Layers: [!Ref Shared]}
";

#[test]
fn packages_of_a_python_layer_are_installed_once_and_pinned() {
    let context = project(LAYER);
    context.write("f/app.py", "import common, six\n\ndef handler(event, context): return 1\n");
    context.write("shared/common.py", "x = 1\n");
    context.write("shared/requirements.txt", "# words\nsix==1\n");
    let (code, said) = esb(&context, &BUILD);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("six"), "nothing is missing: {said}");
    let asked = fs::read_to_string(context.path().join("bin/asked")).unwrap();
    assert_eq!(asked, "six==1\n", "two functions share it");
    let installed = ".esb/default/layer-packages/shared/python3.13-amd64/six.py";
    assert!(context.path().join(installed).is_file());
    let lock = fs::read_to_string(context.path().join("esb.lock")).unwrap();
    assert!(lock.contains("requirements = \"shared/requirements.txt\""), "{lock}");
    assert!(lock.contains("versions = [\"six==1\"]"), "{lock}");

    let (code, said) = esb(&context, &[&BUILD[..], &["--locked"]].concat());
    assert_eq!((code, said.contains("up to date")), (0, true), "{said}");
    context.write("shared/requirements.txt", "six==1\nidna==1\n");
    let (code, said) = esb(&context, &[&BUILD[..], &["--locked"]].concat());
    assert_eq!((code, said.contains("shared/requirements.txt")), (7, true), "{said}");
    let (code, said) = esb(&context, &BUILD);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("Built").count(), 2, "both functions: {said}");
}

const FUNCTION: &str = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/}
";

#[test]
fn a_package_that_cannot_be_installed_is_told_with_its_line_and_the_reason() {
    let context = project(FUNCTION);
    context.write("f/app.py", "def handler(event, context): return 1\n");
    context.write("f/requirements.txt", "# words\nidna\nsix==99.0\n");
    let uv = "Using CPython 3.11.7 interpreter at: /somewhere/bin/python3\n\
              error: No solution found when resolving dependencies\n  cause: Because there is no \
              version of six==99.0 and you require six==99.0, we can conclude that your \
              requirements are unsatisfiable.\n";
    context.write("bin/said", uv);
    let (code, said) = esb(&context, &BUILD);
    let expected = "error: the package at `f/requirements.txt:3` could not be installed: there is \
                    no version of six==99.0\n";
    assert!(said.contains(expected), "{said}");
    assert!(!said.contains("/somewhere"), "{said}");
    assert_eq!(code, 3, "{said}");
}

#[test]
fn many_runs_install_the_same_packages_at_once() {
    let context = project(FUNCTION);
    context.write("f/app.py", "def handler(event, context): return 1\n");
    context.write("f/requirements.txt", "idna\nsix==1\n");
    let (code, said) = esb(&context, &BUILD);
    assert_eq!(code, 0, "{said}");
    let mut runs = 0;
    for round in 0..4 {
        if round % 2 == 0 {
            fs::remove_dir_all(context.path().join("cache/dependencies")).unwrap();
        }
        let started: Vec<_> = (0..8)
            .map(|number| {
                let environment = format!("e{number}");
                let anew = if number % 2 == 0 { &["--no-cache"][..] } else { &[] };
                let arguments = [&BUILD[..], anew, &["-e", &environment]].concat();
                let mut command: Command = context.command(&arguments);
                let tools = context.path().join("bin");
                command.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
                command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for run in started {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            runs += 1;
        }
    }
    assert_eq!(runs, 32);
    let left = fs::read_dir(context.path().join("cache/dependencies")).unwrap().flatten();
    let left: Vec<_> = left.filter(|entry| entry.file_name().len() != 64).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Keeps what it installs in its cache, as uv does, and does not look at it again.
const KEEPING_UV: &str = r#"#!/bin/sh
while [ "$1" != --target ]; do shift || exit 3; done
mkdir -p "$UV_CACHE_DIR" "$2/six-1.dist-info"
[ -f "$UV_CACHE_DIR/six.py" ] || echo "x = 1" > "$UV_CACHE_DIR/six.py"
cp "$UV_CACHE_DIR/six.py" "$2/six.py"
echo "six.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6" > "$2/six-1.dist-info/RECORD"
"#;

#[test]
fn what_a_tool_makes_of_its_damaged_cache_goes_into_no_image() {
    let context = project(FUNCTION);
    context.write("bin/uv", KEEPING_UV);
    context.write("f/app.py", "def handler(event, context): return 1\n");
    context.write("f/requirements.txt", "six==1\n");
    let (code, said) = esb(&context, &BUILD);
    assert_eq!((code, said.contains("warning: ")), (0, false), "{said}");
    let staged = ".esb/default/functions/Hello/dependencies/six.py";
    let read = || fs::read_to_string(context.path().join(staged)).unwrap();
    assert_eq!(read(), "x = 1\n");

    let dependencies = context.path().join("cache/dependencies");
    let folders = || fs::read_dir(&dependencies).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders() {
        let kept = folder.join("uv/six.py");
        if kept.is_file() {
            fs::write(kept, "x = 9\n").unwrap();
        } else {
            fs::remove_dir_all(folder).unwrap();
        }
    }
    let (code, said) = esb(&context, &BUILD);
    assert_eq!((code, said.contains("is damaged; it is made again")), (0, true), "{said}");
    assert_eq!(read(), "x = 1\n");
    assert!(folders().all(|folder| !folder.join("uv/six.py").exists()), "it is gone");
    let (code, said) = esb(&context, &BUILD);
    assert_eq!((code, said.contains("warning: ")), (0, false), "{said}");
}
