//! A recording as one MP4 file that is downloaded: its layout, made of the heads of the recorded chunks alone.
//!
//! Nothing is encoded anew, and no payload is read: the file is a [`Movie::head`], written here, and behind it the payload of
//! the chunks in an order that players like. So its size and every byte's place are known before the first one is sent, which
//! Range requests and resumed downloads need, and the same recording always gives the same bytes. Whoever keeps the chunks
//! (the archive) collects a [`MovieTrack`] per rendition, and sends what [`Movie::slices`] says from its own files.
//!
//! It opens no file, and it is not a reader of other people's MP4. A file has one decoder configuration per track: where a
//! rendition's init section changes, [`stretches`] begins another one.
//!
//! ```
//! # fn chunks() -> Vec<(Vec<u8>, u64)> { Vec::new() }
//! # fn download(init: &bytes::Bytes) -> Result<(), packager::MovieError> {
//! use packager::{Movie, MovieSlice, MovieTrack};
//! let mut video = MovieTrack::new(init)?;
//! for (moof, payload_bytes) in chunks() {
//!     video.push(&moof, payload_bytes)?;
//! }
//! let movie = Movie::new(vec![video], "Friday's show", std::time::SystemTime::UNIX_EPOCH)?;
//! for slice in movie.slices(0..movie.size_bytes()) {
//!     match slice {
//!         MovieSlice::Bytes(bytes) => println!("send {} bytes", bytes.len()),
//!         MovieSlice::Payload { fragment, range, .. } => println!("send {range:?} of the payload of chunk {fragment}"),
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! **Time.** The tracks keep the timescales of their init sections, and what the session's timeline says of picture and sound
//! to each other: who begins later gets an empty edit. As in the live stream, nothing is cut off the sound's beginning. Where
//! pictures are missing, the one before is shown longer. Where sound is missing, silent frames stand in the file. Measured with
//! six seconds missing amid a file: Chromium 156 plays sound by its sample count, so with a frame that lasts six seconds it is
//! six seconds ahead of the picture from there on, and with an empty edit sound ends early; with the empty edit VLC 3.0 ends the
//! sound and ffmpeg 5.1 plays pictures twice. Silence and a still picture are right in all three. See [`MovieTrack`].

mod error;
pub(crate) mod init;
mod moov;
mod run_lengths;
mod stretch;
mod track;

pub use error::MovieError;
pub use stretch::stretches;
pub use track::MovieTrack;

use bytes::Bytes;
use media::MediaTime;
use moov::{Chunk, Head, Laid};
use std::ops::Range;
use std::time::{Duration, SystemTime};
use track::{Run, Source};

/// The longest time without media inside a file. Its ticks fit the 32 bits of a picture's duration (13 h at 90 kHz).
const GAP_MAX: MediaTime = MediaTime::from_millis(12 * 3_600_000);
/// How much earlier than the end of the chunk before a chunk may begin: rounding and stretched frames, not a clock that was
/// set back.
const OVERLAP_MAX: MediaTime = MediaTime::from_millis(100);
/// Each track's share of the file changes with the other's this often. Players read all tracks with one connection and hold
/// little of one while they wait for the other.
const INTERLEAVE: MediaTime = MediaTime::from_millis(500);
/// From 1904, where MP4 counts from, to 1970.
const MP4_EPOCH: Duration = Duration::from_secs(2_082_844_800);

/// The layout of one MP4 file. It holds the head (4 to 20 bytes per picture and 4 per audio frame: 6 to 20 MB for four hours at
/// 60 pictures a second) and 48 bytes per chunk, and no media.
#[derive(Debug)]
pub struct Movie {
    head: Bytes,
    /// What the file is made of, each with its place, without holes. The head is the first.
    pieces: Vec<(u64, MovieSlice)>,
    size_bytes: u64,
}

/// Consecutive bytes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MovieSlice {
    /// Bytes of the layout's own: of the head, or silence. Shared, not copied.
    Bytes(Bytes),
    /// Bytes that the recording has.
    Payload {
        /// Which of the tracks given to [`Movie::new`].
        track: usize,
        /// Which of the chunks given to its [`MovieTrack::push`], from 0.
        fragment: usize,
        /// Which bytes of that chunk's payload: what stands in its `mdat` behind the eight bytes of the header.
        range: Range<u64>,
    },
}

