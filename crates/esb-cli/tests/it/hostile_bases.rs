//! Base images whose layers are made to hurt: small to send, large to read. Each is refused, in
//! less memory than it asks for; the limit is the system's own on the data of a process.

use std::{
    io::{self, Read, Write as _},
    process::{Command, Stdio},
};

use esb_oci::{Blob, Digest, media_type};
use flate2::{Compression, write::GzEncoder};
use tar::EntryType;

use crate::{bases, context::Context};

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: \
    AWS::Serverless::Function\n    Properties: {Runtime: python3.13, Handler: app.handler, CodeUri: f/}\n";

/// Data of a process in KiB: 64 MiB, and what the stacks of its threads reserve.
const MEMORY: usize = (64 + 64) * 1024;

/// A layer that is compressed while it is made.
struct Layer(GzEncoder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::best()))
    }

    fn entry(&mut self, kind: EntryType, size: u64, content: impl Read) {
        let mut header = tar::Header::new_gnu();
        header.set_path("x").unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(size);
        header.set_cksum();
        self.0.write_all(header.as_bytes()).unwrap();
        let padding = size.next_multiple_of(512) - size;
        let mut content = content.chain(io::repeat(0).take(padding));
        io::copy(&mut content, &mut self.0).unwrap();
    }

    /// A name of GNU tar, and the file that has it.
    fn file(&mut self, name: &str) {
        self.entry(EntryType::GNULongName, name.len() as u64, name.as_bytes());
        self.entry(EntryType::Regular, 0, io::empty());
    }

    fn finish(mut self) -> Blob {
        self.0.write_all(&[0; 1024]).unwrap();
        Blob::from_bytes(media_type::OCI_LAYER_GZIP, self.0.finish().unwrap())
    }
}

/// Builds a function on a base with that layer, which is refused for what is `expected`.
#[track_caller]
fn refused(make: impl FnOnce(&mut Layer), largest: usize, expected: &str) {
    let mut layer = Layer::new();
    make(&mut layer);
    let layer = layer.finish();
    assert!(layer.descriptor.size < largest as u64, "{}", layer.descriptor.size);
    let context = Context::new(TEMPLATE);
    context.write("f/app.py", "handler = print\n");
    // Nobody reads it to its end, where its digest would count.
    let image = bases::of_layer("amd64", layer, Digest::of(b""));
    bases::write_images(&context.path().join("bases"), &[(bases::PYTHON.to_owned(), image)]);
    let build = ["build", "--quiet", "--to", "oci", "--mirror", "public.ecr.aws=oci:bases"];
    let plain = context.command(&build);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -d {MEMORY} && exec \"$0\" \"$@\"")])
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(context.path())
        .env_clear()
        .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{}: {said}", output.status);
    assert!(said.contains(expected), "{said}");
}

#[test]
fn names_that_are_too_long() {
    refused(|layer| layer.file(&"d/".repeat(30_000)), 10_000, "has 60000 bytes");
    let names = |layer: &mut Layer| {
        (0..1000).for_each(|at| layer.file(&format!("{at}{}", "n".repeat(60_000))));
    };
    refused(names, 1_000_000, "the limit is 4096");
}

#[test]
fn headers_that_are_too_large() {
    const SIZE: u64 = 512 << 20;
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let large = |layer: &mut Layer| {
            layer.entry(kind, SIZE, io::repeat(b'x').take(SIZE));
            layer.entry(EntryType::Symlink, 0, io::empty());
        };
        refused(large, 1_000_000, "what describes an entry has more than");
    }
    let path = |layer: &mut Layer| {
        let (before, size) = (format!("{SIZE} path="), SIZE);
        let rest = io::repeat(b'x').take(size - before.len() as u64 - 1).chain(&b"\n"[..]);
        layer.entry(EntryType::XHeader, size, before.as_bytes().chain(rest));
        layer.entry(EntryType::Regular, 0, io::empty());
    };
    refused(path, 1_000_000, "what describes an entry has more than");
}

#[test]
fn entries_that_are_too_many_together() {
    const MANY: &str = "too many entries";
    let long = |layer: &mut Layer| {
        (0..20_000).for_each(|at| layer.file(&format!("{at}{}", "n".repeat(4000))));
    };
    refused(long, 1_000_000, MANY);
    let deep = |layer: &mut Layer| {
        (0..1000).for_each(|at| layer.file(&format!("{at}{}", "/d".repeat(2000))));
    };
    refused(deep, 1_000_000, MANY);
    let links = |layer: &mut Layer| {
        for at in 0..20_000 {
            layer.entry(EntryType::GNULongLink, 4000, io::repeat(b'l').take(4000));
            let name = format!("{at}");
            layer.entry(EntryType::GNULongName, name.len() as u64, name.as_bytes());
            layer.entry(EntryType::Symlink, 0, io::empty());
        }
    };
    refused(links, 1_000_000, MANY);
    let short = |layer: &mut Layer| (0..600_000).for_each(|at| layer.file(&format!("{at}")));
    refused(short, 8_000_000, MANY);
}
