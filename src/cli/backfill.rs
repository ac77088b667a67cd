//! `gitleads backfill`: reads archive files into the log and tells what each of them came to.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use url::Url;

use super::run::{Asked, Source};
use crate::app::App;
use crate::control::{Command, Input, Output, Unit};
use crate::gharchive::{ArchiveHour, GH_ARCHIVE};
use crate::ingest::{self, Summary};

/// Which files, or which hours.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Arguments {
    /// The files, plain or gzipped; - is standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["from", "gaps"], conflicts_with_all = ["from", "gaps"])]
    files: Vec<PathBuf>,
    /// Instead of files: fetch the archive's hours from this one on, in UTC, such as 2026-01-01T00
    #[arg(long, value_name = "HOUR", requires = "to")]
    from: Option<ArchiveHour>,
    /// The last hour to fetch
    #[arg(long, value_name = "HOUR", requires = "from")]
    to: Option<ArchiveHour>,
    /// Where the hours are: BASE/2026-01-01-0.json.gz and so on
    #[arg(long, value_name = "BASE", requires = "from", default_value = GH_ARCHIVE)]
    url: Url,
    /// Show the hours of all sources that were missing or broken when they were fetched last
    #[arg(long, conflicts_with_all = ["from", "url"])]
    gaps: bool,
}

impl Arguments {
    /// A command a file. Each is looked at first, so that a wrong name is told before hours of work and not after.
    pub(super) fn commands(self) -> anyhow::Result<Vec<Asked>> {
        if self.gaps {
            return Ok(vec![Command::BackfillGaps.into()]);
        }
        let Some((from, to)) = self.from.zip(self.to) else {
            return self.files.into_iter().map(command).collect();
        };
        if to < from {
            bail!("--to {to} is before --from {from}");
        }
        if !matches!(self.url.scheme(), "http" | "https") || self.url.query().is_some() {
            bail!(
                "--url {} is not where hours can be: http or https, and no query",
                self.url
            );
        }
        let source = self.url;
        Ok(vec![Command::BackfillHours { from, to, source }.into()])
    }
}

fn command(file: PathBuf) -> anyhow::Result<Asked> {
    if file.as_os_str() == "-" {
        let command = Command::Backfill {
            name: "standard input".into(),
            bytes: None,
        };
        let input = Some(Source::Stdin);
        return Ok(Asked { command, input });
    }
    let looked = std::fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?;
    if looked.is_dir() {
        bail!("{} is a directory; name the files in it", file.display());
    }
    let command = Command::Backfill {
        name: file.display().to_string(),
        bytes: looked.is_file().then_some(looked.len()),
    };
    let input = Some(Source::File(file));
    Ok(Asked { command, input })
}

pub(super) async fn backfill(
    app: &App,
    name: &str,
    bytes: Option<u64>,
    input: Input,
    output: &Output,
) -> anyhow::Result<()> {
    let told = output.clone();
    let progress = move |progress: &ingest::Progress| told.progress(progress.read, bytes, Unit::Bytes);
    let summary = ingest::backfill(&app.ingest, input, name, progress).await?;
    // So that whoever asks the API next sees what was just recorded.
    app.settle(app.writer.log.head().await?).await;
    for line in lines(&summary) {
        output.line(line).await?;
    }
    if let Some(reason) = &summary.cut_short {
        bail!("{name} could not be read to its end ({reason}); what stands before that is recorded");
    }
    if let Some(reason) = summary.unreadable() {
        bail!("nothing in {name} could be read as GH Archive lines: {reason}");
    }
    Ok(())
}

