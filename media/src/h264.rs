//! H.264: the decoder configuration record and the few header fields the house needs (ITU-T H.264, ISO/IEC 14496-15).

use crate::{ColorInfo, ParseError, VideoCodec, VideoConfig, nal};
use bytes::Bytes;
use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, SeqParameterSet};
use h264_reader::rbsp::BitReader;

/// NAL unit type of a coded slice of an IDR picture.
pub const NAL_IDR: u8 = 5;
/// NAL unit type of supplemental enhancement information.
pub const NAL_SEI: u8 = 6;
/// NAL unit type of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// NAL unit type of a picture parameter set.
pub const NAL_PPS: u8 = 8;

/// The `nal_unit_type` of a NAL unit; 0 for an empty one.
pub fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

/// Whether an access unit is an IDR by NAL type. Damage after the deciding slice is not looked at.
pub fn is_idr(data: &Bytes, nal_length_size: u8) -> bool {
    nal::units(data, nal_length_size).map_while(Result::ok).map(|n| nal_type(&n)).find(|t| (1..=NAL_IDR).contains(t))
        == Some(NAL_IDR)
}

/// Reads an `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) and the first SPS in it.
///
/// # Errors
/// When it is cut short, holds no SPS or PPS, or its SPS can't be read.
pub fn parse_config(record: &Bytes) -> Result<VideoConfig, ParseError> {
    const WHAT: &str = "the H.264 decoder configuration";
    let sets = parameter_sets(record)?;
    let sps_nal = sets.sps.first().ok_or(ParseError::Malformed { what: WHAT, detail: "it holds no SPS".into() })?;
    if sets.pps.is_empty() {
        return Err(ParseError::Malformed { what: WHAT, detail: "it holds no PPS".into() });
    }
    let rbsp = nal::unescape(sps_nal.get(1..).unwrap_or_default());
    let bad = |detail: String| ParseError::Malformed { what: "the H.264 sequence parameter set", detail };
    let sps = SeqParameterSet::from_bits(BitReader::new(rbsp.as_slice())).map_err(|e| bad(format!("{e:?}")))?;
    let (width, height) = sps.pixel_dimensions().map_err(|e| bad(format!("{e:?}")))?;
    if !(1..=16_384).contains(&width) || !(1..=16_384).contains(&height) {
        return Err(bad(format!("a picture of {width}x{height}")));
    }
    let vui = sps.vui_parameters.as_ref();
    let signal = vui.and_then(|v| v.video_signal_type.as_ref());
    let description = signal.and_then(|s| s.colour_description.as_ref());
    let color = ColorInfo {
        primaries: description.map_or(2, |d| d.colour_primaries),
        transfer: description.map_or(2, |d| d.transfer_characteristics),
        matrix: description.map_or(2, |d| d.matrix_coefficients),
        full_range: signal.is_some_and(|s| s.video_full_range_flag),
    };
    Ok(VideoConfig {
        codec: VideoCodec::H264,
        record: record.clone(),
        nal_length_size: sets.nal_length_size,
        width,
        height,
        sample_aspect: vui
            .and_then(|v| v.aspect_ratio_info.as_ref())
            .and_then(|a| a.get())
            .filter(|a| a.0 > 0 && a.1 > 0)
            .unwrap_or((1, 1)),
        codecs: format!("avc1.{:02x}{:02x}{:02x}", sps_nal[1], sps_nal[2], sps_nal[3]),
        bit_depth: 8 + sps.chroma_info.bit_depth_luma_minus8.max(sps.chroma_info.bit_depth_chroma_minus8),
        is_420: sps.chroma_info.chroma_format == ChromaFormat::YUV420,
        is_interlaced: !matches!(sps.frame_mbs_flags, FrameMbsFlags::Frames),
        frame_rate: vui
            .and_then(|v| v.timing_info.as_ref())
            .filter(|t| t.num_units_in_tick > 0 && t.time_scale > 0)
            .map(|t| f64::from(t.time_scale) / f64::from(t.num_units_in_tick) / 2.0),
        color,
    })
}

/// The parameter sets of a configuration record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParameterSets {
    /// 1, 2 or 4.
    pub nal_length_size: u8,
    /// Sequence parameter sets, NAL header included, each at least 4 bytes.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, NAL header included.
    pub pps: Vec<Bytes>,
}

/// Splits an `AVCDecoderConfigurationRecord` into its NAL units without reading them.
///
/// # Errors
/// When it is cut short or its length size is not 1, 2 or 4.
pub fn parameter_sets(record: &Bytes) -> Result<ParameterSets, ParseError> {
    const WHAT: &str = "the H.264 decoder configuration";
    let truncated = ParseError::Truncated { what: WHAT };
    if record.len() < 7 {
        return Err(truncated);
    }
    let nal_length_size = (record[4] & 3) + 1;
    if record[0] != 1 || nal_length_size == 3 {
        return Err(ParseError::Malformed {
            what: WHAT,
            detail: format!("version {}, NAL length size {nal_length_size}", record[0]),
        });
    }
    let mut at = 5;
    let mut take = |mask: u8| -> Result<Vec<Bytes>, ParseError> {
        let count = *record.get(at).ok_or(ParseError::Truncated { what: WHAT })? & mask;
        at += 1;
        let mut sets = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let size = record.get(at..at + 2).ok_or(ParseError::Truncated { what: WHAT })?;
            let size = usize::from(size[0]) << 8 | usize::from(size[1]);
            at += 2;
            if size < 1 || record.len() - at < size {
                return Err(ParseError::Truncated { what: WHAT });
            }
            sets.push(record.slice(at..at + size));
            at += size;
        }
        Ok(sets)
    };
    let sps = take(0x1f)?;
    let pps = take(0xff)?;
    if sps.iter().any(|s| s.len() < 4) {
        return Err(truncated);
    }
    Ok(ParameterSets { nal_length_size, sps, pps })
}

/// Builds an `AVCDecoderConfigurationRecord` with 4-byte NAL lengths from one SPS and one PPS (NAL headers included).
/// `None` when the SPS has fewer than 4 bytes or either exceeds 65,535.
pub fn build_config(sps: &[u8], pps: &[u8]) -> Option<Bytes> {
    let sps_size = u16::try_from(sps.len()).ok().filter(|n| *n >= 4)?;
    let pps_size = u16::try_from(pps.len()).ok()?;
    let mut out = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    out.extend(sps_size.to_be_bytes());
    out.extend(sps);
    out.push(1);
    out.extend(pps_size.to_be_bytes());
    out.extend(pps);
    if matches!(sps[1], 100 | 110 | 122 | 144 | 244) {
        let rbsp = nal::unescape(&sps[1..]);
        if let Ok(parsed) = SeqParameterSet::from_bits(BitReader::new(rbsp.as_slice())) {
            let chroma = match parsed.chroma_info.chroma_format {
                ChromaFormat::Monochrome => 0,
                ChromaFormat::YUV422 => 2,
                ChromaFormat::YUV444 => 3,
                _ => 1,
            };
            out.extend([
                0xfc | chroma,
                0xf8 | parsed.chroma_info.bit_depth_luma_minus8,
                0xf8 | parsed.chroma_info.bit_depth_chroma_minus8,
                0,
            ]);
        }
    }
    Some(out.into())
}
