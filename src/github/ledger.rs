//! What GitHub grants one token, resource by resource: an account book that every answer writes to.
//!
//! GitHub counts its REST API, its two searches and its GraphQL API apart; a refusal that is no used-up count is for the
//! token as a whole (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).

use std::time::Duration;

use domain::Timestamp;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use super::rate_budget::{Budget, Verdict};

/// What GitHub counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// The REST API, an hour at a time.
    Core,
    /// The searches but that for code, a minute at a time.
    Search,
    /// The search for code, a minute at a time.
    CodeSearch,
    /// The GraphQL API, an hour at a time, in points.
    Graphql,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Core, Self::Search, Self::CodeSearch, Self::Graphql];

    /// The word that GitHub has for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Search => "search",
            Self::CodeSearch => "code_search",
            Self::Graphql => "graphql",
        }
    }

    /// What a request to the path counts against.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/search/code") {
            Self::CodeSearch
        } else if path.starts_with("/search/") {
            Self::Search
        } else if path.starts_with("/graphql") {
            Self::Graphql
        } else {
            Self::Core
        }
    }

    /// The resource of that word.
    pub fn find(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == word)
    }
}

/// A token may make 900 requests of REST in any minute, whatever they are answered with: 304 costs nothing of a budget, but counts
/// here (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits>). So one is
/// begun every 75 ms, up to 5 s ahead of that: 867 in a minute at most, and the few that a piece of work may have to make more.
const REST_EVERY: Duration = Duration::from_millis(75);
const REST_AHEAD: Duration = Duration::from_secs(5);
/// What a token may search in a minute, and what nobody may, unless GitHub tells otherwise
/// (<https://docs.github.com/rest/search/search#rate-limit>); code takes a token.
const SEARCHES: u64 = 30;
const SEARCHES_OF_NOBODY: u64 = 10;
const SEARCHES_OF_CODE: u64 = 10;
const SEARCH_WINDOW: Duration = Duration::from_mins(1);

/// Searches that were sent in a minute, by our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Minute {
    ends_at: Option<Timestamp>,
    sent: u64,
}

impl Minute {
    fn add(&mut self, now: Timestamp) {
        if self.ends_at.is_none_or(|ends| ends <= now) {
            (self.ends_at, self.sent) = (Some(now.plus(SEARCH_WINDOW)), 0);
        }
        self.sent += 1;
    }
}

/// The budgets of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    core: Budget,
    search: Budget,
    code_search: Budget,
    graphql: Budget,
    /// Nothing at all is sent before.
    all_until: Option<Timestamp>,
    /// That is because GitHub does not take the token.
    is_refused: bool,
    /// Until when the pace of REST was used.
    paced_until: Option<Timestamp>,
    has_token: bool,
    searches: Minute,
    code_searches: Minute,
}

impl Ledger {
    /// The ledger of a token, or of nobody, before anything was asked.
    pub fn new(has_token: bool) -> Self {
        Self {
            has_token,
            ..Self::default()
        }
    }

    /// What is known of one resource.
    pub const fn budget(&self, resource: Resource) -> Budget {
        match resource {
            Resource::Core => self.core,
            Resource::Search => self.search,
            Resource::CodeSearch => self.code_search,
            Resource::Graphql => self.graphql,
        }
    }

    const fn budget_mut(&mut self, resource: Resource) -> &mut Budget {
        match resource {
            Resource::Core => &mut self.core,
            Resource::Search => &mut self.search,
            Resource::CodeSearch => &mut self.code_search,
            Resource::Graphql => &mut self.graphql,
        }
    }

    /// Until when nothing may be asked of the resource, if that is so now.
    pub fn blocked(&self, resource: Resource, now: Timestamp) -> Option<Timestamp> {
        let all = self.all_until.filter(|until| *until > now);
        self.budget(resource)
            .blocked(now)
            .max(all)
            .max(self.searched_enough(resource, now))
    }

    /// Until when nothing is searched while GitHub does not tell what is left.
    fn searched_enough(&self, resource: Resource, now: Timestamp) -> Option<Timestamp> {
        let (minute, granted) = match resource {
            Resource::Search if self.has_token => (self.searches, SEARCHES),
            Resource::Search => (self.searches, SEARCHES_OF_NOBODY),
            Resource::CodeSearch => (self.code_searches, SEARCHES_OF_CODE),
            Resource::Core | Resource::Graphql => return None,
        };
        let budget = self.budget(resource);
        let is_told = budget.resets_at.is_some_and(|at| at > now);
        let is_enough = !is_told && minute.sent >= budget.limit.unwrap_or(granted);
        minute.ends_at.filter(|ends| is_enough && *ends > now)
    }

