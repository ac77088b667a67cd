//! The events feeds of tracked repositories, at a GitHub that behaves and one that does not.

use fake_github::{FakeGithub, Misbehaviour, Repo, User};

use super::*;
use crate::ingest::poll_repos::Polls;

/// As the customer spelt it.
const FEED: &str = "/repos/Acme/sdk/events";

fn evening(second: u64) -> String {
    format!("2026-04-10T18:{:02}:{:02}Z", second / 60, second % 60)
}

struct Story {
    room: Room,
    github: FakeGithub,
    polls: Polls,
}

impl Story {
    async fn new() -> Self {
        Self::at(Room::new().await, FakeGithub::start().await.unwrap()).await
    }

    /// With a GitHub that has our clock, so that events age.
    async fn with_clock() -> Self {
        let room = Room::new().await;
        let clock = Arc::clone(&room.clock);
        let seconds = move || u64::try_from(clock.now().secs()).unwrap();
        let github = FakeGithub::start_at(seconds).await.unwrap();
        Self::at(room, github).await
    }

    async fn at(room: Room, github: FakeGithub) -> Self {
        github.change(|world| world.put_repo(Repo::new(1, "acme/sdk")));
        room.track("Acme/sdk").await;
        let client = room.client(github.url(), Some("token"));
        let polls = Polls::open(Arc::clone(&room.ingest), client, Room::part().await)
            .await
            .unwrap();
        Self { room, github, polls }
    }

    fn star(&self, ids: std::ops::RangeInclusive<u64>) {
        self.github.change(|world| {
            for id in ids {
                let at = format!("2026-04-10T{:02}:{:02}:{:02}Z", id / 3600, id / 60 % 60, id % 60);
                world.star("acme/sdk", &User::new(id, &format!("fan-{id}")), &at);
            }
        });
    }

    /// A star so many seconds after six in the evening.
    fn star_at(&self, id: u64, second: u64) {
        let fan = User::new(id, &format!("fan-{id}"));
        self.github
            .change(|world| world.star("acme/sdk", &fan, &evening(second)));
    }

    /// The same, shown below those that are newer.
    fn star_late(&self, id: u64, second: u64) {
        let fan = User::new(id, &format!("fan-{id}"));
        let payload = serde_json::json!({ "action": "started" });
        self.github.change(|world| {
            world.put_user(fan.clone());
            world.happen_late("acme/sdk", &fan, "WatchEvent", &payload, &evening(second));
        });
    }

    /// Reads the feed after that time, since the number of stars moved.
    async fn hurried_poll(&mut self, after: Duration) {
        self.room.clock.advance(after);
        self.polls.hurry("acme/sdk", self.room.clock.now());
        assert_eq!(self.step().await, None);
    }

    /// Lets the poll become due, however long nothing has happened, and runs it.
    async fn poll(&mut self) {
        self.room.clock.advance(Duration::from_hours(7));
        assert_eq!(self.step().await, None);
    }

    /// Reads the feed that has been due for longest. `None` if it did, otherwise when the next one is due.
    async fn step(&mut self) -> Option<Timestamp> {
        self.polls.refresh().await.unwrap();
        let now = self.room.clock.now();
        if let Some(until) = self.polls.pausing(now) {
            return Some(until);
        }
        let (due, later) = self.polls.due(now);
        let Some((_, repo)) = due.into_iter().map(|due| (due.at, due.repo)).min() else {
            return Some(later.unwrap_or_else(|| now.plus(Duration::from_mins(1))));
        };
        self.polls.poll(&repo, now).await.unwrap();
        None
    }

    async fn state(&self) -> PollState {
        poll_states(self.room.store()).await.unwrap().pop().unwrap()
    }

    /// What the last look at the feed showed, and why.
    async fn look(&self) -> (String, String) {
        let query = database::Statement::sql("SELECT state, reason FROM source_look", Vec::new());
        let row = self.room.store().read(query).await.unwrap().pop().unwrap();
        (row.text(0).unwrap().to_owned(), row.text(1).unwrap().to_owned())
    }

    async fn leads(&self) -> usize {
        self.room.count("LeadCaptured").await
    }
}

