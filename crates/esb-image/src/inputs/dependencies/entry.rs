//! One requirement: where it comes from, and whether it has to be built.
//!
//! Owns telling names, addresses and paths apart as pip does. Refuses to open what it points to.

use std::path::{Path, PathBuf};

pub(crate) use esb_model::requirements::shown;

use super::lines;
use crate::fingerprint::Fingerprint;

/// What archives of packages end with, as pip knows them.
const ARCHIVES: [&str; 12] = [
    ".whl",
    ".zip",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
];

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileLine {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
}

/// A requirement or a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequirementEntry {
    pub(crate) place: FileLine,
    pub(crate) is_constraint: bool,
    pub(crate) source: Source,
    pub(crate) hashes: Vec<String>,
    /// The options of its build, by name and value.
    pub(crate) build: Vec<(&'static str, String)>,
}

/// The source of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An index, by name.
    Index(String),
    /// A wheel at a web address.
    Wheel(String),
    /// A repository, or an archive of sources at a web address.
    Remote(String),
    /// A file or folder of this machine.
    Local(Local),
}

/// `NAME[EXTRAS] @ PATH ; MARKER`, as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Local {
    /// With extras.
    pub(crate) name: Option<String>,
    pub(crate) path: PathBuf,
    /// `[a,b]` behind a path.
    pub(crate) extras: String,
    /// `subdirectory=x`, `egg=x`.
    pub(crate) fragment: String,
    /// With its `;`.
    pub(crate) marker: String,
}

impl RequirementEntry {
    /// What has to be built, in words.
    pub(crate) fn builds(&self) -> Option<&'static str> {
        match &self.source {
            Source::Index(_) | Source::Wheel(_) => None,
            Source::Local(local) if local.is_wheel() => None,
            Source::Local(_) => Some("a local package"),
            Source::Remote(address) if is_repository(address) => Some("a repository"),
            Source::Remote(_) => Some("an archive of sources"),
        }
    }

    /// Whether the same line may stand for something else tomorrow, other than by a newer version.
    pub(crate) fn moves(&self) -> bool {
        let Source::Remote(address) = &self.source else { return false };
        if !is_repository(address) {
            return false;
        }
        let address = address.split(['#', ';']).next().unwrap_or_default().trim();
        let commit = address.rsplit_once('@').map_or("", |(_, commit)| commit);
        commit.len() != 40 || !commit.bytes().all(|c| c.is_ascii_hexdigit())
    }

    pub(crate) fn describe(&self, key: &mut Fingerprint) {
        key.number(u64::from(self.is_constraint));
        match &self.source {
            Source::Index(text) => key.text(text),
            Source::Wheel(text) | Source::Remote(text) => key.text(&without_user(text)),
            Source::Local(Local { name, extras, fragment, marker, .. }) => key
                .text(name.as_deref().unwrap_or_default())
                .text(&format!("{extras} {fragment} {marker}")),
        };
        for hash in &self.hashes {
            key.text(hash);
        }
    }

    /// Whether the marker leaves it out in the first patch version of a Python such as `3.13`, and
    /// may not in a later one.
    pub(crate) fn is_for_later_patch(&self, version: &str) -> bool {
        const NAMES: [&str; 2] = ["python_full_version", "implementation_version"];
        let marker = match &self.source {
            Source::Index(text) | Source::Wheel(text) | Source::Remote(text) => {
                split_marker(text).1
            }
            Source::Local(local) => &local.marker,
        };
        let parts: Vec<_> = marker.split(['\'', '"']).map(str::trim).collect();
        (1..parts.len()).step_by(2).any(|at| {
            let patch = parts[at].strip_prefix(version).and_then(|rest| rest.strip_prefix('.'));
            let Some(patch) = patch else { return false };
            let (before, after) = (parts[at - 1], parts.get(at + 1).copied().unwrap_or_default());
            let is_operator = |c: char| "<>=!~".contains(c);
            let name = before.trim_end_matches(is_operator);
            let operator = &before[name.len()..];
            if NAMES.iter().any(|known| name.trim_end().ends_with(known)) {
                return match operator {
                    ">" => true,
                    "!=" => patch == "0",
                    ">=" | "==" | "===" | "~=" => !["0", "*"].contains(&patch),
                    _ => false,
                };
            }
            // `'3.13.1' <= python_full_version`
            let name = after.trim_start_matches(is_operator);
            let operator = &after[..after.len() - name.len()];
            let is_reversed = NAMES.iter().any(|known| name.trim_start().starts_with(known));
            is_reversed
                && match operator {
                    "<" => true,
                    "!=" => patch == "0",
                    "<=" | "==" | "===" => patch != "0",
                    _ => false,
                }
        })
    }

    /// Whether a tool reads of the rendered line what was read here, and no option beside.
    pub(crate) fn is_rendered_whole(&self) -> bool {
        let name_fits = match &self.source {
            Source::Local(local) if local.is_wheel() && local.name.is_none() => {
                let file = local.path.file_name().and_then(|name| name.to_str());
                file.and_then(|file| file.split('-').next()).is_some_and(is_name)
            }
            _ => true,
        };
        let hashes_fit = self.hashes.iter().all(|hash| lines::is_word(hash));
        name_fits
            && hashes_fit
            && lines::is_same_again(&self.render(&|_| "/p".to_owned()), self.hashes.len())
    }

    /// A line that has no options.
    pub(crate) fn new(place: FileLine, is_constraint: bool, source: Source) -> Self {
        Self { place, is_constraint, source, hashes: Vec::new(), build: Vec::new() }
    }

    /// The line for a tool, without what only a build listens to; `at` says where it finds a path.
    pub(crate) fn render(&self, at: &dyn Fn(&Path) -> String) -> String {
        let mut line = match &self.source {
            Source::Index(text) | Source::Wheel(text) | Source::Remote(text) => text.clone(),
            Source::Local(local) => local.render(&at(&local.path)),
        };
        for hash in &self.hashes {
            line.push_str(" --hash=");
            line.push_str(hash);
        }
        line
    }
}

