//! Bits of a header, most significant first, with the variable-length numbers of ITU-T H.264 9.1 and H.265 9.2.

use crate::ParseError;

/// Reads bits one after the other. What is not there is an error, never zero; nothing is allocated.
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
    what: &'static str,
}

impl<'a> Bits<'a> {
    /// Begins at the first bit of `data`; `what` is the structure errors name.
    pub(crate) fn new(data: &'a [u8], what: &'static str) -> Self {
        Self { data, at: 0, what }
    }

    /// The next 0 to 32 bits as a number.
    pub(crate) fn take(&mut self, count: u32) -> Result<u32, ParseError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8).ok_or(ParseError::Truncated { what: self.what })?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, ParseError> {
        Ok(self.take(1)? == 1)
    }

    /// Leaves out bits.
    pub(crate) fn skip(&mut self, count: usize) -> Result<(), ParseError> {
        self.at = self.at.saturating_add(count).min(self.data.len() * 8 + 1);
        if self.at > self.data.len() * 8 { Err(ParseError::Truncated { what: self.what }) } else { Ok(()) }
    }

    /// An Exp-Golomb number, ue(v): 0 to 2^32 - 2. Signed ones, se(v), are as long.
    pub(crate) fn golomb(&mut self) -> Result<u32, ParseError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return Err(self.bad("a number of more than 32 bits"));
            }
        }
        Ok((1 << zeros) - 1 + self.take(zeros)?)
    }

    /// An Exp-Golomb number that its specification limits to `max`; `field` is what the error names.
    pub(crate) fn golomb_to(&mut self, max: u32, field: &str) -> Result<u32, ParseError> {
        match self.golomb()? {
            value if value <= max => Ok(value),
            value => Err(self.bad(&format!("{field} is {value}"))),
        }
    }

    /// The error of a field that has a value it can't have.
    pub(crate) fn bad(&self, detail: &str) -> ParseError {
        ParseError::Malformed { what: self.what, detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_written(numbers in proptest::collection::vec(0..u32::MAX, 1..20)) {
            let mut bits = String::new();
            for number in &numbers {
                let code = format!("{:b}", u64::from(*number) + 1);
                bits.push_str(&"0".repeat(code.len() - 1));
                bits.push_str(&code);
            }
            bits.push_str(&"1".repeat(8 - bits.len() % 8));
            let data: Vec<u8> =
                bits.as_bytes().chunks(8).map(|b| b.iter().fold(0, |n, bit| n << 1 | (bit - b'0'))).collect();
            let mut reader = Bits::new(&data, "a test");
            for number in numbers {
                prop_assert_eq!(reader.golomb(), Ok(number));
            }
        }
    }
}
