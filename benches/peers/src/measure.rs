//! Runs callers side by side for a while, and says how much they did and how long one call took.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// Prints the figure of a cell: `callers` that each make one call after the other, each with something of its own.
pub(crate) async fn cell<C, F>(
    who: &str,
    events: usize,
    callers: Vec<C>,
    each: Duration,
    call: impl Fn(C) -> F + Clone + Send + 'static,
) -> anyhow::Result<()>
where
    C: Send + 'static,
    F: Future<Output = anyhow::Result<C>> + Send,
{
    let count = callers.len();
    let begun = Instant::now();
    let mut running = JoinSet::new();
    for mut caller in callers {
        let call = call.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < each {
                let begun = Instant::now();
                caller = call(caller).await?;
                times.push(begun.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    for caller in running.join_all().await {
        times.extend(caller?);
    }
    let rate = (times.len() * events) as f64 / begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let slow = times[times.len() * 99 / 100].as_secs_f64() * 1e3;
    println!("{who} {count} {events} {rate:.0} {slow:.1}");
    Ok(())
}

/// Prints the figure of one call by one caller.
pub(crate) fn once(who: &str, events: i64, took: Duration) {
    let rate = events as f64 / took.as_secs_f64();
    println!("{who} 1 {events} {rate:.0} {:.1}", took.as_secs_f64() * 1e3);
}
