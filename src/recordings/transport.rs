//! Recorded segments as MPEG-TS, for players that follow no change of the pictures in CMAF. They are made when they are asked for.

use super::Recordings;
use super::measure::SOUND;
use super::recent::Recent;
use archive::{Segment, SessionName, Timeline};
use bytes::Bytes;
use media::{AccessUnit, VideoCodec};
use origin::{Layout, Piece, Stored};
use packager::{Coding, MovieError, Unpacker, transport_stream};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Segments that were asked for last, for those who watch the same at about the same time.
const KNOWN_BYTES: usize = 32 << 20;
/// Made at one time, of what is here and of what is in the vault: each holds its segment twice.
const AT_ONCE: usize = 4;
/// What all that are made or sent hold together, MiB: 128 of two seconds at 6 Mbit/s.
const HELD_MIB: usize = 256;
/// Who finds no room for so long is told to come again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Given to the connection at once.
const BLOCK_BYTES: u64 = 128 << 10;

/// See the module.
pub struct Transport {
    known: Recent<Wanted, Bytes>,
    local: Semaphore,
    remote: Semaphore,
    held: Arc<Semaphore>,
}

#[derive(Clone, PartialEq, Eq)]
struct Wanted {
    session: SessionName,
    rendition: String,
    msn: u64,
}

/// A segment of one rendition as it was recorded.
struct Strip {
    init: Bytes,
    media: Bytes,
}

impl Strip {
    fn units(&self) -> Result<Vec<AccessUnit>, MovieError> {
        Unpacker::new(&self.init)?.units(&self.media)
    }
}

/// A segment that is sent. Its room is held as long as somebody has not got all of it.
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Layout for Held {
    fn size_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn first(&self, range: Range<u64>) -> Piece {
        let end = range.end.min(range.start + BLOCK_BYTES);
        Piece::Bytes(self.bytes.slice(range.start as usize..end as usize))
    }
}

impl Transport {
    /// Nothing is known yet.
    pub fn new() -> Self {
        let known = Recent::new(KNOWN_BYTES, Bytes::len);
        let [local, remote] = [(); 2].map(|()| Semaphore::new(AT_ONCE));
        Self { known, local, remote, held: Arc::new(Semaphore::new(HELD_MIB)) }
    }

    /// Room for an answer made of so many bytes.
    async fn room(&self, bytes: u64) -> io::Result<OwnedSemaphorePermit> {
        let mib = (bytes >> 20) as usize + 1;
        let taken = Arc::clone(&self.held).acquire_many_owned(mib.min(HELD_MIB) as u32);
        timeout(PATIENCE, taken).await?.map_err(io::Error::other)
    }
}

impl Recordings {
    /// A segment with the sound of its number. It waits for the disk or the vault, which gives up by itself, and for others who want some.
    ///
    /// # Errors
    /// When it can't be read or is damaged, or there are too many; [`io::ErrorKind::NotFound`] when it is gone, not whole yet, was never
    /// there, or can't be MPEG-TS.
    pub(super) async fn ts(&self, timeline: &Timeline, rendition: &str, msn: u64) -> io::Result<Stored> {
        let nothing = || io::Error::from(io::ErrorKind::NotFound);
        // Before that one rendition may have it and another not yet.
        if msn >= timeline.span().end {
            return Err(nothing());
        }
        let find = |id: &str| timeline.segments(id, msn..msn + 1).pop().filter(|segment| segment.length > 0);
        let (pictures, sound) = if rendition == SOUND { (None, find(SOUND)) } else { (find(rendition), find(SOUND)) };
        let lead = pictures.or(sound).filter(|_| rendition == SOUND || pictures.is_some()).ok_or_else(nothing)?;
        let coding = lead.init().and_then(|init| timeline.init(rendition, init)).map(|init| init.coding);
        if coding.is_none_or(|coding| matches!(coding, Coding::Video(video) if video.codec != VideoCodec::H264)) {
            return Err(nothing());
        }
        let bytes: u64 = pictures.iter().chain(&sound).map(|segment| u64::from(segment.length)).sum();
        let room = self.transport.room(bytes).await?;
        let is_local = timeline.place(rendition, msn).is_some_and(|place| place.is_local);
        let turns = if is_local { &self.transport.local } else { &self.transport.remote };
        let make = async {
            let _turn = timeout(PATIENCE, turns.acquire()).await?.map_err(io::Error::other)?;
            let pictures = self.strip(timeline, rendition, pictures).await?;
            let sound = self.strip(timeline, SOUND, sound).await?;
            let mux = move || {
                let [pictures, sound] =
                    [pictures, sound].map(|strip| strip.map_or(Ok(Vec::new()), |strip| strip.units()));
                let (pictures, sound) = (pictures.map_err(io::Error::other)?, sound.map_err(io::Error::other)?);
                transport_stream(&pictures, &sound, lead.duration()).ok_or_else(nothing)
            };
            tokio::task::spawn_blocking(mux).await?
        };
        let wanted = Wanted { session: timeline.session().clone(), rendition: rendition.to_owned(), msn };
        let bytes = self.transport.known.get(wanted, make).await?;
        Ok(Stored::new(Arc::new(Held { bytes, _room: room })))
    }

    /// What there is to read of a segment, if anything.
    async fn strip(&self, timeline: &Timeline, rendition: &str, segment: Option<Segment>) -> io::Result<Option<Strip>> {
        let Some(segment) = segment else { return Ok(None) };
        let Some(init) = segment.init().and_then(|init| timeline.init(rendition, init)) else { return Ok(None) };
        let media = self.media(timeline, rendition, segment.msn).await?;
        Ok(Some(Strip { init: init.data, media }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_answers_together_hold_no_more_than_there_is_room_for() {
        let transport = Transport::new();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(transport.room(63 << 20).await.expect("room"));
        }
        let full = transport.room(1 << 20).await.expect_err("256 MiB are taken");
        assert_eq!(full.kind(), io::ErrorKind::TimedOut);
        held.pop();
        assert!(transport.room(1 << 20).await.is_ok(), "who has got all gives the room back");
    }

    #[test]
    fn an_answer_is_given_in_blocks() {
        let (bytes, room) = (Bytes::from(vec![7; 300 << 10]), Arc::new(Semaphore::new(1)).try_acquire_owned());
        let held = Held { bytes, _room: room.expect("room") };
        let length = |range| match held.first(range) {
            Piece::Bytes(bytes) => bytes.len() as u64,
            _ => 0,
        };
        assert_eq!([length(0..300 << 10), length((256 << 10)..(300 << 10)), length(5..6)], [BLOCK_BYTES, 44 << 10, 1]);
    }
}
