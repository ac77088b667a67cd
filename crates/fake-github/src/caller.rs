//! Who asks: tokens, what they may see, and what is left of their limits.

use std::collections::{BTreeSet, HashMap};

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use crate::limits::{Bucket, Quotas};
use crate::reply::Reply;
use crate::{RateLimit, Repo, World};

/// How a list of stargazers is refused to those who may not see it; GitHub does each of these since July 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 200 and an empty list, whatever the count says.
    Empty,
}

/// A token and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The id of its user or organisation, who administers what is theirs.
    pub user: u64,
    /// The ids of other repositories that it administers.
    pub admin_of: BTreeSet<u64>,
    /// Whether a GitHub App has it: a search must then say `is:issue` or `is:pull-request`.
    pub app: bool,
    /// 403 without rate limit headers, whatever is asked.
    pub suspended: bool,
    /// Refuses stargazers even of repositories that it administers, as for some fine-grained tokens.
    pub stargazers: Option<Refusal>,
    /// Requests an hour.
    pub core_limit: u64,
}

impl Token {
    /// A classic token of this user.
    pub const fn new(user: u64) -> Self {
        Self {
            user,
            admin_of: BTreeSet::new(),
            app: false,
            suspended: false,
            stargazers: None,
            core_limit: 5_000,
        }
    }
}

/// The caller of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// The world never had a token: everybody is one caller who may do all.
    Open,
    Anonymous,
    Token(String),
}

/// All who can ask.
#[derive(Debug)]
pub(crate) struct Callers {
    tokens: HashMap<String, (Token, Quotas)>,
    /// When tokens end that do.
    ends: HashMap<String, u64>,
    anonymous: Quotas,
    open: Quotas,
    /// Whether there ever was a token.
    closed: bool,
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            tokens: HashMap::new(),
            ends: HashMap::new(),
            anonymous: Quotas::anonymous(),
            open: Quotas::of_token(5_000),
            closed: false,
        }
    }
}

impl World {
    /// Adds a token, or changes what it may do: its limits stay as they are. From the first one on an unknown token is
    /// refused, and who sends none is anonymous: 60 requests an hour.
    pub fn put_token(&mut self, secret: &str, token: Token) {
        let quotas = match self.callers.tokens.remove(secret) {
            Some((_, quotas)) => quotas,
            None => Quotas::of_token(token.core_limit),
        };
        self.callers.tokens.insert(secret.to_owned(), (token, quotas));
        self.refuse_unknown_tokens();
    }

    /// From now on an unknown token is refused.
    pub(crate) const fn refuse_unknown_tokens(&mut self) {
        self.callers.closed = true;
    }

    /// The token ends then, and what is left of its limits is what was left of a former one's: they are of the
    /// installation.
    pub(crate) fn limit_token(&mut self, secret: &str, former: Option<&str>, ends: u64) {
        let callers = &mut self.callers;
        callers.ends.insert(secret.to_owned(), ends);
        let left = former
            .and_then(|former| callers.tokens.get(former))
            .map(|(_, quotas)| quotas.clone());
        if let (Some((_, quotas)), Some(left)) = (callers.tokens.get_mut(secret), left) {
            *quotas = left;
        }
    }

    /// Revokes a token: 401 from now on.
    pub fn remove_token(&mut self, secret: &str) {
        self.callers.tokens.remove(secret);
    }

    /// What is left of a token's bucket.
    pub fn rate_of(&mut self, secret: &str, bucket: Bucket) -> Option<RateLimit> {
        let now = self.now;
        let (_, quotas) = self.callers.tokens.get_mut(secret)?;
        Some(*quotas.bucket(bucket, now))
    }

    /// Sets what is left of a token's bucket.
    pub fn set_rate(&mut self, secret: &str, bucket: Bucket, rate: RateLimit) {
        let now = self.now;
        if let Some((_, quotas)) = self.callers.tokens.get_mut(secret) {
            *quotas.bucket(bucket, now) = rate;
        }
    }

