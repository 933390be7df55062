//! Shares equal short texts in memory, for templates repeat themselves.

use std::{hash::Hasher as _, rc::Rc};

use crate::findings::Fnv;

/// Longer texts are seldom repeated.
const LONGEST: usize = 32;
const PLACES: usize = 1 << 10;

/// The last texts that were seen, each at a place that its bytes decide; so the work for a text is
/// bounded, and so is what is remembered.
#[derive(Debug)]
pub(super) struct Texts(Vec<Option<Rc<str>>>);

impl Default for Texts {
    fn default() -> Self {
        Self(vec![None; PLACES])
    }
}

impl Texts {
    /// The text, shared with an earlier one when that is still known.
    pub(super) fn share(&mut self, text: &str) -> Rc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let mut hasher = Fnv::default();
        hasher.write(text.as_bytes());
        let hash = hasher.finish();
        let place = usize::try_from((hash ^ (hash >> 32)) % PLACES as u64).unwrap_or_default();
        match &mut self.0[place] {
            Some(known) if **known == *text => known.clone(),
            place => place.insert(text.into()).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_shared() {
        let mut texts = Texts::default();
        let first = texts.share("Type");
        assert!(Rc::ptr_eq(&first, &texts.share("Type")));
        for number in 0..10 * PLACES {
            let text = number.to_string();
            assert_eq!(*texts.share(&text), *text);
        }
        let long = "x".repeat(LONGEST + 1);
        assert!(!Rc::ptr_eq(&texts.share(&long), &texts.share(&long)));
    }
}
