//! The composition root: opens the files of a data directory and puts the rooms on top of each other.
//!
//! Used by `serve`, and by the command line for a command on a directory that no server holds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use database::lock::DataDirLock;
use database::migrate::{MIGRATIONS, migrate};
use database::sqlite::{Durability, Sqlite};
use domain::{AccountId, Plans};
use event_log::Position;
use event_log::sqlite::SqliteLog;
use projections::accounts::{self, AccountRow};
use projections::freshness::Freshness;
use projections::runner::Runner;
use tokio::sync::Mutex;
use vault::{RootKey, Vault};

use crate::clock::{Clock, SystemClock};
use crate::commands::{self, IssuedKey, Writer};
use crate::config::Config;
use crate::ingest::Ingest;

/// An open data directory. Nobody else has it open meanwhile.
pub struct App {
    /// Every setting.
    pub config: Config,
    /// The only writer.
    pub writer: Arc<Writer>,
    /// What cannot be rebuilt: `gitleads.db`.
    pub store: Arc<Sqlite>,
    /// What can: `views.db`.
    pub views: Arc<Sqlite>,
    /// The one writer of the views.
    pub runner: Arc<Mutex<Runner>>,
    /// How far the views are.
    pub freshness: Freshness,
    /// What each plan grants.
    pub plans: Arc<Plans>,
    /// The one door for activity.
    pub ingest: Arc<Ingest>,
    _lock: DataDirLock,
}

impl App {
    /// Opens the data directory that the configuration names, makes it if it is not there, and brings the views up to
    /// the log. None: another process holds it.
    pub async fn open(config: Config) -> anyhow::Result<Option<Self>> {
        let folder = config.server.data_dir.clone();
        make_folder(&folder).with_context(|| format!("cannot make the data directory {}", folder.display()))?;
        let Some(lock) = DataDirLock::try_acquire(&folder)
            .with_context(|| format!("cannot lock the data directory {}", folder.display()))?
        else {
            return Ok(None);
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = open_database(&folder.join("gitleads.db"), Durability::Full)?;
        migrate(&*store, MIGRATIONS)
            .await
            .context("cannot bring gitleads.db up to date")?;
        let root = root_key(&config, &*clock)?;
        let vault = Arc::new(Vault::new(store.clone(), &root));
        vault.check().await.context("the root key does not fit gitleads.db")?;
        let log = Arc::new(
            SqliteLog::open(Sqlite::clone(&store))
                .await
                .context("cannot open the event log")?,
        );
        let views = open_database(&folder.join("views.db"), Durability::Disposable)?;
        let mut runner = Runner::open(log.clone(), views.clone(), projections::all())
            .await
            .context("cannot open the views")?;
        runner
            .catch_up()
            .await
            .context("cannot bring the views up to the log")?;
        let plans = Arc::new(config.plans.clone());
        let freshness = runner.freshness();
        let writer = Arc::new(Writer { log, vault, clock });
        let ingest = Ingest::new(
            writer.clone(),
            views.clone(),
            freshness.clone(),
            plans.clone(),
            store.clone(),
        );
        Ok(Some(Self {
            config,
            writer,
            store,
            views,
            runner: Arc::new(Mutex::new(runner)),
            freshness,
            plans,
            ingest: Arc::new(ingest),
            _lock: lock,
        }))
    }

    /// The account of this installation; the first call ever opens it, on the plan that a self-hosted start has.
    pub async fn account(&self) -> anyhow::Result<AccountRow> {
        if let Some(account) = accounts::all(&*self.views).await?.into_iter().next() {
            return Ok(account);
        }
        let plan = Plans::FIRST.parse().context("the first plan has no valid name")?;
        let opened = commands::open_account(&self.writer, "default".to_owned(), plan).await?;
        self.runner.lock().await.catch_up().await?;
        let account = accounts::find(&*self.views, opened.value).await?;
        account.context("the account that was opened is not in the views")
    }

    /// Issues the first key if the account never had one.
    pub async fn first_key(&self, account: AccountId) -> anyhow::Result<Option<IssuedKey>> {
        if !projections::api_keys::list(&*self.views, account).await?.is_empty() {
            return Ok(None);
        }
        let issued = commands::issue_key(&self.writer, account, "first key".to_owned()).await?;
        self.runner.lock().await.catch_up().await?;
        Ok(Some(issued.value))
    }

    /// Waits, with a bound, until the views show what was written at `position`.
    pub async fn settle(&self, position: Position) {
        self.freshness.reached(position, Duration::from_secs(10)).await;
    }

    /// Closes the files; what was acknowledged is in them.
    pub async fn close(&self) {
        self.views.close().await;
        self.store.close().await;
    }
}

/// Nobody but the owner may look into the directory: it holds the root key and the control socket.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn open_database(path: &Path, durability: Durability) -> anyhow::Result<Arc<Sqlite>> {
    let database = Sqlite::open(path, durability).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(Arc::new(database))
}

fn root_key(config: &Config, clock: &dyn Clock) -> anyhow::Result<RootKey> {
    if let Some(text) = &config.vault.root_key {
        return RootKey::from_base64(text.expose()).context("root_key");
    }
    let mut entropy = [0; 32];
    for (chunk, draw) in entropy.chunks_mut(8).zip(std::iter::repeat_with(|| clock.entropy())) {
        for (byte, random) in chunk.iter_mut().zip(draw.to_le_bytes()) {
            *byte = random;
        }
    }
    Ok(RootKey::load_or_create(
        &config.server.data_dir.join("root.key"),
        entropy,
    )?)
}
