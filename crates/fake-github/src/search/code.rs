//! Searches for files.

use serde_json::{Value, json};

use super::highlight::text_match;
use super::parse::Query;
use super::words::has_phrase;
use super::{link, page};
use crate::ask::Ask;
use crate::code::File;
use crate::reply::Reply;
use crate::world::Named;
use crate::{Repo, World};

impl World {
    /// `/search/code`: files on default branches, whose text or path has the words.
    pub(crate) fn search_code(&self, ask: &Ask) -> Reply {
        let query = match Query::parse(ask.query("q").unwrap_or_default()) {
            Ok(query) => query,
            Err(refused) => return Reply::invalid("Search", "q", refused.text()),
        };
        if query.phrases().is_empty() {
            return Reply::invalid("Search", "q", "At least one search term is needed.");
        }
        if let Some(refusal) = self.nowhere(ask.who, &query) {
            return refusal;
        }
        let page = match page(ask) {
            Ok(page) => page,
            Err(refusal) => return refusal,
        };
        let found: Vec<(&File, &Repo)> = self
            .code_candidates(&query)
            .into_iter()
            .filter_map(|place| self.code.get(place))
            .filter_map(|file| Some((file, self.repos.get(&file.repo)?)))
            .filter(|(file, repo)| self.may_see(ask.who, repo) && self.file_fits(&query, &query, file, repo))
            .collect();
        let total = found.len();
        let phrases = ask.accepts("text-match").then(|| query.phrases());
        let shown = page.of(found.into_iter().take(super::RESULTS)).into_iter();
        let items: Vec<Value> = shown
            .map(|(file, repo)| self.found_file(file, repo, phrases.as_deref()))
            .collect();
        let body = json!({ "total_count": total, "incomplete_results": self.searches_break_off, "items": items });
        Reply::ok(&body).with_link(link(ask, &self.base, page, total))
    }

    /// Few places that have all results among them.
    fn code_candidates(&self, query: &Query) -> Vec<usize> {
        let words = query.required().iter().filter_map(|part| match part {
            Query::Phrase(words) => words.first(),
            _ => None,
        });
        let sets = words.map(|word| self.code.words.of(word));
        match sets.min_by_key(|set| set.map_or(0, std::collections::BTreeSet::len)) {
            Some(smallest) => smallest.into_iter().flatten().copied().collect(),
            None => (0..self.code.len()).collect(),
        }
    }

    fn file_fits(&self, whole: &Query, part: &Query, file: &File, repo: &Repo) -> bool {
        let fits = |part: &Query| self.file_fits(whole, part, file, repo);
        match part {
            Query::All(parts) => parts.iter().all(fits),
            Query::Any(parts) => parts.iter().any(fits),
            Query::Not(part) => !fits(part),
            Query::Phrase(words) => {
                let fields: Vec<&str> = whole.values("in").iter().flat_map(|list| list.split(',')).collect();
                let looked = |field: &str| fields.is_empty() || fields.contains(&field);
                looked("file") && has_phrase(&file.text, words) || looked("path") && has_phrase(&file.path, words)
            }
            Query::Qualifier(name, value) => self.file_qualifies(name, value, file, repo),
        }
    }

    fn file_qualifies(&self, name: &str, value: &str, file: &File, repo: &Repo) -> bool {
        let folder = || file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match name {
            "repo" => self.named(value) == Named::Here(repo.id),
            "user" | "org" => repo.owner().eq_ignore_ascii_case(value),
            "filename" => file.name().eq_ignore_ascii_case(value),
            "extension" => file
                .name()
                .rsplit_once('.')
                .is_some_and(|(_, extension)| extension.eq_ignore_ascii_case(value)),
            "path" => folder().starts_with(value.trim_matches('/')),
            "language" => repo
                .language()
                .is_some_and(|language| language.eq_ignore_ascii_case(value)),
            "in" | "sort" => true,
            _ => false,
        }
    }

    fn found_file(&self, file: &File, repo: &Repo, phrases: Option<&[&[String]]>) -> Value {
        let repo_url = format!("{}/repositories/{}", self.base, repo.id);
        let sha = file.sha();
        let url = format!("{repo_url}/contents/{}?ref=main", file.path);
        let mut item = json!({
            "name": file.name(),
            "path": file.path,
            "sha": sha,
            "url": url,
            "git_url": format!("{repo_url}/git/blobs/{sha}"),
            "html_url": format!("{}/blob/main/{}", repo.page(), file.path),
            "repository": repo.listed(&self.owner(repo), &self.base),
            "score": 1.0,
        });
        if let (Some(phrases), Some(fields)) = (phrases, item.as_object_mut()) {
            let found = text_match(&url, "FileContent", "content", &file.text, phrases);
            let matches: Vec<Value> = found.into_iter().collect();
            fields.insert("text_matches".to_owned(), json!(matches));
        }
        item
    }
}
