//! Between a recorded event and the columns it is stored in; the same for every engine with tables.

use std::error::Error;

use domain::{AccountId, Event, EventId, Timestamp};

use crate::{NewEvent, Position, ReadError, Recorded, StreamAppend};

/// An append as its columns hold it, encoded before it meets the one writer.
#[derive(Debug)]
pub struct EncodedAppend {
    /// What was asked for.
    pub append: StreamAppend,
    /// The 16 bytes of the account.
    pub account: [u8; 16],
    /// The columns of each event.
    pub events: Vec<EncodedEvent>,
}

/// The columns of an event that do not depend on its place in the log.
#[derive(Debug)]
pub struct EncodedEvent {
    /// The 16 bytes of the id.
    pub id: [u8; 16],
    /// The type.
    pub name: &'static str,
    /// The version of the shape of the data.
    pub schema: u32,
    /// JSON.
    pub data: String,
}

impl EncodedAppend {
    /// Encodes the events.
    pub fn new(append: StreamAppend) -> Result<Self, serde_json::Error> {
        Ok(Self {
            account: account_bytes(append.stream.account()),
            events: append.events.iter().map(EncodedEvent::new).collect::<Result<_, _>>()?,
            append,
        })
    }
}

impl EncodedEvent {
    fn new(new: &NewEvent) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: u128::from(new.id.ulid()).to_be_bytes(),
            name: new.event.name(),
            schema: new.event.version(),
            data: new.event.encode()?,
        })
    }
}

/// How the log stores an account: the 16 bytes of its ULID.
pub fn account_bytes(account: AccountId) -> [u8; 16] {
    u128::from(account.ulid()).to_be_bytes()
}

/// A row of the log, as an engine lends it.
#[derive(Debug, Clone, Copy)]
pub struct StoredEvent<'row> {
    /// Place in the log.
    pub position: u64,
    /// 16 bytes.
    pub id: &'row [u8],
    /// The stream's name.
    pub stream: &'row str,
    /// Place in the stream.
    pub version: u64,
    /// Microseconds since the epoch.
    pub recorded_at: i64,
    /// The type.
    pub name: &'row str,
    /// The version of the shape of the data.
    pub schema: u32,
    /// JSON.
    pub data: &'row str,
}

impl StoredEvent<'_> {
    /// The event that the row holds, raised to the shape of today.
    pub fn decode(self) -> Result<Recorded, ReadError> {
        let position = Position::new(self.position);
        self.try_decode(position).map_err(|source| ReadError::Decode {
            position,
            stream: self.stream.to_owned(),
            source,
        })
    }

    fn try_decode(self, position: Position) -> Result<Recorded, Box<dyn Error + Send + Sync>> {
        let id: [u8; 16] = self.id.try_into()?;
        Ok(Recorded {
            position,
            id: EventId::new(u128::from_be_bytes(id).into()),
            stream: self.stream.parse()?,
            version: self.version,
            recorded_at: Timestamp::from_micros(self.recorded_at),
            event: Event::decode(self.name, self.schema, self.data)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: StoredEvent<'static> = StoredEvent {
        position: 9,
        id: &[7; 16],
        stream: "account-acct_01J8ZQ4N3M8YV7T6S5R4Q3P2N1",
        version: 1,
        recorded_at: 5,
        name: "PlanChanged",
        schema: 1,
        data: r#"{"plan":"pro"}"#,
    };

    #[test]
    fn a_row_reads_back_as_it_was_encoded() {
        let recorded = ROW.decode().unwrap();
        let encoded = EncodedEvent::new(&NewEvent {
            id: recorded.id,
            event: recorded.event,
        });
        let encoded = encoded.unwrap();
        assert_eq!(encoded.id, [7; 16]);
        assert_eq!(
            (encoded.name, encoded.schema, encoded.data.as_str()),
            (ROW.name, ROW.schema, ROW.data)
        );
    }

    #[test]
    fn a_row_that_is_no_event_says_where_it_stands() {
        let wrong = [
            StoredEvent { id: &[7; 15], ..ROW },
            StoredEvent {
                stream: "nobody",
                ..ROW
            },
            StoredEvent {
                name: "NeverHeardOf",
                ..ROW
            },
            StoredEvent { schema: 99, ..ROW },
            StoredEvent { data: "{}", ..ROW },
        ];
        for row in wrong {
            let error = row.decode().unwrap_err();
            assert!(
                matches!(&error, ReadError::Decode { position, stream, .. }
                    if *position == Position::new(9) && stream == row.stream),
                "{row:?}"
            );
        }
    }
}