/// The summary for people: a figure a line, those that are always there first.
fn lines(summary: &Summary) -> Vec<String> {
    let accepted = &summary.accepted;
    let events: u64 = summary.events.values().sum();
    let kinds: Vec<String> = summary
        .events
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let mut lines = vec![summary.name.clone()];
    let mut figure = |what: &str, count: u64| lines.push(format!("{count:>12}  {what}"));
    figure("lines", summary.lines);
    figure(&format!("events of kinds that matter: {}", kinds.join(", ")), events);
    figure("new leads", accepted.captured);
    if accepted.withheld > 0 {
        figure(
            "new leads withheld, since the month's quota is used up",
            accepted.withheld,
        );
    }
    figure("further signals of known leads", accepted.joined);
    figure("signals that were recorded before", accepted.known);
    for (what, count) in [
        ("signals of erased people, not kept", accepted.erased),
        ("events of bots, skipped", accepted.bots),
        ("events of organisations, skipped", accepted.organizations),
        ("events whose author's account is gone, skipped", summary.without_author),
        ("events whose text is not in the file", summary.without_text),
        ("broken lines, skipped", summary.broken),
    ] {
        if count > 0 {
            figure(what, count);
        }
    }
    let broken = summary.broken_lines.iter();
    lines.extend(broken.map(|(number, reason)| format!("{:>14}line {number}: {reason}", "")));
    let listed = u64::try_from(summary.broken_lines.len()).unwrap_or(u64::MAX);
    if summary.broken > listed {
        lines.push(format!("{:>14}and {} more", "", summary.broken - listed));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_tells_what_is_always_of_interest_and_of_the_rest_what_there_is() {
        let mut summary = Summary {
            name: "hour.json".into(),
            lines: 12,
            broken: 2,
            broken_lines: vec![(7, "no JSON".into())],
            ..Summary::default()
        };
        summary.events.insert("WatchEvent", 3);
        summary.accepted.captured = 2;
        let expected = [
            "hour.json",
            "          12  lines",
            "           3  events of kinds that matter: WatchEvent 3",
            "           2  new leads",
            "           0  further signals of known leads",
            "           0  signals that were recorded before",
            "           2  broken lines, skipped",
            "              line 7: no JSON",
            "              and 1 more",
        ];
        assert_eq!(lines(&summary), expected);
    }

    fn arguments(line: &[&str]) -> Result<Vec<Asked>, String> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let line = <Line as clap::Parser>::try_parse_from([&["backfill"], line].concat());
        let line = line.map_err(|error| error.to_string())?;
        line.arguments.commands().map_err(|error| error.to_string())
    }

    #[test]
    fn hours_are_fetched_from_gh_archive_unless_another_source_is_named() {
        let command = |line: &[&str]| arguments(line).unwrap().remove(0).command;
        let hours = |source: &str| Command::BackfillHours {
            from: "2026-01-01T00".parse().unwrap(),
            to: "2026-01-01T05".parse().unwrap(),
            source: source.parse().unwrap(),
        };
        let range = ["--from", "2026-01-01T00", "--to", "2026-01-01T05"];
        assert_eq!(command(&range), hours("https://data.gharchive.org"));
        let mirror = "http://127.0.0.1:9/hours";
        assert_eq!(command(&[&range[..], &["--url", mirror]].concat()), hours(mirror));
        assert_eq!(command(&["--gaps"]), Command::BackfillGaps);
        let refused = arguments(&["--gaps", "--url", mirror]).err().unwrap();
        assert!(
            refused.contains("'--gaps' cannot be used with '--url <BASE>'"),
            "{refused}"
        );
    }

    #[test]
    fn hours_that_make_no_range_are_refused_with_their_reason() {
        for (line, reason) in [
            (&["--from", "2026-01-01T00"][..], "--to <HOUR>"),
            (
                &["--from", "2026-01-01", "--to", "2026-01-01T05"],
                "must be an hour in UTC",
            ),
            (
                &["--from", "2026-01-01T06", "--to", "2026-01-01T05"],
                "--to 2026-01-01T05 is before",
            ),
            (
                &["--from", "2026-01-01T00", "--to", "2026-01-01T05", "x.json"],
                "cannot be used with",
            ),
            (
                &[
                    "--from",
                    "2026-01-01T00",
                    "--to",
                    "2026-01-01T05",
                    "--url",
                    "ftp://a.example",
                ],
                "http or https",
            ),
        ] {
            let refused = arguments(line).err().unwrap();
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_before_anything_is_read() {
        let arguments = Arguments {
            files: vec!["-".into(), "/nowhere/hour.json".into()],
            from: None,
            to: None,
            url: GH_ARCHIVE.parse().unwrap(),
            gaps: false,
        };
        let error = arguments.commands().err().unwrap();
        assert_eq!(error.to_string(), "cannot read /nowhere/hour.json");
        assert_eq!(
            error.downcast_ref::<std::io::Error>().unwrap().kind(),
            std::io::ErrorKind::NotFound
        );
    }
}
