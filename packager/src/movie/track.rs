use super::init::InitSection;
use super::run_lengths::RunLengths;
use super::{GAP_MAX, MovieError, OVERLAP_MAX};
use crate::cmaf::moof::{Entry, Moof};
use bytes::Bytes;
use media::{MediaTime, Track};

/// Samples in one track, silence included: 37 hours at 60 pictures a second. Their tables take 160 MB.
const SAMPLES_MAX: usize = 8_000_000;
/// Many times the length of a part. A chunk that says more of itself, or of how late a picture is shown, is damaged.
const FRAGMENT_MAX: MediaTime = MediaTime::from_millis(10_000);
/// Pictures from a key frame to the next, 17 s at 60 a second. Where key frames are missing, a group ends all the same.
const GROUP_MAX: usize = 1024;

/// The samples of one rendition, collected from the heads of its chunks in the form a file needs them: 4 to 20 bytes for each.
///
/// Presentation times of pictures are those of the chunks, to the tick. A picture is shown until the next one, be that hours
/// later. Decode times are made anew, as those of the chunks are squeezed (see the packager's video lane), from which editors
/// and ffmpeg would guess a frame rate that varies: a group of pictures is decoded at the very times at which its pictures
/// are shown, in order, and all offsets are raised by what keeps them above zero, which an edit takes back.
///
/// Sound runs on its sample count, and every frame lasts as long as it is: where the chunks leave room for half a frame or more,
/// silent frames stand. So each frame is within half a frame (11 ms at 48 kHz) of its place in the live stream, and players that
/// count samples instead of believing stamps (Chromium, of a file) stay with the picture.
#[derive(Debug, Clone)]
pub struct MovieTrack {
    pub(super) init: InitSection,
    /// Chunks pushed, and refused ones.
    fragments: usize,
    /// The first sample's decode time in the chunks' timeline, from which all other times count; `None` before it.
    origin: Option<i64>,
    /// Until when the newest chunk lasts; of sound, the newest frame where it was placed.
    end: i64,
    /// Pictures that are not placed yet: those from the newest key frame on.
    group: Vec<Picture>,
    /// What is taken in one piece, in decode order; here and below only of samples that are placed.
    runs: Vec<Run>,
    /// When the first and the newest sample are decoded.
    placed: Option<(i64, i64)>,
    pub(super) sizes: Vec<u32>,
    /// All but the newest one's.
    pub(super) durations: RunLengths<u32>,
    /// Presentation minus decode time.
    pub(super) offsets: RunLengths<i32>,
    /// Numbers of the key frames, from 1.
    pub(super) syncs: Vec<u32>,
}

/// A picture without a decode time.
#[derive(Debug, Clone, Copy)]
struct Picture {
    source: Source,
    shown: i64,
    size: u32,
    sync: bool,
}

/// Samples whose bytes are one piece of the recording, or silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub source: Source,
    /// Decode time of the first one.
    at: i64,
    pub bytes: u64,
    pub samples: u32,
}

/// Where a run's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// In the payload of a chunk, from this byte on.
    Payload { fragment: usize, from: u64 },
    /// In the track's silence.
    Silence,
}

impl MovieTrack {
    /// An empty track of the rendition with this init section, as [`crate::Rendition::init`] gives it: `ftyp` and `moov` with
    /// one track. It is kept.
    pub fn new(init: &Bytes) -> Result<Self, MovieError> {
        Ok(Self {
            init: InitSection::read(init)?,
            fragments: 0,
            origin: None,
            end: 0,
            group: Vec::new(),
            runs: Vec::new(),
            placed: None,
            sizes: Vec::new(),
            durations: RunLengths::default(),
            offsets: RunLengths::default(),
            syncs: Vec::new(),
        })
    }

    /// Takes the next chunk in decode order: `moof` is that box alone, whole; `payload_bytes` is the length of what stands in the
    /// `mdat` at once behind it, without the eight bytes of its header. A chunk that was not recorded is left out.
    ///
    /// After an error the track is as it was, but for the number of chunks: the refused one counts, so that numbers stay
    /// indices into the caller's list.
    pub fn push(&mut self, moof: &[u8], payload_bytes: u64) -> Result<(), MovieError> {
        let fragment = self.fragments;
        self.fragments += 1;
        let moof = self.checked(fragment, moof, payload_bytes)?;
        let mut time = moof.decode_time - *self.origin.get_or_insert(moof.decode_time);
        let mut from = 0;
        for Entry { duration, size, offset, sync } in moof.samples() {
            let source = Source::Payload { fragment, from };
            match self.init.track {
                Track::Video => self.take_picture(Picture { source, shown: time + i64::from(offset), size, sync }),
                Track::Audio => self.place_sound(source, time, size),
            }
            time += i64::from(duration);
            from += u64::from(size);
        }
        if self.init.track == Track::Video {
            self.end = time;
        }
        Ok(())
    }

    /// No sample was taken yet.
    pub fn is_empty(&self) -> bool {
        self.origin.is_none()
    }

