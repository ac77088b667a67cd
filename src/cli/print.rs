//! Shows what a command tells: its lines on standard output, its progress as a bar on a terminal.

use std::io::{self, Write};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::mpsc;

use crate::control::{Frame, Unit};

/// How the printing ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Printed {
    /// The command is done and all it told is printed.
    All,
    /// The command failed, for this reason.
    Failed(String),
    /// Whoever read the output has closed it, as `head` does.
    NobodyReads,
}

/// Prints frames up to the last one.
pub async fn frames(mut frames: mpsc::Receiver<Frame>, out: &mut (dyn Write + Send)) -> io::Result<Printed> {
    let mut buffered = Vec::new();
    let mut bar = None;
    let mut last = None;
    while let (None, Some(frame)) = (&last, frames.recv().await) {
        match frame {
            Frame::Line(line) => {
                buffered.extend_from_slice(line.as_bytes());
                buffered.push(b'\n');
            }
            Frame::Progress { done, total, unit } => show(&mut bar, done, total, unit),
            Frame::Done => last = Some(Printed::All),
            Frame::Failed(fault) => last = Some(Printed::Failed(fault)),
        }
        // Many lines at once, but none is held back while the command thinks.
        if last.is_some() || frames.is_empty() || buffered.len() > 1 << 16 {
            if last.is_some() {
                finish(&mut bar);
            }
            if !write(&mut buffered, bar.as_ref().map(|shown| &shown.bar), out)? {
                return Ok(Printed::NobodyReads);
            }
        }
    }
    Ok(last.unwrap_or_else(|| Printed::Failed("the command ended without a word".into())))
}

/// Writes what is there; false: nobody reads it any more.
fn write(buffered: &mut Vec<u8>, bar: Option<&ProgressBar>, out: &mut (dyn Write + Send)) -> io::Result<bool> {
    if buffered.is_empty() {
        return Ok(true);
    }
    let mut all = || out.write_all(buffered).and_then(|()| out.flush());
    let written = match bar {
        Some(bar) => bar.suspend(all),
        None => all(),
    };
    buffered.clear();
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// A progress on standard error, and what it counts.
struct Bar {
    bar: ProgressBar,
    unit: Unit,
}

/// Draws the progress on standard error, if that is a terminal.
fn show(shown: &mut Option<Bar>, done: u64, total: Option<u64>, unit: Unit) {
    if shown.as_ref().is_some_and(|shown| shown.unit != unit) {
        // The next part of the work counts something else.
        finish(shown);
    }
    let Bar { bar, .. } = shown.get_or_insert_with(|| Bar {
        bar: drawn(total, unit),
        unit,
    });
    if let Some(total) = total {
        bar.set_length(total);
    }
    bar.set_position(done);
}

fn finish(shown: &mut Option<Bar>) {
    if let Some(Bar { bar, .. }) = shown.take() {
        bar.finish_and_clear();
    }
}

fn drawn(total: Option<u64>, unit: Unit) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match (unit, total) {
        // No rate: the time left says what it is wanted for.
        (Unit::Bytes, Some(_)) => "{bar:30} {binary_bytes} of {binary_total_bytes}, {eta} left",
        (Unit::Bytes, None) => "{spinner} {binary_bytes}",
        (Unit::Log, _) => "{bar:30} {percent} % of the log, {rate}{eta} left",
        (Unit::Rows, Some(_)) => "{bar:30} {human_pos} of {human_len} rows compared, {eta} left",
        (Unit::Rows, None) => "{spinner} {human_pos} rows compared",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.with_key("rate", rate)),
        Err(_) => bar,
    }
}

/// Over the whole time; not in the first second, whose figure is absurd.
fn rate(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    let seconds = state.elapsed().as_secs();
    if let Some(rate) = state.pos().checked_div(seconds) {
        // The only writer behind it is a string.
        let _ = write!(text, "{} a second, ", HumanCount(rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn print(told: &[Frame], out: &mut (dyn Write + Send)) -> Printed {
        let (sender, receiver) = mpsc::channel(told.len());
        for frame in told {
            sender.send(frame.clone()).await.unwrap();
        }
        drop(sender);
        frames(receiver, out).await.unwrap()
    }

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn lines_are_printed_in_order_and_progress_is_not_among_them() {
        let progress = Frame::Progress {
            done: 1,
            total: Some(2),
            unit: Unit::Bytes,
        };
        let told = [Frame::Line("a".into()), progress, Frame::Line("b".into()), Frame::Done];
        let mut out = Vec::new();
        assert_eq!(print(&told, &mut out).await, Printed::All);
        assert_eq!(out, b"a\nb\n");
    }

    #[tokio::test]
    async fn what_was_told_before_a_failure_is_printed() {
        let mut out = Vec::new();
        let told = [Frame::Line("a".into()), Frame::Failed("no".into())];
        assert_eq!(print(&told, &mut out).await, Printed::Failed("no".into()));
        assert_eq!(out, b"a\n");
    }

    #[tokio::test]
    async fn an_output_that_was_closed_ends_the_printing_quietly() {
        let told = [Frame::Line("a".into()), Frame::Done];
        assert_eq!(print(&told, &mut Closed).await, Printed::NobodyReads);
    }

    #[tokio::test]
    async fn a_command_that_ends_without_a_word_has_failed() {
        assert!(matches!(
            print(&[Frame::Line("a".into())], &mut Vec::new()).await,
            Printed::Failed(_)
        ));
    }
}
