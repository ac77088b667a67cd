//! Page cursors: opaque, and good only for the account, the list and the filters that they were issued for.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{AccountId, RepoName, SignalKind, Timestamp};
use event_log::Position;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

const PREFIX: &str = "cursor_";
/// `captured_at` and position, big endian.
const PLACE: usize = 16;
/// Half of SHA-256: no one guesses 128 bits.
const TAG: usize = 16;

/// What a list was asked for, apart from how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Only leads with a signal of this kind.
    pub signal_type: Option<SignalKind>,
    /// Only leads with a signal in this repository.
    pub repo: Option<RepoName>,
    /// Only leads captured after this moment.
    pub since: Option<Timestamp>,
    /// As the list was at this moment.
    pub as_of: Option<Timestamp>,
}

/// The place of a row in the list: rows before it in time come next.
pub type Place = (Timestamp, Position);

/// Issues and checks cursors.
#[derive(Clone)]
pub struct Cursors(Hmac<Sha256>);

impl Cursors {
    /// Cursors under a key of this house; the same key after a restart keeps old cursors good.
    pub fn new(key: &[u8; 32]) -> Self {
        // A MAC over SHA-256 takes keys of every length; the empty fallback is never reached.
        let mac =
            Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        Self(mac)
    }

    /// The cursor to the rows after `place`.
    pub fn issue(&self, account: AccountId, filters: &Filters, (captured_at, position): Place) -> String {
        let mut bytes = [0; PLACE + TAG];
        let (place, tag) = bytes.split_at_mut(PLACE);
        let (time, at) = place.split_at_mut(PLACE / 2);
        time.copy_from_slice(&captured_at.micros().to_be_bytes());
        at.copy_from_slice(&position.get().to_be_bytes());
        tag.copy_from_slice(&self.tag(account, filters, place));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that a cursor stands for; none if it was tampered with or issued for something else.
    pub fn open(&self, account: AccountId, filters: &Filters, text: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (place, tag) = bytes.split_at_checked(PLACE)?;
        if !bool::from(self.tag(account, filters, place).as_slice().ct_eq(tag)) {
            return None;
        }
        let (time, position) = place.split_at_checked(PLACE / 2)?;
        let captured_at = Timestamp::from_micros(i64::from_be_bytes(time.try_into().ok()?));
        Some((
            captured_at,
            Position::new(u64::from_be_bytes(position.try_into().ok()?)),
        ))
    }

    /// The cursor to the rows after `place` of a list; `about` names the list and what it was asked for.
    pub fn issue_text(&self, account: AccountId, about: &str, place: &str) -> String {
        let mut bytes = self
            .tag_of(&format!("text 1\n{account}\n{about}\n"), place.as_bytes())
            .to_vec();
        bytes.extend(place.as_bytes());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The place that a cursor of [`Cursors::issue_text`] stands for; none if it was tampered with or issued for something else.
    pub fn open_text<T: FromStr>(&self, account: AccountId, about: &str, text: &str) -> Option<T> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (tag, place) = bytes.split_at_checked(TAG)?;
        let expected = self.tag_of(&format!("text 1\n{account}\n{about}\n"), place);
        if !bool::from(expected.as_slice().ct_eq(tag)) {
            return None;
        }
        std::str::from_utf8(place).ok()?.parse().ok()
    }

    fn tag(&self, account: AccountId, filters: &Filters, place: &[u8]) -> [u8; TAG] {
        let micros = |time: Option<Timestamp>| time.map(|time| time.micros().to_string()).unwrap_or_default();
        // A kind, a repository's key and a number hold no line break, so the parts cannot run into each other.
        let about = format!(
            "leads 2\n{account}\n{}\n{}\n{}\n{}\n",
            filters.signal_type.map_or("", SignalKind::as_str),
            filters.repo.as_ref().map(RepoName::key).unwrap_or_default(),
            micros(filters.since),
            micros(filters.as_of),
        );
        self.tag_of(&about, place)
    }

    fn tag_of(&self, about: &str, place: &[u8]) -> [u8; TAG] {
        let mut mac = self.0.clone();
        mac.update(about.as_bytes());
        mac.update(place);
        let whole = mac.finalize().into_bytes();
        let mut tag = [0; TAG];
        tag.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn place() -> Place {
        (Timestamp::from_secs(1_777_026_660), Position::new(42))
    }

    fn filters() -> Filters {
        Filters {
            signal_type: Some(SignalKind::Stargazer),
            repo: Some("Acme/SDK".parse().unwrap()),
            since: Some(Timestamp::from_secs(5)),
            as_of: None,
        }
    }

    #[test]
    fn a_cursor_of_another_list_opens_for_what_it_was_issued_for_only() {
        let cursors = Cursors::new(&KEY);
        let account = AccountId::new(ulid::Ulid::from(1_u128));
        let cursor = cursors.issue_text(account, "webhooks", "7");
        assert_eq!(cursors.open_text(account, "webhooks", &cursor), Some(7));
        assert_eq!(cursors.open_text::<u32>(account, "deliveries", &cursor), None);
        assert_eq!(
            cursors.open_text::<u32>(AccountId::new(ulid::Ulid::from(2_u128)), "webhooks", &cursor),
            None
        );
        let forged = [0; TAG + 1];
        for wrong in [
            "7",
            "",
            "cursor_",
            &format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(forged)),
        ] {
            assert_eq!(cursors.open_text::<u32>(account, "webhooks", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_reads_back_under_the_filters_it_was_issued_for() {
        let cursors = Cursors::new(&KEY);
        let account = AccountId::default();
        let cursor = cursors.issue(account, &filters(), place());
        assert!(cursor.starts_with("cursor_"));
        assert_eq!(cursors.open(account, &filters(), &cursor), Some(place()));
        let other_spelling = Filters {
            repo: Some("acme/sdk".parse().unwrap()),
            ..filters()
        };
        assert_eq!(cursors.open(account, &other_spelling, &cursor), Some(place()));
    }

    #[test]
    fn a_cursor_of_other_filters_another_account_or_another_house_is_refused() {
        let cursors = Cursors::new(&KEY);
        let account = AccountId::default();
        let cursor = cursors.issue(account, &filters(), place());
        let others = [
            Filters {
                signal_type: None,
                ..filters()
            },
            Filters {
                signal_type: Some(SignalKind::KeywordPr),
                ..filters()
            },
            Filters {
                repo: None,
                ..filters()
            },
            Filters {
                since: None,
                ..filters()
            },
            Filters {
                since: Some(Timestamp::from_secs(6)),
                ..filters()
            },
            Filters {
                as_of: Some(Timestamp::from_secs(6)),
                ..filters()
            },
            Filters {
                since: None,
                as_of: filters().since,
                ..filters()
            },
        ];
        for other in others {
            assert_eq!(cursors.open(account, &other, &cursor), None, "{other:?}");
        }
        let stranger = AccountId::new(ulid::Ulid::from_parts(1, 1));
        assert_eq!(cursors.open(stranger, &filters(), &cursor), None);
        assert_eq!(Cursors::new(&[8; 32]).open(account, &filters(), &cursor), None);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let cursors = Cursors::new(&KEY);
        let account = AccountId::default();
        let cursor = cursors.issue(account, &Filters::default(), place());
        for index in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(cursors.open(account, &Filters::default(), &changed), None, "{index}");
        }
        for wrong in [
            "",
            "cursor_",
            "cursor_AAAA",
            &cursor[..40],
            &format!("{cursor}A"),
            "cursor_é",
        ] {
            assert_eq!(cursors.open(account, &Filters::default(), wrong), None, "{wrong}");
        }
    }
}
