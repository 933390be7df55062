//! Handlers of Python functions.

use std::sync::Mutex;

use esb_code::{Cache, Remembered};
use esb_model::EnvValue;
use esb_oci::Digest;

use crate::support::sample;

const HANDLER: &str = "def handler(event, context):\n    return 1\n";

/// Whether a module with this text has `handler`, as far as that can be known.
#[track_caller]
fn check(text: &str, lacks_it: bool) {
    let found = sample("python3.12", "app.handler").file("code/app.py", text).findings();
    let expected = "does not define `handler`";
    assert_eq!(found.contains(expected), lacks_it, "{text}\n{found}");
    assert!(lacks_it || found.is_empty(), "{text}\n{found}");
}

#[test]
fn names_are_found_however_they_are_made() {
    for text in [
        HANDLER,
        "async def handler(event, context): ...",
        "class handler: ...",
        "handler = lambda event, context: 1",
        "x = y = handler = print",
        "a, (b, *handler) = 1, (2, 3)",
        "[a, handler] = 1, 2",
        "handler: object = print",
        "type handler = int",
        "import handler",
        "import a.b as handler",
        "from a import handler",
        "from a import b as handler",
        "if x:\n  handler = 1",
        "if x:\n  pass\nelif y:\n  pass\nelse:\n  def handler(): ...",
        "try:\n  import a\nexcept ImportError:\n  handler = 1",
        "try:\n  pass\nfinally:\n  handler = 1",
        "try:\n  pass\nexcept* ValueError:\n  pass\nelse:\n  handler = 1",
        "with a as handler: pass",
        "with a as (b, handler): pass",
        "for handler in a: pass",
        "while (handler := f()): pass",
        "print([handler := 1 for x in y])",
        "match a:\n  case [1, handler]: pass",
        "match a:\n  case {'k': 1, **handler}: pass",
        "match a:\n  case [*handler]: pass",
        "match a:\n  case str() as handler: pass",
        "def make():\n  global handler\n  handler = 1\nmake()",
        "def handler(): ...\ndel handler\nhandler = 1",
        "if x:\n  del handler\nhandler = 1",
        "if __name__ != '__main__':\n  handler = 1",
        "def f(a=(handler := 1)): ...",
        "def f(a: (handler := 1)): ...",
        "def f() -> (handler := 1): ...",
        "@(handler := a)\ndef f(): ...",
        "@(handler := a)\nclass A: ...",
        "class A(handler := B): ...",
        "f = lambda a=(handler := 1): a",
    ] {
        check(text, false);
    }
}

#[test]
fn what_only_running_tells_is_not_told() {
    for text in [
        "def __getattr__(name): ...",
        "globals()['handler'] = 1",
        "def f():\n  globals().update(handler=1)\nf()",
        "exec('handler = 1')",
        "vars()['handler'] = 1",
        "import sys\nsetattr(sys.modules[__name__], 'handler', 1)",
        "import sys as s\ns.modules[__name__].handler = 1",
        "from sys import modules\nmodules[__name__].handler = 1",
        "import importlib\nimportlib.import_module(__name__).handler = 1",
        "from nowhere import *",
        "__getattr__ = make()",
        "from nowhere import __getattr__",
        "eval('globals')",
        "import app\napp.handler = 1",
        "import app\nsetattr(app, 'handler', 1)",
        "__import__('sys').modules[__name__].handler = 1",
        "from importlib import import_module as load\nload(__name__).handler = 1",
        "import inspect\ninspect.currentframe().f_globals['handler'] = 1",
        "import inspect\ninspect.getmodule(f).handler = 1",
        "def add(f):\n  f.__globals__['handler'] = f\n@add\ndef f(): ...",
    ] {
        check(text, false);
    }
}

