//! `gitleads track`: tracks a repository or a keyword.

use clap::Subcommand;
use domain::{AccountId, Keyword, RepoName, RepoRelation, ScanTargets};

use super::run::Asked;
use crate::app::App;
use crate::commands::{track_keyword, track_repo};
use crate::control::{Command, Output};

/// What to track.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Track who stars a repository
    Repo {
        /// The repository
        #[arg(value_name = "OWNER/NAME")]
        repo: RepoName,
        /// What it is to you: own, competitor or ecosystem [default: ecosystem, or as it was]
        #[arg(long = "type", value_name = "TYPE")]
        relation: Option<RepoRelation>,
    },
    /// Track who writes a phrase
    Keyword {
        /// The phrase; letter case does not count
        #[arg(value_name = "TEXT")]
        keyword: Keyword,
        /// Where to look: issues, prs, discussions, code, with commas [default: the first three, or as it was]
        #[arg(long = "in", value_name = "PLACES")]
        scan_targets: Option<ScanTargets>,
    },
}

impl Task {
    pub(super) fn command(self) -> Asked {
        Asked::from(match self {
            Self::Repo { repo, relation } => Command::TrackRepo { repo, relation },
            Self::Keyword { keyword, scan_targets } => Command::TrackKeyword { keyword, scan_targets },
        })
    }
}

pub(super) async fn repo(
    app: &App,
    account: AccountId,
    repo: RepoName,
    relation: Option<RepoRelation>,
    output: &Output,
) -> anyhow::Result<()> {
    let tracked = track_repo(&app.writer, account, repo, relation).await?;
    app.settle(tracked.position).await;
    let (record, state) = (tracked.value, state(tracked.created));
    let line = format!(
        "{} is {state} as {} ({}).",
        record.full_name, record.relation, record.repo_id
    );
    Ok(output.line(line).await?)
}

pub(super) async fn keyword(
    app: &App,
    account: AccountId,
    keyword: Keyword,
    scan_targets: Option<ScanTargets>,
    output: &Output,
) -> anyhow::Result<()> {
    let tracked = track_keyword(&app.writer, account, keyword, scan_targets).await?;
    app.settle(tracked.position).await;
    let (record, state) = (tracked.value, state(tracked.created));
    let line = format!(
        "“{}” is {state} in {} ({}).",
        record.keyword, record.scan_targets, record.keyword_id
    );
    Ok(output.line(line).await?)
}

const fn state(created: bool) -> &'static str {
    if created {
        "tracked from now on"
    } else {
        "tracked already"
    }
}
