//! What all accounts ask for, as one thing to hold against each activity: repositories by name, keywords in one
//! automaton. Used by the door and, to copy nothing in vain, by the archive scan.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use daachorse::DoubleArrayAhoCorasick;
use domain::{AccountId, Keyword, RepoName, ScanTarget, ScanTargets};

use super::activity::{Act, Activity};
use super::folding::{fold_into, is_whole, snippet};
use crate::github::activity::{Seen, SeenAct};

/// What all accounts ask for at one moment.
#[derive(Default)]
pub struct Watchlist {
    /// By name in lower case.
    repos: HashMap<String, Vec<Tracking>>,
    /// `None` without keywords: an automaton needs one.
    automaton: Option<DoubleArrayAhoCorasick<u32>>,
    /// Who asks for the keyword with that value in the automaton.
    watchers: Vec<Vec<Watcher>>,
}

struct Tracking {
    account: AccountId,
    /// The name that it is tracked under, if it has another by now.
    tracked_as: Option<RepoName>,
}

struct Watcher {
    account: AccountId,
    keyword: Keyword,
    targets: ScanTargets,
}

/// Room for folded text, to be used again from one activity to the next.
#[derive(Default)]
pub struct Scratch {
    text: String,
    folded: Vec<u8>,
}

/// An activity that an account asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Who asked.
    pub account: AccountId,
    /// The keyword and the words around it, unless it was a star.
    pub found: Option<Found>,
    /// Of a star the name that the repository is tracked under, if that is another than the one it was told by.
    pub tracked_as: Option<RepoName>,
}

/// A keyword in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The keyword, as the customer wrote it.
    pub keyword: Keyword,
    /// The words around it, as the author wrote them.
    pub snippet: String,
}

impl Watchlist {
    /// The list of these repositories and keywords.
    ///
    /// # Errors
    /// If the keywords do not fit into an automaton (hundreds of megabytes of them).
    pub fn build(
        repos: impl IntoIterator<Item = (AccountId, RepoName)>,
        keywords: impl IntoIterator<Item = (AccountId, Keyword, ScanTargets)>,
    ) -> anyhow::Result<Self> {
        let mut list = Self::default();
        for (account, repo) in repos {
            list.add(&repo, account, None);
        }
        let mut by_folded: BTreeMap<String, Vec<Watcher>> = BTreeMap::new();
        for (account, keyword, targets) in keywords {
            by_folded.entry(keyword.folded().to_owned()).or_default().push(Watcher {
                account,
                keyword,
                targets,
            });
        }
        if !by_folded.is_empty() {
            let patterns: Vec<&str> = by_folded.keys().map(String::as_str).collect();
            let automaton = DoubleArrayAhoCorasick::new(patterns);
            list.automaton = Some(
                automaton
                    .map_err(|error| anyhow::anyhow!("{error}"))
                    .context("too many keywords")?,
            );
            list.watchers = by_folded.into_values().collect();
        }
        Ok(list)
    }

    /// The repository that an account tracks as `tracked_as` is called otherwise on GitHub by now.
    pub fn rename(&mut self, account: AccountId, tracked_as: RepoName, called: &RepoName) {
        self.add(called, account, Some(tracked_as));
    }

    fn add(&mut self, name: &RepoName, account: AccountId, tracked_as: Option<RepoName>) {
        let tracking = Tracking { account, tracked_as };
        self.repos.entry(name.key()).or_default().push(tracking);
    }

    /// Whether any account asks for it.
    pub fn concerns(&self, seen: &Seen<'_>, scratch: &mut Scratch) -> bool {
        match seen.act {
            SeenAct::Starred | SeenAct::Unstarred => {
                scratch.text.clear();
                scratch.text.push_str(seen.repo);
                scratch.text.make_ascii_lowercase();
                self.repos.contains_key(&scratch.text)
            }
            SeenAct::Wrote {
                target, title, body, ..
            } => {
                if self.automaton.is_none() {
                    return false;
                }
                scratch.text.clear();
                scratch.text.push_str(title);
                scratch.text.push('\n');
                scratch.text.push_str(body);
                fold_into(&scratch.text, &mut scratch.folded);
                self.hits(&scratch.folded, target).next().is_some()
            }
        }
    }

