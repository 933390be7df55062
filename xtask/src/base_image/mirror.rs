//! Finds the mirror of Debian packages that this machine uses.
//!
//! Owns the reading of apt's own sources, in both of their formats, so that no file of ours names a
//! package host. Refuses sources of other distributions and of add-ons.

use esb_test::Missing;
use std::{fs, path::Path};

const SOURCES: &str = "/etc/apt/sources.list";
const SOURCES_FOLDER: &str = "/etc/apt/sources.list.d";

/// Suites by which a source is known to be Debian's own archive.
const DEBIAN_SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// One archive of a source: where it is, and one suite of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uri: String,
    suite: String,
    main: bool,
}

/// The address of the Debian archive that this machine's apt uses.
///
/// A source of the wanted suite comes first, then one of any suite, for all lie in one archive.
pub(crate) fn debian_mirror(suite: &str) -> Result<String, Missing> {
    let mut sources = Vec::new();
    let mut read = |path: &Path| {
        let Ok(text) = fs::read_to_string(path) else { return };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("list") => sources.extend(one_line(&text)),
            Some("sources") => sources.extend(deb822(&text)),
            _ => {}
        }
    };
    read(Path::new(SOURCES));
    let listed = fs::read_dir(SOURCES_FOLDER).into_iter().flatten().flatten();
    let mut files: Vec<_> = listed.map(|entry| entry.path()).collect();
    files.sort();
    for path in &files {
        read(path);
    }
    choose(&sources, suite).ok_or_else(|| {
        Missing::new(
            "Debian package mirror",
            format!("no source of Debian's `main` in `{SOURCES}` or `{SOURCES_FOLDER}`"),
        )
    })
}

fn choose(sources: &[Source], suite: &str) -> Option<String> {
    let debian = |source: &&Source| source.main && DEBIAN_SUITES.contains(&source.suite.as_str());
    let mut exact = sources.iter().filter(debian).filter(|source| source.suite == suite);
    let mut any = sources.iter().filter(debian);
    exact.next().or_else(|| any.next()).map(|source| source.uri.clone())
}

/// Lines as `deb [signed-by=…] URI SUITE COMPONENT…`.
fn one_line(text: &str) -> Vec<Source> {
    let parse = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Source { uri, suite, main: words.any(|word| word == "main") })
    };
    text.lines().filter_map(parse).collect()
}

/// Paragraphs of `Types:`, `URIs:`, `Suites:`, `Components:`.
fn deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut sources = Vec::new();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in paragraph {
            match (line.split_once(':'), fields.last_mut()) {
                _ if line.starts_with([' ', '\t']) => {
                    if let Some((_, value)) = fields.last_mut() {
                        value.push(' ');
                        value.push_str(line.trim());
                    }
                }
                (Some((name, value)), _) => {
                    fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
                }
                (None, _) => {}
            }
        }
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let has = |name: &str, word: &str| field(name).split_whitespace().any(|one| one == word);
        if field("enabled").eq_ignore_ascii_case("no") || !has("types", "deb") {
            continue;
        }
        for uri in field("uris").split_whitespace() {
            for suite in field("suites").split_whitespace() {
                sources.push(Source {
                    uri: uri.to_owned(),
                    suite: suite.to_owned(),
                    main: has("components", "main"),
                });
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sources: &[Source], suite: &str, uri: Option<&str>) {
        assert_eq!(choose(sources, suite).as_deref(), uri);
    }

    #[test]
    fn the_wanted_suite_wins_over_another_one() {
        let sources = one_line(
            "# deb http://comment.example bookworm main\n\
             deb https://addon.example/x stable-addon main\n\
             deb-src http://source.example trixie main\n\
             deb http://security.example bookworm-security main\n\
             deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian bookworm main contrib\n\
             deb http://two.example/debian trixie contrib main # why\n\
             deb http://three.example/debian sid contrib\n",
        );
        check(&sources, "bookworm", Some("http://one.example/debian"));
        check(&sources, "trixie", Some("http://two.example/debian"));
        check(&sources, "sid", Some("http://one.example/debian"));
        check(&[], "trixie", None);
    }

    #[test]
    fn paragraphs_are_read_as_lines_are() {
        let sources = deb822(
            "Types: deb\nURIs: https://addon.example\nSuites: nodistro\nComponents: main\n\n\
             Enabled: no\nTypes: deb\nURIs: http://off.example\nSuites: trixie\nComponents: main\n\
             \n\
             Types: deb deb-src\n# a comment\nURIs: http://one.example/debian\n\
             Suites: bookworm\n bookworm-updates\nComponents: contrib main\n\
             Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n",
        );
        check(&sources, "trixie", Some("http://one.example/debian"));
        assert_eq!(sources.len(), 3);
    }
}
