//! The composition root: opens an installation and puts the rooms on top of each other.
//!
//! Used by `serve`, and by the command line for a command that no server runs in its stead.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::{AccountId, Plans};
use event_log::Position;
use projections::accounts::{self, AccountRow};
use projections::freshness::Freshness;
use projections::generations;
use projections::runner::Runner;
use tokio::sync::Mutex;
use tokio::time::Instant;
use vault::{RootKey, Vault};

use crate::clock::{Clock, SystemClock};
use crate::commands::{self, IssuedKey, Writer};
use crate::config::{Config, Role};
use crate::ingest::Ingest;
use crate::lease::Leases;
use crate::project::Claims;
use crate::storage::Storage;

/// How long the views may take to show a write: longer than a node that has ended without a word keeps others from moving
/// them.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);
/// How often is looked whether they do.
const LOOK: Duration = Duration::from_millis(50);

/// An open installation. On files nobody else has it open meanwhile.
pub struct App {
    /// Every setting.
    pub config: Config,
    /// The only writer.
    pub writer: Arc<Writer>,
    /// Where the log ended when no person's key was held yet.
    pub opened_at: Position,
    /// What cannot be rebuilt, and what can.
    pub storage: Storage,
    /// What moves the views.
    pub runner: Arc<Mutex<Runner>>,
    /// Which of them are this process's to move.
    pub claims: Arc<Claims>,
    /// How far the views are.
    pub freshness: Freshness,
    /// What each plan grants.
    pub plans: Arc<Plans>,
    /// The one door for activity.
    pub ingest: Arc<Ingest>,
    /// What only one node may do at a time.
    pub leases: Leases,
}

impl App {
    /// Opens what the configuration names, makes what is not there, and brings the views up to the log. None: another
    /// process holds the data directory.
    pub async fn open(config: Config) -> anyhow::Result<Option<Self>> {
        let Some(storage) = Storage::open(&config).await? else {
            return Ok(None);
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = storage.log.clone();
        let opened_at = log.head().await.context("cannot read the event log")?;
        let is_new = opened_at == Position::START;
        let root = root_key(&config, is_new, &storage.name(), &*clock)?;
        let vault = Arc::new(Vault::new(storage.store.clone(), &root));
        let unfit = || format!("the root key does not fit {}", storage.name());
        vault.check().await.with_context(unfit)?;
        let leases = if storage.is_shared() {
            let store = storage.store.clone();
            let leases = Leases::join(store, clock.clone(), &config.roles).await;
            leases.context("cannot enter this process among the nodes")?
        } else {
            Leases::sole()
        };
        leases.keep_alive();
        let views = storage.views.clone();
        let claims = Arc::new(Claims::new(leases.clone(), to_move(&config)));
        let runner = Runner::open(log.clone(), views.clone(), projections::all()).await;
        let mut runner = runner.with_context(|| storage.views_damaged())?.fenced(claims.clone());
        claims.claim().await.context("cannot take leases")?;
        if !storage.is_shared() {
            // Nobody else has the directory open, so nobody is at it.
            for projection in projections::all() {
                let forgotten = generations::forget_unfinished(&*views, &*projection).await;
                forgotten.context("cannot remove what is left of a replay")?;
            }
        }
        let applied = runner.freshness().applied();
        if applied < opened_at {
            // After a move or a long pause this takes its time, and nothing is answered before.
            tracing::info!(%applied, head = %opened_at, "bringing the read models up to the log");
        }
        runner
            .catch_up()
            .await
            .context("cannot bring the views up to the log")?;
        let plans = Arc::new(config.plans.clone());
        let freshness = runner.freshness();
        let writer = Arc::new(Writer { log, vault, clock });
        let ingest = Ingest::new(
            writer.clone(),
            views,
            freshness.clone(),
            plans.clone(),
            storage.store.clone(),
            leases.clone(),
        );
        Ok(Some(Self {
            config,
            writer,
            opened_at,
            storage,
            runner: Arc::new(Mutex::new(runner)),
            claims,
            freshness,
            plans,
            ingest: Arc::new(ingest),
            leases,
        }))
    }

    /// Whether nothing was ever recorded here.
    pub async fn is_new(&self) -> anyhow::Result<bool> {
        Ok(self.writer.log.head().await? == Position::START)
    }

    /// The account of this installation; the first call ever opens it, on the plan that a self-hosted start has.
    pub async fn account(&self) -> anyhow::Result<AccountRow> {
        if let Some(account) = accounts::all(&*self.storage.views).await?.into_iter().next() {
            return Ok(account);
        }
        let plan = Plans::FIRST.parse().context("the first plan has no valid name")?;
        let opened = commands::open_first_account(&self.writer, "default".to_owned(), plan).await?;
        self.show(self.writer.log.head().await?).await?;
        let account = accounts::find(&*self.storage.views, opened).await?;
        account.context("the account that was opened is not in the views")
    }

    /// The account, if there is one of that id.
    ///
    /// # Errors
    /// If there is none, or the views cannot be read.
    pub async fn known_account(&self, asked: AccountId) -> anyhow::Result<AccountId> {
        let known = accounts::find(&*self.storage.views, asked).await?;
        let known =
            known.with_context(|| format!("there is no account {asked}; `gitleads accounts list` shows all"))?;
        Ok(known.account)
    }

    /// The accounts that have a token of their own by the settings and do not exist.
    ///
    /// # Errors
    /// If the views cannot be read.
    pub async fn tokens_of_nobody(&self) -> anyhow::Result<Vec<AccountId>> {
        let mut unknown = Vec::new();
        for account in self.config.github.account_tokens.keys() {
            if accounts::find(&*self.storage.views, *account).await?.is_none() {
                unknown.push(*account);
            }
        }
        Ok(unknown)
    }

    /// Issues the first key if the account never had one.
    pub async fn first_key(&self, account: AccountId) -> anyhow::Result<Option<IssuedKey>> {
        if !projections::api_keys::list(&*self.storage.views, account)
            .await?
            .is_empty()
        {
            return Ok(None);
        }
        let issued = commands::issue_key(&self.writer, account, "first key".to_owned()).await?;
        self.show(issued.position).await?;
        Ok(Some(issued.value))
    }

    /// Has the views show what was written at `position`, before there is a task that does so.
    async fn show(&self, position: Position) -> anyhow::Result<()> {
        let patience = Instant::now() + SETTLE_WITHIN;
        let mut runner = self.runner.lock().await;
        loop {
            runner.catch_up().await?;
            if self.freshness.applied() >= position {
                return Ok(());
            }
            if Instant::now() >= patience {
                bail!("nobody brings the read models up to the log; is there a node with the role project?");
            }
            runner.wait(LOOK).await;
            self.claims.claim().await?;
        }
    }

    /// Waits, with a bound, until the views show what was written at `position`.
    pub async fn settle(&self, position: Position) {
        self.freshness.reached(position, SETTLE_WITHIN).await;
    }

    /// Hands over to other nodes and closes what is open; what was acknowledged is in it.
    pub async fn close(&self) {
        self.leases.leave().await;
        self.storage.close().await;
    }
}

/// The views that this process may move.
fn to_move(config: &Config) -> Vec<&'static str> {
    if !config.roles.has(Role::Project) {
        return Vec::new();
    }
    projections::all().iter().map(|projection| projection.name()).collect()
}

