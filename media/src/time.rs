use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::time::Duration;

/// An instant or a span of media time in ticks of 1/90,000 s, signed. It covers three million years, so it never wraps;
/// 32-bit stamps of protocols are extended before they become one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(i64);

impl MediaTime {
    /// Ticks in a second.
    pub const HZ: i64 = 90_000;
    /// The origin, or an empty span.
    pub const ZERO: Self = Self(0);

    /// Wraps a count of 90 kHz ticks.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// Exact: a millisecond is 90 ticks. Saturates.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(90))
    }

    /// Rounds to the nearest tick, halves away from zero (DESIGN: "nanoseconds to ticks rounds").
    pub const fn from_nanos(nanos: i64) -> Self {
        let scaled = nanos as i128 * 9;
        let half = if scaled >= 0 { 50_000 } else { -50_000 };
        Self(((scaled + half) / 100_000) as i64)
    }

    /// `count` units of 1/`rate` s, rounded to the nearest tick. `rate` must not be zero.
    pub const fn from_units(count: i64, rate: u32) -> Self {
        let scaled = count as i128 * Self::HZ as i128 * 2;
        let rate = rate as i128;
        let sign = if scaled >= 0 { 1 } else { -1 };
        Self(((scaled + sign * rate) / (rate * 2)) as i64)
    }

    /// From seconds as a float; for configuration values, not for stamps.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self((secs * Self::HZ as f64).round() as i64)
    }

    /// The 90 kHz tick count.
    pub const fn ticks(self) -> i64 {
        self.0
    }

    /// Rounded towards zero.
    pub const fn as_millis(self) -> i64 {
        self.0 / 90
    }

    /// Rounded to the nearest nanosecond.
    pub const fn as_nanos(self) -> i64 {
        let scaled = self.0 as i128 * 100_000;
        let half = if scaled >= 0 { 4 } else { -4 };
        ((scaled + half) / 9) as i64
    }

    /// For playlists, logs and metrics.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / Self::HZ as f64
    }

    /// The span as a `Duration`; a negative span is zero.
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(self.as_nanos().max(0) as u64)
    }

    /// The same, without sign.
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }
}

impl From<Duration> for MediaTime {
    fn from(d: Duration) -> Self {
        Self::from_nanos(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl std::fmt::Debug for MediaTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4}s", self.as_secs_f64())
    }
}

impl Add for MediaTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for MediaTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for MediaTime {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}
impl AddAssign for MediaTime {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for MediaTime {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_round_to_the_nearest_tick() {
        assert_eq!(MediaTime::from_nanos(33_333_333).ticks(), 3000);
        assert_eq!(MediaTime::from_nanos(-33_333_333).ticks(), -3000);
        assert_eq!(MediaTime::from_nanos(5_555).ticks(), 0);
        assert_eq!(MediaTime::from_nanos(5_556).ticks(), 1);
    }

    #[test]
    fn samples_convert_without_drift() {
        assert_eq!(MediaTime::from_units(44_100, 44_100).ticks(), 90_000);
        assert_eq!(MediaTime::from_units(1024, 44_100).ticks(), 2090);
        assert_eq!(MediaTime::from_units(-1024, 48_000).ticks(), -1920);
    }
}
