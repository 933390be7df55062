//! Files of others around and inside a store or a layout are neither changed nor removed.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the message")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use esb_oci::{
    ContentStore, Digest, Folder, LayoutError, Remedy, StoreError, check_layout, write_entries,
};

const MARKER: &str = "content-store.json";

/// Everything below a folder: content of files, targets of links.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            let what = if kind.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else {
                String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
            };
            all.insert(path, what);
        }
    }
    all
}

fn write(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        if file.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }
}

/// A store with a blob, a record, an installation and leftovers.
fn used(root: &Path) -> (ContentStore, Digest) {
    let store = ContentStore::open(root).unwrap();
    let blob = store.put(b"a blob").unwrap();
    store.set_record("layer-2", blob, &7).unwrap();
    store.set_record("large", blob, &"x".repeat(100_000)).unwrap();
    write(
        root,
        &[
            &format!("dependencies/{}/package/file.py", blob.hex()),
            "dependencies/installing-a1B2c3/packages/file.py",
            &format!("partial/{}", blob.hex()),
            "delivery/a_volume/.deploy.lock",
            "tmp/.tmpAbC123",
            &format!("tmp/fetch-{}", blob.hex()),
            "lock",
            "looked-at",
            ".tmpAbC123",
        ],
    );
    (store, blob)
}

fn refused(root: &Path) -> StoreError {
    let error = ContentStore::open_held(root).unwrap_err();
    assert!(error.is_input() && !error.is_local(), "{error:?}");
    error
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_stays_as_it_is() {
    let hex = Digest::of(b"").hex();
    let photo = format!("blobs/sha256/{hex}.jpg");
    for files in [
        &[".ssh/id_rsa", "Documents/letter"][..],
        &["letter"],
        &["empty/"],
        &["tmp/letter"],
        &["lock", "tmp/", "Downloads/"],
        &["records/2024/letter"],
        &["records/letter.txt"],
        &["records/notes.log"],
        &["dependencies/package.json"],
        &["blobs/sha512/"],
        &[&photo],
        &["partial/draft"],
        &["delivery/place/letter"],
        &["lock/"],
        // A layout is no store.
        &["oci-layout", "index.json", "blobs/sha256/"],
        &["index.json"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), files);
        let before = tree(folder.path());
        let error = refused(folder.path());
        let told = matches!(&error, StoreError::Foreign { names, .. } if !names.is_empty());
        assert!(told, "{files:?}: {error:?}");
        let Some(Remedy::Advice(advice)) = error.remedy() else { panic!("{error:?}") };
        assert!(advice.contains(folder.path().join("store").to_str().unwrap()), "{advice}");
        assert_eq!(tree(folder.path()), before);
    }
}

#[test]
fn an_empty_folder_becomes_a_store_and_links_may_lead_to_it() {
    for files in [&[][..], &["lost+found/"], &["CACHEDIR.TAG"], &["tmp/"]] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["real/"]);
        write(&folder.path().join("real"), files);
        symlink("real", folder.path().join("link")).unwrap();
        let (store, blob) = used(&folder.path().join("link"));
        let marker = fs::read_to_string(folder.path().join("real").join(MARKER)).unwrap();
        assert_eq!(marker, r#"{"contentStore":1}"#);
        drop(store);
        let again = ContentStore::open_held(folder.path().join("link")).unwrap();
        assert_eq!(again.size(blob), Some(6));
    }
}

#[test]
fn a_store_from_before_is_marked_once() {
    let folder = tempfile::tempdir().unwrap();
    let (_, blob) = used(folder.path());
    fs::remove_file(folder.path().join(MARKER)).unwrap();
    // Some that restore a folder leave out what is empty.
    fs::remove_dir_all(folder.path().join("tmp")).unwrap();
    assert_eq!(ContentStore::open_held(folder.path()).unwrap().size(blob), Some(6));
    assert!(folder.path().join(MARKER).exists());

    // From then on the marker says it, whatever else is there.
    write(folder.path(), &["letter", "notes/letter"]);
    let store = ContentStore::open(folder.path()).unwrap();
    store.collect(0, Duration::ZERO).unwrap();
    assert!(folder.path().join("letter").exists() && folder.path().join("notes/letter").exists());
    assert_eq!(store.size(blob), None);
}