impl Local {
    pub(crate) fn is_wheel(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "whl") && !self.path.is_dir()
    }

    fn render(&self, path: &str) -> String {
        let Self { name, extras, fragment, marker, .. } = self;
        let file = self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let wheel = self.is_wheel().then(|| file.split('-').next().unwrap_or_default());
        let name = name.clone().or_else(|| wheel.map(|name| format!("{name}{extras}")));
        let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
        match name {
            Some(name) => format!("{name} @ file://{}{fragment} {marker}", escaped(path)),
            None if !fragment.is_empty() => format!("file://{}{fragment} {marker}", escaped(path)),
            None => format!("{path}{extras} {marker}"),
        }
        .trim_end()
        .to_owned()
    }
}

/// Reads a requirement; `find` looks for a path, and says `None` when nothing is there.
///
/// # Errors
/// With the reason, when it is none or names a path that is not there.
pub(crate) fn source(text: &str, find: &dyn Fn(&str) -> Option<PathBuf>) -> Result<Source, String> {
    let (before, marker) = split_marker(text);
    let (name, address) = match before.split_once('@') {
        Some((name, address)) if is_name(name.trim()) => (Some(name.trim()), address.trim()),
        _ => (None, before),
    };
    let whole = || match name {
        Some(name) => format!("{name} @ {address} {marker}").trim_end().to_owned(),
        None => format!("{address} {marker}").trim_end().to_owned(),
    };
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("file") => {
            let (url, fragment) = address.split_once('#').unwrap_or((address, ""));
            let path = &url["file:".len()..];
            let path = path.strip_prefix("//localhost").unwrap_or(path);
            let path = percent_decoded(path.strip_prefix("//").unwrap_or(path));
            let (path, extras) = split_extras(&path);
            return local(name, (path, true), extras, fragment, marker, find);
        }
        Some(scheme) if address.contains("://") && is_scheme(scheme) => {
            let place = address.split(['#', '?']).next().unwrap_or_default();
            let plain = scheme == "http" || scheme == "https";
            let is_wheel = plain && place.trim_end().to_ascii_lowercase().ends_with(".whl");
            return Ok(if is_wheel { Source::Wheel(whole()) } else { Source::Remote(whole()) });
        }
        Some(_) if address.starts_with("git+") => return Ok(Source::Remote(whole())),
        _ => {}
    }
    if name.is_none()
        && let Some(line) = by_name(before, marker)
    {
        // `name/` and `name.zip` are paths; a folder of a package's name is not.
        return Ok(Source::Index(line));
    }
    let (path, extras) = split_extras(address);
    local(name, (path, false), extras, "", marker, find)
}

