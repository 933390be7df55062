//! Evaluates the expressions of one template, within budgets.
//!
//! Owns the facts of one template (parameters, mappings, conditions, resources), the memory of
//! what was computed, and the budgets. Every expression goes through [`Evaluator::eval`], which
//! counts steps and depth, so that no input makes it run or recurse without end.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt::Display,
    rc::Rc,
};

use esb_model::{Finding, FindingCode, Remedy, Secret, Severity, SourceMap, Span};

use crate::{
    Allowance, Loader, Options, codes,
    condition::Conditions,
    findings::{Findings, quote},
    intrinsic::{self, call},
    limits::Limits,
    parameter::Parameters,
    pseudo::Pseudo,
    resource::{NameStates, Resources},
    suggest,
    value::{Text, TextKind, Unknown, Value},
    yaml::{self, Meaning, Node, NodeKind, Style, meaning},
};

/// Steps that a thing costs which the application keeps: many resources may share the nodes that
/// it is made of, but not its memory.
pub(crate) const KEPT_STEPS: usize = 4;

/// What nested templates share with their parent.
pub(crate) struct Run<'r> {
    pub(crate) sources: &'r mut SourceMap,
    pub(crate) loader: &'r dyn Loader,
    pub(crate) options: &'r Options,
    pub(crate) findings: Findings,
    /// The findings that comments allow.
    pub(crate) allowances: Vec<Allowance>,
    /// The values of `NoEcho` parameters, and what they are split into.
    pub(crate) secrets: BTreeSet<Secret<String>>,
    steps: usize,
    text_bytes: usize,
    pattern_bytes: usize,
    file_bytes: usize,
    nodes: usize,
    /// Limits that were reported.
    reached: Vec<&'static str>,
    pub(crate) loads: usize,
}

/// Evaluates the expressions of one template.
pub(crate) struct Evaluator<'a, 'r> {
    pub(crate) run: &'a mut Run<'r>,
    pub(crate) pseudo: Pseudo,
    pub(crate) parameters: Parameters,
    pub(crate) mappings: Option<Rc<Node>>,
    pub(crate) conditions: Conditions,
    pub(crate) resources: Resources,
    pub(crate) names: NameStates,
    /// Resources whose names are being computed, outermost first.
    pub(crate) open_names: Vec<Rc<str>>,
    /// `Parent-` for a nested application, else empty: what names that AWS would make start with.
    pub(crate) name_prefix: String,
    /// The outputs of nested applications, by the application's logical id.
    pub(crate) outputs: HashMap<Rc<str>, HashMap<Rc<str>, Value>>,
    pub(crate) depth: usize,
    /// Conditions whose undecided state was reported.
    pub(crate) undecided: HashSet<Rc<str>>,
    /// Whether something that is not read here, such as a macro, may add names.
    pub(crate) may_have_more_names: bool,
    /// Whether `AWS::LanguageExtensions` lets `Ref` and `Fn::GetAtt` compute the names they take.
    pub(crate) names_are_expressions: bool,
}

/// Where a structure goes on after the intrinsics that choose it.
#[derive(Debug)]
pub(crate) enum Opened {
    Absent,
    /// A scalar, list or map, or an expression that [`Evaluator::eval`] computes.
    Node(Rc<Node>),
    Unknown(Unknown),
}

impl<'r> Run<'r> {
    pub(crate) fn new(
        sources: &'r mut SourceMap,
        loader: &'r dyn Loader,
        options: &'r Options,
    ) -> Self {
        let findings = Findings::new(options.limits.findings);
        Self {
            sources,
            loader,
            options,
            findings,
            allowances: Vec::new(),
            secrets: BTreeSet::new(),
            steps: 0,
            text_bytes: 0,
            pattern_bytes: 0,
            file_bytes: 0,
            nodes: 0,
            reached: Vec::new(),
            loads: 0,
        }
    }