    /// Who sends these headers; nothing for a token that is not known. GitHub takes both words.
    pub(crate) fn who(&self, headers: &HeaderMap) -> Option<Who> {
        if !self.callers.closed {
            return Some(Who::Open);
        }
        match sent_token(headers) {
            None => Some(Who::Anonymous),
            Some(token) if self.is_known(token) => Some(Who::Token(token.to_owned())),
            Some(_) => None,
        }
    }

    fn is_known(&self, token: &str) -> bool {
        let has_ended = self.callers.ends.get(token).is_some_and(|ends| *ends <= self.now);
        self.callers.tokens.contains_key(token) && !has_ended
    }

    /// Does something with the buckets of a caller.
    pub(crate) fn quotas<T>(&mut self, who: &Who, act: impl FnOnce(&mut Quotas) -> T) -> T {
        let Who::Token(token) = who else {
            if *who == Who::Anonymous {
                return act(&mut self.callers.anonymous);
            }
            self.callers.open.core = self.rate;
            let result = act(&mut self.callers.open);
            self.rate = self.callers.open.core;
            return result;
        };
        match self.callers.tokens.get_mut(token) {
            Some((_, quotas)) => act(quotas),
            None => act(&mut self.callers.anonymous),
        }
    }

    pub(crate) fn token(&self, who: &Who) -> Option<&Token> {
        let Who::Token(token) = who else { return None };
        self.callers.tokens.get(token).map(|(token, _)| token)
    }

    /// Whether the caller is the owner or an administrator.
    pub(crate) fn may_administer(&self, who: &Who, repo: &Repo) -> bool {
        let Some(token) = self.token(who) else {
            return *who == Who::Open;
        };
        let owner = self.find_user(repo.owner()).map(|owner| owner.id);
        owner == Some(token.user) || token.admin_of.contains(&repo.id)
    }

    /// Whether the caller may know that the repository is there.
    pub(crate) fn may_see(&self, who: &Who, repo: &Repo) -> bool {
        !repo.private || self.may_administer(who, repo)
    }

    /// Why the caller may not list the stargazers, if so.
    pub(crate) fn stargazers_refused(&self, who: &Who, repo: &Repo) -> Option<Refusal> {
        if let Some(refusal) = self.token(who).and_then(|token| token.stargazers) {
            return Some(refusal);
        }
        if self.may_administer(who, repo) {
            return None;
        }
        Some(match who {
            Who::Anonymous => Refusal::Unauthorized,
            _ => self.stargazers_for_others,
        })
    }

    /// `/rate_limit`, which costs nothing.
    pub(crate) fn rate_overview(&mut self, who: &Who) -> Reply {
        let now = self.now;
        let shown = |rate: RateLimit| {
            json!({
                "limit": rate.limit,
                "used": rate.used,
                "remaining": rate.limit.saturating_sub(rate.used),
                "reset": rate.reset,
            })
        };
        let body = self.quotas(who, |quotas| {
            let mut resources = Map::new();
            for bucket in Bucket::ALL {
                resources.insert(bucket.as_str().to_owned(), shown(*quotas.bucket(bucket, now)));
            }
            let core: Value = shown(quotas.core);
            json!({ "resources": resources, "rate": core })
        });
        Reply::ok(&body)
    }
}

impl Refusal {
    /// The refusal of a REST list.
    pub(crate) fn reply(self) -> Reply {
        match self {
            Self::Unauthorized => Reply::needs_token(),
            Self::Forbidden => {
                let text = "You must be an administrator or collaborator to list the stargazers of this repository.";
                Reply::message(StatusCode::FORBIDDEN, text)
            }
            Self::NotFound => Reply::not_found(),
            Self::Empty => Reply::list(Vec::new(), None),
        }
    }
}

pub(crate) fn sent_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")).then_some(token)
}