#[test]
fn modules_may_get_names_from_outside() {
    let with = |text: &str, other: &str| {
        sample("python3.12", "app.handler").file("code/app.py", text).file("code/other.py", other)
    };
    let register = "import sys\ndef register(name):\n  sys.modules[name].handler = 1";
    with("import other\nother.register(__name__)", register).is_silent();
    with("import third", register).file("code/third.py", "from other import x").is_silent();
    with("from other import add\n@add\ndef f(): ...", "def add(f): f.__globals__['handler'] = f")
        .is_silent();
    let told = "error: `code/app.py` does not define `handler`, the handler of function `Hello`";
    with("import other", "def f(x):\n  x.handlers = 1").finds(told);
    with("x = 1", register).finds(told);
    // A package does so with its modules.
    sample("python3.12", "pkg.app.handler")
        .file("code/pkg/__init__.py", "from . import app\napp.handler = 1")
        .file("code/pkg/app.py", "")
        .is_silent();
}

#[test]
fn names_that_a_module_does_not_get() {
    for text in [
        "",
        "x = 1",
        "def f():\n  handler = 1",
        "def f():\n  def handler(): ...",
        "class A:\n  def handler(self): ...",
        "handler: object",
        "(lambda: (handler := 1))()",
        "def handler(): ...\ndel handler",
        "if __name__ == '__main__':\n  handler = 1",
        "if '__main__' == __name__:\n  handler = 1",
        "if TYPE_CHECKING:\n  from a import handler",
        "import typing\nif typing.TYPE_CHECKING:\n  from a import handler",
        "if False:\n  handler = 1",
        "print([1 for handler in y])",
        "self.handler = 1",
        "x['handler'] = 1",
        "def f(): return locals()",
        "import handler.inner as other",
        "def f(a=1):\n  (handler := 1)",
        "class A:\n  (handler := 1)",
        "class A:\n  def f(self, a=1): handler = a",
        "from importlib import import_module\nimport_module('handler')",
    ] {
        check(text, true);
    }
}

#[test]
fn names_come_through_stars() {
    let with = |text: &str| sample("python3.12", "app.handler").file("code/app.py", text);
    with("from other import *").file("code/other.py", HANDLER).is_silent();
    with("from other import *")
        .file("code/other.py", "from third import *")
        .file("code/third.py", HANDLER)
        .is_silent();
    let lacks = "warning: `code/app.py` does not define `handler`, the handler of function `Hello`";
    with("from other import *").file("code/other.py", "x = 1").finds(lacks);
    with("from other import *").file("code/other.py", "from app import *").finds(lacks);
    with("from other import *")
        .file("code/other.py", format!("__all__ = ['x']\n{HANDLER}"))
        .finds(lacks);
    with("from other import *").file("code/other.py", "exec(x)").is_silent();
    for more in ["__all__ = ['x']\n__all__.append('handler')", "__all__ = ['x'] + more"] {
        with("from other import *").file("code/other.py", format!("{more}\n{HANDLER}")).is_silent();
    }
    // The same through a package of the code.
    sample("python3.12", "pkg.handler")
        .file("code/pkg/__init__.py", "from .inner import *")
        .file("code/pkg/inner.py", HANDLER)
        .is_silent();
}

#[test]
fn modules_are_found_as_python_finds_them() {
    let at = |handler: &str, file: &str| sample("python3.12", handler).file(file, HANDLER);
    at("app.handler", "code/app.py").is_silent();
    at("a.b.app.handler", "code/a/b/app.py").is_silent();
    at("a/b/app.handler", "code/a/b/app.py").is_silent();
    at("a/b.app.handler", "code/a/b/app.py").is_silent();
    at("app.handler", "code/app/__init__.py").is_silent();
    at("a.app.handler", "code/a/app.py").file("code/a/__init__.py", "").is_silent();
    at("app.handler", "code/app.so").is_silent();
    at("app.handler", "code/app.cpython-312-x86_64-linux-gnu.so").is_silent();
    at("app.handler", "code/app/__init__.abi3.so").is_silent();
    at("app.handler", "code/app.abi3.so").file("code/app.py", "").is_silent();
    // A package is found before a module of its name.
    at("app.handler", "code/app.py").file("code/app/__init__.py", "").finds(
        "error: `code/app/__init__.py` does not define `handler`, the handler of function `Hello`",
    );
    // A package may say where its modules are.
    at("a.app.handler", "code/b/app.py")
        .file("code/a/__init__.py", "__path__.append('/var/task/b')")
        .is_silent();
    // Modules of a package become its attributes, compiled ones too, and stars pass them on.
    for inner in ["inner.py", "inner.abi3.so", "inner/__init__.py"] {
        let inner = format!("code/a/{inner}");
        sample("python3.12", "a.inner").file("code/a/__init__.py", "").file(&inner, "").is_silent();
        sample("python3.12", "app.inner")
            .file("code/app.py", "from a import *")
            .file("code/a/__init__.py", "")
            .file(&inner, "")
            .is_silent();
    }
}

