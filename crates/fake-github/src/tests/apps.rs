//! GitHub Apps and the tokens of their installations.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::{Bucket, Token};

const TOKENS: &str = "/app/installations/5/access_tokens";

/// A proof of the App 77, signed with the word "signed" if it is in order.
fn proof(alg: &str, issued: u64, ends: u64, app: u64, signature: &str) -> String {
    let text = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = text(json!({ "alg": alg, "typ": "JWT" }));
    let claims = text(json!({ "iat": issued, "exp": ends, "iss": app.to_string() }));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn ask(fake: &FakeGithub, proof: &str) -> Answer {
    send(fake, "POST", TOKENS, &format!("Authorization: Bearer {proof}\r\n"), "").await
}

async fn installed() -> (FakeGithub, Arc<AtomicU64>) {
    let (fake, clock) = with_clock().await;
    fake.change(|world| {
        world.put_app(77, |_, signature| signature == b"signed");
        world.put_app(78, |_, signature| signature == b"signed");
        world.install_app(77, 5, Token::new(1001));
    });
    (fake, clock)
}

#[tokio::test]
async fn only_who_proves_to_be_the_app_gets_a_token() {
    let (fake, _clock) = installed().await;
    let good = proof("RS256", NOW - 60, NOW + 540, 77, "signed");
    let answer = ask(&fake, &good).await;
    assert_eq!(
        (answer.status, answer.json()["expires_at"].as_str()),
        (201, Some("2026-11-22T17:00:00Z"))
    );
    for (wrong, status) in [
        (proof("RS256", NOW - 60, NOW + 540, 77, "forged"), 401),
        (proof("none", NOW - 60, NOW + 540, 77, "signed"), 401),
        (proof("RS256", NOW - 900, NOW - 300, 77, "signed"), 401),
        (proof("RS256", NOW + 60, NOW + 540, 77, "signed"), 401),
        (proof("RS256", NOW - 60, NOW + 700, 77, "signed"), 401),
        (proof("RS256", NOW - 60, NOW + 540, 79, "signed"), 401),
        (proof("RS256", NOW - 60, NOW + 540, 78, "signed"), 404),
        ("nonsense".to_owned(), 401),
    ] {
        assert_eq!(ask(&fake, &wrong).await.status, status, "{wrong}");
    }
    fake.change(|world| world.uninstall_app(5));
    assert_eq!(ask(&fake, &good).await.status, 404);
}

#[tokio::test]
async fn a_token_ends_after_an_hour_and_the_next_has_the_same_limits() {
    let (fake, clock) = installed().await;
    let give = |now: u64| proof("RS256", now - 60, now + 540, 77, "signed");
    let first = ask(&fake, &give(NOW)).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(get_as(&fake, &first, FEED).await.status, 200);
    advance(&clock, 3_599);
    assert_eq!(get_as(&fake, &first, FEED).await.status, 200);
    let second = ask(&fake, &give(NOW + 3_599)).await.json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let left = |secret: &str| fake.change(|world| world.rate_of(secret, Bucket::Core).unwrap().used);
    assert_eq!((left(&first), left(&second)), (2, 2));
    advance(&clock, 1);
    assert_eq!(get_as(&fake, &first, FEED).await.status, 401);
    assert_eq!(get_as(&fake, &second, FEED).await.status, 200);
}