/// A requirement of a wheel at a web address, as one of the same wheel on this machine.
pub(crate) fn at_path(text: &str, path: PathBuf) -> Option<Source> {
    let (before, marker) = split_marker(text);
    let name = before.split_once('@').map(|(name, _)| name.trim()).filter(|name| is_name(name));
    let (name, marker) = (name.map(str::to_owned), marker.to_owned());
    let local = Local { name, path, marker, ..Local::default() };
    local.is_wheel().then_some(Source::Local(local))
}

fn local(
    name: Option<&str>,
    (path, is_file_url): (&str, bool),
    extras: &str,
    fragment: &str,
    marker: &str,
    find: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Source, String> {
    let shown = shown(path);
    let is_path = path.contains('/') || path.starts_with('.') || is_archive(path) || is_file_url;
    if path.is_empty() || !is_path && name.is_none() {
        return Err(format!("`{shown}` is not a requirement"));
    }
    if name.is_none()
        && path.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(format!("`{shown}` is not a path that a line can hold"));
    }
    let found = find(path).or_else(|| find(&path.replace("\\ ", " ")));
    let path = found.ok_or_else(|| format!("there is no `{shown}`"))?;
    if !path.is_dir() && !is_archive(&path.to_string_lossy()) {
        return Err(format!("`{shown}` is neither a folder nor a wheel or an archive of sources"));
    }
    let (extras, fragment, marker) = (extras.to_owned(), fragment.to_owned(), marker.to_owned());
    Ok(Source::Local(Local { name: name.map(str::to_owned), path, extras, fragment, marker }))
}

/// A requirement by name in one form; `None` when it is a path or nonsense.
fn by_name(text: &str, marker: &str) -> Option<String> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let (extras, versions) = match rest.trim_start().strip_prefix('[') {
        Some(inner) => {
            let (extras, versions) = inner.split_once(']')?;
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-, ".contains(c);
            (Some(extras).filter(|extras| extras.chars().all(fits))?, versions)
        }
        None => ("", rest),
    };
    let versions = versions.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || "<>=!~(), .*+-_".contains(c);
    let is_range = versions.is_empty() || versions.starts_with(['<', '>', '=', '!', '~', '(']);
    let right = is_name(name)
        && !is_archive(name)
        && is_range
        && versions.chars().all(fits)
        && !versions.contains(" -");
    let extras = if extras.is_empty() { String::new() } else { format!("[{extras}]") };
    right.then(|| format!("{name}{extras}{versions} {marker}").trim_end().to_owned())
}

/// `name` or `name[extras]`.
pub(crate) fn is_name(text: &str) -> bool {
    let (name, extras) = split_extras(text);
    let ends = [name.bytes().next(), name.bytes().last()];
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    ends.iter().all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
        && name.bytes().all(fits)
        && !extras.contains(['/', '@'])
}

/// In an address a `;` belongs to a marker only after white space.
fn split_marker(text: &str) -> (&str, &str) {
    let at =
        if text.contains("://") { text.find(" ;").or(text.find("; ")) } else { text.find(';') };
    let (before, marker) = text.split_at(at.unwrap_or(text.len()));
    (before.trim(), marker.trim())
}

fn split_extras(text: &str) -> (&str, &str) {
    match text.find('[') {
        Some(at) if text.ends_with(']') => (text[..at].trim_end(), &text[at..]),
        _ => (text, ""),
    }
}

fn is_scheme(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ARCHIVES.iter().any(|end| name.ends_with(end))
}

fn is_repository(text: &str) -> bool {
    let address = text.split_once(" @ ").map_or(text, |(_, address)| address).trim_start();
    let scheme = address.split(':').next().unwrap_or_default();
    scheme.contains('+') || ["git", "ssh"].contains(&scheme) || address.starts_with("git+")
}

