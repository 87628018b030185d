//! AMF0 (Adobe, "Action Message Format AMF 0", 2007): a bounded reader without recursion, and a small writer.
//!
//! Reading keeps what commands and metadata need: typed objects and ECMA arrays become [`Value::Object`], XML and long
//! strings become [`Value::String`], references become [`Value::Undefined`]. Text that is not UTF-8 is read lossily, as
//! encoders write Latin-1. AMF3 inside AMF0 is refused.

use bytes::{BufMut, BytesMut};

/// Containers inside containers.
pub const DEPTH_MAX: usize = 16;
/// Values in one message, containers included.
pub const VALUES_MAX: usize = 1024;
/// Bytes of one command or data message.
pub const BYTES_MAX: usize = 64 << 10;

/// A value, or a tree of them at most [`DEPTH_MAX`] deep when it was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any IEEE double, NaN included.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Any text.
    String(String),
    /// Properties in the order received; keys may repeat.
    Object(Vec<(String, Value)>),
    /// A dense array.
    Array(Vec<Value>),
    /// Milliseconds since 1970, UTC.
    Date(f64),
    /// Null.
    Null,
    /// Undefined, unsupported, or a reference.
    Undefined,
}

/// Why AMF0 bytes could not be read. The peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Amf0Error {
    /// The bytes end inside a value.
    #[error("AMF0 data is cut short")]
    Truncated,
    /// A type marker that does not exist or is reserved.
    #[error("AMF0 marker {0} is not known")]
    Marker(u8),
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("AMF0 data is nested deeper than 16 levels")]
    TooDeep,
    /// More than [`VALUES_MAX`] values.
    #[error("AMF0 data holds more than 1,024 values")]
    TooMany,
    /// More than [`BYTES_MAX`] bytes.
    #[error("AMF0 data is longer than 64 KiB")]
    TooLong,
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The number, also of a boolean or of digits in a string, as some encoders write them. Never NaN or infinite.
    pub fn as_number(&self) -> Option<f64> {
        let number = match self {
            Self::Number(n) => *n,
            Self::Boolean(b) => f64::from(u8::from(*b)),
            Self::String(s) => s.trim().parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The first property with this key, if this is an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

/// Reads values until the end of `bytes`.
///
/// # Errors
/// At the first malformed value or exceeded limit; nothing read before it is given.
pub fn read_all(bytes: &[u8]) -> Result<Vec<Value>, Amf0Error> {
    if bytes.len() > BYTES_MAX {
        return Err(Amf0Error::TooLong);
    }
    let mut reader = Reader { bytes, values: 0, open: Vec::new() };
    let mut all = Vec::new();
    while !reader.bytes.is_empty() {
        all.push(reader.value()?);
    }
    Ok(all)
}

/// A container that is being filled.
enum Open {
    /// `ends_with_input`: an ECMA array, which some encoders do not close when it is the last thing in a message.
    Object {
        entries: Vec<(String, Value)>,
        key: String,
        ends_with_input: bool,
    },
    Array {
        items: Vec<Value>,
        left: u32,
    },
}

struct Reader<'a> {
    bytes: &'a [u8],
    values: usize,
    open: Vec<Open>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Amf0Error> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or(Amf0Error::Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, Amf0Error> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<usize, Amf0Error> {
        let b = self.take(2)?;
        Ok(usize::from(b[0]) << 8 | usize::from(b[1]))
    }

    fn u32(&mut self) -> Result<u32, Amf0Error> {
        let b = self.take(4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    fn f64(&mut self) -> Result<f64, Amf0Error> {
        let mut b = [0; 8];
        b.copy_from_slice(self.take(8)?);
        Ok(f64::from_be_bytes(b))
    }

    fn text(&mut self, length: usize) -> Result<String, Amf0Error> {
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn short_text(&mut self) -> Result<String, Amf0Error> {
        let length = self.u16()?;
        self.text(length)
    }

    /// One whole value. `self.open` is empty before and after.
    fn value(&mut self) -> Result<Value, Amf0Error> {
        let mut done = self.begin()?;
        loop {
            // A finished value goes into the innermost open container, or is the answer.
            if let Some(value) = done.take() {
                match self.open.last_mut() {
                    None => return Ok(value),
                    Some(Open::Object { entries, key, .. }) => entries.push((std::mem::take(key), value)),
                    Some(Open::Array { items, left }) => {
                        items.push(value);
                        *left -= 1;
                    }
                }
            }
            done = match self.open.last() {
                Some(Open::Array { left: 0, .. }) => self.close(),
                Some(Open::Object { ends_with_input: true, .. }) if self.bytes.is_empty() => self.close(),
                Some(Open::Object { .. }) => {
                    let next = self.short_text()?;
                    if next.is_empty() && self.bytes.first() == Some(&9) {
                        self.take(1)?;
                        self.close()
                    } else {
                        if let Some(Open::Object { key, .. }) = self.open.last_mut() {
                            *key = next;
                        }
                        self.begin()?
                    }
                }
                Some(Open::Array { .. }) => self.begin()?,
                None => return Err(Amf0Error::Truncated),
            };
        }
    }

    fn close(&mut self) -> Option<Value> {
        Some(match self.open.pop()? {
            Open::Object { entries, .. } => Value::Object(entries),
            Open::Array { items, .. } => Value::Array(items),
        })
    }

    fn push(&mut self, container: Open) -> Result<Option<Value>, Amf0Error> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Amf0Error::TooDeep);
        }
        self.open.push(container);
        Ok(None)
    }

    /// Reads a marker and a scalar, or opens a container and gives `None`.
    fn begin(&mut self) -> Result<Option<Value>, Amf0Error> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Amf0Error::TooMany);
        }
        let object = |ends_with_input| Open::Object { entries: Vec::new(), key: String::new(), ends_with_input };
        Ok(Some(match self.u8()? {
            0 => Value::Number(self.f64()?),
            1 => Value::Boolean(self.u8()? != 0),
            2 => Value::String(self.short_text()?),
            3 => return self.push(object(false)),
            5 => Value::Null,
            6 | 13 => Value::Undefined,
            7 => {
                self.take(2)?;
                Value::Undefined
            }
            8 => {
                // The count is a hint that encoders get wrong; the end marker decides.
                self.take(4)?;
                return self.push(object(true));
            }
            10 => {
                let left = self.u32()?;
                return self.push(Open::Array { items: Vec::new(), left });
            }
            11 => {
                let date = self.f64()?;
                self.take(2)?;
                Value::Date(date)
            }
            12 | 15 => {
                let length = self.u32()? as usize;
                Value::String(self.text(length)?)
            }
            16 => {
                self.short_text()?;
                return self.push(object(false));
            }
            marker => return Err(Amf0Error::Marker(marker)),
        }))
    }
}

