//! The HEVC sequence parameter set (ITU-T H.265, 7.3.2.2), read up to the timing in its VUI.
//!
//! Bounded by construction: every loop has the limit the specification gives it, and what passes that is refused.

use crate::bits::Bits;
use crate::{ColorInfo, ParseError, nal};

const WHAT: &str = "the HEVC sequence parameter set";
/// Most pictures a set of reference pictures holds (sps_max_dec_pic_buffering_minus1, A.4.2).
const REFERENCES_MAX: u32 = 16;
/// Sample aspect ratios by aspect_ratio_idc, from 1 on (table E.1).
const ASPECTS: [(u16, u16); 16] = [
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

/// What a sequence parameter set says of its pictures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sps {
    /// Shown pixels across, 1 to 16,384.
    pub width: u32,
    /// Shown pixels down, 1 to 16,384.
    pub height: u32,
    /// 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u32,
    /// Bits a sample, the larger of luma and chroma.
    pub bit_depth: u8,
    /// What the VUI adds.
    pub vui: Vui,
}

/// Video usability information (E.2.1).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vui {
    /// Width to height of a sample.
    pub sample_aspect: (u16, u16),
    pub color: ColorInfo,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
}

impl Sps {
    /// Reads a NAL unit of type 33, its two header bytes included.
    pub fn parse(unit: &[u8]) -> Result<Self, ParseError> {
        let rbsp = nal::unescape(unit);
        let mut bits = Bits::new(&rbsp, WHAT);
        bits.skip(16 + 4)?;
        let sub_layers_less_1 = bits.take(3)?;
        if sub_layers_less_1 > 6 {
            return Err(bits.bad("it has eight sub-layers"));
        }
        bits.skip(1)?;
        skip_profile_tier_level(&mut bits, sub_layers_less_1)?;
        bits.golomb_to(15, "its id")?;
        let chroma_format = bits.golomb_to(3, "chroma_format_idc")?;
        // separate_colour_plane_flag
        bits.skip(usize::from(chroma_format == 3))?;
        let coded = (bits.golomb()?, bits.golomb()?);
        let mut cropped = [0; 4];
        if bits.flag()? {
            for side in &mut cropped {
                *side = bits.golomb()?;
            }
        }
        let [left, right, top, bottom] = cropped.map(u64::from);
        // SubWidthC and SubHeightC, table 6-1.
        let across = if matches!(chroma_format, 1 | 2) { 2 } else { 1 };
        let down = if chroma_format == 1 { 2 } else { 1 };
        let width = u64::from(coded.0).checked_sub(across * (left + right));
        let height = u64::from(coded.1).checked_sub(down * (top + bottom));
        let (Some(width @ 1..=16_384), Some(height @ 1..=16_384)) = (width, height) else {
            let detail = format!("a picture of {}x{}, of which {cropped:?} is cut off", coded.0, coded.1);
            return Err(bits.bad(&detail));
        };
        let luma = bits.golomb_to(8, "bit_depth_luma_minus8")?;
        let chroma = bits.golomb_to(8, "bit_depth_chroma_minus8")?;
        let order_bits = 4 + bits.golomb_to(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        let first = if bits.flag()? { 0 } else { sub_layers_less_1 };
        for _ in first..=sub_layers_less_1 {
            for _ in 0..3 {
                bits.golomb()?;
            }
        }
        skip_coding_tools(&mut bits)?;
        skip_reference_sets(&mut bits)?;
        if bits.flag()? {
            let count = bits.golomb_to(32, "num_long_term_ref_pics_sps")?;
            for _ in 0..count {
                bits.skip(order_bits as usize + 1)?;
            }
        }
        bits.skip(2)?;
        let vui = if bits.flag()? { Vui::read(&mut bits)? } else { Vui::default() };
        Ok(Self {
            width: width as u32,
            height: height as u32,
            chroma_format,
            bit_depth: 8 + luma.max(chroma) as u8,
            vui,
        })
    }
}

/// profile_tier_level(1, n), 7.3.3.
fn skip_profile_tier_level(bits: &mut Bits, sub_layers_less_1: u32) -> Result<(), ParseError> {
    const PROFILE: usize = 88;
    const LEVEL: usize = 8;
    bits.skip(PROFILE + LEVEL)?;
    let mut skipped = 0;
    for _ in 0..sub_layers_less_1 {
        skipped += if bits.flag()? { PROFILE } else { 0 };
        skipped += if bits.flag()? { LEVEL } else { 0 };
    }
    if sub_layers_less_1 > 0 {
        bits.skip(2 * (8 - sub_layers_less_1 as usize))?;
    }
    bits.skip(skipped)
}

/// From the sizes of blocks to pulse code modulation.
fn skip_coding_tools(bits: &mut Bits) -> Result<(), ParseError> {
    let block = 3 + bits.golomb_to(3, "log2_min_luma_coding_block_size_minus3")?;
    let tree = block + bits.golomb_to(3, "log2_diff_max_min_luma_coding_block_size")?;
    let transform = 2 + bits.golomb_to(3, "log2_min_luma_transform_block_size_minus2")?;
    let transform_max = transform + bits.golomb_to(3, "log2_diff_max_min_luma_transform_block_size")?;
    // 7.4.3.2.1, of the same four.
    if !(4..=6).contains(&tree) || transform >= block || transform_max > tree.min(5) {
        return Err(bits.bad("the sizes of its blocks contradict each other"));
    }
    bits.golomb_to(4, "max_transform_hierarchy_depth_inter")?;
    bits.golomb_to(4, "max_transform_hierarchy_depth_intra")?;
    if bits.flag()? && bits.flag()? {
        skip_scaling_lists(bits)?;
    }
    bits.skip(2)?;
    if bits.flag()? {
        bits.skip(8)?;
        bits.golomb_to(2, "log2_min_pcm_luma_coding_block_size_minus3")?;
        bits.golomb_to(2, "log2_diff_max_min_pcm_luma_coding_block_size")?;
        bits.skip(1)?;
    }
    Ok(())
}

/// scaling_list_data(), 7.3.4.
fn skip_scaling_lists(bits: &mut Bits) -> Result<(), ParseError> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.golomb()?;
                continue;
            }
            let coefficients = 64.min(1 << (4 + 2 * size)) + if size > 1 { 1 } else { 0 };
            for _ in 0..coefficients {
                bits.golomb()?;
            }
        }
    }
    Ok(())
}