#[tokio::test]
async fn a_new_repository_is_read_as_far_back_as_its_feed_goes_and_then_only_what_is_new() {
    let mut story = Story::new().await;
    story.star(1..=250);
    story.poll().await;
    assert_eq!((story.leads().await, story.github.requests_to(FEED).len()), (250, 3));

    story.poll().await;
    assert_eq!(story.github.requests_to(FEED).len(), 4, "304 and no further page");
    assert!(story.github.requests_to(FEED)[3].header("if-none-match").is_some());

    story.star(251..=253);
    story.poll().await;
    assert_eq!((story.leads().await, story.github.requests_to(FEED).len()), (253, 5));
    let state = story.state().await;
    assert_eq!((state.outcome, state.last_gap_at), (PollOutcome::Ok, None));
}

#[tokio::test]
async fn githubs_pace_is_kept() {
    let mut story = Story::new().await;
    story.github.change(|world| world.poll_interval = 300);
    story.poll().await;
    let due = story.step().await;
    assert_eq!(due, Some(story.room.clock.now().plus(Duration::from_mins(5))));
    story.room.clock.advance(Duration::from_secs(299));
    assert_eq!(story.step().await, due);
    assert_eq!(story.github.requests_to(FEED).len(), 1);
}

#[tokio::test]
async fn more_than_the_feed_holds_leaves_a_gap_that_is_told() {
    let mut story = Story::new().await;
    story.star(1..=10);
    story.poll().await;
    story.star(11..=400);
    story.poll().await;
    assert_eq!(story.leads().await, 310);
    assert_eq!(story.state().await.last_gap_at, Some(story.room.clock.now()));
}

#[tokio::test]
async fn an_event_that_is_too_old_for_a_feed_leaves_a_gap_only_if_nobody_looked_since() {
    for (days_between, looks, has_gap) in [(15, 2, false), (31, 1, true)] {
        let mut story = Story::with_clock().await;
        story.star(1..=1);
        story.poll().await;
        for _ in 1..looks {
            story.room.clock.advance(Duration::from_hours(24 * days_between));
            story.poll().await;
        }
        story.room.clock.advance(Duration::from_hours(24 * days_between));
        let today = story.room.clock.now();
        story.github.change(|world| {
            world.star("acme/sdk", &User::new(2, "fan-2"), &today.to_string());
        });
        story.poll().await;
        assert_eq!(story.leads().await, 2);
        let told = has_gap.then(|| story.room.clock.now());
        assert_eq!(story.state().await.last_gap_at, told, "{days_between}");
    }
}

#[tokio::test]
async fn many_events_in_the_second_of_the_newest_leave_no_gap() {
    let mut story = Story::new().await;
    let star = |story: &Story, ids: std::ops::RangeInclusive<u64>, at: &str| {
        story.github.change(|world| {
            for id in ids {
                world.star("acme/sdk", &User::new(id, &format!("fan-{id}")), at);
            }
        });
    };
    star(&story, 1..=250, "2026-04-10T10:00:00Z");
    story.poll().await;
    star(&story, 251..=350, "2026-04-10T10:00:01Z");
    story.poll().await;
    assert_eq!((story.leads().await, story.state().await.last_gap_at), (350, None));
}

#[tokio::test]
async fn one_event_out_of_its_order_hides_none_of_the_pages_behind_it() {
    let mut story = Story::new().await;
    story.star(100..=101);
    story.poll().await;
    story.star(102..=250);
    story.star(1..=1);
    story.star(251..=300);
    story.poll().await;
    assert_eq!(story.leads().await, 202);
    assert_eq!(story.state().await.last_gap_at, None);
    assert_eq!(story.github.requests_to(FEED).len(), 4);
}

#[tokio::test]
async fn an_event_of_the_future_hides_nothing_that_comes_after_it() {
    let mut story = Story::new().await;
    story.star(1..=10);
    story.github.change(|world| {
        world.star("acme/sdk", &User::new(9_000, "fan-of-tomorrow"), "2027-04-10T00:00:00Z");
    });
    story.poll().await;
    story.star(11..=160);
    story.poll().await;
    assert_eq!((story.leads().await, story.state().await.last_gap_at), (161, None));
    story.star(161..=460);
    story.poll().await;
    assert_eq!(story.state().await.last_gap_at, Some(story.room.clock.now()));
}