/// Appends a value. Recurses as deep as the value is: only for values that we built or read. Keys longer than 65,535
/// bytes are cut.
pub fn write(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(n) => {
            out.put_u8(0);
            out.put_f64(*n);
        }
        Value::Boolean(b) => {
            out.put_u8(1);
            out.put_u8(u8::from(*b));
        }
        Value::String(s) => match u16::try_from(s.len()) {
            Ok(length) => {
                out.put_u8(2);
                out.put_u16(length);
                out.put_slice(s.as_bytes());
            }
            Err(_) => {
                out.put_u8(12);
                out.put_u32(u32::try_from(s.len()).unwrap_or(u32::MAX));
                out.put_slice(s.as_bytes());
            }
        },
        Value::Object(entries) => {
            out.put_u8(3);
            for (key, value) in entries {
                let length = u16::try_from(key.len()).unwrap_or(u16::MAX);
                out.put_u16(length);
                out.put_slice(&key.as_bytes()[..usize::from(length)]);
                write(out, value);
            }
            out.put_slice(&[0, 0, 9]);
        }
        Value::Array(items) => {
            out.put_u8(10);
            out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
            for item in items {
                write(out, item);
            }
        }
        Value::Date(at) => {
            out.put_u8(11);
            out.put_f64(*at);
            out.put_u16(0);
        }
        Value::Null => out.put_u8(5),
        Value::Undefined => out.put_u8(6),
    }
}

