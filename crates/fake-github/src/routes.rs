//! The paths that are answered, each as GitHub's REST documentation has it; everything else is a 404.

use http::Method;
use serde_json::json;

use crate::ask::Ask;
use crate::reply::Reply;
use crate::thread::ThreadKind;
use crate::world::Named;
use crate::{Repo, World};

const REPOS_A_PAGE: usize = 30;

impl World {
    /// Answers what nothing was found wrong with.
    pub(crate) fn route(&mut self, ask: &Ask) -> Reply {
        let path: Vec<&str> = ask.path.iter().map(String::as_str).collect();
        match (ask.method, path.as_slice()) {
            (&Method::POST, ["graphql"]) => self.graphql_reply(ask),
            (&Method::POST, ["repos", owner, name, rest @ ..]) => self.by_name(ask, owner, name, rest),
            (&Method::GET, path) => self.read(ask, path),
            _ => Reply::not_found(),
        }
    }

    fn read(&mut self, ask: &Ask, path: &[&str]) -> Reply {
        match path {
            ["rate_limit"] => self.rate_overview(ask.who),
            ["events"] => self.public_feed(ask),
            ["search", "issues"] => self.search_issues(ask),
            ["search", "code"] => self.search_code(ask),
            ["users", login] => self
                .find_user(login)
                .map_or_else(Reply::not_found, |user| Reply::ok(&user.profile(&self.base))),
            ["users", login, "repos"] => self.repos_of(ask, login),
            ["user", id] => {
                let user = id.parse().ok().and_then(|id: u64| self.users.get(&id));
                user.map_or_else(Reply::not_found, |user| Reply::ok(&user.profile(&self.base)))
            }
            ["repos", owner, name, rest @ ..] => self.by_name(ask, owner, name, rest),
            ["repositories", id, rest @ ..] => match id.parse() {
                Ok(id) => self.by_id(ask, id, rest),
                Err(_) => Reply::not_found(),
            },
            _ => Reply::not_found(),
        }
    }

    fn repos_of(&self, ask: &Ask, login: &str) -> Reply {
        let Some(owner) = self.find_user(login) else {
            return Reply::not_found();
        };
        let mut repos: Vec<&Repo> = self.owned(login).filter(|repo| !repo.private).collect();
        match ask.query("sort") {
            Some("pushed" | "updated") => repos.sort_by(|a, b| b.pushed_at.cmp(&a.pushed_at)),
            Some("created") => repos.sort_by(|a, b| b.created_at.cmp(&a.created_at)),
            _ => repos.sort_by(|a, b| a.full_name.cmp(&b.full_name)),
        }
        let page = ask.page(REPOS_A_PAGE);
        let link = page.link(&format!("{}/user/{}/repos", self.base, owner.id), repos.len());
        let shown = page.of(repos.into_iter()).into_iter();
        Reply::list(shown.map(|repo| repo.listed(owner, &self.base)).collect(), link)
    }

    /// Answers, or sends a client that knows a former name to the path with the id.
    fn by_name(&mut self, ask: &Ask, owner: &str, name: &str, rest: &[&str]) -> Reply {
        match self.named(&format!("{owner}/{name}")) {
            Named::Here(id) => self.by_id(ask, id, rest),
            Named::Moved(id) if self.repos.get(&id).is_some_and(|repo| self.may_see(ask.who, repo)) => {
                let query = if ask.raw_query.is_empty() { "" } else { "?" };
                Reply::moved(&format!("{}{query}{}", self.url(id, rest), ask.raw_query))
            }
            _ => Reply::not_found(),
        }
    }

    fn by_id(&mut self, ask: &Ask, id: u64, rest: &[&str]) -> Reply {
        let url = self.url(id, rest);
        let Some(repo) = self.repos.get(&id).filter(|repo| self.may_see(ask.who, repo)) else {
            return Reply::not_found();
        };
        match rest {
            ["hooks", rest @ ..] => return self.hooks_reply(ask, id, rest, &url),
            _ if ask.method != Method::GET => {}
            [] => return Reply::ok(&repo.full(&self.owner(repo), &self.base)),
            ["languages"] => return Reply::ok(&json!(repo.languages)),
            ["events"] => return self.repo_feed(ask, repo, &url),
            ["stargazers"] => return self.stargazers_reply(ask, repo, &url),
            ["commits"] => return self.commits_reply(ask, repo, &url),
            [list @ ("issues" | "pulls"), number, rest @ ..] => {
                return self.thread_reply(ask, repo, (*list == "pulls", number), rest, &url);
            }
            _ => {}
        }
        Reply::not_found()
    }

    fn thread_reply(
        &self,
        ask: &Ask,
        repo: &Repo,
        (of_pulls, number): (bool, &str),
        rest: &[&str],
        url: &str,
    ) -> Reply {
        let thread = number
            .parse()
            .ok()
            .and_then(|number| self.threads.numbered(repo.id, number));
        let Some(thread) = thread.filter(|thread| thread.kind != ThreadKind::Discussion) else {
            return Reply::not_found();
        };
        match rest {
            [] if of_pulls && thread.kind == ThreadKind::Pull => Reply::ok(&self.pull(thread, repo)),
            [] if !of_pulls => Reply::ok(&self.issue(thread, repo)),
            ["comments"] if !of_pulls => self.remarks_reply(ask, thread, repo, url),
            _ => Reply::not_found(),
        }
    }

    fn url(&self, id: u64, rest: &[&str]) -> String {
        let mut url = format!("{}/repositories/{id}", self.base);
        for segment in rest {
            url.push('/');
            url.push_str(segment);
        }
        url
    }
}
