//! Which names a module has once it was imported, and which imports that takes.
//!
//! Walks the tree as Python runs it at import. What depends on a condition counts as defined, and
//! never as imported: both err on the side of saying nothing.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::{
    self as ast, ExceptHandler, Expr, Parameters, Pattern, Stmt,
    visitor::{Visitor, walk_expr, walk_pattern, walk_stmt},
};
use ruff_text_size::{Ranged as _, TextRange};

use super::summary::{Defined, Import, Summary};

/// Errors of Python that an import that fails is none of.
const NOT_OF_IMPORT: [&str; 13] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "FileNotFoundError",
    "IndexError",
    "KeyError",
    "LookupError",
    "NameError",
    "OSError",
    "RuntimeError",
    "TypeError",
    "UnicodeDecodeError",
    "ValueError",
];

/// Attributes and functions that change where modules are found.
const OF_THE_PATH: [&str; 7] = [
    "__path__",
    "addsitedir",
    "extend_path",
    "meta_path",
    "path_hooks",
    "path_importer_cache",
    "unzip_requirements",
];

/// Takes from the statements of a module what a run remembers.
pub(super) fn collect(body: &[Stmt]) -> Summary {
    let mut reader = Reader { sys: BTreeSet::from(["sys"]), ..Reader::default() };
    reader.visit_body(body);
    let names = reader.names.into_iter();
    Summary {
        names: names.map(|(name, is_handler)| Defined { name, is_handler }).collect(),
        ..reader.found
    }
}

#[derive(Default)]
struct Reader<'a> {
    names: BTreeMap<String, bool>,
    found: Summary,
    /// The names that mean the module `sys`.
    sys: BTreeSet<&'a str>,
    /// How many functions, classes and lambdas are open: what they name is not the module's.
    scopes: usize,
    /// How many statements are open that may keep what is in them from being run, or go on when it
    /// fails.
    conditions: usize,
}

impl<'a> Visitor<'a> for Reader<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                self.define(&function.name, is_handler(&function.parameters));
                self.function(function);
            }
            Stmt::ClassDef(class) => {
                self.define(&class.name, false);
                self.class(class);
            }
            Stmt::Global(global) => {
                for name in &global.names {
                    self.names.entry(name.to_string()).or_default();
                }
            }
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Assign(assign) => {
                assign.targets.iter().for_each(|target| self.target(target));
                if let [Expr::Name(name)] = &*assign.targets
                    && name.id == "__all__"
                    && self.scopes == 0
                {
                    self.found.public = literal_names(&assign.value);
                    self.found.exports_more |= self.found.public.is_none();
                    self.visit_expr(&assign.value);
                    return;
                }
                walk_stmt(self, stmt);
            }
            Stmt::AnnAssign(assign) => {
                if assign.value.is_some() {
                    self.target(&assign.target);
                }
                walk_stmt(self, stmt);
            }
            Stmt::TypeAlias(alias) => self.target(&alias.name),
            Stmt::Delete(delete) => {
                for target in &delete.targets {
                    if let Expr::Name(name) = target
                        && self.scopes == 0
                        && self.conditions == 0
                    {
                        self.names.remove(name.id.as_str());
                    }
                }
            }
            Stmt::If(statement) => self.branches(statement),
            Stmt::For(statement) => {
                self.target(&statement.target);
                self.conditional(|this| walk_stmt(this, stmt));
            }
            Stmt::With(statement) => {
                for item in &statement.items {
                    if let Some(target) = &item.optional_vars {
                        self.target(target);
                    }
                }
                // It may suppress what is raised in it.
                self.conditional(|this| walk_stmt(this, stmt));
            }
            Stmt::While(_) | Stmt::Match(_) => self.conditional(|this| walk_stmt(this, stmt)),
            Stmt::Try(statement) => self.attempt(statement),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Named(named) => self.target(&named.target),
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                self.scoped(|this| this.visit_expr(&lambda.body));
                return;
            }
            Expr::Name(name) => self.mention(name.id.as_str()),
            Expr::Attribute(attribute) => self.attribute(attribute),
            Expr::Call(call) => self.call(call),
            _ => {}
        }
        walk_expr(self, expr);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(pattern) => pattern.name.as_ref(),
            Pattern::MatchStar(pattern) => pattern.name.as_ref(),
            Pattern::MatchMapping(pattern) => pattern.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.define(name, false);
        }
        walk_pattern(self, pattern);
    }
}

