//! The [`Gauge`]: what a publisher's units are like, looked at as they come.

use super::drift::Drift;
use super::loudness::Loudness;
use super::{Measured, Picture, Sound};
use media::{AccessUnit, MediaTime, Track};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Rates are taken over so long.
const WINDOW: Duration = Duration::from_secs(10);
/// Seconds of the bit rate's history that a swing is looked for in.
const SECONDS: usize = 30;
/// A swing is looked for in stretches of so many seconds: a second that holds the keyframe is larger than the one that does not.
const STRETCH: usize = 4;
/// Groups of pictures remembered.
const GROUPS: usize = 6;
/// A frame time this much off the usual one, as a share of it, is irregular: more than what stamps in whole milliseconds do.
const IRREGULAR: f64 = 0.25;
/// More B-frames in a row than any encoder makes.
const B_FRAMES_MAX: u32 = 16;

/// Looks at a publisher's units and says once a second what they were like. Costs no allocation for a unit; remembers ten seconds.
#[derive(Debug, Default)]
pub struct Gauge {
    video: Option<VideoGauge>,
    audio: Option<AudioGauge>,
    drift: Drift,
}

/// Arrivals of one track: when, the decode time and the bytes.
#[derive(Debug, Default)]
struct Arrivals {
    seen: VecDeque<(Instant, MediaTime, u32)>,
    bytes: u64,
}

#[derive(Debug)]
struct VideoGauge {
    arrivals: Arrivals,
    size: (u32, u32),
    last_key: MediaTime,
    last: Option<MediaTime>,
    groups: VecDeque<MediaTime>,
    /// Frame times of the window, in ticks.
    steps: VecDeque<(Instant, i64)>,
    newest_pts: MediaTime,
    /// B-frames since the newest picture that was shown later than all before.
    run: u32,
    /// The longest such run of this group of pictures and of the one before.
    runs: (u32, u32),
    /// Bytes of whole seconds, the newest at the end.
    seconds: VecDeque<u64>,
    second: (Instant, u64),
}

#[derive(Debug)]
struct AudioGauge {
    arrivals: Arrivals,
    sample_rate: u32,
    channels: u8,
    loudness: Loudness,
}

impl Arrivals {
    fn push(&mut self, now: Instant, dts: MediaTime, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.seen.push_back((now, dts, bytes));
        self.bytes += u64::from(bytes);
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        while let Some((_, _, bytes)) = self.seen.pop_front_if(|(at, _, _)| now.saturating_duration_since(*at) > WINDOW)
        {
            self.bytes -= u64::from(bytes);
        }
    }

    /// Seconds of media and of time between the oldest and the newest arrival of the window.
    fn spans(&self) -> Option<(f64, f64)> {
        let ((first, from, _), (last, until, _)) = (self.seen.front()?, self.seen.back()?);
        let real = last.saturating_duration_since(*first).as_secs_f64();
        (real > 0.0).then(|| ((*until - *from).as_secs_f64(), real))
    }
}

impl VideoGauge {
    fn new(unit: &AccessUnit, now: Instant) -> Self {
        Self {
            arrivals: Arrivals::default(),
            size: (0, 0),
            last_key: unit.dts,
            last: None,
            groups: VecDeque::with_capacity(GROUPS + 1),
            steps: VecDeque::new(),
            newest_pts: unit.pts,
            run: 0,
            runs: (0, 0),
            seconds: VecDeque::with_capacity(SECONDS + 1),
            second: (now, 0),
        }
    }

    fn push(&mut self, unit: &AccessUnit, now: Instant) {
        self.arrivals.push(now, unit.dts, unit.data.len());
        if let Some(config) = unit.video() {
            self.size = (config.width, config.height);
        }
        if let Some(last) = self.last.replace(unit.dts) {
            self.steps.push_back((now, (unit.dts - last).ticks()));
        }
        while self.steps.pop_front_if(|(at, _)| now.saturating_duration_since(*at) > WINDOW).is_some() {}
        if unit.sync {
            self.group(unit.dts);
        }
        if unit.pts > self.newest_pts || unit.sync {
            (self.newest_pts, self.run) = (unit.pts, 0);
        } else {
            self.run = (self.run + 1).min(B_FRAMES_MAX);
            self.runs.0 = self.runs.0.max(self.run);
        }
        self.count(unit.data.len(), now);
    }

    fn group(&mut self, dts: MediaTime) {
        let length = dts - self.last_key;
        self.last_key = dts;
        self.runs = (0, self.runs.0);
        if length > MediaTime::ZERO {
            self.groups.push_back(length);
            if self.groups.len() > GROUPS {
                self.groups.pop_front();
            }
        }
    }

    fn count(&mut self, bytes: usize, now: Instant) {
        while now.saturating_duration_since(self.second.0) >= Duration::from_secs(1) {
            self.seconds.push_back(std::mem::take(&mut self.second.1));
            self.second.0 += Duration::from_secs(1);
            if self.seconds.len() > SECONDS {
                self.seconds.pop_front();
            }
        }
        self.second.1 += bytes as u64;
    }

