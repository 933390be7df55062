//! Whether packages that are not installed yet may bring a module.

use std::path::Path;

use esb_model::requirements::{Name, decode, logical, parse};

use crate::report::Job;

/// The most bytes of a requirements file.
const MAX_BYTES: u64 = 1024 * 1024;

/// Where a module could come from that is not in the code and the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Provider {
    /// Nothing is still to be installed.
    None,
    /// Packages, none of which is called like the module.
    Unlikely,
    /// A package of about that name, or one whose name is not known.
    Possible,
}

/// Who may provide a top-level module.
pub(super) fn provider(job: &Job<'_>, module: &str) -> Provider {
    if job.installed {
        return Provider::None;
    }
    let mut provider = Provider::None;
    for dependencies in job.recipe.all_dependencies() {
        match among(job, &dependencies.requirements, module) {
            Provider::Possible => return Provider::Possible,
            one => provider = one,
        }
    }
    provider
}

/// Whether what a file asks for may provide a module.
fn among(job: &Job<'_>, file: &Path, module: &str) -> Provider {
    // A project is installed as a package itself, with modules that lie anywhere in its folder.
    if file.file_name().is_none_or(|name| name != "requirements.txt") {
        return Provider::Possible;
    }
    let text = crate::files::read_file(&job.checker.root.join(file), MAX_BYTES);
    let text = text.and_then(|bytes| decode(&bytes).ok());
    let Some(names) = text.as_deref().and_then(packages) else { return Provider::Possible };
    if names.iter().any(|name| is_like(name, module)) {
        Provider::Possible
    } else {
        Provider::Unlikely
    }
}

/// The names of the packages that a file asks for; `None` when it asks for more than names tell.
fn packages(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for line in logical(text) {
        let parsed = parse(&line.text).ok()?;
        let more = |(name, _): &(Name, String)| matches!(name, Name::Requirement | Name::Editable);
        if parsed.options.iter().any(more) {
            return None;
        }
        let requirement = parsed.requirement.trim();
        let end = requirement
            .find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
            .unwrap_or(requirement.len());
        let (name, rest) = requirement.split_at(end);
        let is_address = |text: &str| text.contains('/') || text.contains('@');
        let is_file = [".whl", ".zip", ".gz"].iter().any(|end| name.ends_with(end));
        if is_address(rest.split(';').next().unwrap_or_default())
            || is_file
            || name.starts_with('.')
        {
            return None;
        }
        if !name.is_empty() {
            names.push(name.to_owned());
        }
    }
    Some(names)
}

/// Whether a package of this name may well have the module: `datadog-lambda` has `datadog_lambda`,
/// `newrelic-lambda` has `newrelic_lambda_wrapper`.
fn is_like(package: &str, module: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
    };
    let (package, module) = (plain(package), plain(module));
    let (short, long) =
        if package.len() < module.len() { (&package, &module) } else { (&module, &package) };
    short == long || short.len() >= 4 && long.contains(&**short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_may_have_a_module() {
        assert!(is_like("datadog-lambda", "datadog_lambda"));
        assert!(is_like("newrelic_lambda", "newrelic_lambda_wrapper"));
        assert!(is_like("Serverless-WSGI", "serverless_wsgi"));
        assert!(!is_like("requests", "app"));
        assert!(!is_like("ap", "app"));
    }

    #[test]
    fn only_names_are_certain() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let found = packages(text);
            let found = found.as_ref().map(|names| names.iter().map(|n| &**n).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("", Some(&[]));
        check(
            "requests>=2 # http\nboto3[crt]; python_version > '3'\n",
            Some(&["requests", "boto3"]),
        );
        check("-i https://example.org/\nsix", Some(&["six"]));
        check("-r more.txt", None);
        check("-e .", None);
        check(".", None);
        check("./lib", None);
        check("lib/x", None);
        check("x @ https://example.org/x.whl", None);
        check("x.whl", None);
    }
}
