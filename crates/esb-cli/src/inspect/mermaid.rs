//! The application as a Mermaid diagram: what calls which function, and what functions use.
//!
//! Renderers refuse large diagrams: what is said by many edges is left out first, with a line that
//! says so.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    slice,
};

use esb_model::{Api, Application, EnvValue, Function, FunctionId, LayerRef, Package, TemplateId};

use crate::{escape, secrets};

/// The most edges that renderers draw by default (`maxEdges`).
const EDGE_LIMIT: usize = 500;
/// The most characters that renderers read by default (`maxTextSize`).
const TEXT_LIMIT: usize = 50_000;
/// The most characters of a line of a label.
const LINE_LIMIT: usize = 60;
/// The most lines of a label.
const LINES_LIMIT: usize = 12;

/// The diagram's text.
pub(crate) fn mermaid(app: &Application) -> String {
    let diagram = Diagram::of(app);
    let fits = |without: &[Edge]| {
        let edges = diagram.edges.iter().filter(|(kind, _)| !without.contains(kind)).count();
        edges <= EDGE_LIMIT && diagram.text(without).len() <= TEXT_LIMIT
    };
    let steps = [&[][..], &[Edge::Data], &[Edge::Data, Edge::Layer]];
    let without = steps.into_iter().find(|without| fits(without)).unwrap_or(steps[2]);
    diagram.text(without)
}

/// The kinds of nodes; each is a box of its own, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Routes,
    Schedules,
    Triggers,
    Function,
    Layer,
    Table,
    Bucket,
}

impl Kind {
    /// The box's id and title, and what stands around a label.
    fn look(self) -> [&'static str; 4] {
        match self {
            Self::Routes => ["routes", "Routes", "[", "]"],
            Self::Schedules => ["schedules", "Schedules", "([", "])"],
            Self::Triggers => ["triggers", "Other triggers, not served", "{{", "}}"],
            Self::Function => ["functions", "Functions", "(", ")"],
            Self::Layer => ["layers", "Layers", "[[", "]]"],
            Self::Table => ["tables", "Tables", "[(", ")]"],
            Self::Bucket => ["buckets", "Buckets", "[(", ")]"],
        }
    }
}

/// The kinds of edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Call,
    Layer,
    /// A function has a table's or a bucket's name in a variable.
    Data,
}

impl Edge {
    fn meaning(self) -> &'static str {
        match self {
            Self::Call => "what calls which function",
            Self::Layer => "which function has which layer",
            Self::Data => "which function uses which table and bucket",
        }
    }
}

#[derive(Default)]
struct Diagram<'a> {
    nodes: BTreeMap<Kind, Vec<String>>,
    edges: Vec<(Edge, String)>,
    ids: HashSet<String>,
    layers: HashMap<(TemplateId, &'a str), String>,
    /// Layers that no template has, by how functions name them.
    outside: HashMap<&'a str, String>,
    /// Tables and buckets by their physical names.
    data: HashMap<&'a str, String>,
}

impl<'a> Diagram<'a> {
    fn of(app: &'a Application) -> Self {
        let mut diagram = Self::default();
        for layer in &app.layers {
            let id =
                diagram.node(Kind::Layer, &layer.logical_id, slice::from_ref(&layer.logical_id));
            diagram.layers.insert((layer.template, &layer.logical_id), id);
        }
        let tables = app.tables.iter().map(|t| (Kind::Table, &t.logical_id, &t.name));
        let buckets = app.buckets.iter().map(|b| (Kind::Bucket, &b.logical_id, &b.name));
        for (kind, logical_id, name) in tables.chain(buckets) {
            let mut lines = vec![logical_id.clone()];
            lines.extend((logical_id != name).then(|| name.clone()));
            let id = diagram.node(kind, logical_id, &lines);
            diagram.data.insert(name, id);
        }
        let callers = callers(app);
        for function in &app.functions {
            let id = diagram.node(Kind::Function, &function.id.logical_id, &lines_of(function));
            for (kind, lines) in callers.get(&function.id).into_iter().flatten() {
                let caller = diagram.node(*kind, &function.id.logical_id, lines);
                let arrow = if *kind == Kind::Triggers { "-.->" } else { "-->" };
                diagram.edges.push((Edge::Call, format!("{caller} {arrow} {id}")));
            }
            diagram.uses(function, &id);
        }
        diagram
    }

