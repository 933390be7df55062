//! Modes of `--chmod`: octal, or symbolic such as `u=rwX,go=rX`, as `BuildKit` applies them.

/// A mode, or changes to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Up to 7777.
    Octal(u32),
    Symbolic(Vec<Change>),
}

/// One change of a symbolic mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Clear(u32),
    Set(u32),
    /// Of folders, and of what somebody could execute before.
    SetIfExecutable(u32),
    /// Copies the three bits of one class to others.
    Copy {
        /// How far the bits of the class lie from the right: 6, 3 or 0.
        from: u32,
        /// The bits of the classes that change.
        to: u32,
        operator: char,
    },
}

/// All that `chmod` changes but for the sticky bit.
const STANDARD: u32 = 0o6777;
const STICKY: u32 = 0o1000;

impl Mode {
    /// Reads a mode; none when it is no mode.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o7777)
                .map(Self::Octal);
        }
        symbolic(text).map(Self::Symbolic)
    }

    /// The mode of a copied file or folder, by the one that it had.
    pub(crate) fn apply(&self, before: u32, is_folder: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(changes) => {
                let executable = is_folder || before & 0o111 != 0;
                changes.iter().fold(before, |mode, change| change.apply(mode, executable))
            }
        }
    }

    /// The mode of folders that a copy makes on its way; symbolic modes leave them as they are.
    pub(crate) fn of_made_folders(&self) -> Option<u32> {
        if let Self::Octal(mode) = self { Some(mode & 0o777) } else { None }
    }
}

impl Change {
    fn apply(self, mode: u32, executable: bool) -> u32 {
        match self {
            Self::Clear(bits) => mode & !bits,
            Self::Set(bits) => mode | bits,
            Self::SetIfExecutable(bits) => mode | if executable { bits } else { 0 },
            Self::Copy { from, to, operator } => {
                let value = mode >> from & 0o7;
                let everywhere = (value << 6 | value << 3 | value) & to;
                match operator {
                    '+' => mode | everywhere,
                    '-' => mode & !everywhere,
                    _ => mode & !to | everywhere,
                }
            }
        }
    }
}

/// `clause[,clause…]`, each `[ugoa…]` and then operators with their permissions.
fn symbolic(text: &str) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for clause in text.split(',') {
        let start = clause.find(|c| !matches!(c, 'u' | 'g' | 'o' | 'a'))?;
        let who = clause[..start].chars().fold(0, |who, class| {
            who | match class {
                'u' => 0o4700,
                'g' => 0o2070,
                'o' => 0o7,
                _ => STANDARD,
            }
        });
        let mut rest = &clause[start..];
        while let Some(operator) = rest.chars().next() {
            if !matches!(operator, '+' | '-' | '=') {
                return None;
            }
            let permissions = &rest[1..];
            let end = permissions.find(['+', '-', '=']).unwrap_or(permissions.len());
            action(who, operator, &permissions[..end], &mut changes)?;
            rest = &permissions[end..];
        }
    }
    Some(changes)
}

/// One operator and what follows it. Nobody named means everybody.
fn action(mut who: u32, operator: char, permissions: &str, into: &mut Vec<Change>) -> Option<()> {
    let (mut bits, mut if_executable) = (0, 0);
    let only_others = who != 0 && who & !0o7 == 0;
    let mut copied = false;
    for permission in permissions.chars() {
        let from = match permission {
            'u' => 6,
            'g' => 3,
            'o' => 0,
            _ => {
                match permission {
                    'r' => bits |= 0o444,
                    'w' => bits |= 0o222,
                    'x' => bits |= 0o111,
                    'X' if operator == '-' => bits |= 0o111,
                    'X' => if_executable |= 0o111,
                    's' if !only_others => bits |= 0o6000,
                    't' if !only_others => {
                        who |= STICKY;
                        bits |= STICKY;
                    }
                    's' | 't' => {}
                    _ => return None,
                }
                continue;
            }
        };
        add(who, operator, (bits, if_executable), false, into);
        (bits, if_executable, copied) = (0, 0, true);
        let to = if who == 0 { 0o777 } else { who & 0o777 };
        into.push(Change::Copy { from, to, operator });
    }
    add(who, operator, (bits, if_executable), operator == '=' && !copied, into);
    Some(())
}

/// Adds the changes of some bits, and of those that only count where something is executable.
fn add(who: u32, operator: char, bits: (u32, u32), always: bool, into: &mut Vec<Change>) {
    let mask = if who == 0 { STANDARD | STICKY } else { who };
    let (bits, if_executable) = (bits.0 & mask, bits.1 & mask);
    if operator == '=' && (always || bits != 0) {
        into.push(Change::Clear(if who == 0 { STANDARD } else { who }));
    }
    match operator {
        '-' => into.push(Change::Clear(bits)),
        _ => into.push(Change::Set(bits)),
    }
    into.push(Change::SetIfExecutable(if_executable));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let check = |text: &str, before: u32, is_folder: bool, after: u32| {
            let mode = Mode::new(text).unwrap();
            assert_eq!(mode.apply(before, is_folder), after, "{text} {before:o}");
        };
        check("4711", 0o644, false, 0o4711);
        check("u=rwX,go=rX", 0o600, false, 0o644);
        check("u=rwX,go=rX", 0o700, false, 0o755);
        check("u=rwX,go=rX", 0o600, true, 0o755);
        check("+x", 0o644, false, 0o755);
        check("a-w", 0o644, false, 0o444);
        check("go=", 0o755, false, 0o700);
        check("=", 0o4755, false, 0);
        check("g=u,o=g-r", 0o751, false, 0o773);
        check("go=u-w", 0o640, false, 0o644);
        check("u+s,g+s,+t", 0o755, false, 0o7755);
        check("o+s", 0o755, false, 0o755);
        check("g+w-x", 0o750, false, 0o760);
        check("u-X", 0o755, false, 0o655);
        for bad in ["", "u", "u+", "8", "999", "10000", "u+q", "+644", "u+x,", "x", "u x"] {
            let found = Mode::new(bad);
            assert!(found.is_none() || bad == "u+", "{bad}: {found:?}");
        }
    }
}
