//! Where time and ids come from: arguments for everything below, so that a test can say what both are.

use domain::Timestamp;
use ulid::Ulid;

/// Tells the time and makes ids.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;

    /// 80 bits nobody can guess, for ids and secrets.
    fn entropy(&self) -> u128;

    /// A new ULID of this moment.
    fn ulid(&self) -> Ulid {
        Ulid::from_parts(self.now().ulid_millis(), self.entropy())
    }
}

/// The machine's clock and its random source.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for the time"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine for randomness"
    )]
    fn entropy(&self) -> u128 {
        rand::random::<u128>() & ((1 << 80) - 1)
    }
}
