//! `parameter_overrides` and `stack_name` of SAM CLI's `samconfig`: only these, and only read.

use std::path::{Path, PathBuf};

use esb_deploy::read_text;

use super::{
    shapes::{self, Values},
    tree::{Language, Tree},
};

/// Names of the file, the strongest first: SAM CLI takes the first that is there.
const NAMES: [&str; 4] = ["samconfig.toml", "samconfig.yaml", "samconfig.yml", "samconfig.json"];
/// Commands of SAM CLI whose values count, the weakest first. What `esb inspect` shows must be
/// what `esb deploy` does, so the list is one for all commands of ours.
const SECTIONS: [&str; 3] = ["global", "build", "deploy"];
/// Those that name a stack.
const STACK_SECTIONS: [&str; 2] = ["global", "deploy"];
/// The key of a map that stands for a file, or a list of files, of values.
const INCLUDE: &str = "$include";
/// How often one file may lead to another.
const FILE_DEPTH: usize = 8;

/// The file of a folder.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The values of an environment over those of `default`.
pub(super) fn values(tree: &Tree, path: &Path, environment: &str) -> Result<Values, String> {
    let mut values = Values::new();
    for name in environments(environment) {
        for section in SECTIONS {
            let overrides = parameter(tree, name, section, "parameter_overrides");
            let Some(overrides) = overrides else { continue };
            let folder = path.parent().unwrap_or(Path::new("."));
            let read = given(overrides, folder, 0);
            let read = read.map_err(|error| format!("[{name}.{section}.parameters]: {error}"))?;
            values.extend(read);
        }
    }
    Ok(values)
}

/// The values of a word of the command line. The shell has taken its quotes: blanks in the value of
/// a single pair are its own.
pub(super) fn overrides(word: &str) -> Result<Values, String> {
    if let Some((key, value)) = word.split_once('=')
        && value.contains(char::is_whitespace)
        && !value.contains('=')
        && !key.contains(|c: char| !c.is_ascii_alphanumeric())
        && !value.starts_with(['"', '\''])
    {
        return Ok(Values::from([(key.to_owned(), value.to_owned())]));
    }
    given(&Tree::Text(word.to_owned()), Path::new("."), 0)
}

/// The stack's name for an environment, else that of `default`.
pub(super) fn stack_name(tree: &Tree, environment: &str) -> Result<Option<String>, String> {
    let mut found = None;
    for name in environments(environment) {
        for section in STACK_SECTIONS {
            match parameter(tree, name, section, "stack_name") {
                None | Some(Tree::Null) => {}
                Some(Tree::Text(text)) if text.is_empty() => {}
                Some(Tree::Text(text)) => found = Some(text.clone()),
                Some(other) => {
                    let place = format!("[{name}.{section}.parameters]");
                    return Err(format!("{place}: stack_name is {}", other.kind()));
                }
            }
        }
    }
    Ok(found)
}

/// The environments whose values count, the weakest first.
fn environments(environment: &str) -> impl Iterator<Item = &str> {
    (environment != "default").then_some("default").into_iter().chain([environment])
}

fn parameter<'a>(tree: &'a Tree, environment: &str, section: &str, name: &str) -> Option<&'a Tree> {
    tree.get(environment)?.get(section)?.get("parameters")?.get(name)
}

/// A string, a list of strings and maps, or a map; `file://` stands for a file of them.
fn given(overrides: &Tree, folder: &Path, depth: usize) -> Result<Values, String> {
    match overrides {
        Tree::Null => Ok(Values::new()),
        Tree::Text(text) => match text.trim().strip_prefix("file://") {
            Some(file) => {
                if depth == FILE_DEPTH {
                    return Err("too many files lead to one another".to_owned());
                }
                let path = folder.join(file);
                let tree = load(&path).map_err(|error| format!("`{file}`: {error}"))?;
                match &tree {
                    Tree::List(_) => {
                        let folder = path.parent().unwrap_or(folder);
                        given(&tree, folder, depth + 1)
                    }
                    Tree::Map(_) if tree.get("Parameters").is_none() => {
                        let folder = path.parent().unwrap_or(folder);
                        given(&tree, folder, depth + 1)
                    }
                    tree => shapes::file(tree).map_err(|error| format!("`{file}`: {error}")),
                }
            }
            None => shapes::pairs(text),
        },
        Tree::List(items) => {
            let mut values = Values::new();
            for (at, item) in items.iter().enumerate() {
                if is_entry(item) {
                    values.extend(shapes::entry(item, at + 1)?);
                } else {
                    values.extend(given(item, folder, depth)?);
                }
            }
            Ok(values)
        }
        Tree::Map(_) if is_entry(overrides) => {
            Ok(shapes::entry(overrides, 1)?.into_iter().collect())
        }
        Tree::Map(fields) => {
            let mut values = Values::new();
            for field in fields {
                match field {
                    (name, inner) if name == INCLUDE => {
                        values.extend(given(inner, folder, depth)?);
                    }
                    field => values.extend(shapes::overrides(std::slice::from_ref(field))?),
                }
            }
            Ok(values)
        }
    }
}

