//! The proof that an App gives of itself, checked with what verifies certificates; and tokens that end.

use rustls::pki_types::SignatureVerificationAlgorithm;
use serde_json::Value;

use super::*;

const KEY: &str = include_str!("../../tests/fixtures/github_app_test_key.pem");
const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn installation() -> Installation {
    Installation::new(77, 5, KEY).unwrap()
}

/// Whether the signature is one of the test key's.
pub fn is_signed(signed: &[u8], signature: &[u8]) -> bool {
    let der = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&der).unwrap();
    let public = key.public_key().unwrap();
    // Behind what says that it is an RSA key of 2,048 bits.
    let public = public.as_ref().get(24..).unwrap();
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let (_, verifiers) = algorithms
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256)
        .unwrap();
    let fits = |one: &&dyn SignatureVerificationAlgorithm| one.verify_signature(public, signed, signature).is_ok();
    verifiers.iter().any(fits)
}

#[test]
fn the_proof_says_which_app_it_is_and_for_how_long_and_is_signed() {
    let proof = installation().proof(NOW).unwrap();
    assert!(proof.is_sensitive());
    let text = proof.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(is_signed(signed.as_bytes(), &signature));
    assert!(!is_signed(b"something else", &signature));
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (head, claims) = signed.split_once('.').unwrap();
    assert_eq!(read(head), json!({ "alg": "RS256", "typ": "JWT" }));
    assert_eq!(read(claims), json!({ "iat": 999_940, "exp": 1_000_540, "iss": "77" }));
}

#[test]
fn a_token_is_carried_until_it_nearly_ends() {
    let installation = installation();
    assert!(matches!(installation.carried(NOW), Carried::Ask));
    let answer = br#"{"token":"ghs_planted","expires_at":"1970-01-12T14:46:40Z","permissions":{}}"#;
    installation.given(answer).unwrap();
    let after = |mins| NOW.plus(Duration::from_mins(mins));
    let Carried::Token(token) = installation.carried(NOW) else {
        panic!("no token");
    };
    assert_eq!(
        (token.to_str().unwrap(), token.is_sensitive()),
        ("Bearer ghs_planted", true)
    );
    assert!(matches!(installation.carried(after(54)), Carried::Token(_)));
    assert!(matches!(installation.carried(after(55)), Carried::Ask));
    installation.revoked();
    assert!(matches!(installation.carried(NOW), Carried::Ask));
}

#[test]
fn what_was_refused_is_asked_for_again_after_a_minute() {
    let installation = installation();
    installation.refused("answered 404", NOW);
    assert!(matches!(installation.carried(NOW), Carried::None(reason) if reason == "answered 404"));
    assert!(matches!(installation.carried(NOW.plus(REFUSED)), Carried::Ask));
    assert!(installation.given(b"{}").is_err());
}

#[test]
fn a_key_that_is_none_is_refused_without_a_word_of_it() {
    for planted in [
        "planted",
        "-----BEGIN RSA PRIVATE KEY-----\nplanted\n-----END RSA PRIVATE KEY-----\n",
    ] {
        let error = Installation::new(77, 5, planted).err().unwrap();
        assert!(!format!("{error:#}").contains("planted"), "{error:#}");
    }
}
