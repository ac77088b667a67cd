//! Finds the keyword for which GitHub refuses a search of several: halves what was refused until that one is alone. Used by the
//! searches.

use std::collections::HashMap;

/// Keywords of searches that GitHub refused.
#[derive(Debug, Default)]
pub struct Suspects {
    /// With how many keywords each of them may be looked for at most.
    most: HashMap<String, usize>,
}

impl Suspects {
    /// The search for all of these was refused: they are looked for in two halves.
    pub fn halve(&mut self, pack: &[String]) {
        let half = pack.len().div_ceil(2).max(1);
        self.most.extend(pack.iter().map(|phrase| (phrase.clone(), half)));
    }

    /// The search for these was not refused.
    pub fn clear(&mut self, pack: &[String]) {
        for phrase in pack {
            self.most.remove(phrase);
        }
    }

    /// Those of `waiting` that may stand in one search, `at_once` at most: the first, and of the others those that are suspected as
    /// it is.
    pub fn choose<'a>(&self, waiting: impl IntoIterator<Item = &'a str>, at_once: usize) -> Vec<&'a str> {
        let mut chosen: Vec<&str> = Vec::new();
        let (mut most, mut is_suspect) = (at_once, None);
        for phrase in waiting {
            let own = self.most.get(phrase).copied();
            if *is_suspect.get_or_insert(own.is_some()) != own.is_some() || own.is_some_and(|own| chosen.len() >= own) {
                continue;
            }
            most = most.min(own.unwrap_or(at_once));
            chosen.push(phrase);
            if chosen.len() >= most {
                break;
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_at_fault_is_alone_after_a_few_searches_and_stays_so() {
        let all = ["a", "b", "c", "d", "e", "f", "g", "h"];
        for bad in all {
            let mut suspects = Suspects::default();
            let (mut waiting, mut searches) = (all.to_vec(), 0);
            loop {
                let chosen = suspects.choose(waiting.iter().copied(), 6);
                let pack: Vec<String> = chosen.iter().map(|phrase| (*phrase).to_owned()).collect();
                searches += 1;
                if !chosen.contains(&bad) {
                    suspects.clear(&pack);
                    waiting.retain(|phrase| !chosen.contains(phrase));
                } else if pack.len() > 1 {
                    suspects.halve(&pack);
                } else {
                    break;
                }
                assert!(searches < 10, "{bad}");
            }
            assert_eq!(suspects.choose([bad, "i"], 6), [bad]);
            assert_eq!(suspects.choose(["i", bad, "j"], 6), ["i", "j"]);
        }
    }

    #[test]
    fn nobody_is_suspected_at_first() {
        assert_eq!(Suspects::default().choose(["a", "b", "c"], 2), ["a", "b"]);
    }
}