#[test]
fn layers_and_archives_are_looked_into() {
    for folder in ["/opt/python", "/opt/python/lib/python3.12/site-packages"] {
        sample("python3.12", "shared.app.handler")
            .file("layer/shared/app.py", HANDLER)
            .layer("layer", folder)
            .is_silent();
    }
    sample("python3.12", "shared.handler")
        .file("layer/shared.py", "x = 1")
        .layer("layer", "/opt/python")
        .finds(
            "error: `layer/shared.py` does not define `handler`, the handler of function `Hello`",
        );
    // The code comes before layers.
    sample("python3.12", "app.handler")
        .file("layer/app.py", "")
        .file("code/app.py", HANDLER)
        .layer("layer", "/opt/python")
        .is_silent();
    // Lambda does not look at the root of layers.
    sample("python3.12", "app.handler")
        .file("layer/app.py", HANDLER)
        .file("code/other.py", "")
        .layer("layer", "/opt")
        .finds("error: cannot find module `app` in the code and layers of function `Hello`");
    let archived = |name: &str, text: &str| {
        sample("python3.12", "app.handler")
            .archive("app.zip", &[(name, text.as_bytes().to_vec())])
            .code_from("app.zip")
    };
    archived("app.py", HANDLER).is_silent();
    archived("./app.py", HANDLER).is_silent();
    archived("app/__init__.py", HANDLER).is_silent();
    archived("app.pyc", "").is_silent();
    archived("app.py", "x = 1").finds(
        "error: `app.zip/app.py` does not define `handler`, the handler of function `Hello`",
    );
    archived("src/app.py", HANDLER).finds(
        "error: cannot find module `app` in the code of function `Hello` (did you mean `src/app.handler`?)",
    );
    sample("python3.12", "index.handler").inline(HANDLER).is_silent();
    sample("python3.12", "index.main").inline(HANDLER).finds(
        "error: `index.py` does not define `main`, the handler of function `Hello` (did you mean `index.handler`?)",
    );
}

#[test]
fn a_missing_module_has_a_near_one() {
    let check = |handler: &str, meant: &str| {
        let found = sample("python3.12", handler)
            .file("code/app.py", HANDLER)
            .file("code/orders/create.py", "def lambda_handler(event, context): ...")
            .file("code/node_modules/x/other.py", HANDLER)
            .findings();
        let end = format!("(did you mean `{meant}`?)");
        assert!(found.starts_with("error: ") && found.ends_with(&end), "{handler}: {found}");
    };
    check("ap.handler", "app.handler");
    check("App.handler", "app.handler");
    check("src.app.handler", "app.handler");
    check("app.handler.handler", "app.handler");
    check("create.lambda_handler", "orders/create.lambda_handler");
    check("orders.creat.lambda_handler", "orders.create.lambda_handler");
    check("orders/creat.lambda_handlr", "orders/create.lambda_handler");
    sample("python3.12", "app.handler")
        .file("code/other.txt", "")
        .finds("warning: cannot find module `app` in the code of function `Hello`");
    // What an image does not get is not there.
    assert!(!sample("python3.12", "app.handler").file("code/app.pyc", "").findings().is_empty());
}

