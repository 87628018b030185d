use crate::MediaTime;

/// Frames per second as a fraction, such as 30000/1001. Both parts at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameRate {
    /// Numerator.
    pub num: u32,
    /// Denominator.
    pub den: u32,
}

impl FrameRate {
    /// The rate nearest to `fps` among those cameras and encoders use (24, 25, 30, 48, 50, 60, 120 and their /1.001
    /// kin, small integers); within 0.5 %, else a fraction in thousandths. `None` outside 1 to 240 fps.
    pub fn nearest(fps: f64) -> Option<Self> {
        if !(0.99..=241.0).contains(&fps) {
            return None;
        }
        let ntsc = [(24_000, 1001), (30_000, 1001), (60_000, 1001), (120_000, 1001), (48_000, 1001), (15_000, 1001)];
        let whole = (fps.round().max(1.0) as u32, 1);
        let mut known: Vec<(u32, u32)> = ntsc.to_vec();
        known.push(whole);
        let off = |r: &(u32, u32)| (f64::from(r.0) / f64::from(r.1) / fps - 1.0).abs();
        let best = known.into_iter().min_by(|a, b| off(a).total_cmp(&off(b)))?;
        let (num, den) = if off(&best) < 0.005 { best } else { ((fps * 1000.0).round() as u32, 1000) };
        Some(Self { num, den })
    }

    /// Frames per second as a float, for playlists and people.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// The time of `frames` frames, rounded to the nearest tick; multiply here rather than adding single frames, whose
    /// rounding would add up.
    pub fn time_of(self, frames: i64) -> MediaTime {
        MediaTime::from_units(frames.saturating_mul(i64::from(self.den)), self.num)
    }

    /// The nearest whole number of frames in `span`.
    pub fn frames_in(self, span: MediaTime) -> i64 {
        let scaled = span.ticks() as i128 * i128::from(self.num);
        let unit = MediaTime::HZ as i128 * i128::from(self.den);
        ((scaled + scaled.signum() * unit / 2) / unit) as i64
    }
}

/// A recipe for one encoded rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Its name in URLs, such as `720p`: lower-case letters, digits and `-`, at most 32.
    pub name: String,
    /// Picture width in luma samples, even, at least 16.
    pub width: u32,
    /// Picture height, even, at least 16.
    pub height: u32,
    /// Constant frame rate of the output.
    pub frame_rate: FrameRate,
    /// Target bit rate of the video, bits per second; also the cap over one second.
    pub bitrate_bps: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rates_are_found_from_measured_ones() {
        let rate = |fps| FrameRate::nearest(fps).map(|r| (r.num, r.den));
        assert_eq!(rate(29.97), Some((30_000, 1001)));
        assert_eq!(rate(30.01), Some((30, 1)));
        assert_eq!(rate(25.0), Some((25, 1)));
        assert_eq!(rate(23.98), Some((24_000, 1001)));
        assert_eq!(rate(0.0), None);
    }

    #[test]
    fn frames_and_time_agree() {
        let ntsc = FrameRate { num: 30_000, den: 1001 };
        assert_eq!(ntsc.time_of(30).ticks(), 90_090);
        for n in 0..1000 {
            assert_eq!(ntsc.frames_in(ntsc.time_of(n)), n);
        }
    }
}
