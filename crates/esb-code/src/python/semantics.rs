//! Errors that Python raises when it compiles a tree which its grammar allows: `return` outside of
//! a function, the same parameter twice, `nonlocal` at the top.

use std::{cell::RefCell, collections::HashMap};

use ruff_python_ast::{
    self as ast, Comprehension, Expr, Parameters, PythonVersion, Stmt,
    visitor::{Visitor, walk_expr, walk_stmt},
};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError,
};
use ruff_text_size::TextRange;

/// The first error of a module that parsed.
pub(super) fn first_error(
    body: &[Stmt],
    text: &str,
    version: PythonVersion,
) -> Option<(TextRange, String)> {
    let mut checker = SemanticSyntaxChecker::new();
    let module = Scope { globals: globals(body), ..Scope::new(Kind::Module) };
    let is_future = |stmt: &Stmt| {
        matches!(stmt, Stmt::ImportFrom(import)
            if import.module.as_ref().is_some_and(|name| name == "__future__")
                && import.names.iter().any(|alias| &alias.name == "annotations"))
    };
    let mut walk = Walk {
        checker: &mut checker,
        context: Context {
            text,
            version,
            lazy_annotations: body.iter().any(is_future),
            scopes: vec![module],
            errors: RefCell::default(),
        },
    };
    walk.visit_body(body);
    let errors = walk.context.errors.into_inner();
    let first = errors.into_iter().min_by_key(|error| error.range.start())?;
    Some((first.range, first.to_string()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Module,
    Class,
    Function { is_async: bool },
    Lambda,
    Comprehension { is_async: bool, is_generator: bool },
}

/// A scope that is open.
struct Scope {
    kind: Kind,
    loops: usize,
    parameters: Vec<String>,
    /// The names that it declares global, and where.
    globals: HashMap<String, TextRange>,
}

impl Scope {
    fn new(kind: Kind) -> Self {
        Self { kind, loops: 0, parameters: Vec::new(), globals: HashMap::new() }
    }
}

struct Context<'t> {
    text: &'t str,
    version: PythonVersion,
    lazy_annotations: bool,
    scopes: Vec<Scope>,
    errors: RefCell<Vec<SemanticSyntaxError>>,
}

impl Context<'_> {
    fn kind(&self) -> Kind {
        self.scopes.last().map_or(Kind::Module, |scope| scope.kind)
    }

    /// The scopes from the innermost one on.
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.scopes.iter().rev().map(|scope| scope.kind)
    }
}

impl SemanticSyntaxContext for Context<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        self.lazy_annotations
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        self.kinds().find_map(|kind| match kind {
            Kind::Function { .. } => Some(LazyImportContext::Function),
            Kind::Class => Some(LazyImportContext::Class),
            _ => None,
        })
    }

    fn python_version(&self) -> PythonVersion {
        self.version
    }

    fn source(&self) -> &str {
        self.text
    }

    fn global(&self, name: &str) -> Option<TextRange> {
        self.scopes.last()?.globals.get(name).copied()
    }

    // Which names the scopes around have is not known here.
    fn has_nonlocal_binding(&self, _: &str) -> bool {
        true
    }

    fn in_async_context(&self) -> bool {
        let function = self.kinds().find_map(|kind| match kind {
            Kind::Function { is_async } => Some(is_async),
            Kind::Lambda | Kind::Class | Kind::Module => Some(false),
            Kind::Comprehension { .. } => None,
        });
        function.unwrap_or_default()
    }

    fn in_await_allowed_context(&self) -> bool {
        let function = self.kinds().find(|kind| !matches!(kind, Kind::Comprehension { .. }));
        matches!(function, Some(Kind::Function { .. } | Kind::Lambda))
    }

    fn in_yield_allowed_context(&self) -> bool {
        matches!(self.kind(), Kind::Function { .. } | Kind::Lambda)
    }

    fn in_sync_comprehension(&self) -> bool {
        let comprehensions = self.kinds().map_while(|kind| match kind {
            Kind::Comprehension { is_async, .. } => Some(is_async),
            _ => None,
        });
        comprehensions.into_iter().any(|is_async| !is_async)
    }

    fn in_class_body_comprehension(&self) -> bool {
        let mut kinds = self.kinds();
        matches!(self.kind(), Kind::Comprehension { .. })
            && kinds.find(|kind| !matches!(kind, Kind::Comprehension { .. })) == Some(Kind::Class)
    }

    fn in_module_scope(&self) -> bool {
        self.kind() == Kind::Module
    }

    fn in_function_scope(&self) -> bool {
        matches!(self.kind(), Kind::Function { .. })
    }

    fn in_generator_context(&self) -> bool {
        let is_generator = |kind| matches!(kind, Kind::Comprehension { is_generator: true, .. });
        self.kinds().any(is_generator)
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        self.errors.borrow_mut().push(error);
    }

    fn in_loop_context(&self) -> bool {
        self.scopes.last().is_some_and(|scope| scope.loops > 0)
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        let parameters = self.scopes.last().map(|scope| &scope.parameters);
        parameters.is_some_and(|known| known.iter().any(|known| known == name))
    }
}

