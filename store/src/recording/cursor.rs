//! Where a list goes on: the sort key and the id of the last row that was given, opaque to whoever carries it.
//!
//! URL-safe base64 without padding over: version (1 byte), order (1 byte), the id (16 bytes), then the key, which is a number
//! (8 bytes, big-endian) or a text (UTF-8 without a zero byte). It is neither secret nor signed: another place to go on from
//! is all that a made-up one can say.

use super::{Order, Recording, Sort, fold};
use crate::Error;
use crate::database::Argument;
use data_encoding::BASE64URL_NOPAD;

const VERSION: u8 = 1;
/// Longest cursor read, characters: a title of 200 characters is far shorter, however it is written.
const CHARS_MAX: usize = 4_096;

/// A place in a list of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    order: Order,
    key: Key,
    id: uuid::Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Number(i64),
    Text(String),
}

impl Cursor {
    /// Behind this row.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the row's id is none.
    pub fn behind(row: &Recording, order: Order) -> Result<Self, Error> {
        let id = uuid::Uuid::try_parse(&row.id)
            .map_err(|_| Error::Unreadable { what: format!("the recording's id {:?}", row.id) })?;
        let number = |count: u64| Key::Number(i64::try_from(count).unwrap_or(i64::MAX));
        let key = match order.by {
            Sort::Started => Key::Number(row.started_ms),
            Sort::Title => Key::Text(fold(&row.details.title)),
            Sort::Duration => number(row.duration_ms),
            Sort::Size => number(row.size_bytes),
        };
        Ok(Self { order, key, id })
    }

    /// # Errors
    /// [`Error::BadCursor`] for what [`Cursor::write`] did not write for this order.
    pub fn read(text: &str, order: Order) -> Result<Self, Error> {
        Self::parse(text).filter(|cursor| cursor.order == order).ok_or(Error::BadCursor)
    }

    pub fn write(&self) -> String {
        let mut bytes = vec![VERSION, order_byte(self.order)];
        bytes.extend_from_slice(self.id.as_bytes());
        match &self.key {
            Key::Number(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Key::Text(text) => bytes.extend_from_slice(text.as_bytes()),
        }
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The key and the id, as a query wants them.
    pub fn values(&self) -> [Argument; 2] {
        let key = match &self.key {
            Key::Number(number) => (*number).into(),
            Key::Text(text) => text.as_str().into(),
        };
        [key, self.id.to_string().as_str().into()]
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > CHARS_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (head, rest) = bytes.split_first_chunk::<2>()?;
        let (id, key) = rest.split_first_chunk::<16>()?;
        let order = (head[0] == VERSION).then(|| order_of(head[1]))??;
        let key = match order.by {
            Sort::Title => Key::Text(String::from_utf8(key.to_vec()).ok().filter(|text| !text.contains('\0'))?),
            Sort::Started | Sort::Duration | Sort::Size => Key::Number(i64::from_be_bytes(key.try_into().ok()?)),
        };
        Some(Self { order, key, id: uuid::Uuid::from_bytes(*id) })
    }
}

/// The column in the lower bits, the way down in the highest.
fn order_byte(order: Order) -> u8 {
    let column = match order.by {
        Sort::Started => 0,
        Sort::Title => 1,
        Sort::Duration => 2,
        Sort::Size => 3,
    };
    column | if order.descending { 0x80 } else { 0 }
}

fn order_of(byte: u8) -> Option<Order> {
    let by = match byte & 0x7f {
        0 => Sort::Started,
        1 => Sort::Title,
        2 => Sort::Duration,
        3 => Sort::Size,
        _ => return None,
    };
    Some(Order { by, descending: byte & 0x80 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order() -> impl Strategy<Value = Order> {
        let by = prop::sample::select(vec![Sort::Started, Sort::Title, Sort::Duration, Sort::Size]);
        (by, any::<bool>()).prop_map(|(by, descending)| Order { by, descending })
    }

    fn cursor() -> impl Strategy<Value = Cursor> {
        (order(), any::<i64>(), "\\PC{0,40}", any::<u128>()).prop_map(|(order, number, text, id)| Cursor {
            order,
            key: if order.by == Sort::Title { Key::Text(text) } else { Key::Number(number) },
            id: uuid::Uuid::from_u128(id),
        })
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back_for_its_own_order_alone(cursor in cursor(), other in order()) {
            let text = cursor.write();
            prop_assert_eq!(&Cursor::read(&text, cursor.order).unwrap(), &cursor);
            prop_assert_eq!(Cursor::read(&text, other).is_ok(), other == cursor.order);
        }

        #[test]
        fn any_bytes_are_a_cursor_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..80), order in order()) {
            for bytes in [bytes.clone(), [[VERSION, order_byte(order)].as_slice(), &bytes].concat()] {
                let text = BASE64URL_NOPAD.encode(&bytes);
                if let Ok(cursor) = Cursor::read(&text, order) {
                    prop_assert_eq!(cursor.write(), text);
                }
            }
        }

        #[test]
        fn any_text_is_a_cursor_or_is_not(text in "\\PC{0,60}", order in order()) {
            let _ = Cursor::read(&text, order);
        }
    }

    #[test]
    fn what_postgres_refuses_is_no_cursor() {
        let order = Order { by: Sort::Title, descending: false };
        let cursor = Cursor { order, key: Key::Text("a\0b".into()), id: uuid::Uuid::nil() };
        assert!(matches!(Cursor::read(&cursor.write(), order), Err(Error::BadCursor)));
        assert!(Cursor::read(&"A".repeat(CHARS_MAX + 1), order).is_err());
    }
}
