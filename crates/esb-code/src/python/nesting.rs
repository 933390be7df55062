//! How deep the parser would have to go into a text.
//!
//! A tree is walked and dropped by functions that call themselves, so that the depth of what comes
//! from outside needs a limit. Tokens are enough to know one that is never too low.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer::lex};

/// The deepest tree that is made. Python itself refuses two hundred brackets, and a hundred
/// indentations.
const DEEPEST: usize = 1500;

/// What is open at a place: operators since the last comma, and `lambda`s, whose own commas do not
/// end them.
#[derive(Debug, Default, Clone, Copy)]
struct Level {
    operators: usize,
    lambdas: usize,
}

/// Whether a text can be parsed within the limit.
pub(crate) fn is_shallow(text: &str) -> bool {
    let mut lexer = lex(text, Mode::Module);
    let mut levels = vec![Level::default()];
    let mut indents = 0_usize;
    let mut depth = 0_usize;
    loop {
        let kind = lexer.next_token();
        let level = levels.last_mut().expect("the lowest one is never closed");
        let before = level.operators + level.lambdas;
        match kind {
            TokenKind::EndOfFile => return true,
            TokenKind::Newline => {
                levels = vec![Level::default()];
                depth = 0;
                continue;
            }
            TokenKind::Indent => indents += 1,
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::Comma | TokenKind::Semi => level.operators = 0,
            TokenKind::Lambda => level.lambdas += 1,
            TokenKind::Name
            | TokenKind::Int
            | TokenKind::Float
            | TokenKind::Complex
            | TokenKind::String
            | TokenKind::FStringMiddle
            | TokenKind::TStringMiddle
            | TokenKind::Comment
            | TokenKind::NonLogicalNewline => {}
            _ => level.operators += 1,
        }
        depth = depth + level.operators + level.lambdas - before;
        match kind {
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => levels.push(Level::default()),
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd
                if levels.len() > 1 =>
            {
                let closed = levels.pop().unwrap_or_default();
                depth = depth.saturating_sub(closed.operators + closed.lambdas);
            }
            _ => {}
        }
        if depth + levels.len() + indents > DEEPEST {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths() {
        let check = |text: &str, expected: bool| {
            let shown: String = text.chars().take(40).collect();
            assert_eq!(is_shallow(text), expected, "{shown}");
        };
        check("", true);
        check(&"a = b.c(d) + [1, 2]\n".repeat(10_000), true);
        check(&format!("x = [{}]", "-1, ".repeat(100_000)), true);
        check(&format!("x = {{{}}}", "'a': f(1 + 2),\n".repeat(100_000)), true);
        check(&format!("x = ({})", "'text'\n".repeat(100_000)), true);
        for deep in ["(", "[", "{", "-", "not ", "a.", "a+", "a**", "a if b else ", "lambda a, b: "]
        {
            check(&format!("x = {}1", deep.repeat(10_000)), false);
        }
        check(&format!("x = a{}", "()".repeat(10_000)), false);
        check(&format!("x = a{}", "[0]".repeat(10_000)), false);
        check(&format!("x = {}", "f'{".repeat(10_000)), false);
        let blocks: Vec<_> = (0..3000).map(|n| format!("{}if a:\n", " ".repeat(n))).collect();
        check(&blocks.concat(), false);
    }
}
