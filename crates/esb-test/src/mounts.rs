//! Detaches mounts that a daemon left behind.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Detaches every mount at or below `folder`, deepest first.
///
/// Does its best: a mount that cannot be detached stays, and its folder with it.
pub fn detach_below(folder: &Path) {
    let Ok(table) = fs::read_to_string("/proc/self/mounts") else { return };
    for target in below(&table, folder).iter().rev() {
        let _best_effort = Command::new("umount")
            .args(["--lazy", target])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// The mount points at or below `folder`, in the table's order, which is the order of mounting.
fn below(table: &str, folder: &Path) -> Vec<String> {
    let targets = table.lines().filter_map(|line| line.split(' ').nth(1)).map(unescape);
    targets.filter(|target| Path::new(target).starts_with(folder)).collect()
}

/// Undoes the table's octal escapes of blanks and backslashes.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_found() {
        let table = "overlay /a/b/merged overlay rw 0 0\n\
                     nsfs /a/b\\040c/netns nsfs rw 0 0\n\
                     tmpfs /a/b tmpfs rw 0 0\n\
                     tmpfs /a/bc tmpfs rw 0 0\n";
        assert_eq!(below(table, Path::new("/a/b")), ["/a/b/merged", "/a/b"]);
        assert_eq!(below(table, Path::new("/a/b c")), ["/a/b c/netns"]);
    }
}
