//! Reads the fenced blocks of a Markdown page: `console` blocks with the commands that they show, and
//! files that a page tells its reader to write.
//!
//! Comments on the lines directly above a fence say what is not visible:
//!
//! - `<!-- file: PATH -->`: the block is a file with this path, seen from the page's folder
//! - `<!-- project: NAME -->`: from here on, commands run in a new copy of this fixture
//! - `<!-- exit: N -->`: the last command of the block ends with this code
//! - `<!-- not run: REASON -->`: the block cannot be run by a test

/// What a page has its reader do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new copy of a fixture.
    Project(String),
    /// A file with its content.
    File { path: String, content: String },
    /// A `console` block.
    Console(Block),
}

/// A `console` block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) commands: Vec<Shown>,
    /// The exit code of the last command.
    pub(crate) exit: i32,
    /// Why it cannot be run.
    pub(crate) not_run: Option<String>,
}

/// A command with the output that is shown below it; none is shown where any will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) command: String,
    pub(crate) output: Vec<String>,
}

/// Reads a page, or says what is wrong with it and in which line.
pub(crate) fn read(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut above = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let start = line.trim_start();
        let indent = line.len() - start.len();
        if let Some(directive) = directive(start) {
            above.push(directive);
            continue;
        }
        let Some(language) = start.strip_prefix("```") else {
            above.clear();
            continue;
        };
        let mut content = Vec::new();
        let mut is_closed = false;
        for (_, line) in lines.by_ref() {
            if line.trim() == "```" {
                is_closed = true;
                break;
            }
            content.push(line.get(indent..).unwrap_or_default());
        }
        if !is_closed {
            return Err(format!("line {}: the block has no end", number + 1));
        }
        block(language.trim(), &content, &above, number + 1, &mut steps)
            .map_err(|wrong| format!("line {}: {wrong}", number + 1))?;
        above.clear();
    }
    Ok(steps)
}

/// The name and the text of `<!-- NAME: TEXT -->`.
fn directive(line: &str) -> Option<(&str, &str)> {
    let inner = line.strip_prefix("<!--")?.strip_suffix("-->")?;
    let (name, text) = inner.split_once(':')?;
    Some((name.trim(), text.trim()))
}

fn block(
    language: &str,
    content: &[&str],
    above: &[(&str, &str)],
    line: usize,
    steps: &mut Vec<Step>,
) -> Result<(), String> {
    if matches!(language, "bash" | "sh" | "shell") {
        return Err("commands stand in a `console` block, each behind `$ `".to_owned());
    }
    let mut block = Block { line, ..Block::default() };
    for (name, text) in above {
        match *name {
            "file" => {
                let content = content.join("\n") + "\n";
                steps.push(Step::File { path: (*text).to_owned(), content });
            }
            "project" => steps.push(Step::Project((*text).to_owned())),
            "exit" => block.exit = text.parse().map_err(|_| format!("`{text}` is no exit code"))?,
            "not run" => block.not_run = Some((*text).to_owned()),
            // A comment of another kind.
            _ => {}
        }
    }
    if language == "console" {
        block.commands = commands(content)?;
        steps.push(Step::Console(block));
    }
    Ok(())
}

fn commands(content: &[&str]) -> Result<Vec<Shown>, String> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut continues = false;
    for line in content {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (_, Some(shown)) if continues => {
                shown.command.push('\n');
                shown.command.push_str(line);
            }
            (Some(command), _) => {
                commands.push(Shown { command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(shown)) => {
                shown.output.push((*line).to_owned());
                continue;
            }
            (None, None) => return Err("it does not begin with `$ `".to_owned()),
        }
        continues = line.ends_with('\\');
    }
    for shown in &mut commands {
        while shown.output.last().is_some_and(|line| line.trim().is_empty()) {
            shown.output.pop();
        }
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_files_and_comments_are_read() {
        let text = "# A\n<!-- project: quickstart -->\n<!-- exit: 7 -->\n```console\n$ a \\\n    -b\n\
                    out\n\n$ c # why\n\n```\n\n<!-- file: x/y.py -->\n```python\nimport z\n\n  q\n```\n\
                    - in a list\n\n  <!-- not run: no Gateway -->\n  ```console\n  $ curl x\n  ```\n\
                    ```yaml\na: 1\n```\n";
        let shown = |command: &str, output: &[&str]| Shown {
            command: command.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(
            read(text).unwrap(),
            [
                Step::Project("quickstart".to_owned()),
                Step::Console(Block {
                    line: 4,
                    commands: vec![shown("a \\\n    -b", &["out"]), shown("c # why", &[])],
                    exit: 7,
                    not_run: None,
                }),
                Step::File { path: "x/y.py".to_owned(), content: "import z\n\n  q\n".to_owned() },
                Step::Console(Block {
                    line: 22,
                    commands: vec![shown("curl x", &[])],
                    exit: 0,
                    not_run: Some("no Gateway".to_owned()),
                }),
            ]
        );
    }

    #[test]
    fn what_no_test_could_run_is_refused() {
        let wrong = |text: &str| read(text).unwrap_err();
        assert_eq!(
            wrong("a\n```bash\nesb deploy\n```\n"),
            "line 2: commands stand in a `console` block, each behind `$ `"
        );
        assert_eq!(wrong("```console\nesb deploy\n```\n"), "line 1: it does not begin with `$ `");
        assert_eq!(wrong("\n```text\nx\n"), "line 2: the block has no end");
    }
}
