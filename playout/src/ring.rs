//! What players of one stream are sent, in order, packed once. Pure: knows no player, no socket and no clock.

use crate::Limits;
use crate::batch::Batch;
use bytes::{Bytes, BytesMut};
use media::{AccessUnit, Announced, AudioConfig, Config, MediaTime, VideoConfig};
use rtmp::packer::{Packer, Packet};
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames of sound that wait for the next picture, so that both leave in one write: 64 ms at most, when no picture comes.
const SOUND_WAITS_MAX: u32 = 3;
/// A stream without pictures may be entered so often.
const SOUND_ENTRY_EVERY: MediaTime = MediaTime::from_millis(1000);

/// Messages held: 12 s at 120 pictures a second with sound are 2,600.
const HELD_MAX: usize = 4096;

/// Messages have numbers; `held[0]` has number `first`.
#[derive(Debug)]
pub(crate) struct Ring {
    span: MediaTime,
    bytes_max: usize,
    held: VecDeque<Held>,
    first: u64,
    bytes: usize,
    /// Where a player may begin, the newest last.
    entries: VecDeque<Entry>,
    /// Messages below this number are to be sent; those above wait for a picture.
    ready: u64,
    waiting_sound: u32,
    packer: Option<Packer>,
    announced: Announced,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    has_ended: bool,
}

#[derive(Debug)]
struct Held {
    sending: Sending,
    at: MediaTime,
    bytes: usize,
}

/// How a message is sent.
#[derive(Debug)]
enum Sending {
    /// As pieces of the publisher's own bytes.
    Packet(Packet),
    /// With those behind it up to the next that is not [`Sending::Inside`], in one piece.
    Run(Bytes),
    /// In the run before.
    Inside,
}

#[derive(Debug)]
struct Entry {
    /// Of its keyframe.
    number: u64,
    at: MediaTime,
    /// Metadata and configurations, to be sent before it.
    opening: Bytes,
}

/// Where a player is.
#[derive(Debug)]
pub(crate) struct Place {
    /// Number of the next message; `None` before the first.
    next: Option<u64>,
    /// It has to begin at an entry, as it has just come or was left behind.
    is_out: bool,
}

impl Place {
    /// Of a player that has just come: it begins at the newest entry.
    pub(crate) fn new() -> Self {
        Self { next: None, is_out: true }
    }
}

