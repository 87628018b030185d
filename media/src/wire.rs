//! The language between the server and its worker processes: messages over one byte stream, both ways.
//!
//! Layout, all integers little-endian: `length: u32` (of what follows, 1 to [`MESSAGE_MAX`]), `kind: u8`, then the
//! fields of that kind in the order of their declaration. Stamps are i64 ticks of [`MediaTime`]; text and byte fields are
//! `length: u32` and the bytes, but the last byte field of a unit fills the message. The version is part of the first
//! message each way. A worker decodes bytes from strangers in C code, so the server takes every message from it as an
//! attacker's: unknown kinds, impossible values and bytes left over are errors, and the worker is replaced.
//!
//! This module moves no bytes itself; the two sides read a length with [`message_length`], then the message, then decode.
//!
//! ```
//! use media::wire::{self, FromWorker};
//! let mut bytes = bytes::BytesMut::new();
//! FromWorker::Finished.encode(&mut bytes);
//! let message = bytes.split_off(4).freeze();
//! assert_eq!(wire::message_length([bytes[0], bytes[1], bytes[2], bytes[3]]), Ok(message.len()));
//! assert_eq!(FromWorker::decode(message), Ok(FromWorker::Finished));
//! ```

mod fields;
#[cfg(test)]
mod tests;

use crate::{AudioConfig, FrameRate, MediaTime, Rung, Track, VideoConfig};
use bytes::{Bytes, BytesMut};
use fields::{Reader, Writer};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Version of the layout; both sides are the same binary, so another one means a wrong executable.
pub const VERSION: u16 = 4;
/// Longest message after its length field, bytes.
pub const MESSAGE_MAX: usize = 8 << 20;
/// Longest payload of a unit, so that its message fits.
pub const UNIT_MAX: usize = MESSAGE_MAX - 64;
/// Rungs of one worker; a rung's index is below it.
pub const RUNGS_MAX: usize = 12;
/// Largest still image; one that a camera takes fits.
pub const STILL_MAX: usize = 6 << 20;
/// Most bytes of a reader's connection that the server may have read before it hands it over.
pub const READER_HEAD_MAX: usize = 16 << 10;
/// Longest decoder configuration record.
const RECORD_MAX: usize = 64 << 10;
/// Longest thumbnail.
const THUMB_MAX: usize = 1 << 20;
/// Longest text.
const TEXT_MAX: usize = 1024;

/// Why a message could not be read. Ours when it came from the server, the worker's when it came from there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A message has no bytes or more than [`MESSAGE_MAX`].
    #[error("a message of {length} bytes")]
    Length {
        /// The length it announced.
        length: usize,
    },
    /// The other side speaks another version, or another kind of message than known.
    #[error("message kind {kind} is unknown")]
    Kind {
        /// The kind byte.
        kind: u8,
    },
    /// A field is missing, impossible, or followed by bytes that belong to none.
    #[error("a message has a bad {field}")]
    Field {
        /// The field.
        field: &'static str,
    },
}

/// The length of the message behind a length field.
///
/// # Errors
/// When it is 0 or above [`MESSAGE_MAX`].
pub fn message_length(header: [u8; 4]) -> Result<usize, WireError> {
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if (1..=MESSAGE_MAX).contains(&length) { Ok(length) } else { Err(WireError::Length { length }) }
}

/// Which H.264 encoder a worker uses.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum EncoderChoice {
    /// The first of the hardware encoders of this machine that passes a trial encode, else x264.
    Auto,
    /// x264, the system's `x264enc`.
    #[default]
    X264,
    /// Cisco's `openh264enc`: faster and worse, for machines without x264.
    OpenH264,
    /// A GStreamer element by its name, such as `vah264enc`; lower-case letters and digits, at most 32.
    Element(String),
}

impl fmt::Display for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::X264 => "x264",
            Self::OpenH264 => "openh264",
            Self::Element(name) => name,
        })
    }
}

impl FromStr for EncoderChoice {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        match text {
            "auto" => Ok(Self::Auto),
            "x264" | "x264enc" => Ok(Self::X264),
            "openh264" | "openh264enc" => Ok(Self::OpenH264),
            name if (1..=32).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) =>
            {
                Ok(Self::Element(name.to_owned()))
            }
            _ => Err(WireError::Field { field: "encoder" }),
        }
    }
}

/// A rung of a worker and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct RungSetup {
    /// What to encode.
    pub rung: Rung,
    /// Pictures before this instant are published already or not wanted; the first at or after it is an IDR.
    pub from: Option<MediaTime>,
}

