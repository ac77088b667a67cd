//! Brings the precious schema up to date, one numbered file after the other; run by whoever opens `gitleads.db`.

use std::collections::BTreeMap;

use crate::{Database, DatabaseError, Statement};

/// A step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub number: u32,
    /// What it is about.
    pub name: &'static str,
    /// Its statements, in the common subset of [`crate::statement`].
    pub sql: &'static str,
}

/// Everything in `migrations/`.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "event_log",
        sql: include_str!("../../../migrations/0001_event_log.sql"),
    },
    Migration {
        number: 2,
        name: "person_keys",
        sql: include_str!("../../../migrations/0002_person_keys.sql"),
    },
    Migration {
        number: 3,
        name: "deliveries",
        sql: include_str!("../../../migrations/0003_deliveries.sql"),
    },
    Migration {
        number: 4,
        name: "ingestion",
        sql: include_str!("../../../migrations/0004_ingestion.sql"),
    },
    Migration {
        number: 5,
        name: "log_head",
        sql: include_str!("../../../migrations/0005_log_head.sql"),
    },
    Migration {
        number: 6,
        name: "nodes",
        sql: include_str!("../../../migrations/0006_nodes.sql"),
    },
    Migration {
        number: 7,
        name: "idempotency",
        sql: include_str!("../../../migrations/0007_idempotency.sql"),
    },
    Migration {
        number: 8,
        name: "webhook_breakers",
        sql: include_str!("../../../migrations/0008_webhook_breakers.sql"),
    },
    Migration {
        number: 9,
        name: "webhook_deliveries",
        sql: include_str!("../../../migrations/0009_webhook_deliveries.sql"),
    },
    Migration {
        number: 10,
        name: "ladder",
        sql: include_str!("../../../migrations/0010_ladder.sql"),
    },
    Migration {
        number: 11,
        name: "backfills",
        sql: include_str!("../../../migrations/0011_backfills.sql"),
    },
    Migration {
        number: 12,
        name: "profiles",
        sql: include_str!("../../../migrations/0012_profiles.sql"),
    },
    Migration {
        number: 13,
        name: "code_search",
        sql: include_str!("../../../migrations/0013_code_search.sql"),
    },
    Migration {
        number: 14,
        name: "missed_deliveries",
        sql: include_str!("../../../migrations/0014_missed_deliveries.sql"),
    },
    Migration {
        number: 15,
        name: "unfinished_erasures",
        sql: include_str!("../../../migrations/0015_unfinished_erasures.sql"),
    },
    Migration {
        number: 16,
        name: "webhook_records",
        sql: include_str!("../../../migrations/0016_webhook_records.sql"),
    },
    Migration {
        number: 17,
        name: "shared_answers",
        sql: include_str!("../../../migrations/0017_shared_answers.sql"),
    },
    Migration {
        number: 18,
        name: "unread_deliveries",
        sql: include_str!("../../../migrations/0018_unread_deliveries.sql"),
    },
    Migration {
        number: 19,
        name: "budget_tokens",
        sql: include_str!("../../../migrations/0019_budget_tokens.sql"),
    },
    Migration {
        number: 20,
        name: "login_seen",
        sql: include_str!("../../../migrations/0020_login_seen.sql"),
    },
    Migration {
        number: 21,
        name: "stars_given_again",
        sql: include_str!("../../../migrations/0021_stars_given_again.sql"),
    },
    Migration {
        number: 22,
        name: "public_repositories",
        sql: include_str!("../../../migrations/0022_public_repositories.sql"),
    },
];

/// Why the schema was not brought up to date. The migrations before the refused one stay applied.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The file was edited after it had been applied.
    #[error("migration {number} ({name}) is not the one that was applied to this database")]
    Changed {
        /// Its number.
        number: u32,
        /// Its name today.
        name: &'static str,
    },
    /// A newer GitLeads has migrated this database.
    #[error("this database has migration {number}, this program knows none of that number")]
    Newer {
        /// The number.
        number: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The text itself is kept, so that a change is seen and an operator can read what was run.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    number BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    statements TEXT NOT NULL
)";

