//! Recordings as MP4 files: laid out over the chunks where they lie, here or in the vault, when somebody asks for the first time.

use super::measure::{self, SOUND};
use super::recent::Recent;
use super::remote::Blocks;
use super::warehouse;
use archive::{Chunk, Place, Segment, Timeline};
use media::{MediaTime, Track};
use origin::{Layout, Piece, Stored};
use packager::{Movie, MovieSlice, MovieTrack, stretches};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use vault::{Key, Vault};

/// Files that were asked for last and are kept laid out; one of four hours at 60 pictures a second takes 20 MB.
const KNOWN_MAX: usize = 8;

/// What is laid out, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub recording: String,
    pub rendition: String,
    pub span: Range<u64>,
    /// How many of its reels are in the vault alone: their files are gone.
    pub remote_reels: usize,
    /// Stands in the file.
    pub title: String,
    pub created: SystemTime,
}

/// One file.
pub struct MovieFile {
    movie: Movie,
    /// Of each track, where the payload of each of its chunks lies.
    payloads: Vec<Vec<Payload>>,
    sources: Vec<Source>,
    /// Where it begins in the recording, and how long it is.
    pub begins: MediaTime,
    pub duration: MediaTime,
    /// Tells its bytes from others.
    pub tag: u64,
}

/// The files of one rendition, in order.
pub type Files = Arc<[Arc<MovieFile>]>;

/// A rendition of a reel.
enum Source {
    File(Arc<Path>),
    Vault(Blocks, Key),
}

#[derive(Debug, Clone, Copy)]
struct Payload {
    source: u32,
    offset: u32,
}

/// What was laid out lately.
pub struct Movies {
    known: Recent<Wanted, Files>,
    /// Where media is that is not here, if anywhere.
    elsewhere: Option<Blocks>,
}

impl Movies {
    pub fn new(elsewhere: Option<Vault>) -> Self {
        Self { known: Recent::new(KNOWN_MAX, |_| 1), elsewhere: elsewhere.map(Blocks::new) }
    }

    /// The files of one rendition with the sound, in order. Making them reads the disk.
    ///
    /// # Errors
    /// When a file can't be read, or is elsewhere and nobody knows what is in it.
    pub async fn get(&self, timeline: Arc<Timeline>, wanted: Wanted) -> io::Result<Files> {
        let (asked, elsewhere) = (wanted.clone(), self.elsewhere.clone());
        let make = async move {
            let lay_out = move || lay_out(&timeline, &asked, elsewhere.as_ref());
            let files = tokio::task::spawn_blocking(lay_out).await??;
            Ok(files.into_iter().map(Arc::new).collect())
        };
        self.known.get(wanted, make).await
    }
}

impl MovieFile {
    /// As the origin sends it.
    pub fn stored(self: Arc<Self>) -> Stored {
        Stored::new(self)
    }
}

impl Layout for MovieFile {
    fn size_bytes(&self) -> u64 {
        self.movie.size_bytes()
    }

    fn first(&self, range: Range<u64>) -> Piece {
        match self.movie.slices(range).next().expect("a range within the file has bytes") {
            MovieSlice::Bytes(bytes) => Piece::Bytes(bytes),
            MovieSlice::Payload { track, fragment, range } => {
                let Payload { source, offset } = self.payloads[track][fragment];
                let range = u64::from(offset) + range.start..u64::from(offset) + range.end;
                match &self.sources[source as usize] {
                    Source::File(file) => Piece::File { file: Arc::clone(file), range },
                    Source::Vault(blocks, key) => blocks.first(key, range),
                }
            }
        }
    }
}