#[test]
fn a_missing_function_has_a_near_one() {
    let check = |name: &str, text: &str, help: &str| {
        let found =
            sample("python3.12", &format!("app.{name}")).file("code/app.py", text).findings();
        assert!(found.starts_with("error: ") && found.ends_with(help), "{name}: {found}");
    };
    check("handlr", HANDLER, "(did you mean `app.handler`?)");
    check(
        "main",
        "def lambda_handler(event, context): ...",
        "(did you mean `app.lambda_handler`?)",
    );
    check("main", "def get(e, c): ...\ndef put(e, c): ...\n", "(it defines `get`, `put`)");
    check("main", "x = 1", "the handler of function `Hello`");
}

#[test]
fn packages_that_are_not_installed_yet_may_bring_a_module() {
    let with = |handler: &str, text: &str| {
        sample("python3.12", handler).requirements("requirements.txt", text)
    };
    with("datadog_lambda.handler.handler", "datadog-lambda==6").is_silent();
    with("mypkg.app.handler", "-e .").is_silent();
    with("mypkg.app.handler", "git+https://example.org/x.git").is_silent();
    sample("python3.12", "mypkg.app.handler").requirements("pyproject.toml", "").is_silent();
    // Nothing of the name: certainly meant is what is near, the rest is only likely to be missing.
    with("ap.handler", "requests").file("code/app.py", HANDLER).finds(
        "error: cannot find module `ap` in the code of function `Hello` (did you mean `app.handler`?)",
    );
    with("other.handler", "requests")
        .file("code/app.py", HANDLER)
        .finds("warning: cannot find module `other` in the code of function `Hello`");
    // Once they are installed it is known.
    let installed = |handler: &str| {
        with(handler, "datadog-lambda==6")
            .file("packages/datadog_lambda/handler.py", HANDLER)
            .file("packages/datadog_lambda/__init__.py", "")
            .installed()
    };
    installed("datadog_lambda.handler.handler").is_silent();
    installed("datadog_lambda.other.handler")
        .finds("error: cannot find module `datadog_lambda.other` in the image of function `Hello`");
}

#[test]
fn what_is_not_here_makes_a_warning() {
    sample("python3.12", "app.handler")
        .published_layer()
        .finds("warning: cannot find module `app` in the code of function `Hello`");
    sample("python3.12", "app.handler")
        .published_layer()
        .file("code/app.py", "")
        .finds("warning: `code/app.py` does not define `handler`, the handler of function `Hello`");
    // The code is not what would run, or not all of it.
    let wrong = || sample("python3.12", "app.handler");
    wrong().build_method("makefile").is_silent();
    assert!(!wrong().build_method("python3.12").findings().is_empty());
    let known = |text: &str| EnvValue::Known(text.to_owned());
    wrong().variable("AWS_LAMBDA_EXEC_WRAPPER", known("/opt/w")).is_silent();
    wrong().variable("PYTHONPATH", EnvValue::Symbolic("!Ref X".into())).is_silent();
    let path =
        |path: &str| wrong().file("code/src/app.py", HANDLER).variable("PYTHONPATH", known(path));
    path("/var/task/src").is_silent();
    path("/opt/x:./src/").is_silent();
    assert!(!path("/var/task/lib").findings().is_empty());
}

#[test]
fn handlers_without_a_function() {
    sample("python3.12", "app").file("code/app.py", HANDLER).finds(
        "error: the handler of function `Hello` names no function: `app` (write the module and the function, such as `app.handler`)",
    );
    assert!(
        sample("python3.12", "./app.handler")
            .file("code/app.py", HANDLER)
            .findings()
            .starts_with("error")
    );
}