#[tokio::test]
async fn late_events_below_what_is_known_are_looked_for_once_an_hour() {
    let mut story = Story::new().await;
    for id in 1..=250 {
        story.star_at(id, 1_000 + id * 2);
    }
    story.poll().await;
    assert_eq!((story.leads().await, story.github.requests_to(FEED).len()), (250, 3));

    story.star_late(251, 1_101);
    story.star_at(252, 2_000);
    story.poll().await;
    assert_eq!((story.leads().await, story.github.requests_to(FEED).len()), (252, 6));

    story.star_late(253, 1_103);
    story.star_at(254, 2_001);
    story.polls.hurry("acme/sdk", story.room.clock.now());
    story.room.clock.advance(Duration::from_mins(1));
    assert_eq!(story.step().await, None);
    assert_eq!(story.github.requests_to(FEED).len(), 7, "the hour is not over");
}

#[tokio::test]
async fn a_late_event_below_the_first_page_is_found_though_that_is_as_it_was() {
    let mut story = Story::new().await;
    for id in 1..=250 {
        story.star_at(id, 1_000 + id * 2);
    }
    story.room.clock.advance(Duration::from_hours(7));
    assert_eq!(story.step().await, None);
    story.star_late(251, 1_101);
    story.hurried_poll(Duration::from_mins(61)).await;
    assert_eq!((story.leads().await, story.github.requests_to(FEED).len()), (251, 6));

    story.hurried_poll(Duration::from_mins(2)).await;
    assert_eq!(story.github.requests_to(FEED).len(), 7, "304: the hour is not over");
    story.poll().await;
    let asked = story.github.requests_to(FEED);
    assert!(asked[7].header("if-none-match").is_none());
    story.poll().await;
    let asked = story.github.requests_to(FEED);
    assert!(
        asked.last().unwrap().header("if-none-match").is_some(),
        "all is too old by now"
    );
}

#[tokio::test]
async fn a_feed_of_one_page_is_asked_whether_it_is_as_it_was() {
    let mut story = Story::new().await;
    story.star_at(1, 1_000);
    story.poll().await;
    story.hurried_poll(Duration::from_mins(61)).await;
    assert!(story.github.requests_to(FEED)[1].header("if-none-match").is_some());
}

#[tokio::test]
async fn a_late_event_that_came_while_nobody_looked_is_found_after_a_restart() {
    let mut story = Story::new().await;
    for id in 1..=250 {
        story.star_at(id, 1_000 + id * 2);
    }
    story.poll().await;
    story.star_late(251, 1_101);
    story.star_at(252, 2_000);
    let client = story.room.client(story.github.url(), Some("token"));
    story.polls = Polls::open(Arc::clone(&story.room.ingest), client, Room::part().await)
        .await
        .unwrap();
    story.poll().await;
    assert_eq!(story.leads().await, 252);
}

#[tokio::test]
async fn faults_move_no_cursor_and_are_tried_again_later() {
    let mut story = Story::new().await;
    story.star(1..=2);
    for (misbehaviour, outcome, wait) in [
        (Misbehaviour::Status(502), PollOutcome::Failed, 60),
        (Misbehaviour::Truncated, PollOutcome::Failed, 120),
        (Misbehaviour::Html, PollOutcome::Failed, 240),
        (Misbehaviour::Status(404), PollOutcome::NotFound, 480),
        (Misbehaviour::Status(451), PollOutcome::Denied, 960),
        (
            Misbehaviour::TooManyRequests { retry_after: 33 },
            PollOutcome::Limited,
            33,
        ),
        (
            Misbehaviour::SecondaryRateLimit { retry_after: None },
            PollOutcome::Limited,
            60,
        ),
    ] {
        story.github.change(|world| world.misbehave(FEED, misbehaviour));
        story.poll().await;
        let state = story.state().await;
        let due = story.room.clock.now().plus(Duration::from_secs(wait));
        assert_eq!((state.outcome, state.next_poll_at), (outcome, due), "{misbehaviour:?}");
        story.room.clock.advance(Duration::from_secs(wait));
    }
    assert_eq!(story.leads().await, 0);
    story.poll().await;
    assert_eq!((story.leads().await, story.state().await.failures), (2, 0));
}