impl Movie {
    /// Lays out the tracks, whose order they keep in the file; picture first is usual. One without samples is left out.
    /// `title` is shown by players (`©nam`) unless empty; `created` is when the recording began, cut to whole seconds, and not
    /// before 1970.
    ///
    /// It blocks: with the collecting of its tracks, four hours at 60 pictures a second take 0.1 s. Meanwhile it holds twice what
    /// the layout will.
    pub fn new(mut tracks: Vec<MovieTrack>, title: &str, created: SystemTime) -> Result<Self, MovieError> {
        tracks.iter_mut().for_each(MovieTrack::finish);
        let begin = tracks.iter().filter_map(MovieTrack::start).min().ok_or(MovieError::Empty)?;
        let late = |track: &MovieTrack| track.start().map_or(MediaTime::ZERO, |start| start - begin);
        if tracks.iter().any(|track| late(track) > GAP_MAX) {
            return Err(MovieError::Apart);
        }
        let mut laid: Vec<_> =
            tracks.iter().map(|track| Laid { track, late: late(track), chunks: Vec::new() }).collect();
        let (mut payload, mut payload_bytes, mut before) = (Vec::new(), 0, None);
        for (turn, index, run) in interleaved(&tracks, begin) {
            let chunks = &mut laid[index].chunks;
            match chunks.last_mut().filter(|_| before == Some((turn, index))) {
                Some(chunk) => chunk.samples += run.samples,
                None => chunks.push(Chunk { at: payload_bytes, samples: run.samples }),
            }
            before = Some((turn, index));
            if run.bytes > 0 {
                payload.push((payload_bytes, slice(&tracks[index], index, run)));
                payload_bytes += run.bytes;
            }
        }
        laid.retain(|laid| !laid.track.is_empty());
        let since = created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let created_s = (since + MP4_EPOCH).as_secs();
        let head = Bytes::from(Head { tracks: laid, title, created_s, payload_bytes }.write());
        let size = head.len() as u64;
        let behind = payload.into_iter().map(|(at, slice)| (size + at, slice));
        let pieces = std::iter::once((0, MovieSlice::Bytes(head.clone()))).chain(behind).collect();
        Ok(Self { head, pieces, size_bytes: size + payload_bytes })
    }

    /// `ftyp`, `moov` and the header of `mdat`: the beginning of the file, which depends on every sample. As chunks never
    /// change their bytes, a hash of it tells the files of one recording apart, as an ETag must.
    pub fn head(&self) -> &Bytes {
        &self.head
    }

    /// The whole file's.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The bytes of `range` in order; what of it is behind the end of the file is left out. None of the slices is empty.
    pub fn slices(&self, range: Range<u64>) -> impl Iterator<Item = MovieSlice> + '_ {
        let first = self.pieces.partition_point(|(at, slice)| at + slice.size_bytes() <= range.start);
        let within = self.pieces[first..].iter().take_while(move |(at, _)| range.start.max(*at) < range.end);
        within.map(move |(at, slice)| slice.cut(range.start.saturating_sub(*at)..range.end - at))
    }
}

impl MovieSlice {
    /// How many bytes it is; at least 1.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Payload { range, .. } => range.end - range.start,
        }
    }

    /// A part of it, which may reach beyond its end.
    fn cut(&self, part: Range<u64>) -> Self {
        let (from, until) = (part.start, part.end.min(self.size_bytes()));
        match self {
            Self::Bytes(bytes) => Self::Bytes(bytes.slice(from as usize..until as usize)),
            Self::Payload { track, fragment, range } => {
                Self::Payload { track: *track, fragment: *fragment, range: range.start + from..range.start + until }
            }
        }
    }
}

/// All runs in the file's order: in each half second those of one track after the other. With each its half second and its track.
fn interleaved(tracks: &[MovieTrack], begin: MediaTime) -> Vec<(i64, usize, &Run)> {
    let mut order = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let turn = |run| (track.time_of(run) - begin).ticks().div_euclid(INTERLEAVE.ticks());
        order.extend(track.runs().iter().map(|run| (turn(run), index, run)));
    }
    // Stable, so a track's runs stay in their order.
    order.sort_by_key(|(turn, index, _)| (*turn, *index));
    order
}

fn slice(track: &MovieTrack, index: usize, run: &Run) -> MovieSlice {
    match run.source {
        Source::Payload { fragment, from } => {
            MovieSlice::Payload { track: index, fragment, range: from..from + run.bytes }
        }
        Source::Silence => MovieSlice::Bytes(track.silence(run.bytes)),
    }
}

#[cfg(test)]
mod tests;