    /// Whether nothing may be asked of the resource since GitHub does not take the token.
    pub fn is_refused(&self, resource: Resource, now: Timestamp) -> bool {
        let budget = self.budget(resource);
        let until = self.blocked(resource, now);
        let refusals = [
            (self.is_refused, self.all_until),
            (budget.is_refused, budget.blocked_until),
        ];
        until.is_some() && refusals.contains(&(true, until))
    }

    /// Until when work waits that leaves so many percent of the resource to more urgent work.
    pub fn spared(&self, resource: Resource, percent: u64, now: Timestamp) -> Option<Timestamp> {
        self.blocked(resource, now)
            .max(self.budget(resource).spared(percent, now))
            .max(self.paced(resource, now))
    }

    /// Until when work waits for the pace.
    fn paced(&self, resource: Resource, now: Timestamp) -> Option<Timestamp> {
        let ahead = self.paced_until?.since(now);
        let too_far = ahead.saturating_sub(REST_AHEAD);
        (resource != Resource::Graphql && !too_far.is_zero()).then(|| now.plus(too_far))
    }

    /// A request of the resource begins now.
    pub fn sent(&mut self, resource: Resource, now: Timestamp) {
        if resource != Resource::Graphql {
            let from = self.paced_until.map_or(now, |until| until.max(now));
            self.paced_until = Some(from.plus(REST_EVERY));
        }
        match resource {
            Resource::Search => self.searches.add(now),
            Resource::CodeSearch => self.code_searches.add(now),
            Resource::Core | Resource::Graphql => {}
        }
    }

    /// Another node used the pace until now.
    pub fn follow_on(&mut self, now: Timestamp) {
        self.paced_until = self.paced_until.max(Some(now.plus(REST_AHEAD)));
    }

    /// Takes note of an answer of the resource; see [`Budget::note`].
    pub fn note(
        &mut self,
        resource: Resource,
        status: StatusCode,
        headers: &HeaderMap,
        text: &str,
        now: Timestamp,
    ) -> Verdict {
        let named = headers.get("x-ratelimit-resource").and_then(|word| word.to_str().ok());
        let resource = named.and_then(Resource::find).unwrap_or(resource);
        let budget = self.budget_mut(resource);
        let before = budget.blocked_until;
        let verdict = budget.note(status, headers, text, now);
        // Where GitHub says how long to wait, it is for all.
        let is_used_up = budget.remaining == Some(0) && !headers.contains_key(RETRY_AFTER);
        let blocked = budget
            .blocked_until
            .filter(|_| budget.blocked_until != before && !is_used_up);
        let is_refused = budget.is_refused;
        if blocked > self.all_until {
            (self.all_until, self.is_refused) = (blocked, is_refused);
        }
        verdict
    }

