//! Checks that the Japanese pages say what the English ones say: the same pages, the same headings,
//! the same commands, and one spelling of each word.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    checks::Outcome,
    command::root,
    console::{
        page::{self, Step},
        pages,
    },
    mentions,
};

const JAPANESE: &str = "docs/ja";
/// English pages for people who change `esb`; they have no Japanese form.
const FOR_DEVELOPERS: [&str; 6] = [
    "docs/architecture.md",
    "docs/benchmarks.md",
    "docs/contracts/",
    "docs/crates.md",
    "docs/glossary.md",
    "docs/releases.md",
];

/// Words that have another spelling or another word in these pages. A word that only begins one that
/// is right is not meant.
const SPELLINGS: [(&str, &[&str], &str); 16] = [
    ("フォルダ", &["フォルダー"], "フォルダー"),
    ("パラメータ", &["パラメーター"], "パラメーター"),
    ("レイヤ", &["レイヤー"], "レイヤー"),
    ("ユーザ", &["ユーザー"], "ユーザー"),
    ("サーバ", &["サーバー"], "サーバー"),
    ("エミュレータ", &["エミュレーター"], "エミュレーター"),
    ("機械", &[], "マシン"),
    ("計算機", &[], "マシン"),
    ("基盤", &[], "プラットフォーム"),
    ("hooks", &["-hooks"], "フック"),
    ("掃除", &[], "クリーンアップ"),
    ("配達", &[], "配布"),
    ("くじ", &[], "ランダム"),
    ("罠", &[], "落とし穴"),
    ("文書", &[], "ドキュメント"),
    ("利用者", &[], "ユーザー"),
];

/// Checks all pages. `commands` is the reference page of commands, `everyday` the short helps whose
/// flags people use each day.
pub(crate) fn check(commands: &str, everyday: &str, wrong: &mut Vec<String>) -> Outcome {
    let mut all = String::new();
    for entry in walkdir::WalkDir::new(root().join(JAPANESE)).sort_by_file_name() {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.path().extension().is_some_and(|end| end == "md") {
            let text = fs::read_to_string(entry.path())?;
            spelling(&below(entry.path()), &text, wrong);
            all.push_str(&text);
        }
    }
    for english in pages()? {
        if FOR_DEVELOPERS.iter().any(|name| english.starts_with(name)) {
            continue;
        }
        let name = english.strip_prefix("docs/").unwrap_or(&english);
        let japanese = format!("{JAPANESE}/{name}");
        match fs::read_to_string(root().join(&japanese)) {
            Ok(text) => {
                let model = fs::read_to_string(root().join(&english))?;
                wrong.extend(differences(&model, &text).map(|what| format!("{japanese}: {what}")));
            }
            Err(_) => wrong.push(format!("{japanese} is missing: {english} has no Japanese form")),
        }
    }
    let missing = names(commands).into_iter().chain(flags(everyday));
    let missing = missing.filter(|name| !mentions(&all, name));
    wrong.extend(missing.map(|name| format!("{JAPANESE}: no page mentions `{name}`")));
    Ok(())
}

