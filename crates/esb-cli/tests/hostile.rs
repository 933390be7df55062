//! Input that is made to hurt, as `esb inspect` meets it: handled or refused, in 64 MiB beside the
//! size of the input. The limit is the system's own on the data of a process, so that more is a
//! failure and not a number.

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::{
    fs,
    process::{Command, Output},
};

use tempfile::TempDir;

const FUNCTION: &str =
    "  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b}}\n";

struct Project(TempDir);

impl Project {
    fn new(template: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("app")).unwrap();
        fs::write(folder.path().join("secret.yaml"), "paths: {/leak: {}}\nkey: leaked\n").unwrap();
        fs::write(folder.path().join("app/template.yaml"), template).unwrap();
        Self(folder)
    }

    /// Runs `esb inspect` where only so much memory can be had.
    fn inspect(&self, arguments: &[&str]) -> Output {
        let folder = self.0.path().join("app");
        let size = fs::metadata(folder.join("template.yaml")).unwrap().len();
        let limit = (64 << 10) + size.div_ceil(1024);
        Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -d {limit} && exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_esb"))
            .args(["inspect", "--color", "never"])
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .output()
            .unwrap()
    }
}

/// Reads a template: its functions, and the codes of its findings or its failure.
#[track_caller]
fn read(template: impl AsRef<[u8]>) -> (usize, Vec<String>) {
    let output = Project::new(template.as_ref()).inspect(&["--format", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {said}", output.status);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let functions = document["functions"].as_array().map_or(0, Vec::len);
    let findings = document["findings"].as_array().into_iter().flatten();
    let error = document["error"].as_object().into_iter().map(|error| &error["code"]);
    let codes = findings.map(|finding| &finding["code"]).chain(error);
    (functions, codes.map(|code| code.as_str().unwrap_or_default().to_owned()).collect())
}

#[track_caller]
fn check(template: impl AsRef<[u8]>, functions: usize, code: &str) {
    let (found, codes) = read(template);
    assert_eq!(found, functions);
    assert!(codes.iter().any(|own| own == code), "{codes:?}");
}

fn resources(before: &str) -> String {
    format!("Transform: AWS::Serverless-2016-10-31\n{before}\nResources:\n{FUNCTION}")
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

/// Anchors, each of which names the one before several times.
fn doubling(first: &str, levels: usize, level: impl Fn(&str) -> String) -> String {
    let lines = (1..=levels).map(|at| {
        let before = format!("*a{}", at - 1);
        format!("  a{at}: &a{at} {}\n", level(&before))
    });
    format!("Metadata:\n  a0: &a0 {first}\n{}", lines.collect::<String>())
}

#[test]
fn bombs_of_aliases_and_merges() {
    let aliases = doubling("[x, x]", 9, |a| format!("[{}]", [a; 10].join(", ")));
    check(resources(&aliases), 0, "esb::sam::limit");
    let merges = doubling("{k: v}", 30, |a| format!("{{<<: [{a}, {a}], z: {a}}}"));
    check(resources(&merges), 0, "esb::sam::limit");
    check(resources("Metadata: &a [*a]"), 0, "esb::sam::syntax");
}

#[test]
fn deep_nesting() {
    for depth in [1_000, 100_000] {
        let lists = format!("Metadata: {}{}", "[".repeat(depth), "]".repeat(depth));
        check(resources(&lists), 0, "esb::sam::limit");
        let maps = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        check(maps, 0, "esb::sam::limit");
    }
}

#[test]
fn circles() {
    let conditions = "Conditions: {A: !Condition B, B: !Not [!Condition A], C: !Condition C}";
    check(resources(conditions), 1, "esb::sam::condition-cycle");
    let named = "  G: {Type: AWS::Serverless::Function, Properties: {FunctionName: !Ref G}}\n";
    check(resources("") + named, 2, "esb::sam::reference-cycle");
}

#[test]
fn products_of_loops() {
    let items: Vec<_> = (0..40).map(|item| item.to_string()).collect();
    let mut body = "'B${L0}${L1}${L2}${L3}${L4}': {Type: AWS::S3::Bucket}".to_owned();
    for level in 0..5 {
        body = format!("'Fn::ForEach::L{level}': [L{level}, [{}], {{{body}}}]", items.join(", "));
    }
    let text = format!("Transform: AWS::LanguageExtensions\nResources:\n  {body}\n");
    check(text, 0, "esb::sam::limit");
}

#[test]
fn texts_that_double() {
    let variables = lines(20_000, |at| format!("        V{at}: !Sub 'a${{P}}'\n"));
    let text = format!(
        "Parameters: {{P: {{Type: String, Default: {}}}}}\nResources:\n  F:\n    Type: \
         AWS::Lambda::Function\n    Properties:\n      Environment:\n       Variables:\n{variables}",
        "x".repeat(50_000)
    );
    check(text, 1, "esb::sam::limit");
}

#[test]
fn large_texts() {
    check(resources(&format!("Metadata: '{}'", "x".repeat(20 << 20))), 0, "esb::sam::limit");
    let (functions, codes) = read(resources(&format!("Metadata: '{}'", "x".repeat(7 << 20))));
    assert_eq!((functions, codes.iter().any(|code| code.starts_with("esb::sam"))), (1, false));
    let (functions, _) = read(resources(&"\n".repeat(9 << 20)));
    assert_eq!(functions, 1);
}

#[test]
fn many_keys_and_functions() {
    let keys = lines(500_000, |at| format!("  k{at}: v\n"));
    check(resources(&format!("Metadata:\n{keys}")), 0, "esb::sam::limit");
    let keys = lines(110_000, |at| format!("  k{at}: v{at}\n"));
    assert_eq!(read(resources(&format!("Metadata:\n{keys}"))).0, 1);
    let functions: String =
        (0..20_000).map(|at| FUNCTION.replacen('F', &format!("G{at}"), 1)).collect();
    assert_eq!(read(resources("") + &functions).0, 20_001);
}

#[test]
fn files_that_are_not_ours() {
    for location in ["/dev/zero", "../secret.yaml", "/etc/passwd", ".", "nosuch.yaml"] {
        let api = format!(
            "  A: {{Type: AWS::Serverless::Api, Properties: {{StageName: s, DefinitionBody: \
             {{Fn::Transform: {{Name: AWS::Include, Parameters: {{Location: '{location}'}}}}}}}}}}\n"
        );
        let project = Project::new((resources("") + &api).as_bytes());
        fs::write(project.0.path().join("app/esb.toml"), "").unwrap();
        let output = project.inspect(&["--format", "json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{location}: {text}");
        assert!(text.contains("esb::sam::include"), "{location}: {text}");
        assert!(!text.contains("leak"), "{location}: {text}");
    }
}

#[test]
fn what_is_no_text() {
    check(resources("# \0"), 0, "esb::sam::syntax");
    check(b"Resources: {a: '\xff\xfe'}\n", 0, "template");
    let wide: Vec<u8> = resources("").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (functions, codes) = read(wide);
    assert_eq!((functions, codes.len()), (0, 1));
    check(resources("Metadata: !!python/object/apply:os.system ['id']"), 0, "esb::sam::syntax");
}

#[test]
fn escapes_never_reach_the_terminal() {
    let template = "Resources: {\"F\\e[31m\\u202e\": {Type: AWS::Serverless::Function, Properties: \
                    {\"R\\e]0;x\\a\": 1, Runtime: \"py\\e[2J\", Handler: \"a\\x9b\"}}, \"\\e\": 5}\n";
    for format in ["text", "json", "mermaid"] {
        let output = Project::new(template.as_bytes()).inspect(&["--format", format]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let control = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(control) && !text.contains('\u{202e}'), "{format}: {text:?}");
        assert!(!text.is_empty());
    }
}
