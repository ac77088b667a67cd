//! What the storm left behind, held against what was followed and what was acknowledged.

use std::collections::{HashMap, HashSet};
use std::fmt;

use event_log::Recorded;

use crate::Outcome;
use crate::writers::Told;

/// Counts of what was seen, and of what must not be.
pub struct Findings {
    events: usize,
    acknowledged: usize,
    /// Written by somebody who was killed before the answer.
    unacknowledged: usize,
    faults: [(&'static str, usize); 7],
}

impl Findings {
    /// Holds what a follower saw, what the log holds and what the writers were told against each other.
    pub fn new(followed: &[Recorded], log: &[Recorded], told: &[Told]) -> Self {
        let id = |event: &Recorded| u128::from(event.id.ulid());
        let at: HashMap<u64, u128> = log.iter().map(|event| (event.position.get(), id(event))).collect();
        let acknowledged: HashSet<&Told> = told.iter().collect();
        let mut versions: HashMap<_, u64> = HashMap::new();
        let mut wrong_versions = 0;
        for event in log {
            let version = versions.entry(&event.stream).or_default();
            *version += 1;
            wrong_versions += usize::from(*version != event.version);
        }
        let positions = followed.iter().map(|event| event.position.get());
        let faults = [
            (
                "followed out of order or with a gap",
                (1..).zip(positions).filter(|(one, other)| one != other).count(),
            ),
            (
                "followed otherwise than the log holds",
                followed.iter().zip(log).filter(|(one, other)| one != other).count(),
            ),
            ("missed", log.len().abs_diff(followed.len())),
            (
                "acknowledged and lost",
                acknowledged
                    .iter()
                    .filter(|(id, position)| at.get(position) != Some(id))
                    .count(),
            ),
            ("doubled", log.len() - at.values().collect::<HashSet<_>>().len()),
            ("of a wrong version", wrong_versions),
            (
                "with a time that goes back",
                log.iter()
                    .zip(log.iter().skip(1))
                    .filter(|(one, next)| one.recorded_at > next.recorded_at)
                    .count(),
            ),
        ];
        Self {
            events: log.len(),
            acknowledged: acknowledged.len(),
            unacknowledged: log.len().saturating_sub(acknowledged.len()),
            faults,
        }
    }

    /// An error if anything is wrong.
    pub fn judge(&self) -> Outcome<()> {
        let is_clean = self.faults.iter().all(|(_, count)| *count == 0);
        is_clean
            .then_some(())
            .ok_or_else(|| "the log did not keep its promise".into())
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} events; {} acknowledged, {} written by somebody who was killed before the answer",
            self.events, self.acknowledged, self.unacknowledged
        )?;
        let faults = self.faults.iter().map(|(fault, count)| format!("{count} {fault}"));
        write!(f, "{}", faults.collect::<Vec<_>>().join(", "))
    }
}