    pub(crate) fn limits(&self) -> &'r Limits {
        &self.options.limits
    }

    /// Remembers a text that must not be shown.
    pub(crate) fn add_secret(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.secrets.insert(Secret::new(text.to_owned()));
        }
    }

    /// Reads a text as a document and keeps what is to be said about it.
    pub(crate) fn compose(&mut self, name: &str, text: &str) -> Option<Rc<Node>> {
        let limits = self.limits();
        self.file_bytes = self.file_bytes.saturating_add(text.len());
        if self.file_bytes > limits.file_bytes {
            let message = format!("the files have more than {} bytes", limits.file_bytes);
            let start = text.lines().next().unwrap_or_default().chars().take(80);
            let source = self.sources.add(name, start.collect::<String>());
            self.findings.error(codes::LIMIT, Span { source, start: 0, end: 0 }, message);
            return None;
        }
        let source = self.sources.add(name, text);
        let budget = limits.nodes.saturating_sub(self.nodes);
        match yaml::compose(source, text, limits, budget) {
            Ok(document) => {
                self.nodes += document.nodes;
                self.allowances.extend(yaml::allowances(source, text));
                document.findings.into_iter().for_each(|finding| self.findings.push(finding));
                Some(document.root)
            }
            Err(error) => {
                // What was read before a limit was reached counts too.
                self.nodes += error.nodes;
                self.findings.push(error.into_finding());
                None
            }
        }
    }

    /// Takes steps from the budget.
    pub(crate) fn step(&mut self, steps: usize, span: Span) -> bool {
        self.steps = self.steps.saturating_add(steps);
        let fits = self.steps <= self.options.limits.steps;
        if !fits {
            self.limit("resolving the template takes too many steps", span);
        }
        fits
    }

    /// Takes the bytes of a resolved text from the budget.
    pub(crate) fn charge(&mut self, bytes: usize, span: Span) -> bool {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        let fits = self.text_bytes <= self.options.limits.total_text_bytes;
        if !fits {
            self.limit("the template's resolved text is too long", span);
        }
        fits
    }

    /// Takes the bytes of a value from the budget of patterns.
    pub(crate) fn pattern(&mut self, bytes: usize) -> bool {
        self.pattern_bytes = self.pattern_bytes.saturating_add(bytes);
        let fits = self.pattern_bytes <= self.options.limits.pattern_bytes;
        let message = "parameters' values are too long for their patterns to be checked";
        if !fits && !self.reached.contains(&message) {
            self.reached.push(message);
            self.findings.push(Finding::new(Severity::Note, codes::LIMIT, None, message));
        }
        fits
    }

    /// Takes one file from the budget.
    pub(crate) fn load(&mut self, span: Span) -> bool {
        self.loads += 1;
        let limits = &self.options.limits;
        let fits = self.loads <= limits.loads && self.nodes < limits.nodes;
        if !fits {
            self.limit("the template loads too many files, or too large ones", span);
        }
        fits
    }

    /// Reports a limit once, whatever the place; what goes on after it costs nothing here.
    fn limit(&mut self, message: &'static str, span: Span) {
        if self.reached.contains(&message) {
            return;
        }
        self.reached.push(message);
        self.findings.error(codes::LIMIT, span, message);
    }
}

impl Evaluator<'_, '_> {
    pub(crate) fn warn(&mut self, code: FindingCode, span: Span, message: impl Into<String>) {
        self.run.findings.warn(code, span, message);
    }

    pub(crate) fn error(&mut self, code: FindingCode, span: Span, message: impl Into<String>) {
        self.run.findings.error(code, span, message);
    }

    pub(crate) fn warning_with_help(
        &mut self,
        code: FindingCode,
        span: Span,
        message: impl Into<String>,
        help: Option<impl Into<Remedy>>,
    ) {
        let finding = Finding::new(Severity::Warning, code, span, message);
        self.run.findings.push(match help {
            Some(help) => finding.help(help),
            None => finding,
        });
    }

