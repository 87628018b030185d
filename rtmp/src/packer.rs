//! Media as messages that every player of a stream is sent as they are.
//!
//! What differs between connections is kept out of them: each begins with a full chunk header (fmt 0) and an absolute stamp, so it
//! needs no message before it; all are on the one message stream a player may open ([`MESSAGE_STREAM`]), in chunks of a size
//! that each player is told before ([`CHUNK_SIZE`]). A payload is not copied but cut into slices with the headers between.
//! Opens no socket and reads no clock.
//!
//! HEVC and Opus are Enhanced RTMP (Veovera, v1: `hvc1`, `Opus`), H.264 and AAC classic FLV tags, which all players read.
//!
//! ```
//! # use media::{AccessUnit, AudioCodec, AudioConfig, Config, MediaTime};
//! # use bytes::Bytes;
//! let config = AudioConfig {
//!     codec: AudioCodec::Aac, record: Bytes::from_static(&[0x11, 0x90]), sample_rate: 48_000, channels: 2, object_type: 2, frame_samples: 1024,
//! };
//! let mut packer = rtmp::packer::Packer::new(MediaTime::ZERO);
//! let at = MediaTime::from_millis(20);
//! let frame = AccessUnit { config: Config::Audio(config.into()), dts: at, pts: at, sync: true, data: Bytes::from_static(&[1, 2, 3]) };
//! let packet = packer.unit(&frame);
//! assert_eq!(packet.len(), 12 + 2 + 3); // a chunk header, a tag header, the frame
//! ```

use crate::amf0::{self, Value};
use crate::chunk::kind;
use crate::tag;
use bytes::{BufMut, Bytes, BytesMut};
use media::{AccessUnit, Announced, AudioConfig, Config, MediaTime, VideoConfig};

/// Chunk size of what players are sent: the largest that Flash's specification allows (Adobe Media Server, `ChunkSize`), so
/// that all but the largest pictures are one chunk.
pub const CHUNK_SIZE: u32 = 65_536;
/// The message stream of all media: the number the first `createStream` of a connection gets.
pub const MESSAGE_STREAM: u32 = 1;
/// Chunk streams as librtmp numbers them.
const VIDEO: u8 = 6;
const AUDIO: u8 = 4;
/// The longest tag header: an enhanced one with a composition time. The longest chunk header, with an extended stamp.
const HEAD_BYTES_MAX: usize = 8 + 16;
/// Heads are cut from blocks of this size, so that few of them cost an allocation.
const BLOCK_BYTES: usize = 4096;
/// What the length field of a message holds.
const LENGTH_MAX: usize = 0xff_ffff;

/// One message in chunks, ready to be sent. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct Packet {
    head: Bytes,
    body: Bytes,
    /// By turns the header of a further chunk and what is in it; empty for most.
    more: Vec<Bytes>,
}

impl Packet {
    /// What to send, in order; no piece is empty but that of an empty payload.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        [&self.head, &self.body].into_iter().chain(&self.more)
    }

    /// Bytes of all pieces.
    pub fn len(&self) -> usize {
        self.pieces().map(Bytes::len).sum()
    }

    /// Never: a message has a header at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Makes the messages of one stream.
#[derive(Debug)]
pub struct Packer {
    /// The time that is stamp 0.
    base: MediaTime,
    block: BytesMut,
}

impl Packer {
    /// A packer whose stamps count from `base`; what is earlier is stamped 0, and after 2^32 ms they begin again.
    pub fn new(base: MediaTime) -> Self {
        Self { base, block: BytesMut::new() }
    }

    /// A picture or a frame of sound. A payload above 16 MiB is cut, but nothing in the house makes one.
    pub fn unit(&mut self, unit: &AccessUnit) -> Packet {
        let stamp = self.stamp(unit.dts);
        let composition_ms = u32::try_from((self.millis(unit.pts) - self.millis(unit.dts)).max(0));
        let head = tag::Head::of(unit, composition_ms.unwrap_or(u32::MAX));
        let (kind, chunk_stream) = match unit.config {
            Config::Video(_) => (kind::VIDEO, VIDEO),
            Config::Audio(_) => (kind::AUDIO, AUDIO),
        };
        self.packet(kind, chunk_stream, stamp, head.as_slice(), &unit.data)
    }

    /// A change of the pictures' configuration, before the first picture it holds for.
    pub fn video_config(&mut self, config: &VideoConfig, at: MediaTime) -> Packet {
        self.packet(kind::VIDEO, VIDEO, self.stamp(at), tag::video_config(config.codec), &config.record)
    }

    /// The same for sound.
    pub fn audio_config(&mut self, config: &AudioConfig, at: MediaTime) -> Packet {
        self.packet(kind::AUDIO, AUDIO, self.stamp(at), tag::audio_config(config.codec), &config.record)
    }

    /// `onMetaData`: what is to come, for players that look before they decode. Its stamp is always 0: libavformat takes one with
    /// any other for a subtitle.
    pub fn metadata(
        &mut self,
        video: Option<&VideoConfig>,
        audio: Option<&AudioConfig>,
        announced: &Announced,
    ) -> Packet {
        let mut entries = tag::metadata(video, audio, announced);
        if let Some(audio) = audio {
            entries.push(("audiosamplesize".to_owned(), 16.0.into()));
            entries.push(("stereo".to_owned(), Value::Boolean(audio.channels > 1)));
        }
        let mut payload = BytesMut::new();
        amf0::write(&mut payload, &"onMetaData".into());
        amf0::write(&mut payload, &Value::Object(entries));
        self.packet(kind::DATA, AUDIO, 0, &[], &payload.freeze())
    }

    fn packet(&mut self, kind: u8, chunk_stream: u8, stamp: u32, tag: &[u8], data: &Bytes) -> Packet {
        let chunk = CHUNK_SIZE as usize;
        let data = data.slice(..data.len().min(LENGTH_MAX - tag.len()));
        if self.block.capacity() < HEAD_BYTES_MAX {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        let is_extended = stamp >= 0xff_ffff;
        self.block.put_u8(chunk_stream);
        self.block.put_uint(stamp.min(0xff_ffff).into(), 3);
        self.block.put_uint((tag.len() + data.len()) as u64, 3);
        self.block.put_u8(kind);
        self.block.put_u32_le(MESSAGE_STREAM);
        if is_extended {
            self.block.put_u32(stamp);
        }
        self.block.put_slice(tag);
        let head = self.block.split().freeze();
        let first = data.len().min(chunk - tag.len());
        let mut more = Vec::new();
        if first < data.len() {
            let mut header = vec![0xc0 | chunk_stream];
            if is_extended {
                header.put_u32(stamp);
            }
            let header = Bytes::from(header);
            for begin in (first..data.len()).step_by(chunk) {
                more.push(header.clone());
                more.push(data.slice(begin..data.len().min(begin + chunk)));
            }
        }
        Packet { head, body: data.slice(..first), more }
    }

    fn millis(&self, at: MediaTime) -> i64 {
        ((at - self.base).ticks() + 45).div_euclid(90)
    }

    fn stamp(&self, at: MediaTime) -> u32 {
        self.millis(at).max(0) as u32
    }
}

#[cfg(test)]
mod tests;
