//! NAL units behind length fields (ISO/IEC 14496-15, 5.3.3.2), as RTMP and MP4 carry them.

use crate::ParseError;
use bytes::Bytes;

/// The NAL units of one access unit, in order, without their length fields. Empty units are skipped. Stops with an
/// error at the first length that reaches past the end; units before it were already given.
pub fn units(data: &Bytes, length_size: u8) -> Units<'_> {
    Units { data, at: 0, length_size: usize::from(length_size) }
}

/// See [`units`].
pub struct Units<'a> {
    data: &'a Bytes,
    at: usize,
    length_size: usize,
}

impl Iterator for Units<'_> {
    type Item = Result<Bytes, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.data[self.at..];
            if rest.is_empty() {
                return None;
            }
            let truncated = Some(Err(ParseError::Truncated { what: "a NAL unit" }));
            if rest.len() < self.length_size {
                self.at = self.data.len();
                return truncated;
            }
            let length = rest[..self.length_size].iter().fold(0usize, |n, b| n << 8 | usize::from(*b));
            let start = self.at + self.length_size;
            if length > self.data.len() - start {
                self.at = self.data.len();
                return truncated;
            }
            self.at = start + length;
            if length > 0 {
                return Some(Ok(self.data.slice(start..start + length)));
            }
        }
    }
}

/// The payload of a NAL unit without emulation prevention bytes (00 00 03 becomes 00 00), header included.
pub fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

/// The reverse of [`unescape`].
pub fn escape(rbsp: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rbsp.len() + 8);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lying_length_is_an_error_after_the_good_units() {
        let data = Bytes::from_static(&[0, 0, 0, 1, 0x65, 0, 0, 0, 9, 1]);
        let got: Vec<_> = units(&data, 4).collect();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].as_ref().map(|b| b[0]), Ok(0x65));
        assert!(got[1].is_err());
    }

    proptest! {
        #[test]
        fn escaping_is_undone(rbsp in proptest::collection::vec(0u8..5, 0..64)) {
            prop_assert_eq!(unescape(&escape(&rbsp)), rbsp);
        }

        #[test]
        fn any_bytes_end(data in proptest::collection::vec(any::<u8>(), 0..256), size in prop_oneof![Just(1u8), Just(2), Just(4)]) {
            let data = Bytes::from(data);
            prop_assert!(units(&data, size).count() <= data.len() + 1);
        }
    }
}
