//! Recorded segments as MPEG-TS, for players that follow no change of the pictures in CMAF. They are made when they are asked for.

use super::Recordings;
use super::measure::SOUND;
use super::recent::Recent;
use archive::{SessionName, Timeline};
use bytes::Bytes;
use media::{AccessUnit, MediaTime};
use packager::{MovieError, Unpacker, transport_stream};
use std::io;
use tokio::sync::Semaphore;

/// Segments that were asked for last, for those who watch the same at about the same time.
const KNOWN_BYTES: usize = 32 << 20;
/// Made at one time: each holds its segment twice.
const AT_ONCE: usize = 4;

/// See the module.
pub struct Transport {
    known: Recent<Wanted, Bytes>,
    /// Those who find it full wait; how many there are is bound by the connections.
    room: Semaphore,
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
    length: MediaTime,
}

impl Strip {
    fn units(&self) -> Result<Vec<AccessUnit>, MovieError> {
        Unpacker::new(&self.init)?.units(&self.media)
    }
}

impl Transport {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self { known: Recent::new(KNOWN_BYTES, Bytes::len), room: Semaphore::new(AT_ONCE) }
    }
}

impl Recordings {
    /// A segment with the sound of its number. It waits for the disk or the vault, which gives up by itself.
    ///
    /// # Errors
    /// When it can't be read or is damaged; [`io::ErrorKind::NotFound`] when it is gone, was never there, or can't be MPEG-TS.
    pub(super) async fn ts(&self, timeline: &Timeline, rendition: &str, msn: u64) -> io::Result<Bytes> {
        let wanted = Wanted { session: timeline.session().clone(), rendition: rendition.to_owned(), msn };
        let make = async {
            let _room = self.transport.room.acquire().await.map_err(io::Error::other)?;
            let sound = self.strip(timeline, SOUND, msn).await?;
            let pictures = match rendition {
                SOUND => None,
                _ => Some(self.strip(timeline, rendition, msn).await?.ok_or(io::ErrorKind::NotFound)?),
            };
            let mux = move || {
                let length = pictures.as_ref().or(sound.as_ref()).map_or(MediaTime::ZERO, |strip| strip.length);
                let [pictures, sound] =
                    [pictures, sound].map(|strip| strip.map_or(Ok(Vec::new()), |strip| strip.units()));
                let (pictures, sound) = (pictures.map_err(io::Error::other)?, sound.map_err(io::Error::other)?);
                transport_stream(&pictures, &sound, length).ok_or(io::ErrorKind::NotFound.into())
            };
            tokio::task::spawn_blocking(mux).await?
        };
        self.transport.known.get(wanted, make).await
    }

    /// `None` when there is no media of the rendition in this segment.
    async fn strip(&self, timeline: &Timeline, rendition: &str, msn: u64) -> io::Result<Option<Strip>> {
        let segment = timeline.segments(rendition, msn..msn.saturating_add(1)).pop();
        let Some(segment) = segment.filter(|segment| segment.length > 0) else { return Ok(None) };
        let Some(init) = segment.init().and_then(|init| timeline.init(rendition, init)) else { return Ok(None) };
        let media = self.media(timeline, rendition, msn).await?;
        Ok(Some(Strip { init: init.data, media, length: segment.duration() }))
    }
}
