//! Hostile input is refused or handled within the limits, on a small stack.

use std::{fmt::Write as _, thread};

use esb_model::Severity;
use esb_sam::Parsed;

use crate::read;

/// Reads on a thread with a small stack, as an embedder may.
fn read_small(text: String) -> Parsed {
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(move || read(&text));
    thread.expect("a thread can be started").join().expect("reading does not panic")
}

/// The text is refused, or its excess is reported, with this code.
#[track_caller]
fn check(text: String, code: &str) {
    let parsed = read_small(text);
    let errors: Vec<_> =
        parsed.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.iter().any(|error| error.code.0 == code), "{errors:?}");
}

fn with_env(variables: &str) -> String {
    format!(
        "Resources:\n  F:\n    Type: AWS::Lambda::Function\n    Properties:\n      Runtime: python3.12\n      \
         Handler: a.b\n      Code: x\n      Environment:\n        Variables:\n{variables}"
    )
}

/// `first` and `levels` anchors, each of which names the one before `width` times.
fn doubling(first: &str, levels: usize, level: impl Fn(&str) -> String) -> String {
    let mut text = format!("Metadata:\n  a0: &a0 {first}\n");
    for at in 1..=levels {
        let line = level(&format!("*a{}", at - 1));
        writeln!(text, "  a{at}: &a{at} {line}").expect("a string takes all");
    }
    text
}

#[test]
fn alias_bombs() {
    check(
        doubling("[x, x]", 30, |a| format!("[{a}, {a}, {a}, {a}, {a}, {a}, {a}, {a}, {a}, {a}]")),
        "esb::sam::limit",
    );
    check(
        doubling("{k0: v, k1: v}", 40, |a| format!("{{<<: [{a}, {a}], {}: {a}}}", a.len())),
        "esb::sam::limit",
    );
}

#[test]
fn doubling_texts() {
    let bomb = doubling("xxxxxxxxxxxxxxxx", 40, |a| format!("!Join ['', [{a}, {a}]]"));
    check(format!("{bomb}{}", with_env("          A: *a40\n")), "esb::sam::limit");
}

#[test]
fn long_parameters_many_times() {
    let mut text =
        format!("Parameters: {{P: {{Type: String, Default: {}}}}}\n", "x".repeat(50_000));
    let mut variables = String::new();
    for at in 0..20_000 {
        writeln!(variables, "          V{at}: !Sub 'a${{P}}'").expect("a string takes all");
    }
    text.push_str(&with_env(&variables));
    check(text, "esb::sam::limit");
}

#[test]
fn long_scalars_many_times() {
    let mut variables = format!("          A: &a {}\n", "x".repeat(100_000));
    for at in 0..20_000 {
        writeln!(variables, "          V{at}: *a").expect("a string takes all");
    }
    check(with_env(&variables), "esb::sam::limit");
}

#[test]
fn nesting() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("!Sub [", "]")] {
        check(format!("a: {}{}", open.repeat(100_000), close.repeat(100_000)), "esb::sam::limit");
    }
    check("- ".repeat(100_000), "esb::sam::limit");
    // Short tags deepen the tree although the parser does not see it.
    check(format!("Resources: {}x{}", "!Sub [".repeat(100), "]".repeat(100)), "esb::sam::limit");
    // The deepest that is allowed is resolved without trouble.
    let deep = format!("{}x{}", "!Join ['', [".repeat(38), "]]".repeat(38));
    let parsed = read_small(with_env(&format!("          A: {deep}\n")));
    assert!(parsed.findings.is_empty(), "{:?}", parsed.findings);
}

#[test]
fn chains_of_conditions_and_names() {
    let mut text = String::from("Conditions:\n  C0: !Equals [a, a]\n");
    for at in 1..20_000 {
        writeln!(text, "  C{at}: !Condition C{}", (at + 1) % 20_000).expect("a string takes all");
    }
    text.push_str("Resources:\n  B: {Type: AWS::S3::Bucket, Condition: C1}\n");
    check(text, "esb::sam::limit");

    let mut text = String::from("Resources:\n");
    for at in 0..20_000 {
        let next = (at + 1) % 20_000;
        writeln!(
            text,
            "  B{at}: {{Type: AWS::S3::Bucket, Properties: {{BucketName: !Ref B{next}}}}}"
        )
        .expect("a string takes all");
    }
    check(text, "esb::sam::limit");
}

#[test]
fn loop_products() {
    let mut text = String::from("Transform: AWS::LanguageExtensions\nResources:\n");
    let items: Vec<_> = (0..40).map(|n| n.to_string()).collect();
    let mut body = "'B${L0}${L1}${L2}${L3}${L4}': {Type: AWS::S3::Bucket}".to_owned();
    for level in 0..5 {
        body = format!("'Fn::ForEach::L{level}': [L{level}, [{}], {{{body}}}]", items.join(", "));
    }
    text.push_str("  ");
    text.push_str(&body);
    text.push('\n');
    check(text, "esb::sam::limit");
}

