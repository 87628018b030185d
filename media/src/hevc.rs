//! HEVC: the decoder configuration record and the few header fields the house needs (ITU-T H.265, ISO/IEC 14496-15).

use crate::{ColorInfo, ParseError, VideoCodec, VideoConfig, nal};
use bytes::Bytes;
use scuffle_h265::{HEVCDecoderConfigurationRecord, NALUnitType, SpsNALUnit};

/// NAL unit type of a prefix SEI message.
pub const NAL_SEI_PREFIX: u8 = 39;

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

/// Reads an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1) and the first SPS in it.
///
/// # Errors
/// When it is cut short, holds no SPS, or its SPS can't be read.
pub fn parse_config(record: &Bytes) -> Result<VideoConfig, ParseError> {
    const WHAT: &str = "the HEVC decoder configuration";
    let bad = |detail: String| ParseError::Malformed { what: WHAT, detail };
    if record.len() < 23 {
        return Err(ParseError::Truncated { what: WHAT });
    }
    let parsed = guarded(|| {
        HEVCDecoderConfigurationRecord::demux(std::io::Cursor::new(record.as_ref())).map_err(|e| bad(e.to_string()))
    })?;
    let sps_nal = parsed
        .arrays
        .iter()
        .filter(|a| a.nal_unit_type == NALUnitType::SpsNut)
        .flat_map(|a| a.nalus.first())
        .next()
        .ok_or_else(|| bad("it holds no SPS".into()))?;
    let sps = guarded(|| {
        SpsNALUnit::parse(std::io::Cursor::new(sps_nal.as_ref()))
            .map_err(|e| bad(format!("sequence parameter set: {e}")))
    })?
    .rbsp;
    // Cropping that exceeds the picture would underflow inside the parser's own helper.
    let sub = (u64::from(sps.sub_width_c()), u64::from(sps.sub_height_c()));
    let window = &sps.conformance_window;
    let cropped =
        |size: u64, sub: u64, a: u64, b: u64| sub.checked_mul(a.checked_add(b)?).and_then(|c| size.checked_sub(c));
    let width =
        cropped(sps.pic_width_in_luma_samples.get(), sub.0, window.conf_win_left_offset, window.conf_win_right_offset);
    let height =
        cropped(sps.pic_height_in_luma_samples.get(), sub.1, window.conf_win_top_offset, window.conf_win_bottom_offset);
    let (Some(width @ 1..=16_384), Some(height @ 1..=16_384)) = (width, height) else {
        return Err(bad(format!("a picture of {width:?}x{height:?}")));
    };
    let vui = sps.vui_parameters.as_ref();
    let color = vui.map_or(ColorInfo::UNSPECIFIED, |v| ColorInfo {
        primaries: v.video_signal_type.colour_primaries,
        transfer: v.video_signal_type.transfer_characteristics,
        matrix: v.video_signal_type.matrix_coeffs,
        full_range: v.video_signal_type.video_full_range_flag,
    });
    Ok(VideoConfig {
        codec: VideoCodec::Hevc,
        record: record.clone(),
        nal_length_size: (record[21] & 3) + 1,
        width: width as u32,
        height: height as u32,
        sample_aspect: (1, 1),
        codecs: codec_name(record),
        bit_depth: sps.bit_depth_y().max(sps.bit_depth_c()),
        is_420: sps.chroma_format_idc == 1,
        is_interlaced: false,
        frame_rate: vui
            .and_then(|v| v.vui_timing_info.as_ref())
            .map(|t| f64::from(t.time_scale.get()) / f64::from(t.num_units_in_tick.get())),
        color,
    })
}

/// Runs the foreign parser, whose arithmetic panics on some lying parameter sets (scuffle-h265 0.2.2, `sps/mod.rs` 303:
/// transform blocks larger than coding blocks; found by the fuzz target). What it was reading is thrown away with it.
fn guarded<T>(parse: impl FnOnce() -> Result<T, ParseError>) -> Result<T, ParseError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).unwrap_or_else(|_| {
        Err(ParseError::Malformed {
            what: "the HEVC sequence parameter set",
            detail: "its fields contradict each other".into(),
        })
    })
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
mod tests {
    use super::*;

    #[test]
    fn a_parameter_set_that_contradicts_itself_is_refused() {
        // Found by the fuzz target: the difference of two block sizes falls below zero in the parser.
        let record = Bytes::from_static(&[
            0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x01, 0x00, 0x00, 0x1e, 0xf0, 0x00, 0xfc, 0xfd, 0xf8,
            0xf8, 0x00, 0x00, 0x0f, 0x01, 0xa1, 0x00, 0x01, 0x00, 0x29, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03,
            0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1e, 0xa0, 0x20, 0x83, 0x3a, 0x59, 0x59, 0xae, 0x4c,
            0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40,
        ]);
        assert!(matches!(parse_config(&record), Err(ParseError::Malformed { .. })));
    }
}
