//! Finds the SAM templates of a folder.
//!
//! Decides by a look at the text: what a template means is another module's work.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use esb_model::decode_text;

/// Folders of tools, whose templates are made or somebody else's. Hidden folders are left out too.
const LEFT_OUT: [&str; 5] = ["node_modules", "target", "venv", "__pycache__", "cdk.out"];

/// The most bytes of a template that are read, the most folders, and how deep they lie.
const FILE_LIMIT: u64 = 4 * 1024 * 1024;
const FOLDER_LIMIT: usize = 20_000;
const DEPTH: usize = 16;

/// The templates below a folder, relative to it, in order. A template that another one nests is no
/// application of its own.
pub(super) fn find(folder: &Path) -> io::Result<Vec<String>> {
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((place, depth)) = open.pop() {
        seen += 1;
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            // Nobody deploys from a folder that cannot be read.
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                let is_ours = !name.starts_with('.') && !LEFT_OUT.contains(&&*name);
                // A generator's template is none yet.
                let is_real = !name.contains("{{");
                if is_ours && is_real && depth < DEPTH && open.len() + seen < FOLDER_LIMIT {
                    open.push((entry.path(), depth + 1));
                }
            } else if (kind.is_file() || kind.is_symlink())
                && let Some(text) = template(&entry.path(), &name)
            {
                found.push((entry.path(), text));
            }
        }
    }
    let nested: BTreeSet<PathBuf> =
        found.iter().flat_map(|(path, text)| nested(path, text)).collect();
    // A link to another of them is no second application.
    let real: BTreeSet<PathBuf> = found.iter().map(|(path, _)| path.clone()).collect();
    let is_other = |path: &Path| {
        path.is_symlink() && path.canonicalize().is_ok_and(|target| real.contains(&target))
    };
    found.retain(|(path, _)| !is_other(path));
    let relative = |path: &Path| path.strip_prefix(folder).ok()?.to_str().map(str::to_owned);
    let own = found.iter().filter(|(path, _)| !nested.contains(path));
    let mut templates: Vec<String> = own.filter_map(|(path, _)| relative(path)).collect();
    templates.sort_by(|a, b| (a.matches('/').count(), a).cmp(&(b.matches('/').count(), b)));
    Ok(templates)
}

/// The text of a file that is a SAM template.
fn template(path: &Path, name: &str) -> Option<String> {
    let is_named = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
    // What `sam package` writes has no code on this machine.
    if !is_named || name.starts_with("packaged") {
        return None;
    }
    let text = decode_text(esb_oci::read_file(path, FILE_LIMIT).ok()?).ok()?;
    let has_resources = text.lines().any(|line| {
        let key = line.split_once(':').map_or("", |(key, _)| key.trim_end());
        key.trim_matches('\'') == "Resources" || line.contains("\"Resources\"")
    });
    let is_sam = ["AWS::Serverless-2016-10-31", "AWS::Serverless::", "AWS::Lambda::Function"]
        .iter()
        .any(|words| text.contains(words));
    (has_resources && is_sam).then_some(text)
}

/// The local templates that a template nests by `Location` or `TemplateURL`.
fn nested(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let keys = ["Location", "TemplateURL"];
    let value = |line: &str| {
        let (key, value) = line.trim().split_once(':')?;
        keys.contains(&key.trim().trim_matches('"')).then_some(())?;
        let value = value.trim().trim_end_matches(',').trim_matches(['"', '\'']);
        Some(esb_deploy::normal(&folder.join(value)))
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_of_the_project_alone() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let sam = "Transform: AWS::Serverless-2016-10-31\nResources:\n  A: {}\n";
        for name in [
            "template.yaml",
            "orders/template.yml",
            "orders/api/stack.yaml",
            ".aws-sam/build/template.yaml",
            ".esb/x/template.yaml",
            "node_modules/x/template.yaml",
            "{{name}}/template.yaml",
            "packaged.yaml",
            "child.yaml",
        ] {
            write(name, sam);
        }
        write("parent.yaml", &format!("{sam}  B:\n    Location: ./child.yaml\n"));
        write("app.json", r#"{"Resources": {"F": {"Type": "AWS::Lambda::Function"}}}"#);
        write("spaced.yaml", &sam.replace("Resources:", "Resources :"));
        write("quoted.yaml", &sam.replace("Resources:", "'Resources':"));
        let wide: Vec<u8> =
            format!("\u{feff}{sam}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(folder.path().join("wide.yaml"), wide).unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), sam).unwrap();
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        };
        link(outside.path(), "linked.yaml");
        link(&folder.path().join("template.yaml"), "same.yaml");
        link(Path::new("nowhere"), "dangling.yaml");
        write("values.yaml", "a: AWS::Serverless::Function\n");
        write("bucket.yaml", "Resources:\n  B: {Type: AWS::S3::Bucket}\n");
        write("notes.md", sam);
        let expected = [
            "app.json",
            "linked.yaml",
            "parent.yaml",
            "quoted.yaml",
            "spaced.yaml",
            "template.yaml",
            "wide.yaml",
            "orders/template.yml",
            "orders/api/stack.yaml",
        ];
        assert_eq!(find(folder.path()).unwrap(), expected);
        assert!(find(&folder.path().join("absent")).is_err());
    }
}
