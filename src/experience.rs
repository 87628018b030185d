//! What viewers got: summed up from what players tell (beacons), by stream and minute, for the last ten minutes. No player is
//! remembered, only counts. Pure: time is passed in.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: usize = 10;
/// Beacons taken in a second, of all players; more are a sample of them.
const PER_SECOND_MAX: u32 = 500;
/// Streams at a time, and renditions of one.
const STREAMS_MAX: usize = 1_000;
const RENDITIONS_MAX: usize = 12;
/// What one player may claim in a beacon: it sends one each quarter of a minute.
const SPAN_MAX_MS: u32 = 60_000;
/// Each bucket of a histogram ends so much later than the one before; the first at [`FIRST_MS`].
const STEP: f64 = 1.15;
const FIRST_MS: f64 = 20.0;
/// Up to 80 s.
const BUCKETS: usize = 60;

/// What a player tells of the time since its last beacon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beacon {
    /// From opening the page to the first picture, once.
    pub startup_ms: Option<u32>,
    /// Time it played.
    pub played_ms: u32,
    /// Time it stood still against the viewer's wish, after the first picture.
    pub stalled_ms: u32,
    /// How often it began to stand still.
    pub stalls: u32,
    /// From the streamer's server to the screen.
    pub latency_ms: Option<u32>,
    /// The rendition on screen, such as `720p`.
    pub rendition: Option<String>,
    /// Faults it had to mend or to give up at.
    pub errors: u32,
}

/// What viewers of a stream got in the last ten minutes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Beacons it is made of.
    pub beacons: u64,
    /// Median and 95th percentile from opening the page to the first picture, milliseconds.
    pub startup_ms: Option<(u32, u32)>,
    /// The same of the delay.
    pub latency_ms: Option<(u32, u32)>,
    /// The share of the time that players stood still, 0 to 1; `None` when nobody played.
    pub stall_ratio: Option<f64>,
    /// How often players began to stand still.
    pub stalls: u64,
    /// Faults.
    pub errors: u64,
    /// The share of the time each rendition was on screen, largest first.
    pub renditions: Vec<(String, f64)>,
}