#[test]
fn a_read_only_store_from_before_is_used_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_, blob) = used(folder.path());
    fs::remove_file(folder.path().join(MARKER)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let store = ContentStore::open(folder.path());
    let is_root = fs::write(folder.path().join("probe"), "").is_ok();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(store.unwrap().size(blob), Some(6));
    assert_eq!(folder.path().join(MARKER).exists(), is_root);
}

#[test]
fn a_marker_of_another_program_is_told() {
    for text in ["{\"contentStore\": 2}", "", "[]"] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["letter"]);
        fs::write(folder.path().join(MARKER), text).unwrap();
        let error = refused(folder.path());
        assert!(matches!(error, StoreError::Version { .. }), "{text}: {error:?}");
    }
}

#[test]
fn a_damaged_marker_is_written_anew_where_all_else_is_a_store() {
    for text in ["", "[]"] {
        let folder = tempfile::tempdir().unwrap();
        let (_, blob) = used(folder.path());
        fs::write(folder.path().join(MARKER), text).unwrap();
        assert_eq!(ContentStore::open_held(folder.path()).unwrap().size(blob), Some(6));
        let marker = fs::read_to_string(folder.path().join(MARKER)).unwrap();
        assert_eq!(marker, r#"{"contentStore":1}"#);
    }
    let newer = tempfile::tempdir().unwrap();
    fs::write(newer.path().join(MARKER), "{\"contentStore\": 2}").unwrap();
    assert!(matches!(refused(newer.path()), StoreError::Version { .. }));
}

#[test]
fn collection_takes_only_names_that_a_store_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (store, blob) = used(folder.path());
    let hex = blob.hex();
    let foreign = [
        "Documents/letter".to_owned(),
        "notes".to_owned(),
        "tmp/letter".to_owned(),
        "tmp/.tmp-mine/letter".to_owned(),
        "blobs/letter".to_owned(),
        format!("blobs/sha256/{}.jpg", &hex[..10]),
        // The name of a file, and it is a folder.
        format!("blobs/sha256/{}/letter", Digest::of(b"other").hex()),
        "records/letter.txt".to_owned(),
        "records/notes.log".to_owned(),
        "records/layer-2/letter".to_owned(),
        "dependencies/letter".to_owned(),
        "dependencies/installing-/letter".to_owned(),
        "dependencies/installing-on-linux/letter".to_owned(),
        "partial/letter".to_owned(),
        "delivery/place/letter".to_owned(),
        ".index.json.backup.tmp".to_owned(),
    ];
    write(folder.path(), &foreign.iter().map(String::as_str).collect::<Vec<_>>());
    let collected = store.collect(0, Duration::ZERO).unwrap();
    assert_eq!(collected.left, 0);
    for file in &foreign {
        assert_eq!(fs::read_to_string(folder.path().join(file)).unwrap(), *file);
    }
    let gone = [
        format!("blobs/sha256/{hex}"),
        format!("dependencies/{hex}"),
        "dependencies/installing-a1B2c3".to_owned(),
        format!("partial/{hex}"),
        "delivery/a_volume".to_owned(),
        "tmp/.tmpAbC123".to_owned(),
        format!("tmp/fetch-{hex}"),
        "records/layer-2.log".to_owned(),
        format!("records/large/{hex}"),
        ".tmpAbC123".to_owned(),
    ];
    for path in gone {
        assert!(!folder.path().join(&path).exists(), "{path}");
    }
}

#[test]
fn old_leftovers_of_others_stay_when_a_store_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (_, blob) = used(folder.path());
    let ours = format!("tmp/index-{}", blob.hex());
    write(folder.path(), &[&ours, "tmp/letter", "tmp/letters/letter"]);
    for name in [&ours, "tmp/letter", "tmp/letters"] {
        let at = SystemTime::now() - Duration::from_hours(30);
        fs::File::open(folder.path().join(name)).unwrap().set_modified(at).unwrap();
    }
    ContentStore::open_held(folder.path()).unwrap();
    assert!(!folder.path().join(ours).exists());
    assert!(folder.path().join("tmp/letter").exists());
    assert!(folder.path().join("tmp/letters/letter").exists());
}

