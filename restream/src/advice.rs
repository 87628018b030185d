//! What a target takes and does not like: told, not refused.

use crate::Rules;
use crate::meter::Meter;
use media::{AccessUnit, MediaTime, Track};
use std::time::{Duration, Instant};

/// Keyframes a little late are nobody's trouble.
const KEYFRAME_SLACK: Duration = Duration::from_millis(250);
/// Nor is a rate a little high: limits are means over longer than we look.
const RATE_SLACK: f64 = 1.15;

/// What a streamer should know of the source and this target, as cause and cure in one sentence.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Advice {
    /// There is no sound.
    #[error(
        "the stream has no sound, and the service does not go live without; send sound, or let silence be added to this target"
    )]
    NoAudio,
    /// Keyframes are far apart.
    #[error(
        "keyframes come every {seconds:.1} s, and the service wants one every {max:.0} s; set the encoder's keyframe interval to 2 s"
    )]
    Keyframes {
        /// Their distance.
        seconds: f64,
        /// What the service wants.
        max: f64,
    },
    /// The bitrate is high.
    #[error("the stream has {mbps:.1} Mb/s, and the service takes {max:.1}; lower the encoder's bitrate")]
    Bitrate {
        /// Of the source.
        mbps: f64,
        /// What the service takes.
        max: f64,
    },
}

impl Advice {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoAudio => "no_audio",
            Self::Keyframes { .. } => "keyframe_interval",
            Self::Bitrate { .. } => "bitrate",
        }
    }
}

/// Looks at what the source sends.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    bytes: u64,
    meter: Meter,
    rate_bps: u64,
    keyframe: Option<MediaTime>,
    /// The last two distances of keyframes.
    distances: [Option<MediaTime>; 2],
}

impl Watch {
    /// A unit of the source.
    pub fn unit(&mut self, unit: &AccessUnit) {
        self.bytes += unit.data.len() as u64;
        if unit.track() == Track::Video
            && unit.sync
            && let Some(before) = self.keyframe.replace(unit.dts)
        {
            self.distances = [self.distances[1], Some(unit.dts - before)];
        }
    }

    /// Media was lost or is another's: the next keyframe says nothing of the distance.
    pub fn cut(&mut self) {
        self.keyframe = None;
    }

    /// Looks at the clock, about once a second.
    pub fn tick(&mut self, now: Instant) {
        self.rate_bps = self.meter.look(self.bytes, now);
    }

    /// What is to be said of this source to a target of these rules.
    pub fn advice(&self, rules: &Rules, has_sound: bool) -> Vec<Advice> {
        let silent = (rules.needs_audio && !has_sound).then_some(Advice::NoAudio);
        let apart = match self.distances {
            [Some(one), Some(other)] => Some(one.min(other).to_duration()),
            _ => None,
        };
        let keyframes = rules.keyframe_max.zip(apart).filter(|(max, apart)| *apart > *max + KEYFRAME_SLACK);
        let keyframes =
            keyframes.map(|(max, apart)| Advice::Keyframes { seconds: apart.as_secs_f64(), max: max.as_secs_f64() });
        let bitrate = rules.bitrate_max_bps.filter(|max| self.rate_bps as f64 > *max as f64 * RATE_SLACK);
        let bitrate = bitrate.map(|max| Advice::Bitrate { mbps: self.rate_bps as f64 / 1e6, max: max as f64 / 1e6 });
        [silent, keyframes, bitrate].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copyist::tests::picture;
    use crate::preset;

    fn codes(watch: &Watch, service: &str, has_sound: bool) -> Vec<&'static str> {
        watch.advice(&preset(service).unwrap().rules, has_sound).iter().map(Advice::code).collect()
    }

    /// Ten seconds of pictures, ten a second.
    fn watched(keyframe_every: i64, bytes: usize) -> Watch {
        let (mut watch, start) = (Watch::default(), Instant::now());
        for n in 0..200 {
            watch.unit(&picture(n * 100, n % keyframe_every == 0, bytes));
            if n % 10 == 0 {
                watch.tick(start + Duration::from_millis(100 * n as u64));
            }
        }
        watch
    }

    #[test]
    fn a_source_as_services_want_it_needs_no_advice() {
        let watch = watched(20, 50_000);
        for service in ["youtube", "twitch", "facebook", "kick", "custom"] {
            assert_eq!(codes(&watch, service, true), Vec::<&str>::new(), "{service}");
        }
    }

    #[test]
    fn what_a_service_does_not_like_is_told() {
        let watch = watched(50, 100_000);
        assert_eq!(codes(&watch, "twitch", true), ["keyframe_interval", "bitrate"]);
        assert_eq!(codes(&watch, "youtube", false), ["no_audio", "keyframe_interval"]);
        assert_eq!(codes(&watch, "custom", false), Vec::<&str>::new());
        let said = watch.advice(&preset("twitch").unwrap().rules, true)[0].to_string();
        assert!(said.starts_with("keyframes come every 5.0 s, and the service wants one every 2 s"), "{said}");
    }

    #[test]
    fn one_late_keyframe_is_no_reason() {
        let mut watch = watched(20, 1_000);
        watch.unit(&picture(30_000, true, 10));
        assert_eq!(codes(&watch, "twitch", true), Vec::<&str>::new());
    }
}
