//! What everything stands on, whichever engine: the log, the database of what cannot be rebuilt, and the one of what can.
//!
//! Used by the composition root, and by the copy of a log from one database to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use database::lock::DataDirLock;
use database::migrate::{MIGRATIONS, migrate};
use database::postgres::{Address, Postgres};
use database::{Database, Durability, Sqlite};
use event_log::{EventLog, KurrentLog, PostgresLog, SqliteLog};

use crate::config::{Config, Engine};
use crate::transfer;

/// The open databases.
pub struct Storage {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// What cannot be rebuilt.
    pub store: Arc<dyn Database>,
    /// What can.
    pub views: Arc<dyn Database>,
    /// Whether the log's positions are 1, 2, 3 and so on.
    pub is_gapless: bool,
    opened: Store,
    views_file: Option<Views>,
}

/// The file of the read models.
struct Views {
    path: PathBuf,
    file: Sqlite,
}

impl Storage {
    /// Opens what the configuration names, and makes what is not there. None: another process holds the data directory.
    pub async fn open(config: &Config) -> anyhow::Result<Option<Self>> {
        let folder = &config.server.data_dir;
        make_folder(folder)?;
        let opened = match &config.database.engine {
            Engine::Embedded => Store::open_files(folder).await?,
            Engine::Postgres(address) => {
                Some(Store::open_server(Address::clone(address), config.database.allow_unsafe_postgres).await?)
            }
        };
        let Some(opened) = opened else {
            return Ok(None);
        };
        let store = opened.database();
        ensure!(
            !transfer::is_unfinished(&*store).await?,
            "a copy into {} has not come to its end; run the same `gitleads log copy` again",
            opened.name()
        );
        let log = open_log(config, &opened).await.context("cannot open the event log")?;
        let (views, views_file) = open_views(folder, &opened)?;
        Ok(Some(Self {
            log,
            store,
            views,
            is_gapless: config.database.log_url.is_none(),
            opened,
            views_file,
        }))
    }

    /// What cannot be rebuilt, as the host knows it.
    pub fn name(&self) -> String {
        self.opened.name()
    }

    /// What to do if the read models cannot be used.
    pub fn views_damaged(&self) -> String {
        match &self.views_file {
            Some(views) => views_damaged(&views.path),
            None => format!("the read models in {} cannot be used", self.name()),
        }
    }

    /// Whether other processes may have it open too.
    pub const fn is_shared(&self) -> bool {
        matches!(self.opened, Store::Server(_))
    }

    /// Where nodes count the requests of accounts together, if other processes may have it open too. Like the read models it
    /// may lose what is newest.
    pub fn shared_limits(&self) -> Option<Arc<dyn Database>> {
        self.is_shared().then(|| self.views.clone())
    }

    /// Closes the files; what was acknowledged is in them.
    pub async fn close(&self) {
        if let Some(views) = &self.views_file {
            views.file.close().await;
        }
        self.opened.close().await;
    }
}

async fn open_log(config: &Config, opened: &Store) -> anyhow::Result<Arc<dyn EventLog>> {
    if let Some(url) = &config.database.log_url {
        return Ok(Arc::new(KurrentLog::open(url.expose())?));
    }
    Ok(match opened {
        Store::Files { store, .. } => Arc::new(SqliteLog::open(store.clone()).await?),
        Store::Server(database) => Arc::new(PostgresLog::open(database.clone()).await?),
    })
}

fn open_views(folder: &Path, opened: &Store) -> anyhow::Result<(Arc<dyn Database>, Option<Views>)> {
    if let Store::Server(database) = opened {
        return Ok((Arc::new(database.disposable()), None));
    }
    let path = folder.join("views.db");
    let file = open_file(&path, Durability::Disposable).with_context(|| views_damaged(&path))?;
    Ok((Arc::new(file.clone()), Some(Views { path, file })))
}

/// The database of what cannot be rebuilt, with its schema in place.
pub enum Store {
    /// `gitleads.db` in a data directory, which nobody else has open meanwhile.
    Files {
        /// The file.
        store: Sqlite,
        /// Held as long as the file is open.
        lock: DataDirLock,
    },
    /// A database that any number of processes share.
    Server(Postgres),
}

impl Store {
    /// Opens the file in a data directory, or makes it. None: another process holds the directory.
    pub async fn open_files(folder: &Path) -> anyhow::Result<Option<Self>> {
        make_folder(folder)?;
        let Some(lock) = DataDirLock::try_acquire(folder)
            .with_context(|| format!("cannot lock the data directory {}", folder.display()))?
        else {
            return Ok(None);
        };
        let store = open_file(&folder.join("gitleads.db"), Durability::Full)?;
        migrate(&store, MIGRATIONS)
            .await
            .context("cannot bring gitleads.db up to date")?;
        Ok(Some(Self::Files { store, lock }))
    }

    /// Opens a database on a server.
    pub async fn open_server(address: Address, allow_unsafe: bool) -> anyhow::Result<Self> {
        let database = Postgres::open(address, allow_unsafe).await?;
        migrate(&database, MIGRATIONS)
            .await
            .with_context(|| format!("cannot bring {} up to date", database.target()))?;
        Ok(Self::Server(database))
    }

    /// The database.
    pub fn database(&self) -> Arc<dyn Database> {
        match self {
            Self::Files { store, .. } => Arc::new(store.clone()),
            Self::Server(database) => Arc::new(database.clone()),
        }
    }

    /// What the host knows it by.
    pub fn name(&self) -> String {
        match self {
            Self::Files { .. } => "gitleads.db".to_owned(),
            Self::Server(database) => database.target(),
        }
    }

    /// Closes the file; what was acknowledged is in it.
    pub async fn close(&self) {
        if let Self::Files { store, .. } = self {
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
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the data directory {}", folder.display()))
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
