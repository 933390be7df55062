//! Sees which files are opened while something runs, by the kernel's own account (inotify).

use std::{mem::MaybeUninit, path::Path};

use rustix::{
    fd::OwnedFd,
    fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init},
    io::Errno,
};

/// Watches folders from its making on.
pub(crate) struct Opened(OwnedFd);

impl Opened {
    /// Watches the files in a folder and below it.
    pub(crate) fn below(folders: &[&Path]) -> Self {
        let fd = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let mut open: Vec<_> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        while let Some(folder) = open.pop() {
            add_watch(&fd, &folder, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
            for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
            }
        }
        let opened = Self(fd);
        opened.files(); // the walk of this function itself
        opened
    }

    /// Names of files that were opened since the last call.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
        let mut reader = Reader::new(&self.0, &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::ISDIR) => {}
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    files.push(name.unwrap_or_default());
                }
                Err(Errno::AGAIN) => return files,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
