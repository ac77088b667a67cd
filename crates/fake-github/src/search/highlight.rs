//! `text_matches`: where in a text a search found what it looked for.

use serde_json::{Value, json};

/// Characters of a fragment before and after the match.
const AROUND: usize = 60;

/// The match of the first phrase that a text has, as `application/vnd.github.text-match+json` tells it.
pub(super) fn text_match(url: &str, kind: &str, property: &str, text: &str, phrases: &[&[String]]) -> Option<Value> {
    let chars: Vec<char> = text.chars().collect();
    let (from, until) = phrases.iter().find_map(|phrase| find(&chars, phrase))?;
    let start = from.saturating_sub(AROUND);
    let shown = |from: usize, until: usize| chars.iter().skip(from).take(until - from).collect::<String>();
    Some(json!({
        "object_url": url,
        "object_type": kind,
        "property": property,
        "fragment": shown(start, (until + AROUND).min(chars.len())),
        "matches": [{ "text": shown(from, until), "indices": [from - start, until - start] }],
    }))
}

/// Where the words of a phrase follow one another: from the first character of the first word to after the last.
fn find(chars: &[char], phrase: &[String]) -> Option<(usize, usize)> {
    let mut words: Vec<(usize, usize, String)> = Vec::new();
    let mut start = None;
    for (index, one) in chars.iter().copied().chain([' ']).enumerate() {
        match (one.is_alphanumeric(), start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                let word: String = chars.iter().skip(from).take(index - from).collect();
                words.push((from, index, word.to_lowercase()));
                start = None;
            }
            _ => {}
        }
    }
    let found = words
        .windows(phrase.len().max(1))
        .find(|window| window.iter().map(|(_, _, word)| word).eq(phrase))?;
    Some((found.first()?.0, found.last()?.1))
}
