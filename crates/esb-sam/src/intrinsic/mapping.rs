//! `Fn::FindInMap`.

use std::rc::Rc;

use esb_model::{Finding, Severity};

use super::{Branch, KEYS_A_STEP, symbolic};
use crate::{codes, evaluator::Evaluator, findings::quote, value::Value, yaml::Node};

/// The entry of a mapping, or its default, or why there is none.
pub(super) fn find(this: &mut Evaluator<'_, '_>, node: &Rc<Node>, argument: &Rc<Node>) -> Branch {
    let span = node.span();
    let unknown = || Branch::Value(Value::unknown(symbolic(node)));
    let (keys, default) = match argument.items() {
        Some([map, top, second]) => ([map, top, second], None),
        Some([map, top, second, options]) => {
            ([map, top, second], options.get("DefaultValue").cloned())
        }
        _ => {
            let message = "`Fn::FindInMap` needs the names of a map and of two keys";
            this.error(codes::INTRINSIC, span, message);
            return unknown();
        }
    };
    let mut found = this.mappings.clone();
    for (depth, key) in keys.into_iter().enumerate() {
        let key_text = match this.eval(key) {
            Value::Text(text) => text,
            Value::Unknown(_) => return unknown(),
            _ => {
                this.error(
                    codes::INTRINSIC,
                    key.span(),
                    "the keys of `Fn::FindInMap` must be texts",
                );
                return unknown();
            }
        };
        let level = found.take();
        let size = level.as_ref().and_then(|level| level.entries()).map_or(0, <[_]>::len);
        if !this.run.step(size / KEYS_A_STEP, span) {
            return unknown();
        }
        // A key that is written plainly is compared as it is written.
        let next = level.as_ref().and_then(|level| {
            let written = key.scalar().and_then(|raw| level.get(raw));
            written.or_else(|| level.get(&key_text.text)).cloned()
        });
        if next.is_none() {
            if let Some(default) = default {
                return Branch::Node(default);
            }
            let entries = level.as_ref().and_then(|level| level.entries()).unwrap_or_default();
            let what = ["mapping", "key", "second key"][depth];
            let message = format!("there is no {what} {}", quote(key_text.shown()));
            let finding = Finding::new(Severity::Warning, codes::MAPPING_KEY, key.span(), message);
            let names = entries.iter().map(|entry| &*entry.key);
            this.run.findings.push_wrong(finding, &key_text.text, names);
            return unknown();
        }
        found = next;
    }
    found.map_or_else(unknown, Branch::Node)
}