/// Whether an item of a list is one parameter in CloudFormation's shape.
fn is_entry(item: &Tree) -> bool {
    item.get("ParameterKey").is_some()
}

/// Reads a file.
pub(super) fn load(path: &Path) -> Result<Tree, String> {
    Tree::parse(&read_text(path)?, Language::of(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Writes files, the first of which is the configuration, and reads it.
    fn values(files: &[(&str, &str)], environment: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let path = find(folder.path()).unwrap();
        assert_eq!(path.file_name().unwrap(), files[0].0);
        match load(&path).and_then(|tree| super::values(&tree, &path, environment)) {
            Ok(values) => {
                let shown: Vec<String> = values.iter().map(|(k, v)| format!("{k}={v}")).collect();
                shown.join("; ")
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn environments_and_commands() {
        let text = "version = 0.1
[default.global.parameters]
parameter_overrides = 'A=dg B=dg C=dg'
[default.deploy.parameters]
stack_name = 'x'
parameter_overrides = [\"B=dd\", \"ParameterKey=L,ParameterValue=1,2\"]
[prod.global.parameters]
parameter_overrides = { C = 'pg', N = 7, S = ['a', 'b'] }
[prod.local_invoke.parameters]
parameter_overrides = 'A=never'
";
        let check = |environment: &str, expected: &str| {
            assert_eq!(values(&[("samconfig.toml", text)], environment), expected);
        };
        check("default", "A=dg; B=dd; C=dg; L=1,2");
        check("prod", "A=dg; B=dd; C=pg; L=1,2; N=7; S=a,b");
        check("other", "A=dg; B=dd; C=dg; L=1,2");
    }

    #[test]
    fn forms() {
        let check = |overrides: &str, expected: &str| {
            let text = format!("[default.deploy.parameters]\nparameter_overrides = {overrides}\n");
            let files = [
                ("samconfig.toml", &*text),
                ("a.yaml", "A: 007\nL: [x, y]\nZ:\n"),
                ("b.json", "[{\"ParameterKey\": \"B\", \"ParameterValue\": \"b c\"}]"),
                ("c.toml", "A = 'toml'\n"),
                ("d.yaml", "- file://a.yaml\n- {D: d}\n- A=last\n"),
                ("loop.yaml", "- file://loop.yaml\n"),
            ];
            assert_eq!(values(&files, "default"), expected, "{overrides}");
        };
        check("'file://a.yaml'", "A=007; L=x,y; Z=");
        check("['file://b.json', 'C=c', { D = true }]", "B=b c; C=c; D=true");
        check("['file://a.yaml', 'file://c.toml']", "A=toml; L=x,y; Z=");
        check("'file://d.yaml'", "A=last; D=d; L=x,y; Z=");
        check(
            "[{ ParameterKey = 'K', ParameterValue = 'v w' }, ['C=c', { D = '\"d e\"', L = [' a', '', 'b'] }]]",
            "C=c; D=d e; K=v w; L=a,b",
        );
        check("{ A = 1, '$include' = ['file://c.toml', 'B=2', 'Z=3'] }", "A=1; B=2; Z=3");
        check("\"'P'='a' Q=\\\"b c\\\"\"", "P=a; Q=b c");
        check("'''A=\"x \\\"y\\\"\" B=1'''", "A=x \"y\"; B=1");
        check(
            "'file://loop.yaml'",
            "! [default.deploy.parameters]: too many files lead to one another",
        );
        check(
            "'file://none.yaml'",
            "! [default.deploy.parameters]: `none.yaml`: No such file or directory (os error 2)",
        );
        check(
            "'A'",
            "! [default.deploy.parameters]: a word is not KEY=VALUE; quote values with blanks",
        );
    }

    #[test]
    fn other_languages() {
        let yaml =
            "version: 0.1\ndefault: {deploy: {parameters: {parameter_overrides: [A=1, {B: 02}]}}}";
        assert_eq!(values(&[("samconfig.yaml", yaml)], "default"), "A=1; B=02");
        let json = r#"{"default": {"deploy": {"parameters": {"parameter_overrides": "A=1"}}}}"#;
        assert_eq!(values(&[("samconfig.json", json)], "default"), "A=1");
        assert_eq!(values(&[("samconfig.toml", "version = 0.1\n")], "default"), "");
        for (name, text) in [("samconfig.json", json), ("samconfig.yaml", yaml)] {
            let marked = format!("\u{feff}{text}");
            assert_eq!(values(&[(name, &marked)], "default"), values(&[(name, text)], "default"));
        }
    }
}
