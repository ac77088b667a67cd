//! The table of person keys: random keys, wrapped by the root key's wrapping key; a NULL is the tombstone of an
//! erased person. Beside it stands whose erasure is not finished. Used by the vault; the tables are made in
//! `migrations/0002_person_keys.sql` and `migrations/0015_unfinished_erasures.sql`.

use std::collections::HashMap;
use std::sync::Arc;

use database::{Database, DatabaseError, Row, Statement, Value};
use domain::{AccountId, PersonRef};
use zeroize::Zeroizing;

use crate::VaultError;
use crate::cipher::{Key, Place};

/// People asked for in one query: every engine takes that many parameters.
const CHUNK: usize = 512;
/// Rows of one write; more would keep other writers waiting.
const ROWS: usize = 1024;
/// Format byte, nonce, key, tag: what [`Key::seal`] makes of a key.
const WRAPPED: usize = 1 + 24 + 32 + 16;

/// What the table has for a person.
pub(crate) enum Found {
    /// A key.
    Living(Key),
    /// The tombstone of an erased person.
    Destroyed,
}

impl Found {
    /// The key, if the person was not erased.
    pub fn living(self) -> Option<Key> {
        match self {
            Self::Living(key) => Some(key),
            Self::Destroyed => None,
        }
    }
}

/// The table, and the key that opens what is in it.
pub(crate) struct PersonKeys {
    database: Arc<dyn Database>,
    wrapping: Key,
}

impl PersonKeys {
    /// The table in `database`.
    pub fn new(database: Arc<dyn Database>, wrapping: Key) -> Self {
        Self { database, wrapping }
    }

    /// What the table has for these people; whoever it does not know is not in the answer.
    pub async fn find(
        &self,
        account: AccountId,
        people: &[PersonRef],
    ) -> Result<HashMap<PersonRef, Found>, VaultError> {
        let mut found = HashMap::with_capacity(people.len());
        for chunk in people.chunks(CHUNK) {
            for row in self.database.read(select(account, chunk)).await? {
                let person = person_of(&row, 0)?;
                let wrapped = row.find_blob(1).map_err(DatabaseError::from)?;
                let entry = match wrapped {
                    Some(wrapped) => Found::Living(self.unwrap(account, person, wrapped)?),
                    None => Found::Destroyed,
                };
                found.insert(person, entry);
            }
        }
        Ok(found)
    }

    /// Makes keys for people that have no row. Where another caller was first, its key (or tombstone) is the answer.
    pub async fn make(
        &self,
        account: AccountId,
        people: &[PersonRef],
    ) -> Result<HashMap<PersonRef, Found>, VaultError> {
        let mut made = HashMap::with_capacity(people.len());
        for chunk in people.chunks(ROWS) {
            let keys: Vec<(PersonRef, Key)> = chunk.iter().map(|person| (*person, Key::random())).collect();
            if self.insert(account, &keys).await? {
                made.extend(keys.into_iter().map(|(person, key)| (person, Found::Living(key))));
            } else {
                made.extend(self.find(account, chunk).await?);
            }
        }
        Ok(made)
    }

    /// Overwrites the key with zeros, then with the tombstone: the zeros have the key's length and so take its place
    /// in the file, where a shorter row alone would leave the old bytes behind it. The erasure is unfinished from here on.
    pub async fn destroy(&self, account: AccountId, person: PersonRef) -> Result<(), VaultError> {
        let zeros = Statement::sql(
            "UPDATE person_keys SET wrapped = $1 WHERE person = $2 AND account = $3 AND wrapped IS NOT NULL",
            vec![vec![0_u8; WRAPPED].into(), person_value(person), account_value(account)],
        );
        let tombstone = Statement::insert(
            "person_keys (person, account, wrapped)",
            "ON CONFLICT (person) DO UPDATE SET wrapped = NULL WHERE person_keys.account = excluded.account",
            vec![person_value(person), account_value(account), Value::Null],
        );
        let unfinished = Statement::insert(
            "unfinished_erasure (account, person)",
            "ON CONFLICT DO NOTHING",
            vec![account_value(account), person_value(person)],
        );
        self.database.write(vec![zeros, tombstone, unfinished]).await?;
        Ok(())
    }