impl<'a> Reader<'a> {
    fn define(&mut self, name: &str, is_handler: bool) {
        if self.scopes == 0 {
            self.names.insert(name.to_owned(), is_handler);
            // Python asks it for any name that the module lacks.
            self.found.is_dynamic |= name == "__getattr__";
        }
    }

    /// Only the body of a function has names of its own: the rest is run where it stands.
    fn function(&mut self, function: &'a ast::StmtFunctionDef) {
        for decorator in &function.decorator_list {
            self.visit_decorator(decorator);
        }
        self.visit_parameters(&function.parameters);
        if let Some(returns) = &function.returns {
            self.visit_annotation(returns);
        }
        self.scoped(|this| this.visit_body(&function.body));
    }

    fn class(&mut self, class: &'a ast::StmtClassDef) {
        for decorator in &class.decorator_list {
            self.visit_decorator(decorator);
        }
        if let Some(arguments) = &class.arguments {
            self.visit_arguments(arguments);
        }
        self.scoped(|this| this.visit_body(&class.body));
    }

    /// The names that an assignment to an expression gives a value.
    fn target(&mut self, target: &Expr) {
        match target {
            Expr::Name(name) => self.define(name.id.as_str(), false),
            Expr::Attribute(attribute) => self.gives(&attribute.value, attribute.attr.as_str()),
            Expr::Starred(starred) => self.target(&starred.value),
            Expr::Tuple(tuple) => tuple.elts.iter().for_each(|target| self.target(target)),
            Expr::List(list) => list.elts.iter().for_each(|target| self.target(target)),
            _ => {}
        }
    }

    /// Notes a name that something gets, which may be a module.
    fn gives(&mut self, to: &Expr, name: &str) {
        let is_object = ["self", "cls"].iter().any(|own| is_name(to, own));
        if matches!(to, Expr::Name(_)) && !is_object {
            self.found.given.names.insert(name.to_owned());
        }
    }

    fn scoped(&mut self, walk: impl FnOnce(&mut Self)) {
        self.scopes += 1;
        walk(self);
        self.scopes -= 1;
    }

    fn conditional(&mut self, walk: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        walk(self);
        self.conditions -= 1;
    }

    fn branches(&mut self, statement: &'a ast::StmtIf) {
        self.visit_expr(&statement.test);
        self.conditional(|this| {
            if !never_runs(&statement.test) {
                this.visit_body(&statement.body);
            }
            for clause in &statement.elif_else_clauses {
                this.visit_elif_else_clause(clause);
            }
        });
    }

    fn attempt(&mut self, statement: &'a ast::StmtTry) {
        let catches = |ExceptHandler::ExceptHandler(handler): &ExceptHandler| {
            handler.type_.as_deref().is_none_or(may_catch_import)
        };
        let guarded = statement.handlers.iter().any(catches);
        let body = |this: &mut Self| {
            this.visit_body(&statement.body);
            this.visit_body(&statement.orelse);
        };
        if guarded {
            self.conditional(body);
        } else {
            body(self);
        }
        self.conditional(|this| {
            for handler in &statement.handlers {
                this.visit_except_handler(handler);
            }
        });
        self.visit_body(&statement.finalbody);
    }

    fn import(&mut self, import: &'a ast::StmtImport) {
        for alias in &import.names {
            let name = alias.name.as_str();
            let bound = alias.asname.as_ref().map(ast::Identifier::as_str);
            if name == "sys" {
                self.sys.insert(bound.unwrap_or(name));
            }
            self.mention(name);
            self.define(bound.or(name.split('.').next()).unwrap_or(name), false);
            if !import.is_lazy {
                self.note_import(name, 0, Vec::new(), alias.name.range);
            }
        }
    }

    fn import_from(&mut self, import: &'a ast::StmtImportFrom) {
        let module = import.module.as_ref().map_or("", ast::Identifier::as_str);
        let range = import.module.as_ref().map_or(import.range(), |module| module.range);
        let mut names = Vec::new();
        for alias in &import.names {
            let name = alias.name.as_str();
            if module == "sys" && ["path", "modules"].contains(&name) {
                self.moves();
            }
            if name == "*" {
                let star = Import {
                    module: module.to_owned(),
                    level: import.level,
                    names: Vec::new(),
                    start: range.start().to_usize(),
                    end: range.end().to_usize(),
                };
                if self.scopes == 0 {
                    self.found.stars.push(star);
                }
                continue;
            }
            self.mention(name);
            // Under another name nobody sees what it imports.
            self.found.is_dynamic |= name == "import_module" && alias.asname.is_some();
            self.define(alias.asname.as_ref().map_or(name, ast::Identifier::as_str), false);
            names.push(name.to_owned());
        }
        if !import.is_lazy {
            self.note_import(module, import.level, names, range);
        }
    }

