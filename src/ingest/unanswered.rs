//! Why a search on GitHub shows nothing, as its answer says. Used by the searches.

use domain::Timestamp;

use super::standing::Look;
use crate::github::Answer;

/// Why a search shows nothing.
pub struct Not {
    /// What it says of the source.
    pub look: Look,
    /// GitHub's own time to wait if it named one.
    pub wait: Option<Timestamp>,
    /// Whether GitHub does not take the query: one of its keywords is at fault.
    pub is_refused: bool,
}

impl Not {
    /// Whether there is no usable answer, and nothing is known of why.
    pub fn is_silence(&self) -> bool {
        self.look == Look::SILENT && self.wait.is_none() && !self.is_refused
    }

    /// That, and no time to wait.
    pub const fn of(look: Look) -> Self {
        Self {
            look,
            wait: None,
            is_refused: false,
        }
    }
}

/// No answer that can be used, for that reason.
pub fn silent(reason: &str) -> Not {
    tracing::warn!(reason, "a search on GitHub has no usable answer");
    Not::of(Look::SILENT)
}

/// GitHub asks to wait until then.
pub const fn limited(until: Timestamp) -> Not {
    Not {
        look: Look::LIMITED,
        wait: Some(until),
        is_refused: false,
    }
}

/// What an answer without a page says.
pub fn not_fresh(answer: Answer) -> Not {
    match answer {
        Answer::Limited { until } => limited(until),
        Answer::Denied(status) => Not::of(Look::refused(status.as_u16())),
        Answer::NotFound => Not::of(Look::ABSENT),
        Answer::Invalid(status) => Not {
            is_refused: true,
            ..silent(&format!("answered {}", status.as_u16()))
        },
        Answer::Failed(reason) => silent(&reason),
        Answer::Fresh(_) | Answer::NotModified { .. } | Answer::Moved => silent("no result of a search"),
    }
}
