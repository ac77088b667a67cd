//! Appends with postgres-es, through the event store of cqrs-es.
//!
//! Kinder than its everyday use: no aggregate is loaded before, a connection for each caller, none tested before it is used.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{EventStoreAggregateContext, PersistedEventStore};
use cqrs_es::{Aggregate, DomainEvent, EventStore as _};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

use crate::copy::{DATA, scattered};
use crate::measure;

/// The table as postgres-es asks for it.
const TABLE: &str = "
CREATE TABLE peer_events (
    aggregate_type TEXT NOT NULL,
    aggregate_id   TEXT NOT NULL,
    sequence       BIGINT CHECK (sequence >= 0) NOT NULL,
    event_type     TEXT NOT NULL,
    event_version  TEXT NOT NULL,
    payload        JSON NOT NULL,
    metadata       JSON NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LeadCaptured(String);

impl DomainEvent for LeadCaptured {
    fn event_type(&self) -> String {
        "LeadCaptured".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Lead;

impl Aggregate for Lead {
    const TYPE: &'static str = "lead";
    type Command = ();
    type Event = LeadCaptured;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Infallible> {
        Ok(())
    }

    fn apply(&mut self, _: LeadCaptured) {}
}

/// Every call commits the first events of a new aggregate.
pub(crate) async fn append(url: &str, each: Duration) -> anyhow::Result<()> {
    crate::connect(url).await?.batch_execute(TABLE).await?;
    for callers in [1, 4, 16, 64] {
        for events in [1, 10] {
            crate::make_room(url, "peer_events").await?;
            cell(url, callers, events, each).await?;
        }
    }
    Ok(())
}

async fn cell(url: &str, callers: u32, events: usize, each: Duration) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(callers)
        .min_connections(callers)
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let repository = PostgresEventRepository::new(pool.clone()).with_tables("peer_events", "peer_snapshots");
    let store = Arc::new(PersistedEventStore::<_, Lead>::new_event_store(repository));
    let calls = (0..callers).map(|caller| (u64::from(caller), 0)).collect();
    measure::cell(
        "postgres-es",
        events,
        calls,
        each,
        move |(caller, number): (u64, u64)| {
            let store = Arc::clone(&store);
            async move {
                let lead = EventStoreAggregateContext {
                    aggregate_id: format!("{:032x}", scattered(number * 64 + caller)),
                    aggregate: Lead,
                    current_sequence: 0,
                    current_snapshot: None,
                };
                let captured = LeadCaptured(DATA.to_owned());
                store.commit(vec![captured; events], lead, HashMap::new()).await?;
                Ok((caller, number + 1))
            }
        },
    )
    .await?;
    pool.close().await;
    Ok(())
}
