//! `gitleads replay`: makes read models anew from the log, while their readers go on reading.

use anyhow::bail;
use clap::Args;

use super::run::Asked;
use crate::app::App;
use crate::control::{Command, Output, Unit};

/// Which read models.
#[derive(Debug, Args)]
#[group(id = "replay", required = true, multiple = false)]
pub struct Arguments {
    /// The read model to make anew
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Arguments {
    pub(super) fn command(self) -> Asked {
        Asked::from(Command::Replay { projection: self.name })
    }
}

pub(super) async fn replay(app: &App, projection: Option<String>, output: &Output) -> anyhow::Result<()> {
    let mut runner = app.runner.lock().await;
    let known = runner.names();
    let names: Vec<&str> = match &projection {
        None => known,
        Some(name) if known.contains(&name.as_str()) => vec![name],
        Some(name) => bail!("there is no read model {name}; they are {}", known.join(", ")),
    };
    let told = output.clone();
    runner
        .rebuild(&names, |progress| {
            let (done, all) = (progress.position.get(), progress.head.get());
            told.progress(done, Some(all), Unit::Log);
        })
        .await?;
    Ok(output
        .line(format!("Made anew from the log: {}.", names.join(", ")))
        .await?)
}
