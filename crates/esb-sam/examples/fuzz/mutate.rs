//! Changes inputs, by bytes, lines and words that mean something in templates.

/// Longer inputs only cost time.
const LONGEST: usize = 64 << 10;

/// What templates are made of.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "\n",
    "\n  ",
    "- ",
    "'",
    "\"",
    "# ",
    "| ",
    ">-\n",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!!binary ",
    "!Ref ",
    "!Sub ",
    "!GetAtt ",
    "!If ",
    "!Join ",
    "!Select ",
    "!Split ",
    "!FindInMap ",
    "!Equals ",
    "!And ",
    "!Or ",
    "!Not ",
    "!Condition ",
    "!Base64 ",
    "!Cidr ",
    "!GetAZs ",
    "!ImportValue ",
    "!Transform ",
    "!Nope ",
    "Fn::ForEach::X",
    "Fn::If",
    "Fn::Sub",
    "Fn::Length",
    "Fn::ToJsonString",
    "Ref",
    "Condition",
    "AWS::NoValue",
    "AWS::Region",
    "AWS::Include",
    "Resources",
    "Parameters",
    "Globals",
    "Mappings",
    "Conditions",
    "Transform",
    "Type",
    "Properties",
    "Metadata",
    "AWS::Serverless::Function",
    "AWS::Serverless::Api",
    "AWS::Serverless::Application",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::Events::Rule",
    "AWS::ApiGateway::Method",
    "Events",
    "Environment",
    "Variables",
    "Layers",
    "CodeUri",
    "InlineCode",
    "Runtime",
    "python3.12",
    "Handler",
    "Location",
    "DefinitionBody",
    "AllowedPattern",
    "AllowedValues",
    "NoEcho",
    "Default",
    "CommaDelimitedList",
    "List<Number>",
    "${",
    "}",
    "${A}",
    "${!A}",
    "&{N}",
    "${AWS::Region}",
    "{{resolve:ssm:x}}",
    "arn:aws:lambda:r:1:layer:x:1",
    "s3://b/k",
    "rate(1 day)",
    "0777",
    "1:30",
    "1e3",
    "0x1F",
    ".inf",
    "yes",
    "~",
    "null",
    "-1",
    "99999999999",
    "\u{0}",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{feff}",
    "é",
    "𝄞",
    "\t",
    "\r\n",
    "\\x41",
    "\\U0010FFFF",
];

/// A source of changed inputs; the same seed gives the same ones.
#[derive(Debug)]
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// A number below a bound that is not zero (xorshift).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or(0) % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A member of the corpus after a few changes.
    pub(crate) fn input(&mut self, corpus: &[String]) -> String {
        let mut bytes = self.pick(corpus).clone().into_bytes();
        for _ in 0..=self.below(6) {
            let other = self.pick(corpus).as_bytes();
            self.change(&mut bytes, other);
            bytes.truncate(LONGEST);
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let (from, to) = self.range(bytes, 40);
        match self.below(10) {
            0 => drop(bytes.drain(from..to)),
            1 | 2 => {
                let word = self.pick(WORDS).bytes();
                bytes.splice(from..to, word);
            }
            3 | 4 => {
                let word = self.pick(WORDS).bytes();
                bytes.splice(from..from, word);
            }
            5 => {
                // A piece, many times over.
                let piece = bytes[from..to].to_vec();
                let times = 1 << self.below(8);
                bytes.splice(from..from, piece.repeat(times));
            }
            6 => {
                let (first, last) = self.range(other, 400);
                bytes.splice(from..to, other[first..last].iter().copied());
            }
            7 => self.lines(bytes),
            8 => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = u8::try_from(self.below(256)).unwrap_or_default();
                }
            }
            _ => {
                // One word for another, wherever it stands first.
                let (old, new) = (self.pick(WORDS).as_bytes(), self.pick(WORDS).bytes());
                if let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
                    bytes.splice(at..at + old.len(), new);
                }
            }
        }
    }

    /// A part of some bytes, of limited length.
    fn range(&mut self, bytes: &[u8], longest: usize) -> (usize, usize) {
        let from = self.below(bytes.len() + 1);
        let to = (from + self.below(longest)).min(bytes.len());
        (from, to)
    }

    /// Moves, repeats or indents a line.
    fn lines(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let (from, to) = (self.below(lines.len()), self.below(lines.len()));
        let mut line = lines[from].clone();
        if self.below(2) == 0 {
            lines.remove(from);
        }
        match self.below(4) {
            0 => line.splice(..0, *b"  ").for_each(drop),
            1 if line.starts_with(b"  ") => drop(line.drain(..2)),
            _ => {}
        }
        lines.insert(to.min(lines.len()), line);
        *bytes = lines.join(&b'\n');
    }
}