    /// Whether any account looks for a keyword in such a place.
    pub fn looks_in(&self, target: ScanTarget) -> bool {
        let mut watchers = self.watchers.iter().flatten();
        watchers.any(|watcher| watcher.targets.contains(target))
    }

    /// Whether any account asks for a text that was written in such a place.
    pub fn finds(&self, text: &str, target: ScanTarget, scratch: &mut Scratch) -> bool {
        fold_into(text, &mut scratch.folded);
        self.hits(&scratch.folded, target).next().is_some()
    }

    /// Who asks for it; of several keywords of one account the earliest in the text, of those the longest.
    pub fn matches(&self, activity: &Activity) -> Vec<Match> {
        match &activity.act {
            Act::Starred | Act::Unstarred => {
                let tracked = self.repos.get(&activity.repo.to_ascii_lowercase());
                let starred = |tracking: &Tracking| Match {
                    account: tracking.account,
                    found: None,
                    tracked_as: tracking.tracked_as.clone(),
                };
                tracked.into_iter().flatten().map(starred).collect()
            }
            Act::Wrote { target, text, .. } => self.keywords_in(text, *target),
            Act::Holds { text, .. } => self.keywords_in(text, ScanTarget::Code),
        }
    }

    fn keywords_in(&self, text: &str, target: ScanTarget) -> Vec<Match> {
        let mut folded = Vec::new();
        fold_into(text, &mut folded);
        let mut best: BTreeMap<AccountId, Hit<'_>> = BTreeMap::new();
        for hit in self.hits(&folded, target) {
            let known = best.entry(hit.watcher.account).or_insert(hit);
            if (hit.start, known.end) < (known.start, hit.end) {
                *known = hit;
            }
        }
        best.into_iter()
            .map(|(account, hit)| Match {
                account,
                found: Some(Found {
                    keyword: hit.watcher.keyword.clone(),
                    snippet: snippet(text, hit.start, hit.end),
                }),
                tracked_as: None,
            })
            .collect()
    }

    fn hits<'a>(&'a self, folded: &'a [u8], target: ScanTarget) -> impl Iterator<Item = Hit<'a>> {
        let found = self
            .automaton
            .iter()
            .flat_map(move |automaton| automaton.find_overlapping_iter(folded));
        found
            .filter(move |found| is_whole(folded, found.start(), found.end()))
            .flat_map(move |found| {
                let watchers = self.watchers.get(found.value() as usize).into_iter().flatten();
                watchers
                    .filter(move |watcher| watcher.targets.contains(target))
                    .map(move |watcher| Hit {
                        start: found.start(),
                        end: found.end(),
                        watcher,
                    })
            })
    }
}

/// A keyword of an account at a place of the folded text.
#[derive(Clone, Copy)]
struct Hit<'a> {
    start: usize,
    end: usize,
    watcher: &'a Watcher,
}

#[cfg(test)]
mod tests {
    use domain::{Collector, Timestamp};
    use ulid::Ulid;

    use super::*;
    use crate::ingest::activity::{Actor, ActorKind};

    fn account(number: u128) -> AccountId {
        AccountId::new(Ulid::from_parts(1, number))
    }

    fn keyword(by: u128, text: &str, targets: &str) -> (AccountId, Keyword, ScanTargets) {
        (account(by), text.parse().unwrap(), targets.parse().unwrap())
    }

    fn activity(act: Act) -> Activity {
        Activity {
            act,
            repo: "Acme/SDK".into(),
            actor: Actor {
                id: 1,
                login: "ada-example".into(),
                kind: ActorKind::User,
            },
            occurred_at: Timestamp::from_secs(1),
            collector: Collector::Archive,
        }
    }

    fn wrote(text: &str, target: ScanTarget) -> Activity {
        activity(Act::Wrote {
            target,
            text: text.into(),
            url: "https://github.com/acme/sdk/issues/1".into(),
        })
    }

    fn found(list: &Watchlist, text: &str, target: ScanTarget) -> Vec<(AccountId, String)> {
        let matches = list.matches(&wrote(text, target));
        matches
            .into_iter()
            .map(|hit| (hit.account, hit.found.unwrap().keyword.to_string()))
            .collect()
    }

