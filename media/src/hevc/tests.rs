use super::sps::Vui;
use super::*;
use crate::ColorInfo;
use proptest::prelude::*;

/// Writes bits of a parameter set, as the specification's tables list them.
#[derive(Default)]
struct Writer(Vec<bool>);

impl Writer {
    fn put(&mut self, value: u64, count: u32) -> &mut Self {
        self.0.extend((0..count).rev().map(|n| value >> n & 1 == 1));
        self
    }

    fn golomb(&mut self, value: u64) -> &mut Self {
        let length = 64 - (value + 1).leading_zeros();
        self.put(0, length - 1).put(value + 1, length)
    }

    /// A NAL unit with its trailing bits.
    fn unit(&self) -> Vec<u8> {
        let mut bits = self.0.clone();
        bits.push(true);
        bits.resize(bits.len().next_multiple_of(8), false);
        nal::escape(&bits.chunks(8).map(|b| b.iter().fold(0, |n, bit| n << 1 | u8::from(*bit))).collect::<Vec<_>>())
    }
}

/// How a set of reference pictures is told.
#[derive(Debug, Clone)]
enum Set {
    /// The steps to its pictures: those shown before, those shown after.
    Listed(Vec<u64>, Vec<u64>),
    /// The difference to the set before, and which of its pictures are kept, and how.
    Predicted(bool, u64, Vec<(bool, bool)>),
}