impl Ring {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            span: MediaTime::from(limits.span),
            bytes_max: limits.bytes,
            held: VecDeque::new(),
            first: 0,
            bytes: 0,
            entries: VecDeque::new(),
            ready: 0,
            waiting_sound: 0,
            packer: None,
            announced: Announced::default(),
            video: None,
            audio: None,
            has_ended: false,
        }
    }

    /// What the publisher says of itself, for metadata from now on.
    pub(crate) fn announce(&mut self, announced: &Announced) {
        self.announced = announced.clone();
    }

    /// Adds a unit; true when players are to be woken. While it `is_watched`, what leaves together is put into one piece.
    pub(crate) fn push(&mut self, unit: &AccessUnit, is_watched: bool) -> bool {
        self.configure(unit);
        let packer = self.packer.get_or_insert_with(|| Packer::new(unit.dts));
        let packet = packer.unit(unit);
        if self.is_entry(unit) {
            let entry = Entry { number: self.end(), at: unit.dts, opening: self.opening(unit.dts) };
            self.entries.push_back(entry);
        }
        self.hold(packet, unit.dts);
        self.trim();
        let is_sound = unit.audio().is_some();
        self.waiting_sound = if is_sound { self.waiting_sound + 1 } else { 0 };
        let waits = is_sound && self.video.is_some() && self.waiting_sound < SOUND_WAITS_MAX;
        if !waits {
            if is_watched {
                self.join();
            }
            (self.ready, self.waiting_sound) = (self.end(), 0);
        }
        !waits
    }

    /// Copies what is about to be sent into one piece, or two where an entry is among it. One copy of a message costs less than two
    /// hundred players that count references to each of its pieces, from several threads.
    fn join(&mut self) {
        let mut from =
            usize::try_from(self.ready.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.held.len());
        let entry = self.entries.back().and_then(|entry| usize::try_from(entry.number.checked_sub(self.first)?).ok());
        let entry = entry.filter(|entry| *entry > from);
        for until in entry.into_iter().chain([self.held.len()]) {
            let bytes = self.held.range(from..until).map(|held| held.bytes).sum();
            let mut run = BytesMut::with_capacity(bytes);
            for held in self.held.range_mut(from..until) {
                if let Sending::Packet(packet) = std::mem::replace(&mut held.sending, Sending::Inside) {
                    packet.pieces().for_each(|piece| run.extend_from_slice(piece));
                }
            }
            if let Some(first) = self.held.get_mut(from) {
                first.sending = Sending::Run(run.freeze());
            }
            from = until;
        }
    }

    /// Nothing more will come.
    pub(crate) fn finish(&mut self) {
        (self.ready, self.has_ended) = (self.end(), true);
    }

    /// Whether this player has been given everything there will ever be.
    pub(crate) fn is_over(&self, place: &Place) -> bool {
        self.has_ended && (place.is_out || place.next == Some(self.ready))
    }

    /// Adds to the batch what the player is to be sent next; gives how many messages it has lost.
    pub(crate) fn read(&self, place: &mut Place, batch: &mut Batch) -> u64 {
        let mut lost = 0;
        place.is_out |= place.next.is_some_and(|next| next < self.first);
        if place.is_out {
            let Some(entry) = self.entries.iter().rfind(|entry| entry.number < self.ready) else { return 0 };
            lost = place.next.map_or(0, |next| entry.number.saturating_sub(next));
            batch.push(entry.opening.clone());
            *place = Place { next: Some(entry.number), is_out: false };
        }
        let Some(next) = &mut place.next else { return lost };
        let from = usize::try_from(*next - self.first).unwrap_or(usize::MAX);
        for held in self.held.iter().skip(from) {
            if *next >= self.ready || batch.is_full() {
                break;
            }
            match &held.sending {
                Sending::Packet(packet) => packet.pieces().for_each(|piece| batch.push(piece.clone())),
                Sending::Run(run) => batch.push(run.clone()),
                Sending::Inside => {}
            }
            *next += 1;
        }
        lost
    }

    /// The number of the next message.
    fn end(&self) -> u64 {
        self.first + self.held.len() as u64
    }

    fn is_entry(&self, unit: &AccessUnit) -> bool {
        match unit.config {
            Config::Video(_) => unit.sync,
            Config::Audio(_) => {
                self.video.is_none() && self.entries.back().is_none_or(|entry| unit.dts - entry.at >= SOUND_ENTRY_EVERY)
            }
        }
    }

    /// Tells those who watch already of a new configuration.
    fn configure(&mut self, unit: &AccessUnit) {
        let at = unit.dts;
        let packer = self.packer.get_or_insert_with(|| Packer::new(at));
        let packet = match &unit.config {
            Config::Video(config) => {
                let known = self.video.replace(Arc::clone(config));
                let is_known = known.is_some_and(|known| Arc::ptr_eq(&known, config) || known == *config);
                (!is_known).then(|| packer.video_config(config, at))
            }
            Config::Audio(config) => {
                let known = self.audio.replace(Arc::clone(config));
                let is_known = known.is_some_and(|known| Arc::ptr_eq(&known, config) || known == *config);
                (!is_known).then(|| packer.audio_config(config, at))
            }
        };
        if let Some(packet) = packet {
            let metadata = packer.metadata(self.video.as_deref(), self.audio.as_deref(), &self.announced);
            self.hold(metadata, at);
            self.hold(packet, at);
        }
    }

    fn opening(&mut self, at: MediaTime) -> Bytes {
        let Some(packer) = &mut self.packer else { return Bytes::new() };
        let (video, audio) = (self.video.as_deref(), self.audio.as_deref());
        let metadata = packer.metadata(video, audio, &self.announced);
        let video = video.map(|config| packer.video_config(config, at));
        let audio = audio.map(|config| packer.audio_config(config, at));
        let packets = [Some(metadata), video, audio];
        let mut opening = BytesMut::new();
        packets.iter().flatten().flat_map(Packet::pieces).for_each(|piece| opening.extend_from_slice(piece));
        opening.freeze()
    }

    fn hold(&mut self, packet: Packet, at: MediaTime) {
        let bytes = packet.len();
        self.bytes += bytes;
        self.held.push_back(Held { sending: Sending::Packet(packet), at, bytes });
    }

    fn trim(&mut self) {
        let newest = self.held.back().map_or(MediaTime::ZERO, |held| held.at);
        let is_over = |ring: &Self| {
            let oldest = ring.held.front().map_or(newest, |held| held.at);
            ring.bytes > ring.bytes_max || newest - oldest > ring.span || ring.held.len() > HELD_MAX
        };
        while is_over(self)
            && let Some(held) = self.held.pop_front()
        {
            self.bytes -= held.bytes;
            self.first += 1;
        }
        while self.entries.front().is_some_and(|entry| entry.number < self.first) {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
