//! Makes a program that sleeps and exits: the only one in a placeholder, whose image may have none.

/// Of the file's header and its one segment's.
const HEADERS: u16 = 64 + 56;
/// Where the segment begins in memory, on a border of pages of every size.
const BASE: u64 = 0x40_0000;

/// `nanosleep` for the seconds behind the code, then `exit(0)`; both pieces have 32 bytes.
const X86_64: [u8; 32] = [
    0xb8, 35, 0, 0, 0, // mov eax, nanosleep
    0x48, 0x8d, 0x3d, 20, 0, 0, 0, // lea rdi, [rip + 20]: behind the code
    0x31, 0xf6, // xor esi, esi
    0x0f, 0x05, // syscall
    0xb8, 60, 0, 0, 0, // mov eax, exit
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
];
const AARCH64: [u32; 8] = [
    0x1000_0100, // adr x0, #32: behind the code
    0xaa1f_03e1, // mov x1, xzr
    0xd280_0ca8, // mov x8, #101: nanosleep
    0xd400_0001, // svc #0
    0xd280_0000, // mov x0, #0
    0xd280_0ba8, // mov x8, #93: exit
    0xd400_0001, // svc #0
    0xd420_0000, // brk #0
];

/// An executable file for an architecture as an image names it; none for those that it does not
/// know.
pub(super) fn program(architecture: &str, seconds: u64) -> Option<Vec<u8>> {
    let (machine, code): (u16, Vec<u8>) = match architecture {
        "amd64" => (62, X86_64.to_vec()),
        "arm64" => (183, AARCH64.iter().flat_map(|word| word.to_le_bytes()).collect()),
        _ => return None,
    };
    let size = u64::from(HEADERS) + code.len() as u64 + 16;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec(); // 64 bits, little endian
    halves(&mut file, &[2, machine]); // an executable
    words(&mut file, &[1]); // version
    longs(&mut file, &[BASE + u64::from(HEADERS), 64, 0]); // entry, segments, no sections
    words(&mut file, &[0]); // flags
    halves(&mut file, &[64, 56, 1, 64, 0, 0]); // sizes and counts of headers
    words(&mut file, &[1, 5]); // loaded; readable and executable
    longs(&mut file, &[0, BASE, BASE, size, size, 0x1_0000]);
    file.extend(code);
    longs(&mut file, &[seconds, 0]);
    Some(file)
}

fn halves(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn words(file: &mut Vec<u8>, values: &[u32]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn longs(file: &mut Vec<u8>, values: &[u64]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, time::Instant};

    use super::*;

    #[test]
    fn every_architecture_of_the_platform_has_one() {
        for architecture in ["amd64", "arm64"] {
            let file = program(architecture, 7).unwrap();
            assert_eq!(file.len(), usize::from(HEADERS) + 32 + 16, "{architecture}");
            assert_eq!(file[file.len() - 16..file.len() - 8], 7_u64.to_le_bytes());
        }
        assert!(program("s390x", 7).is_none());
    }

    #[test]
    fn it_sleeps_and_ends() {
        let here = std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64");
        let folder = tempfile::tempdir().unwrap();
        let (written, path) = (folder.path().join("written"), folder.path().join("sleeper"));
        fs::write(&written, program(&here, 1).unwrap()).unwrap();
        fs::set_permissions(&written, fs::Permissions::from_mode(0o755)).unwrap();
        // What this process wrote may still be open in a child of another test.
        assert!(Command::new("cp").arg(&written).arg(&path).status().unwrap().success());
        let start = Instant::now();
        let status = Command::new(&path).status().unwrap();
        assert!(status.success() && start.elapsed().as_millis() >= 1000, "{status}");
    }
}
