//! Imports that nothing provides, once packages are installed.

use crate::support::{Sample, sample};

const HANDLER: &str = "def handler(event, context):\n    return 1\n";

fn with(imports: &str) -> Sample {
    let base = ["boto3", "six.py", "_ssl.cpython-312-x86_64-linux-gnu.so"];
    sample("python3.12", "app.handler")
        .file("code/app.py", format!("{imports}\n{HANDLER}"))
        .base(&base)
}

/// The modules that an import misses, with their lines.
#[track_caller]
fn check(found: &Sample, expected: &[&str]) {
    let text = found.findings();
    let lines: Vec<_> = text
        .lines()
        .map(|line| {
            assert!(line.starts_with("warning: "), "{line}");
            let module = line.split('`').nth(1).unwrap();
            let place = line.split(['[', ']']).nth(1).unwrap();
            format!("{module} {}", place.strip_prefix("code/").unwrap_or(place))
        })
        .collect();
    assert_eq!(lines, expected, "{text}");
}

#[test]
fn what_the_image_has() {
    check(&with("import os, json, sys\nfrom urllib import parse"), &[]);
    check(&with("import boto3, six, _ssl\nfrom boto3.session import Session"), &[]);
    check(
        &with("import other, pkg.inner").file("code/other.py", "").file("code/pkg/inner.py", ""),
        &[],
    );
    check(&with("import shared").file("layer/shared.py", "").layer("layer", "/opt/python"), &[]);
    check(&with("import fast").file("code/fast.abi3.so", ""), &[]);
    let installed = with("import requests\nfrom google.cloud import storage")
        .requirements("requirements.txt", "requests")
        .file("packages/requests/__init__.py", "import chardet_or_not")
        .file("packages/google/cloud/storage/__init__.py", "")
        .installed();
    check(&installed, &[]);
}

#[test]
fn what_it_lacks() {
    check(&with("import requests"), &["requests app.py:1"]);
    check(&with("import os\nfrom pandas import DataFrame"), &["pandas app.py:2"]);
    check(&with("import yaml.loader, six"), &["yaml app.py:1"]);
    check(&with("from nowhere import *"), &["nowhere app.py:1"]);
    // Modules that this version of Python dropped.
    check(&with("import distutils"), &["distutils app.py:1"]);
    // Modules of the code's own packages.
    let own = with("from pkg.missing import x").file("code/pkg/__init__.py", "");
    check(&own, &["pkg.missing app.py:1"]);
    // Imports are followed into the code, through packages and names.
    let chain = with("from pkg import inner")
        .file("code/pkg/__init__.py", "from . import other")
        .file("code/pkg/other.py", "\nimport lost_one")
        .file("code/pkg/inner.py", "import lost_two");
    check(&chain, &["lost_two pkg/inner.py:1", "lost_one pkg/other.py:2"]);
    let broken = with("import other").file("code/other.py", "def f(:\n");
    assert!(broken.findings().contains("`code/other.py` is not valid Python 3.12"));
}

#[test]
fn what_may_fail_or_not_happen() {
    for guarded in [
        "try:\n  import x\nexcept ImportError:\n  x = None",
        "try:\n  import x\nexcept ModuleNotFoundError:\n  import y",
        "try:\n  import x\nexcept (KeyError, ImportError):\n  pass",
        "try:\n  import x\nexcept Exception as error:\n  pass",
        "try:\n  import x\nexcept:\n  pass",
        "try:\n  import x\nexcept Other:\n  pass",
        "try:\n  import x\nexcept errors.Any:\n  pass\nelse:\n  import y",
        "if TYPE_CHECKING:\n  import x",
        "if True:\n  import x\nelse:\n  import y",
        "with suppress(ImportError):\n  import x",
        "for a in b:\n  import x",
        "while a:\n  import x",
        "match a:\n  case 1:\n    import x",
        "def f():\n  import x",
        "class A:\n  import x",
        "lazy import x",
        "import sys\nsys.path.append('/mnt/x')\nimport x",
        "from sys import path\nimport x",
        "import site\nsite.addsitedir('/mnt')\nimport x",
        "import unzip_requirements\nimport x",
    ] {
        let project = with(guarded);
        let text = project.findings();
        assert!(text.is_empty() || guarded.starts_with("lazy"), "{guarded}: {text}");
    }
    let unguarded = "try:\n  import x\nexcept ValueError:\n  import y\nfinally:\n  import z";
    check(&with(unguarded), &["x app.py:2", "z app.py:6"]);
}

#[test]
fn what_is_not_judged() {
    // Without the base's modules, or with a layer that is not here.
    let mut unknown = with("import x");
    unknown.base = None;
    check(&unknown, &[]);
    check(&with("import x").published_layer(), &[]);
    // Packages that lie beside the code have modules that nobody imports.
    let vendored = with("import vendored")
        .file("code/vendored/__init__.py", "import not_there")
        .file("code/vendored-1.0.dist-info/METADATA", "");
    check(&vendored, &[]);
    let submodule = with("import vendored.made_later")
        .file("code/vendored/__init__.py", "")
        .file("code/vendored-1.0.dist-info/METADATA", "");
    check(&submodule, &[]);
}
