//! The signature that GitHub puts on its webhook deliveries. Used by the webhook receiver.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether `header`, an `X-Hub-Signature-256`, is the HMAC-SHA256 of the raw body under the secret. Compares in
/// constant time.
pub fn is_genuine(secret: &str, header: &str, body: &[u8]) -> bool {
    let Some(signature) = header.strip_prefix("sha256=").and_then(unhex) else {
        return false;
    };
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .is_ok_and(|mac| mac.chain_update(body).verify_slice(&signature).is_ok())
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GitHub's own example: <https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn githubs_own_example_is_genuine() {
        assert!(is_genuine(SECRET, SIGNATURE, b"Hello, World!"));
    }

    #[test]
    fn another_body_secret_or_shape_is_not() {
        assert!(!is_genuine(SECRET, SIGNATURE, b"Hello, World"));
        assert!(!is_genuine("another", SIGNATURE, b"Hello, World!"));
        for header in [
            "",
            "sha256=",
            "sha1=00",
            &SIGNATURE[7..],
            &format!("{SIGNATURE}00"),
            "sha256=é",
        ] {
            assert!(!is_genuine(SECRET, header, b"Hello, World!"), "{header}");
        }
    }
}
