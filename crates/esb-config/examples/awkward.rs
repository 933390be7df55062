//! Prints files full of awkward strings, and what the platform has to read in them.
//!
//! One JSON document on stdout: `files` (name to text), `environment` (of the process that
//! interpolates functions.yml), `seed` (give it as the argument to get the same document again),
//! `expected` (name to what a YAML 1.1 reader must find after the
//! interpolation), and `routes` (emitted path, texts that it must and must not match when
//! `{name}` is one segment).

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
};

use esb_config::{
    Environment, FunctionEntry, FunctionEvent, FunctionsFile, PublishedImage, RenderSettings,
    RouteEntry, RoutingFile, Text, render,
};
use esb_model::{
    Api, Application, Bucket, Code, EnvValue, Function, FunctionId, LifecycleRule, Package, Route,
    SourceMap, Span, TemplateId, ZipPackage,
};
use serde_json::{Value, json};

#[path = "../tests/it/pieces.rs"]
mod pieces;
use pieces::PIECES;

/// What YAML and Python care about.
const SPECIAL: &[u8] = b"${}_Aa1 \"'\\:#-?\n";

/// Filled into placeholders; no literal may change into it.
const FILLED: &str = "filled in";

fn main() -> io::Result<()> {
    let given = std::env::args().nth(1).and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    let random = random_texts(seed);
    let (functions, functions_expected) = functions(&random);
    let (routing, routing_expected) = routing(&random);
    let (resources, resources_expected) = resources(&random);
    let document = json!({
        "seed": seed.to_string(),
        "files": {
            "functions.yml": functions,
            "routing.yml": routing,
            "resources.yml": resources,
        },
        "environment": {"A": FILLED, "Aa": FILLED, "A1": FILLED, "An": FILLED},
        "expected": {
            "functions.yml": functions_expected,
            "routing.yml": routing_expected,
            "resources.yml": resources_expected,
        },
        "routes": routes(),
    });
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &document)?;
    writeln!(out)
}

/// Every piece alone, and every two of them with and without something between.
fn texts() -> BTreeSet<String> {
    let mut texts: BTreeSet<String> = PIECES.iter().map(|piece| (*piece).to_owned()).collect();
    for first in PIECES {
        for second in PIECES {
            texts.extend([format!("{first}{second}"), format!("{first}a{second}1")]);
        }
    }
    texts
}

/// Texts of pieces, of what YAML and Python care about, and of anything that Unicode has.
fn random_texts(seed: u64) -> BTreeSet<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = || {
        let mut text = String::new();
        for _ in 0..random.usize(1..12) {
            match random.u8(0..4) {
                0 => text.push_str(PIECES[random.usize(..PIECES.len())]),
                1 => text.push(char::from(SPECIAL[random.usize(..SPECIAL.len())])),
                2 => text.push(random.char(' '..='~')),
                _ => text.push(random.char(..)),
            }
        }
        text
    };
    (0..500).map(|_| text()).collect()
}

fn functions(random: &BTreeSet<String>) -> (String, Value) {
    let texts = texts();
    let mut file = FunctionsFile::default();
    let mut expected = serde_json::Map::new();
    for piece in PIECES {
        let name = format!("{piece}n");
        let environment: BTreeMap<String, Text> = texts
            .iter()
            .filter(|text| text.starts_with(piece))
            .map(|text| (format!("{text}n"), Text::literal(text)))
            .collect();
        let mut values: serde_json::Map<String, Value> =
            environment.keys().map(|key| (key.clone(), json!(key[..key.len() - 1]))).collect();
        let mut environment = Environment(environment);
        // A placeholder is filled where it is set, and stays where it is not.
        for (key, variable, value) in [("set", "A", FILLED), ("unset", "B", "${B}")] {
            let text = Text::placeholder(variable).expect("an identifier");
            environment.0.insert(key.to_owned(), text);
            values.insert(key.to_owned(), json!(value));
        }
        let entry = FunctionEntry {
            image: Some(Text::literal(&format!("registry:5010/{piece}"))),
            timeout: Some(30),
            environment,
            events: vec![FunctionEvent::schedule("rate(1 day)", Some(piece))],
            ..FunctionEntry::default()
        };
        expected.insert(
            name.clone(),
            json!({
                "image": format!("registry:5010/{piece}"),
                "timeout": 30,
                "environment": values,
                "events": [{"schedule": {"rate": "rate(1 day)", "input": piece}}],
            }),
        );
        file.functions.insert(name, entry);
    }
    for text in random {
        // In every place at once: key, image, variable, value and input.
        let name = format!("random {text}");
        let entry = FunctionEntry {
            image: Some(Text::literal(text)),
            environment: Environment([(text.clone(), Text::literal(text))].into()),
            events: vec![FunctionEvent::schedule("rate(1 day)", Some(text))],
            ..FunctionEntry::default()
        };
        expected.insert(
            name.clone(),
            json!({
                "image": text,
                "environment": {text: text},
                "events": [{"schedule": {"rate": "rate(1 day)", "input": text}}],
            }),
        );
        file.functions.insert(name, entry);
    }
    let long = "k".repeat(3000);
    let entry = FunctionEntry { timeout: Some(1), ..FunctionEntry::default() };
    file.functions.insert(long.clone(), entry);
    expected.insert(long, json!({"timeout": 1}));
    (file.to_yaml(), json!({"functions": expected}))
}

