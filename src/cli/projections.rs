//! `gitleads projections`: shows how the read models are, goes on with what is parked, and keeps or drops generations.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use event_log::Scope;
use projections::generations::{self, Standing};
use projections::retry::{Retried, Retry};
use projections::{Parked, Projection};

use super::run::Asked;
use crate::app::App;
use crate::control::wire::Projections;
use crate::control::{Command, Output};

/// So many events behind are counted; more are told as more.
const COUNTED: usize = 1_000;

/// What to do with read models.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// List the read models: how far each is, which generation is read, what is parked
    List,
    /// Show the streams that a read model does not go on with, and why
    Parked {
        /// The read model
        #[arg(value_name = "NAME")]
        projection: String,
    },
    /// Go on with parked streams, from the event that could not be applied
    Retry {
        /// The read model
        #[arg(value_name = "NAME")]
        projection: String,
        /// The stream alone, as `projections parked` shows it
        #[arg(long)]
        stream: Option<String>,
    },
    /// Leave out the one event that a stream is parked at, and go on with the rest of it
    Skip {
        /// The read model
        #[arg(value_name = "NAME")]
        projection: String,
        /// The stream, as `projections parked` shows it
        #[arg(long)]
        stream: String,
    },
    /// Put the generation from before the last replay back in its place
    Revert {
        /// The read model
        #[arg(value_name = "NAME")]
        projection: String,
    },
    /// Remove the generation from before the last replay
    DropOld {
        /// The read model; all if it is left out
        #[arg(value_name = "NAME")]
        projection: Option<String>,
    },
}

impl Task {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Projections(match self {
            Self::List => Projections::List,
            Self::Parked { projection } => Projections::Parked { projection },
            Self::Retry { projection, stream } => Projections::Retry { projection, stream },
            Self::Skip { projection, stream } => Projections::Skip { projection, stream },
            Self::Revert { projection } => Projections::Revert { projection },
            Self::DropOld { projection } => Projections::DropOld { projection },
        }))
    }
}

/// The read models of that name, or all.
pub(super) fn chosen(name: Option<&str>) -> anyhow::Result<Vec<Box<dyn Projection>>> {
    let mut all = projections::all();
    if let Some(name) = name {
        let known: Vec<_> = all.iter().map(|one| one.name()).collect();
        if !known.contains(&name) {
            bail!("there is no read model {name}; they are {}", known.join(", "));
        }
        all.retain(|one| one.name() == name);
    }
    Ok(all)
}

pub(super) async fn execute(app: &App, asked: Projections, output: &Output) -> anyhow::Result<()> {
    match asked {
        Projections::List => list(app, output).await,
        Projections::Parked { projection } => parked(app, &projection, output).await,
        Projections::Retry { projection, stream } => retry(app, &projection, stream.as_deref(), output).await,
        Projections::Skip { projection, stream } => skip(app, &projection, &stream, output).await,
        Projections::Revert { projection } => revert(app, &projection, output).await,
        Projections::DropOld { projection } => drop_old(app, projection.as_deref(), output).await,
    }
}

async fn list(app: &App, output: &Output) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for one in generations::standings(&*app.storage.views).await? {
        let behind = app.writer.log.read(Scope::All, one.position, COUNTED).await;
        rows.push((one, behind.map(|page| page.events.len()).ok()));
    }
    for line in table(&rows) {
        output.line(line).await?;
    }
    Ok(())
}

/// A line for each, with how many events it is behind, if that can be told.
fn table(rows: &[(Standing, Option<usize>)]) -> Vec<String> {
    let row = |name: &str, position: &str, behind: &str, generation: &str, parked: &str, beside: &str| {
        let line = format!("{name:<18}  {position:>10}  {behind:>6}  {generation:>10}  {parked:>6}  {beside}");
        line.trim_end().to_owned()
    };
    let mut lines = vec![row("NAME", "POSITION", "BEHIND", "GENERATION", "PARKED", "BESIDE")];
    lines.extend(rows.iter().map(|(one, behind)| {
        let behind = match behind {
            Some(all) if *all >= COUNTED => format!("{COUNTED}+"),
            Some(behind) => behind.to_string(),
            None => "?".to_owned(),
        };
        let kept = one.old.map(|old| format!("generation {old} is kept"));
        let rebuilt = one.rebuilt_to.map(|to| format!("a replay has come to {to}"));
        let beside: Vec<String> = kept.into_iter().chain(rebuilt).collect();
        row(
            &one.name,
            &one.position.to_string(),
            &behind,
            &one.generation.to_string(),
            &one.parked.to_string(),
            &beside.join(", "),
        )
    }));
    lines
}