    /// What is known of a resource from before, or from another node.
    pub const fn restore(&mut self, resource: Resource, budget: Budget) {
        let known = self.budget_mut(resource);
        *known = budget.going_on_from(*known);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (http::HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn what_is_used_up_of_one_resource_blocks_no_other() {
        let mut ledger = Ledger::default();
        let used_up = headers(&[
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-limit", "30"),
            ("x-ratelimit-reset", "1000030"),
            ("x-ratelimit-resource", "search"),
        ]);
        for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
            ledger.note(Resource::Search, status, &used_up, "", NOW);
            let until = Some(NOW.plus(Duration::from_secs(30)));
            assert_eq!(ledger.blocked(Resource::Search, NOW), until);
            assert_eq!(ledger.blocked(Resource::Core, NOW), None);
        }
    }

    #[test]
    fn a_secondary_limit_or_a_refused_token_blocks_all() {
        for (status, pairs) in [
            (StatusCode::FORBIDDEN, &[("retry-after", "40")][..]),
            (
                StatusCode::FORBIDDEN,
                &[("retry-after", "40"), ("x-ratelimit-remaining", "0")],
            ),
            (StatusCode::UNAUTHORIZED, &[]),
        ] {
            let mut ledger = Ledger::default();
            ledger.note(Resource::Search, status, &headers(pairs), "", NOW);
            for resource in Resource::ALL {
                assert!(ledger.blocked(resource, NOW).is_some(), "{status} {resource:?}");
                let is_refused = ledger.is_refused(resource, NOW);
                assert_eq!(is_refused, status == StatusCode::UNAUTHORIZED, "{resource:?}");
            }
        }
    }

    #[test]
    fn work_that_can_wait_leaves_its_part() {
        let mut ledger = Ledger::default();
        let scarce = headers(&[
            ("x-ratelimit-remaining", "400"),
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-reset", "1000500"),
        ]);
        ledger.note(Resource::Core, StatusCode::OK, &scarce, "", NOW);
        assert_eq!(ledger.spared(Resource::Core, 5, NOW), None);
        assert_eq!(
            ledger.spared(Resource::Core, 10, NOW),
            Some(NOW.plus(Duration::from_secs(500)))
        );
        assert_eq!(
            ledger.spared(Resource::Core, 10, NOW.plus(Duration::from_secs(500))),
            None
        );
    }

    /// The most requests within any minute, of two minutes in which one is sent whenever it may be.
    fn most_in_a_minute(mut ledger: Ledger, turn: impl Fn(&mut Ledger, Timestamp)) -> usize {
        let mut sent: Vec<Timestamp> = Vec::new();
        for millis in (0..120_000).step_by(5) {
            let now = NOW.plus(Duration::from_millis(millis));
            turn(&mut ledger, now);
            if ledger.spared(Resource::Core, 0, now).is_none() {
                ledger.sent(Resource::Core, now);
                sent.push(now);
            }
        }
        let minute = |first: &Timestamp| {
            sent.iter()
                .filter(|at| *at >= first && at.since(*first).as_secs() < 60)
                .count()
        };
        sent.iter().map(minute).max().unwrap_or(0)
    }

    #[test]
    fn no_minute_has_more_requests_than_github_grants_even_of_several_nodes_in_turn() {
        let alone = most_in_a_minute(Ledger::default(), |_, _| {});
        assert!((860..=870).contains(&alone), "{alone}");
        let every_second = |ledger: &mut Ledger, now: Timestamp| {
            if now.micros() % 1_000_000 == 0 {
                let mut others = Ledger::default();
                others.follow_on(now);
                *ledger = others;
            }
        };
        let in_turn = most_in_a_minute(Ledger::default(), every_second);
        assert!((700..=870).contains(&in_turn), "{in_turn}");
    }

    #[test]
    fn the_pace_is_that_of_rest_alone() {
        let mut ledger = Ledger::default();
        for _ in 0..200 {
            ledger.sent(Resource::Graphql, NOW);
        }
        assert_eq!(ledger.spared(Resource::Search, 0, NOW), None);
        for _ in 0..100 {
            ledger.sent(Resource::Core, NOW);
        }
        // A hundred take 7.5 s, of which 5 s may be ahead.
        let until = Some(NOW.plus(Duration::from_millis(2_500)));
        assert_eq!(ledger.spared(Resource::Search, 0, NOW), until);
        assert_eq!(ledger.spared(Resource::Graphql, 0, NOW), None);
        assert_eq!(ledger.blocked(Resource::Core, NOW), None);
    }

    /// Searches within two minutes in which one is sent whenever it may be, and the answers to which say that.
    fn searches(has_token: bool, resource: Resource, pairs: &[(&'static str, &str)]) -> usize {
        let mut ledger = Ledger::new(has_token);
        let mut sent = 0;
        for second in 0..120 {
            let now = NOW.plus(Duration::from_secs(second));
            if ledger.spared(resource, 0, now).is_none() {
                ledger.sent(resource, now);
                ledger.note(resource, StatusCode::OK, &headers(pairs), "", now);
                sent += 1;
            }
        }
        sent
    }

    #[test]
    fn searches_keep_to_what_github_grants_also_where_it_does_not_say_so() {
        assert_eq!(searches(true, Resource::Search, &[]), 60);
        assert_eq!(searches(true, Resource::CodeSearch, &[]), 20);
        assert_eq!(searches(false, Resource::Search, &[]), 20);
        let told = [
            ("x-ratelimit-remaining", "90"),
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-reset", "1000200"),
        ];
        assert_eq!(searches(true, Resource::Search, &told), 120, "what it says goes first");
    }

    #[test]
    fn paths_count_against_what_github_counts_them_against() {
        for (path, word) in [
            ("/repos/acme/sdk/events", "core"),
            ("/search/issues?q=x", "search"),
            ("/search/code?q=x", "code_search"),
            ("/graphql", "graphql"),
        ] {
            assert_eq!(Resource::of_path(path).as_str(), word);
            assert_eq!(Resource::find(word), Some(Resource::of_path(path)));
        }
    }
}