struct Walk<'c, 't> {
    checker: &'c mut SemanticSyntaxChecker,
    context: Context<'t>,
}

impl Walk<'_, '_> {
    fn scoped(&mut self, scope: Scope, walk: impl FnOnce(&mut Self)) {
        self.context.scopes.push(scope);
        walk(self);
        self.context.scopes.pop();
    }

    fn looped(&mut self, body: &[Stmt]) {
        let at = self.context.scopes.len() - 1;
        self.context.scopes[at].loops += 1;
        self.visit_body(body);
        self.context.scopes[at].loops -= 1;
    }

    /// The first list of a comprehension belongs to what is around it.
    fn comprehension(
        &mut self,
        generators: &[Comprehension],
        is_generator: bool,
        elements: &[&Expr],
    ) {
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        let is_async = generators.iter().any(|generator| generator.is_async);
        let scope = Scope::new(Kind::Comprehension { is_async, is_generator });
        self.scoped(scope, |this| {
            for (at, generator) in generators.iter().enumerate() {
                if at > 0 {
                    this.visit_expr(&generator.iter);
                }
                this.visit_expr(&generator.target);
                generator.ifs.iter().for_each(|test| this.visit_expr(test));
            }
            for element in elements {
                this.visit_expr(element);
            }
        });
    }
}

impl Visitor<'_> for Walk<'_, '_> {
    fn visit_stmt(&mut self, stmt: &Stmt) {
        self.checker.visit_stmt(stmt, &self.context);
        match stmt {
            Stmt::FunctionDef(function) => {
                function.decorator_list.iter().for_each(|found| self.visit_decorator(found));
                if let Some(parameters) = &function.type_params {
                    self.visit_type_params(parameters);
                }
                self.visit_parameters(&function.parameters);
                if let Some(returns) = &function.returns {
                    self.visit_annotation(returns);
                }
                let scope = Scope {
                    parameters: names(&function.parameters),
                    globals: globals(&function.body),
                    ..Scope::new(Kind::Function { is_async: function.is_async })
                };
                self.scoped(scope, |this| this.visit_body(&function.body));
            }
            Stmt::ClassDef(class) => {
                class.decorator_list.iter().for_each(|found| self.visit_decorator(found));
                if let Some(parameters) = &class.type_params {
                    self.visit_type_params(parameters);
                }
                if let Some(arguments) = &class.arguments {
                    self.visit_arguments(arguments);
                }
                let scope = Scope { globals: globals(&class.body), ..Scope::new(Kind::Class) };
                self.scoped(scope, |this| this.visit_body(&class.body));
            }
            Stmt::For(found) => {
                self.visit_expr(&found.iter);
                self.visit_expr(&found.target);
                self.looped(&found.body);
                self.visit_body(&found.orelse);
            }
            Stmt::While(found) => {
                self.visit_expr(&found.test);
                self.looped(&found.body);
                self.visit_body(&found.orelse);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &Expr) {
        self.checker.visit_expr(expr, &self.context);
        match expr {
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
                self.scoped(Scope::new(Kind::Lambda), |this| this.visit_expr(&lambda.body));
            }
            Expr::ListComp(found) => self.comprehension(&found.generators, false, &[&found.elt]),
            Expr::SetComp(found) => self.comprehension(&found.generators, false, &[&found.elt]),
            Expr::Generator(found) => self.comprehension(&found.generators, true, &[&found.elt]),
            Expr::DictComp(found) => {
                let mut elements: Vec<&Expr> = found.key.iter().map(|key| &**key).collect();
                elements.push(&found.value);
                self.comprehension(&found.generators, false, &elements);
            }
            _ => walk_expr(self, expr),
        }
    }
}

fn names(parameters: &Parameters) -> Vec<String> {
    parameters.iter().map(|parameter| parameter.name().to_string()).collect()
}

/// The names that a body declares global, apart from the functions and classes in it.
fn globals(body: &[Stmt]) -> HashMap<String, TextRange> {
    #[derive(Default)]
    struct Globals(HashMap<String, TextRange>);

    impl Visitor<'_> for Globals {
        fn visit_stmt(&mut self, stmt: &Stmt) {
            match stmt {
                Stmt::Global(ast::StmtGlobal { names, range, .. }) => {
                    for name in names {
                        self.0.entry(name.to_string()).or_insert(*range);
                    }
                }
                Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
                _ => walk_stmt(self, stmt),
            }
        }

        fn visit_expr(&mut self, _: &Expr) {}
    }

    let mut found = Globals::default();
    found.visit_body(body);
    found.0
}