/// Shorthand for an object from literal keys.
pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<f64>().prop_filter("NaN has no equal", |n| !n.is_nan()).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            ".{0,12}".prop_map(Value::String),
            any::<i32>().prop_map(|n| Value::Date(f64::from(n))),
            Just(Value::Null),
            Just(Value::Undefined),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec(("[a-z]{1,8}", inner), 0..6).prop_map(Value::Object),
            ]
        })
    }

    fn nested(marker: &[u8], levels: usize) -> Vec<u8> {
        marker.repeat(levels)
    }

    #[test]
    fn sixteen_levels_are_read_and_seventeen_refused() {
        let array = [10, 0, 0, 0, 1];
        let mut bytes = nested(&array, 16);
        bytes.push(5);
        assert!(read_all(&bytes).is_ok());
        let mut bytes = nested(&array, 17);
        bytes.push(5);
        assert_eq!(read_all(&bytes), Err(Amf0Error::TooDeep));
        assert_eq!(read_all(&nested(&[3, 0, 1, b'a'], 3013)), Err(Amf0Error::TooDeep));
    }

    #[test]
    fn odd_types_of_encoders_are_read() {
        let mut bytes = vec![8, 0, 0, 0, 9];
        bytes.extend([0, 4]);
        bytes.extend(b"date");
        bytes.extend([11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 3]);
        bytes.extend([b'n', 0xe9, b'e', 2, 0, 1, 0xe9]);
        bytes.extend([0, 1, b'l', 12, 0, 0, 0, 2, b'h', b'i']);
        bytes.extend([0, 1, b'r', 7, 0, 0, 0, 1, b'u', 13]);
        bytes.extend([0, 1, b't', 16, 0, 1, b'C', 0, 1, b'x', 1, 1, 0, 0, 9]);
        let values = read_all(&bytes).expect("an ECMA array that ends with the message");
        assert_eq!(values[0].get("date"), Some(&Value::Date(0.0)));
        assert_eq!(values[0].get("n\u{fffd}e").and_then(Value::as_str), Some("\u{fffd}"));
        assert_eq!(values[0].get("l").and_then(Value::as_str), Some("hi"));
        assert_eq!(values[0].get("t").and_then(|t| t.get("x")), Some(&Value::Boolean(true)));
    }

    #[test]
    fn a_huge_count_costs_nothing() {
        assert_eq!(read_all(&[10, 0xff, 0xff, 0xff, 0xff]), Err(Amf0Error::Truncated));
        let mut many = vec![10, 0xff, 0xff, 0xff, 0xff];
        many.extend(std::iter::repeat_n(5, 2000));
        assert_eq!(read_all(&many), Err(Amf0Error::TooMany));
        assert_eq!(read_all(&vec![5; BYTES_MAX + 1]), Err(Amf0Error::TooLong));
    }

    #[test]
    fn reserved_markers_are_refused() {
        for marker in [4, 9, 14, 17, 200] {
            assert_eq!(read_all(&[marker]), Err(Amf0Error::Marker(marker)));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(any_value(), 0..4)) {
            let mut out = BytesMut::new();
            values.iter().for_each(|v| write(&mut out, v));
            prop_assert_eq!(read_all(&out), Ok(values));
        }

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(prop_oneof![0u8..20, any::<u8>()], 0..300)) {
            let _answer = read_all(&bytes);
        }
    }
}