#[tokio::test]
async fn what_a_feed_shows_is_recorded_though_a_later_page_fails() {
    for (misbehaviour, outcome, look, wait) in [
        (
            Misbehaviour::Status(502),
            PollOutcome::Failed,
            ("unavailable", "no_answer"),
            90,
        ),
        (
            Misbehaviour::Garbage,
            PollOutcome::Failed,
            ("unavailable", "no_answer"),
            90,
        ),
        (
            Misbehaviour::Status(304),
            PollOutcome::Failed,
            ("unavailable", "no_answer"),
            90,
        ),
        (
            Misbehaviour::Status(451),
            PollOutcome::Denied,
            ("restricted", "legal"),
            90,
        ),
        (
            Misbehaviour::TooManyRequests { retry_after: 300 },
            PollOutcome::Limited,
            ("rate_limited", "rate_limit"),
            300,
        ),
    ] {
        let mut story = Story::new().await;
        story.star(1..=250);
        story.github.change(|world| {
            world.poll_interval = 90;
            // The first page is as it should be, but for what no feed needs.
            world.misbehave(FEED, Misbehaviour::NoLastPage);
            world.misbehave(FEED, misbehaviour);
        });
        story.poll().await;
        let (now, state) = (story.room.clock.now(), story.state().await);
        assert_eq!(story.leads().await, 100, "{misbehaviour:?}");
        assert_eq!(
            (state.outcome, state.last_success_at),
            (outcome, None),
            "{misbehaviour:?}"
        );
        let due = now.plus(Duration::from_secs(wait));
        assert_eq!(state.next_poll_at, due, "{misbehaviour:?}");
        let (shown, reason) = story.look().await;
        assert_eq!((shown.as_str(), reason.as_str()), look, "{misbehaviour:?}");
        assert_eq!(story.polls.pausing(now), None, "other feeds may be answered");

        story.poll().await;
        assert_eq!((story.leads().await, story.state().await.failures), (250, 0));
    }
}

#[tokio::test]
async fn a_page_that_failed_is_read_the_next_time_down_to_what_was_known() {
    let mut story = Story::new().await;
    story.star(1..=50);
    story.poll().await;
    story.star(51..=200);
    for _ in 0..2 {
        story.github.change(|world| {
            world.misbehave(FEED, Misbehaviour::NoLastPage);
            world.misbehave(FEED, Misbehaviour::Status(502));
        });
        story.poll().await;
        assert_eq!(story.leads().await, 150);
    }
    story.poll().await;
    assert_eq!((story.leads().await, story.state().await.last_gap_at), (200, None));
}

