//! What invokes functions: API routes, schedules, and event sources that are only listed.

use std::{fmt, str::FromStr};

use crate::{FunctionId, Span};

/// A path and method of an API that lead to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub function: FunctionId,
    pub api: Api,
    /// As the template writes it: `/orders/{id}`, `/{proxy+}`, or `$default` of an HTTP API.
    pub path: String,
    pub method: Method,
    pub span: Span,
    /// The place of the path, where it is a property of its own.
    pub path_span: Option<Span>,
}

/// The API that a route belongs to; the two kinds have separate namespaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// `AWS::Serverless::Api` and the like, with the logical id of an explicit one.
    Rest(Option<String>),
    /// `AWS::Serverless::HttpApi` and the like, with the logical id of an explicit one.
    Http(Option<String>),
    /// The function's own URL.
    FunctionUrl,
}

/// An HTTP method, or any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Any,
    /// Upper-case ASCII letters.
    Named(String),
}

/// A time-based call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub function: FunctionId,
    /// The event's logical id.
    pub name: String,
    /// `rate(…)`, `cron(…)` or `at(…)`; `None` when it is not known without AWS.
    pub expression: Option<String>,
    /// Text passed on verbatim.
    pub input: Option<String>,
    pub enabled: bool,
    pub span: Span,
    /// The place of the expression.
    pub expression_span: Span,
}

/// An event source that the platform does not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    pub function: FunctionId,
    pub name: String,
    /// The event's type: `SQS`, `S3`, …
    pub kind: String,
    pub span: Span,
}

impl FromStr for Method {
    type Err = std::convert::Infallible;

    /// `any` and `x-amazon-apigateway-any-method` in any case are [`Method::Any`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        Ok(if upper == "ANY" || upper == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
            Self::Any
        } else {
            Self::Named(upper)
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "ANY",
            Self::Named(name) => name,
        })
    }
}