/// Applies what is missing, each migration in a transaction of its own.
pub async fn migrate(database: &dyn Database, migrations: &[Migration]) -> Result<(), MigrateError> {
    database.write(vec![Statement::sql(TABLE, vec![])]).await?;
    let applied = applied(database).await?;
    let newer = |number: &&i64| migrations.iter().all(|known| i64::from(known.number) != **number);
    if let Some(&number) = applied.keys().find(newer) {
        return Err(MigrateError::Newer { number });
    }
    for migration in migrations {
        match applied.get(&i64::from(migration.number)) {
            None => apply(database, migration).await?,
            Some(statements) if statements == migration.sql => {}
            Some(_) => {
                return Err(MigrateError::Changed {
                    number: migration.number,
                    name: migration.name,
                });
            }
        }
    }
    Ok(())
}

async fn applied(database: &dyn Database) -> Result<BTreeMap<i64, String>, DatabaseError> {
    let query = Statement::sql("SELECT number, statements FROM schema_migrations", vec![]);
    let rows = database.read(query).await?;
    rows.iter()
        .map(|row| Ok((row.int(0)?, row.text(1)?.to_owned())))
        .collect()
}

async fn apply(database: &dyn Database, migration: &Migration) -> Result<(), DatabaseError> {
    // First, so that another process that starts at the same moment waits here and then has nothing to do.
    let noted = Statement::guard(
        "INSERT INTO schema_migrations (number, name, statements) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        vec![migration.number.into(), migration.name.into(), migration.sql.into()],
    );
    match database.write(vec![noted, Statement::sql(migration.sql, vec![])]).await {
        Ok(_) => {}
        Err(DatabaseError::Stale) => return Ok(()),
        Err(error) => return Err(error),
    }
    tracing::info!(number = migration.number, name = migration.name, "applied a migration");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Durability, Sqlite};

    fn open(dir: &tempfile::TempDir) -> Sqlite {
        Sqlite::open(&dir.path().join("test.db"), Durability::Full).unwrap()
    }

    #[tokio::test]
    async fn every_migration_is_applied_once_and_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        for _ in 0..2 {
            migrate(&database, MIGRATIONS).await.unwrap();
            assert_eq!(applied(&database).await.unwrap().len(), MIGRATIONS.len());
        }
    }

    #[tokio::test]
    async fn answers_to_requests_that_told_of_several_people_go() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        let (before, _) = MIGRATIONS.split_at(16);
        migrate(&database, before).await.unwrap();
        // Two of one message, one after it that took as long, and one of the same moment to another endpoint.
        for (id, endpoint, at) in [("a", "one", 7), ("b", "one", 7), ("c", "one", 8), ("d", "other", 7)] {
            let attempt = format!(
                "INSERT INTO webhook_attempt (id, endpoint, position, event_id, attempt, at, duration_us, outcome, answer) \
                 VALUES ('{id}', '{endpoint}', 1, '{id}', 1, {at}, 25, 'delivered', x'01')"
            );
            database.write(vec![Statement::sql(attempt, vec![])]).await.unwrap();
        }
        migrate(&database, MIGRATIONS).await.unwrap();
        let kept = "SELECT id FROM webhook_attempt WHERE answer IS NOT NULL ORDER BY id";
        let rows = database.read(Statement::sql(kept, vec![])).await.unwrap();
        let kept: Vec<&str> = rows.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(kept, ["c", "d"]);
    }

    #[tokio::test]
    async fn a_changed_migration_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        let [first, ..] = MIGRATIONS else {
            panic!("no migrations")
        };
        migrate(&database, &[*first]).await.unwrap();
        let changed = Migration {
            sql: "SELECT 1",
            ..*first
        };
        let refused = migrate(&database, &[changed]).await;
        assert!(matches!(refused, Err(MigrateError::Changed { number: 1, .. })));
    }

    #[tokio::test]
    async fn a_database_of_a_newer_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        migrate(&database, MIGRATIONS).await.unwrap();
        let refused = migrate(&database, &MIGRATIONS[..1]).await;
        assert!(matches!(refused, Err(MigrateError::Newer { number: 2 })));
    }

    #[tokio::test]
    async fn a_migration_that_fails_half_way_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir);
        let broken = Migration {
            number: 1,
            name: "broken",
            sql: "CREATE TABLE half (a BIGINT); CREATE TABLE half (a BIGINT);",
        };
        assert!(migrate(&database, &[broken]).await.is_err());
        let whole = Migration {
            sql: "CREATE TABLE half (a BIGINT);",
            ..broken
        };
        migrate(&database, &[whole]).await.unwrap();
    }
}