#[test]
fn no_link_in_a_store_is_followed() {
    let hex = Digest::of(b"a blob").hex();
    let blob = format!("blobs/sha256/{hex}");
    let large = format!("records/large/{hex}");
    let installed = format!("dependencies/{hex}");
    let names = [
        "blobs",
        "blobs/sha256",
        "records",
        "tmp",
        "dependencies",
        "partial",
        "delivery",
        "lock",
        "looked-at",
        MARKER,
        "index.json",
        "oci-layout",
        "records/layer-2.log",
        "records/large",
        &blob,
        &large,
        &installed,
        "partial/x",
        "delivery/x",
        "tmp/x",
        "tmp/.tmpAbC124",
    ];
    for name in names {
        for target in ["victim", "victim/file", "absent"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("store");
            let (store, _) = used(&root);
            drop(store);
            write(folder.path(), &["victim/file", "victim/folder/file"]);
            let before = tree(&folder.path().join("victim"));
            let path = root.join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else {
                fs::remove_file(&path).ok();
            }
            symlink(folder.path().join(target), &path).unwrap();

            // Whatever comes of it: nothing outside may change.
            if let Ok(store) = ContentStore::open_held(&root) {
                let _ = store.put(b"a blob");
                let _ = store.document(Digest::of(b"a blob"));
                let _ = store.set_record("layer-2", Digest::of(b"1"), &8);
                let _ = store.set_record("large", Digest::of(b"a blob"), &"y".repeat(100_000));
                let _ = store.list_images(&[]);
                drop(store);
            }
            let collected = ContentStore::open(&root).map(|store| {
                let daily = store.collect_daily(0).map(drop);
                daily.and(store.collect(0, Duration::ZERO).map(drop))
            });
            assert_eq!(tree(&folder.path().join("victim")), before, "{name} to {target}");
            assert!(!folder.path().join("absent").exists(), "{name} to {target}");
            if let Ok(Err(error)) | Err(error) = collected {
                assert!(error.is_input(), "{name} to {target}: {error:?}");
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            }
        }
    }
}

fn layout(root: &Path) -> Result<(), LayoutError> {
    let mut writing = std::pin::pin!(write_entries(root, &[]));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(written) = writing.as_mut().poll(&mut cx) {
            return written;
        }
    }
}

#[test]
fn a_layout_among_other_files_changes_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &["letter", "tmp/", "blobs/letter", ".writing-plans/letter", "lock"]);
    let before = tree(folder.path());
    layout(folder.path()).unwrap();
    let after = tree(folder.path());
    for (path, what) in &before {
        assert_eq!(after.get(path), Some(what), "{}", path.display());
    }
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    let expected =
        ["blobs/sha256", "index.json", "oci-layout"].map(|name| folder.path().join(name));
    assert_eq!(new, expected.iter().collect::<Vec<_>>(), "and it has no marker");
    layout(folder.path()).unwrap();
    assert_eq!(tree(folder.path()), after);
}

#[test]
fn a_layout_replaces_no_index_of_others() {
    for files in [&["index.json"][..], &["index.json", "oci-layout"]] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), files);
        let before = tree(folder.path());
        let error = layout(folder.path()).unwrap_err();
        assert!(matches!(error, LayoutError::Foreign { .. }), "{error:?}");
        assert!(error.to_string().contains("index.json"), "{error}");
        assert_eq!(tree(folder.path()), before);
    }
}

#[test]
fn no_link_in_a_layout_is_followed() {
    for name in ["blobs", "blobs/sha256", "index.json", "oci-layout"] {
        for target in ["victim", "victim/file", "absent"] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &["victim/file", "layout/blobs/", "layout/x"]);
            let before = tree(&folder.path().join("victim"));
            let path = folder.path().join("layout").join(name);
            drop(fs::remove_dir_all(&path));
            symlink(folder.path().join(target), &path).unwrap();
            let error = layout(&folder.path().join("layout")).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{name}: {error}");
            assert!(check_layout(&Folder::new(folder.path().join("layout"))).is_err());
            assert_eq!(tree(&folder.path().join("victim")), before, "{name} to {target}");
            assert!(!folder.path().join("absent").exists(), "{name} to {target}");
        }
    }
}

/// What a store would collect one day is no place for a layout that is meant to stay.
#[test]
fn a_store_is_no_place_for_a_layout() {
    let place = tempfile::tempdir().unwrap();
    ContentStore::open(place.path()).unwrap();
    let refused = check_layout(&Folder::new(place.path()));
    assert!(matches!(refused, Err(LayoutError::IsStore { .. })), "{refused:?}");
}