async fn parked(app: &App, name: &str, output: &Output) -> anyhow::Result<()> {
    chosen(Some(name))?;
    let (parked, skipped) = generations::parked(&*app.storage.views, name).await?;
    if parked.is_empty() && skipped.is_empty() {
        return Ok(output.line(format!("Nothing is parked in {name}.")).await?);
    }
    for one in parked {
        output.line(stands_at(&one)).await?;
    }
    for one in skipped {
        output
            .line(format!(
                "{}\n  left out: the event at position {}: {}",
                one.stream, one.position, one.error
            ))
            .await?;
    }
    Ok(())
}

fn stands_at(parked: &Parked) -> String {
    let Parked {
        stream,
        position,
        error,
        ..
    } = parked;
    format!("{stream}\n  parked at position {position}: {error}")
}

async fn retry(app: &App, name: &str, stream: Option<&str>, output: &Output) -> anyhow::Result<()> {
    let projection = one(name)?;
    let retried = retry_of(app, &*projection).run(stream).await?;
    if retried.is_empty() {
        return Ok(output.line(format!("Nothing is parked in {name}.")).await?);
    }
    tell(&retried, output).await
}

async fn skip(app: &App, name: &str, stream: &str, output: &Output) -> anyhow::Result<()> {
    let projection = one(name)?;
    let (skipped, rest) = retry_of(app, &*projection).skip(stream).await?;
    let line = format!("The event at position {} is left out of {name}.", skipped.position);
    output.line(line).await?;
    tell(&[rest], output).await
}

fn retry_of<'a>(app: &'a App, projection: &'a dyn Projection) -> Retry<'a> {
    Retry {
        log: &*app.writer.log,
        views: &*app.storage.views,
        projection,
    }
}

/// Says what came of each stream; an error if one is still parked.
async fn tell(retried: &[Retried], output: &Output) -> anyhow::Result<()> {
    for one in retried {
        let line = match &one.still {
            None => format!("{}\n  goes on: {} events were applied", one.stream, one.applied),
            Some(parked) => stands_at(parked),
        };
        output.line(line).await?;
    }
    match retried.iter().filter(|one| one.still.is_some()).count() {
        0 => Ok(()),
        still => bail!("{still} of {} streams are still parked", retried.len()),
    }
}

async fn revert(app: &App, name: &str, output: &Output) -> anyhow::Result<()> {
    let projection = one(name)?;
    let back = generations::revert(&*app.writer.log, &*app.storage.views, &*projection).await?;
    let line = format!(
        "Generation {} of {name} is read again. It stood at position {} and goes on from there.",
        back.generation, back.position
    );
    Ok(output.line(line).await?)
}

async fn drop_old(app: &App, name: Option<&str>, output: &Output) -> anyhow::Result<()> {
    let mut dropped = Vec::new();
    for projection in chosen(name)? {
        if generations::drop_old(&*app.storage.views, &*projection).await? {
            dropped.push(projection.name());
        }
    }
    let line = if dropped.is_empty() {
        "No generation from before was kept.".to_owned()
    } else {
        format!("Removed the generation from before: {}.", dropped.join(", "))
    };
    Ok(output.line(line).await?)
}

fn one(name: &str) -> anyhow::Result<Box<dyn Projection>> {
    chosen(Some(name))?.pop().context("there is no such read model")
}

#[cfg(test)]
mod tests {
    use event_log::Position;

    use super::*;

    #[test]
    fn the_list_says_what_stands_beside_the_rows_that_are_read() {
        let leads = Standing {
            name: "leads".into(),
            position: Position::new(1_000),
            generation: 3,
            parked: 2,
            old: Some(2),
            rebuilt_to: Some(Position::new(500)),
        };
        let usage = Standing {
            name: "monthly_usage".into(),
            position: Position::START,
            generation: 1,
            parked: 0,
            old: None,
            rebuilt_to: None,
        };
        let lines = table(&[(leads, Some(7)), (usage, Some(COUNTED))]);
        let expected = [
            "NAME                  POSITION  BEHIND  GENERATION  PARKED  BESIDE",
            "leads                     1000       7           3       2  generation 2 is kept, a replay has come to 500",
            "monthly_usage                0   1000+           1       0",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_read_model_that_does_not_exist_is_refused_with_those_that_do() {
        let refused = chosen(Some("pets")).err().unwrap().to_string();
        assert!(
            refused.starts_with("there is no read model pets; they are accounts, "),
            "{refused}"
        );
    }
}