    fn note_import(&mut self, module: &str, level: u32, names: Vec<String>, range: TextRange) {
        if self.scopes == 0 && self.conditions == 0 {
            let (start, end) = (range.start().to_usize(), range.end().to_usize());
            let module = module.to_owned();
            self.found.imports.push(Import { module, level, names, start, end });
        }
    }

    /// A name that means something wherever it stands.
    fn mention(&mut self, name: &str) {
        self.found.is_dynamic |= match name {
            "globals" | "exec" | "eval" | "global_enum" | "_convert_" | "_convert" => true,
            "getmodule" | "f_globals" | "__globals__" => {
                self.found.given.any = true;
                true
            }
            "locals" | "vars" => self.scopes == 0,
            _ => false,
        };
        self.found.exports_more |= name == "__all__";
        self.found.moves_modules |= OF_THE_PATH.contains(&name);
    }

    fn attribute(&mut self, attribute: &ast::ExprAttribute) {
        let name = attribute.attr.as_str();
        if name != "__all__" {
            self.mention(name);
        }
        let may_be_sys = match &*attribute.value {
            Expr::Name(of) => self.sys.contains(of.id.as_str()),
            Expr::Call(call) => is_import(&call.func),
            _ => false,
        };
        match name {
            "modules" if may_be_sys => self.moves(),
            "path" if may_be_sys => self.found.moves_modules = true,
            _ => {}
        }
    }

    /// `importlib.import_module(__name__)` gives the module itself, which then gets any names.
    /// `setattr(module, "name", …)` gives one to another.
    fn call(&mut self, call: &ast::ExprCall) {
        if is_import(&call.func) {
            let own = |argument: &Expr| is_name(argument, "__name__");
            self.found.is_dynamic |= call.arguments.args.iter().any(own);
        }
        if is_name(&call.func, "setattr")
            && let [to, Expr::StringLiteral(name), ..] = &*call.arguments.args
        {
            self.gives(to, name.value.to_str());
        }
    }

    fn moves(&mut self) {
        self.found.is_dynamic = true;
        self.found.given.any = true;
        self.found.moves_modules = true;
    }
}

fn is_handler(parameters: &Parameters) -> bool {
    parameters.vararg.is_some() || parameters.posonlyargs.len() + parameters.args.len() == 2
}

/// Whether a function that is called imports a module by a name that is a text.
fn is_import(function: &Expr) -> bool {
    let name = match function {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => return false,
    };
    ["import_module", "__import__"].contains(&name)
}

fn is_name(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Name(found) if found.id == name)
}

/// Whether a condition is false when a module is imported in Lambda.
fn never_runs(test: &Expr) -> bool {
    match test {
        Expr::Name(name) => name.id == "TYPE_CHECKING",
        Expr::Attribute(attribute) => &attribute.attr == "TYPE_CHECKING",
        Expr::BooleanLiteral(literal) => !literal.value,
        Expr::Compare(compare) => {
            let is_main = |expr: &Expr| matches!(expr, Expr::StringLiteral(name) if name.value.to_str() == "__main__");
            let sides = [&*compare.left, &compare.comparators[0]];
            *compare.ops == [ast::CmpOp::Eq]
                && sides.iter().any(|side| is_name(side, "__name__"))
                && sides.iter().any(|side| is_main(side))
        }
        _ => false,
    }
}

/// Whether an `except` of this type may catch what an import raises.
fn may_catch_import(caught: &Expr) -> bool {
    match caught {
        Expr::Name(name) => !NOT_OF_IMPORT.contains(&name.id.as_str()),
        Expr::Tuple(tuple) => tuple.elts.iter().any(may_catch_import),
        _ => true,
    }
}

/// The texts of a list or tuple of nothing else.
fn literal_names(value: &Expr) -> Option<Vec<String>> {
    let elements = match value {
        Expr::List(list) => &list.elts,
        Expr::Tuple(tuple) => &tuple.elts,
        _ => return None,
    };
    let text = |element: &Expr| match element {
        Expr::StringLiteral(text) => Some(text.value.to_str().to_owned()),
        _ => None,
    };
    elements.iter().map(text).collect()
}
