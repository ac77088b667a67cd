//! What erasures leave to be done: keys of people who were erased on another node are forgotten here, and erasures that
//! were cut off are brought to their end. A task of `serve`.

use std::time::Duration;

use anyhow::Context as _;
use domain::Event;
use event_log::{EventLog, Position, Recorded, Scope};
use vault::Vault;

use crate::commands::{CommandError, Writer, erase_person};

/// Events looked at in one go.
const PAGE: usize = 1_000;

/// The log is looked at this often even if nothing hints at news.
const TICK: Duration = Duration::from_secs(1);

/// Does both, until it is dropped or one of them fails.
pub async fn run(writer: &Writer, from: Position) -> anyhow::Result<()> {
    let forget = forget(&*writer.log, &writer.vault, from);
    tokio::try_join!(forget, finish(writer))?;
    Ok(())
}

/// Brings erasures to their end whose process died, or whose log could not be written, once the key was destroyed.
async fn finish(writer: &Writer) -> anyhow::Result<()> {
    loop {
        let unfinished = writer.vault.unfinished_erasures().await;
        for (account, person) in unfinished.context("read which erasures are unfinished")? {
            match erase_person(writer, account, person).await {
                Ok(_) | Err(CommandError::Refused(_)) => {}
                Err(error) => return Err(error).context("finish an erasure"),
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Forgets the key of everybody whose erasure stands in the log after `from`. Runs until it is dropped or the log cannot be
/// read.
///
/// A key is destroyed before the log says so. Whatever key is held when `from` is the log's head may be of somebody erased
/// before; so `from` is to be a place where the log ended when nothing was held yet.
async fn forget(log: &dyn EventLog, vault: &Vault, from: Position) -> anyhow::Result<()> {
    let mut looked_to = from;
    loop {
        let page = log.read(Scope::All, looked_to, PAGE).await.context("read the log")?;
        page.events.iter().for_each(|recorded| heed(vault, recorded));
        looked_to = page.looked_to.max(looked_to);
        if looked_to >= page.head {
            log.wait(looked_to, TICK).await;
        }
    }
}

fn heed(vault: &Vault, recorded: &Recorded) {
    if let (Event::LeadErased(_), Some(person)) = (&recorded.event, recorded.stream.person()) {
        vault.forget(recorded.account(), person);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use database::migrate::{MIGRATIONS, migrate};
    use database::{Durability, Sqlite};
    use domain::event::LeadErased;
    use domain::{AccountId, EventId, LeadId, StreamId, Timestamp};
    use event_log::memory::MemoryLog;
    use event_log::{NewEvent, StreamAppend};
    use vault::RootKey;

    use super::*;

    /// Two nodes' vaults over one table.
    async fn two_vaults() -> (Vault, Vault, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&folder.path().join("gitleads.db"), Durability::Full).unwrap());
        migrate(&*store, MIGRATIONS).await.unwrap();
        let root = RootKey::load_or_create(&folder.path().join("root.key"), [7; 32]).unwrap();
        (Vault::new(store.clone(), &root), Vault::new(store, &root), folder)
    }

    #[tokio::test]
    async fn a_node_forgets_the_key_of_a_person_who_was_erased_on_another() {
        let (here, elsewhere, _folder) = two_vaults().await;
        let log = MemoryLog::new();
        let account = AccountId::default();
        let [erased, other] = [1, 2].map(|user_id| here.person_ref(account, user_id));
        let has = async |person| here.keys(account, &[person]).await.unwrap().has(person);
        here.ensure_keys(account, &[erased, other]).await.unwrap();
        elsewhere.destroy(account, erased).await.unwrap();
        assert!(has(erased).await, "it is at hand");
        let event = LeadErased {
            lead_id: LeadId::default(),
            withheld: false,
        };
        let append = StreamAppend {
            stream: StreamId::lead(account, erased),
            expected: 0,
            recorded_at: Timestamp::from_secs(0),
            events: vec![NewEvent {
                id: EventId::default(),
                event: event.into(),
            }],
        };
        log.append(vec![append]).await.remove(0).unwrap();
        let forgotten = async {
            while has(erased).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = forget(&log, &here, Position::START) => ended.unwrap(),
            () = forgotten => {}
        }
        assert!(has(other).await);
    }
}
