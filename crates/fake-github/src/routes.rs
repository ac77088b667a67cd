//! The paths that are answered, each as GitHub's REST documentation has it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::{json as answer, text_header};
use crate::misbehaviour::{moved, not_found, too_far};
use crate::page::{Page, PageQuery};
use crate::world::Named;
use crate::{Repo, Shared, World};

/// Observed: the documentation says 30.
const EVENTS_A_PAGE: usize = 15;
const REPOS_A_PAGE: usize = 30;
/// No page of a feed begins beyond this.
const EVENTS_IN_ALL: usize = 300;

type Known = State<Arc<Shared>>;

/// What is answered about a repository.
#[derive(Debug, Clone, Copy)]
enum About {
    Itself,
    Languages,
    Events(Page),
}

#[derive(Deserialize)]
struct ReposQuery {
    sort: Option<String>,
}

/// All paths; everything else is a 404, whatever the method.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/users/{login}", get(user))
        .route("/users/{login}/repos", get(user_repos))
        .route("/user/{id}", get(user_by_id))
        .route("/repos/{owner}/{name}", get(repo))
        .route("/repos/{owner}/{name}/languages", get(repo_languages))
        .route("/repos/{owner}/{name}/events", get(repo_events))
        .route("/repositories/{id}", get(repo_by_id))
        .route("/repositories/{id}/languages", get(repo_languages_by_id))
        .route("/repositories/{id}/events", get(repo_events_by_id))
        .fallback(async || not_found())
        .method_not_allowed_fallback(async || not_found())
        .with_state(shared)
}

async fn user(State(shared): Known, Path(login): Path<String>) -> Response {
    shared.change(|world| found(world.find_user(&login).map(|user| user.profile(&world.base))))
}

async fn user_by_id(State(shared): Known, Path(id): Path<u64>) -> Response {
    shared.change(|world| found(world.users.get(&id).map(|user| user.profile(&world.base))))
}

async fn user_repos(
    State(shared): Known,
    Path(login): Path<String>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ReposQuery>,
) -> Response {
    shared.change(|world| repos_of(world, &login, page.page(REPOS_A_PAGE), query.sort.as_deref()))
}

fn repos_of(world: &World, login: &str, page: Page, sort: Option<&str>) -> Response {
    let Some(owner) = world.find_user(login) else {
        return not_found();
    };
    let mut repos: Vec<&Repo> = world.repos.values().collect();
    repos.retain(|repo| repo.owner().eq_ignore_ascii_case(login));
    match sort {
        Some("pushed" | "updated") => repos.sort_by(|a, b| b.pushed_at.cmp(&a.pushed_at)),
        Some("created") => repos.sort_by(|a, b| b.created_at.cmp(&a.created_at)),
        _ => repos.sort_by(|a, b| a.full_name.cmp(&b.full_name)),
    }
    let total = repos.len();
    let entries = page.of(repos.into_iter().map(|repo| repo.full(Some(owner), &world.base)));
    let url = format!("{}/user/{}/repos", world.base, owner.id);
    list(entries, page.link(&url, total))
}

async fn repo(State(shared): Known, Path(name): Path<(String, String)>, RawQuery(query): RawQuery) -> Response {
    shared.change(|world| by_name(world, &name, query.as_deref(), About::Itself))
}

async fn repo_languages(
    State(shared): Known,
    Path(name): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    shared.change(|world| by_name(world, &name, query.as_deref(), About::Languages))
}

async fn repo_events(
    State(shared): Known,
    Path(name): Path<(String, String)>,
    Query(page): Query<PageQuery>,
    RawQuery(query): RawQuery,
) -> Response {
    let about = About::Events(page.page(EVENTS_A_PAGE));
    shared.change(|world| by_name(world, &name, query.as_deref(), about))
}

async fn repo_by_id(State(shared): Known, Path(id): Path<u64>) -> Response {
    shared.change(|world| by_id(world, id, About::Itself))
}

async fn repo_languages_by_id(State(shared): Known, Path(id): Path<u64>) -> Response {
    shared.change(|world| by_id(world, id, About::Languages))
}

async fn repo_events_by_id(State(shared): Known, Path(id): Path<u64>, Query(page): Query<PageQuery>) -> Response {
    shared.change(|world| by_id(world, id, About::Events(page.page(EVENTS_A_PAGE))))
}

/// Answers, or sends a client that knows a former name to the path with the id.
fn by_name(world: &World, (owner, name): &(String, String), query: Option<&str>, about: About) -> Response {
    match world.named(&format!("{owner}/{name}")) {
        Named::Here(id) => by_id(world, id, about),
        Named::Moved(id) => {
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            moved(&format!("{}{query}", about.url(world, id)))
        }
        Named::Unknown => not_found(),
    }
}

fn by_id(world: &World, id: u64, about: About) -> Response {
    let Some(repo) = world.repos.get(&id) else {
        return not_found();
    };
    match about {
        About::Itself => found(Some(repo.full(world.find_user(repo.owner()), &world.base))),
        About::Languages => found(Some(json!(repo.languages))),
        About::Events(page) if page.skipped() >= EVENTS_IN_ALL => too_far(),
        About::Events(page) => {
            let feed = world.feed(repo);
            let link = page.link(&about.url(world, id), feed.len());
            let mut answer = list(page.of(feed), link);
            text_header(&mut answer, "x-poll-interval", &world.poll_interval.to_string());
            answer
        }
    }
}

impl About {
    fn url(self, world: &World, id: u64) -> String {
        let rest = match self {
            Self::Itself => "",
            Self::Languages => "/languages",
            Self::Events(_) => "/events",
        };
        format!("{}/repositories/{id}{rest}", world.base)
    }
}

fn found(body: Option<Value>) -> Response {
    body.map_or_else(not_found, |body| answer(StatusCode::OK, &body))
}

fn list(entries: Vec<Value>, link: Option<String>) -> Response {
    let mut list = answer(StatusCode::OK, &Value::Array(entries));
    if let Some(link) = link {
        text_header(&mut list, "link", &link);
    }
    list
}