#[test]
fn syntax_errors_are_those_of_the_runtime() {
    let check = |runtime: &str, text: &[u8], expected: &str| {
        sample(runtime, "app.handler").file("code/app.py", text).finds(expected);
    };
    check(
        "python3.12",
        b"def handler(event, context)\n    return 1\n",
        "error: `code/app.py` is not valid Python 3.12: expected `:`, found newline [code/app.py:1]",
    );
    let new = b"def handler(e, c):\n  match e:\n    case _: pass\n";
    check("python3.10", new, "");
    check(
        "python3.9",
        new,
        "error: `code/app.py` is not valid Python 3.9: cannot use `match` statement on Python 3.9 (syntax was added in Python 3.10) [code/app.py:2]",
    );
    check(
        "python3.12",
        b"print 'x'\n",
        "error: `code/app.py` is not valid Python 3.12: simple statements must be separated by newlines or semicolons [code/app.py:1]",
    );
    // Versions that the parser does not know are not judged by it.
    check("python2.7", b"print 'x'\n", "");
    check("python3.6", b"async = 1\ndef handler(e, c): pass\n", "");
    check("python3.99", b"some new syntax\n", "");
    check(
        "python3.12",
        b"# a\nx = '\xe4'\n",
        "error: `code/app.py` is not valid Python 3.12: this is not UTF-8, and the first lines name no other encoding [code/app.py:2]",
    );
    check("python3.12", b"# coding: latin-1\nx = '\xe4'\ndef handler(e, c): pass\n", "");
    check("python3.12", b"\xef\xbb\xbfdef handler(e, c):\r\n    pass\r\n", "");
    check("python3.12", b"def handler(e, c):\r    pass\r", "");
}

#[test]
fn odd_files_are_left_alone() {
    let check = |text: Vec<u8>| {
        sample("python3.12", "app.handler").file("code/app.py", text).is_silent();
    };
    for deep in ["(", "[", "{", "-", "not ", "a.", "a+", "a**", "a if b else ", "lambda: "] {
        check(format!("x = {}1", deep.repeat(50_000)).into_bytes());
    }
    check(format!("x = a{}", "()".repeat(100_000)).into_bytes());
    check(vec![b'#'; 3 * 1024 * 1024]);
    check(
        (0..2000)
            .map(|n| format!("{}if a:\n", " ".repeat(n)))
            .collect::<Vec<_>>()
            .concat()
            .into_bytes(),
    );
    // As deep as it is allowed.
    let deep = format!("x = {}1{}\n{HANDLER}", "(".repeat(400), ")".repeat(400));
    check(deep.into_bytes());
    let deep = format!("x = {}1\n{HANDLER}", "a+".repeat(700));
    check(deep.into_bytes());
}

#[derive(Default)]
struct Memory(Mutex<Vec<(Digest, Remembered)>>);

impl Cache for Memory {
    fn get(&self, key: Digest) -> Option<Remembered> {
        let kept = self.0.lock().unwrap();
        kept.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
    }

    fn set(&self, key: Digest, value: &Remembered) {
        self.0.lock().unwrap().push((key, value.clone()));
    }
}

#[test]
fn what_was_read_is_kept_by_its_content() {
    let cache = Memory::default();
    let project = sample("python3.12", "app.handler").file("code/app.py", "x = 1");
    let first = project.findings_with(&cache);
    assert!(first.contains("does not define"));
    assert_eq!(project.findings_with(&cache), first);
    // A change is seen at once, also one that leaves the size as it is.
    let project = project.file("code/app.py", HANDLER);
    assert_eq!(project.findings_with(&cache), "");
    let project = project.file("code/app.py", HANDLER.replace("handler", "handled"));
    assert!(project.findings_with(&cache).contains("does not define"));
    let kept = cache.0.lock().unwrap().len();
    assert_eq!(kept, 3, "one for each content, for the file is too young for its times to count");
    // What is old enough is not read again.
    let path = project.root().join("code/app.py");
    std::thread::sleep(std::time::Duration::from_millis(120));
    let first = project.findings_with(&cache);
    let times = std::fs::metadata(&path).unwrap();
    assert_eq!(cache.0.lock().unwrap().len(), kept + 1);
    assert_eq!(project.findings_with(&cache), first);
    assert_eq!(cache.0.lock().unwrap().len(), kept + 1);
    // Nor does it help to set the time back.
    std::fs::write(&path, HANDLER).unwrap();
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(times.modified().unwrap()).unwrap();
    assert_eq!(project.findings_with(&cache), "");
}