#[test]
fn big_but_flat() {
    let mut text = String::from("Metadata:\n");
    for at in 0..300_000 {
        writeln!(text, "  k{at}: v").expect("a string takes all");
    }
    check(text, "esb::sam::limit");
    check(format!("a: '{}'", "x".repeat(9 << 20)), "esb::sam::limit");
    check("x".repeat(11 << 20), "esb::sam::limit");
    // A million digits are a number like any other.
    let parsed = read_small(with_env(&format!("          A: 1{}\n", "0".repeat(1_000_000))));
    assert_eq!(parsed.application.functions[0].environment.len(), 1);
}

#[test]
fn shared_nodes_do_not_multiply_what_is_kept() {
    let many = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    };
    let functions = |count, properties: &str| {
        many(count, &|at| {
            format!("F{at}: {{Type: AWS::Serverless::Function, Properties: {{{properties}}}}}")
        })
    };
    for (what, text) in [
        (
            "variables that are merged",
            format!(
                "Globals: {{Function: {{Environment: {{Variables: {{{}}}}}}}}}\nResources: {{{}}}",
                many(2_000, &|at| format!("V{at}: v")),
                functions(10_000, "Environment: {Variables: {A: b}}")
            ),
        ),
        (
            "variables that are not merged",
            format!(
                "Globals: {{Function: {{Environment: {{Variables: {{{}}}}}}}}}\nResources: {{{}}}",
                many(2_000, &|at| format!("V{at}: v")),
                functions(10_000, "Timeout: 1")
            ),
        ),
        (
            "layers",
            format!(
                "Globals: {{Function: {{Layers: [{}]}}}}\nResources: {{{}}}",
                many(2_000, &|at| format!("arn:aws:lambda:r:1:layer:x{at}:1")),
                functions(10_000, "Layers: [y]")
            ),
        ),
        (
            "items of parameters",
            format!(
                "Parameters: {{{}}}\nResources: {{}}",
                many(20, &|at| format!(
                    "P{at}: {{Type: CommaDelimitedList, Default: '{}'}}",
                    "a,".repeat(40_000)
                ))
            ),
        ),
    ] {
        let parsed = read_small(text);
        let codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code.0).collect();
        assert!(codes.contains(&"esb::sam::limit"), "{what}: {codes:?}");
        let zips = parsed.application.functions.iter().map(|function| match &function.package {
            esb_model::Package::Zip(zip) => zip.layers.len() + function.environment.len(),
            esb_model::Package::Image(_) => 0,
        });
        assert!(zips.sum::<usize>() < 250_000, "{what}");
    }
}

#[test]
fn texts_without_a_result_are_work_too() {
    let mut variables = format!("          A: &a !Sub '{}'\n", "${P}".repeat(100_000));
    for at in 0..20_000 {
        writeln!(variables, "          V{at}: *a").expect("a string takes all");
    }
    let parameter = "Parameters: {P: {Type: String, Default: ''}}\n";
    check(format!("{parameter}{}", with_env(&variables)), "esb::sam::limit");

    let map: Vec<_> = (0..10_000).map(|at| format!("k{at}: v")).collect();
    let text = format!("!Sub ['{}', {{{}, z: ''}}]", "${z}".repeat(200_000), map.join(", "));
    check(with_env(&format!("          A: {text}\n")), "esb::sam::limit");

    let mut text = format!("Mappings: {{M: {{T: {{{}}}}}}}\n", map.join(", "));
    let mut variables = String::new();
    for at in 0..10_000 {
        writeln!(variables, "          V{at}: !FindInMap [M, T, k9999]").expect("a string");
    }
    text.push_str(&with_env(&variables));
    check(text, "esb::sam::limit");
}

#[test]
fn many_wrong_names_among_many() {
    let mut text = String::from("Resources:\n");
    let name = "ALongNameThatIsAlikeToManyOtherOnes";
    for at in 0..3_000 {
        writeln!(text, "  {name}{at}: {{Type: AWS::SNS::Topic}}").expect("a string takes all");
    }
    text.push_str(&with_env("").replace("Resources:\n", ""));
    for at in 0..20_000 {
        writeln!(text, "          V{at}: !Ref {name}Not{at}").expect("a string takes all");
    }
    let parsed = read_small(text);
    let helped = parsed.findings.iter().filter(|finding| finding.help.is_some()).count();
    // Suggestions end when they have cost enough, findings do not.
    assert!((1..100).contains(&helped), "{helped}");
    assert_eq!(parsed.findings.len(), 2_001);
}

