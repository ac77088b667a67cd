//! Where an installation of a story lives: files in a directory, or a database on the tests' PostgreSQL server; and a log
//! elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use database::{Database, Durability, Sqlite};
use fake_kurrentdb::Node;
use testbed::{FreshDatabase, Postgres};

/// Tells each story once for each database, and once with the log on KurrentDB. A story is an `async fn(Home)`.
macro_rules! on_every_engine {
    ($($story:ident),+ $(,)?) => {
        $crate::harness::home::on_every_database!($($story),+);

        mod on_kurrentdb {
            $(
                // The node answers while the story waits for a command.
                #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
                async fn $story() {
                    super::$story($crate::harness::home::Home::on_kurrentdb().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_every_engine;

/// Tells each story once for each database.
macro_rules! on_every_database {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story($crate::harness::home::Home::on_sqlite()).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story($crate::harness::home::Home::on_postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_every_database;

/// An installation, and a directory for what the story needs besides.
pub struct Home {
    folder: tempfile::TempDir,
    database: Option<FreshDatabase>,
    /// Where the log is, if it is not in the database.
    log: Option<Node>,
}

impl Home {
    /// One on files.
    pub fn on_sqlite() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            database: None,
            log: None,
        }
    }

    /// One on a new database.
    pub async fn on_postgres() -> Self {
        Self {
            database: Some(Postgres::fresh_database().await),
            ..Self::on_sqlite()
        }
    }

    /// One on files whose log is on a node of its own.
    pub async fn on_kurrentdb() -> Self {
        Self {
            log: Some(Node::start().await.unwrap()),
            ..Self::on_sqlite()
        }
    }

    /// One on the database of this URL.
    pub fn at(url: String) -> Self {
        Self {
            database: Some(FreshDatabase::at(url)),
            ..Self::on_sqlite()
        }
    }

    /// Another installation on the same engine.
    pub async fn another(&self) -> Self {
        match (&self.database, &self.log) {
            (Some(_), _) => Self::on_postgres().await,
            (None, Some(_)) => Self::on_kurrentdb().await,
            (None, None) => Self::on_sqlite(),
        }
    }

    /// A directory for files of the story.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// How `log copy` names its database.
    pub fn place(&self) -> String {
        match &self.database {
            Some(database) => database.url().to_owned(),
            None => format!("sqlite:{}", self.data().display()),
        }
    }

    /// How a command line names this installation.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--data-dir".to_owned(), self.data().display().to_string()];
        if let Some(database) = &self.database {
            arguments.extend(["--database-url".to_owned(), database.url().to_owned()]);
        }
        if let Some(log) = &self.log {
            arguments.extend(["--log-url".to_owned(), log.url()]);
        }
        arguments
    }

    /// Deletes the read models; no process has the installation open meanwhile.
    pub async fn delete_views(&self) {
        if let Some(database) = &self.database {
            return database.execute(&drop_all_but(&precious_tables())).await;
        }
        for name in ["views.db", "views.db-wal", "views.db-shm"] {
            drop(std::fs::remove_file(self.data().join(name)));
        }
    }

    /// The one number that a query of the shared database answers.
    pub async fn number(&self, sql: &str) -> i64 {
        self.database.as_ref().expect("a database is shared").number(sql).await
    }

    /// The database of what cannot be built again.
    pub async fn store(&self) -> Arc<dyn Database> {
        match &self.database {
            Some(database) => {
                let address = database.url().parse().unwrap();
                Arc::new(database::Postgres::open(address, false).await.unwrap())
            }
            None => Arc::new(Sqlite::open(&self.data().join("gitleads.db"), Durability::Full).unwrap()),
        }
    }

    /// Does on the shared database what docs/operations.md says is to be done after an erasure. On files it is done by ending
    /// the server.
    pub async fn rotate(&self) {
        let Some(database) = &self.database else { return };
        for sql in [
            "ANALYZE person_keys",
            "VACUUM FULL pg_statistic",
            "VACUUM FULL person_keys",
        ] {
            database.execute(sql).await;
        }
        let turns = database.number("SELECT 2 * count(*) + 2 FROM pg_ls_waldir()").await;
        for _ in 0..turns {
            for sql in [
                "SELECT pg_create_restore_point('erased')",
                "SELECT pg_switch_wal()",
                "CHECKPOINT",
            ] {
                database.execute(sql).await;
            }
        }
    }

    /// Every folder that holds bytes of the installation, with all that was written by now.
    pub async fn folders_on_disk(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.data()];
        if let Some(database) = &self.database {
            folders.extend(database.folders_on_disk().await);
        }
        folders
    }

    /// A number that grows as the log does.
    pub async fn log_size(&self) -> u64 {
        if let Some(log) = &self.log {
            return log.end();
        }
        match &self.database {
            Some(database) => {
                // A look is a connection, which costs the server more than a little.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                let events =
                    "SELECT CASE WHEN to_regclass('events') IS NULL THEN 0 ELSE pg_relation_size('events') END";
                database.number(events).await.unsigned_abs()
            }
            None => std::fs::metadata(self.data().join("gitleads.db-wal")).map_or(0, |metadata| metadata.len()),
        }
    }
}

/// The tables that migrations make, and the one that remembers them.
fn precious_tables() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut tables = vec!["schema_migrations".to_owned()];
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let names = text.split("CREATE TABLE ").skip(1);
        tables.extend(names.map(|rest| rest.split_whitespace().next().unwrap().to_owned()));
    }
    tables
}

fn drop_all_but(kept: &[String]) -> String {
    let kept: Vec<String> = kept.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "DO $$ DECLARE name TEXT; BEGIN \
         FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ({}) \
         LOOP EXECUTE 'DROP TABLE ' || name; END LOOP; END $$",
        kept.join(", ")
    )
}
