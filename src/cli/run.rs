//! Runs commands where they belong: sent to the server that holds the data directory, or else in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use domain::AccountId;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::print;
use crate::app::App;
use crate::config::{Config, Engine, Role, Roles};
use crate::control::wire::Webhooks;
use crate::control::{self, Command, Execute, Frame, Input, Order};
use crate::project;
use crate::serve::{Tasks, stop_signal};

/// How long a server that has the directory, but does not answer yet or any more, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command, and the input it reads if it does.
pub struct Asked {
    /// The command.
    pub command: Command,
    /// Its input, opened when its turn comes.
    pub input: Option<Source>,
}

impl From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self { command, input: None }
    }
}

/// Where an input comes from.
pub enum Source {
    /// Standard input.
    Stdin,
    /// A file, by the caller's path and rights.
    File(PathBuf),
}

impl Source {
    fn open(&self) -> anyhow::Result<Input> {
        Ok(match self {
            Self::Stdin => Box::new(std::io::stdin()),
            Self::File(path) => {
                let file = std::fs::File::open(path);
                Box::new(file.with_context(|| format!("cannot open {}", path.display()))?)
            }
        })
    }
}

/// How the commands ended, if they did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is done, or nobody reads the output any more.
    Done,
    /// The user broke it off.
    Interrupted,
}

/// Runs the commands for that account, or the one that the installation began with, one after the other.
pub async fn commands(config: Config, account: Option<AccountId>, asked: Vec<Asked>) -> anyhow::Result<Ended> {
    let needs_data = asked.iter().all(|asked| needs_data(&asked.command));
    let needs_server = asked.iter().any(|asked| needs_server(&asked.command));
    match Place::find(config, needs_data, needs_server).await? {
        Place::Server(data_dir) => {
            for Asked { command, input } in asked {
                let input = input.as_ref().map(Source::open).transpose()?;
                let frames = control::client::start(&data_dir, &Order { account, command }, input).await?;
                if let Some(ended) = show(frames).await? {
                    return Ok(ended);
                }
            }
            Ok(Ended::Done)
        }
        Place::Here(app) => {
            let mut tasks = Tasks::new();
            let (runner, claims) = (app.runner.clone(), app.claims.clone());
            tasks.spawn("projections", move |shutdown| {
                let work = project::run(runner.clone(), claims.clone());
                async move { shutdown.cut_off(work).await }
            });
            let ended = here(&app, account, asked).await;
            tasks.shutdown(PATIENCE).await;
            app.close().await;
            ended
        }
    }
}

/// Whether a command has nothing to do in a new installation: there it rather looks at the wrong directory.
const fn needs_data(command: &Command) -> bool {
    match command {
        Command::ListAccounts
        | Command::ListKeys
        | Command::RevokeKey { .. }
        | Command::SetPlan { .. }
        | Command::Replay { .. }
        | Command::VerifyLog
        | Command::BackfillGaps
        | Command::Projections(_)
        | Command::Events(_)
        | Command::Webhooks(
            Webhooks::List
            | Webhooks::Test(_)
            | Webhooks::Pause(_)
            | Webhooks::Resume(_)
            | Webhooks::RotateSecret(_)
            | Webhooks::Remove(_)
            | Webhooks::Replay { .. }
            | Webhooks::Replays(_)
            | Webhooks::Deliveries { .. },
        )
        | Command::Listen { .. }
        | Command::Doctor
        | Command::Forget { .. } => true,
        Command::OpenAccount { .. }
        | Command::CreateKey { .. }
        | Command::TrackRepo { .. }
        | Command::TrackKeyword { .. }
        | Command::Webhooks(Webhooks::Add { .. })
        | Command::Backfill { .. }
        | Command::BackfillHours { .. } => false,
    }
}

/// Whether a command waits for what others do: alone in a data directory it would wait for ever, and keep them out.
const fn needs_server(command: &Command) -> bool {
    match command {
        Command::Listen { .. } => true,
        Command::Events(asked) => asked.follow,
        _ => false,
    }
}

async fn here(app: &Arc<App>, account: Option<AccountId>, asked: Vec<Asked>) -> anyhow::Result<Ended> {
    for Asked { command, input } in asked {
        let input = input.as_ref().map(Source::open).transpose()?;
        let execute: Arc<dyn Execute> = app.clone();
        if let Some(ended) = show(control::start(execute, Order { account, command }, input)).await? {
            return Ok(ended);
        }
    }
    Ok(Ended::Done)
}

/// Prints the frames of a command. None: it is done, and the next one may come.
pub(super) async fn show(frames: mpsc::Receiver<Frame>) -> anyhow::Result<Option<Ended>> {
    let mut stdout = std::io::stdout();
    tokio::select! {
        printed = print::frames(frames, &mut stdout) => match printed? {
            print::Printed::All => Ok(None),
            print::Printed::NobodyReads => Ok(Some(Ended::Done)),
            print::Printed::Failed(fault) => bail!(fault),
        },
        signal = stop_signal() => {
            signal?;
            Ok(Some(Ended::Interrupted))
        }
    }
}

/// Which process runs the commands.
enum Place {
    Here(Arc<App>),
    Server(PathBuf),
}

impl Place {
    async fn find(config: Config, needs_data: bool, needs_server: bool) -> anyhow::Result<Self> {
        match config.database.engine {
            Engine::Embedded => Self::find_files(config, needs_data, needs_server).await,
            Engine::Postgres(_) => Self::find_database(config, needs_data).await,
        }
    }

    /// A database is shared: this process is one more that has it open.
    async fn find_database(mut config: Config, needs_data: bool) -> anyhow::Result<Self> {
        // Nobody else may be there to show what the command wrote.
        config.roles = Roles::only(Role::Project);
        let app = App::open(config)
            .await?
            .context("a database is never held by one process")?;
        if needs_data && app.is_new().await? {
            bail!(
                "there is no GitLeads data in {}; is --database-url right?",
                app.storage.name()
            );
        }
        Ok(Self::Here(Arc::new(app)))
    }

    async fn find_files(config: Config, needs_data: bool, needs_server: bool) -> anyhow::Result<Self> {
        let data_dir = config.server.data_dir.clone();
        if needs_data && !data_dir.join("gitleads.db").exists() {
            bail!(
                "there is no GitLeads data in {}; is --data-dir right?",
                data_dir.display()
            );
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            if !needs_server && let Some(app) = App::open(config.clone()).await? {
                return Ok(Self::Here(Arc::new(app)));
            }
            if tokio::net::UnixStream::connect(control::socket(&data_dir))
                .await
                .is_ok()
            {
                return Ok(Self::Server(data_dir));
            }
            if needs_server {
                bail!(
                    "no server answers in {}; start one there with `gitleads serve`, and then this again",
                    data_dir.display()
                );
            }
            if Instant::now() >= patience {
                bail!(
                    "{} is in use by another gitleads command, or by a server that does not answer; try again when it has ended",
                    data_dir.display()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