    /// The largest stretch in multiples of the mean; one while too little is known.
    fn swing(&self) -> f64 {
        if self.seconds.len() < SECONDS / 2 {
            return 1.0;
        }
        let seconds: Vec<u64> = self.seconds.iter().copied().collect();
        let mean = seconds.iter().sum::<u64>() as f64 / seconds.len() as f64;
        let largest = seconds.windows(STRETCH).map(|stretch| stretch.iter().sum::<u64>()).max().unwrap_or(0);
        largest as f64 / STRETCH as f64 / mean.max(1.0)
    }

    fn look(&mut self, now: Instant) -> Option<Picture> {
        self.arrivals.forget(now);
        self.count(0, now);
        let (media_s, real_s) = self.arrivals.spans()?;
        let newest = self.last?;
        let mut steps: Vec<i64> = self.steps.iter().map(|(_, step)| *step).filter(|step| *step > 0).collect();
        steps.sort_unstable();
        let usual = *steps.get(steps.len() / 2)?;
        let is_off = |step: &i64| (step - usual).unsigned_abs() as f64 > usual as f64 * IRREGULAR;
        // Stamps in whole milliseconds: only the mean of the usual steps is the frame time.
        let regular: Vec<i64> = steps.iter().copied().filter(|step| !is_off(step)).collect();
        let frame_ticks = regular.iter().sum::<i64>() as f64 / regular.len().max(1) as f64;
        // The group that is open counts as soon as it is the longest.
        let groups = || self.groups.iter().copied().chain([newest - self.last_key]);
        let whole = || self.groups.iter().map(|group| group.as_secs_f64());
        let mean_s = whole().sum::<f64>() / self.groups.len().max(1) as f64;
        let spread_s = whole().fold(0.0, f64::max) - whole().fold(f64::MAX, f64::min);
        Some(Picture {
            size: self.size,
            fps: MediaTime::HZ as f64 / frame_ticks,
            bitrate_bps: self.arrivals.bytes as f64 * 8.0 / real_s,
            keyframe_s: groups().rev().take(3).max().unwrap_or(MediaTime::ZERO).as_secs_f64(),
            keyframe_jitter: if self.groups.len() < 3 { 0.0 } else { spread_s / mean_s },
            b_frames: self.runs.0.max(self.runs.1),
            irregular: 1.0 - regular.len() as f64 / steps.len() as f64,
            swing: self.swing(),
            pace: (real_s >= WINDOW.as_secs_f64() / 2.0).then(|| media_s / real_s),
        })
    }
}

impl AudioGauge {
    fn look(&mut self, now: Instant) -> Option<Sound> {
        self.arrivals.forget(now);
        let (_, real_s) = self.arrivals.spans()?;
        Some(Sound {
            sample_rate: self.sample_rate,
            channels: self.channels,
            bitrate_bps: self.arrivals.bytes as f64 * 8.0 / real_s,
            level_db: self.loudness.level_db(now),
        })
    }
}

impl Gauge {
    /// Looks at the next unit, as the publisher sent it, in decode order.
    pub fn push(&mut self, unit: &AccessUnit, now: Instant) {
        // One track's clock is the publisher's.
        if unit.track() == Track::Video || self.video.is_none() {
            self.drift.push(unit.dts, now);
        }
        match unit.track() {
            Track::Video => self.video.get_or_insert_with(|| VideoGauge::new(unit, now)).push(unit, now),
            Track::Audio => {
                let audio = self.audio.get_or_insert_with(|| AudioGauge {
                    arrivals: Arrivals::default(),
                    sample_rate: 0,
                    channels: 0,
                    loudness: Loudness::default(),
                });
                if let Some(config) = unit.audio() {
                    (audio.sample_rate, audio.channels) = (config.sample_rate, config.channels);
                    audio.loudness.push(unit, config, now);
                }
                audio.arrivals.push(now, unit.dts, unit.data.len());
            }
        }
    }

    /// Another publisher, or the same one behind a break: what was before says nothing of it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The publisher's clock jumped, which says nothing of how it runs.
    pub fn jumped(&mut self) {
        self.drift = Drift::default();
    }

    /// What came in the last ten seconds was like this. A track of which nothing came is `None`.
    pub fn look(&mut self, now: Instant) -> Measured {
        let video = self.video.as_mut().and_then(|video| video.look(now));
        let audio = self.audio.as_mut().and_then(|audio| audio.look(now));
        let newest = |arrivals: Option<&Arrivals>| Some(arrivals?.seen.back()?.1);
        let ends =
            newest(self.video.as_ref().map(|v| &v.arrivals)).zip(newest(self.audio.as_ref().map(|a| &a.arrivals)));
        Measured {
            video,
            audio,
            drift_ppm: self.drift.ppm(),
            skew_s: ends.map(|(video, audio)| (audio - video).as_secs_f64()),
            ..Measured::default()
        }
    }
}
