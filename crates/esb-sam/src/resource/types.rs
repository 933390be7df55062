//! The resource types of CloudFormation, for telling a misspelt type from one that is not read.
//!
//! The list is that of the resource specification; a type that AWS adds later gets a warning.

/// A service a line, with the names of its types after it. SAM's types are in `known`.
const SERVICES: &str = include_str!("types.txt");

/// Whether CloudFormation has this type.
pub(super) fn exists(kind: &str) -> bool {
    let Some((service, name)) = kind.rsplit_once("::") else { return false };
    let names = SERVICES.lines().find_map(|line| line.strip_prefix(service)?.strip_prefix(' '));
    names.is_some_and(|names| names.split(' ').any(|known| known == name))
}

/// All types.
pub(super) fn all() -> impl Iterator<Item = String> {
    SERVICES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .flat_map(|(service, names)| names.split(' ').map(move |name| format!("{service}::{name}")))
}

#[cfg(test)]
mod tests {
    use super::{all, exists};

    #[test]
    fn every_type_exists() {
        assert!(all().count() > 1_800);
        for kind in all() {
            assert!(exists(&kind) && kind.matches("::").count() == 2, "{kind}");
        }
        for none in ["AWS::S3::Buckets", "AWS::S3", "AWS::S3::", "::", "Bucket", "AWS::S3::Bucket "]
        {
            assert!(!exists(none), "{none}");
        }
    }
}