    /// Draws what a function uses: its layers, and the tables and buckets in its variables.
    fn uses(&mut self, function: &'a Function, id: &str) {
        if let Package::Zip(zip) = &function.package {
            for layer in &zip.layers {
                let layer = match layer {
                    LayerRef::Local(name) => {
                        self.layers.get(&(function.id.template, name.as_str())).cloned()
                    }
                    LayerRef::Arn(name) | LayerRef::Unknown(name) => Some(self.outside(name)),
                };
                let edge = layer.map(|layer| (Edge::Layer, format!("{id} --- {layer}")));
                self.edges.extend(edge);
            }
        }
        let mut seen = HashSet::new();
        for (variable, value) in &function.environment {
            if let EnvValue::Known(name) = value
                && let Some(used) = self.data.get(name.as_str())
                && seen.insert(name)
            {
                let words = label(slice::from_ref(variable));
                self.edges.push((Edge::Data, format!("{id} -- {words} --> {used}")));
            }
        }
    }

    /// A layer that no template has: an ARN ends with the layer's name and version.
    fn outside(&mut self, name: &'a str) -> String {
        if let Some(id) = self.outside.get(name) {
            return id.clone();
        }
        let end = name.rmatch_indices(':').nth(1).filter(|_| name.starts_with("arn:"));
        let short = end.map_or(name, |(at, _)| &name[at + 1..]);
        let id = self.node(Kind::Layer, short, &[short.to_owned(), "not local".to_owned()]);
        self.outside.insert(name, id.clone());
        id
    }

    /// Adds a node and gives its id, which no other has.
    fn node(&mut self, kind: Kind, name: &str, lines: &[String]) -> String {
        let [group, _, open, close] = kind.look();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = secrets::hide(name).chars().take(LINE_LIMIT).map(plain).collect();
        let mut id = format!("{group}_{name}");
        for number in 2.. {
            if self.ids.insert(id.clone()) {
                break;
            }
            id = format!("{group}_{name}_{number}");
        }
        let node = format!("{id}{open}{}{close}", label(lines));
        self.nodes.entry(kind).or_default().push(node);
        id
    }

    fn text(&self, without: &[Edge]) -> String {
        let mut text = "flowchart LR\n".to_owned();
        for kind in without {
            let _ = writeln!(text, "  %% left out of so large a diagram: {}", kind.meaning());
        }
        for (kind, nodes) in &self.nodes {
            let [group, title, ..] = kind.look();
            let _ = writeln!(text, "  subgraph {group} [\"{title}\"]");
            for node in nodes {
                let _ = writeln!(text, "    {node}");
            }
            text.push_str("  end\n");
        }
        for (_, edge) in self.edges.iter().filter(|(kind, _)| !without.contains(kind)) {
            let _ = writeln!(text, "  {edge}");
        }
        text
    }
}

/// What calls each function, a line each. All routes of a function are one node: fifty functions
/// with five routes each stay readable.
fn callers(app: &Application) -> HashMap<&FunctionId, BTreeMap<Kind, Vec<String>>> {
    let mut callers: HashMap<&FunctionId, BTreeMap<Kind, Vec<String>>> = HashMap::new();
    let mut add = |function, kind, line| {
        callers.entry(function).or_default().entry(kind).or_default().push(line);
    };
    for route in &app.routes {
        let line = match route.api {
            Api::FunctionUrl => "function URL".to_owned(),
            _ => format!("{} {}", route.method, route.path),
        };
        add(&route.function, Kind::Routes, line);
    }
    for schedule in &app.schedules {
        let expression = schedule.expression.as_deref().unwrap_or("known to AWS only");
        let off = if schedule.enabled { "" } else { " (disabled)" };
        add(&schedule.function, Kind::Schedules, format!("{expression}{off}"));
    }
    for trigger in &app.triggers {
        add(&trigger.function, Kind::Triggers, format!("{} {}", trigger.kind, trigger.name));
    }
    callers
}

