//! Verification of a content store: everything in it that says what it should be.
//!
//! Owns the order of the checks. What other crates put into a store, they check.

use std::collections::BTreeMap;

use crate::{
    ContentStore, Damage, Digest, Folder, StoreError, hash_file, kinds,
    records::{self, Checked},
};

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many entries of a kind were read: `blobs`, `records`, …
    pub checked: BTreeMap<String, usize>,
    /// What is not what it should be.
    pub damaged: Vec<Damage>,
}

impl Verified {
    /// Counts an entry, with what is wrong about it.
    pub fn count(&mut self, kind: &str, damage: Option<Damage>) {
        *self.checked.entry(kind.to_owned()).or_default() += 1;
        self.damaged.extend(damage);
    }
}

impl ContentStore {
    /// Reads all blobs and records, and compares them with their names and checks. What is damaged
    /// is removed when that is asked for: the next run makes it again.
    ///
    /// # Errors
    /// When a folder cannot be read, or something cannot be removed.
    pub fn verify(&self, remove: bool) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        self.verify_blobs(remove, &mut verified)?;
        let folder = self.folder().join(records::FOLDER);
        for kind in record_kinds(&folder)? {
            let Checked { good, damaged } = self.records().check(&kind, remove)?;
            *verified.checked.entry("records".to_owned()).or_default() += good;
            verified.damaged.extend(damaged);
        }
        // Damage of blobs and records was found once more above.
        for damage in self.take_damage() {
            if matches!(damage, Damage::File { .. }) && !verified.damaged.contains(&damage) {
                verified.count("files", Some(damage));
            }
        }
        Ok(verified)
    }

    fn verify_blobs(&self, remove: bool, verified: &mut Verified) -> Result<(), StoreError> {
        let folder = self.folder().join(kinds::SHA256);
        for entry in folder.entries()? {
            let digest =
                entry.text().and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
            let Some(digest) = digest else { continue };
            let path = self.blob_path(digest);
            let found = match hash_file(&path) {
                Ok((found, _)) => found,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("read", &path)(error)),
            };
            let is_damaged = found != digest;
            if is_damaged && remove {
                folder.remove_file(&entry.name)?;
            }
            verified.count(kinds::BLOBS, is_damaged.then_some(Damage::Blob { digest, path }));
        }
        Ok(())
    }
}

/// The kinds of records that have a file.
fn record_kinds(folder: &Folder) -> Result<Vec<String>, StoreError> {
    let entries = folder.entries()?;
    let kind = |name: &str| name.strip_suffix(records::ENDING).map(str::to_owned);
    Ok(entries.iter().filter_map(|entry| kind(entry.text()?)).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn all_blobs_and_records_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path()).unwrap();
        let [good, bad] = ["good", "bad"].map(|text| store.put(text.as_bytes()).unwrap());
        store.set_record("a", good, &"good").unwrap();
        store.set_record("a", bad, &"bad").unwrap();
        store.set_record("b", bad, &"x".repeat(100_000)).unwrap();
        let verify = |remove| ContentStore::open(folder.path()).unwrap().verify(remove).unwrap();
        let counts = [("blobs".to_owned(), 2), ("records".to_owned(), 3)].into();
        assert_eq!(verify(true), Verified { checked: counts, damaged: Vec::new() });

        let blob = store.blob_path(bad);
        fs::write(&blob, "worse").unwrap();
        let lines = folder.path().join("records/a.log");
        fs::write(&lines, fs::read_to_string(&lines).unwrap().replace("bad", "BAD")).unwrap();
        let large = folder.path().join("records/b").join(bad.hex());
        fs::write(&large, "x").unwrap();
        let expected = [
            Damage::Blob { digest: bad, path: blob.clone() },
            Damage::Records { path: lines },
            Damage::File { path: large.clone() },
        ];
        for _ in 0..2 {
            assert_eq!(verify(false).damaged, expected, "nothing is removed");
        }
        assert_eq!(verify(true).damaged, expected);
        assert_eq!(verify(true).damaged, []);
        assert!(!blob.exists() && !large.exists());
        let later = ContentStore::open(folder.path()).unwrap();
        assert_eq!(later.record::<String>("a", good).as_deref(), Some("good"));
        assert_eq!(later.record::<String>("a", bad), None);
    }
}