fn routing(random: &BTreeSet<String>) -> (String, Value) {
    let mut file = RoutingFile::default();
    let mut expected = Vec::new();
    for text in texts().into_iter().chain(random.iter().cloned()) {
        expected.push(json!({"path": text, "method": "GET", "function": text}));
        file.routes.push(RouteEntry {
            path: text.clone(),
            method: "GET".to_owned(),
            function: text,
            ..RouteEntry::default()
        });
    }
    (file.to_yaml(), json!({"routes": expected}))
}

fn span() -> Span {
    Span { source: SourceMap::default().add("", ""), start: 0, end: 0 }
}

fn resources(random: &BTreeSet<String>) -> (String, Value) {
    let pieces = PIECES.iter().map(|piece| format!("{piece}n"));
    let names: BTreeSet<String> = pieces.chain(random.iter().cloned()).collect();
    let bucket = |name: &String| Bucket {
        template: TemplateId(0),
        logical_id: name.clone(),
        span: span(),
        name: name.clone(),
        lifecycle: vec![LifecycleRule {
            id: Some(name.clone()),
            enabled: true,
            prefix: name.clone(),
            expiration_days: Some(7),
        }],
    };
    let app = Application { buckets: names.iter().map(bucket).collect(), ..Application::default() };
    let rendered = render(&app, &BTreeMap::new(), &RenderSettings::default());
    let expected = names.iter().map(|name| {
        let rule = json!({"Id": name, "Status": "Enabled", "Prefix": name, "ExpirationInDays": 7});
        json!({"BucketName": name, "LifecycleConfiguration": {"Rules": [rule]}})
    });
    let expected = json!({"resources": {"s3": expected.collect::<Vec<_>>()}});
    (rendered.config.resources.to_yaml(), expected)
}

/// Paths of a template with what they match, as routing.yml has them.
fn routes() -> Value {
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("/orders", &["/orders"], &["/orders/", "/orders/1", "/Orders", "/x/orders"]),
        ("/orders/{id}", &["/orders/1", "/orders/a.b"], &["/orders", "/orders/", "/orders/1/2"]),
        ("/a/{b}/c/", &["/a/1/c/"], &["/a/1/c", "/a//c/", "/a/1/2/c/"]),
        ("/{proxy+}", &["/a", "/a/b/c", "/a/"], &["/"]),
        ("/files/{path+}", &["/files/a/b"], &["/files", "/files/", "/file/a"]),
        ("/v1.0/x", &["/v1.0/x"], &["/v1a0/x"]),
        ("/a+(b)[c]|d^e*f?\\", &["/a+(b)[c]|d^e*f?\\"], &["/aa(b)[c]|d^e*f?\\", "/a+"]),
        ("$default", &["/", "/a", "/a/b/"], &[]),
    ];
    let source = span();
    let mut out = Vec::new();
    for (path, matches, misses) in cases {
        let id = FunctionId { template: TemplateId(0), logical_id: "F".to_owned() };
        let function = Function {
            id: id.clone(),
            span: source,
            name: None,
            package: Package::Zip(ZipPackage {
                runtime: None,
                handler: None,
                handler_span: None,
                build_method: None,
                code: Code::Path { path: "./".to_owned(), span: None },
                layers: Vec::new(),
            }),
            timeout: None,
            memory: None,
            name_span: None,
            memory_span: None,
            ephemeral_storage: None,
            architectures: Vec::new(),
            environment: BTreeMap::<String, EnvValue>::new(),
            reserved_concurrency: None,
            provisioned_concurrency: None,
        };
        let route = Route {
            function: id.clone(),
            api: Api::Http(None),
            path: path.to_owned(),
            method: esb_model::Method::Named("GET".to_owned()),
            span: source,
            path_span: None,
        };
        let app = Application {
            functions: vec![function],
            routes: vec![route],
            ..Application::default()
        };
        let image = PublishedImage {
            reference: "r/f:1".to_owned(),
            digest: "sha256:0".to_owned(),
            ..PublishedImage::default()
        };
        let rendered = render(&app, &BTreeMap::from([(id, image)]), &RenderSettings::default());
        let emitted = &rendered.config.routing.routes[0].path;
        out.push(json!({"path": emitted, "match": matches, "miss": misses}));
    }
    Value::Array(out)
}
