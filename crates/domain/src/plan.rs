//! Plans: data that says what an account may do. The defaults are the published ones; a configuration may replace them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The name of a plan: 1 to 32 lower-case letters, digits or hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanName(String);

/// A text that is no plan's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a plan's name has 1 to 32 lower-case letters, digits or hyphens")]
pub struct InvalidPlanName;

impl FromStr for PlanName {
    type Err = InvalidPlanName;

    fn from_str(text: &str) -> Result<Self, InvalidPlanName> {
        let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPlanName)
        }
    }
}

impl TryFrom<String> for PlanName {
    type Error = InvalidPlanName;

    fn try_from(text: String) -> Result<Self, InvalidPlanName> {
        text.parse()
    }
}

impl From<PlanName> for String {
    fn from(name: PlanName) -> Self {
        name.0
    }
}

impl PlanName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account on a plan may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Whether the REST API answers.
    pub api: bool,
    /// API requests a minute.
    pub requests_per_minute: u32,
    /// People captured a UTC calendar month; none: unlimited, which may also be written as that word.
    #[serde(default, deserialize_with = "number_or_unlimited")]
    pub leads_per_month: Option<u32>,
}

fn number_or_unlimited<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    deserializer.deserialize_any(NumberOrUnlimited)
}

struct NumberOrUnlimited;

impl Visitor<'_> for NumberOrUnlimited {
    type Value = Option<u32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number or \"unlimited\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let in_range = u32::try_from(number).map(Some);
        in_range.map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let in_range = u32::try_from(number).map(Some);
        in_range.map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
        match word {
            "unlimited" => Ok(None),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// The plans on offer, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plans(BTreeMap<PlanName, Plan>);

impl Plans {
    /// The plan that a self-hosted first account starts on.
    pub const FIRST: &str = "agency";

    /// The plans of a configuration.
    pub const fn new(plans: BTreeMap<PlanName, Plan>) -> Self {
        Self(plans)
    }

    /// The plan of that name, if there is one.
    pub fn find(&self, name: &PlanName) -> Option<&Plan> {
        self.0.get(name)
    }

    /// Every plan's name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &PlanName> {
        self.0.keys()
    }
}

/// The published plans.
impl Default for Plans {
    fn default() -> Self {
        let plan = |name: &str, api, requests_per_minute, leads_per_month| {
            (
                PlanName(name.to_owned()),
                Plan {
                    api,
                    requests_per_minute,
                    leads_per_month,
                },
            )
        };
        Self(BTreeMap::from([
            plan("free", false, 0, Some(50)),
            plan("pro", true, 60, Some(500)),
            plan("agency", true, 300, None),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_plans_are_the_default() {
        let plans = Plans::default();
        let free = plans.find(&"free".parse().unwrap()).unwrap();
        assert_eq!((free.api, free.leads_per_month), (false, Some(50)));
        let agency = plans.find(&Plans::FIRST.parse().unwrap()).unwrap();
        assert_eq!((agency.requests_per_minute, agency.leads_per_month), (300, None));
    }

    #[test]
    fn names_of_another_shape_are_refused() {
        for wrong in ["", "Pro", "a b", &"x".repeat(33)] {
            assert_eq!(wrong.parse::<PlanName>(), Err(InvalidPlanName), "{wrong}");
        }
    }
}
