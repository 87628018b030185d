//! The records of a journal, as bytes. Reading takes any bytes and never panics.
//!
//! A journal is eight bytes that name the format, and records after each other. All numbers are little-endian. A record is
//!
//! | bytes | is |
//! | --- | --- |
//! | 4 | length of the body, 1 to 1 MiB |
//! | 4 | CRC-32 (IEEE) of the body |
//! | … | the body: one byte that says which record it is, and its fields |
//!
//! Text is a length byte and UTF-8; times are 90 kHz ticks in 8 bytes, lengths of time ticks in 4; dates are milliseconds
//! since 1970 in 8; a yes or no is a byte, 0 or 1; what may be missing has such a byte before it.

use crate::name::{MSN_MAX, is_safe};
use bytes::{Buf, BufMut, Bytes};
use media::{FrameRate, MediaTime, Track, VideoCodec};
use packager::{AudioCoding, Coding, VideoCoding};

/// What a journal begins with. The last byte is the version.
pub(crate) const MAGIC: [u8; 8] = *b"WEIRREL\x01";
/// Bytes before a body.
pub(crate) const FRAME_HEAD: usize = 8;
/// No record is longer: an init section is a few hundred bytes.
const BODY_MAX: usize = 1 << 20;
/// Bytes of [`Record::Sealed`] with its frame.
pub(crate) const SEALED_BYTES: usize = FRAME_HEAD + 1 + 8 + 8;
/// No segment, gap or part is longer: half an hour in ticks.
const DURATION_MAX: u32 = 1800 * MediaTime::HZ as u32;

/// What a reel says of itself before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The stream's public name.
    pub stream: String,
    /// The session's name.
    pub session: String,
    /// Its place among the session's reels.
    pub serial: u32,
    /// The number of its first segment.
    pub first_msn: u64,
    /// The place of that segment in playlists: its number without those that nobody has, as far as they are known.
    pub sequence: u64,
    /// Discontinuities in playlists before that segment.
    pub discontinuities: u64,
    /// Something is missing before that segment, so that it begins with a discontinuity.
    pub has_hole: bool,
    /// The session's target duration.
    pub target: MediaTime,
}

/// One fact about a reel. Renditions are counted in the order of their records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Record {
    Reel(Head),
    Rendition { id: String, track: Track },
    Init { rendition: u8, generation: u64, coding: Coding, data: Bytes },
    Begin { rendition: u8, msn: u64, start: MediaTime, wall_ms: i64, discontinuity: bool, init: Option<u64> },
    Part { rendition: u8, index: u32, chunk: Chunk, duration: MediaTime, independent: bool, gap: bool },
    End { rendition: u8, gap: bool },
    Sealed(Seal),
}

/// A part's bytes in its rendition's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub offset: u32,
    pub length: u32,
    pub crc: u32,
}

/// The last record: everything before it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    /// The number after the last segment of any rendition.
    pub until_msn: u64,
    /// When the last media ended, by the wall clock.
    pub until_wall_ms: i64,
}

