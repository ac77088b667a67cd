//! `gitleads doctor`: what GitHub grants, what can be done with it, and which sources of the account do not work.

use std::fmt::Write as _;

use domain::{AccountId, SourceState, Timestamp};
use projections::{sources, tracked_keywords, tracked_repos};

use super::run::Asked;
use super::serve::authorization;
use crate::app::App;
use crate::config::GitHub;
use crate::control::{Command, Output};
use crate::ingest::budgets::{self, BudgetRow};
use crate::ingest::plan::{Grant, Load, Plan};

/// Sources that are told of one by one.
const SHOWN: usize = 20;

pub(super) fn command() -> Asked {
    Asked::from(Command::Doctor)
}

pub(super) async fn doctor(app: &App, account: AccountId, output: &Output) -> anyhow::Result<()> {
    let views = &*app.storage.views;
    let now = app.writer.clock.now();
    let has_token = app.config.github.token.is_some();
    let unknown = app.tokens_of_nobody().await?;
    let with_own = app.config.github.account_tokens.len().saturating_sub(unknown.len());
    for line in tokens(has_token, with_own, &unknown) {
        output.line(line).await?;
    }
    for row in budgets::all(&*app.storage.store).await? {
        if is_of_its_token(&row, &app.config.github)? {
            output.line(budget(&row, now)).await?;
        }
    }
    let repos = tracked_repos::all(views).await?;
    let keywords = tracked_keywords::all(views).await?;
    let grant = if has_token { Grant::TOKEN } else { Grant::NOBODY };
    let plan = Plan::of(
        Load::of(
            repos.iter().map(|row| &row.full_name),
            &keywords.iter().map(|row| (&row.keyword, &row.scan_targets)),
        ),
        grant,
    );
    output.line(format!("Plan: {}.", told(&plan))).await?;
    if plan.disappoints() {
        let warning = "That is not enough for all that is tracked: leads come late or are missed.";
        output.line(warning.to_owned()).await?;
    }
    let broken: Vec<_> = sources::list(views, account)
        .await?
        .into_iter()
        .filter(|row| row.state != SourceState::Active)
        .collect();
    output
        .line(format!("Sources that do not work: {}.", broken.len()))
        .await?;
    for row in broken.iter().take(SHOWN) {
        let repo = repos.iter().find(|repo| row.feeds_repo(repo.repo_id));
        let keyword = keywords.iter().find(|keyword| row.feeds_keyword(keyword.keyword_id));
        let what = repo
            .map(|repo| repo.full_name.to_string())
            .or_else(|| keyword.map(|keyword| format!("\"{}\"", keyword.keyword)));
        let Some(what) = what else {
            continue;
        };
        let line = format!(
            "  {what}: {} is {} ({}) since {}",
            row.collector, row.state, row.reason, row.since
        );
        output.line(line).await?;
    }
    Ok(())
}

/// Whether the row is of a token that is still configured.
fn is_of_its_token(row: &BudgetRow, github: &GitHub) -> anyhow::Result<bool> {
    let access = if row.token == budgets::HOST {
        github.token.as_ref()
    } else {
        let account = row.token.parse().ok();
        let Some(access) = account.and_then(|account: AccountId| github.account_tokens.get(&account)) else {
            return Ok(false);
        };
        Some(access)
    };
    let fingerprint = authorization(access)?.fingerprint();
    Ok(row.fingerprint == Some(fingerprint))
}

/// Whose tokens there are; `unknown` are accounts that do not exist.
fn tokens(has_token: bool, with_own: usize, unknown: &[AccountId]) -> Vec<String> {
    let host = if has_token && with_own > 0 {
        format!("Token: one, for all accounts but {with_own} that have their own.")
    } else if has_token {
        "Token: one, for all accounts.".to_owned()
    } else {
        "Token: none. GitHub grants 60 requests an hour; set GITLEADS_GITHUB_TOKEN.".to_owned()
    };
    let nobody = unknown
        .iter()
        .map(|account| format!("  {account} has a token in the settings and does not exist."));
    std::iter::once(host).chain(nobody).collect()
}

fn told(plan: &Plan) -> String {
    let text = plan.to_string();
    if text.is_empty() {
        "nothing is tracked".to_owned()
    } else {
        text
    }
}

fn budget(row: &BudgetRow, now: Timestamp) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |number| number.to_string());
    let BudgetRow {
        token,
        resource,
        budget,
        ..
    } = row;
    let left = match budget.resets_at {
        Some(at) if at <= now => budget.limit,
        _ => budget.remaining,
    };
    let mut line = format!(
        "  {token} {}: {} of {} left",
        resource.as_str(),
        number(left),
        number(budget.limit)
    );
    // Writing to a string cannot fail.
    if let Some(at) = budget.resets_at.filter(|at| *at > now) {
        let _ = write!(line, ", anew at {at}");
    }
    if let Some(at) = budget.blocked_until.filter(|at| *at > now) {
        let _ = if budget.is_refused {
            write!(line, ", GitHub refuses the token, which is tried again at {at}")
        } else {
            write!(line, ", GitHub asks to wait until {at}")
        };
    }
    line
}

#[cfg(test)]
mod tests {
    use crate::github::{Budget, Resource};

    use super::*;

    #[test]
    fn a_token_that_is_refused_is_told_from_one_that_has_to_wait() {
        let now: Timestamp = "2026-04-10T12:00:00Z".parse().unwrap();
        let until: Timestamp = "2026-04-10T12:15:00Z".parse().unwrap();
        let line = |is_refused| {
            let row = BudgetRow {
                token: budgets::HOST.to_owned(),
                fingerprint: None,
                resource: Resource::Core,
                budget: Budget::known(None, None, None, Some(until), is_refused),
                noted_at: now,
            };
            budget(&row, now)
        };
        let begins = "  host core: ? of ? left, GitHub";
        assert_eq!(line(false), format!("{begins} asks to wait until {until}"));
        assert_eq!(
            line(true),
            format!("{begins} refuses the token, which is tried again at {until}")
        );
    }

    #[test]
    fn a_token_for_an_account_that_does_not_exist_is_told_as_such() {
        let unknown: AccountId = "acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1".parse().unwrap();
        assert_eq!(
            tokens(true, 1, &[unknown]),
            [
                "Token: one, for all accounts but 1 that have their own.",
                "  acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1 has a token in the settings and does not exist."
            ]
        );
        assert_eq!(tokens(true, 0, &[]), ["Token: one, for all accounts."]);
    }
}
