//! How long parts are: PART-TARGET, and the spacing that fills a segment with parts of equal length.

use crate::SessionPlan;
use crate::lane::{STAMP_JITTER, frame_samples};
use media::{FrameRate, MediaTime};

/// The wished length of a part. Three of them are what players stay behind: a fifth of a second each instead of a quarter brings
/// stock hls.js 0.05 s nearer to a source passed through and 0.4 to 0.7 s to one with B-frames or to a rung (glass to glass,
/// medians, 2 cores, 720p30), at 25 % more requests.
const WISHED: MediaTime = MediaTime::from_millis(200);
/// The usual length of a segment; the parts of such a one are equally long.
const SEGMENT: MediaTime = MediaTime::from_millis(2_000);
/// AAC as our encoder makes it, for the length of parts before its first frame: the longest of its frames.
const ENCODED_AUDIO: FrameRate = FrameRate { num: 44_100, den: 1024 };
/// A part must last at least this share of PART-TARGET, unless it is a segment's last (rfc8216bis, 4.4.4.9).
const LEAST_PERCENT: i64 = 85;

/// The lengths parts can have in a session, from its first segment to its last.
#[derive(Debug, Clone)]
pub(crate) struct PartRule {
    /// The spacing that divides a segment of the usual length.
    pub usual: MediaTime,
    /// PART-TARGET: the longest a part of any rendition can be.
    pub target: MediaTime,
    /// The shortest spacing that makes no part shorter than it may be.
    least: MediaTime,
    /// The longest spacing that makes no part longer than PART-TARGET.
    longest: MediaTime,
    /// How far the length of a segment may be off, as its source's stamps are whole milliseconds.
    slack: MediaTime,
}

impl PartRule {
    /// The rule for a session whose renditions share `grid`: as many equal parts in a segment of the usual length as come
    /// near to the wished one, as far as whole pictures and whole frames of sound allow.
    pub fn new(grid: FrameRate, video: impl Iterator<Item = FrameRate>, plan: &SessionPlan) -> Self {
        let audio = plan.facts.audio.as_ref().map(|audio| match plan.audio_encoded {
            true => ENCODED_AUDIO,
            false => FrameRate { num: audio.config.sample_rate, den: frame_samples(&audio.config) as u32 },
        });
        let video: Vec<_> = video.collect();
        Self::fitting(grid, &video, audio, MediaTime::from_ticks(grid.time_of(1).ticks() / 2))
    }

    fn fitting(grid: FrameRate, video: &[FrameRate], audio: Option<FrameRate>, slack: MediaTime) -> Self {
        let segment = grid.time_of(grid.frames_in(SEGMENT).max(1));
        let most = (SEGMENT.ticks() / WISHED.ticks()).min(grid.frames_in(segment));
        let rule = |count: i64| {
            let spacing = MediaTime::from_ticks((segment.ticks() + count - 1) / count);
            Self::spaced(spacing, video, audio, slack)
        };
        (2..=most).rev().map(rule).find(|rule| rule.least <= rule.usual).unwrap_or_else(|| rule(1))
    }

    /// The rule for parts usually `spacing` apart.
    fn spaced(spacing: MediaTime, video: &[FrameRate], audio: Option<FrameRate>, slack: MediaTime) -> Self {
        let on_video = video.iter().map(|rate| rate.time_of(frames_up(*rate, spacing)) + STAMP_JITTER);
        let on_audio = audio.map(|rate| rate.time_of(frames_up(rate, spacing)) + MediaTime::from_ticks(1));
        let target = on_video.chain(on_audio).max().unwrap_or(spacing);
        let allowed = MediaTime::from_ticks(target.ticks() * LEAST_PERCENT / 100);
        let rates = || video.iter().copied().chain(audio);
        let least = rates().map(|rate| rate.time_of(frames_up(rate, allowed))).max().unwrap_or(spacing);
        let longest = rates().map(|rate| rate.time_of(frames_down(rate, target))).min().unwrap_or(spacing);
        Self { usual: spacing, target, least, longest: longest.max(spacing), slack }
    }

    /// The spacing in a segment after one of `length`, which is likely to be as long: as few parts as can be, all equal or
    /// the last not much shorter. A short one is allowed there, but is a request for little.
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

/// The most whole frames that last at most `span`, give or take the rounding to ticks; at least one.
fn frames_down(rate: FrameRate, span: MediaTime) -> i64 {
    let near = rate.frames_in(span);
    (if rate.time_of(near) > span + MediaTime::from_ticks(2) { near - 1 } else { near }).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    fn rule(longest: i64, least: i64) -> PartRule {
        PartRule { usual: ms(longest), target: ms(longest + 1), least: ms(least), longest: ms(longest), slack: ms(20) }
    }

    /// Parts of a segment of 2 s: how many, and PART-TARGET in whole milliseconds.
    fn usual_parts(num: u32, den: u32, audio: Option<u32>) -> (i64, i64) {
        let slack = MediaTime::from_millis(10);
        let audio = audio.map(|num| FrameRate { num, den: 1024 });
        let rate = FrameRate { num, den };
        let length = rate.time_of(rate.frames_in(SEGMENT));
        let rule = PartRule::fitting(rate, &[rate], audio, slack);
        assert_eq!(rule.after(length), rule.usual, "a usual segment after a usual one");
        assert!(rule.least <= rule.usual && rule.usual <= rule.longest && rule.longest <= rule.target, "{rule:?}");
        ((length.ticks() + rule.slack.ticks()) / rule.usual.ticks(), rule.target.as_millis())
    }

    #[test]
    fn parts_come_as_near_to_a_fifth_of_a_second_as_whole_frames_allow() {
        assert_eq!(usual_parts(30, 1, Some(48_000)), (10, 213), "six pictures, or ten frames of sound");
        assert_eq!(usual_parts(30_000, 1001, Some(44_100)), (10, 208));
        assert_eq!(usual_parts(60, 1, Some(48_000)), (10, 213));
        assert_eq!(usual_parts(24, 1, Some(48_000)), (8, 256), "four and five pictures would be too unequal");
        assert_eq!(usual_parts(25, 1, Some(48_000)), (10, 213));
        assert_eq!(usual_parts(15, 1, None), (10, 202));
        assert_eq!(usual_parts(1, 1, Some(48_000)), (2, 1002), "never more parts than pictures");
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
