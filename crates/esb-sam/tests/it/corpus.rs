//! The seeds of the fuzz targets, and the inputs that once failed.

use std::{fs, path::Path};

use esb_sam::{NoLoader, Options, fuzz};

#[test]
fn every_input_of_the_corpus_holds_what_is_promised() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/fuzz");
    let mut traits = fuzz::Traits::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the corpus is there") {
        let path = entry.expect("it can be listed").path();
        let bytes = fs::read(&path).expect("inputs can be read");
        let text = String::from_utf8_lossy(&bytes);
        for checked in [fuzz::compose(&text), fuzz::read(&text, &Options::default(), &NoLoader)] {
            traits.extend(checked.unwrap_or_else(|broken| panic!("{}: {broken}", path.display())));
        }
        count += 1;
    }
    assert!(count > 10, "{count}");
    // The seeds reach most of what there is to say.
    let codes = traits.iter().filter(|name| name.starts_with("esb::sam::")).count();
    assert!(codes > 40, "{traits:#?}");
}
