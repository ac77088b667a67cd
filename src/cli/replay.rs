//! `gitleads replay`: makes read models anew from the log, while their readers go on reading.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use database::Database;
use projections::generations;
use projections::rebuild::Compared;
use projections::{Progress, Rebuild};

use super::projections::chosen;
use super::run::Asked;
use crate::app::App;
use crate::control::{Command, Output, Unit};

/// Which read models, and how.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Compare the new rows with those that are read, row by row, and exchange them only if they are the same
    #[arg(long)]
    verify: bool,
}

/// One or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The read model to make anew
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Arguments {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Replay {
            projection: self.which.name,
            verify: self.verify,
        })
    }
}

pub(super) async fn replay(app: &App, projection: Option<String>, verify: bool, output: &Output) -> anyhow::Result<()> {
    let chosen = chosen(projection.as_deref())?;
    let names: Vec<_> = chosen.iter().map(|one| one.name()).collect();
    let token = u32::try_from(app.writer.clock.entropy() >> 48 & u128::from(u32::MAX))?;
    let views: Arc<dyn Database> = app.storage.views.clone();
    let rebuild = Rebuild::begin(app.writer.log.clone(), views.clone(), chosen, token).await?;
    // On a task of its own: whoever breaks it off is gone by the time that the begun rows are removed.
    let told = output.clone();
    tokio::spawn(bring_to_its_end(rebuild, verify, told)).await??;
    let line = format!("Made anew from the log: {}.", names.join(", "));
    output.line(line).await?;
    output
        .line("The rows from before are kept; `gitleads projections drop-old` removes them.")
        .await?;
    for one in generations::standings(&*views).await? {
        if one.parked > 0 && names.contains(&one.name.as_str()) {
            output
                .line(format!(
                    "{} has {} parked; see `gitleads projections parked {0}`.",
                    one.name,
                    if one.parked == 1 {
                        "1 stream".to_owned()
                    } else {
                        format!("{} streams", one.parked)
                    },
                ))
                .await?;
        }
    }
    for projection in projections::all().iter().filter(|one| names.contains(&one.name())) {
        generations::sweep(&*views, &**projection).await?;
    }
    Ok(())
}

async fn bring_to_its_end(mut rebuild: Rebuild, verify: bool, output: Output) -> anyhow::Result<()> {
    let ended = tokio::select! {
        ended = steps(&mut rebuild, verify, &output) => ended,
        () = output.closed() => Err(anyhow::anyhow!("it was broken off")),
    };
    if let Err(fault) = &ended {
        tracing::warn!(
            fault = format!("{fault:#}"),
            "a replay did not come to its end; the rows stay as they are"
        );
        rebuild.give_up().await?;
    }
    ended
}

async fn steps(rebuild: &mut Rebuild, verify: bool, output: &Output) -> anyhow::Result<()> {
    let log = |progress: Progress| {
        let (done, all) = (progress.position.get(), progress.head.get());
        output.progress(done, Some(all), Unit::Log);
    };
    rebuild.fill(log).await?;
    if verify {
        let rows = |done, total| output.progress(done, Some(total), Unit::Rows);
        let compared = rebuild.verify(rows).await?;
        for one in &compared {
            tell(one, output).await?;
        }
        if compared.iter().any(|one| one.differences > 0) {
            bail!(
                "the rows that are read differ from what the log says; nothing was exchanged. Without --verify, \
                   `gitleads replay` puts the new rows in their place"
            );
        }
    }
    Ok(rebuild.exchange().await?)
}

async fn tell(compared: &Compared, output: &Output) -> anyhow::Result<()> {
    let Compared {
        projection,
        rows,
        differences,
        first,
    } = compared;
    if *differences == 0 {
        return Ok(output.line(format!("{projection}: {rows} rows, all the same.")).await?);
    }
    output
        .line(format!(
            "{projection}: {rows} rows, {differences} of them differ or stand on one side only:"
        ))
        .await?;
    for one in first {
        output.line(format!("  {one}")).await?;
    }
    let more = differences.saturating_sub(first.len().try_into()?);
    if more > 0 {
        output.line(format!("  and {more} more")).await?;
    }
    Ok(())
}