    /// People whose erasure was not finished.
    pub async fn unfinished(&self) -> Result<Vec<(AccountId, PersonRef)>, VaultError> {
        let text = "SELECT person, account FROM unfinished_erasure ORDER BY account, person";
        let rows = self.database.read(Statement::sql(text, Vec::new())).await?;
        let people = rows.iter().map(|row| {
            let account = row.text(1)?.parse().map_err(|_| database::ColumnError {
                index: 1,
                expected: "account",
            })?;
            Ok::<_, DatabaseError>((account, person_of(row, 0)?))
        });
        Ok(people.collect::<Result<_, _>>()?)
    }

    /// The person's erasure is finished.
    pub async fn finish(&self, account: AccountId, person: PersonRef) -> Result<(), VaultError> {
        let finished = Statement::sql(
            "DELETE FROM unfinished_erasure WHERE account = $1 AND person = $2",
            vec![account_value(account), person_value(person)],
        );
        self.database.write(vec![finished]).await?;
        Ok(())
    }

    /// Whether any one key of the table opens.
    pub async fn check(&self) -> Result<(), VaultError> {
        let any = "SELECT person, account, wrapped FROM person_keys WHERE wrapped IS NOT NULL LIMIT 1";
        for row in self.database.read(Statement::sql(any, Vec::new())).await? {
            let account = row.text(1).map_err(DatabaseError::from)?;
            let account = account.parse().map_err(|_| VaultError::WrongRootKey)?;
            let wrapped = row.blob(2).map_err(DatabaseError::from)?;
            self.unwrap(account, person_of(&row, 0)?, wrapped)?;
        }
        Ok(())
    }

    /// Whether all of them are now the stored ones; if not, some had a row already.
    async fn insert(&self, account: AccountId, keys: &[(PersonRef, Key)]) -> Result<bool, VaultError> {
        // In one order everywhere: two processes with the same new people would else wait for each other.
        let mut sorted: Vec<&(PersonRef, Key)> = keys.iter().collect();
        sorted.sort_unstable_by_key(|(person, _)| *person);
        let rows = sorted.into_iter().map(|(person, key)| {
            let wrapped = self.wrapping.seal(&place(account, *person), key.bytes());
            vec![person_value(*person), account_value(account), wrapped.into()]
        });
        let insert = Statement::Insert {
            into: "person_keys (person, account, wrapped)",
            on_conflict: "ON CONFLICT DO NOTHING",
            rows: rows.collect(),
        };
        let inserted: u64 = self.database.write(vec![insert]).await?.into_iter().sum();
        Ok(inserted == keys.len() as u64)
    }

    fn unwrap(&self, account: AccountId, person: PersonRef, wrapped: &[u8]) -> Result<Key, VaultError> {
        let bytes = self
            .wrapping
            .open(&place(account, person), wrapped)
            .map_err(|_| VaultError::WrongRootKey)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| VaultError::WrongRootKey)?;
        Ok(Key::new(Zeroizing::new(bytes)))
    }
}

/// One query for a chunk. The list is filled up to a power of two by starting over, so that the engine has few
/// texts to prepare.
fn select(account: AccountId, chunk: &[PersonRef]) -> Statement {
    let width = chunk.len().next_power_of_two();
    let places: Vec<String> = (0..width).map(|index| format!("${}", index + 2)).collect();
    let text = format!(
        "SELECT person, wrapped FROM person_keys WHERE account = $1 AND person IN ({})",
        places.join(", ")
    );
    let mut params = vec![account_value(account)];
    params.extend(chunk.iter().cycle().take(width).map(|person| person_value(*person)));
    Statement::sql(text, params)
}

fn place(account: AccountId, person: PersonRef) -> Place {
    Place::new("person key", &[&account.ulid().to_bytes(), person.bytes()])
}

fn person_of(row: &Row, index: usize) -> Result<PersonRef, DatabaseError> {
    let bytes = row.blob(index)?.try_into().map_err(|_| database::ColumnError {
        index,
        expected: "person (16 bytes)",
    })?;
    Ok(PersonRef::new(bytes))
}

fn person_value(person: PersonRef) -> Value {
    person.bytes().as_slice().into()
}

fn account_value(account: AccountId) -> Value {
    account.to_string().into()
}
