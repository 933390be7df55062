//! The paths that the Gateway answers itself, in front of every route of a template.
//!
//! Owns which requests of a route never reach its function. A route of which only some requests are
//! the Gateway's, such as `/{proxy+}`, loses only requests that its author would not expect there,
//! and is not reported, unless it names the same folder.

use esb_model::Method;

/// What the Gateway answers: the methods, and the path's segments; `None` is any one segment.
struct Own {
    methods: &'static [&'static str],
    path: &'static [Option<&'static str>],
}

const fn own(methods: &'static [&'static str], path: &'static [Option<&'static str>]) -> Own {
    Own { methods, path }
}

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
/// The framework's own pages answer HEAD as well.
const PAGE: &[&str] = &["GET", "HEAD"];

const OWN: &[Own] = &[
    own(GET, &[Some("health")]),
    own(POST, &[Some("user"), Some("auth"), Some("v1")]),
    own(POST, &[Some("2015-03-31"), Some("functions"), None, Some("invocations")]),
    own(GET, &[Some("metrics"), Some("containers")]),
    own(GET, &[Some("metrics"), Some("pools")]),
    own(PAGE, &[Some("docs")]),
    own(PAGE, &[Some("docs"), Some("oauth2-redirect")]),
    own(PAGE, &[Some("redoc")]),
    own(PAGE, &[Some("openapi.json")]),
];

/// The part of a route that the Gateway answers itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GatewayRoutes {
    /// Every request with one of these methods.
    All(Vec<&'static str>),
    /// Requests for these paths, each with its method.
    Some(Vec<String>),
}

/// The part of a template's route that the Gateway answers itself; `None` for most routes.
pub(super) fn taken(path: &str, method: &Method) -> Option<GatewayRoutes> {
    let segments = Segments::of(path)?;
    let asked = |own: &Own| -> Vec<&'static str> {
        let wanted = |name: &&str| match method {
            // HEAD of a route comes with its GET.
            Method::Any => *name != "HEAD",
            Method::Named(method) => method == *name,
        };
        own.methods.iter().copied().filter(|name| wanted(name)).collect()
    };
    let mut all = Vec::new();
    let mut some = Vec::new();
    for own in OWN {
        let methods = asked(own);
        match segments.overlap(own.path) {
            Overlap::Whole => all.extend(methods),
            Overlap::Part => {
                let path = own_path(own);
                some.extend(methods.iter().map(|method| format!("{method} {path}")));
            }
            Overlap::None => {}
        }
    }
    if !all.is_empty() {
        return Some(GatewayRoutes::All(all));
    }
    (!some.is_empty()).then_some(GatewayRoutes::Some(some))
}

fn own_path(own: &Own) -> String {
    own.path.iter().flat_map(|segment| ["/", segment.unwrap_or("{name}")]).collect()
}

enum Overlap {
    /// All that the route matches is the Gateway's.
    Whole,
    /// Some of it is, below a folder that both name.
    Part,
    None,
}

/// A route's path, as far as it matters here.
struct Segments<'a> {
    /// `None` is a parameter.
    segments: Vec<Option<&'a str>>,
    /// It ends with a parameter that takes the rest.
    greedy: bool,
}

impl<'a> Segments<'a> {
    /// Nothing for `$default` and for what is no path of segments.
    fn of(path: &'a str) -> Option<Self> {
        if path == "$default" {
            return None;
        }
        let path = path.strip_prefix('/').unwrap_or(path);
        let mut greedy = false;
        let mut segments = Vec::new();
        for segment in path.split('/') {
            if segment.starts_with('{') && segment.ends_with("+}") {
                greedy = true;
            } else if segment.starts_with('{') && segment.ends_with('}') {
                segments.push(None);
            } else if segment.contains('{') {
                return None;
            } else {
                segments.push(Some(segment));
            }
        }
        Some(Self { segments, greedy })
    }

    fn overlap(&self, own: &[Option<&str>]) -> Overlap {
        let fits = if self.greedy {
            self.segments.len() < own.len()
        } else {
            self.segments.len() == own.len()
        };
        let pairs = || self.segments.iter().copied().zip(own.iter().copied());
        let meets = |(route, own): (Option<&str>, Option<&str>)| match (route, own) {
            (Some(route), Some(own)) => route == own,
            _ => true,
        };
        if !fits || !pairs().all(meets) {
            return Overlap::None;
        }
        let wider = |(route, own): (Option<&str>, Option<&str>)| route.is_none() && own.is_some();
        if !self.greedy && !pairs().any(wider) {
            return Overlap::Whole;
        }
        // A path without a word of its own is everybody's: nobody means `/docs` with `/{id}`.
        if self.segments.iter().any(Option::is_some) { Overlap::Part } else { Overlap::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_takes() {
        let check = |route: &str, expected: Option<GatewayRoutes>| {
            let (method, path) = route.split_once(' ').unwrap();
            assert_eq!(taken(path, &method.parse().unwrap()), expected, "{route}");
        };
        let all = |methods: &[&'static str]| Some(GatewayRoutes::All(methods.to_vec()));
        let some =
            |paths: &[&str]| Some(GatewayRoutes::Some(paths.iter().map(|p| (*p).into()).collect()));
        check("GET /health", all(&["GET"]));
        check("ANY /health", all(&["GET"]));
        check("get health", all(&["GET"]));
        check("POST /health", None);
        check("HEAD /health", None);
        check("GET /health/", None);
        check("GET /Health", None);
        check("GET /healthz", None);
        check("GET /health/{id}", None);
        check("POST /user/auth/v1", all(&["POST"]));
        check("GET /user/auth/v1", None);
        check("POST /user/{what}/v1", some(&["POST /user/auth/v1"]));
        check("ANY /user/{proxy+}", some(&["POST /user/auth/v1"]));
        check("GET /user/{proxy+}", None);
        let invocations = "/2015-03-31/functions/{name}/invocations";
        check(&format!("POST {invocations}"), all(&["POST"]));
        check("POST /2015-03-31/functions/mail/invocations", all(&["POST"]));
        check("GET /2015-03-31/functions/mail/invocations", None);
        check("ANY /2015-03-31/{proxy+}", some(&[&format!("POST {invocations}")]));
        check("GET /metrics/containers", all(&["GET"]));
        check("GET /metrics", None);
        check("GET /metrics/mine", None);
        let metrics = ["GET /metrics/containers", "GET /metrics/pools"];
        check("GET /metrics/{name}", some(&metrics));
        check("ANY /metrics/{proxy+}", some(&metrics));
        check("GET /docs", all(&["GET"]));
        check("HEAD /redoc", all(&["HEAD"]));
        check("ANY /openapi.json", all(&["GET"]));
        check("GET /docs/{page}", some(&["GET /docs/oauth2-redirect"]));
        for quiet in [
            "ANY /{proxy+}",
            "GET /{id}",
            "GET /{a}/{b}",
            "ANY $default",
            "GET /",
            "GET /v1/health",
        ] {
            check(quiet, None);
        }
    }
}
