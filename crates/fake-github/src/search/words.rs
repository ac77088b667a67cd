//! Which texts have a word.

use std::collections::{BTreeSet, HashMap};

/// The places of texts by their words, which are runs of letters and digits in lower case.
#[derive(Debug, Default)]
pub(crate) struct Words {
    places: HashMap<String, BTreeSet<usize>>,
}

impl Words {
    /// The text at this place has these words too.
    pub fn add(&mut self, place: usize, text: &str) {
        for word in split(text) {
            self.places.entry(word).or_default().insert(place);
        }
    }

    /// The places of all texts that have the word.
    pub fn of(&self, word: &str) -> Option<&BTreeSet<usize>> {
        self.places.get(word)
    }
}

/// The words of a text.
pub(super) fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|one: char| !one.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Whether the words of a phrase follow one another in a text.
pub(super) fn has_phrase(text: &str, phrase: &[String]) -> bool {
    let words: Vec<String> = split(text).collect();
    !phrase.is_empty() && words.windows(phrase.len()).any(|window| window == phrase)
}
