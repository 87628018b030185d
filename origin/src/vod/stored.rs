//! Bytes that lie in files: what is sent of a recording is read as fast as the viewer takes it, and never held whole.

use axum::body::{Body, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};

/// Read at once, so held for one viewer beside what its socket holds.
const BLOCK_BYTES: usize = 128 << 10;

/// Where the bytes of an object lie that does not change.
pub trait Layout: Send + Sync + 'static {
    /// How many there are.
    fn size_bytes(&self) -> u64;

    /// The first of the bytes in `range`, which is not empty and within the object: at least one, and none behind its end. It does
    /// not read them.
    fn first(&self, range: Range<u64>) -> Piece;
}

/// Consecutive bytes of an object.
pub enum Piece {
    /// These.
    Bytes(Bytes),
    /// A range of a file that does not change.
    File {
        /// The file.
        file: Arc<Path>,
        /// Where in it.
        range: Range<u64>,
    },
    /// Some of them when they have come from elsewhere: at least one, and no more than were asked for.
    Later(BoxFuture<'static, io::Result<Bytes>>),
    /// All of the range that was asked for, from elsewhere. What is missing at its end is an error of the answer.
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

/// An object as its layout has it. Clones share it.
#[derive(Clone)]
pub struct Stored(Arc<dyn Layout>);

impl Stored {
    /// An object of this layout.
    pub fn new(layout: Arc<dyn Layout>) -> Self {
        Self(layout)
    }

    /// Bytes of memory.
    pub fn bytes(bytes: Bytes) -> Self {
        Self(Arc::new(bytes))
    }

    /// A range of a file.
    pub fn file(file: Arc<Path>, range: Range<u64>) -> Self {
        Self(Arc::new(FileRange { file, range }))
    }

    /// How many bytes it has.
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    /// The bytes in `range` as they are read, in pieces of some hundred KB. A file that is shorter than was said, or gone, ends it
    /// with an error.
    pub fn read(self, range: Range<u64>) -> BoxStream<'static, io::Result<Bytes>> {
        let reading = Reading { layout: self.0, left: range, open: None, stream: None };
        let pieces = stream::try_unfold(reading, |mut reading| async move {
            Ok::<_, io::Error>(reading.next().await?.map(|bytes| (bytes, reading)))
        });
        pieces.boxed()
    }

    /// Bytes `first..=last` of it as a body. A file that is shorter than was said, or gone, ends the answer with an error, so
    /// that the viewer does not take what came for the whole.
    pub(crate) fn body(self, first: u64, last: u64) -> Body {
        Body::from_stream(self.read(first..last + 1))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("size_bytes", &self.size_bytes()).finish()
    }
}

impl Layout for Bytes {
    fn size_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn first(&self, range: Range<u64>) -> Piece {
        Piece::Bytes(self.slice(range.start as usize..range.end as usize))
    }
}

struct FileRange {
    file: Arc<Path>,
    range: Range<u64>,
}

impl Layout for FileRange {
    fn size_bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn first(&self, range: Range<u64>) -> Piece {
        let range = self.range.start + range.start..self.range.start + range.end;
        Piece::File { file: Arc::clone(&self.file), range }
    }
}

/// How far an answer is.
struct Reading {
    layout: Arc<dyn Layout>,
    left: Range<u64>,
    open: Option<Open>,
    stream: Option<BoxStream<'static, io::Result<Bytes>>>,
}

/// A file that is being read. Pieces that lie one behind the other in one file are read through one of these.
struct Open {
    path: Arc<Path>,
    file: File,
    at: u64,
    until: u64,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(open) = self.open.as_mut().filter(|open| open.at < open.until) {
                let block = open.read().await?;
                self.left.start += block.len() as u64;
                return Ok(Some(block));
            }
            if self.left.is_empty() {
                return Ok(None);
            }
            if let Some(stream) = &mut self.stream {
                let chunk = stream.next().await.unwrap_or_else(|| Err(too_short()))?;
                self.left.start += chunk.len() as u64;
                return if self.left.start > self.left.end { Err(too_long()) } else { Ok(Some(chunk)) };
            }
            match self.layout.first(self.left.clone()) {
                Piece::Bytes(bytes) => {
                    self.left.start += bytes.len() as u64;
                    return Ok(Some(bytes));
                }
                Piece::File { file, range } => self.go_to(file, range).await?,
                Piece::Later(bytes) => {
                    let bytes = bytes.await?;
                    self.left.start += bytes.len() as u64;
                    return match bytes.len() {
                        0 => Err(too_short()),
                        _ if self.left.start > self.left.end => Err(too_long()),
                        _ => Ok(Some(bytes)),
                    };
                }
                Piece::Stream(stream) => self.stream = Some(stream),
            }
        }
    }

    async fn go_to(&mut self, path: Arc<Path>, range: Range<u64>) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) if open.path == path => open,
            _ => Open { file: File::open(&path).await?, path, at: 0, until: 0 },
        };
        if open.at != range.start {
            open.file.seek(SeekFrom::Start(range.start)).await?;
        }
        (open.at, open.until) = (range.start, range.end);
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    async fn read(&mut self) -> io::Result<Bytes> {
        let most = (self.until - self.at).min(BLOCK_BYTES as u64);
        let mut block = Vec::with_capacity(most as usize);
        let read = (&mut self.file).take(most).read_buf(&mut block).await?;
        if read == 0 {
            return Err(too_short());
        }
        self.at += read as u64;
        Ok(block.into())
    }
}

