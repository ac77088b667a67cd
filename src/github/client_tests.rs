//! The client against a GitHub of a few canned answers on the loopback interface.

use axum::Router;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use domain::ProfileField;

use super::super::users::{Looked, look_up};
use super::*;

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_000_000)
    }

    fn entropy(&self) -> u128 {
        0
    }
}

type Asked = Arc<StdMutex<Vec<(String, Option<String>)>>>;

fn answer(path: &str, etag: Option<&str>) -> Response {
    match path {
        "/repos/acme/sdk/events" if etag == Some("\"1\"") => {
            (StatusCode::NOT_MODIFIED, [("x-poll-interval", "90")]).into_response()
        }
        "/repos/acme/sdk/events" => ([("etag", "\"1\""), ("x-poll-interval", "60")], "[]").into_response(),
        "/repos/old/name/events" => {
            (StatusCode::MOVED_PERMANENTLY, [("location", "/repos/acme/sdk/events")]).into_response()
        }
        "/repos/was/here/events" => {
            (StatusCode::MOVED_PERMANENTLY, [("location", "/repositories/7/events")]).into_response()
        }
        "/repos/far/away/events" => {
            (StatusCode::MOVED_PERMANENTLY, [("location", "http://example.com/x")]).into_response()
        }
        "/repos/in/circles/events" => (StatusCode::FOUND, [("location", "/repos/in/circles/events")]).into_response(),
        "/repositories/403/events" => (StatusCode::FORBIDDEN, [("x-ratelimit-remaining", "9")]).into_response(),
        "/repositories/410/events" => StatusCode::GONE.into_response(),
        "/repositories/451/events" => StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS.into_response(),
        "/repositories/8/events" => {
            let text = "You have exceeded a secondary rate limit.";
            (StatusCode::FORBIDDEN, [("x-ratelimit-remaining", "9")], text).into_response()
        }
        "/limited" => (StatusCode::FORBIDDEN, [("retry-after", "30")]).into_response(),
        "/huge" => vec![b' '; LARGEST_BODY + 1].into_response(),
        "/user/7" => ([("etag", "\"u\"")], r#"{"login":"ada-example","type":"User","name":"Ada Example","company":" ","followers":3,"created_at":"2011-01-25T18:44:36Z"}"#).into_response(),
        "/users/ada-example/repos" => r#"[{"full_name":"ada-example/a"},{"full_name":"ada-example/fork","fork":true},{"full_name":"ada-example/b"},{"full_name":"ada-example/gone"}]"#.into_response(),
        "/repos/ada-example/a/languages" => r#"{"Rust":10,"C":200}"#.into_response(),
        "/repos/ada-example/b/languages" => r#"{"Rust":300}"#.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn github(token: Option<&str>) -> (Client, Asked) {
    let asked = Asked::default();
    let app = Router::new()
        .fallback(
            |State(asked): State<Asked>, request: Request<axum::body::Body>| async move {
                let header = |name| {
                    let value: Option<&HeaderValue> = request.headers().get(name);
                    value.map(|value| value.to_str().unwrap().to_owned())
                };
                let path = request.uri().path().to_owned();
                asked.lock().unwrap().push((path.clone(), header(AUTHORIZATION)));
                answer(&path, header(IF_NONE_MATCH).as_deref())
            },
        )
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let authorization = match token {
        Some(token) => Authorization::token(token).unwrap(),
        None => Authorization::None,
    };
    (Client::new(base, authorization, Arc::new(FixedClock)).unwrap(), asked)
}

#[tokio::test]
async fn the_same_again_is_not_modified() {
    let (client, asked) = github(Some("secret")).await;
    let Answer::Fresh(fresh) = client.get("/repos/acme/sdk/events?per_page=100", None).await else {
        panic!("not fresh");
    };
    assert_eq!(
        (fresh.body.as_slice(), fresh.poll_interval),
        (&b"[]"[..], Some(Duration::from_mins(1)))
    );
    let again = client.get("/repos/acme/sdk/events", fresh.etag.as_deref()).await;
    assert!(matches!(again, Answer::NotModified { poll_interval: Some(wait) } if wait.as_secs() == 90));
    assert_eq!(asked.lock().unwrap()[0].1.as_deref(), Some("Bearer secret"));
}

#[tokio::test]
async fn a_renamed_repository_is_followed_but_never_to_another_host() {
    let (client, _) = github(None).await;
    assert!(matches!(
        client.get("/repos/old/name/events", None).await,
        Answer::Fresh(_)
    ));
    assert!(matches!(
        client.get("/repos/far/away/events", None).await,
        Answer::Moved
    ));
    assert!(matches!(
        client.get("/repos/in/circles/events", None).await,
        Answer::Failed(_)
    ));
    assert!(matches!(
        client.get("/repos/no/where/events", None).await,
        Answer::NotFound
    ));
}

#[tokio::test]
async fn where_a_repository_is_by_now_is_asked_at_once_until_it_is_there_no_more() {
    let (client, asked) = github(None).await;
    let paths = || -> Vec<String> { asked.lock().unwrap().drain(..).map(|(path, _)| path).collect() };
    let (old, new) = ("/repos/old/name/events", "/repos/acme/sdk/events");
    for expected in [&[old, new][..], &[new]] {
        let Answer::Fresh(fresh) = client.get(old, None).await else {
            panic!("not fresh");
        };
        assert!(fresh.is_moved);
        assert_eq!(paths(), expected);
    }
    assert!(matches!(
        client.get(old, Some("\"1\"")).await,
        Answer::NotModified { .. }
    ));
    assert_eq!(paths(), [new]);
}

#[tokio::test]
async fn an_old_name_is_asked_for_anew_after_an_hour_or_once_it_is_anothers() {
    let (client, asked) = github(None).await;
    let paths = || -> Vec<String> { asked.lock().unwrap().drain(..).map(|(path, _)| path).collect() };
    let (old, new) = ("/repos/was/here/events", "/repositories/7/events");
    for (said, expected) in [(996_401, &[new][..]), (996_400, &[old, new]), (1_000_000, &[new])] {
        client.moves().note(old, new, Timestamp::from_secs(said));
        assert!(matches!(client.get(old, None).await, Answer::NotFound));
        assert_eq!(paths(), expected, "{said}");
    }
    client.forget_move(&"Was/here".parse().unwrap());
    assert!(matches!(client.get(old, None).await, Answer::NotFound));
    assert_eq!(paths(), [old, new]);
}

#[tokio::test]
async fn after_a_limit_nothing_is_sent_until_it_is_over() {
    let (client, asked) = github(None).await;
    let until = Timestamp::from_secs(1_000_030);
    for _ in 0..2 {
        assert!(matches!(client.get("/limited", None).await, Answer::Limited { until: at } if at == until));
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(
        client.ledger().blocked(Resource::Core, Timestamp::from_secs(1_000_000)),
        Some(until)
    );
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_not_read_to_its_end() {
    let (client, _) = github(None).await;
    assert!(matches!(client.get("/huge", None).await, Answer::Failed(_)));
}

#[tokio::test]
async fn a_profile_holds_what_is_public_and_where_it_was_read() {
    let (client, _) = github(Some("secret")).await;
    let now = Timestamp::from_secs(1_000_000);
    let Looked::Found { profile, etag, .. } = look_up(&client, 7, None, now).await else {
        panic!("not found");
    };
    assert_eq!(
        (profile.name.as_deref(), profile.company.as_deref()),
        (Some("Ada Example"), None)
    );
    assert_eq!(profile.top_languages, ["Rust", "C"]);
    assert_eq!(etag.as_deref(), Some("\"u\""));
    let fields: Vec<ProfileField> = profile.provenance.keys().copied().collect();
    assert_eq!(
        fields,
        [
            ProfileField::Login,
            ProfileField::Name,
            ProfileField::Followers,
            ProfileField::AccountCreatedAt,
            ProfileField::TopLanguages
        ]
    );
    assert!(profile.provenance[&ProfileField::Name].url.ends_with("/user/7"));
    assert!(matches!(look_up(&client, 8, None, now).await, Looked::Gone));
}

#[test]
fn the_pages_that_a_link_names_are_found() {
    let link_header = r#"<https://api.github.com/repositories/1/stargazers?per_page=100&page=2>; rel="next", <https://api.github.com/repositories/1/stargazers?per_page=100&page=5>; rel="last""#;
    let headers: HeaderMap = [(LINK, link_header.parse().unwrap())].into_iter().collect();
    let named = |relation, name| link(&headers, relation).and_then(|address| parameter(address, name));
    assert_eq!((named("last", "page"), named("next", "page")), (Some("5"), Some("2")));
    assert_eq!((named("prev", "page"), named("next", "cursor")), (None, None));
}

#[test]
fn a_token_has_a_fingerprint_of_its_own_that_does_not_tell_it() {
    let of = |token| Authorization::token(token).unwrap().fingerprint();
    assert_eq!(of("ghp_one"), of("ghp_one"));
    assert_ne!(of("ghp_one"), of("ghp_two"));
    assert_ne!(of("ghp_one"), Authorization::None.fingerprint());
    assert_eq!(of("ghp_one").len(), 16);
}
