//! Where repositories with another name are by now, as GitHub's redirections said. Used by the client.
//!
//! Each redirection counts as a request, also where what it leads to has not changed and would cost nothing.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;

/// What a redirection said is believed for so long: the old name may become another repository's.
const GOOD_FOR: Duration = Duration::from_hours(1);
/// Repositories that are kept in mind at most.
const MOST: usize = 10_000;

/// By the path of a repository under its old name, in lower case, its path by now and when GitHub said so.
#[derive(Debug, Default)]
pub struct Moves {
    there: HashMap<String, (String, Timestamp)>,
}

impl Moves {
    /// Takes note that a path was sent on to that one, if both lead to the same in a repository.
    pub fn note(&mut self, path: &str, there: &str, now: Timestamp) {
        let Some((repo, rest)) = split(path) else {
            return;
        };
        let without_query = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
        let there = without_query(there);
        if self.there.len() >= MOST {
            self.there.retain(|_, (_, said)| said.plus(GOOD_FOR) > now);
        }
        if let Some(root) = there.strip_suffix(&without_query(rest))
            && self.there.len() < MOST
        {
            self.there.insert(repo, (root.to_owned(), now));
        }
    }

    /// Where a path leads by now; none: nothing is known of that.
    pub fn there(&self, path: &str, now: Timestamp) -> Option<String> {
        let (repo, rest) = split(path)?;
        let (root, _) = self.there.get(&repo).filter(|(_, said)| said.plus(GOOD_FOR) > now)?;
        Some(format!("{root}{rest}"))
    }

    /// The old name is another's by now.
    pub fn forget(&mut self, path: &str) {
        if let Some((repo, _)) = split(path) {
            self.there.remove(&repo);
        }
    }
}

/// The path of the repository, in lower case, and the rest.
fn split(path: &str) -> Option<(String, &str)> {
    let named = path.strip_prefix("/repos/")?;
    let owner = named.find('/')? + 1;
    let name = named.get(owner..)?;
    let end = name.find(['/', '?']).unwrap_or(name.len());
    let (repo, rest) = path.split_at_checked("/repos/".len() + owner + end)?;
    Some((repo.to_ascii_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn every_path_of_a_repository_that_moved_leads_there_for_an_hour() {
        let mut moves = Moves::default();
        let page = "/repos/old/Name/events?per_page=100&page=1";
        moves.note(page, "/repositories/7/events?per_page=100&page=1", NOW);
        let there = |path| moves.there(path, NOW);
        assert_eq!(
            there("/repos/Old/name/events?per_page=100&page=2").as_deref(),
            Some("/repositories/7/events?per_page=100&page=2")
        );
        assert_eq!(
            there("/repos/old/name/stargazers").as_deref(),
            Some("/repositories/7/stargazers")
        );
        assert_eq!(there("/repos/old/name?x=1").as_deref(), Some("/repositories/7?x=1"));
        assert_eq!(there("/repos/old/names/events"), None);
        assert_eq!(there("/graphql"), None);
        assert_eq!(moves.there(page, NOW.plus(GOOD_FOR)), None);
        moves.forget(page);
        assert_eq!(moves.there(page, NOW), None);
    }

    #[test]
    fn a_path_that_leads_to_something_else_is_no_move() {
        let mut moves = Moves::default();
        for (path, there) in [
            ("/repos/old/name/events", "/login"),
            ("/user/7", "/users/ada-example"),
            ("/repos/old", "/repos/new"),
        ] {
            moves.note(path, there, NOW);
        }
        assert_eq!(moves.there("/repos/old/name/events", NOW), None);
        assert!(moves.there.is_empty());
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let mut moves = Moves::default();
        for number in 0..MOST + 5 {
            moves.note(&format!("/repos/a/{number}/events"), "/repositories/1/events", NOW);
        }
        assert_eq!(moves.there.len(), MOST);
        moves.note("/repos/a/new/events", "/repositories/1/events", NOW.plus(GOOD_FOR));
        assert_eq!(moves.there.len(), 1);
    }
}
