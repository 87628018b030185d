use crate::Error;
use crc32fast::Hasher;
use data_encoding::BASE64;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of a file is read at a time.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// What some bytes are known by: how many, and their CRC-32 (the one of gzip and PNG, which S3 calls `CRC32`).
///
/// It tells accidents, not forgers. Digests of neighbours add up, so whoever wrote a file piece by piece knows the whole
/// file's without reading it again.
///
/// ```
/// use vault::Digest;
/// let (head, tail) = (Digest::of(b"1234"), Digest::of(b"56789"));
/// assert_eq!(head.then(tail), Digest { size_bytes: 9, crc32: 0xcbf4_3926 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// How many bytes.
    pub size_bytes: u64,
    /// Their CRC-32; 0 for none.
    pub crc32: u32,
}

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().and(bytes)
    }

    /// With these bytes behind.
    pub fn and(self, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new_with_initial_len(self.crc32, self.size_bytes);
        hasher.update(bytes);
        Self { size_bytes: self.size_bytes.saturating_add(bytes.len() as u64), crc32: hasher.finalize() }
    }

    /// With the bytes of another digest behind.
    pub fn then(self, next: Digest) -> Self {
        let mut hasher = Hasher::new_with_initial_len(self.crc32, self.size_bytes);
        hasher.combine(&Hasher::new_with_initial_len(next.crc32, next.size_bytes));
        Self { size_bytes: self.size_bytes.saturating_add(next.size_bytes), crc32: hasher.finalize() }
    }

    /// Of `size_bytes` of a file from `offset` on, or of less when it ends before. Blocks.
    pub(crate) fn of_file(file: &File, offset: u64, size_bytes: u64) -> io::Result<Self> {
        let mut digest = Self::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        while digest.size_bytes < size_bytes {
            let want = chunk.len().min(usize::try_from(size_bytes - digest.size_bytes).unwrap_or(usize::MAX));
            match file.read_at(&mut chunk[..want], offset.saturating_add(digest.size_bytes))? {
                0 => break,
                read => digest = digest.and(&chunk[..read]),
            }
        }
        Ok(digest)
    }

    /// Compares what the store holds with what was sent as `key`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] says what differs.
    pub(crate) fn compare(self, sent: Digest, key: &str) -> Result<(), Error> {
        let what = if self.size_bytes != sent.size_bytes {
            format!("{} bytes instead of {}", self.size_bytes, sent.size_bytes)
        } else if self.crc32 != sent.crc32 {
            format!("checksum {:08x} instead of {:08x}", self.crc32, sent.crc32)
        } else {
            return Ok(());
        };
        Err(Error::Mismatch { key: key.to_owned(), what })
    }

    /// The CRC as S3 writes it in headers: four bytes, the highest first, in base64.
    pub(crate) fn header(self) -> String {
        BASE64.encode(&self.crc32.to_be_bytes())
    }

    /// What S3 gives for an object that was sent in parts with these CRCs: the CRC of their CRCs.
    pub(crate) fn header_of_parts(parts: &[Digest]) -> String {
        parts.iter().fold(Self::default(), |all, part| all.and(&part.crc32.to_be_bytes())).header()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    #[test]
    fn headers_are_those_s3_documents() {
        // "123456789" is the check value of the catalogue of CRC algorithms.
        assert_eq!(Digest::of(b"123456789").header(), "y/Q5Jg==");
        assert_eq!(Digest::of(b"").header(), "AAAAAA==");
        let parts = [Digest::of(b"a"), Digest::of(b"b")];
        let both = [parts[0].crc32.to_be_bytes(), parts[1].crc32.to_be_bytes()].concat();
        assert_eq!(Digest::header_of_parts(&parts), Digest::of(&both).header());
    }

    #[test]
    fn a_range_of_a_file_is_measured_and_a_short_file_is_shorter() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"..123456789..").unwrap();
        assert_eq!(Digest::of_file(&file, 2, 9).unwrap(), Digest::of(b"123456789"));
        assert_eq!(Digest::of_file(&file, 11, 9).unwrap(), Digest::of(b".."));
        assert_eq!(Digest::of_file(&file, 99, 9).unwrap(), Digest::default());
    }

    proptest! {
        #[test]
        fn digests_of_neighbours_add_up(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..300) {
            let (head, tail) = bytes.split_at(at.min(bytes.len()));
            prop_assert_eq!(Digest::of(head).then(Digest::of(tail)), Digest::of(&bytes));
            prop_assert_eq!(Digest::of(head).and(tail), Digest::of(&bytes));
        }
    }
}
