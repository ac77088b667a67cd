//! Signing secrets and the two signatures on every delivery: used by the dispatcher and by whoever adds an endpoint.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::clock::Clock;

/// What a Standard Webhooks secret begins with.
const PREFIX: &str = "whsec_";

/// How many bytes a `whsec_` secret may stand for (Standard Webhooks, "Signature scheme").
const STANDARD_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// An endpoint's signing secret, exactly as the subscriber sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A text that cannot be a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 16 to 128 printable characters")]
pub struct InvalidSecret;

/// An endpoint's signing secret, and the one before for as long as it is valid too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    current: Secret,
    previous: Option<(Secret, Timestamp)>,
}

/// The values of the signature headers of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signatures {
    /// `X-GitLeads-Signature`: `sha256=` and lower-case hexadecimal. After a rotation it stays with the secret before until
    /// that one is valid no more, since it has room for one alone.
    pub gitleads: String,
    /// `X-GitLeads-Signature-Next`: the same with the secret that comes after it.
    pub gitleads_next: Option<String>,
    /// `webhook-signature`: `v1,` and padded standard base64; of two secrets, the current one's first, with a space between.
    pub standard: String,
}

impl Secrets {
    /// The current secret, and the one before with the time up to which it is valid.
    pub const fn new(current: Secret, previous: Option<(Secret, Timestamp)>) -> Self {
        Self { current, previous }
    }

    /// The secret that stays.
    pub const fn current(&self) -> &Secret {
        &self.current
    }

    /// The secret before, if it is valid at `at`, and until when.
    pub fn previous(&self, at: Timestamp) -> Option<(&Secret, Timestamp)> {
        let previous = self.previous.as_ref().filter(|(_, until)| at < *until);
        previous.map(|(secret, until)| (secret, *until))
    }

    /// Signs one attempt: `id` is the `webhook-id`, `at` becomes the `webhook-timestamp`, `body` is the raw body.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> Signatures {
        let (gitleads, standard) = self.current.sign(id, at.secs(), body);
        let Some((previous, _)) = self.previous(at) else {
            return Signatures {
                gitleads,
                gitleads_next: None,
                standard,
            };
        };
        let (before, standard_before) = previous.sign(id, at.secs(), body);
        Signatures {
            gitleads: before,
            gitleads_next: Some(gitleads),
            standard: format!("{standard} {standard_before}"),
        }
    }
}

/// A secret that was never rotated.
impl From<Secret> for Secrets {
    fn from(current: Secret) -> Self {
        Self::new(current, None)
    }
}

impl Secret {
    /// A secret of our own making from 32 bytes that nobody can guess.
    pub fn generate(entropy: [u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", STANDARD.encode(entropy)))
    }

    /// A new secret, from draws of 80 random bits: 8 bytes of each.
    pub fn random(clock: &dyn Clock) -> Self {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            let draw = clock.entropy().to_le_bytes();
            part.iter_mut().zip(draw).for_each(|(to, from)| *to = from);
        }
        Self::generate(bytes)
    }

    /// A secret that the subscriber chose: 16 to 128 printable characters, of white space the space alone.
    pub fn try_new(text: &str) -> Result<Self, InvalidSecret> {
        let is_printable = |letter: char| letter == ' ' || !(letter.is_control() || letter.is_whitespace());
        if text.chars().all(is_printable) && (16..=128).contains(&text.chars().count()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSecret)
        }
    }

    /// The characters, as the subscriber sees them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `whsec_` form that makes Standard Webhooks libraries use the same key: the secret itself if it has that form.
    pub fn standard_form(&self) -> String {
        match self.decoded() {
            Some(_) => self.0.clone(),
            None => format!("{PREFIX}{}", STANDARD.encode(&self.0)),
        }
    }

    /// The values of `X-GitLeads-Signature` and `webhook-signature`: `id` is the `webhook-id`, `timestamp` the
    /// `webhook-timestamp` in seconds, `body` the raw body.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> (String, String) {
        let gitleads = hmac(self.0.as_bytes(), &[body]);
        let head = format!("{id}.{timestamp}.");
        let standard = match self.decoded() {
            Some(key) => hmac(&key, &[head.as_bytes(), body]),
            None => hmac(self.0.as_bytes(), &[head.as_bytes(), body]),
        };
        let hex: String = gitleads.iter().map(|byte| format!("{byte:02x}")).collect();
        (format!("sha256={hex}"), format!("v1,{}", STANDARD.encode(standard)))
    }

    /// The bytes that a well-formed `whsec_` secret stands for.
    fn decoded(&self) -> Option<Vec<u8>> {
        let key = STANDARD.decode(self.0.strip_prefix(PREFIX)?).ok()?;
        STANDARD_KEY_BYTES.contains(&key.len()).then_some(key)
    }
}

