//! Raises stored data of an older version, step by step, to the shape that the program knows today.

use serde_json::{Value, json};

/// One step: data of `name` at version `from` becomes data of version `from + 1`.
pub struct Step {
    /// The event's type.
    pub name: &'static str,
    /// The version that the step starts from.
    pub from: u32,
    /// The change. Pure: an event decodes the same way for ever.
    pub raise: fn(Value) -> Value,
}

/// Every step there is.
pub const STEPS: &[Step] = &[
    Step {
        name: "WebhookEndpointAdded",
        from: 1,
        raise: |mut data| {
            if let Some(fields) = data.as_object_mut() {
                let filters = json!({"signal_types": [], "repos": [], "keywords": []});
                fields.insert("kind".to_owned(), json!("webhook"));
                fields.insert("filters".to_owned(), filters);
                fields.insert("start_from".to_owned(), json!("now"));
            }
            data
        },
    },
    Step {
        name: "WebhookEndpointDisabled",
        from: 1,
        raise: |data| unknown("last_failure", data),
    },
    Step {
        name: "StarsUnattributed",
        from: 1,
        raise: |mut data| {
            if let Some(fields) = data.as_object_mut() {
                fields.insert("taken_back".to_owned(), json!(0));
            }
            data
        },
    },
    Step {
        name: "LeadCaptured",
        from: 1,
        raise: |data| unknown("login", data),
    },
    Step {
        name: "LeadWithheld",
        from: 1,
        raise: |data| unknown("login", data),
    },
    Step {
        name: "SignalRecorded",
        from: 1,
        raise: |data| unknown("login", data),
    },
    Step {
        name: "LeadEnriched",
        from: 1,
        raise: |data| unknown("login", data),
    },
];

/// A field that the older version did not have.
fn unknown(field: &str, mut data: Value) -> Value {
    if let Some(fields) = data.as_object_mut() {
        fields.insert(field.to_owned(), Value::Null);
    }
    data
}

/// Applies the steps of `name` from version `from` upward, in order.
pub fn raise(steps: &[Step], name: &str, from: u32, data: Value) -> Value {
    let mut version = from;
    let mut data = data;
    while let Some(step) = steps.iter().find(|step| step.name == name && step.from == version) {
        data = (step.raise)(data);
        version += 1;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rename_plan(mut data: Value) -> Value {
        if let Some(plan) = data.as_object_mut().and_then(|fields| fields.remove("tier")) {
            data["plan"] = plan;
        }
        data
    }

    fn add_name(mut data: Value) -> Value {
        data["name"] = json!("unnamed");
        data
    }

    const HISTORY: &[Step] = &[
        Step {
            name: "AccountOpened",
            from: 2,
            raise: add_name,
        },
        Step {
            name: "AccountOpened",
            from: 1,
            raise: rename_plan,
        },
    ];

    #[test]
    fn steps_run_in_the_order_of_versions_and_only_those_needed() {
        let first = raise(HISTORY, "AccountOpened", 1, json!({"tier": "pro"}));
        assert_eq!(first, json!({"plan": "pro", "name": "unnamed"}));
        let second = raise(HISTORY, "AccountOpened", 2, json!({"plan": "pro"}));
        assert_eq!(second, json!({"plan": "pro", "name": "unnamed"}));
    }

    #[test]
    fn an_endpoint_that_was_disabled_by_the_first_version_has_no_known_failure() {
        let raised = raise(STEPS, "WebhookEndpointDisabled", 1, json!({"reason": "gone"}));
        assert_eq!(raised, json!({"reason": "gone", "last_failure": null}));
        let of_today = json!({"reason": "gone", "last_failure": "timeout"});
        assert_eq!(raise(STEPS, "WebhookEndpointDisabled", 2, of_today.clone()), of_today);
    }

    #[test]
    fn other_events_are_left_alone() {
        assert_eq!(raise(HISTORY, "PlanChanged", 1, json!({"tier": 1})), json!({"tier": 1}));
    }
}
