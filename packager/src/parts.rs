//! How long parts are: PART-TARGET, and the spacing that fills a segment with parts of equal length.

use crate::SessionPlan;
use crate::lane::{STAMP_JITTER, frame_samples};
use media::{FrameRate, MediaTime};

/// The wished length of a part; it is rounded to whole frames.
const WISHED: MediaTime = MediaTime::from_millis(333);
/// AAC as our encoder makes it, for the length of parts before its first frame: the longest of its frames.
const ENCODED_AUDIO: FrameRate = FrameRate { num: 44_100, den: 1024 };
/// A part must last at least this share of PART-TARGET, unless it is a segment's last (rfc8216bis, 4.4.4.9).
const LEAST_PERCENT: i64 = 85;

/// The lengths parts can have in a session, from its first segment to its last.
#[derive(Debug, Clone)]
pub(crate) struct PartRule {
    /// The longest spacing of parts: whole frames of the grid all rungs share.
    pub longest: MediaTime,
    /// PART-TARGET: the longest a part can be in any rendition, which is that of the grid or the next whole audio frame.
    pub target: MediaTime,
    /// The shortest spacing that makes no part shorter than it may be.
    least: MediaTime,
    /// How far the length of a segment may be off, as its source's stamps are whole milliseconds.
    slack: MediaTime,
}

impl PartRule {
    /// The rule for a session whose renditions share `grid`.
    pub fn new(grid: FrameRate, video: impl Iterator<Item = FrameRate>, plan: &SessionPlan) -> Self {
        let longest = grid.time_of(grid.frames_in(WISHED).max(1));
        let audio = plan.facts.audio.as_ref().map(|audio| match plan.audio_encoded {
            true => ENCODED_AUDIO,
            false => FrameRate { num: audio.config.sample_rate, den: frame_samples(&audio.config) as u32 },
        });
        let video: Vec<_> = video.collect();
        let on_video = video.iter().map(|rate| {
            let on_grid = (rate.time_of(rate.frames_in(longest)) - longest).abs().ticks() <= 2;
            longest + if on_grid { STAMP_JITTER } else { rate.time_of(1) }
        });
        let on_audio = audio.map(|rate| rate.time_of(frames_up(rate, longest)) + MediaTime::from_ticks(1));
        let target = on_video.chain(on_audio).max().unwrap_or(longest);
        let allowed = MediaTime::from_ticks(target.ticks() * LEAST_PERCENT / 100);
        let least = video.into_iter().chain(audio).map(|rate| rate.time_of(frames_up(rate, allowed))).max();
        let slack = MediaTime::from_ticks(grid.time_of(1).ticks() / 2);
        Self { longest, target, least: least.unwrap_or(longest).min(longest), slack }
    }

    /// The spacing in a segment after one of `length`, which is likely to be as long: as few parts as can be, all equal or
    /// the last not much shorter. A short one is allowed there but does harm: hls.js 1.7 takes a segment without its last
    /// 0.2 s for whole, and waits for ever when it came between the two (2 of 40 starts at 25 pictures a second, when 50 of
    /// them were cut 8 a part).
    pub fn after(&self, length: MediaTime) -> MediaTime {
        let sure = (length - self.slack).ticks().max(1) as u64;
        let count = sure.div_ceil(self.longest.ticks() as u64);
        let equal = (length.ticks().max(1) as u64).div_ceil(count);
        MediaTime::from_ticks(equal as i64).clamp(self.least, self.longest)
    }
}

/// The least whole number of frames that last `span`, give or take the rounding to ticks.
fn frames_up(rate: FrameRate, span: MediaTime) -> i64 {
    let near = rate.frames_in(span);
    if rate.time_of(near) + MediaTime::from_ticks(2) < span { near + 1 } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    fn rule(longest: i64, least: i64) -> PartRule {
        PartRule { longest: ms(longest), target: ms(longest + 1), least: ms(least), slack: ms(20) }
    }

    #[test]
    fn a_segment_that_does_not_divide_gets_equal_parts() {
        // 50 pictures at 25 a second, at most 8 a part: seven parts.
        let spacing = rule(320, 280).after(ms(2000));
        assert_eq!(spacing.ticks(), 25_715);
        assert!(spacing.ticks() * 7 >= ms(2000).ticks());
    }

    #[test]
    fn a_segment_that_divides_stays_as_it_is_whatever_its_stamps_do() {
        for millis in [1999, 2000, 2001] {
            let spacing = rule(400, 367).after(ms(millis));
            assert!((spacing - ms(400)).abs() <= ms(1), "{millis}: {spacing:?}");
        }
    }

    #[test]
    fn parts_are_not_made_too_short_for_it() {
        assert_eq!(rule(333, 300).after(ms(1167)), ms(300), "three of 300 ms and one of 267, not four of 292");
        assert_eq!(rule(333, 300).after(ms(340)), ms(333));
        assert_eq!(rule(333, 300).after(MediaTime::ZERO), ms(300));
    }
}
