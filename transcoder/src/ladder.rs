//! Which renditions a source is encoded to: pure arithmetic on sizes and rates, no media.

use crate::Error;
use media::{FrameRate, Rung};
use std::fmt;
use std::str::FromStr;

/// What the ladder must know of the source picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceShape {
    /// Displayed width in luma samples, at least 1.
    pub width: u32,
    /// Displayed height in luma samples, at least 1.
    pub height: u32,
    /// Sample aspect ratio, (1, 1) for square samples; rungs always have square samples.
    pub sample_aspect: (u16, u16),
    /// The source's frame rate as measured.
    pub frame_rate: FrameRate,
}

/// One step of a configured ladder: `720p:2800k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Luma samples of the shorter side (the height of a landscape picture), even, 64 to 2,160.
    pub short_side: u32,
    /// Target bit rate, bits per second, 50,000 to 50,000,000.
    pub bitrate_bps: u32,
}

/// The configured steps, highest first; empty means that nothing but the source is offered.
///
/// ```
/// use transcoder::Ladder;
/// let ladder: Ladder = "720p:2800k, 360p:600k".parse().expect("two steps");
/// assert_eq!(ladder.to_string(), "720p:2800k,360p:600k");
/// assert_eq!(Ladder::default().to_string(), "720p:2800k,480p:1200k,360p:600k");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder(Vec<Step>);

/// Frames per second above this are halved until they fit: no player gains from more, and the cost doubles.
const FRAME_RATE_MAX: f64 = 60.5;
/// A re-encoded top rung is never larger than this on its shorter side (1080p).
const SOURCE_SHORT_SIDE_MAX: u32 = 1080;
/// Steps in one ladder; each costs an encoder.
const STEPS_MAX: usize = 8;

impl Default for Ladder {
    fn default() -> Self {
        let step = |short_side, bitrate_bps| Step { short_side, bitrate_bps };
        Self(vec![step(720, 2_800_000), step(480, 1_200_000), step(360, 600_000)])
    }
}

impl Ladder {
    /// The steps, highest first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The rungs to encode from `source`, highest first: every step with a shorter side smaller than the source's. With
    /// `reencode_source` (the source can't be passed through) the rung named `source` of [`Ladder::source_rung`] leads.
    pub fn rungs(&self, source: &SourceShape, reencode_source: bool) -> Vec<Rung> {
        let (width, height) = square(source);
        let short = width.min(height);
        let rate = capped(source.frame_rate);
        let mut rungs: Vec<Rung> = reencode_source.then(|| self.source_rung(source)).into_iter().collect();
        let top = rungs.first().map_or(short, |top| top.width.min(top.height));
        let smaller = self.0.iter().filter(|step| step.short_side < top);
        rungs.extend(smaller.map(|step| {
            let (width, height) = scaled(width, height, step.short_side);
            Rung {
                name: format!("{}p", step.short_side),
                width,
                height,
                frame_rate: rate,
                bitrate_bps: step.bitrate_bps,
            }
        }));
        rungs
    }

    /// The rung named `source` that stands in for the source when it isn't passed through: the source's own size, at
    /// most 1080p, at the bit rate of the step of that size or one that follows the number of pixels.
    pub fn source_rung(&self, source: &SourceShape) -> Rung {
        let (width, height) = square(source);
        let short = width.min(height).min(SOURCE_SHORT_SIDE_MAX);
        let (width, height) = scaled(width, height, short);
        let frame_rate = capped(source.frame_rate);
        let known = self.0.iter().find(|step| step.short_side.abs_diff(short) <= 8).map(|step| step.bitrate_bps);
        let bitrate_bps = known.unwrap_or_else(|| bitrate_for(width, height, frame_rate));
        Rung { name: "source".to_owned(), width, height, frame_rate, bitrate_bps }
    }
}

/// The source's size with square samples: only ever stretched, as shrinking would lose lines.
fn square(source: &SourceShape) -> (u32, u32) {
    let (num, den) = (u64::from(source.sample_aspect.0.max(1)), u64::from(source.sample_aspect.1.max(1)));
    let stretch = |size: u32, num: u64, den: u64| {
        u32::try_from((u64::from(size) * num + den / 2) / den).unwrap_or(u32::MAX).clamp(16, 16_384)
    };
    if num >= den {
        (stretch(source.width, num, den), source.height.clamp(16, 16_384))
    } else {
        (source.width.clamp(16, 16_384), stretch(source.height, den, num))
    }
}

/// The size with `short` samples on the shorter side and the aspect of `width` x `height`, both even.
fn scaled(width: u32, height: u32, short: u32) -> (u32, u32) {
    let even = |value: u64| u32::try_from(value / 2 * 2).unwrap_or(16_384).clamp(16, 16_384);
    let (long_side, short_side) = (u64::from(width.max(height)), u64::from(width.min(height)));
    let long = even((long_side * u64::from(short) + short_side / 2) / short_side + 1);
    let short = even(u64::from(short));
    if width >= height { (long, short) } else { (short, long) }
}

fn capped(rate: FrameRate) -> FrameRate {
    let mut rate = rate;
    while rate.as_f64() > FRAME_RATE_MAX {
        rate = if rate.num.is_multiple_of(2) {
            FrameRate { num: rate.num / 2, ..rate }
        } else {
            FrameRate { den: rate.den.saturating_mul(2), ..rate }
        };
    }
    rate
}

