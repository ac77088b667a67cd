//! Somebody who is measured: a program that is run in a process of its own and prints its figures in one line.

use std::process::Command;

use anyhow::Context as _;

/// Who is asked.
pub struct Process {
    pub name: &'static str,
    /// How many keywords; none if nothing is looked for.
    pub size: Option<usize>,
    program: Vec<String>,
}

/// What it printed.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// From the first byte to the last, without the start of the program and the loading of the lists.
    pub seconds: f64,
    /// What all its threads used in that time, in the program and in the kernel.
    pub cpu_seconds: f64,
    /// The most memory that the process ever had (`VmHWM`).
    pub peak_megabytes: f64,
    pub stars: u64,
    pub texts: u64,
}

impl Process {
    /// A program and its arguments. The number of threads and the files are put behind them.
    pub fn new(name: &'static str, size: Option<usize>, program: &[&str]) -> Self {
        Self {
            name,
            size,
            program: program.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// Runs it on so many cores.
    pub fn run(&self, cores: usize, files: &[String]) -> anyhow::Result<Figures> {
        let places = ["0", "0,1"].get(cores - 1).context("at most two cores")?;
        let ran = Command::new("taskset")
            .args(["--cpu-list", places])
            .args(&self.program)
            .args(files)
            .output()
            .context("cannot run taskset (of util-linux)")?;
        let error = String::from_utf8_lossy(&ran.stderr);
        anyhow::ensure!(ran.status.success(), "{} failed: {error}", self.name);
        let printed = String::from_utf8(ran.stdout)?;
        let line = printed.lines().last().unwrap_or_default();
        let words: Vec<&str> = line.split(' ').collect();
        let &[seconds, cpu_seconds, peak, stars, texts] = words.as_slice() else {
            anyhow::bail!("{} printed {printed:?}", self.name);
        };
        Ok(Figures {
            seconds: seconds.parse()?,
            cpu_seconds: cpu_seconds.parse()?,
            peak_megabytes: peak.parse::<f64>()? / 1e3,
            stars: stars.parse()?,
            texts: texts.parse()?,
        })
    }
}
