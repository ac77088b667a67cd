//! The command line: reads the arguments, then serves, or runs one command in whichever process holds the data
//! directory: the running server, or else this one.

pub mod accounts;
pub mod backfill;
pub mod backfill_hours;
pub mod demo;
pub mod doctor;
pub mod events;
pub mod execute;
pub mod forget;
pub mod keys;
pub mod listen;
pub mod log;
pub mod plan;
pub mod print;
pub mod projections;
pub mod replay;
pub mod run;
pub mod serve;
pub mod track;
mod webhook_lines;
pub mod webhooks;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use domain::AccountId;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Config};
use crate::telemetry;
use run::Ended;

/// Turns public interest on GitHub into leads.
#[derive(Debug, Parser)]
#[command(name = "gitleads", version, max_term_width = 110)]
struct Line {
    #[command(flatten)]
    settings: config::Flags,
    /// The account that a command is about, as `accounts list` shows it [default: the one that the installation began with]
    #[arg(long, global = true, value_name = "ID", value_parser = account_id)]
    account: Option<AccountId>,
    #[command(subcommand)]
    task: Option<Task>,
}

fn account_id(text: &str) -> Result<AccountId, &'static str> {
    let fault = "must be an account's id, such as acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1; `gitleads accounts list` shows them";
    text.parse().map_err(|_| fault)
}

/// All but `serve` work whether or not a server runs on the same data directory.
#[derive(Debug, Subcommand)]
enum Task {
    /// Run the server; also what happens without a command
    Serve,
    /// Show everything at work on invented people: no token, no network, and nothing is kept
    Demo,
    /// Open further accounts and list them
    #[command(subcommand)]
    Accounts(accounts::Task),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Task),
    /// Change the account's plan
    #[command(subcommand)]
    Plan(plan::Task),
    /// Track a repository or a keyword
    #[command(subcommand)]
    Track(track::Task),
    /// Read archive files of public GitHub events (GH Archive hours, .json or .json.gz)
    Backfill(backfill::Arguments),
    /// Make read models anew from the event log
    Replay(replay::Arguments),
    /// Copy the event log to another database, or prove that it is whole
    #[command(subcommand)]
    Log(log::Task),
    /// Show how the read models are, and what to do with those that have a fault
    #[command(subcommand)]
    Projections(projections::Task),
    /// Add, try and look after webhook endpoints
    #[command(subcommand)]
    Webhooks(webhooks::Task),
    /// Post what happens from now on to a server under development, as deliveries are
    Listen(listen::Arguments),
    /// Show what GitHub grants, how often sources can be looked at with it, and which of them do not work
    Doctor,
    /// Show the event log
    Events(events::Arguments),
    /// Erase a person: destroy the key of all that was recorded of them, and record nothing more
    Forget(forget::Arguments),
}

impl Task {
    /// Whether it is about no single account.
    const fn is_for_all(&self) -> bool {
        matches!(
            self,
            Self::Serve
                | Self::Demo
                | Self::Accounts(_)
                | Self::Backfill(_)
                | Self::Replay(_)
                | Self::Log(_)
                | Self::Projections(_)
                | Self::Events(_)
        )
    }
}

/// Runs the command line of this process; the answer is its exit code: 0 done, 1 failed, 2 wrong arguments or settings,
/// 130 broken off.
pub fn main() -> ExitCode {
    let line = Line::parse();
    let config = match Config::load(&line.settings) {
        Ok(config) => config,
        Err(error) => return complain(&error.into(), 2),
    };
    let task = line.task.unwrap_or(Task::Serve);
    if line.account.is_some() && task.is_for_all() {
        return complain(&anyhow::anyhow!("--account: this is about no single account"), 2);
    }
    match run_task(task, line.account, config, &line.settings) {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => complain(&error, 1),
    }
}

fn run_task(task: Task, account: Option<AccountId>, config: Config, settings: &config::Flags) -> anyhow::Result<Ended> {
    let mut logs = config.logs;
    if !matches!(task, Task::Serve) {
        // Whoever runs a command wants its output; only what went wrong stands beside it.
        logs.level = logs.level.min(LevelFilter::WARN);
    }
    // Commands end too soon to be worth a trace.
    let collector = config.traces.endpoint.as_ref().filter(|_| matches!(task, Task::Serve));
    let _telemetry = telemetry::start(logs, collector)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let ended = runtime.block_on(async {
        match task {
            Task::Serve => serve::run(config).await.map(|()| Ended::Done),
            Task::Demo => demo::run(settings).await.map(|()| Ended::Done),
            Task::Accounts(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Keys(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Plan(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Track(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Backfill(arguments) => run::commands(config, account, arguments.commands()?).await,
            Task::Replay(arguments) => run::commands(config, account, vec![arguments.command()]).await,
            Task::Log(log::Task::Copy { from, to }) => log::copy(&config, &from, &to).await,
            Task::Log(log::Task::Verify) => run::commands(config, account, vec![log::Task::verify()]).await,
            Task::Projections(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Webhooks(task) => run::commands(config, account, vec![task.command()]).await,
            Task::Listen(arguments) => run::commands(config, account, vec![arguments.command()]).await,
            Task::Doctor => run::commands(config, account, vec![doctor::command()]).await,
            Task::Events(arguments) => run::commands(config, account, vec![arguments.command()]).await,
            Task::Forget(arguments) => run::commands(config, account, vec![arguments.command()]).await,
        }
    });
    // A thread that waits for standard input never ends by itself.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended
}

fn complain(error: &anyhow::Error, code: u8) -> ExitCode {
    // If even that cannot be written, the exit code says it.
    let _ = writeln!(std::io::stderr(), "gitleads: {error:#}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests;
