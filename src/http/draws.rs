//! What a request with an `Idempotency-Key` takes from chance: the same ids and secrets, whoever works on its claim.
//!
//! So the work of a process that died can be taken up by another: it decides on an event of the same id, finds that in the log
//! if it was recorded, and answers as the first would have (`commands/execute`). Used by `idempotency`, and by way of the clock
//! by every handler.

use std::cell::Cell;
use std::sync::Arc;

use domain::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use ulid::Ulid;

use crate::clock::Clock;

tokio::task_local! {
    /// Set while a claim is worked on.
    static DRAWS: Draws;
}

/// The draws of a claim, one after the other. Nobody without the house's key can tell them from chance.
struct Draws {
    mac: Hmac<Sha256>,
    claim: Ulid,
    drawn: Cell<u64>,
}

impl Draws {
    /// 80 bits, as from a clock.
    fn next(&self) -> u128 {
        let number = self.drawn.get();
        self.drawn.set(number + 1);
        let mac = self.mac.clone().chain_update(number.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        bytes
            .iter()
            .take(10)
            .fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

/// Runs `work`, whose draws from a [`RequestClock`] are those of `claim`; tasks that it spawns draw from chance.
pub async fn of_claim<F: Future>(key: &[u8; 32], claim: Ulid, work: F) -> F::Output {
    // A MAC over SHA-256 takes keys of every length; the empty fallback is never reached.
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
    let draws = Draws {
        mac: mac.chain_update(claim.to_bytes()),
        claim,
        drawn: Cell::new(0),
    };
    DRAWS.scope(draws, work).await
}

/// The clock of handlers: tells the time, and draws for the claim that is worked on, if there is one.
pub struct RequestClock(pub Arc<dyn Clock>);

impl Clock for RequestClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn entropy(&self) -> u128 {
        DRAWS.try_with(Draws::next).unwrap_or_else(|_| self.0.entropy())
    }

    fn ulid(&self) -> Ulid {
        let of_claim = |draws: &Draws| Ulid::from_parts(draws.claim.timestamp_ms(), draws.next());
        DRAWS.try_with(of_claim).unwrap_or_else(|_| self.0.ulid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    async fn draw(key: [u8; 32], claim: Ulid) -> (u128, Ulid) {
        let clock = RequestClock(Arc::new(SystemClock));
        of_claim(&key, claim, async { (clock.entropy(), clock.ulid()) }).await
    }

    #[tokio::test]
    async fn a_claim_draws_the_same_again_and_another_claim_or_house_something_else() {
        let claim = Ulid::from_parts(1_777_026_660_000, 7);
        let drawn = draw([7; 32], claim).await;
        assert_eq!(draw([7; 32], claim).await, drawn);
        assert_eq!(drawn.1.timestamp_ms(), claim.timestamp_ms());
        assert_ne!(drawn.0, drawn.1.random());
        assert!(drawn.0 >> 80 == 0);
        assert_ne!(draw([8; 32], claim).await, drawn);
        assert_ne!(draw([7; 32], Ulid::from_parts(1_777_026_660_000, 8)).await, drawn);
    }

    #[tokio::test]
    async fn without_a_claim_chance_decides() {
        let clock = RequestClock(Arc::new(SystemClock));
        assert_ne!(clock.ulid(), clock.ulid());
        assert_ne!(clock.entropy(), clock.entropy());
    }
}