#[tokio::test]
async fn while_github_fails_one_feed_is_tried_for_all() {
    let mut story = Story::new().await;
    for number in 2..=6 {
        let name = format!("acme/tool-{number}");
        story.github.change(|world| world.put_repo(Repo::new(number, &name)));
        story.room.track(&name).await;
        story.github.change(|world| {
            world.misbehave(&format!("/repos/{name}/events"), Misbehaviour::Status(503));
        });
    }
    story
        .github
        .change(|world| world.misbehave(FEED, Misbehaviour::Status(503)));
    for (minutes, asked) in [(0, 1), (1, 2), (1, 2), (1, 3), (4, 4), (8, 5), (16, 6)] {
        story.room.clock.advance(Duration::from_mins(minutes));
        while story.step().await.is_none() {}
        assert_eq!(story.github.requests().len(), asked, "{minutes}");
    }
    story.room.clock.advance(Duration::from_mins(32));
    while story.step().await.is_none() {}
    assert_eq!(story.github.requests().len(), 12);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_under_the_name_that_is_tracked() {
    let mut story = Story::new().await;
    story
        .github
        .change(|world| world.put_repo(Repo::new(1, "acme/renamed")));
    story.star(1..=1);
    story.poll().await;
    let mut events = story.room.events().await.into_iter();
    let captured = events.find_map(|recorded| match recorded.event {
        Event::LeadCaptured(captured) => Some(captured),
        _ => None,
    });
    let captured = captured.unwrap();
    let tracked = &"Acme/sdk".parse().unwrap();
    let vault = &story.room.writer.vault;
    assert_eq!(captured.signal.repo, vault.repo_key(story.room.account, tracked));
}

#[tokio::test]
async fn a_second_account_gets_what_the_feed_still_has() {
    let mut story = Story::new().await;
    story.star(1..=3);
    story.poll().await;
    let other = commands::open_account(&story.room.writer, "other".into(), "agency".parse().unwrap());
    let other = other.await.unwrap().value;
    story.room.clock.advance(Duration::from_secs(1));
    story.room.track_for(other, "acme/SDK").await;
    assert_eq!(story.step().await, None);
    assert_eq!(story.leads().await, 6);
}

#[tokio::test]
async fn a_restart_goes_on_at_the_cursor_and_an_untracked_repository_loses_it() {
    let mut story = Story::new().await;
    story.star(1..=3);
    story.poll().await;
    let client = story.room.client(story.github.url(), Some("token"));
    story.polls = Polls::open(Arc::clone(&story.room.ingest), client, Room::part().await)
        .await
        .unwrap();
    story.poll().await;
    assert!(story.github.requests_to(FEED)[1].header("if-none-match").is_some());

    let tracked = story
        .room
        .events()
        .await
        .into_iter()
        .find_map(|recorded| match recorded.event {
            Event::RepoTracked(tracked) => Some(tracked),
            _ => None,
        });
    let tracked = tracked.unwrap();
    commands::untrack_repo(
        &story.room.writer,
        story.room.account,
        &tracked.full_name,
        tracked.repo_id,
    )
    .await
    .unwrap();
    story.room.settle().await;
    story.room.clock.advance(Duration::from_mins(1));
    assert!(story.step().await.is_some());
    assert_eq!(poll_states(story.room.store()).await.unwrap(), []);
}

#[tokio::test]
async fn without_a_token_the_feeds_leave_room_in_the_hour() {
    let mut story = Story::new().await;
    let client = story.room.client(story.github.url(), None);
    story.polls = Polls::open(Arc::clone(&story.room.ingest), client, Room::part().await)
        .await
        .unwrap();
    story.poll().await;
    let due = story.room.clock.now().plus(Duration::from_secs(90));
    assert_eq!(story.step().await, Some(due));
}

#[tokio::test]
async fn a_poll_does_not_bring_an_erased_person_back() {
    let mut story = Story::new().await;
    story.star(1..=2);
    story.poll().await;
    story.room.erase(1).await;
    story.github.change(|world| {
        world.put_repo(Repo::new(2, "acme/cli"));
        world.star("acme/cli", &User::new(1, "fan-1"), "2026-04-10T10:00:00Z");
        world.star("acme/cli", &User::new(2, "fan-2"), "2026-04-10T10:00:01Z");
    });
    story.room.track("acme/cli").await;
    // One poll for each of the two repositories.
    story.poll().await;
    story.poll().await;
    assert_eq!(story.room.history(1).await, ["LeadCaptured", "LeadErased"]);
    assert_eq!(story.room.history(2).await, ["LeadCaptured", "SignalRecorded"]);
}

#[tokio::test]
async fn a_refused_feed_is_told_once_and_its_return_too() {
    let mut story = Story::new().await;
    story.poll().await;
    for _ in 0..3 {
        story.room.clock.advance(Duration::from_hours(2));
        story
            .github
            .change(|world| world.misbehave(FEED, Misbehaviour::Status(451)));
        story.poll().await;
    }
    story.room.clock.advance(Duration::from_hours(2));
    story.poll().await;
    let told: Vec<_> = story
        .room
        .events()
        .await
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::SourceStateChanged(changed) => Some((changed.state.as_str(), changed.reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        told,
        [("active", "answered"), ("restricted", "legal"), ("active", "answered")]
    );
}

#[tokio::test]
async fn what_was_told_of_a_feed_outlives_a_restart() {
    let mut story = Story::new().await;
    story.poll().await;
    story.room.settle().await;
    let client = story.room.client(story.github.url(), Some("token"));
    story.polls = Polls::open(Arc::clone(&story.room.ingest), client, Room::part().await)
        .await
        .unwrap();
    let before = story.room.head().await;
    story.poll().await;
    assert_eq!(story.room.head().await, before);
}
