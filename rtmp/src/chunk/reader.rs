use super::{
    CHUNK_SIZE_MAX, MESSAGE_BYTES_MAX, Message, ODD_MESSAGE_BYTES_MAX, PARTIAL_BYTES_PUBLISHER, PARTIAL_BYTES_STRANGER,
    PARTIAL_STREAMS_MAX, STREAMS_MAX, kind,
};
use crate::Error;
use bytes::{Bytes, BytesMut};

/// Basic header (3), message header (11), extended timestamp (4).
const HEADER_BYTES_MAX: usize = 18;
/// A publisher's buffers begin no larger than this and then grow with what arrives, so an announced length costs nothing.
const FIRST_RESERVE: usize = 64 << 10;
/// A stranger's, who may have as many unfinished messages: all of them together begin with 64 KiB.
const FIRST_RESERVE_STRANGER: usize = PARTIAL_BYTES_STRANGER / PARTIAL_STREAMS_MAX;
/// Chunk streams a stranger may use: commands need two or three, and each costs about a hundred bytes for good.
const STREAMS_MAX_STRANGER: usize = 64;
/// A fmt 3 chunk that begins a message after a fmt 0 one repeats that stamp as its delta (section 5.3.1.2.4; ffmpeg
/// relies on it). Some relays mean "same time" instead; above ten seconds only that can be meant.
const PLAUSIBLE_DELTA_MS: u32 = 10_000;

/// Turns bytes into messages, within limits. After an error the reader must not be used again.
pub struct ChunkReader {
    streams: Vec<Stream>,
    /// Index of the stream used last, as most chunks follow one of their own.
    last: usize,
    chunk_size: usize,
    partial_bytes: usize,
    partial_streams: usize,
    limits: Limits,
    /// The chunk whose payload is being read: stream index and bytes left.
    current: Option<(usize, usize)>,
    stash: Stash,
}

/// What the peer may make us hold.
#[derive(Clone, Copy)]
struct Limits {
    partial_bytes: usize,
    streams: usize,
    first_reserve: usize,
}

impl Limits {
    const STRANGER: Self = Self {
        partial_bytes: PARTIAL_BYTES_STRANGER,
        streams: STREAMS_MAX_STRANGER,
        first_reserve: FIRST_RESERVE_STRANGER,
    };
    const PUBLISHER: Self =
        Self { partial_bytes: PARTIAL_BYTES_PUBLISHER, streams: STREAMS_MAX, first_reserve: FIRST_RESERVE };
}

/// Bytes of a header that was cut by the end of an input, or read past its end to look for an extended timestamp.
struct Stash {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
}

impl Stash {
    fn drop_front(&mut self, count: usize) {
        self.bytes.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

struct Stream {
    id: u32,
    timestamp: u32,
    /// What a fmt 3 chunk that begins a message adds.
    delta: u32,
    /// The timestamp field of the last fmt 0, 1 or 2 header, to recognise its repetition.
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    message_stream: u32,
    in_message: bool,
    payload: BytesMut,
}

struct Header {
    format: u8,
    id: u32,
    /// Index of the stream, if it is known.
    index: Option<usize>,
    field: u32,
    extended: bool,
    length: u32,
    kind: u8,
    message_stream: u32,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkReader {
    /// A reader with the limits for a stranger and the initial chunk size of 128.
    pub fn new() -> Self {
        Self {
            streams: Vec::new(),
            last: 0,
            chunk_size: 128,
            partial_bytes: 0,
            partial_streams: 0,
            limits: Limits::STRANGER,
            current: None,
            stash: Stash { bytes: [0; HEADER_BYTES_MAX], len: 0 },
        }
    }

    /// Raises the limits to those of a publisher: [`PARTIAL_BYTES_PUBLISHER`] of unfinished messages.
    pub fn trust(&mut self) {
        self.limits = Limits::PUBLISHER;
    }

    /// Reads from the front of `input` up to the end of the next message; `None` when `input` is used up before.
    ///
    /// # Errors
    /// When the bytes are not chunks or a limit is exceeded.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            if let Some((index, left)) = self.current {
                let left = self.take_payload(index, left, input)?;
                if left > 0 {
                    self.current = Some((index, left));
                    return Ok(None);
                }
                self.current = None;
                if self.streams[index].payload.len() == self.streams[index].length
                    && let Some(message) = self.finish(index)?
                {
                    return Ok(Some(message));
                }
                continue;
            }
            let Some(header) = self.next_header(input) else { return Ok(None) };
            self.begin(&header)?;
        }
    }