/// The secret stays out of logs.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes keys of every length, so the error case has no value to lose.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use standardwebhooks::Webhook;

    use super::*;
    use crate::clock::SystemClock;

    const ID: &str = "evt_01J8ZQ4N3M8YV7T6S5R4Q3P2N1";
    const BODY: &[u8] = br#"{"event":"lead.created","data":{"name":"Ada Example"}}"#;

    /// Verifies as a subscriber with the official library does, the time's tolerance included.
    fn verify(webhook: &Webhook, secret: &Secret) {
        let now = SystemClock.now().secs();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", ID.parse().unwrap());
        headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
        headers.insert("webhook-signature", secret.sign(ID, now, BODY).1.parse().unwrap());
        webhook.verify(BODY, &headers).unwrap();
        assert!(webhook.verify(b"{}", &headers).is_err());
    }

    #[test]
    fn a_generated_secret_is_verified_by_the_official_library() {
        let secret = Secret::generate([7; 32]);
        assert_eq!(secret.as_str(), "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(secret.standard_form(), secret.as_str());
        verify(&Webhook::new(secret.as_str()).unwrap(), &secret);
    }

    #[test]
    fn a_chosen_secret_is_verified_through_its_own_bytes_or_its_standard_form() {
        let secret = Secret::try_new("correct horse battery staple").unwrap();
        assert_eq!(secret.standard_form(), "whsec_Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ==");
        verify(&Webhook::new(&secret.standard_form()).unwrap(), &secret);
        verify(
            &Webhook::from_bytes(secret.as_str().as_bytes().to_vec()).unwrap(),
            &secret,
        );
    }

    #[test]
    fn a_prefixed_secret_that_stands_for_too_few_or_too_many_bytes_keys_with_its_own_characters() {
        for length in [23, 65] {
            let text = format!("whsec_{}", STANDARD.encode(vec![1; length]));
            let secret = Secret::try_new(&text).unwrap();
            assert_ne!(secret.standard_form(), text);
            verify(&Webhook::new(&secret.standard_form()).unwrap(), &secret);
        }
        for length in [24, 64] {
            let text = format!("whsec_{}", STANDARD.encode(vec![1; length]));
            assert_eq!(Secret::try_new(&text).unwrap().standard_form(), text);
        }
    }

    #[test]
    fn our_own_header_is_a_plain_hmac_of_the_body_keyed_with_the_characters_shown() {
        let secret = Secret::generate([7; 32]);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_str().as_bytes()).unwrap();
        mac.update(BODY);
        let expected: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(secret.sign(ID, 1, BODY).0, format!("sha256={expected}"));
    }

    #[test]
    fn a_published_test_vector_of_hmac_sha_256_holds() {
        // RFC 4231, test case 2.
        let digest: String = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            digest,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_chosen_secret_has_16_to_128_printable_characters() {
        assert!(Secret::try_new(&"x".repeat(16)).is_ok());
        assert!(Secret::try_new(&"~".repeat(128)).is_ok());
        assert!(Secret::try_new(&"é".repeat(128)).is_ok());
        assert!(Secret::try_new("пароль 合言葉 of Ada").is_ok());
        for wrong in [
            "x".repeat(15),
            "x".repeat(129),
            "é".repeat(15),
            "a line\u{2028}of its own".into(),
            "tab\tinside-a-secret".into(),
            String::new(),
        ] {
            assert_eq!(Secret::try_new(&wrong), Err(InvalidSecret), "{wrong}");
        }
    }

    #[test]
    fn of_two_secrets_both_verify_until_the_older_one_ends_and_our_own_header_moves_only_then() {
        let (old, new) = (Secret::generate([1; 32]), Secret::generate([2; 32]));
        let now = SystemClock.now();
        let secrets = |until| Secrets::new(new.clone(), Some((old.clone(), until)));
        let headers = |signatures: &Signatures| {
            let mut headers = HeaderMap::new();
            headers.insert("webhook-id", ID.parse().unwrap());
            headers.insert("webhook-timestamp", now.secs().to_string().parse().unwrap());
            headers.insert("webhook-signature", signatures.standard.parse().unwrap());
            headers
        };
        let verifies = |secret: &Secret, signatures: &Signatures| {
            let webhook = Webhook::new(secret.as_str()).unwrap();
            webhook.verify(BODY, &headers(signatures)).is_ok()
        };
        let both = secrets(Timestamp::from_micros(now.micros() + 1)).sign(ID, now, BODY);
        assert!(verifies(&old, &both) && verifies(&new, &both));
        assert_eq!(both.gitleads, old.sign(ID, 0, BODY).0);
        assert_eq!(both.gitleads_next, Some(new.sign(ID, 0, BODY).0));
        let after = secrets(now).sign(ID, now, BODY);
        assert!(verifies(&new, &after) && !verifies(&old, &after));
        assert_eq!((after.gitleads, after.gitleads_next), (new.sign(ID, 0, BODY).0, None));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", Secret::generate([7; 32])), "Secret(…)");
    }
}
