//! Checks that folders of one crate use only those below them.
//!
//! `docs/architecture.md` has a table with a line for each crate: its folders in their order, from
//! the lowest to the highest, with ` < ` between them; those with a comma between them do not use
//! each other. Files outside of the folders that are named are free. A third cell names a folder and
//! the crate that it does without: `apply`: `esb_sam`.

use std::{collections::HashMap, fs, path::Path};

use super::{folders, name_of, walk};
use crate::checks::{Outcome, Trouble};

const PAGE: &str = "docs/architecture.md";
const HEADING: &str = "## Layers within crates";

/// Looks at every crate that the table names.
pub(super) fn check(root: &Path, wrong: &mut Vec<String>) -> Outcome {
    let page = fs::read_to_string(root.join(PAGE))?;
    let orders = orders(&page);
    if orders.is_empty() {
        return Err(Trouble::Failed(format!("{PAGE} has no table below `{HEADING}`")));
    }
    for Order { name, levels: order, without } in orders {
        let krate = folders(&root.join("crates"))?.into_iter().find(|path| name_of(path) == name);
        let Some(source) = krate.map(|krate| krate.join("src")) else {
            wrong.push(format!("{PAGE}: there is no crate `{name}`"));
            continue;
        };
        for folder in order.keys().filter(|folder| !source.join(folder).is_dir()) {
            wrong.push(format!("{PAGE}: {name} has no folder `{folder}`"));
        }
        let lib = fs::read_to_string(source.join("lib.rs"))?;
        let exported = exported(&lib);
        let mut files = Vec::new();
        walk(&source, &mut files)?;
        for file in files {
            let module = module_of(file.strip_prefix(&source).unwrap_or(&file));
            let Some(level) = module.first().and_then(|folder| order.get(folder)) else { continue };
            let text = fs::read_to_string(&file)?;
            let place = file.strip_prefix(root).unwrap_or(&file).display();
            for (folder, other) in &without {
                if *folder == module[0] && text.contains(&format!("{other}::")) {
                    wrong.push(format!("{place}: `{folder}` does without `{other}`"));
                }
            }
            for (line, target) in used(&text, &module) {
                let target = exported.get(&target).unwrap_or(&target);
                let allowed = *target == module[0] || order.get(target).is_none_or(|at| at < level);
                if !allowed {
                    wrong.push(format!("{place}:{line}: `{}` may not use `{target}`", module[0]));
                }
            }
        }
    }
    Ok(())
}

/// A line of the table.
struct Order {
    name: String,
    levels: HashMap<String, usize>,
    /// Folders, each with a crate that it may not name.
    without: Vec<(String, String)>,
}

/// The table's lines.
fn orders(page: &str) -> Vec<Order> {
    let section = page.split_once(HEADING).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut orders = Vec::new();
    for line in section.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, order, others, ..] = cells[..] else { continue };
        if !name.starts_with('`') {
            continue;
        }
        let mut levels = HashMap::new();
        for (level, folders) in order.split('<').enumerate() {
            let names = folders.split(',').map(|name| name.trim().trim_matches('`'));
            levels.extend(names.map(|name| (name.to_owned(), level)));
        }
        let plain = |word: &str| word.trim().trim_matches('`').to_owned();
        let without = others.split(',').filter_map(|pair| pair.split_once(':'));
        let without = without.map(|(folder, other)| (plain(folder), plain(other))).collect();
        orders.push(Order { name: plain(name), levels, without });
    }
    orders
}

/// The module of a file below `src`.
fn module_of(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let mut module: Vec<String> =
        parts.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        module.pop();
    }
    module
}

/// The top-level modules and items that a file of `module` names, with their lines.
fn used(text: &str, module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            let is_comment = line.trim_start().starts_with("//");
            if is_comment || before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                continue;
            }
            let mut rest = &text[at..];
            let mut depth = module.len();
            let mut below = true;
            while let Some(after) = rest.strip_prefix("super::") {
                below &= depth > 0;
                depth = depth.saturating_sub(1);
                rest = after;
            }
            rest = rest.strip_prefix("crate::").map_or(rest, |after| {
                depth = 0;
                after
            });
            let number = text[..at].matches('\n').count() + 1;
            if below && depth == 0 {
                found.extend(heads(rest).into_iter().map(|name| (number, name)));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The first names of a path, or of each path of a group.
fn heads(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = text.strip_prefix('{') else { return vec![name(text)] };
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(name(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads.retain(|name| !name.is_empty());
    heads
}

/// Items that the root of a crate takes from its folders: where each of them lies.
fn exported(lib: &str) -> HashMap<String, String> {
    let mut items = HashMap::new();
    for statement in lib.split(';') {
        let Some((_, path)) = statement.split_once("use ") else { continue };
        let Some((folder, rest)) = path.trim().split_once("::") else { continue };
        let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
        let folder = folder.trim_start_matches("self::").to_owned();
        items.extend(
            words.filter(|word| !word.is_empty()).map(|word| (word.to_owned(), folder.clone())),
        );
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_come_from_the_table_alone() {
        let page = "| `x` | `no` |\n## Layers within crates\n\n| crate | folders |\n|---|---|\n\
                    | `a` | `one` < `two`, `three` < `four` |\n\n## Next\n| `b` | `c` |\n";
        let orders = orders(page);
        assert_eq!(orders.len(), 1);
        assert_eq!(orders[0].name, "a");
        let level = |name: &str| orders[0].levels[name];
        assert_eq!([level("one"), level("two"), level("three"), level("four")], [0, 1, 1, 2]);
    }

    #[test]
    fn uses_are_found_in_groups_and_by_super() {
        let module = ["image".to_owned(), "layer".to_owned()];
        let text = "use crate::{\n    Error, context::{Part, tree}, filesystem::Node,\n};\n\
                    use super::parts::X;\nlet x = super::super::docker::y();\n// crate::no\n\
                    $crate::no; mycrate::no;";
        let names: Vec<_> = used(text, &module).into_iter().collect();
        let at = |line, name: &str| (line, name.to_owned());
        assert_eq!(names, [at(1, "Error"), at(1, "context"), at(1, "filesystem"), at(5, "docker")]);
    }

    #[test]
    fn upward_and_sideways_uses_are_told() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(PAGE, "## Layers within crates\n| `x` | `low` < `left`, `right` | `right`: `y` |\n");
        put("crates/x/src/lib.rs", "pub use right::Thing;\n");
        put(
            "crates/x/src/low/mod.rs",
            "use crate::Thing;\nuse crate::left::a;\nuse crate::free;\n",
        );
        put("crates/x/src/left/mod.rs", "use crate::{low::a, right};\nuse super::low;\n");
        put("crates/x/src/right/deep/a.rs", "use crate::right::b;\nuse crate::low;\ny::f();\n");
        let mut wrong = Vec::new();
        check(root.path(), &mut wrong).unwrap();
        assert_eq!(
            wrong,
            [
                "crates/x/src/left/mod.rs:1: `left` may not use `right`",
                "crates/x/src/low/mod.rs:1: `low` may not use `right`",
                "crates/x/src/low/mod.rs:2: `low` may not use `left`",
                "crates/x/src/right/deep/a.rs: `right` does without `y`",
            ]
        );
    }
}