/// Appends a record.
pub(crate) fn put(out: &mut Vec<u8>, record: &Record) {
    let at = out.len();
    out.extend([0; FRAME_HEAD]);
    put_body(out, record);
    let length = (out.len() - at - FRAME_HEAD) as u32;
    let crc = crc32fast::hash(&out[at + FRAME_HEAD..]);
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    out[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Takes the next record off the front. `None` when it is cut short or damaged; then nothing behind it counts.
pub(crate) fn take(input: &mut Bytes) -> Option<Record> {
    let mut head = input.get(..FRAME_HEAD)?;
    let (length, crc) = (head.get_u32_le() as usize, head.get_u32_le());
    if length == 0 || length > BODY_MAX || input.len() - FRAME_HEAD < length {
        return None;
    }
    let mut body = &input[FRAME_HEAD..FRAME_HEAD + length];
    if crc32fast::hash(body) != crc {
        return None;
    }
    let record = take_body(&mut body).filter(|_| body.is_empty())?;
    input.advance(FRAME_HEAD + length);
    Some(record)
}

/// Whether the next record was never written whole, rather than damaged.
pub(crate) fn is_cut_short(input: &[u8]) -> bool {
    let length = input.get(..4).map(|mut head| head.get_u32_le() as usize);
    length.is_none_or(|length| length == 0 || input.len().saturating_sub(FRAME_HEAD) < length)
}

fn put_body(out: &mut Vec<u8>, record: &Record) {
    match record {
        Record::Reel(head) => {
            out.put_u8(1);
            put_text(out, &head.stream);
            put_text(out, &head.session);
            out.put_u32_le(head.serial);
            out.put_u64_le(head.first_msn);
            out.put_u64_le(head.sequence);
            out.put_u64_le(head.discontinuities);
            out.put_u8(head.has_hole.into());
            put_duration(out, head.target);
        }
        Record::Rendition { id, track } => {
            out.put_u8(2);
            put_text(out, id);
            out.put_u8(if *track == Track::Video { 0 } else { 1 });
        }
        Record::Init { rendition, generation, coding, data } => {
            out.put_u8(3);
            out.put_u8(*rendition);
            out.put_u64_le(*generation);
            put_coding(out, coding);
            out.extend_from_slice(data);
        }
        Record::Begin { rendition, msn, start, wall_ms, discontinuity, init } => {
            out.put_u8(4);
            out.put_u8(*rendition);
            out.put_u64_le(*msn);
            out.put_i64_le(start.ticks());
            out.put_i64_le(*wall_ms);
            out.put_u8((*discontinuity).into());
            out.put_u8(init.is_some().into());
            if let Some(generation) = init {
                out.put_u64_le(*generation);
            }
        }
        Record::Part { rendition, index, chunk, duration, independent, gap } => {
            out.put_u8(5);
            out.put_u8(*rendition);
            out.put_u32_le(*index);
            out.put_u32_le(chunk.offset);
            out.put_u32_le(chunk.length);
            out.put_u32_le(chunk.crc);
            put_duration(out, *duration);
            out.put_u8((*independent).into());
            out.put_u8((*gap).into());
        }
        Record::End { rendition, gap } => {
            out.put_u8(6);
            out.put_u8(*rendition);
            out.put_u8((*gap).into());
        }
        Record::Sealed(seal) => {
            out.put_u8(7);
            out.put_u64_le(seal.until_msn);
            out.put_i64_le(seal.until_wall_ms);
        }
    }
}

fn take_body(body: &mut &[u8]) -> Option<Record> {
    Some(match body.try_get_u8().ok()? {
        1 => Record::Reel(Head {
            stream: take_text(body).filter(|text| is_safe(text))?,
            session: take_text(body).filter(|text| is_safe(text))?,
            serial: body.try_get_u32_le().ok()?,
            first_msn: take_msn(body)?,
            sequence: take_msn(body)?,
            discontinuities: take_msn(body)?,
            has_hole: take_bool(body)?,
            target: take_duration(body)?,
        }),
        2 => Record::Rendition {
            id: take_text(body).filter(|text| is_safe(text))?,
            track: if take_bool(body)? { Track::Audio } else { Track::Video },
        },
        3 => Record::Init {
            rendition: body.try_get_u8().ok()?,
            generation: take_msn(body)?,
            coding: take_coding(body)?,
            // A copy, so that it does not keep the whole journal in memory.
            data: Bytes::copy_from_slice(std::mem::take(body)),
        },
        4 => Record::Begin {
            rendition: body.try_get_u8().ok()?,
            msn: take_msn(body)?,
            start: MediaTime::from_ticks(body.try_get_i64_le().ok()?),
            wall_ms: body.try_get_i64_le().ok()?,
            discontinuity: take_bool(body)?,
            init: if take_bool(body)? { Some(take_msn(body)?) } else { None },
        },
        5 => Record::Part {
            rendition: body.try_get_u8().ok()?,
            index: body.try_get_u32_le().ok()?,
            chunk: Chunk {
                offset: body.try_get_u32_le().ok()?,
                length: body.try_get_u32_le().ok()?,
                crc: body.try_get_u32_le().ok()?,
            },
            duration: take_duration(body)?,
            independent: take_bool(body)?,
            gap: take_bool(body)?,
        },
        6 => Record::End { rendition: body.try_get_u8().ok()?, gap: take_bool(body)? },
        7 => Record::Sealed(Seal { until_msn: take_msn(body)?, until_wall_ms: body.try_get_i64_le().ok()? }),
        _ => return None,
    })
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Names have at most 64 bytes; RFC 6381 names are shorter still.
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    out.put_u8(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

fn take_text(body: &mut &[u8]) -> Option<String> {
    let length = usize::from(body.try_get_u8().ok()?);
    let (text, rest) = body.split_at_checked(length)?;
    *body = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn put_duration(out: &mut Vec<u8>, duration: MediaTime) {
    out.put_u32_le(duration.ticks().clamp(1, i64::from(DURATION_MAX)) as u32);
}

fn take_duration(body: &mut &[u8]) -> Option<MediaTime> {
    let ticks = body.try_get_u32_le().ok().filter(|ticks| (1..=DURATION_MAX).contains(ticks))?;
    Some(MediaTime::from_ticks(ticks.into()))
}

fn take_msn(body: &mut &[u8]) -> Option<u64> {
    body.try_get_u64_le().ok().filter(|msn| *msn < MSN_MAX)
}

fn take_bool(body: &mut &[u8]) -> Option<bool> {
    match body.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn put_coding(out: &mut Vec<u8>, coding: &Coding) {
    match coding {
        Coding::Video(video) => {
            out.put_u8(if video.codec == VideoCodec::H264 { 0 } else { 1 });
            put_text(out, &video.codecs);
            out.put_u32_le(video.width);
            out.put_u32_le(video.height);
            out.put_u32_le(video.frame_rate.num);
            out.put_u32_le(video.frame_rate.den);
            out.put_u8(video.transfer);
        }
        Coding::Audio(audio) => {
            out.put_u8(2);
            put_text(out, &audio.codecs);
            out.put_u8(audio.channels);
            out.put_u32_le(audio.sample_rate);
        }
    }
}

fn take_coding(body: &mut &[u8]) -> Option<Coding> {
    let codec = match body.try_get_u8().ok()? {
        0 => VideoCodec::H264,
        1 => VideoCodec::Hevc,
        2 => {
            return Some(Coding::Audio(AudioCoding {
                codecs: take_codecs(body)?,
                channels: body.try_get_u8().ok()?,
                sample_rate: body.try_get_u32_le().ok()?,
            }));
        }
        _ => return None,
    };
    let (codecs, width, height) = (take_codecs(body)?, body.try_get_u32_le().ok()?, body.try_get_u32_le().ok()?);
    let frame_rate = FrameRate { num: body.try_get_u32_le().ok()?, den: body.try_get_u32_le().ok()? };
    let transfer = body.try_get_u8().ok()?;
    let is_rate = frame_rate.num > 0 && frame_rate.den > 0;
    is_rate.then_some(Coding::Video(VideoCoding { codec, codecs, width, height, frame_rate, transfer }))
}

/// It goes into a quoted string of a playlist.
fn take_codecs(body: &mut &[u8]) -> Option<String> {
    take_text(body).filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')))
}

#[cfg(test)]
pub(crate) mod tests;
