//! Handlers of Node.js functions.

use crate::support::{Sample, sample};

fn with(handler: &str, files: &[&str]) -> Sample {
    let sample = sample("nodejs22.x", handler);
    files.iter().fold(sample, |sample, file| sample.file(&format!("code/{file}"), ""))
}

#[test]
fn files_are_found_as_lambda_finds_them() {
    with("index.handler", &["index.js"]).is_silent();
    with("index.handler", &["index.mjs"]).is_silent();
    with("index.handler", &["index.cjs"]).is_silent();
    with("src/app.handler", &["src/app.js"]).is_silent();
    with("./src/app.handler", &["src/app.js"]).is_silent();
    with("src/../app.handler", &["app.js"]).finds(
        "error: the handler of function `Hello` has `..`: `src/../app.handler` (write the file's \
         place below the code's folder, such as `src/index.handler`)",
    );
    with("app.lambda.handler", &["app.js"]).is_silent();
    with("app.handler", &["app/index.js"]).is_silent();
    with("x.handler", &["node_modules/x/index.js"]).is_silent();
    with("node_modules/x/dist/a.handler", &["node_modules/x/dist/a.js"]).is_silent();
    with("/opt/nodejs/node_modules/x/handler.handler", &[])
        .file("layer/nodejs/node_modules/x/handler.js", "")
        .layer("layer", "/opt")
        .is_silent();
    sample("nodejs22.x", "index.handler")
        .archive("code.zip", &[("index.mjs", Vec::new())])
        .code_from("code.zip")
        .is_silent();
    with("app.handler", &[]).build_method("esbuild").is_silent();
}

#[test]
fn files_that_are_not_there() {
    let head = "error: cannot find file";
    with("index.handler", &["app.cjs"])
        .finds(&format!("{head} `index.js` in the code of function `Hello`"));
    with("inde.handler", &["index.js"]).finds(&format!(
        "{head} `inde.js` in the code of function `Hello` (did you mean `index.handler`?)"
    ));
    with("app.handler", &["src/app.mjs"]).finds(&format!(
        "{head} `app.js` in the code of function `Hello` (did you mean `src/app.handler`?)"
    ));
    with("index.handler", &["app.cjs"])
        .published_layer()
        .finds("warning: cannot find file `index.js` in the code of function `Hello`");
    // A template without any code is one that somebody looks at.
    with("index.handler", &["app.txt"])
        .finds("warning: cannot find file `index.js` in the code of function `Hello`");
    with("index", &["index.js"]).finds(
        "error: the handler of function `Hello` names no function: `index` (write the file without its ending and the function, such as `index.handler`)",
    );
}

#[test]
fn code_that_is_built_first() {
    let head = "warning: cannot find file";
    with("app.handler", &["app.ts"]).finds(&format!(
        "{head} `app.js` in the code of function `Hello` (compile `app.ts` first, and name the result in `CodeUri`)"
    ));
    with("dist/app.handler", &["tsconfig.json"]).finds(&format!(
        "{head} `dist/app.js` in the code of function `Hello` (build the code first)"
    ));
    with("dist/app.handler", &[])
        .file("code/package.json", r#"{"scripts": {"build": "webpack"}}"#)
        .finds(&format!(
            "{head} `dist/app.js` in the code of function `Hello` (build the code first)"
        ));
    with("app.handler", &["src/main.ts", "tools.js"])
        .finds(&format!("{head} `app.js` in the code of function `Hello` (build the code first)"));
}

#[test]
fn packages_that_are_not_installed_yet() {
    let with = |handler: &str| {
        let package = r#"{"dependencies": {"x": "1", "@y/z": "2"}}"#;
        with(handler, &["app.js"]).file("code/package.json", package)
    };
    for handler in ["x", "x/dist/a", "@y/z/a", "node_modules/x/a", "node_modules/@y/z/dist/a"] {
        with(&format!("{handler}.handler")).finds(&format!(
            "warning: cannot find file `{handler}.js` in the code of function `Hello` (install the packages of `package.json` first)"
        ));
    }
    let is_error = |found: &Sample| found.findings().starts_with("error: ");
    assert!(is_error(&with("node_modules/z/a.handler")));
    assert!(is_error(&with("node_modules/x/a.handler").file("code/node_modules/x/b.js", "")));
}

#[test]
fn packages_that_are_not_installed() {
    let package =
        r#"{"dependencies": {"lodash": "^4", "@scope/x": "*", "@aws-sdk/client-s3": "3"}}"#;
    let with_text = |text: &str| {
        sample("nodejs22.x", "index.handler")
            .file("code/package.json", package)
            .file("code/index.mjs", text)
    };
    let finding = "warning: function `Hello` imports `lodash`, which `code` lacks: packages of `package.json` are not installed (run `npm ci` in `code` first)";
    for text in [
        "const _ = require('lodash');",
        "import _ from \"lodash\"",
        "import 'lodash/fp.js'",
        "} from 'lodash';",
    ] {
        with_text(text).finds(finding);
    }
    for text in [
        "const s = require('@aws-sdk/client-s3'); // Lambda brings it",
        "// require('lodash')",
        "const name = 'lodash'",
        "import x from './lodash.mjs'",
        "import fs from 'node:fs'",
    ] {
        with_text(text).is_silent();
    }
    let text = "import _ from 'lodash'; import x from '@scope/x/y.js'";
    with_text(text)
        .file("code/node_modules/lodash/index.js", "")
        .file("layer/nodejs/node_modules/@scope/x/y.js", "")
        .layer("layer", "/opt")
        .is_silent();
    with_text(text).published_layer().is_silent();
    with_text(text).finds(&finding.replace("`lodash`", "`@scope/x` and 1 more"));
}
