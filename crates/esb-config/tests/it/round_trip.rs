//! Any string that is written is read back unchanged.

use std::collections::BTreeMap;

use esb_config::{
    Environment, FunctionEntry, FunctionEvent, FunctionsFile, ImageImportFile, ImportEntry,
    ResourcesFile, RouteEntry, RoutingFile, Text, Value, read,
};

use crate::pieces::PIECES;

/// A small generator of its own (xorshift), so that a failure is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn text(&mut self) -> String {
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn name(&mut self) -> String {
        let length = if self.below(40) == 0 { 400 } else { 1 };
        (0..length).map(|_| self.text()).chain(["n".to_owned()]).collect()
    }
}

#[test]
fn awkward_strings_survive() {
    let mut random = Random(0x5eed);
    let dir = tempfile::tempdir().unwrap();
    for round in 0..150 {
        let mut functions = FunctionsFile::default();
        let mut routing = RoutingFile::default();
        let mut images = ImageImportFile::default();
        let mut resources = ResourcesFile::default();
        for _ in 0..random.below(4) {
            let environment: BTreeMap<String, Text> = (0..random.below(4))
                .map(|_| (random.name(), Text::literal(&random.text())))
                .collect();
            let input = random.text();
            let entry = FunctionEntry {
                image: Some(Text::literal(&random.text())),
                timeout: Some(30),
                environment: Environment(environment),
                events: vec![FunctionEvent::schedule(&random.text(), Some(&input))],
                ..FunctionEntry::default()
            };
            functions.functions.insert(random.name(), entry);
            routing.routes.push(RouteEntry {
                path: random.text(),
                method: "GET".to_owned(),
                function: random.name(),
                ..RouteEntry::default()
            });
            resources.dynamodb.push(Value::Map(vec![
                ("TableName".to_owned(), Value::Text(random.name())),
                (random.name(), Value::List(vec![Value::Text(random.text())])),
            ]));
            images.images.push(ImportEntry {
                function_name: random.name(),
                image_source: random.text(),
                image_ref: random.text(),
                digest: None,
            });
        }
        for (name, text) in [
            ("functions.yml", functions.to_yaml()),
            ("routing.yml", routing.to_yaml()),
            ("resources.yml", resources.to_yaml()),
            ("image-import.json", images.to_json()),
        ] {
            let raw = name != "image-import.json" && text.contains(['\u{85}', '\u{2028}', '\r']);
            assert!(!raw, "{text}");
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let back = read(dir.path()).unwrap().config;
        assert!(back.functions == functions, "{round}\n{}", functions.to_yaml());
        assert_eq!(back.routing, routing, "{round}");
        assert_eq!(back.resources, resources, "{round}");
        assert_eq!(back.images, images, "{round}");
        for (name, entry) in &functions.functions {
            let image = back.functions.functions[name].image.as_ref().unwrap();
            assert_eq!(image.as_literal(), entry.image.as_ref().unwrap().as_literal());
        }
    }
}

#[test]
fn a_large_file_is_read_back() {
    let entry = |at: usize| FunctionEntry {
        image: Some(Text::literal(&format!("registry:5010/f{at}"))),
        environment: Environment(
            (0..20).map(|n| (format!("N{n}"), Text::literal("value"))).collect(),
        ),
        ..FunctionEntry::default()
    };
    let functions = (0..5000).map(|at| (format!("f{at}"), entry(at))).collect();
    let file = FunctionsFile { functions, ..FunctionsFile::default() };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("functions.yml"), file.to_yaml()).unwrap();
    assert!(read(dir.path()).unwrap().config.functions == file);
}