/// The configured key, or else the file's, which is made for a new installation only: under another key than the lost
/// one nothing that is in the log could ever be read.
fn root_key(config: &Config, is_new: bool, store: &str, clock: &dyn Clock) -> anyhow::Result<RootKey> {
    if let Some(text) = &config.vault.root_key {
        return RootKey::from_base64(text.expose()).context("root_key");
    }
    let path = config.server.data_dir.join("root.key");
    if !is_new
        && !path
            .try_exists()
            .with_context(|| format!("cannot look for {}", path.display()))?
    {
        bail!(
            "{} is not there, but {store} holds data that only this key opens; restore it from the backup, or copy it from another node",
            path.display()
        );
    }
    let mut entropy = [0; 32];
    for (chunk, draw) in entropy.chunks_mut(8).zip(std::iter::repeat_with(|| clock.entropy())) {
        for (byte, random) in chunk.iter_mut().zip(draw.to_le_bytes()) {
            *byte = random;
        }
    }
    Ok(RootKey::load_or_create(&path, entropy)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use clap::Parser as _;

    use super::*;
    use crate::config::{Access, Flags};

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn config(folder: &Path, root_key: Option<&str>) -> Config {
        let folder = folder.to_str().unwrap();
        let line = Line::try_parse_from(["gitleads", "--data-dir", folder]).unwrap();
        let variable = |name: &str| root_key.filter(|_| name == "GITLEADS_ROOT_KEY").map(Into::into);
        Config::from_layers(&line.flags, &variable).unwrap()
    }

    async fn open(folder: &Path, root_key: Option<&str>) -> anyhow::Result<App> {
        let opened = App::open(config(folder, root_key)).await?;
        Ok(opened.expect("nobody else has it"))
    }

    async fn complaint(folder: &Path, root_key: Option<&str>) -> String {
        format!("{:#}", open(folder, root_key).await.err().expect("a refusal"))
    }

    #[tokio::test]
    async fn a_lost_root_key_is_told_and_no_other_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let app = open(folder.path(), None).await.unwrap();
        app.account().await.unwrap();
        app.close().await;
        drop(app);
        let key = folder.path().join("root.key");
        let backup = folder.path().join("backup");
        std::fs::rename(&key, &backup).unwrap();
        let told = complaint(folder.path(), None).await;
        assert!(
            told.contains("root.key is not there") && told.contains("backup"),
            "{told}"
        );
        assert!(!key.exists());
        std::fs::rename(&backup, &key).unwrap();
        open(folder.path(), None).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn a_wrong_root_key_is_noticed_though_nobody_was_captured() {
        let folder = tempfile::tempdir().unwrap();
        let (right, wrong) = ("A".repeat(43) + "=", "B".repeat(42) + "A=");
        open(folder.path(), Some(&right)).await.unwrap().close().await;
        let told = complaint(folder.path(), Some(&wrong)).await;
        assert!(told.starts_with("the root key does not fit gitleads.db"), "{told}");
        open(folder.path(), Some(&right)).await.unwrap().close().await;
    }

    #[tokio::test]
    async fn a_token_for_an_account_that_does_not_exist_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let mut app = open(folder.path(), None).await.unwrap();
        let known = app.account().await.unwrap().account;
        let unknown: AccountId = "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1".parse().unwrap();
        let token = || Access::Token("planted".parse().unwrap());
        let tokens = [(known, token()), (unknown, token())];
        app.config.github.account_tokens = tokens.into();
        assert_eq!(app.tokens_of_nobody().await.unwrap(), [unknown]);
        app.close().await;
    }

    #[tokio::test]
    async fn the_files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let app = open(folder.path(), None).await.unwrap();
        app.account().await.unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
        app.close().await;
    }

    #[tokio::test]
    async fn a_damaged_views_file_is_told_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("views.db"), "no database, ".repeat(1_000)).unwrap();
        let told = complaint(folder.path(), None).await;
        assert!(
            told.contains("views.db") && told.contains("delete it: it is built again from the log"),
            "{told}"
        );
        std::fs::remove_file(folder.path().join("views.db")).unwrap();
        open(folder.path(), None).await.unwrap().close().await;
    }
}