fn too_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "an object of the archive is too short")
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an object of the archive is too long")
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    /// Pieces one behind the other.
    struct Row(Vec<Stored>);

    impl Layout for Row {
        fn size_bytes(&self) -> u64 {
            self.0.iter().map(Stored::size_bytes).sum()
        }

        fn first(&self, range: Range<u64>) -> Piece {
            let mut at = 0;
            for piece in &self.0 {
                let end = at + piece.size_bytes();
                if range.start < end {
                    return piece.0.first(range.start - at..range.end.min(end) - at);
                }
                at = end;
            }
            panic!("{range:?} is behind the end");
        }
    }

    async fn read(stored: Stored, first: u64, last: u64) -> Result<Vec<u8>, axum::Error> {
        Ok(stored.body(first, last).collect().await?.to_bytes().to_vec())
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn any_range_is_the_slice_of_the_whole(
            head in 1usize..20,
            pieces in proptest::collection::vec((0usize..2, 0usize..3_000, 1usize..300_000), 0..5),
            first: u64,
            size: u64,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let bytes = |seed: usize| (0..400_000usize).map(|n| (n * 7 + seed + n / 256) as u8).collect::<Vec<u8>>();
            let files = [bytes(1), bytes(2)];
            for (n, file) in files.iter().enumerate() {
                std::fs::write(dir.path().join(n.to_string()), file).unwrap();
            }
            let mut whole = vec![9; head];
            let mut row = vec![Stored::bytes(whole.clone().into())];
            for (file, offset, length) in pieces {
                whole.extend(&files[file][offset..offset + length]);
                let file = dir.path().join(file.to_string()).into();
                row.push(Stored::file(file, offset as u64..(offset + length) as u64));
            }
            let stored = Stored::new(Arc::new(Row(row)));
            prop_assert_eq!(stored.size_bytes(), whole.len() as u64);
            let first = first % whole.len() as u64;
            let last = first + size % (whole.len() as u64 - first);
            let got = runtime().block_on(read(stored, first, last)).unwrap();
            prop_assert!(got == whole[first as usize..=last as usize]);
        }
    }

    /// Says that it is five bytes long and gives these.
    struct Elsewhere(Vec<&'static [u8]>);

    impl Layout for Elsewhere {
        fn size_bytes(&self) -> u64 {
            5
        }

        fn first(&self, _range: Range<u64>) -> Piece {
            let chunks: Vec<io::Result<Bytes>> = self.0.iter().map(|chunk| Ok(Bytes::from_static(chunk))).collect();
            Piece::Stream(stream::iter(chunks).boxed())
        }
    }

    #[tokio::test]
    async fn what_comes_from_elsewhere_is_as_long_as_was_said_or_an_error() {
        let stored = |chunks: &[&'static [u8]]| Stored::new(Arc::new(Elsewhere(chunks.to_vec())));
        assert_eq!(read(stored(&[b"ab", b"cde"]), 0, 4).await.unwrap(), b"abcde");
        assert!(read(stored(&[b"ab"]), 0, 4).await.is_err());
        assert!(read(stored(&[b"ab", b"cdef"]), 0, 4).await.is_err());
    }

    /// Says that it is five bytes long, and gives these at a time.
    struct Blocks(&'static [u8]);

    impl Layout for Blocks {
        fn size_bytes(&self) -> u64 {
            5
        }

        fn first(&self, _range: Range<u64>) -> Piece {
            let bytes = Bytes::from_static(self.0);
            Piece::Later(async move { Ok(bytes) }.boxed())
        }
    }

    #[tokio::test]
    async fn what_comes_later_is_some_of_what_was_asked_for_or_an_error() {
        let stored = |block| Stored::new(Arc::new(Blocks(block)));
        assert_eq!(read(stored(b"a"), 0, 4).await.unwrap(), b"aaaaa");
        assert!(read(stored(b""), 0, 4).await.is_err());
        assert!(read(stored(b"abcdef"), 0, 4).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_is_short_or_gone_is_an_error_and_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let file: Arc<Path> = dir.path().join("reel").into();
        std::fs::write(&file, [1; 10]).unwrap();
        let stored = |file: &Arc<Path>| Stored::file(Arc::clone(file), 5..15);
        assert!(read(stored(&file), 0, 9).await.is_err());
        assert!(read(stored(&dir.path().join("none").into()), 0, 9).await.is_err());
        assert_eq!(read(stored(&file), 0, 4).await.unwrap(), [1; 5]);
    }
}
