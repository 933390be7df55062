//! S3 buckets and the expiry of their objects.

use std::{fmt::Display, rc::Rc};

use esb_model::{Bucket, LifecycleRule};

use super::{Resource, lower::Lowering, table};
use crate::yaml::Node;

/// Lowers a bucket; other resources are left alone.
pub(super) fn lower(this: &mut Lowering<'_, '_, '_>, resource: &Rc<Resource>) {
    if &*resource.kind != "AWS::S3::Bucket" {
        return;
    }
    let name = this.ev.physical_name(resource).to_string();
    let mut lifecycle = Vec::new();
    let what = Lowering::what(resource, "LifecycleConfiguration");
    let configuration = resource.property("LifecycleConfiguration").cloned();
    let configuration = configuration.and_then(|node| this.ev.open_map(&node, &what));
    if let Some(rules) = configuration.and_then(|node| node.get("Rules").cloned()) {
        for node in table::maps(this, &rules, &what) {
            if let Some(rule) = rule(this, &node, &what) {
                lifecycle.push(rule);
            }
        }
    }
    this.app.buckets.push(Bucket {
        template: this.scope.template,
        logical_id: this.full_id(&resource.id),
        span: resource.span(),
        name,
        lifecycle,
    });
}

/// What a rule may have beside its conditions: none of it makes more or fewer objects expire.
const WITHOUT_CONDITION: [&str; 12] = [
    "AbortIncompleteMultipartUpload",
    "ExpirationInDays",
    "ExpiredObjectDeleteMarker",
    "Id",
    "NoncurrentVersionExpiration",
    "NoncurrentVersionExpirationInDays",
    "NoncurrentVersionTransition",
    "NoncurrentVersionTransitions",
    "Prefix",
    "Status",
    "Transition",
    "Transitions",
];

/// A rule that expires objects after days; others have no counterpart here. One that is for some of
/// the objects below its prefix, or whose prefix is not known, has no days: objects that it spares
/// would expire.
fn rule(
    this: &mut Lowering<'_, '_, '_>,
    node: &Rc<Node>,
    what: &dyn Display,
) -> Option<LifecycleRule> {
    let days = node.get("ExpirationInDays")?.clone();
    let days = this.ev.number(&days, what);
    let mut field = |name: &str| {
        let node = node.get(name)?.clone();
        Some(this.ev.known(&node, what).map(|text| text.text.to_string()))
    };
    let (id, status, prefix) = (field("Id"), field("Status"), field("Prefix"));
    let entries = node.entries().unwrap_or_default();
    let is_harmless = |key: &str| WITHOUT_CONDITION.contains(&key);
    let is_for_all = entries.iter().all(|entry| entry.value.is_null() || is_harmless(&entry.key));
    let is_known = status != Some(None) && prefix != Some(None);
    Some(LifecycleRule {
        id: id.flatten(),
        enabled: status.flatten().is_none_or(|status| status == "Enabled"),
        prefix: prefix.flatten().unwrap_or_default(),
        expiration_days: days.filter(|_| is_for_all && is_known),
    })
}
