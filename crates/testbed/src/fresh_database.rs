//! A new, empty database for each test, on the server that `scripts/postgres` runs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{client, told};

static MADE: AtomicU32 = AtomicU32::new(0);

/// The server that all tests of a run share.
pub struct Postgres;

impl Postgres {
    /// Makes a database that no other test knows.
    pub async fn fresh_database() -> FreshDatabase {
        let server = told("GITLEADS_TEST_POSTGRES");
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", process::id());
        client::execute(&server, &format!("CREATE DATABASE {name}")).await;
        let (server, _) = server.rsplit_once('/').expect("the server's URL ends in a database");
        FreshDatabase {
            url: format!("{server}/{name}"),
        }
    }
}

/// A database of one test. It stays when the test is over and goes with the server: to drop it takes the server twice as
/// long as to make it.
pub struct FreshDatabase {
    url: String,
}

impl FreshDatabase {
    /// The one of this URL, on a server of the test's own.
    pub const fn at(url: String) -> Self {
        Self { url }
    }

    /// Where a client finds it, as the server's superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs statements on a connection of their own; several are divided by semicolons.
    pub async fn execute(&self, sql: &str) {
        client::execute(&self.url, sql).await;
    }

    /// The folders of the server that hold this database's rows and the write-ahead log, all that was written by now on
    /// the disk.
    pub async fn folders_on_disk(&self) -> [PathBuf; 2] {
        self.execute("CHECKPOINT").await;
        let number = "SELECT oid::bigint FROM pg_database WHERE datname = current_database()";
        let number = self.number(number).await;
        let server = client::text(&self.url, "SELECT current_setting('data_directory')").await;
        let server = Path::new(&server);
        [server.join("base").join(number.to_string()), server.join("pg_wal")]
    }

    /// A new database with what `pg_dump` says of this one.
    pub async fn dumped_and_restored(&self) -> Self {
        let restored = Postgres::fresh_database().await;
        let bin = told("GITLEADS_TEST_POSTGRES_BIN");
        let run = |program: &str, url: &str| {
            let mut command = Command::new(Path::new(&bin).join(program));
            command.arg(url);
            command
        };
        let dump = run("pg_dump", &self.url).output().expect("pg_dump runs");
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let mut psql = run("psql", &restored.url);
        psql.args(["-q", "-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        let mut psql = psql.spawn().expect("psql runs");
        let mut input = psql.stdin.take().expect("it was asked for");
        input.write_all(&dump.stdout).expect("psql reads");
        drop(input);
        assert!(psql.wait().expect("psql ends").success());
        restored
    }

    /// The plan that the server makes of a query for any parameters, of which it takes so many.
    pub async fn generic_plan(&self, query: &str, parameters: usize) -> String {
        client::generic_plan(&self.url, query, parameters).await
    }

    /// The one number that a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        client::number(&self.url, sql).await
    }
}
