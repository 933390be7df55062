//! Class files: the names of a class, of what it extends, and of its methods (JVM specification,
//! chapter 4). Reads nothing else, and nothing beyond the end of the bytes.

/// What a class file says of its class. Names have `/` between their parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassFile {
    pub(super) superclass: Option<String>,
    pub(super) interfaces: Vec<String>,
    pub(super) methods: Vec<String>,
}

/// Reads a class; `None` for what is none.
pub(super) fn read(bytes: &[u8]) -> Option<ClassFile> {
    let mut input = Input(bytes);
    if input.number(4)? != 0xcafe_babe {
        return None;
    }
    input.skip(4)?; // version
    let constants = Constants::read(&mut input)?;
    input.skip(4)?; // access, this class
    let superclass = match input.number(2)? {
        0 => None,
        index => Some(constants.class(index)?),
    };
    let count = input.number(2)?;
    let interfaces = (0..count).map(|_| constants.class(input.number(2)?));
    let interfaces = interfaces.collect::<Option<Vec<_>>>()?;
    members(&mut input, &constants)?; // fields
    let methods = members(&mut input, &constants)?;
    Some(ClassFile { superclass, interfaces, methods })
}

/// The names of fields or methods.
fn members(input: &mut Input<'_>, constants: &Constants<'_>) -> Option<Vec<String>> {
    let count = input.number(2)?;
    let mut names = Vec::new();
    for _ in 0..count {
        input.skip(2)?; // access
        names.push(constants.text(input.number(2)?)?);
        input.skip(2)?; // descriptor
        for _ in 0..input.number(2)? {
            input.skip(2)?; // the attribute's name
            let length = input.number(4)?;
            input.skip(length)?;
        }
    }
    Some(names)
}

/// The texts and classes of a constant pool, by index.
struct Constants<'a> {
    entries: Vec<Constant<'a>>,
}

enum Constant<'a> {
    Text(&'a [u8]),
    Class(usize),
    Other,
}

impl<'a> Constants<'a> {
    fn read(input: &mut Input<'a>) -> Option<Self> {
        let count = input.number(2)?;
        let mut entries = vec![Constant::Other]; // the first index is 1
        while entries.len() < count {
            let entry = match input.number(1)? {
                1 => {
                    let length = input.number(2)?;
                    Constant::Text(input.skip(length)?)
                }
                7 => Constant::Class(input.number(2)?),
                3 | 4 | 9..=12 | 17 | 18 => {
                    input.skip(4)?;
                    Constant::Other
                }
                5 | 6 => {
                    input.skip(8)?;
                    entries.push(Constant::Other); // these take two places
                    Constant::Other
                }
                8 | 16 | 19 | 20 => {
                    input.skip(2)?;
                    Constant::Other
                }
                15 => {
                    input.skip(3)?;
                    Constant::Other
                }
                _ => return None,
            };
            entries.push(entry);
        }
        Some(Self { entries })
    }

    fn text(&self, index: usize) -> Option<String> {
        match self.entries.get(index)? {
            Constant::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    fn class(&self, index: usize) -> Option<String> {
        match self.entries.get(index)? {
            Constant::Class(name) => self.text(*name),
            _ => None,
        }
    }
}

/// Bytes that were not read yet.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn skip(&mut self, count: usize) -> Option<&'a [u8]> {
        let (read, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(read)
    }

    /// A number of so many bytes, at most four.
    fn number(&mut self, bytes: usize) -> Option<usize> {
        let read = self.skip(bytes)?;
        Some(read.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}
