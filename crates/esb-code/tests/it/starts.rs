//! What keeps a Python function from starting, before its handler is asked for.

use crate::support::{Sample, sample};

const HANDLER: &str = "def handler(event, context):\n    return 1\n";

fn with(text: &str) -> Sample {
    sample("python3.13", "app.handler").file("code/app.py", format!("{text}\n{HANDLER}"))
}

/// The faults that Python finds in a file, which compiles otherwise.
#[test]
fn what_the_compiler_refuses() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("return 1", "`return` statement outside of a function"),
        ("await x", "`await` statement outside of a function"),
        ("yield 1", "`yield` statement outside of a function"),
        ("class A:\n  yield 1", "`yield` statement outside of a function"),
        ("def f():\n  await x", "`await` outside of an asynchronous function"),
        ("break", "`break` outside loop"),
        ("for x in y:\n  def f():\n    continue", "`continue` outside loop"),
        ("def f(a, a): ...", "duplicate parameter \"a\""),
        ("lambda a, a: 1", "duplicate parameter \"a\""),
        ("nonlocal x", "nonlocal declaration not allowed at module level"),
        ("def f():\n  x = 1\n  global x", "name `x` is used prior to global declaration"),
        ("def f(x):\n  global x", "name `x` cannot refer to a parameter and a global variable"),
        ("*a = (1,)", "starred assignment target must be in a list or tuple"),
        ("x = *a", "starred expression cannot be used here"),
        ("def f():\n  from os import *", "`from os import *` only allowed at module level"),
        (
            "x = 1\nfrom __future__ import annotations",
            "__future__ imports must be at the top of the file",
        ),
        ("from __future__ import nope", "future feature `nope` is not defined"),
        ("None = 1", "invalid assignment target"),
        ("f(a=1, a=2)", "duplicate keyword argument `a`"),
        (
            "def f():\n\tif 1:\n        return 1",
            "this line mixes tabs and spaces in its indentation",
        ),
        ("# coding: nonesuch", "Python knows no encoding `nonesuch`"),
        ("x = 1 \0", "this is a NUL byte, which no source may have"),
    ] {
        let found = with(text).findings();
        let start = format!("error: `code/app.py` is not valid Python 3.13: {expected}");
        if !found.starts_with(&start) {
            wrong.push(format!("{text}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_the_compiler_takes() {
    for text in [
        "async def f():\n  return [await x async for x in y]",
        "def f():\n  global a\n  a = 1\n  return [a for a in b]",
        "global a\na = 1",
        "def f():\n  x = lambda: (yield)\n  yield x",
        "class A:\n  x = [y for y in z]",
        "def f():\n  while x:\n    for y in z: break\n    else: continue",
        "def f():\n  x = 1\n  def g():\n    nonlocal x\n    x = 2",
        "\"\"\"doc\"\"\"\nfrom __future__ import annotations, barry_as_FLUFL\nif 1 <> 2: pass",
        "if 1:\n\tif 2:\n\t    x = 1\n\ty = (\n  1)",
        "# vim: set fileencoding=utf-8-unix :",
        "*a, b = c\nprint(*a, *b)\nx[*a]",
    ] {
        let found = with(text).findings();
        assert_eq!(found, "", "{text}");
    }
}

#[test]
fn syntax_that_is_newer_than_the_runtime() {
    let check = |runtime: &str, text: &str, expected: Option<&str>| {
        let found = sample(runtime, "app.handler")
            .file("code/app.py", format!("{text}\n{HANDLER}"))
            .findings();
        match expected {
            Some(expected) => assert!(found.contains(expected), "{runtime} {text}: {found}"),
            None => assert_eq!(found, "", "{runtime} {text}"),
        }
    };
    check(
        "python3.9",
        "match x:\n  case 1: pass",
        Some("cannot use `match` statement on Python 3.9"),
    );
    check("python3.10", "match x:\n  case 1: pass", None);
    check("python3.10", "try: pass\nexcept* E: pass", Some("cannot use `except*` on Python 3.10"));
    check("python3.11", "try: pass\nexcept* E: pass", None);
    check("python3.11", "x = f'{f'{1}'}'", Some("on Python 3.11"));
    check("python3.12", "x = f'{f'{1}'}'", None);
    check("python3.11", "type X = int", Some("on Python 3.11"));
}

#[test]
fn modules_that_a_handler_imports() {
    with("import other").file("code/other.py", "print \"x\"").finds(
        "error: `code/other.py` is not valid Python 3.13: simple statements must be separated by \
         newlines or semicolons [code/other.py:1]",
    );
    with("def f():\n  import other").file("code/other.py", "print \"x\"").is_silent();
    with("try:\n  import other\nexcept Exception: pass").file("code/other.py", "(").is_silent();
    sample("python3.13", "pkg.app.handler")
        .file("code/pkg/__init__.py", "return")
        .file("code/pkg/app.py", HANDLER)
        .finds(
            "error: `code/pkg/__init__.py` is not valid Python 3.13: `return` statement outside of \
             a function [code/pkg/__init__.py:1]",
        );
}

#[test]
fn relative_imports_need_a_package() {
    with("from . import other").file("code/other.py", "").finds(
        "error: `code/app.py` is in no package that this relative import could start from \
         [code/app.py:1] (import the module by its name, without a dot)",
    );
    let inner = sample("python3.13", "pkg.app.handler")
        .file("code/pkg/app.py", format!("from . import other\n{HANDLER}"))
        .file("code/pkg/other.py", "");
    inner.is_silent();
    let above = sample("python3.13", "pkg.app.handler")
        .file("code/pkg/app.py", format!("from ..other import x\n{HANDLER}"))
        .file("code/other.py", "x = 1");
    assert!(above.findings().contains("is in no package"), "{}", above.findings());
}

#[test]
fn names_that_an_import_needs() {
    let import = |text: &str| {
        sample("python3.13", "app.handler")
            .file("code/app.py", "from mod import handler")
            .file("code/mod.py", text)
    };
    import("handler = print").is_silent();
    import("def __getattr__(name): ...").is_silent();
    import("from other import *").is_silent();
    import("x = 1").finds(
        "error: `code/mod.py` does not define `handler`, which `code/app.py` imports [code/app.py:1]",
    );
    with("from mod import x, y, __version__").file("code/mod.py", "x = 1").finds(
        "warning: `code/mod.py` does not define `y`, which `code/app.py` imports [code/app.py:1]",
    );
    with("from pkg import inner")
        .file("code/pkg/__init__.py", "")
        .file("code/pkg/inner.py", "")
        .is_silent();
}

#[test]
fn handlers_that_others_make() {
    sample("python3.13", "app.handler")
        .file("code/app.py", "import wiring")
        .file("code/wiring.py", "import sys\nsys.modules['app'].handler = print")
        .is_silent();
    for handler in ["boto3.client", "awslambdaric.bootstrap.run", "simplejson.dumps"] {
        sample("python3.13", handler).file("code/app.py", "").is_silent();
    }
}

#[test]
fn handlers_are_shown_as_they_are_written() {
    let check = |handler: &str, expected: &str| {
        let found = sample("python3.13", handler).file("code/app.py", HANDLER).findings();
        assert!(found.starts_with(expected), "{handler:?}: {found}");
    };
    check(".handler", "error: the handler of function `Hello` names no module: `.handler`");
    check("app.", "error: the handler of function `Hello` names no function: `app.`");
    check("../app.handler", "error: cannot find module `../app` in the code");
    check("a\u{1b}[2Jb.handler", "error: cannot find module `a\\u{1b}[2Jb` in the code");
    check("app.han\0dler", "error: `code/app.py` does not define `han\\u{0}dler`");
    check("ap\u{202e}p.handler", "error: cannot find module `ap\\u{202e}p`");
}