/// The first message to a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Constant frame rate of all rungs.
    pub frame_rate: FrameRate,
    /// Which encoder.
    pub encoder: EncoderChoice,
    /// Rungs to begin with, highest first, at most [`RUNGS_MAX`]; their indices count from 0 in this order.
    pub rungs: Vec<RungSetup>,
    /// Time between thumbnails; zero or less for none.
    pub thumb_every: MediaTime,
    /// Bit rate of encoded audio, bits per second; 0 when audio is not encoded.
    pub audio_bitrate_bps: u32,
    /// Audio frames that start before this instant are published already.
    pub audio_from: Option<MediaTime>,
    /// For the test card: the words in the picture.
    pub title: String,
}

/// A connection that reads a stream over RTSP, on its way to the worker. Its socket goes another way, before this.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReader {
    /// What the server calls it; never used twice for one worker.
    pub number: u64,
    /// Where it comes from; its datagrams are sent there.
    pub address: IpAddr,
    /// The port of its connection.
    pub port: u16,
    /// The path of its URLs, without what names a track: `/show`, or with what let it in.
    pub path: String,
    /// It may have media on its connection alone, and no datagrams.
    pub interleaved: bool,
    /// What was read of its connection and not answered: text, at most [`READER_HEAD_MAX`] bytes.
    pub head: Bytes,
}

/// What the server tells a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// Comes first, once.
    Setup(Setup),
    /// The units of video that follow need this configuration.
    Video(VideoConfig),
    /// The units of audio that follow need this configuration.
    Audio(AudioConfig),
    /// One source unit.
    Unit {
        /// Which track.
        track: Track,
        /// Decode time.
        dts: MediaTime,
        /// Presentation time.
        pts: MediaTime,
        /// An IDR.
        sync: bool,
        /// As in `AccessUnit::data`; at most [`UNIT_MAX`] bytes.
        data: Bytes,
    },
    /// Every rung has an IDR at exactly `at`.
    Boundary {
        /// Media sequence number of the segment that begins there.
        msn: u64,
        /// Where.
        at: MediaTime,
        /// Media before and after don't join.
        discontinuity: bool,
    },
    /// One more rung, whose index is the next free one, from an IDR at exactly `from` on.
    AddRung(RungSetup),
    /// The encoder of a rung stops at once, what is in it is lost. With `from` another begins there; a stamp that is past
    /// begins at the next picture.
    Rung {
        /// The rung's index.
        rung: u8,
        /// The first picture wanted, an IDR; `None` for none until told otherwise.
        from: Option<MediaTime>,
    },
    /// For a slate: the image to show instead of the last picture of the units.
    Still {
        /// JPEG or PNG, as it came from its owner; at most [`STILL_MAX`] bytes.
        data: Bytes,
    },
    /// Nothing follows; everything inside is to come out, then [`FromWorker::Finished`].
    Finish,
    /// For RTSP: one more connection, which is given the units before this back to the newest IDR.
    Reader(NewReader),
}

/// What a worker counted since its start. Sent twice a second, so it is the heartbeat too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Pictures taken.
    pub pictures_in: u64,
    /// Pictures the decoder gave.
    pub pictures_decoded: u64,
    /// Pictures the decoder lost or marked as damaged.
    pub pictures_damaged: u64,
    /// Slots filled by showing a picture again.
    pub slots_repeated: u64,
    /// Decoded pictures no slot had room for.
    pub pictures_dropped: u64,
    /// Encoded pictures given, of all rungs.
    pub pictures_out: u64,
    /// Audio frames taken.
    pub frames_in: u64,
    /// Audio frames given.
    pub frames_out: u64,
    /// From taking the newest picture to giving it on the slowest rung, in stream time.
    pub lag: MediaTime,
    /// Processor time used, milliseconds.
    pub cpu_ms: u64,
}

/// What a worker that serves readers counted since its start. Sent twice a second in the place of [`Stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readership {
    /// Connections it has now.
    pub readers: u64,
    /// Units taken.
    pub units_in: u64,
    /// Payload bytes given to readers, each counted for itself.
    pub bytes_out: u64,
    /// Units that readers too slow for the stream lost, each counted for itself.
    pub units_lost: u64,
    /// Processor time used, milliseconds.
    pub cpu_ms: u64,
}

