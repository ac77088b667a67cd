//! What everything stands on, whichever engine: the log, the database of what cannot be rebuilt, and the one of what can.
//!
//! Used by the composition root alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use database::lock::DataDirLock;
use database::migrate::{MIGRATIONS, migrate};
use database::postgres::{Address, Postgres};
use database::{Database, Durability, Sqlite};
use event_log::{EventLog, PostgresLog, SqliteLog};

use crate::config::{Config, Engine};

/// The open databases.
pub struct Storage {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// What cannot be rebuilt.
    pub store: Arc<dyn Database>,
    /// What can.
    pub views: Arc<dyn Database>,
    place: Place,
}

/// Where they are.
enum Place {
    /// Two files of one process.
    Files {
        store: Sqlite,
        views: Sqlite,
        views_path: PathBuf,
        _lock: DataDirLock,
    },
    /// A server of many processes.
    Server { name: String },
}

impl Storage {
    /// Opens what the configuration names, and makes what is not there. None: another process holds the data directory.
    pub async fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let folder = &config.server.data_dir;
        make_folder(folder).with_context(|| format!("cannot make the data directory {}", folder.display()))?;
        match &config.database.engine {
            Engine::Embedded => Self::open_files(folder).await,
            Engine::Postgres(address) => {
                let allow_unsafe = config.database.allow_unsafe_postgres;
                Self::open_server(address.clone(), allow_unsafe).await.map(Some)
            }
        }
    }

    async fn open_files(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(lock) = DataDirLock::try_acquire(folder)
            .with_context(|| format!("cannot lock the data directory {}", folder.display()))?
        else {
            return Ok(None);
        };
        let store = open_file(&folder.join("gitleads.db"), Durability::Full)?;
        migrate(&store, MIGRATIONS)
            .await
            .context("cannot bring gitleads.db up to date")?;
        let log = SqliteLog::open(store.clone())
            .await
            .context("cannot open the event log")?;
        let views_path = folder.join("views.db");
        let views = open_file(&views_path, Durability::Disposable).with_context(|| views_damaged(&views_path))?;
        Ok(Some(Self {
            log: Arc::new(log),
            store: Arc::new(store.clone()),
            views: Arc::new(views.clone()),
            place: Place::Files {
                store,
                views,
                views_path,
                _lock: lock,
            },
        }))
    }

    async fn open_server(address: Address, allow_unsafe: bool) -> anyhow::Result<Self> {
        let database = Postgres::open(address, allow_unsafe).await?;
        let name = database.target();
        migrate(&database, MIGRATIONS)
            .await
            .with_context(|| format!("cannot bring {name} up to date"))?;
        let log = PostgresLog::open(database.clone())
            .await
            .context("cannot open the event log")?;
        Ok(Self {
            log: Arc::new(log),
            store: Arc::new(database.clone()),
            views: Arc::new(database.disposable()),
            place: Place::Server { name },
        })
    }

    /// What cannot be rebuilt, as the host knows it.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Files { .. } => "gitleads.db",
            Place::Server { name } => name,
        }
    }

    /// What to do if the read models cannot be used.
    pub fn views_damaged(&self) -> String {
        match &self.place {
            Place::Files { views_path, .. } => views_damaged(views_path),
            Place::Server { name } => format!("the read models in {name} cannot be used"),
        }
    }

    /// Whether other processes may have it open too.
    pub const fn is_shared(&self) -> bool {
        matches!(self.place, Place::Server { .. })
    }

    /// Closes the files; what was acknowledged is in them.
    pub async fn close(&self) {
        if let Place::Files { store, views, .. } = &self.place {
            views.close().await;
            store.close().await;
        }
    }
}

fn views_damaged(path: &Path) -> String {
    format!(
        "{} cannot be used; if it is damaged, delete it: it is built again from the log",
        path.display()
    )
}

/// Nobody but the owner may look into the directory: it holds the root key and the control socket.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The file is made here, since the engine would make it readable to others; its companions get the same mode.
fn open_file(path: &Path, durability: Durability) -> anyhow::Result<Sqlite> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    Sqlite::open(path, durability).with_context(|| format!("cannot open {}", path.display()))
}