    #[test]
    fn a_star_concerns_those_who_track_the_repository_in_any_letter_case() {
        let repos = [
            (account(1), "acme/sdk".parse().unwrap()),
            (account(2), "ACME/Sdk".parse().unwrap()),
        ];
        let list = Watchlist::build(repos, []).unwrap();
        let accounts: Vec<AccountId> = list
            .matches(&activity(Act::Starred))
            .iter()
            .map(|hit| hit.account)
            .collect();
        assert_eq!(accounts, [account(1), account(2)]);
        let elsewhere = Activity {
            repo: "acme/other".into(),
            ..activity(Act::Starred)
        };
        assert_eq!(list.matches(&elsewhere), []);
    }

    #[test]
    fn a_star_of_a_renamed_repository_is_one_of_the_name_that_is_tracked() {
        let tracked: RepoName = "old/sdk".parse().unwrap();
        let mut list = Watchlist::build([(account(1), tracked.clone())], []).unwrap();
        list.rename(account(1), tracked.clone(), &"Acme/sdk".parse().unwrap());
        let starred = |repo: &str| Activity {
            repo: repo.into(),
            ..activity(Act::Starred)
        };
        let told = |repo: &str| list.matches(&starred(repo)).pop().map(|hit| hit.tracked_as);
        assert_eq!(told("acme/SDK"), Some(Some(tracked)));
        assert_eq!(told("old/sdk"), Some(None));
        assert_eq!(told("acme/kit"), None);
    }

    #[test]
    fn a_text_matches_once_an_account_with_the_earliest_and_then_the_longest_keyword() {
        let list = Watchlist::build(
            [],
            [
                keyword(1, "compose", "issues"),
                keyword(1, "Docker", "issues"),
                keyword(1, "docker compose", "issues"),
                keyword(2, "COMPOSE", "issues"),
            ],
        )
        .unwrap();
        assert_eq!(
            found(&list, "Try docker\n compose, then compose", ScanTarget::Issues),
            [(account(1), "docker compose".into()), (account(2), "COMPOSE".into())]
        );
    }

    #[test]
    fn a_keyword_is_looked_for_only_where_its_account_wants_it() {
        let list = Watchlist::build([], [keyword(1, "docker", "prs,code"), keyword(2, "docker", "issues")]).unwrap();
        assert_eq!(found(&list, "docker", ScanTarget::Prs), [(account(1), "docker".into())]);
        assert_eq!(found(&list, "docker", ScanTarget::Discussions), []);
    }

    #[test]
    fn folding_and_boundaries_hold_for_every_script() {
        let keywords = ["Straße", "c++", ".net", "событие", "対応"].map(|text| keyword(1, text, "issues"));
        let list = Watchlist::build([], keywords).unwrap();
        for (text, expected) in [
            ("die STRASSE.", Some("Straße")),
            ("in C++17", Some("c++")),
            ("on .NET 9", Some(".net")),
            ("это СОБЫТИЕ!", Some("событие")),
            ("события", None),
            ("非対応です", Some("対応")),
            ("strassen", None),
        ] {
            let keywords: Vec<String> = found(&list, text, ScanTarget::Issues)
                .into_iter()
                .map(|hit| hit.1)
                .collect();
            assert_eq!(keywords.first().map(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn the_quick_look_and_the_full_one_agree() {
        let repos = [(account(1), "acme/sdk".parse().unwrap())];
        let list = Watchlist::build(repos, [keyword(1, "event sourcing", "issues")]).unwrap();
        let mut scratch = Scratch::default();
        for (act, expected) in [
            (SeenAct::Starred, true),
            (written("On Event", "Sourcing"), true),
            (written("", "an eventful sourcing"), false),
        ] {
            let seen = Seen::of_a_user("Acme/SDK", act);
            assert_eq!(list.concerns(&seen, &mut scratch), expected);
            let activity = seen.to_activity(Collector::Archive).unwrap();
            assert_eq!(!list.matches(&activity).is_empty(), expected);
        }
    }

    fn written<'a>(title: &'a str, body: &'a str) -> SeenAct<'a> {
        SeenAct::Wrote {
            target: ScanTarget::Issues,
            title,
            body,
            url: "https://github.com/acme/sdk/issues/1",
        }
    }

    #[test]
    fn a_list_of_nothing_matches_nothing() {
        let list = Watchlist::build([], []).unwrap();
        assert_eq!(list.matches(&wrote("anything", ScanTarget::Issues)), []);
        assert_eq!(list.matches(&activity(Act::Starred)), []);
    }
}