/// What a worker tells the server.
#[derive(Debug, Clone, PartialEq)]
pub enum FromWorker {
    /// Comes first: the sandbox stands and GStreamer is up.
    Ready {
        /// [`VERSION`].
        version: u16,
        /// What holds the worker in, in one line.
        sandbox: String,
    },
    /// Parameter sets of a rung; its units that follow need them.
    RungConfig {
        /// The rung's index.
        rung: u8,
        /// `AVCDecoderConfigurationRecord` with 4-byte lengths.
        record: Bytes,
    },
    /// Configuration of the encoded audio.
    AudioConfig {
        /// AudioSpecificConfig.
        record: Bytes,
    },
    /// One encoded picture.
    Picture {
        /// The rung's index.
        rung: u8,
        /// Decode time.
        dts: MediaTime,
        /// Presentation time, exactly on a slot.
        pts: MediaTime,
        /// An IDR.
        sync: bool,
        /// NAL units behind 4-byte lengths.
        data: Bytes,
    },
    /// One encoded audio frame.
    Frame {
        /// Presentation time; priming taken off.
        pts: MediaTime,
        /// Raw AAC.
        data: Bytes,
    },
    /// A thumbnail.
    Thumb {
        /// JPEG, at most 1 MiB.
        data: Bytes,
    },
    /// Each second.
    Stats(Stats),
    /// A fact for the log: a change of encoder, damage.
    Notice {
        /// One sentence of printable text.
        text: String,
    },
    /// The worker can't do its work and a new one could not either.
    Unable {
        /// Cause and cure, one sentence.
        text: String,
    },
    /// The answer to [`ToWorker::Finish`]: everything came out.
    Finished,
    /// A reader's connection is over.
    ReaderLeft {
        /// Its [`NewReader::number`].
        number: u64,
    },
    /// Each half second, of a worker that serves readers.
    Readership(Readership),
}

impl ToWorker {
    /// Appends the message with its length field.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut w = Writer::new(out);
        match self {
            Self::Setup(setup) => {
                w.kind(1);
                w.u16(VERSION);
                w.frame_rate(setup.frame_rate);
                w.text(&setup.encoder.to_string());
                w.u8(u8::try_from(setup.rungs.len()).unwrap_or(u8::MAX));
                for rung in &setup.rungs {
                    w.rung(rung);
                }
                w.time(setup.thumb_every);
                w.u32(setup.audio_bitrate_bps);
                w.optional_time(setup.audio_from);
                w.text(&setup.title);
            }
            Self::Video(config) => {
                w.kind(2);
                w.video(config);
            }
            Self::Audio(config) => {
                w.kind(3);
                w.audio(config);
            }
            Self::Unit { track, dts, pts, sync, data } => {
                w.kind(4);
                w.u8(u8::from(*track == Track::Audio));
                w.time(*dts);
                w.time(*pts);
                w.u8(u8::from(*sync));
                w.rest(data);
            }
            Self::Boundary { msn, at, discontinuity } => {
                w.kind(5);
                w.u64(*msn);
                w.time(*at);
                w.u8(u8::from(*discontinuity));
            }
            Self::AddRung(rung) => {
                w.kind(6);
                w.rung(rung);
            }
            Self::Finish => w.kind(7),
            Self::Rung { rung, from } => {
                w.kind(8);
                w.u8(*rung);
                w.optional_time(*from);
            }
            Self::Still { data } => {
                w.kind(9);
                w.rest(data);
            }
            Self::Reader(reader) => {
                w.kind(10);
                w.u64(reader.number);
                w.text(&reader.address.to_string());
                w.u16(reader.port);
                w.text(&reader.path);
                w.u8(u8::from(reader.interleaved));
                w.rest(&reader.head);
            }
        }
        w.close();
    }

    /// Reads a message without its length field.
    ///
    /// # Errors
    /// When it is not one of these or a field is impossible.
    pub fn decode(message: Bytes) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.u8("kind")? {
            1 => {
                if r.u16("version")? != VERSION {
                    return Err(WireError::Field { field: "version" });
                }
                let frame_rate = r.frame_rate()?;
                let encoder = r.text("encoder", TEXT_MAX)?.parse()?;
                let count = r.at_most(u64::from(RUNGS_MAX as u32), "rung count", |r, f| r.u8(f).map(u64::from))?;
                let rungs = (0..count).map(|_| r.rung()).collect::<Result<_, _>>()?;
                Self::Setup(Setup {
                    frame_rate,
                    encoder,
                    rungs,
                    thumb_every: r.time("thumbnail interval")?,
                    audio_bitrate_bps: r.u32("audio bit rate")?,
                    audio_from: r.optional_time("audio start")?,
                    title: r.text("title", TEXT_MAX)?,
                })
            }
            2 => Self::Video(r.video()?),
            3 => Self::Audio(r.audio()?),
            4 => Self::Unit {
                track: if r.flag("track")? { Track::Audio } else { Track::Video },
                dts: r.time("dts")?,
                pts: r.time("pts")?,
                sync: r.flag("sync")?,
                data: r.rest("unit", 0, UNIT_MAX)?,
            },
            5 => Self::Boundary {
                msn: r.u64("media sequence number")?,
                at: r.time("boundary")?,
                discontinuity: r.flag("discontinuity")?,
            },
            6 => Self::AddRung(r.rung()?),
            7 => Self::Finish,
            8 => Self::Rung { rung: r.rung_index()?, from: r.optional_time("rung start")? },
            9 => Self::Still { data: r.rest("still", 1, STILL_MAX)? },
            10 => Self::Reader(NewReader {
                number: r.u64("reader")?,
                address: r.text("address", TEXT_MAX)?.parse().map_err(|_| WireError::Field { field: "address" })?,
                port: r.u16("port")?,
                path: r.text("path", TEXT_MAX)?,
                interleaved: r.flag("transport")?,
                head: r.rest("head", 0, READER_HEAD_MAX)?,
            }),
            kind => return Err(WireError::Kind { kind }),
        };
        r.end()?;
        Ok(decoded)
    }
}