    /// Everything that could be wrong with a chunk, before any of it is taken.
    fn checked<'a>(&self, fragment: usize, moof: &'a [u8], payload_bytes: u64) -> Result<Moof<'a>, MovieError> {
        let track = self.init.track;
        let damaged = |what| MovieError::Damaged { track, fragment, what };
        let moof = Moof::read(track, moof).map_err(damaged)?;
        let first = moof.samples().next().ok_or(damaged("it has no samples"))?;
        if moof.samples().map(|sample| u64::from(sample.size)).sum::<u64>() != payload_bytes {
            return Err(damaged("its samples do not fill its payload"));
        }
        let length: i64 = moof.samples().map(|sample| i64::from(sample.duration)).sum();
        let longest = self.ticks(FRAGMENT_MAX);
        if length > longest || moof.samples().any(|sample| i64::from(sample.offset).abs() > longest) {
            return Err(damaged("it lasts longer than any part"));
        }
        let gap = self.origin.map_or(0, |origin| moof.decode_time - origin - self.end);
        if !(-self.ticks(OVERLAP_MAX)..=self.ticks(GAP_MAX)).contains(&gap) {
            return Err(MovieError::Jump { track, fragment });
        }
        if self.is_empty() && !first.sync {
            return Err(MovieError::NoKeyFrame { fragment });
        }
        let silent = self.init.silence.as_ref().map_or(0, |s| (gap + length).max(0) / i64::from(s.frame_samples));
        if self.sizes.len() + self.group.len() + moof.samples().len() + silent as usize > SAMPLES_MAX {
            return Err(MovieError::Full { track, fragment });
        }
        Ok(moof)
    }

    fn take_picture(&mut self, picture: Picture) {
        if picture.sync || self.group.len() == GROUP_MAX {
            self.place_group();
        }
        self.group.push(picture);
    }

    fn place_group(&mut self) {
        let group = std::mem::take(&mut self.group);
        let mut times: Vec<i64> = group.iter().map(|picture| picture.shown).collect();
        times.sort_unstable();
        for (picture, time) in group.into_iter().zip(times) {
            // Decode times never stand still, should presentation times.
            let at = self.placed.map_or(time, |(_, newest)| time.max(newest + 1));
            self.place(picture.source, at, picture.size, (picture.shown - at) as i32);
            if picture.sync {
                self.syncs.push(self.sizes.len() as u32);
            }
        }
    }

    fn place_sound(&mut self, source: Source, time: i64, size: u32) {
        let Some((frame, silent)) = self.init.silence.as_ref().map(|s| (i64::from(s.frame_samples), s.frame_bytes))
        else {
            return;
        };
        while self.end + frame / 2 <= time {
            self.place(Source::Silence, self.end, silent, 0);
            self.end += frame;
        }
        self.place(source, self.end, size, 0);
        self.end += frame;
    }

    /// Puts a sample behind all others.
    fn place(&mut self, source: Source, at: i64, size: u32, offset: i32) {
        let silence = self.init.silence.as_ref().map_or(0, |s| s.bytes.len() as u64);
        match self.runs.last_mut().filter(|run| run.goes_on_with(source, silence)) {
            Some(run) => {
                run.bytes += u64::from(size);
                run.samples += 1;
            }
            None => self.runs.push(Run { source, at, bytes: size.into(), samples: 1 }),
        }
        let (first, newest) = self.placed.unwrap_or((at, at));
        if !self.sizes.is_empty() {
            self.durations.push((at - newest) as u32);
        }
        self.placed = Some((first, at));
        self.sizes.push(size);
        self.offsets.push(offset);
    }

    /// Places what is left and says how long the last sample is, as nothing will come any more.
    pub(super) fn finish(&mut self) {
        self.place_group();
        let Some((_, newest)) = self.placed else { return };
        let frame = self.init.silence.as_ref().map(|s| s.frame_samples);
        // The last picture may be shown when the last chunk has ended; then it is as long as the one before.
        let rest = u32::try_from(self.end - newest).ok().filter(|rest| *rest > 0);
        let before = self.durations.runs().last().map_or(1, |(_, duration)| *duration);
        self.durations.push(frame.or(rest).unwrap_or(before));
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// When a run begins, on the session's timeline.
    pub(super) fn time_of(&self, run: &Run) -> MediaTime {
        self.time(run.at)
    }

    /// When the first sample is shown or heard, on the session's timeline; `None` without any.
    pub(super) fn start(&self) -> Option<MediaTime> {
        self.placed.map(|(first, _)| self.time(first))
    }

    /// How long it is shown or heard: the sum of all durations.
    pub(super) fn length(&self) -> u64 {
        self.durations.runs().iter().map(|(count, duration)| u64::from(*count) * u64::from(*duration)).sum()
    }

    /// What keeps all offsets above zero.
    pub(super) fn lift(&self) -> u32 {
        self.offsets.runs().iter().map(|(_, offset)| *offset).min().map_or(0, |least| least.min(0).unsigned_abs())
    }

    /// So many bytes of silence; whole frames, and half a second at most.
    pub(super) fn silence(&self, bytes: u64) -> Bytes {
        self.init.silence.as_ref().map_or_else(Bytes::new, |s| s.bytes.slice(..bytes as usize))
    }

    fn time(&self, from_origin: i64) -> MediaTime {
        MediaTime::from_units(self.origin.unwrap_or_default() + from_origin, self.init.timescale)
    }

    fn ticks(&self, time: MediaTime) -> i64 {
        time.ticks() * i64::from(self.init.timescale) / MediaTime::HZ
    }
}

impl Run {
    /// Whether the next sample lies behind this run's; `silence` is how many bytes of it there are.
    fn goes_on_with(&self, source: Source, silence: u64) -> bool {
        match (self.source, source) {
            (Source::Payload { fragment: own, .. }, Source::Payload { fragment, .. }) => own == fragment,
            (Source::Silence, Source::Silence) => self.bytes < silence,
            _ => false,
        }
    }
}
