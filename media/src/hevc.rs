//! HEVC: the decoder configuration record and the few header fields the house needs (ITU-T H.265, ISO/IEC 14496-15).

mod sps;

use crate::{ParseError, VideoCodec, VideoConfig, nal};
use bytes::Bytes;
use sps::Sps;

/// NAL unit type of a prefix SEI message.
pub const NAL_SEI_PREFIX: u8 = 39;
const NAL_SPS: u8 = 33;
const WHAT: &str = "the HEVC decoder configuration";
/// Bytes of a record before its arrays; the last of them counts those.
const HEADER: usize = 23;

/// The `nal_unit_type` of a NAL unit; 255 for an empty one.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(255, |b| b >> 1 & 0x3f)
}

/// Whether an access unit is an IDR (types 19 and 20; a CRA is not one, as pictures before it may not decode).
pub fn is_idr(data: &Bytes, nal_length_size: u8) -> bool {
    nal::units(data, nal_length_size)
        .map_while(Result::ok)
        .map(|n| nal_type(&n))
        .find(|t| *t < 32)
        .is_some_and(|t| t == 19 || t == 20)
}

/// Reads an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1) and the first SPS of the base layer in it.
///
/// # Errors
/// When it is cut short, holds no SPS, or its SPS can't be read.
pub fn parse_config(record: &Bytes) -> Result<VideoConfig, ParseError> {
    let bad = |detail: String| ParseError::Malformed { what: WHAT, detail };
    let unit = first_sps(record)?.ok_or_else(|| bad("it holds no SPS".into()))?;
    let nal_length_size = (record[21] & 3) + 1;
    if nal_length_size == 3 {
        return Err(bad("NAL length size 3".into()));
    }
    let sps = Sps::parse(unit)?;
    Ok(VideoConfig {
        codec: VideoCodec::Hevc,
        record: record.clone(),
        nal_length_size,
        width: sps.width,
        height: sps.height,
        sample_aspect: sps.vui.sample_aspect,
        codecs: codec_name(record),
        bit_depth: sps.bit_depth,
        is_420: sps.chroma_format == 1,
        is_interlaced: false,
        frame_rate: sps.vui.frame_rate,
        color: sps.vui.color,
    })
}

/// The first parameter set of type 33 in layer 0. A record that gives one has at least [`HEADER`] bytes.
fn first_sps(record: &[u8]) -> Result<Option<&[u8]>, ParseError> {
    let mut rest = record.get(HEADER..).ok_or(ParseError::Truncated { what: WHAT })?;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count).ok_or(ParseError::Truncated { what: WHAT })?;
        rest = tail;
        Ok(head)
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
    for _ in 0..record[HEADER - 1] {
        let kind = take(1)?[0] & 0x3f;
        for _ in 0..number(take(2)?) {
            let size = number(take(2)?);
            let unit = take(size)?;
            let is_base = unit.len() > 1 && unit[0] & 1 == 0 && unit[1] >> 3 == 0;
            if kind == NAL_SPS && is_base {
                return Ok(Some(unit));
            }
        }
    }
    Ok(None)
}

/// RFC 6381 name from the record's general profile fields (ISO/IEC 14496-15, annex E.3). `record` has at least 23 bytes.
fn codec_name(record: &Bytes) -> String {
    let space = match record[1] >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let tier = if record[1] & 0x20 != 0 { 'H' } else { 'L' };
    let compatibility = u32::from_be_bytes([record[2], record[3], record[4], record[5]]).reverse_bits();
    let mut name = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", record[1] & 0x1f, record[12]);
    let constraints = &record[6..12];
    let used = constraints.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    for byte in &constraints[..used] {
        name.push_str(&format!(".{byte:X}"));
    }
    name
}

#[cfg(test)]
mod tests;