/// 2.8 Mb/s for 1280x720 at 30 fps, and three quarters of a doubling for each doubling of the pixels per second, as
/// larger pictures compress better. 300 kb/s to 8 Mb/s.
fn bitrate_for(width: u32, height: u32, rate: FrameRate) -> u32 {
    let relative = f64::from(width) * f64::from(height) * rate.as_f64().max(15.0) / (1280.0 * 720.0 * 30.0);
    let bits = 2_800_000.0 * relative.powf(0.75);
    ((bits / 50_000.0).round() * 50_000.0).clamp(300_000.0, 8_000_000.0) as u32
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            if step.bitrate_bps.is_multiple_of(1000) {
                write!(f, "{comma}{}p:{}k", step.short_side, step.bitrate_bps / 1000)?;
            } else {
                write!(f, "{comma}{}p:{}", step.short_side, step.bitrate_bps)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Ladder {
    type Err = Error;

    /// Reads `SIZEp:RATE` steps between commas; RATE in bits per second, or with `k` or `M`. Empty text or `none` is a
    /// ladder without steps. Steps are put in order, highest first.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |step: &str, why: &str| Error::Ladder { step: step.to_owned(), why: why.to_owned() };
        if matches!(text.trim(), "" | "none") {
            return Ok(Self(Vec::new()));
        }
        let mut steps = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (size, rate) = part.split_once(':').ok_or_else(|| bad(part, "write it as 720p:2800k"))?;
            let short_side: u32 = size
                .trim()
                .trim_end_matches('p')
                .parse()
                .map_err(|_| bad(part, "the size is a number such as 720p"))?;
            let bitrate_bps =
                bits(rate.trim()).ok_or_else(|| bad(part, "the bit rate is a number such as 2800k or 2.8M"))?;
            if !(64..=2160).contains(&short_side) || !short_side.is_multiple_of(2) {
                return Err(bad(part, "the size is an even number from 64 to 2160"));
            }
            if !(50_000..=50_000_000).contains(&bitrate_bps) {
                return Err(bad(part, "the bit rate is from 50k to 50M"));
            }
            if steps.iter().any(|s: &Step| s.short_side == short_side) {
                return Err(bad(part, "there is already a step of this size"));
            }
            steps.push(Step { short_side, bitrate_bps });
        }
        if steps.len() > STEPS_MAX {
            return Err(bad(text, "a ladder has at most 8 steps"));
        }
        steps.sort_by_key(|step| std::cmp::Reverse(step.short_side));
        Ok(Self(steps))
    }
}

fn bits(text: &str) -> Option<u32> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1e3),
        None => text.strip_suffix('M').map_or((text, 1.0), |number| (number, 1e6)),
    };
    let value = number.parse::<f64>().ok()? * unit;
    (0.0..=1e9).contains(&value).then_some(value.round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const THIRTY: FrameRate = FrameRate { num: 30, den: 1 };

    #[track_caller]
    fn check(width: u32, height: u32, reencode: bool, want: &[(&str, u32, u32, u32)]) {
        let source = SourceShape { width, height, sample_aspect: (1, 1), frame_rate: THIRTY };
        let rungs = Ladder::default().rungs(&source, reencode);
        let got: Vec<_> = rungs.iter().map(|r| (r.name.as_str(), r.width, r.height, r.bitrate_bps / 1000)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn full_hd_gets_all_steps() {
        check(1920, 1080, false, &[("720p", 1280, 720, 2800), ("480p", 854, 480, 1200), ("360p", 640, 360, 600)]);
    }

    #[test]
    fn nothing_is_scaled_up() {
        check(1280, 720, false, &[("480p", 854, 480, 1200), ("360p", 640, 360, 600)]);
        check(640, 360, false, &[]);
        check(320, 240, true, &[("source", 320, 240, 450)]);
    }

    #[test]
    fn a_reencoded_top_takes_the_step_of_its_size() {
        check(1280, 720, true, &[("source", 1280, 720, 2800), ("480p", 854, 480, 1200), ("360p", 640, 360, 600)]);
    }

    #[test]
    fn portrait_goes_by_its_shorter_side() {
        check(1080, 1920, false, &[("720p", 720, 1280, 2800), ("480p", 480, 854, 1200), ("360p", 360, 640, 600)]);
    }

    #[test]
    fn anamorphic_samples_become_square() {
        let source = SourceShape { width: 720, height: 576, sample_aspect: (64, 45), frame_rate: THIRTY };
        let rungs = Ladder::default().rungs(&source, false);
        assert_eq!((rungs[0].width, rungs[0].height), (854, 480));
    }

    #[test]
    fn high_frame_rates_are_halved() {
        let source = SourceShape {
            width: 1920,
            height: 1080,
            sample_aspect: (1, 1),
            frame_rate: FrameRate { num: 120, den: 1 },
        };
        assert_eq!(Ladder::default().rungs(&source, false)[0].frame_rate, FrameRate { num: 60, den: 1 });
    }

    #[test]
    fn nonsense_is_refused_with_the_step_named() {
        for text in ["720", "720p:fast", "721p:1M", "720p:1", "720p:1M,720p:2M"] {
            let error = text.parse::<Ladder>().expect_err(text);
            assert!(error.to_string().contains("720") || error.to_string().contains("721"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn rungs_are_even_smaller_and_keep_the_aspect(width in 1u32..8000, height in 1u32..8000, reencode: bool) {
            let source = SourceShape { width, height, sample_aspect: (1, 1), frame_rate: THIRTY };
            for rung in Ladder::default().rungs(&source, reencode) {
                prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0 && rung.width >= 16 && rung.height >= 16);
                if rung.name != "source" {
                    prop_assert!(rung.width.min(rung.height) < width.min(height));
                }
            }
        }

        #[test]
        fn any_text_gives_an_answer(text in ".{0,40}") {
            if let Ok(ladder) = text.parse::<Ladder>() {
                prop_assert_eq!(ladder.to_string().parse::<Ladder>().ok(), Some(ladder));
            }
        }
    }
}