    /// Runs something one level deeper, unless that is too deep.
    pub(crate) fn deeper<T>(&mut self, span: Span, run: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.depth >= self.run.limits().evaluation_depth {
            self.run.limit("expressions depend on each other too deeply", span);
            return None;
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        Some(result)
    }

    /// The value of any expression.
    pub(crate) fn eval(&mut self, node: &Rc<Node>) -> Value {
        let span = node.span();
        if !self.run.step(1, span) {
            return Value::unknown("…");
        }
        if let NodeKind::Scalar { text, style } = &node.kind {
            return literal(text, *style);
        }
        self.deeper(span, |this| this.eval_container(node)).unwrap_or_else(|| Value::unknown("…"))
    }

    fn eval_container(&mut self, node: &Rc<Node>) -> Value {
        match &node.kind {
            NodeKind::Scalar { text, style } => literal(text, *style),
            NodeKind::Seq(items) => {
                let values = items.iter().map(|item| self.eval(item));
                Value::list(values.filter(|value| *value != Value::Absent).collect())
            }
            NodeKind::Map(entries) => {
                if let Some(call) = call(node) {
                    return intrinsic::evaluate(self, node, &call);
                }
                if entries.iter().any(|entry| &*entry.key == "Fn::Transform") {
                    return Value::unknown(intrinsic::symbolic(node));
                }
                let values =
                    entries.iter().map(|entry| (entry.key.clone(), self.eval(&entry.value)));
                Value::Map(values.filter(|(_, value)| *value != Value::Absent).collect())
            }
        }
    }

    /// Follows `Fn::If`, `Fn::FindInMap` and `AWS::NoValue` to the structure that they choose.
    pub(crate) fn open(&mut self, node: &Rc<Node>) -> Opened {
        if node.is_null() {
            return Opened::Absent;
        }
        if call(node).is_none() {
            return Opened::Node(node.clone());
        }
        let span = node.span();
        if !self.run.step(1, span) {
            return Opened::Absent;
        }
        self.deeper(span, |this| intrinsic::open(this, node)).unwrap_or(Opened::Absent)
    }

    /// Whether a structure stands in the template, whatever chooses it.
    pub(crate) fn is_known(&mut self, node: &Rc<Node>) -> bool {
        match self.open(node) {
            Opened::Node(node) => {
                let items = node.items().unwrap_or_default();
                call(&node).is_none() && items.iter().all(|item| call(item).is_none())
            }
            Opened::Absent => true,
            Opened::Unknown(_) => false,
        }
    }

    /// How many items a list has that stands in the template.
    pub(crate) fn item_count(&mut self, node: &Rc<Node>) -> usize {
        match self.open(node) {
            Opened::Node(node) => node.items().map_or(0, <[_]>::len),
            Opened::Absent | Opened::Unknown(_) => 0,
        }
    }

    /// The map that a structure is; anything else gets a finding.
    pub(crate) fn open_map(&mut self, node: &Rc<Node>, what: &dyn Display) -> Option<Rc<Node>> {
        match self.open(node) {
            Opened::Node(node) if node.entries().is_some() && call(&node).is_none() => Some(node),
            Opened::Node(node) if call(&node).is_some() => {
                let symbolic = intrinsic::symbolic(&node);
                self.kept(node.span(), what, &symbolic);
                None
            }
            Opened::Node(node) => {
                let message = format!("{what} must be a map, not {}", node.describe());
                self.error(codes::WRONG_TYPE, node.span(), message);
                None
            }
            Opened::Unknown(unknown) => {
                self.kept(node.span(), what, &unknown.symbolic);
                None
            }
            Opened::Absent => None,
        }
    }

    /// The items of a list, each with its place; `None` when it is absent or no list.
    pub(crate) fn list(
        &mut self,
        node: &Rc<Node>,
        what: &dyn Display,
    ) -> Option<Vec<(Value, Span)>> {
        let opened = match self.open(node) {
            Opened::Absent => return None,
            Opened::Unknown(unknown) => {
                self.kept(node.span(), what, &unknown.symbolic);
                return None;
            }
            Opened::Node(opened) => opened,
        };
        let mut list = Vec::new();
        if let Some(items) = opened.items() {
            for item in items {
                if !self.run.step(0, item.span()) {
                    break;
                }
                match self.eval(item) {
                    Value::Absent => {}
                    Value::List(inner) => {
                        list.extend(inner.iter().map(|value| (value.clone(), item.span())));
                    }
                    value => list.push((value.known(), item.span())),
                }
            }
            return Some(list);
        }
        match self.eval(&opened) {
            Value::List(items) => {
                Some(items.iter().map(|value| (value.clone(), opened.span())).collect())
            }
            Value::Unknown(unknown) => {
                self.kept(opened.span(), what, &unknown.symbolic);
                None
            }
            Value::Absent => None,
            other => {
                let message = format!("{what} must be a list, not {}", other.describe());
                self.wrong_shape(&opened, message);
                None
            }
        }
    }

    /// A scalar's text or an unknown; lists and maps get a finding.
    pub(crate) fn scalar(
        &mut self,
        node: &Rc<Node>,
        what: &dyn Display,
    ) -> Option<Result<Text, Unknown>> {
        match self.eval(node) {
            Value::Absent => None,
            Value::Text(text) => {
                let fits = text.text.len() <= 64 || self.run.charge(text.text.len(), node.span());
                fits.then(|| text.known())
            }
            Value::Unknown(unknown) => Some(Err(unknown)),
            other => {
                self.wrong_shape(node, format!("{what} must be text, not {}", other.describe()));
                None
            }
        }
    }

    /// A scalar's text; unknown values get a finding.
    pub(crate) fn known(&mut self, node: &Rc<Node>, what: &dyn Display) -> Option<Text> {
        match self.scalar(node, what)? {
            Ok(text) => Some(text),
            Err(unknown) => {
                self.kept(node.span(), what, &unknown.symbolic);
                None
            }
        }
    }

    /// A whole number.
    pub(crate) fn number(&mut self, node: &Rc<Node>, what: &dyn Display) -> Option<u32> {
        let text = self.known(node, what)?;
        let trimmed = text.text.trim();
        let whole = trimmed.strip_suffix(".0").unwrap_or(trimmed);
        let number = whole.parse().ok();
        if number.is_none() {
            let message = format!("{what} must be a whole number, not {}", quote(text.shown()));
            self.error(codes::WRONG_TYPE, node.span(), message);
        }
        number
    }

    /// Reports a value of another shape than its place needs: a map with one key may be a misspelt
    /// function.
    pub(crate) fn wrong_shape(&mut self, node: &Node, message: String) {
        let finding = Finding::new(Severity::Error, codes::WRONG_TYPE, node.span(), message);
        match node.entries() {
            Some([entry]) => {
                let names = intrinsic::NAMES.iter().copied().chain(["Ref"]);
                let names = names.filter(|name| suggest::is_slip(&entry.key, name));
                self.run.findings.push_wrong(finding, &entry.key, names);
            }
            _ => self.run.findings.push(finding),
        }
    }

    /// Reports that a value stays symbolic, unless its place has a finding that says why.
    pub(crate) fn kept(&mut self, span: Span, what: &dyn Display, symbolic: &str) {
        if self.run.findings.mentions(span) {
            return;
        }
        let message = format!("{what} cannot be known without AWS: {}", quote(symbolic));
        self.warn(codes::UNRESOLVED_VALUE, span, message);
    }
}

/// The value of a scalar that stands in the template.
pub(crate) fn literal(text: &Rc<str>, style: Style) -> Value {
    let mut value = Text::new(text.clone());
    if style == Style::Plain {
        match meaning(text) {
            Meaning::Null => return Value::Absent,
            Meaning::Bool(truth) => {
                value.text = if truth { "true" } else { "false" }.into();
                value.kind = TextKind::Bool;
            }
            Meaning::Int(number) | Meaning::Float(number) => {
                if *number != **text {
                    value.text = number.into();
                }
                value.kind = TextKind::Number;
            }
            Meaning::Text => {}
        }
    }
    Value::Text(value)
}
