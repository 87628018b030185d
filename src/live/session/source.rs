//! The publisher a session listens to: probed first, then moved onto the session's timeline.

use ingest::session::{PublisherId, Rules};
use media::{AccessUnit, Announced, FeedEnd, FeedItem, FeedReader, MediaTime, Track};
use packager::{Prober, SourceFacts};
use std::time::{Duration, Instant, SystemTime};
use store::KeyMatch;

/// A publisher whose media has begun to come.
#[derive(Debug)]
pub struct Arrival {
    /// The hub's number for it.
    pub id: PublisherId,
    /// Its media from the first item on.
    pub reader: FeedReader,
    /// What lets it publish.
    pub pass: Pass,
    /// What the encoder calls itself.
    pub encoder: Option<String>,
    /// The stream's rules when it was admitted.
    pub rules: Rules,
}

/// What lets a publisher publish.
#[derive(Debug)]
pub enum Pass {
    /// One of the stream's keys.
    Key(Box<KeyMatch>),
    /// None: it is the built-in test card.
    Card,
    /// None: an operator has a recording replayed.
    Replay {
        /// The longest time between two of its key frames; `None` when it has no pictures.
        keyframe_interval: Option<Duration>,
    },
}

impl Pass {
    /// The key, if it is one.
    pub fn key(&self) -> Option<&KeyMatch> {
        match self {
            Self::Key(key) => Some(key),
            Self::Card | Self::Replay { .. } => None,
        }
    }

    /// Whether the test card has it.
    pub fn is_card(&self) -> bool {
        matches!(self, Self::Card)
    }

    /// Whether a replay has it.
    pub fn is_replay(&self) -> bool {
        matches!(self, Self::Replay { .. })
    }

    /// The time between key frames to plan a session with, if it is known.
    pub fn keyframe_interval(&self) -> Option<Duration> {
        match self {
            Self::Key(key) => key.keyframe_interval,
            Self::Card => Some(Duration::from_secs(2)),
            Self::Replay { keyframe_interval } => *keyframe_interval,
        }
    }
}

/// The publisher a session listens to.
#[derive(Debug)]
pub struct Source {
    pub arrival: Arrival,
    /// There until it is known what the publisher sends.
    probe: Option<Probe>,
    /// Added to its stamps: a publisher's own timeline begins at 10 s, the session's may have gone on meanwhile.
    shift: MediaTime,
    /// When its media came last.
    pub heard: Instant,
}

/// The beginning of a publisher's media.
#[derive(Debug)]
struct Probe {
    prober: Prober,
    announced: Option<Announced>,
    since: Instant,
    wall_start: SystemTime,
}

/// What was found, with everything that was read to find it.
#[derive(Debug)]
pub struct Probed {
    pub facts: SourceFacts,
    pub backlog: Vec<FeedItem>,
    pub announced: Option<Announced>,
    /// When the media began to come, by both clocks.
    pub since: Instant,
    pub wall_start: SystemTime,
}

impl Source {
    /// A source to be probed by `prober`.
    pub fn new(arrival: Arrival, prober: Prober) -> Self {
        let since = Instant::now();
        let probe = Probe { prober, announced: None, since, wall_start: SystemTime::now() };
        Self { arrival, probe: Some(probe), shift: MediaTime::ZERO, heard: since }
    }

    /// When its media began to come, while it is still being probed.
    pub fn probing_since(&self) -> Option<Instant> {
        self.probe.as_ref().map(|probe| probe.since)
    }

    /// Takes the next item while probing; what was found once it is known, and then never again. Gives the item back when
    /// probing is over.
    pub fn probe(&mut self, item: FeedItem) -> Result<Option<Probed>, FeedItem> {
        self.heard = Instant::now();
        let Some(probe) = &mut self.probe else { return Err(item) };
        if let FeedItem::Announced(said) = &item {
            probe.announced = Some(said.clone());
        }
        let facts = probe.prober.push(item, self.heard);
        Ok(facts.and_then(|facts| self.found(facts)))
    }

    /// Ends the probe when its time is up.
    pub fn tick(&mut self, now: Instant) -> Option<Probed> {
        let facts = self.probe.as_mut()?.prober.tick(now)?;
        self.found(facts)
    }

    fn found(&mut self, facts: SourceFacts) -> Option<Probed> {
        let Probe { prober, announced, since, wall_start } = self.probe.take()?;
        Some(Probed { facts, backlog: prober.into_items(), announced, since, wall_start })
    }

    /// Places the publisher's first unit at `at` of the session's timeline, and with it all that follow; later where its first
    /// keyframe would not come `after` what was shown meanwhile.
    pub fn place(&mut self, backlog: &[FeedItem], at: MediaTime, after: Option<MediaTime>) {
        let units = || {
            backlog.iter().filter_map(|item| match item {
                FeedItem::Unit(unit) => Some(unit),
                _ => None,
            })
        };
        self.shift = units().next().map_or(MediaTime::ZERO, |first| at - first.dts);
        let keyframe = units().find(|unit| unit.track() == Track::Video && unit.sync);
        if let (Some(keyframe), Some(after)) = (keyframe, after) {
            let behind = after + MediaTime::from_ticks(1) - (keyframe.pts + self.shift);
            self.shift += behind.max(MediaTime::ZERO);
        }
    }

    /// A unit as the session's.
    pub fn shifted(&self, unit: AccessUnit) -> AccessUnit {
        AccessUnit { dts: unit.dts + self.shift, pts: unit.pts + self.shift, ..unit }
    }
}

/// The next item of the source, never when there is none. Cancel safe.
pub async fn next(source: &mut Option<Source>) -> Result<FeedItem, FeedEnd> {
    match source {
        Some(source) => source.arrival.reader.next().await,
        None => std::future::pending().await,
    }
}

/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(100);