#[test]
fn patterns_cost_no_more_than_their_budget() {
    let mut text = String::from("Parameters:\n");
    for at in 0..50 {
        let (value, pattern) = ("a".repeat(4_000), "((a?){50}){20}(a{1,20}){1,20}$");
        writeln!(text, "  P{at}: {{Type: String, Default: {value}, AllowedPattern: '{pattern}'}}")
            .expect("a string takes all");
    }
    text.push_str("Resources: {}\n");
    let parsed = read_small(text);
    let unchecked = parsed.findings.iter().filter(|finding| finding.code.0 == "esb::sam::limit");
    assert_eq!(unchecked.count(), 1, "{:?}", parsed.findings);
}

#[test]
fn huge_ranges_and_lists() {
    check(
        with_env("          A: !Join ['', !Cidr ['10.0.0.0/8', 100000, 8]]\n"),
        "esb::sam::intrinsic",
    );
    let parts = "a,".repeat(500_000);
    check(
        with_env(&format!("          A: !Select [0, !Split [',', '{parts}']]\n")),
        "esb::sam::limit",
    );
}

#[test]
fn escapes_in_names_do_not_reach_a_terminal() {
    let parsed = read("Resources: {\"F\\e[31m\\u202e\": {Type: \"X\\a\"}, \"\\e\": 5}");
    assert!(!parsed.findings.is_empty());
    for finding in parsed.findings {
        assert!(!finding.message.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{finding:?}");
    }
}

#[test]
fn findings_are_bounded() {
    let mut variables = String::new();
    for at in 0..5_000 {
        writeln!(variables, "          V{at}: !Ref Nope{at}").expect("a string takes all");
    }
    let parsed = read_small(with_env(&variables));
    assert_eq!(parsed.findings.len(), 2_001);
    assert_eq!(parsed.application.functions[0].environment.len(), 5_000);
}

/// Text with everything in it, for mutations.
const RICH: &str = r#"
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters: {Stage: {Type: String, Default: dev}, Names: {Type: CommaDelimitedList, Default: 'a,b'}}
Mappings: {M: {dev: {k: [v, w]}}}
Conditions: {Dev: !Equals [!Ref Stage, dev], Or: !Or [!Condition Dev, !Not [!Condition Dev]]}
Globals: {Function: {Runtime: python3.12, Handler: a.b, Layers: [!Ref L], Environment: {Variables: {A: &a 0777}}}}
Resources:
  L: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: l/}}
  'Fn::ForEach::X': [N, !Ref Names, {'B${N}': {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub '${N}-${Stage}'}}}]
  T: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Join ['-', [t, !Ref Stage]], KeySchema: [{AttributeName: a, KeyType: HASH}]}}
  F:
    Type: AWS::Serverless::Function
    Condition: Or
    Properties:
      CodeUri: {Bucket: !Ref Stage, Key: "k\x41"}
      Environment:
        Variables: {T: !GetAtt T.Arn, S: !Select [1, !FindInMap [M, !Ref Stage, k]], C: *a, I: !If [Dev, x, y]}
      Events:
        E: {Type: Api, Properties: {Path: '/{proxy+}', Method: any}}
        S: {Type: Schedule, Properties: {Schedule: !Sub 'rate(${AWS::AccountId} days)'}}
  I: {Type: AWS::Serverless::Function, Properties: {PackageType: Image}, Metadata: {DockerContext: ., DockerBuildArgs: {A: b}}}
"#;

#[test]
fn mutations_are_read_or_refused() {
    const ROUNDS: u64 = 1_500;
    let pieces = [
        "", "{", "}", "[", "]", ": ", "\n", "!Sub ", "!Ref ", "*a", "${", "\u{0}", "é", "- ", "'",
        "\"", "<<: ", "Fn::If",
    ];
    // A fixed sequence of numbers (Knuth's multiplier), so that a failure can be repeated.
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits fit") % bound
    };
    let characters: Vec<char> = RICH.chars().collect();
    for _ in 0..ROUNDS {
        let mut text = characters.clone();
        for _ in 0..=next(4) {
            let start = next(text.len());
            let end = (start + next(12)).min(text.len());
            let piece: Vec<char> = match next(3) {
                0 => pieces[next(pieces.len())].chars().collect(),
                1 => Vec::new(),
                _ => {
                    let from = next(text.len());
                    text[from..(from + next(40)).min(text.len())].to_vec()
                }
            };
            text.splice(start..end, piece);
        }
        let parsed = read(&text.into_iter().collect::<String>());
        // Whatever came out: an unreadable text says why.
        assert!(parsed.readable || parsed.has_errors());
    }
    assert!(read(RICH).readable && !read(RICH).has_errors(), "{:?}", read(RICH).findings);
}