/// Lays out all files. Blocks on the disk.
fn lay_out(timeline: &Timeline, wanted: &Wanted, elsewhere: Option<&Blocks>) -> io::Result<Vec<MovieFile>> {
    let known = timeline.renditions();
    let lines: Vec<(&str, Vec<Segment>)> = [wanted.rendition.as_str(), SOUND]
        .into_iter()
        .take(if wanted.rendition == SOUND { 1 } else { 2 })
        .filter(|id| known.iter().any(|(known, _)| known == id))
        .map(|id| (id, timeline.segments(id, wanted.span.clone())))
        .collect();
    let numbers: BTreeSet<u64> = lines.iter().flat_map(|(_, line)| line.iter().map(|segment| segment.msn)).collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let find = |line: usize, msn: u64| {
        let (_, segments) = lines.get(line)?;
        segments.binary_search_by_key(&msn, |segment| segment.msn).ok().map(|at| segments[at])
    };
    let facts = numbers.iter().map(|msn| {
        let both = [find(0, *msn), find(1, *msn)];
        let longest = both.iter().flatten().max_by_key(|segment| segment.duration()).expect("one of them has it");
        let init = |segment: Option<Segment>| segment.filter(|s| s.length > 0).and_then(|s| s.init());
        (longest.start..longest.start + longest.duration(), both.map(init))
    });
    let mut files = Vec::new();
    let mut begins = MediaTime::ZERO;
    for stretch in stretches(facts) {
        let span = numbers[stretch.start]..numbers[stretch.end - 1] + 1;
        // As long as its pictures: what sound is listed with is up to a frame longer behind each break.
        let within = |line: &[Segment]| measure::length(line.iter().filter(|s| span.contains(&s.msn)));
        let mut lengths = lines.iter().map(|(_, line)| within(line));
        let duration = lengths.find(|length| *length > MediaTime::ZERO).unwrap_or_default();
        if let Some(file) = lay_out_one((timeline, elsewhere), wanted, &lines, &span, (begins, duration))? {
            files.push(file);
        }
        begins += duration;
    }
    Ok(files)
}

/// `None` when nothing of the stretch can be played.
fn lay_out_one(
    (timeline, elsewhere): (&Timeline, Option<&Blocks>),
    wanted: &Wanted,
    lines: &[(&str, Vec<Segment>)],
    span: &Range<u64>,
    (begins, duration): (MediaTime, MediaTime),
) -> io::Result<Option<MovieFile>> {
    let (mut tracks, mut payloads, mut sources) = (Vec::new(), Vec::new(), Vec::new());
    for (id, line) in lines {
        let within = || line.iter().filter(|segment| span.contains(&segment.msn) && segment.length > 0);
        let init = within().find_map(|segment| timeline.init(id, segment.init()?));
        let Some(mut track) = init.and_then(|init| MovieTrack::new(&init.data).ok()) else { continue };
        let mut places = Vec::new();
        let mut reel = None;
        for segment in within() {
            let Some(place) = timeline.place(id, segment.msn) else { continue };
            if reel.replace(place.reel) != Some(place.reel) {
                sources.push(source(timeline, elsewhere, id, &place)?);
            }
            let source = u32::try_from(sources.len() - 1).unwrap_or(u32::MAX);
            for Chunk { moof, payload } in place.chunks()? {
                let offset = u32::try_from(payload.start).map_err(io::Error::other)?;
                places.push(Payload { source, offset });
                if let Err(error) = track.push(&moof, payload.end - payload.start) {
                    tracing::debug!(%error, recording = wanted.recording, rendition = id, "a chunk is not in the MP4 file");
                }
            }
        }
        tracks.push(track);
        payloads.push(places);
    }
    match Movie::new(tracks, &wanted.title, wanted.created) {
        Ok(movie) => {
            let mut hasher = DefaultHasher::new();
            movie.head().hash(&mut hasher);
            let tag = hasher.finish();
            Ok(Some(MovieFile { movie, payloads, sources, begins, duration, tag }))
        }
        Err(error) => {
            tracing::debug!(%error, recording = wanted.recording, "there is no MP4 file of a stretch");
            Ok(None)
        }
    }
}

/// Where a reel's rendition is read from.
fn source(timeline: &Timeline, elsewhere: Option<&Blocks>, rendition: &str, place: &Place) -> io::Result<Source> {
    if place.is_local {
        return Ok(Source::File(place.path.as_path().into()));
    }
    let blocks = elsewhere.ok_or_else(|| io::Error::other("a part of the recording is elsewhere"))?;
    let key = warehouse::media_key(timeline.session(), place.reel, rendition).map_err(io::Error::other)?;
    Ok(Source::Vault(blocks.clone(), key))
}

/// Whether a rendition can be a file: pictures, or the sound of a recording without any.
pub fn is_file(timeline: &Timeline, rendition: &str) -> bool {
    let known = timeline.renditions();
    let has_pictures = known.iter().any(|(_, track)| *track == Track::Video);
    known.iter().any(|(id, track)| id == rendition && (*track == Track::Video) == has_pictures)
}