fn below(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The first difference of headings, and the first of commands with their output.
fn differences(english: &str, japanese: &str) -> impl Iterator<Item = String> {
    let levels =
        |text: &str| -> Vec<usize> { headings(text).iter().map(|(level, _)| *level).collect() };
    let (model, own) = (levels(english), levels(japanese));
    let headings = (model != own).then(|| {
        let first = model.iter().zip(&own).take_while(|(a, b)| a == b).count();
        let name = |text| {
            headings(text)
                .get(first)
                .map_or_else(|| "the end".to_owned(), |(_, name)| format!("`{name}`"))
        };
        format!(
            "other headings: {} stands where the English page has {}",
            name(japanese),
            name(english)
        )
    });
    let commands = match (console(english), console(japanese)) {
        (Ok(model), Ok(own)) => (model != own).then(|| {
            let first = model.iter().zip(&own).take_while(|(a, b)| a == b).count();
            let line =
                |lines: &[String]| lines.get(first).map_or("the end", String::as_str).to_owned();
            format!(
                "other commands: `{}` stands where the English page has `{}`",
                line(&own),
                line(&model)
            )
        }),
        (Err(error), _) | (_, Err(error)) => Some(error),
    };
    headings.into_iter().chain(commands)
}

/// The headings of a page with their levels; code in fences has none.
fn headings(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for line in text.lines() {
        is_fenced ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if !is_fenced && title.len() < line.len() && title.starts_with(' ') {
            found.push((line.len() - title.len(), title.trim().to_owned()));
        }
    }
    found
}

/// The lines of all `console` blocks. Comments behind commands are words, which are translated.
fn console(text: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for step in page::read(text)? {
        let Step::Console(block) = step else { continue };
        for shown in block.commands {
            let command = shown.command.split(" # ").next().unwrap_or_default();
            lines.push(format!("$ {}", command.trim_end()));
            lines.extend(shown.output);
        }
    }
    Ok(lines)
}

/// The commands that have a section in the reference.
fn names(commands: &str) -> Vec<String> {
    let titles = commands.lines().filter_map(|line| line.strip_prefix("## esb "));
    titles.map(|name| format!("esb {name}")).collect()
}

/// The long flags that begin a line of a help text.
fn flags(help: &str) -> BTreeSet<String> {
    let flags = help.lines().filter_map(mentions::flag);
    flags.filter(|flag| !["--help", "--version"].contains(&&**flag)).collect()
}

/// Whether a text has a name that is not the beginning of a longer one.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        let after = text[start + name.len()..].chars().next();
        after.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-')
    })
}

fn spelling(place: &str, text: &str, wrong: &mut Vec<String>) {
    let mut is_fenced = false;
    for (number, line) in text.lines().enumerate() {
        is_fenced ^= line.trim_start().starts_with("```");
        if is_fenced {
            continue;
        }
        for (word, right, better) in SPELLINGS {
            let mut rest = line.to_owned();
            for right in right {
                rest = rest.replace(right, "");
            }
            // Code keeps its spelling.
            let outside = rest.split('`').step_by(2).any(|part| part.contains(word));
            if outside {
                wrong.push(format!("{place}:{}: `{word}` is written `{better}` here", number + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_commands_are_compared() {
        let english = "# A\n## B\n```console\n$ esb a  # why\nout\n```\n";
        let check = |japanese: &str| differences(english, japanese).collect::<Vec<_>>();
        assert!(check("# あ\n## い\n```console\n$ esb a  # 理由\nout\n```\n").is_empty());
        assert_eq!(
            check("# あ\n### い\n```console\n$ esb b\nout\n```\n"),
            [
                "other headings: `い` stands where the English page has `B`",
                "other commands: `$ esb b` stands where the English page has `$ esb a`",
            ]
        );
        assert_eq!(check("# あ\n## い\n").len(), 1);
    }

    #[test]
    fn names_and_flags_are_found_whole() {
        assert_eq!(
            names("# C\n## esb\n## esb image ls\n## esb run\n"),
            ["esb image ls", "esb run"]
        );
        let help =
            "  -t, --template <PATH>  Template\n      --tag <TAG>  see --other\n  -h, --help\n";
        assert!(flags(help).iter().eq(["--tag", "--template"]));
        assert!(mentions("`esb image ls`", "esb image ls"));
        assert!(!mentions("esb cache gc", "esb cac") && !mentions("--env-file", "--env"));
    }

    #[test]
    fn words_have_one_spelling() {
        let mut wrong = Vec::new();
        let text = "フォルダーと `フォルダ` と hooks\n```\n機械\n```\nこのフォルダの`x-hooks`\n";
        spelling("a.md", text, &mut wrong);
        assert_eq!(
            wrong,
            [
                "a.md:1: `hooks` is written `フック` here",
                "a.md:5: `フォルダ` is written `フォルダー` here",
            ]
        );
    }
}