impl FromWorker {
    /// Appends the message with its length field.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut w = Writer::new(out);
        match self {
            Self::Ready { version, sandbox } => {
                w.kind(65);
                w.u16(*version);
                w.text(sandbox);
            }
            Self::RungConfig { rung, record } => {
                w.kind(66);
                w.u8(*rung);
                w.rest(record);
            }
            Self::AudioConfig { record } => {
                w.kind(67);
                w.rest(record);
            }
            Self::Picture { rung, dts, pts, sync, data } => {
                w.kind(68);
                w.u8(*rung);
                w.time(*dts);
                w.time(*pts);
                w.u8(u8::from(*sync));
                w.rest(data);
            }
            Self::Frame { pts, data } => {
                w.kind(69);
                w.time(*pts);
                w.rest(data);
            }
            Self::Thumb { data } => {
                w.kind(70);
                w.rest(data);
            }
            Self::Stats(stats) => {
                w.kind(71);
                for count in [
                    stats.pictures_in,
                    stats.pictures_decoded,
                    stats.pictures_damaged,
                    stats.slots_repeated,
                    stats.pictures_dropped,
                    stats.pictures_out,
                    stats.frames_in,
                    stats.frames_out,
                ] {
                    w.u64(count);
                }
                w.time(stats.lag);
                w.u64(stats.cpu_ms);
            }
            Self::Notice { text } => {
                w.kind(72);
                w.text(text);
            }
            Self::Unable { text } => {
                w.kind(73);
                w.text(text);
            }
            Self::Finished => w.kind(74),
            Self::ReaderLeft { number } => {
                w.kind(75);
                w.u64(*number);
            }
            Self::Readership(counted) => {
                w.kind(76);
                let Readership { readers, units_in, bytes_out, units_lost, cpu_ms } = *counted;
                [readers, units_in, bytes_out, units_lost, cpu_ms].into_iter().for_each(|count| w.u64(count));
            }
        }
        w.close();
    }

    /// Reads a message without its length field. What it holds is possible by itself; whether the rung exists, the
    /// record parses and the NAL units are whole is for the caller to check.
    ///
    /// # Errors
    /// When it is not one of these or a field is impossible.
    pub fn decode(message: Bytes) -> Result<Self, WireError> {
        let mut r = Reader::new(message);
        let decoded = match r.u8("kind")? {
            65 => Self::Ready { version: r.u16("version")?, sandbox: r.text("sandbox", TEXT_MAX)? },
            66 => Self::RungConfig { rung: r.rung_index()?, record: r.rest("record", 7, RECORD_MAX)? },
            67 => Self::AudioConfig { record: r.rest("record", 2, RECORD_MAX)? },
            68 => Self::Picture {
                rung: r.rung_index()?,
                dts: r.time("dts")?,
                pts: r.time("pts")?,
                sync: r.flag("sync")?,
                data: r.rest("picture", 5, UNIT_MAX)?,
            },
            69 => Self::Frame { pts: r.time("pts")?, data: r.rest("frame", 1, 8191)? },
            70 => Self::Thumb { data: r.rest("thumbnail", 4, THUMB_MAX)? },
            71 => {
                let mut count = || r.u64("count");
                Self::Stats(Stats {
                    pictures_in: count()?,
                    pictures_decoded: count()?,
                    pictures_damaged: count()?,
                    slots_repeated: count()?,
                    pictures_dropped: count()?,
                    pictures_out: count()?,
                    frames_in: count()?,
                    frames_out: count()?,
                    lag: r.time("lag")?,
                    cpu_ms: r.u64("processor time")?,
                })
            }
            72 => Self::Notice { text: r.text("notice", TEXT_MAX)? },
            73 => Self::Unable { text: r.text("reason", TEXT_MAX)? },
            74 => Self::Finished,
            75 => Self::ReaderLeft { number: r.u64("reader")? },
            76 => {
                let mut count = || r.u64("count");
                Self::Readership(Readership {
                    readers: count()?,
                    units_in: count()?,
                    bytes_out: count()?,
                    units_lost: count()?,
                    cpu_ms: count()?,
                })
            }
            kind => return Err(WireError::Kind { kind }),
        };
        r.end()?;
        Ok(decoded)
    }
}