/// The sums of all streams.
#[derive(Debug, Default)]
pub struct Experience {
    streams: HashMap<String, VecDeque<Minute>>,
    second: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Minute {
    since: Instant,
    beacons: u64,
    startup: Histogram,
    latency: Histogram,
    played_ms: u64,
    stalled_ms: u64,
    stalls: u64,
    errors: u64,
    renditions: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
struct Histogram([u32; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Histogram {
    fn push(&mut self, ms: u32) {
        let bucket = ((f64::from(ms.max(1)) / FIRST_MS).ln() / STEP.ln()).ceil().clamp(0.0, (BUCKETS - 1) as f64);
        let count = &mut self.0[bucket as usize];
        *count = count.saturating_add(1);
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_add(*more);
        }
    }

    /// The upper end of the bucket below which `share` of all lie.
    fn quantile(&self, share: f64) -> Option<u32> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let wanted = ((all as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        let bucket = self.0.iter().position(|count| {
            sum += u64::from(*count);
            sum >= wanted
        })?;
        Some((FIRST_MS * STEP.powi(bucket as i32)).round() as u32)
    }

    fn both(&self) -> Option<(u32, u32)> {
        self.quantile(0.5).zip(self.quantile(0.95))
    }
}

impl Minute {
    fn new(since: Instant) -> Self {
        let (startup, latency) = (Histogram::default(), Histogram::default());
        let (beacons, played_ms, stalled_ms, stalls, errors) = (0, 0, 0, 0, 0);
        Self { since, beacons, startup, latency, played_ms, stalled_ms, stalls, errors, renditions: Vec::new() }
    }

    fn push(&mut self, beacon: Beacon) {
        self.beacons += 1;
        beacon.startup_ms.iter().for_each(|ms| self.startup.push(*ms));
        beacon.latency_ms.iter().for_each(|ms| self.latency.push(*ms));
        let played_ms = u64::from(beacon.played_ms.min(SPAN_MAX_MS));
        self.played_ms += played_ms;
        self.stalled_ms += u64::from(beacon.stalled_ms.min(SPAN_MAX_MS));
        self.stalls += u64::from(beacon.stalls.min(60));
        self.errors += u64::from(beacon.errors.min(60));
        if let Some(name) = beacon.rendition {
            self.watched(&name, played_ms, RENDITIONS_MAX);
        }
    }

    fn add(&mut self, other: &Self) {
        self.beacons += other.beacons;
        self.startup.add(&other.startup);
        self.latency.add(&other.latency);
        self.played_ms += other.played_ms;
        self.stalled_ms += other.stalled_ms;
        self.stalls += other.stalls;
        self.errors += other.errors;
        for (name, played_ms) in &other.renditions {
            self.watched(name, *played_ms, usize::MAX);
        }
    }

    /// Adds to a rendition's time; one more is only known when there are fewer than `most`.
    fn watched(&mut self, name: &str, played_ms: u64, most: usize) {
        let is_full = self.renditions.len() >= most;
        match self.renditions.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += played_ms,
            None if !is_full => self.renditions.push((name.to_owned(), played_ms)),
            None => {}
        }
    }
}

impl Experience {
    /// Takes a beacon; false when it was left out, as there are too many.
    pub fn push(&mut self, stream: &str, beacon: Beacon, now: Instant) -> bool {
        let (since, count) = self
            .second
            .filter(|(since, _)| now.saturating_duration_since(*since) < Duration::from_secs(1))
            .unwrap_or((now, 0));
        self.second = Some((since, count + 1));
        if count >= PER_SECOND_MAX {
            return false;
        }
        if !self.streams.contains_key(stream) {
            self.streams.retain(|_, minutes| minutes.back().is_some_and(|minute| is_recent(minute, now)));
            if self.streams.len() >= STREAMS_MAX {
                return false;
            }
        }
        let minutes = self.streams.entry(stream.to_owned()).or_default();
        if minutes.back().is_none_or(|minute| now.saturating_duration_since(minute.since) >= MINUTE) {
            minutes.push_back(Minute::new(now));
        }
        while minutes.len() > MINUTES || minutes.front().is_some_and(|minute| !is_recent(minute, now)) {
            minutes.pop_front();
        }
        if let Some(minute) = minutes.back_mut() {
            minute.push(beacon);
        }
        true
    }

    /// What viewers of a stream got in the last ten minutes.
    pub fn of(&self, stream: &str, now: Instant) -> Summary {
        let mut whole = Minute::new(now);
        for minute in self.streams.get(stream).into_iter().flatten().filter(|minute| is_recent(minute, now)) {
            whole.add(minute);
        }
        let spent = whole.played_ms + whole.stalled_ms;
        let shown: u64 = whole.renditions.iter().map(|(_, ms)| ms).sum();
        whole.renditions.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let share = |ms: u64| if shown > 0 { ms as f64 / shown as f64 } else { 0.0 };
        Summary {
            beacons: whole.beacons,
            startup_ms: whole.startup.both(),
            latency_ms: whole.latency.both(),
            stall_ratio: (spent > 0).then(|| whole.stalled_ms as f64 / spent as f64),
            stalls: whole.stalls,
            errors: whole.errors,
            renditions: whole.renditions.into_iter().map(|(name, ms)| (name, share(ms))).collect(),
        }
    }
}

fn is_recent(minute: &Minute, now: Instant) -> bool {
    now.saturating_duration_since(minute.since) < MINUTE * MINUTES as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beacon(startup_ms: u32, played_ms: u32, stalled_ms: u32, rendition: &str) -> Beacon {
        Beacon {
            startup_ms: Some(startup_ms),
            played_ms,
            stalled_ms,
            stalls: u32::from(stalled_ms > 0),
            latency_ms: Some(1_500),
            rendition: Some(rendition.into()),
            errors: 0,
        }
    }

    #[test]
    fn what_players_tell_is_summed_up() {
        let (mut experience, now) = (Experience::default(), Instant::now());
        for n in 0..100 {
            let slow = n >= 90;
            let told = beacon(
                if slow { 4_000 } else { 600 },
                10_000,
                if slow { 1_000 } else { 0 },
                if slow { "360p" } else { "source" },
            );
            assert!(experience.push("show", told, now + Duration::from_secs(n)));
        }
        let now = now + Duration::from_secs(100);
        let summary = experience.of("show", now);
        let (median, slow) = summary.startup_ms.expect("startups");
        assert!((550..=700).contains(&median) && (3_500..=4_700).contains(&slow), "{summary:?}");
        assert_eq!((summary.beacons, summary.stalls), (100, 10));
        assert!((summary.stall_ratio.expect("they played") - 10.0 / 1_010.0).abs() < 1e-9);
        assert_eq!(summary.renditions, [("source".to_owned(), 0.9), ("360p".to_owned(), 0.1)]);
        assert_eq!(experience.of("other", now), Summary::default());
        assert_eq!(experience.of("show", now + MINUTES as u32 * MINUTE).beacons, 0);
    }

    #[test]
    fn too_many_are_a_sample_and_streams_are_bounded() {
        let (mut experience, now) = (Experience::default(), Instant::now());
        let taken = (0..2 * PER_SECOND_MAX).filter(|_| experience.push("show", Beacon::default(), now)).count();
        assert_eq!(taken, PER_SECOND_MAX as usize);
        for n in 0..2 * STREAMS_MAX as u64 {
            experience.push(&n.to_string(), Beacon::default(), now + Duration::from_millis(2_000 + 10 * n));
        }
        assert!(experience.streams.len() <= STREAMS_MAX);
    }

    proptest! {
        #[test]
        fn whatever_players_claim_is_bounded(claims in prop::collection::vec(any::<(Option<u32>, u32, u32, u32)>(), 0..200)) {
            let (mut experience, now) = (Experience::default(), Instant::now());
            for (n, (startup_ms, played_ms, stalled_ms, errors)) in claims.into_iter().enumerate() {
                let told = Beacon { startup_ms, played_ms, stalled_ms, errors, stalls: errors, latency_ms: startup_ms, rendition: Some(n.to_string()) };
                experience.push("show", told, now + Duration::from_secs(n as u64));
            }
            let summary = experience.of("show", now + Duration::from_secs(200));
            prop_assert!(summary.stall_ratio.is_none_or(|ratio| (0.0..=1.0).contains(&ratio)));
            prop_assert!(summary.renditions.len() <= RENDITIONS_MAX * MINUTES);
            prop_assert!(summary.startup_ms.is_none_or(|(median, slow)| median <= slow));
        }
    }
}