fn lines_of(function: &Function) -> Vec<String> {
    let id = &function.id.logical_id;
    let mut lines = vec![id.clone()];
    lines.extend(function.name.iter().filter(|name| *name != id).cloned());
    lines.push(match &function.package {
        Package::Zip(zip) => match &zip.runtime {
            Some(Ok(runtime)) => runtime.name().to_owned(),
            Some(Err(other)) => other.clone(),
            None => "no runtime".to_owned(),
        },
        Package::Image(_) => "image".to_owned(),
    });
    lines
}

/// A label between quotes; no text gets out of it or means markup.
fn label(lines: &[String]) -> String {
    let mut text = "\"".to_owned();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            text.push_str("<br/>");
        }
        if at == LINES_LIMIT - 1 && lines.len() > LINES_LIMIT {
            let _ = write!(text, "… {} more", lines.len() - at);
            break;
        }
        let line = escape::terminal(line);
        for (at, c) in line.chars().enumerate() {
            match c {
                _ if at == LINE_LIMIT => {
                    text.push('…');
                    break;
                }
                '\n' | '\t' => text.push(' '),
                '"' | '#' | '$' | '&' | ';' | '<' | '>' | '\\' | '`' => {
                    let _ = write!(text, "#{};", u32::from(c));
                }
                c => text.push(c),
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use esb_model::SourceMap;
    use esb_sam::{NoLoader, Options};

    use super::*;

    fn diagram(template: &str) -> String {
        let mut sources = SourceMap::default();
        let (id, options) = (TemplateId(0), Options::default());
        let parsed = esb_sam::parse(&mut sources, id, "t.yaml", template, &options, &NoLoader);
        mermaid(&parsed.application)
    }

    /// `count` functions with a route, a layer and a table each.
    fn many(count: usize) -> String {
        let mut text = "Resources:\n  L: {Type: AWS::Serverless::LayerVersion, Properties: \
                        {ContentUri: l}}\n  T: {Type: AWS::Serverless::SimpleTable}\n"
            .to_owned();
        for number in 0..count {
            let _ = write!(
                text,
                "  F{number}:\n    Type: AWS::Serverless::Function\n    Properties:\n      Runtime: \
                 python3.13\n      Handler: a.b\n      Layers: [!Ref L]\n      Environment: \
                 {{Variables: {{TABLE: !Ref T}}}}\n      Events: {{Api: {{Type: Api, Properties: \
                 {{Path: /{number}, Method: get}}}}}}\n"
            );
        }
        text
    }

    #[test]
    fn labels_stay_labels() {
        let check = |line: &str, expected: &str| {
            assert_eq!(label(&[line.to_owned()]), expected);
        };
        check("GET /a/{id+}", "\"GET /a/{id+}\"");
        check("a\"] --> x; #b", "\"a#34;] --> x#59; #35;b\"".replace('>', "#62;").as_str());
        check("<b>\u{1b}[31m`$$`\n", "\"#60;b#62;#92;u{1b}[31m#96;#36;#36;#96; \"");
        check(&"x".repeat(99), &format!("\"{}…\"", "x".repeat(60)));
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert!(label(&many).ends_with("<br/>10<br/>… 9 more\""), "{}", label(&many));
    }

    #[test]
    fn ids_are_distinct() {
        let mut diagram = Diagram::default();
        let mut id = |name: &str| diagram.node(Kind::Function, name, &[]);
        assert_eq!(id("A/B"), "functions_A_B");
        assert_eq!(id("A_B"), "functions_A_B_2");
        assert_eq!(id("end"), "functions_end");
    }

    #[test]
    fn renderers_get_what_they_can_draw() {
        let check = |count: usize, calls: bool, layers: bool, data: bool| {
            let text = diagram(&many(count));
            let said = ["routes_F0 --> functions_F0", " --- layers_L", " --> tables_T"];
            let said = said.map(|words| text.contains(words));
            assert_eq!(said, [calls, layers, data], "{count}: {text}");
        };
        check(50, true, true, true);
        check(200, true, true, false);
        check(400, true, false, false);
        let text = diagram(&many(50));
        assert!(text.len() < TEXT_LIMIT && text.matches("subgraph").count() == 4, "{text}");
        assert_eq!(diagram("Resources: {}"), "flowchart LR\n");
    }
}
