//! Projects that benchmarks build: many small Python functions and one shared layer.
//!
//! Owns what is in them. The same number gives the same bytes on every machine.

use std::{
    fmt::Write as _,
    fs,
    io::{BufWriter, Read},
    path::{Path, PathBuf},
};

use crate::{checks::Outcome, folders};

/// Files of a function.
const FILES: usize = 10;
/// Files of the shared layer, and the bytes of all of them.
const LAYER: (usize, usize) = (60, 4_700_000);

/// A generated project.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) functions: usize,
}

impl Project {
    /// Writes a project with that many functions, and the shared layer unless there is one only.
    pub(crate) fn write(root: &Path, functions: usize) -> Outcome<Self> {
        folders::empty(root)?;
        let project = Self { root: root.to_owned(), functions };
        fs::write(root.join("esb.toml"), "")?;
        fs::write(root.join("template.yaml"), template(functions))?;
        let layer = root.join("layer/python/shared");
        fs::create_dir_all(&layer)?;
        for number in 0..LAYER.0 {
            let path = layer.join(format!("module_{number:02}.py"));
            fs::write(path, source(1_000_000 + number as u64, LAYER.1 / LAYER.0))?;
        }
        for number in 0..functions {
            let code = project.code(number);
            fs::create_dir_all(&code)?;
            fs::write(code.join("app.py"), "def handler(event, context):\n    return event\n")?;
            for file in 1..FILES {
                let seed = (number * FILES + file) as u64;
                fs::write(code.join(format!("part_{file}.py")), source(seed, 900))?;
            }
        }
        Ok(project)
    }

    /// The folder of a function's code.
    pub(crate) fn code(&self, number: usize) -> PathBuf {
        self.root.join("functions").join(name(number).to_lowercase())
    }

    /// Changes one line of one function, to another one each time.
    pub(crate) fn edit(&self, number: usize, round: usize) -> Outcome {
        let path = self.code(number).join("part_3.py");
        fs::write(path, source((number * FILES + 3) as u64, 900) + &format!("# edit {round}\n"))?;
        Ok(())
    }

    /// Adds a file of that many bytes, which do not compress, to the shared layer.
    pub(crate) fn enlarge(&self, bytes: u64) -> Outcome {
        let mut file = BufWriter::new(fs::File::create(self.root.join("layer/large.bin"))?);
        std::io::copy(&mut Noise::of(bytes).take(bytes), &mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(())
    }

    /// Archives of the shared layer and of each function, as `crane append` takes them.
    pub(crate) fn archives(&self, folder: &Path) -> Outcome {
        fs::create_dir_all(folder)?;
        archive(&self.root.join("layer"), "opt", &folder.join("layer.tar"))?;
        (0..self.functions).try_for_each(|number| self.archive(folder, number))
    }

    /// The archive of one function.
    pub(crate) fn archive(&self, folder: &Path, number: usize) -> Outcome {
        archive(&self.code(number), "var/task", &folder.join(format!("{}.tar", name(number))))
    }
}

/// The logical id of a function.
pub(crate) fn name(number: usize) -> String {
    format!("F{number:03}")
}

fn template(functions: usize) -> String {
    let mut text = "Transform: AWS::Serverless-2016-10-31\nGlobals:\n  Function:\n    Runtime: \
                    python3.13\n    Handler: app.handler\n    Timeout: 20\n    Layers:\n      - \
                    !Ref Shared\nResources:\n  Shared:\n    Type: \
                    AWS::Serverless::LayerVersion\n    Properties:\n      ContentUri: layer/\n"
        .to_owned();
    for name in (0..functions).map(name) {
        let _ = write!(
            text,
            "  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: \
             functions/{}/\n",
            name.to_lowercase()
        );
    }
    text
}

/// Text that compresses as programs do.
pub(crate) fn source(seed: u64, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "def", "return", "self", "value", "order", "if", "else", "for", "items", "total", "None",
        "raise", "import", "key", "result", "append",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = WORDS[(state % 16) as usize];
        let _ = match state >> 61 {
            0 => writeln!(text, "# {state:016x}"),
            1 => writeln!(text, "{word}()"),
            _ => write!(text, "{word}_{:x} ", (state >> 8) % 4096),
        };
    }
    text.truncate(bytes - 1);
    text.push('\n');
    text
}

/// Writes a layer of one file of that many bytes, which do not compress. The size is the seed.
pub(crate) fn noise(path: &Path, bytes: u64) -> Outcome {
    let mut tar = tar::Builder::new(BufWriter::new(fs::File::create(path)?));
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    tar.append_data(&mut header, format!("data-{bytes}"), Noise::of(bytes).take(bytes))?;
    tar.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(())
}

/// Bytes without end.
struct Noise {
    state: u64,
}

impl Noise {
    fn of(seed: u64) -> Self {
        Self { state: seed | 1 }
    }
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for piece in buffer.chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            piece.copy_from_slice(&self.state.to_le_bytes()[..piece.len()]);
        }
        Ok(buffer.len())
    }
}

fn archive(folder: &Path, prefix: &str, target: &Path) -> Outcome {
    let mut tar = tar::Builder::new(BufWriter::new(fs::File::create(target)?));
    tar.append_dir_all(prefix, folder)?;
    tar.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_size_and_does_not_compress() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layer.tar");
        noise(&path, 100_000).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() > 100_000);
        let mut encoder = flate2::read::GzEncoder::new(&bytes[..], flate2::Compression::fast());
        assert!(std::io::copy(&mut encoder, &mut std::io::sink()).unwrap() > 100_000);
    }

    #[test]
    fn a_project_has_its_size_and_an_edit_changes_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::write(dir.path(), 2).unwrap();
        let layer: Vec<u64> = fs::read_dir(dir.path().join("layer/python/shared"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!((layer.len(), layer.iter().sum::<u64>() / 100_000), (60, 46));
        let read = || -> Vec<String> {
            let entries = fs::read_dir(project.code(1)).unwrap();
            let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
        };
        let before = read();
        assert_eq!(before.len(), FILES);
        project.edit(1, 7).unwrap();
        let changed = before.iter().zip(read()).filter(|(old, new)| *old != new).count();
        assert_eq!(changed, 1);
        assert_ne!(source(1, 900), source(2, 900));
    }
}
