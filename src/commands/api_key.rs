//! The text of an API key: `gl_live_`, 27 base62 characters that nobody can guess, 6 that check them.
//!
//! The check tells a mistyped or invented key from a real one without a look-up; only the hash of the whole is stored.

use sha2::{Digest, Sha256};

const PREFIX: &str = "gl_live_";
const SECRET: usize = 27;
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new key's text from two draws of 80 random bits.
pub fn generate(entropy: [u128; 2]) -> String {
    // 27 base62 characters hold 160 bits.
    let [high, low] = entropy.map(|draw| draw & ((1 << 80) - 1));
    let secret = base62(high, SECRET - 13) + &base62(low, 13);
    let check = check(&secret);
    format!("{PREFIX}{secret}{check}")
}

/// The hash that a key is stored and found under; none if the text cannot be a key.
pub fn hash(text: &str) -> Option<String> {
    let rest = text.strip_prefix(PREFIX)?;
    let (secret, given) = rest.split_at_checked(SECRET)?;
    if given != check(secret) {
        return None;
    }
    Some(
        Sha256::digest(text.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// The last characters of a key: enough to tell one's keys apart.
pub fn hint(text: &str) -> String {
    text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

fn check(secret: &str) -> String {
    let digest = Sha256::digest([PREFIX.as_bytes(), secret.as_bytes()].concat());
    let number = digest
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u128::from(*byte));
    base62(number, CHECK)
}

fn base62(mut number: u128, length: usize) -> String {
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(number % 62).unwrap_or_default();
        *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_has_a_hash_and_different_draws_give_different_keys() {
        let (one, other) = (generate([1, 2]), generate([1, 3]));
        assert_eq!(one.len(), PREFIX.len() + SECRET + CHECK);
        assert_eq!(hash(&one).unwrap().len(), 64);
        assert_ne!(hash(&one), hash(&other));
        assert!(one.ends_with(&hint(&one)));
    }

    #[test]
    fn all_of_the_entropy_reaches_the_key() {
        for bit in 0..80 {
            assert_ne!(generate([1 << bit, 0]), generate([0, 0]), "high bit {bit}");
            assert_ne!(generate([0, 1 << bit]), generate([0, 0]), "low bit {bit}");
        }
    }

    #[test]
    fn a_mistyped_key_is_no_key() {
        let key = generate([77, 88]);
        for index in 0..key.len() {
            let mut typo = key.clone().into_bytes();
            typo[index] = if typo[index] == b'x' { b'y' } else { b'x' };
            assert_eq!(hash(&String::from_utf8(typo).unwrap()), None, "{index}");
        }
        for wrong in ["", "gl_live_", "gl_live_é", &key[..key.len() - 1], &format!("{key}0")] {
            assert_eq!(hash(wrong), None, "{wrong}");
        }
    }
}