/// An address without what stands before the `@` of its host.
pub(crate) fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#', ' ']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// A text with each address in it as it is without its password.
pub(crate) fn without_users(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(without_user).collect()
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path as addresses have it.
pub(crate) fn escaped(path: &str) -> String {
    use std::fmt::Write as _;
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"/._-~+".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Source, String> {
        // Everything is there, and what has no ending is a folder.
        source(text, &|path| {
            Some(Path::new("/usr").join(path)).filter(|_| !path.contains("missing"))
        })
    }

    #[test]
    fn names() {
        for (text, expected) in [
            ("six", "six"),
            ("Six [a, b] >= 1 , <2", "Six[a, b]>= 1 , <2"),
            ("idna; python_version < '3.12'", "idna ; python_version < '3.12'"),
            ("x(==1.*)", "x(==1.*)"),
        ] {
            assert_eq!(read(text), Ok(Source::Index(expected.to_owned())), "{text}");
        }
        for text in ["six -e ./x", "six nonsense", "\"six\"", "-six", "a b", "six[", "missing/x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses() {
        let wheel = "x @ https://h/a.whl?x=1#sha256=0 ; a";
        assert_eq!(read(wheel), Ok(Source::Wheel(wheel.to_owned())));
        let entry = |text: &str| RequirementEntry {
            place: FileLine { file: "r".into(), line: 1 },
            is_constraint: false,
            source: read(text).unwrap(),
            hashes: Vec::new(),
            build: Vec::new(),
        };
        let commit = "a".repeat(40);
        for (text, builds, moves) in [
            ("https://u:p@h/a.whl", None, false),
            ("https://h/a.tar.gz", Some("an archive of sources"), false),
            ("x@https://h/a.whl/", Some("an archive of sources"), false),
            ("git+https://h/x.git", Some("a repository"), true),
            (&format!("git+ssh://git@h/x@{commit}#egg=x"), Some("a repository"), false),
            ("x @ git+https://h/x@main", Some("a repository"), true),
            ("git+git@h:x/y.git", Some("a repository"), true),
            ("bzr+http://h/x", Some("a repository"), true),
            ("ext://h/x", Some("an archive of sources"), false),
        ] {
            let entry = entry(text);
            assert_eq!((entry.builds(), entry.moves()), (builds, moves), "{text}");
        }
        assert_eq!(without_user("x @ https://u:p@h/a@b"), "x @ https://h/a@b");
    }

    #[test]
    fn patch_versions() {
        for (marker, expected) in [
            ("python_full_version >= '3.13.1'", true),
            ("sys_platform == 'linux' and (python_full_version>\"3.13.0\")", true),
            ("'3.13.2' <= python_full_version", true),
            ("python_full_version == '3.13.4'", true),
            ("python_full_version != '3.13.0'", true),
            ("implementation_version >= '3.13.1'", true),
            ("python_full_version >= '3.13.0'", false),
            ("python_full_version < '3.13.3'", false),
            ("'3.13.2' > python_full_version", false),
            ("python_full_version == '3.13.*'", false),
            ("python_full_version >= '3.12.1'", false),
            ("python_full_version >= '3.130.1'", false),
            ("python_version >= '3.13'", false),
            ("python_full_version >= '", false),
        ] {
            let place = FileLine { file: "r".into(), line: 1 };
            for requirement in ["six", "six @ https://h/six.whl"] {
                let source = read(&format!("{requirement} ; {marker}")).unwrap();
                let entry = RequirementEntry::new(place.clone(), false, source);
                assert_eq!(entry.is_for_later_patch("3.13"), expected, "{marker}");
            }
        }
    }

    #[test]
    fn paths() {
        let check = |text: &str, path: &str, rendered: &str| {
            let found = read(text);
            let Ok(Source::Local(local)) = &found else { panic!("{text}: {found:?}") };
            assert_eq!(local.path, Path::new(path), "{text}");
            assert_eq!(local.render(path), rendered, "{text}");
        };
        check("./share", "/usr/./share", "/usr/./share");
        check("./share [a]; m", "/usr/./share", "/usr/./share[a] ; m");
        check(
            "lib/a-1-py3-none-any.whl",
            "/usr/lib/a-1-py3-none-any.whl",
            "a @ file:///usr/lib/a-1-py3-none-any.whl",
        );
        check("a b-1.tar.gz", "/usr/a b-1.tar.gz", "/usr/a b-1.tar.gz");
        check("x[y] @ ./share ; m", "/usr/./share", "x[y] @ file:///usr/./share ; m");
        check("file:///usr/a%20b-1.whl[c]", "/usr/a b-1.whl", "a b[c] @ file:///usr/a%20b-1.whl");
        check("file:share#egg=x", "/usr/share", "file:///usr/share#egg=x");
        check("/usr/share", "/usr/share", "/usr/share");
    }
}