/// Writes st_ref_pic_set() for each and follows what they hold as formulas 7-61 to 7-66 do.
fn write_sets(writer: &mut Writer, sets: &[Set]) {
    writer.golomb(sets.len() as u64);
    let (mut before, mut after): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
    for (n, set) in sets.iter().enumerate() {
        match set {
            Set::Predicted(is_before, distance, flags) if n > 0 => {
                writer.put(1, 1).put(u64::from(*is_before), 1).golomb(*distance - 1);
                let delta = *distance as i64 * if *is_before { -1 } else { 1 };
                let all = before.len() + after.len();
                // A set holds sixteen at most, so the rest is left out.
                let mut room = 16;
                let mut flag = |j: usize| {
                    let (used, kept) = flags.get(j).copied().unwrap_or_default();
                    let (used, kept) = (used && room > 0, kept && room > 0);
                    room -= usize::from(used || kept);
                    (used, kept)
                };
                let flags: Vec<_> = (0..=all).map(&mut flag).collect();
                for (used, kept) in &flags {
                    writer.put(u64::from(*used), 1);
                    if !used {
                        writer.put(u64::from(*kept), 1);
                    }
                }
                let use_delta = |j: usize| flags[j].0 || flags[j].1;
                let (mut negative, mut positive) = (Vec::new(), Vec::new());
                for j in (0..after.len()).rev() {
                    let at = after[j] + delta;
                    if at < 0 && use_delta(before.len() + j) {
                        negative.push(at);
                    }
                }
                if delta < 0 && use_delta(all) {
                    negative.push(delta);
                }
                for (j, at) in before.iter().enumerate() {
                    if at + delta < 0 && use_delta(j) {
                        negative.push(at + delta);
                    }
                }
                for j in (0..before.len()).rev() {
                    let at = before[j] + delta;
                    if at > 0 && use_delta(j) {
                        positive.push(at);
                    }
                }
                if delta > 0 && use_delta(all) {
                    positive.push(delta);
                }
                for (j, at) in after.iter().enumerate() {
                    if at + delta > 0 && use_delta(before.len() + j) {
                        positive.push(at + delta);
                    }
                }
                (before, after) = (negative, positive);
            }
            Set::Predicted(..) => {
                writer.golomb(0).golomb(0);
                (before, after) = (Vec::new(), Vec::new());
            }
            Set::Listed(down, up) => {
                if n > 0 {
                    writer.put(0, 1);
                }
                writer.golomb(down.len() as u64).golomb(up.len() as u64);
                let sum = |steps: &[u64], sign: i64| {
                    let add = |at: &mut i64, step: &u64| {
                        *at += sign * *step as i64;
                        Some(*at)
                    };
                    steps.iter().scan(0, add).collect::<Vec<_>>()
                };
                for step in down.iter().chain(up) {
                    writer.golomb(step - 1).put(1, 1);
                }
                (before, after) = (sum(down, -1), sum(up, 1));
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Made {
    sub_layers: Vec<(bool, bool)>,
    chroma_format: u64,
    size: (u64, u64),
    cropped: Option<[u64; 4]>,
    depth: (u64, u64),
    ordering: bool,
    scaling: bool,
    pcm: bool,
    sets: Vec<Set>,
    long_term: Option<u64>,
    order_bits: u64,
    aspect: Option<(u16, u16)>,
    color: Option<(bool, [u8; 3])>,
    timing: Option<(u32, u32)>,
}

impl Made {
    /// 64x64 and nothing that need not be there.
    fn plain() -> Self {
        Self {
            sub_layers: Vec::new(),
            chroma_format: 1,
            size: (64, 64),
            cropped: None,
            depth: (0, 0),
            ordering: true,
            scaling: false,
            pcm: false,
            sets: Vec::new(),
            long_term: None,
            order_bits: 8,
            aspect: None,
            color: None,
            timing: None,
        }
    }

    fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        let layers = self.sub_layers.len() as u64;
        w.put(u64::from(NAL_SPS) << 9 | 1, 16).put(0, 4).put(layers, 3).put(1, 1);
        w.put(0x5a_a55a_5aa5, 44).put(0x5a_a55a_5aa5, 44).put(93, 8);
        for (profile, level) in &self.sub_layers {
            w.put(u64::from(*profile), 1).put(u64::from(*level), 1);
        }
        if layers > 0 {
            w.put(0, 2 * (8 - layers as u32));
        }
        for (profile, level) in &self.sub_layers {
            w.put(u64::MAX, if *profile { 64 } else { 0 }).put(0, if *profile { 24 } else { 0 });
            w.put(0x5a, if *level { 8 } else { 0 });
        }
        w.golomb(0).golomb(self.chroma_format);
        if self.chroma_format == 3 {
            w.put(0, 1);
        }
        w.golomb(self.size.0).golomb(self.size.1).put(u64::from(self.cropped.is_some()), 1);
        self.cropped.iter().flatten().for_each(|side| _ = w.golomb(*side));
        w.golomb(self.depth.0).golomb(self.depth.1).golomb(self.order_bits - 4).put(u64::from(self.ordering), 1);
        for _ in 0..if self.ordering { layers + 1 } else { 1 } {
            w.golomb(4).golomb(2).golomb(0);
        }
        // Blocks of 8 to 64, transforms of 4 to 32.
        w.golomb(0).golomb(3).golomb(0).golomb(3).golomb(1).golomb(2).put(u64::from(self.scaling), 1);
        if self.scaling {
            w.put(1, 1);
            for size in 0..4 {
                for matrix in 0..if size == 3 { 2 } else { 6 } {
                    if matrix == 1 {
                        w.put(0, 1).golomb(1);
                        continue;
                    }
                    w.put(1, 1);
                    (0..[16, 64, 65, 65][size]).for_each(|n| _ = w.golomb(n));
                }
            }
        }
        w.put(3, 2).put(u64::from(self.pcm), 1);
        if self.pcm {
            w.put(0x77, 8).golomb(0).golomb(2).put(1, 1);
        }
        write_sets(&mut w, &self.sets);
        w.put(u64::from(self.long_term.is_some()), 1);
        if let Some(count) = self.long_term {
            w.golomb(count);
            (0..count).for_each(|n| _ = w.put(n, self.order_bits as u32).put(1, 1));
        }
        w.put(3, 2).put(1, 1);
        self.vui(&mut w);
        w.unit()
    }

    fn vui(&self, w: &mut Writer) {
        w.put(u64::from(self.aspect.is_some()), 1);
        if let Some((across, down)) = self.aspect {
            w.put(255, 8).put(across.into(), 16).put(down.into(), 16);
        }
        w.put(0b11, 2).put(u64::from(self.color.is_some()), 1);
        if let Some((full, [primaries, transfer, matrix])) = self.color {
            w.put(5, 3).put(full.into(), 1).put(1, 1);
            w.put(primaries.into(), 8).put(transfer.into(), 8).put(matrix.into(), 8);
        }
        w.put(1, 1).golomb(2).golomb(2).put(0, 3).put(1, 1).golomb(0).golomb(1).golomb(2).golomb(3);
        w.put(u64::from(self.timing.is_some()), 1);
        if let Some((tick, scale)) = self.timing {
            w.put(tick.into(), 32).put(scale.into(), 32).put(0, 2);
        }
    }

    fn expected(&self) -> Sps {
        let [left, right, top, bottom] = self.cropped.unwrap_or_default();
        let across = if matches!(self.chroma_format, 1 | 2) { 2 } else { 1 };
        let down = if self.chroma_format == 1 { 2 } else { 1 };
        let color = self.color.map_or(ColorInfo::UNSPECIFIED, |(full_range, [primaries, transfer, matrix])| {
            ColorInfo { primaries, transfer, matrix, full_range }
        });
        Sps {
            width: (self.size.0 - across * (left + right)) as u32,
            height: (self.size.1 - down * (top + bottom)) as u32,
            chroma_format: self.chroma_format as u32,
            bit_depth: 8 + self.depth.0.max(self.depth.1) as u8,
            vui: Vui {
                sample_aspect: self.aspect.unwrap_or((1, 1)),
                color,
                frame_rate: self.timing.map(|(tick, scale)| f64::from(scale) / f64::from(tick)),
            },
        }
    }
}

fn set() -> impl Strategy<Value = Set> {
    let steps = || proptest::collection::vec(1u64..1 << 15, 0..=8);
    prop_oneof![
        (steps(), steps()).prop_map(|(before, after)| Set::Listed(before, after)),
        (any::<bool>(), 1u64..40, proptest::collection::vec(any::<(bool, bool)>(), 0..20))
            .prop_map(|(is_before, distance, flags)| Set::Predicted(is_before, distance, flags)),
        // Near enough to each other for distances that meet at 0.
        (proptest::collection::vec(1u64..4, 0..=8), proptest::collection::vec(1u64..4, 0..=8))
            .prop_map(|(before, after)| Set::Listed(before, after)),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let layers = proptest::collection::vec(any::<(bool, bool)>(), 0..=6);
    let shape = (0u64..4, (64u64..8_192, 64u64..8_192), proptest::option::of(proptest::array::uniform4(0u64..8)));
    let tools = (any::<bool>(), any::<bool>(), any::<bool>(), (0u64..=8, 0u64..=8), 4u64..=16);
    let sets = (proptest::collection::vec(set(), 0..=12), proptest::option::of(0u64..=32));
    let vui = (
        proptest::option::of((1u16..200, 1u16..200)),
        proptest::option::of(any::<(bool, [u8; 3])>()),
        proptest::option::of((1u32.., 1u32..)),
    );
    (layers, shape, tools, sets, vui).prop_map(|(sub_layers, shape, tools, (sets, long_term), vui)| Made {
        sub_layers,
        chroma_format: shape.0,
        size: shape.1,
        cropped: shape.2,
        ordering: tools.0,
        scaling: tools.1,
        pcm: tools.2,
        depth: tools.3,
        order_bits: tools.4,
        sets,
        long_term,
        aspect: vui.0,
        color: vui.1,
        timing: vui.2,
    })
}

/// A record with these units as its sequence parameter sets.
fn record(units: &[&[u8]]) -> Bytes {
    let mut out = vec![1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0, 0, 0xfc, 0xfd, 0xf8, 0xf8, 0, 0, 0x0f, 1];
    out.push(NAL_SPS);
    out.extend((units.len() as u16).to_be_bytes());
    for unit in units {
        out.extend((unit.len() as u16).to_be_bytes());
        out.extend(*unit);
    }
    out.into()
}

proptest! {
    #[test]
    fn a_parameter_set_is_read_as_it_was_written(made in made()) {
        prop_assert_eq!(Sps::parse(&made.write()), Ok(made.expected()));
    }

    #[test]
    fn what_is_cut_short_or_damaged_gives_an_answer(made in made(), cut in any::<u16>(), at in any::<u16>(), bit in 0u8..8) {
        let whole = made.write();
        let _answer = parse_config(&record(&[&whole[..usize::from(cut) % whole.len()]]));
        let mut damaged = whole.clone();
        damaged[usize::from(at) % whole.len()] ^= 1 << bit;
        let _answer = parse_config(&record(&[&damaged]));
        let record = record(&[&whole]);
        let _answer = parse_config(&record.slice(..usize::from(cut) % record.len()));
    }

    #[test]
    fn any_bytes_give_an_answer(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _answer = parse_config(&record(&[&data]));
        let _answer = parse_config(&Bytes::from(data));
    }
}

#[test]
fn a_parameter_set_that_contradicts_itself_is_refused() {
    // Found by fuzzing a parser that subtracted them: transform blocks are larger than coding blocks.
    let record = Bytes::from_static(&[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x01, 0x00, 0x00, 0x1e, 0xf0, 0x00, 0xfc, 0xfd, 0xf8,
        0xf8, 0x00, 0x00, 0x0f, 0x01, 0xa1, 0x00, 0x01, 0x00, 0x29, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03,
        0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x1e, 0xa0, 0x20, 0x83, 0x3a, 0x59, 0x59, 0xae, 0x4c,
        0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40,
    ]);
    assert!(matches!(parse_config(&record), Err(ParseError::Malformed { .. })));
}

#[test]
fn a_picture_that_is_cut_off_whole_and_counts_without_end_are_refused() {
    let made = Made { cropped: Some([16, 16, 0, 0]), ..Made::plain() };
    assert!(matches!(Sps::parse(&made.write()), Err(ParseError::Malformed { .. })));
    let long = Made { long_term: Some(33), ..Made::plain() };
    assert!(matches!(Sps::parse(&long.write()), Err(ParseError::Malformed { .. })));
    let sets = Made { sets: vec![Set::Listed(vec![1; 9], vec![1; 9])], ..Made::plain() };
    assert!(matches!(Sps::parse(&sets.write()), Err(ParseError::Malformed { .. })));
}

#[test]
fn the_parameter_set_of_an_enhancement_layer_is_passed_over() {
    let mut enhancement = Made { size: (128, 64), ..Made::plain() }.write();
    enhancement[1] |= 1 << 3;
    let config = parse_config(&record(&[&enhancement, &Made::plain().write()])).expect("a record with a base layer");
    assert_eq!(config.width, 64);
}
