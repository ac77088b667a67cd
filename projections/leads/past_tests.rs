//! Given a history, then what it says of a moment in the past is what the rows said at that moment.

use std::collections::HashMap;

use domain::{StreamId, Timestamp};
use event_log::Position;

use super::tests::filters;
use super::*;
use crate::tests::{History, account, each_engine, runner_of};

/// What the rows said at a moment.
struct Said {
    moment: Timestamp,
    /// The list under each combination of filters.
    lists: Vec<Vec<LeadRow>>,
    details: HashMap<LeadId, LeadDetail>,
}

/// The list under each combination of filters, read page by page from a place on.
async fn listed(views: &dyn database::Database, from: Option<(Timestamp, Position)>) -> Vec<Vec<LeadRow>> {
    let mut lists = Vec::new();
    for filter in filters() {
        let mut query = LeadQuery {
            before: from,
            limit: 7,
            ..filter
        };
        let mut list = Vec::new();
        loop {
            let rows = page(views, &query).await.unwrap();
            let Some(end) = rows.last() else { break };
            query.before = Some((end.captured_at, end.position));
            list.extend(rows);
        }
        lists.push(list);
    }
    lists
}

#[tokio::test]
async fn the_answers_of_200_moments_are_found_again_in_the_history_but_for_erased_people() {
    for (views, _keep) in each_engine().await {
        let mut history = History::new();
        history.accounts().await;
        let mut runner = runner_of(&history, &views).await;
        let mut said = Vec::new();
        for _ in 0..200 {
            for _ in 0..=history.roll(9) {
                history.lead_event(40).await;
            }
            // So that no event after it is of the same moment.
            history.let_a_second_pass();
            runner.catch_up().await.unwrap();
            let recorded = history.recorded().await;
            let mut details = HashMap::new();
            for id in history.lead_ids() {
                let found = find(&*views, account(1), id).await.unwrap();
                details.extend(found.map(|detail| (id, detail)));
            }
            said.push(Said {
                moment: recorded.last().unwrap().recorded_at,
                lists: listed(&*views, None).await,
                details,
            });
        }
        let (recorded, erased) = (history.recorded().await, history.erased_ids());
        assert!(!erased.is_empty());
        let mut streams: HashMap<&StreamId, Vec<Recorded>> = HashMap::new();
        for event in &recorded {
            streams.entry(&event.stream).or_default().push(event.clone());
        }
        let of = |row: &LeadRow| &streams[&StreamId::lead(account(1), row.person)];
        for mut was in said {
            let moment = was.moment;
            let mut again = listed(&*views, Some((moment, Position::new(u64::MAX)))).await;
            for row in again.iter_mut().flatten() {
                row.profile = profile_at(of(row), moment);
            }
            for list in &mut was.lists {
                list.retain(|row| !erased.contains(&row.lead_id));
            }
            assert_eq!(again, was.lists, "{moment}");
            for id in history.lead_ids() {
                let now = find(&*views, account(1), id).await.unwrap();
                let then = now.and_then(|now| detail_at(of(&now.lead), moment));
                let told = was.details.get(&id).filter(|_| !erased.contains(&id));
                assert_eq!(then.as_ref(), told, "{id} at {moment}");
            }
        }
    }
}
