//! How far was looked for a keyword, in each of the places where it is looked for. Used by the searches.

use std::collections::BTreeMap;

use domain::{ScanTarget, Timestamp};
use serde::{Deserialize, Serialize};

/// How far was looked for a keyword.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Up to when, in each place.
    up_to: BTreeMap<ScanTarget, Timestamp>,
    /// Whoever wanted it up to then was heeded.
    heeded: Option<Timestamp>,
}

impl Reach {
    /// Nowhere yet; whoever wanted it up to then is heeded by the first look.
    pub const fn nowhere(wanted: Option<Timestamp>) -> Self {
        Self {
            up_to: BTreeMap::new(),
            heeded: wanted,
        }
    }

    /// As a cursor has it; earlier versions kept one moment for all places.
    pub fn read(text: Option<&str>, targets: &[ScanTarget]) -> Self {
        let text = text.unwrap_or_default();
        if let Ok(at) = text.parse::<Timestamp>() {
            return Self {
                up_to: targets.iter().map(|target| (*target, at)).collect(),
                heeded: Some(at),
            };
        }
        serde_json::from_str(text).unwrap_or_default()
    }

    /// For a cursor.
    pub fn text(&self) -> String {
        // A map of words and times always has a text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Up to when was looked there; none: never.
    pub fn up_to(&self, target: ScanTarget) -> Option<Timestamp> {
        self.up_to.get(&target).copied()
    }

    /// All that is there up to then was shown.
    pub fn go_to(&mut self, target: ScanTarget, at: Timestamp) {
        let up_to = self.up_to.entry(target).or_insert(at);
        *up_to = at.max(*up_to);
    }

    /// Somebody wants it since then: unless that was heeded, it is looked for once more from `from` on. Whether it is.
    pub fn heed(&mut self, wanted: Timestamp, from: Timestamp) -> bool {
        if self.heeded >= Some(wanted) {
            return false;
        }
        self.heeded = Some(wanted);
        for up_to in self.up_to.values_mut() {
            *up_to = from.min(*up_to);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [ScanTarget; 2] = [ScanTarget::Issues, ScanTarget::Prs];

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn each_place_goes_on_by_itself_and_never_back() {
        let mut reach = Reach::nowhere(Some(at(5)));
        reach.go_to(ScanTarget::Prs, at(20));
        reach.go_to(ScanTarget::Prs, at(10));
        assert_eq!((reach.up_to(PLACES[0]), reach.up_to(PLACES[1])), (None, Some(at(20))));
        assert_eq!(Reach::read(Some(&reach.text()), &PLACES), reach);
    }

    #[test]
    fn whoever_wants_it_later_is_heeded_once() {
        let mut reach = Reach::nowhere(Some(at(5)));
        reach.go_to(ScanTarget::Prs, at(20));
        assert!(!reach.heed(at(5), at(0)));
        assert!(reach.heed(at(15), at(8)));
        assert_eq!(reach.up_to(ScanTarget::Prs), Some(at(8)));
        assert!(!reach.heed(at(15), at(0)), "also while it is still behind that moment");
    }

    #[test]
    fn the_one_moment_of_earlier_versions_is_of_all_places() {
        let reach = Reach::read(Some("2026-04-10T12:00:00Z"), &PLACES);
        let moment = "2026-04-10T12:00:00Z".parse().unwrap();
        assert_eq!(PLACES.map(|place| reach.up_to(place)), [Some(moment); 2]);
        assert_eq!(Reach::read(None, &PLACES), Reach::default());
    }
}
