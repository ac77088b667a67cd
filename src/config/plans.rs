//! The plans on offer: the published ones, or those of the file's `[plans.NAME]` tables instead.

use domain::{PlanName, Plans};
use serde::Deserialize;

use super::sources::{ConfigError, Sources};

/// The keys of this file; plans are tables, so they have neither flag nor variable.
pub const KEYS: &[&str] = &["plans"];

#[derive(Deserialize)]
struct Tables {
    plans: Plans,
}

pub(super) fn read(sources: &Sources<'_>) -> Result<Plans, ConfigError> {
    let Some(value) = sources.file.find("plans") else {
        return Ok(Plans::default());
    };
    let plans = sources.file.tables::<Tables>()?.plans;
    let first: Option<PlanName> = Plans::FIRST.parse().ok();
    if first.is_some_and(|first| plans.find(&first).is_some()) {
        return Ok(plans);
    }
    Err(ConfigError::Invalid {
        key: "plans",
        origin: sources.file.origin(value),
        fault: format!("must have [plans.{}], which the first account starts on", Plans::FIRST),
    })
}
