//! Sealing of bytes under one key: the format of everything that the vault writes, used by its other files alone.
//!
//! A sealed text is one format byte, a random 24-byte nonce, and the ciphertext of XChaCha20-Poly1305 with its tag.
//! With nonces that long, random ones never meet, so no counter has to survive a crash.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

/// The only format there is so far.
const FORMAT: u8 = 1;
const NONCE: usize = 24;

/// Why sealed bytes do not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// They are of no format that this program knows.
    Malformed,
    /// They were changed, or belong to another key or place.
    Tampered,
}

/// 256 secret bits, wiped when they go out of use.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A key that nobody had before.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes);
        Self(bytes)
    }

    /// The bytes, to be wrapped.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plain`; it opens again only beside the same `place`.
    pub fn seal(&self, place: &Place, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        rand::fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: &place.0,
        };
        let Ok(ciphertext) = self.cipher().encrypt(&XNonce::from(nonce), payload) else {
            unreachable!("the cipher takes texts of up to 256 GiB")
        };
        [&[FORMAT], nonce.as_slice(), &ciphertext].concat()
    }

    /// Opens what [`Key::seal`] made for the same `place`.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (&FORMAT, rest) = sealed.split_first().ok_or(Unopened::Malformed)? else {
            return Err(Unopened::Malformed);
        };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(Unopened::Malformed)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &place.0,
        };
        self.cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| Unopened::Tampered)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Where a sealed text belongs: associated data, so that it cannot be moved elsewhere.
pub(crate) struct Place(Vec<u8>);

impl Place {
    /// The place of one `purpose`, and which one of those. The parts of one purpose have fixed lengths.
    pub fn new(purpose: &'static str, parts: &[&[u8; 16]]) -> Self {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(purpose.as_bytes());
        bytes.push(0);
        for part in parts {
            bytes.extend_from_slice(*part);
        }
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(byte: u8) -> Place {
        Place::new("test", &[&[byte; 16]])
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_under_its_key_and_nowhere_else() {
        let key = Key::random();
        let sealed = key.seal(&place(1), b"Ada Example");
        assert_eq!(key.open(&place(1), &sealed).unwrap().as_slice(), b"Ada Example");
        assert_eq!(key.open(&place(2), &sealed), Err(Unopened::Tampered));
        assert_eq!(Key::random().open(&place(1), &sealed), Err(Unopened::Tampered));
        let elsewhere = Place::new("tes", &[&[1; 16]]);
        assert_eq!(key.open(&elsewhere, &sealed), Err(Unopened::Tampered));
    }

    #[test]
    fn a_change_of_any_bit_is_refused() {
        let key = Key::random();
        let sealed = key.seal(&place(1), b"ada-example");
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[index] ^= 1 << bit;
                assert!(key.open(&place(1), &changed).is_err(), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_text_cut_short_anywhere_is_refused() {
        let key = Key::random();
        let sealed = key.seal(&place(1), b"ada-example");
        for length in 0..sealed.len() {
            assert!(key.open(&place(1), &sealed[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_same_text_sealed_twice_looks_different() {
        let key = Key::random();
        assert_ne!(key.seal(&place(1), b"ada"), key.seal(&place(1), b"ada"));
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", Key::random()), "Key(..)");
    }
}
