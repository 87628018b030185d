//! [`Rendition`]: one rendition's share of the window, and the [`Playlist`] that lists it.

use crate::shelf::{Edge, Shelf};
use crate::{Coding, Document, Segment, transport_stream};
use bytes::Bytes;
use media::{FrameRate, Track, VideoConfig};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// A media playlist as it is listed at one moment.
#[derive(Debug)]
pub struct Playlist {
    /// The newest part listed: (media sequence number, part index). Compare as a pair: a blocked request for (n, p) may be
    /// answered when `last >= (n, p)`. For a playlist without parts the index is 0.
    pub last: Option<(u64, u32)>,
    /// The newest whole segment listed; a blocked request for n without a part may be answered when it is at least n.
    pub last_segment: Option<u64>,
    /// The part in the preload hint, the next to appear; `None` when the playlist has ended or lists no parts.
    pub next_part: Option<(u64, u32)>,
    /// The whole playlist.
    pub full: Document,
    /// The delta update for `_HLS_skip=YES` (EXT-X-SKIP); `None` when there is nothing to skip yet.
    pub delta: Option<Document>,
    /// PART-TARGET; zero for a playlist without parts.
    pub part_target: Duration,
    /// EXT-X-TARGETDURATION, the same for the whole session and all renditions.
    pub target: Duration,
    /// EXT-X-ENDLIST stands in it; it never changes again, and delivery directives are to be ignored.
    pub ended: bool,
}

/// One rendition: its playlists, init sections, segments and parts. The bytes handed out are shared, never copied.
#[derive(Debug)]
pub struct Rendition {
    id: String,
    /// What its media's URIs begin with: `RENDITION/`, or `RENDITION/EPOCH-` after a restart.
    base: String,
    track: Track,
    /// Of pictures.
    rate: Option<FrameRate>,
    /// The number of the first segment it ever has.
    first_msn: u64,
    /// Held for a look-up or one change, never across a render, a compression or an await.
    shelf: Mutex<Shelf>,
    playlist: watch::Sender<Arc<Playlist>>,
    ts_playlist: watch::Sender<Arc<Playlist>>,
    /// For a video rendition: the audio to mux into its MPEG-TS. Weak, so that no cycle can keep a session in memory.
    audio: Mutex<Weak<Rendition>>,
}

impl Rendition {
    pub(crate) fn new(
        id: String,
        base: String,
        track: Track,
        rate: Option<FrameRate>,
        first_msn: u64,
        shelf: Shelf,
        (first, first_ts): (Playlist, Playlist),
    ) -> Self {
        Self {
            id,
            base,
            track,
            rate,
            first_msn,
            shelf: Mutex::new(shelf),
            playlist: watch::Sender::new(Arc::new(first)),
            ts_playlist: watch::Sender::new(Arc::new(first_ts)),
            audio: Mutex::default(),
        }
    }

    /// `source`, a rung's name, or `audio`; also the folder of its media in URLs.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn first_msn(&self) -> u64 {
        self.first_msn
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it carries.
    pub fn track(&self) -> Track {
        self.track
    }

    /// The low-latency media playlist `RENDITION.m3u8` and its changes. Before the first part it lists nothing and its
    /// `last` is `None`. One change wakes all waiters at once.
    pub fn playlist(&self) -> watch::Receiver<Arc<Playlist>> {
        self.playlist.subscribe()
    }

    /// The MPEG-TS playlist `RENDITION.ts.m3u8`: whole segments only. Always empty for HEVC, and for audio beside video.
    pub fn ts_playlist(&self) -> watch::Receiver<Arc<Playlist>> {
        self.ts_playlist.subscribe()
    }

    /// Init section number `generation` (`RENDITION/init-GEN.mp4`): `ftyp` and `moov`. Kept for the whole session.
    pub fn init(&self, generation: u32) -> Option<Bytes> {
        self.shelf().inits.get(generation as usize).map(|i| i.data.clone())
    }

    /// How the media behind init section `generation` is coded.
    pub fn coding(&self, generation: u32) -> Option<Coding> {
        Coding::of(&self.shelf().inits.get(generation as usize)?.config, self.rate)
    }

    /// A whole segment (`RENDITION/MSN.m4s`) while it is held; `None` when it is unknown, still growing, or has no bytes.
    pub fn segment(&self, msn: u64) -> Option<Segment> {
        self.shelf().segment(msn).filter(|s| !s.is_empty()).cloned()
    }

    /// A part (`RENDITION/MSN.PART.m4s`) while its segment is held; `None` also for a gap.
    pub fn part(&self, msn: u64, part: u32) -> Option<Bytes> {
        self.shelf().part(msn, part).filter(|p| !p.gap).map(|p| p.data.clone())
    }

    /// An MPEG-TS segment (`RENDITION/MSN.ts`), muxed with the audio of the same number. The first call muxes (about 1 ms
    /// per megabyte) and the answer is kept with the segment; `None` when there is no H.264 picture or audio in it.
    pub fn ts_segment(&self, msn: u64) -> Option<Bytes> {
        let (segment, config) = {
            let shelf = self.shelf();
            let segment = shelf.segment(msn)?.clone();
            let config = shelf.inits.get(segment.init? as usize)?.config.clone();
            (segment, config)
        };
        let audio = self.audio.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let muxed = segment.ts.get_or_init(|| {
            let units = segment.units(&config);
            if matches!(config, media::Config::Audio(_)) {
                return transport_stream(&[], &units, segment.duration);
            }
            let sound = audio.as_ref().and_then(|audio| audio.segment_with_config(msn));
            let sound = sound.map(|(sound, config)| sound.units(&config)).unwrap_or_default();
            transport_stream(&units, &sound, segment.duration)
        });
        muxed.clone()
    }

    /// The newest configuration of a video rendition; `None` before its first picture and for audio.
    pub fn video(&self) -> Option<Arc<VideoConfig>> {
        let shelf = self.shelf();
        match &shelf.inits.get(shelf.init? as usize)?.config {
            media::Config::Video(config) => Some(Arc::clone(config)),
            media::Config::Audio(_) => None,
        }
    }

    pub(crate) fn segment_with_config(&self, msn: u64) -> Option<(Segment, media::Config)> {
        let shelf = self.shelf();
        let segment = shelf.segment(msn)?.clone();
        let config = shelf.inits.get(segment.init? as usize)?.config.clone();
        Some((segment, config))
    }

    pub(crate) fn mux_with(&self, audio: &Arc<Rendition>) {
        *self.audio.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(audio);
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A change to the shelf is a few moves that can't panic half way, so poison is ignored.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn edge(&self) -> Option<Edge> {
        self.shelf().edge()
    }

    pub(crate) fn show(&self, playlist: Playlist) {
        self.playlist.send_replace(Arc::new(playlist));
    }

    /// Replaces the playlist by one that lists the same parts, and wakes nobody.
    pub(crate) fn refresh(&self, playlist: Playlist) {
        self.playlist.send_if_modified(|shown| {
            *shown = Arc::new(playlist);
            false
        });
    }

    pub(crate) fn show_ts(&self, playlist: Playlist) {
        self.ts_playlist.send_replace(Arc::new(playlist));
    }
}
