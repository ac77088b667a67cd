//! What a caller may ask in an hour and in a minute: GitHub's buckets, and the points of its secondary limit.

use crate::reply::Reply;

/// Which of the primary rate limits a request counts towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bucket {
    /// Everything that has no bucket of its own; an hour long.
    Core,
    /// `/search/…` but for code; a minute long.
    Search,
    /// `/search/code`; a minute long.
    CodeSearch,
    /// `/graphql`, in points; an hour long.
    Graphql,
}

/// In which way a request was one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Nothing was left of its bucket.
    Primary,
    /// More points in a minute than the secondary limit grants.
    Secondary,
    /// It came before the time that a `Retry-After`, or a refusal without one, asked to wait for.
    TooEarly,
}

/// One bucket of one caller. A request costs one (GraphQL: what the query costs), an answer 304 nothing; when all is
/// used up requests are refused until `reset`. Without a simulated clock only the world's owner sets `used` back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests, or points, in a window.
    pub limit: u64,
    /// How many of them are gone.
    pub used: u64,
    /// When they come back: seconds since 1970.
    pub reset: u64,
}

/// Points a minute over all REST paths, by GitHub's documentation; a read is one, a write five.
const REST_POINTS: u64 = 900;
/// Points a minute for GraphQL; a query is one.
const GRAPHQL_POINTS: u64 = 2_000;
/// How long GitHub asks to wait after a secondary limit at least.
pub(crate) const PAUSE: u64 = 60;

/// All buckets of one caller.
#[derive(Debug, Clone)]
pub(crate) struct Quotas {
    pub core: RateLimit,
    pub search: RateLimit,
    pub code_search: RateLimit,
    pub graphql: RateLimit,
    /// No request is answered before this time.
    pub blocked_until: u64,
    minute: u64,
    rest_points: u64,
    graphql_points: u64,
}

impl Bucket {
    /// All of them, in the order of `/rate_limit`.
    pub const ALL: [Self; 4] = [Self::Core, Self::Search, Self::CodeSearch, Self::Graphql];

    /// As `x-ratelimit-resource` names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Search => "search",
            Self::CodeSearch => "code_search",
            Self::Graphql => "graphql",
        }
    }

    /// The bucket of a path.
    pub(crate) fn of(path: &[String]) -> Self {
        let mut segments = path.iter().map(String::as_str);
        match (segments.next(), segments.next()) {
            (Some("search"), Some("code")) => Self::CodeSearch,
            (Some("search"), _) => Self::Search,
            (Some("graphql"), None) => Self::Graphql,
            _ => Self::Core,
        }
    }

    /// In seconds.
    const fn window(self) -> u64 {
        match self {
            Self::Core | Self::Graphql => 3_600,
            Self::Search | Self::CodeSearch => 60,
        }
    }
}

impl RateLimit {
    /// A bucket that nothing was taken from yet.
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            reset: 0,
        }
    }

    /// Begins a new window if the last one is over; `now` is 0 without a clock.
    fn roll(&mut self, now: u64, window: u64) {
        if now > 0 && now >= self.reset {
            self.used = 0;
            self.reset = now + window;
        }
    }

    fn remaining(self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

impl Quotas {
    /// Of a token.
    pub const fn of_token(core: u64) -> Self {
        Self::new(core, 30, 10, 5_000)
    }

    /// Of an address without a token: neither code search nor GraphQL.
    pub const fn anonymous() -> Self {
        Self::new(60, 10, 0, 0)
    }

    const fn new(core: u64, search: u64, code_search: u64, graphql: u64) -> Self {
        Self {
            core: RateLimit::new(core),
            search: RateLimit::new(search),
            code_search: RateLimit::new(code_search),
            graphql: RateLimit::new(graphql),
            blocked_until: 0,
            minute: 0,
            rest_points: 0,
            graphql_points: 0,
        }
    }

    /// The bucket now.
    pub fn bucket(&mut self, bucket: Bucket, now: u64) -> &mut RateLimit {
        let found = match bucket {
            Bucket::Core => &mut self.core,
            Bucket::Search => &mut self.search,
            Bucket::CodeSearch => &mut self.code_search,
            Bucket::Graphql => &mut self.graphql,
        };
        found.roll(now, bucket.window());
        found
    }

    /// Whether one more request may be answered; counts its points.
    pub fn admit(&mut self, bucket: Bucket, points: u64, now: u64) -> Result<(), Exceeded> {
        if now < self.blocked_until {
            return Err(Exceeded::TooEarly);
        }
        let found = self.bucket(bucket, now);
        if found.used >= found.limit {
            return Err(Exceeded::Primary);
        }
        if now == 0 {
            return Ok(());
        }
        if now >= self.minute + 60 {
            (self.minute, self.rest_points, self.graphql_points) = (now, 0, 0);
        }
        let (used, most) = match bucket {
            Bucket::Graphql => (&mut self.graphql_points, GRAPHQL_POINTS),
            _ => (&mut self.rest_points, REST_POINTS),
        };
        *used += points;
        if *used > most {
            self.blocked_until = now + PAUSE;
            return Err(Exceeded::Secondary);
        }
        Ok(())
    }

    /// Takes the cost of an answer off its bucket and says in its headers what is left.
    pub fn charge(&mut self, bucket: Bucket, cost: u64, now: u64, answer: Reply) -> Reply {
        let found = self.bucket(bucket, now);
        found.used = found.used.saturating_add(cost).min(found.limit);
        answer
            .with_default("x-ratelimit-limit", found.limit.to_string())
            .with_default("x-ratelimit-remaining", found.remaining().to_string())
            .with_default("x-ratelimit-used", found.used.to_string())
            .with_default("x-ratelimit-reset", found.reset.to_string())
            .with_default("x-ratelimit-resource", bucket.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_and_the_next_begins_with_a_request() {
        let mut quotas = Quotas::of_token(2);
        for _ in 0..2 {
            quotas.admit(Bucket::Core, 1, 100).unwrap();
            quotas.bucket(Bucket::Core, 100).used += 1;
        }
        assert_eq!(quotas.admit(Bucket::Core, 1, 100), Err(Exceeded::Primary));
        assert_eq!(
            quotas.admit(Bucket::Search, 1, 100),
            Ok(()),
            "each bucket stands for itself"
        );
        assert_eq!(quotas.admit(Bucket::Core, 1, 3_699), Err(Exceeded::Primary));
        assert_eq!(quotas.admit(Bucket::Core, 1, 3_700), Ok(()));
        assert_eq!((quotas.core.used, quotas.core.reset), (0, 7_300));
    }

    #[test]
    fn more_points_than_a_minute_has_block_for_a_minute() {
        let mut quotas = Quotas::of_token(5_000);
        for _ in 0..180 {
            quotas.admit(Bucket::Core, 5, 1_000).unwrap();
        }
        assert_eq!(quotas.admit(Bucket::Search, 1, 1_059), Err(Exceeded::Secondary));
        assert_eq!(quotas.admit(Bucket::Core, 1, 1_118), Err(Exceeded::TooEarly));
        assert_eq!(quotas.admit(Bucket::Core, 1, 1_119), Ok(()));
    }

    #[test]
    fn a_path_has_its_bucket() {
        let of = |path: &str| Bucket::of(&crate::ask::segments(path)).as_str();
        assert_eq!(of("/search/issues"), "search");
        assert_eq!(of("/search/code"), "code_search");
        assert_eq!(of("/graphql"), "graphql");
        assert_eq!(of("/repos/search/code"), "core");
    }
}