/// All st_ref_pic_set(), 7.3.7. A set may be told as the difference to the one before, so that one is kept: the distances of
/// its pictures, those shown before first, the nearest first on either side (7-61, 7-62).
fn skip_reference_sets(bits: &mut Bits) -> Result<(), ParseError> {
    let count = bits.golomb_to(64, "num_short_term_ref_pic_sets")?;
    let mut set: Vec<i64> = Vec::with_capacity(REFERENCES_MAX as usize);
    for n in 0..count {
        if n > 0 && bits.flag()? {
            let is_before = bits.flag()?;
            let distance = 1 + i64::from(bits.golomb_to((1 << 15) - 1, "abs_delta_rps_minus1")?);
            let moved = if is_before { -distance } else { distance };
            let mut next = Vec::with_capacity(REFERENCES_MAX as usize);
            for from in set.iter().chain([&0]) {
                let is_kept = bits.flag()? || bits.flag()?;
                if is_kept && from + moved != 0 {
                    next.push(from + moved);
                }
            }
            if next.len() > REFERENCES_MAX as usize {
                return Err(bits.bad("a set of reference pictures holds more than 16"));
            }
            next.sort_by_key(|at| (*at > 0, at.abs()));
            set = next;
        } else {
            let before = bits.golomb_to(REFERENCES_MAX, "num_negative_pics")?;
            let after = bits.golomb_to(REFERENCES_MAX - before, "num_positive_pics")?;
            set.clear();
            for (count, sign) in [(before, -1), (after, 1)] {
                let mut at = 0;
                for _ in 0..count {
                    at += sign * (1 + i64::from(bits.golomb_to((1 << 15) - 1, "delta_poc_minus1")?));
                    set.push(at);
                    bits.skip(1)?;
                }
            }
        }
    }
    Ok(())
}

impl Default for Vui {
    fn default() -> Self {
        Self { sample_aspect: (1, 1), color: ColorInfo::UNSPECIFIED, frame_rate: None }
    }
}

impl Vui {
    /// vui_parameters(), E.2.1, up to the timing.
    fn read(bits: &mut Bits) -> Result<Self, ParseError> {
        let mut vui = Self::default();
        if bits.flag()? {
            let aspect = match bits.take(8)? {
                255 => (bits.take(16)? as u16, bits.take(16)? as u16),
                index => (index as usize).checked_sub(1).and_then(|i| ASPECTS.get(i).copied()).unwrap_or((1, 1)),
            };
            if aspect.0 > 0 && aspect.1 > 0 {
                vui.sample_aspect = aspect;
            }
        }
        if bits.flag()? {
            bits.skip(1)?;
        }
        if bits.flag()? {
            bits.skip(3)?;
            vui.color.full_range = bits.flag()?;
            if bits.flag()? {
                vui.color.primaries = bits.take(8)? as u8;
                vui.color.transfer = bits.take(8)? as u8;
                vui.color.matrix = bits.take(8)? as u8;
            }
        }
        if bits.flag()? {
            bits.golomb_to(5, "chroma_sample_loc_type_top_field")?;
            bits.golomb_to(5, "chroma_sample_loc_type_bottom_field")?;
        }
        bits.skip(3)?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.golomb()?;
            }
        }
        if bits.flag()? {
            let (tick, scale) = (bits.take(32)?, bits.take(32)?);
            vui.frame_rate = (tick > 0 && scale > 0).then(|| f64::from(scale) / f64::from(tick));
        }
        Ok(vui)
    }
}