    /// Moves up to `left` bytes into the stream's message; gives what is still missing.
    fn take_payload(&mut self, index: usize, mut left: usize, input: &mut &[u8]) -> Result<usize, Error> {
        let stashed = left.min(self.stash.len);
        let (now, rest) = input.split_at((left - stashed).min(input.len()));
        *input = rest;
        let payload = &mut self.streams[index].payload;
        payload.extend_from_slice(&self.stash.bytes[..stashed]);
        payload.extend_from_slice(now);
        self.stash.drop_front(stashed);
        left -= stashed + now.len();
        self.partial_bytes += stashed + now.len();
        if self.partial_bytes > self.limits.partial_bytes {
            return Err(Error::TooMuchPartialData { limit: self.limits.partial_bytes });
        }
        Ok(left)
    }

    fn next_header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.stash.len == 0 {
            if let Some((header, used)) = self.parse_header(input) {
                *input = &input[used..];
                return Some(header);
            }
            self.stash.bytes[..input.len()].copy_from_slice(input);
            self.stash.len = input.len();
            *input = &[];
            return None;
        }
        loop {
            if let Some((header, used)) = self.parse_header(&self.stash.bytes[..self.stash.len]) {
                self.stash.drop_front(used);
                return Some(header);
            }
            let (&byte, rest) = input.split_first()?;
            *input = rest;
            self.stash.bytes[self.stash.len] = byte;
            self.stash.len += 1;
        }
    }

    /// A chunk header at the front of `bytes` and its length; `None` when more bytes are needed, never with
    /// [`HEADER_BYTES_MAX`] bytes at hand.
    fn parse_header(&self, bytes: &[u8]) -> Option<(Header, usize)> {
        let first = *bytes.first()?;
        let (id, mut used) = match first & 0x3f {
            0 => (64 + u32::from(*bytes.get(1)?), 2),
            1 => (64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3),
            id => (u32::from(id), 1),
        };
        let format = first >> 6;
        let index = self.find(id);
        let mut header = Header { format, id, index, field: 0, extended: false, length: 0, kind: 0, message_stream: 0 };
        let size = [11, 7, 3, 0][usize::from(format)];
        let fields = bytes.get(used..used + size)?;
        used += size;
        if format == 3 {
            let Some(stream) = index.map(|i| &self.streams[i]) else { return Some((header, used)) };
            if stream.extended {
                // The specification repeats the extended timestamp here; some encoders do not. Only the value tells.
                let b = bytes.get(used..used + 4)?;
                let value = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
                let next =
                    if stream.in_message { stream.timestamp } else { stream.timestamp.wrapping_add(stream.delta) };
                if value == stream.field || value == next {
                    used += 4;
                }
            }
            return Some((header, used));
        }
        header.field = u32::from_be_bytes([0, fields[0], fields[1], fields[2]]);
        if format < 2 {
            header.length = u32::from_be_bytes([0, fields[3], fields[4], fields[5]]);
            header.kind = fields[6];
        }
        if format == 0 {
            header.message_stream = u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]]);
        }
        if header.field == 0xff_ffff {
            let b = bytes.get(used..used + 4)?;
            header.field = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
            header.extended = true;
            used += 4;
        }
        Some((header, used))
    }

    fn find(&self, id: u32) -> Option<usize> {
        match self.streams.get(self.last) {
            Some(stream) if stream.id == id => Some(self.last),
            _ => self.streams.iter().position(|s| s.id == id),
        }
    }

    fn begin(&mut self, header: &Header) -> Result<(), Error> {
        let index = match header.index {
            Some(index) => index,
            None => self.open(header)?,
        };
        self.last = index;
        let (partial_streams, limits) = (self.partial_streams, self.limits);
        let stream = &mut self.streams[index];
        if !stream.in_message {
            stream.start(header, limits)?;
            if partial_streams >= PARTIAL_STREAMS_MAX {
                return Err(Error::TooManyChunkStreams {
                    limit: PARTIAL_STREAMS_MAX,
                    what: "with unfinished messages",
                });
            }
            self.partial_streams += 1;
        } else if header.format < 2 && (header.length as usize != stream.length || header.kind != stream.kind) {
            return Err(Error::InterruptedMessage { chunk_stream: stream.id });
        }
        // A full header inside a message that says the same again is what rml_rtmp's serialiser can write: it goes on.
        let stream = &self.streams[index];
        self.current = Some((index, self.chunk_size.min(stream.length - stream.payload.len())));
        Ok(())
    }

    fn open(&mut self, header: &Header) -> Result<usize, Error> {
        // librtmp family: a fresh control stream may begin with fmt 1.
        if header.format > 1 {
            return Err(Error::MissingHeader { chunk_stream: header.id });
        }
        if self.streams.len() >= self.limits.streams {
            return Err(Error::TooManyChunkStreams { limit: self.limits.streams, what: "in one connection" });
        }
        self.streams.push(Stream {
            id: header.id,
            timestamp: 0,
            delta: 0,
            field: 0,
            extended: false,
            length: 0,
            kind: 0,
            message_stream: 0,
            in_message: false,
            payload: BytesMut::new(),
        });
        Ok(self.streams.len() - 1)
    }

    /// Takes a complete message off its stream; acts on it when it is about the reading itself.
    fn finish(&mut self, index: usize) -> Result<Option<Message>, Error> {
        let stream = &mut self.streams[index];
        stream.in_message = false;
        let payload = std::mem::take(&mut stream.payload).freeze();
        let message =
            Message { kind: stream.kind, stream: stream.message_stream, timestamp: stream.timestamp, payload };
        self.partial_streams -= 1;
        self.partial_bytes -= message.payload.len();
        let number = |b: &Bytes| b.get(..4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        match message.kind {
            kind::SET_CHUNK_SIZE => {
                let size = number(&message.payload).unwrap_or(0);
                if size == 0 || size > i32::MAX as u32 {
                    return Err(Error::ChunkSize(size));
                }
                self.chunk_size = size.min(CHUNK_SIZE_MAX) as usize;
                Ok(None)
            }
            kind::ABORT => {
                if let Some(index) = number(&message.payload).and_then(|id| self.find(id)) {
                    self.abort(index);
                }
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }

    fn abort(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        if stream.in_message {
            stream.in_message = false;
            self.partial_streams -= 1;
            self.partial_bytes -= stream.payload.len();
            stream.payload = BytesMut::new();
        }
    }
}

impl Stream {
    /// Begins a new message as the header says.
    fn start(&mut self, header: &Header, limits: Limits) -> Result<(), Error> {
        if header.format < 3 {
            self.field = header.field;
            self.extended = header.extended;
            self.delta = header.field;
        }
        if header.format < 2 {
            if header.length > MESSAGE_BYTES_MAX {
                return Err(Error::MessageTooLarge { bytes: header.length });
            }
            // Garbage mostly looks like a long message. One that can mean nothing, or never be complete, is not waited for.
            if header.length > ODD_MESSAGE_BYTES_MAX && !kind::may_be_long(header.kind) {
                return Err(Error::OddMessage { kind: header.kind, bytes: header.length });
            }
            if header.length as usize > limits.partial_bytes {
                return Err(Error::TooMuchPartialData { limit: limits.partial_bytes });
            }
            self.length = header.length as usize;
            self.kind = header.kind;
        }
        if header.format == 0 {
            self.message_stream = header.message_stream;
            self.timestamp = header.field;
            if self.delta > PLAUSIBLE_DELTA_MS {
                self.delta = 0;
            }
        } else {
            self.timestamp = self.timestamp.wrapping_add(self.delta);
        }
        self.in_message = true;
        self.payload = BytesMut::with_capacity(self.length.min(limits.first_reserve));
        Ok(())
    }
}

#[cfg(test)]
impl ChunkReader {
    pub(crate) fn partial_counts(&self) -> (usize, usize) {
        (self.partial_bytes, self.partial_streams)
    }

    /// Bytes held for messages and chunk streams.
    pub(crate) fn held_bytes(&self) -> usize {
        let streams = self.streams.capacity() * size_of::<Stream>();
        streams + self.streams.iter().map(|s| s.payload.capacity()).sum::<usize>()
    }
}
