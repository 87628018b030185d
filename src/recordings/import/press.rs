//! The thread that writes an import: it reads a segment's samples, gives them to the packager, and waits until the archive has them.

use archive::{Archive, Pause, Recorder, SessionName, Taken, millis};
use bytes::{Bytes, BytesMut};
use demuxer::{Contents, Disk, Index, Sample, Source as _};
use media::{AccessUnit, Config, FrameRate, MediaTime};
use packager::{Cut, FilmPackager, FilmTracks, cuts};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Where a session's timeline begins (`ingest::Normaliser`).
const BEGIN: MediaTime = MediaTime::from_millis(10_000);
/// The longest segment: what a replay still reads at once, and what a viewer who seeks waits for.
pub const SEGMENT_MAX: MediaTime = MediaTime::from_millis(20_000);
/// What a segment may have: as much as a replay reads at once.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// How long a disk that takes nothing is waited for at a time.
const PATIENCE: Duration = Duration::from_millis(500);
/// A disk that fails for so long: the import begins anew later.
const FAILING_MAX: Duration = Duration::from_secs(60);
/// When nobody can measure it.
const USUAL_RATE: FrameRate = FrameRate { num: 30, den: 1 };

/// Where a film is cut.
#[derive(Debug)]
pub struct Show {
    /// In the file's own time.
    pub cuts: Vec<Cut>,
    longest: MediaTime,
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    Whole,
    Refused(String),
    /// The file can't be read.
    Unread(io::Error),
    /// By a fault of the server's own.
    Broken,
    Failed(String),
    Stopped,
}

impl Show {
    /// Cuts a film; the error is a sentence for people.
    pub fn of(contents: &Contents) -> Result<Self, String> {
        let pictures: Vec<(MediaTime, bool)> = match &contents.pictures {
            Some(pictures) => pictures.samples.iter().map(|sample| (sample.pts, sample.sync)).collect(),
            None => Vec::new(),
        };
        let ends = |index: &Option<Index>| index.as_ref().map(|index| index.end);
        let end = ends(&contents.pictures).max(ends(&contents.sound)).unwrap_or_default();
        let start = match (pictures.first(), &contents.sound) {
            (Some((pts, _)), _) => *pts,
            (None, Some(sound)) => {
                sound.samples.first().map_or(MediaTime::ZERO, |first| first.pts.max(MediaTime::ZERO))
            }
            (None, None) => MediaTime::ZERO,
        };
        let cuts = cuts(&pictures, start, end);
        let length = |cut: &Cut| cut.span.end - cut.span.start;
        let longest = cuts.iter().map(length).max().unwrap_or_default();
        if let Some(cut) = cuts.iter().find(|cut| length(cut) > SEGMENT_MAX) {
            let (at, most) = ((cut.span.start - start).as_secs_f64(), SEGMENT_MAX.as_secs_f64());
            let shown = contents.pictures.as_ref().map_or(end, |pictures| pictures.end);
            return Err(if end - shown > MediaTime::from_millis(1_000) && cut.span.end == end {
                format!(
                    "The sound goes on for {:.0} s when the pictures have ended; cut it with ffmpeg -i IN -c copy -t {:.3} OUT.mp4.",
                    (end - shown).as_secs_f64(),
                    (shown - start).as_secs_f64()
                )
            } else {
                format!(
                    "No key frame that players can begin with comes for {:.0} s from {at:.0} s on, and at most {most:.0} s are taken; write the file anew with ffmpeg -i IN -c:v libx264 -g 60 -c:a copy OUT.mp4.",
                    length(cut).as_secs_f64()
                )
            });
        }
        if cuts.is_empty() {
            return Err(demuxer::Error::Empty.to_string());
        }
        Ok(Self { cuts, longest })
    }

    fn start(&self) -> MediaTime {
        self.cuts.first().map_or(MediaTime::ZERO, |cut| cut.span.start)
    }

    /// How long it is.
    pub fn duration(&self) -> MediaTime {
        self.cuts.last().map_or(MediaTime::ZERO, |cut| cut.span.end) - self.start()
    }
}

/// Who makes pictures for lists: a key frame in, a JPEG back, or nothing.
pub type Painter = mpsc::Sender<(AccessUnit, oneshot::Sender<Bytes>)>;

/// Everything the thread needs.
pub struct Press {
    pub archive: Archive,
    pub session: SessionName,
    pub disk: Disk,
    pub contents: Contents,
    pub show: Show,
    /// When the film began, by the wall clock it is given.
    pub began: SystemTime,
    pub pictures: Option<(Painter, MediaTime)>,
    /// Hundredths.
    pub progress: Arc<AtomicU8>,
    pub stop: CancellationToken,
}

/// Has pictures made, so far apart at least.
struct Easel {
    painter: Painter,
    every: MediaTime,
    /// The last one there is a picture of.
    newest: Option<MediaTime>,
}

impl Easel {
    /// A picture of a segment, unless the one before is recent enough. One that could not be made is tried again with the next segment.
    /// Blocks until there is an answer.
    fn paint(&mut self, key_frame: &AccessUnit) -> Option<(MediaTime, Bytes)> {
        let pts = key_frame.pts;
        if self.newest.is_some_and(|newest| pts < newest + self.every) {
            return None;
        }
        let (answer, jpeg) = oneshot::channel();
        self.painter.blocking_send((key_frame.clone(), answer)).ok()?;
        let jpeg = jpeg.blocking_recv().ok()?;
        self.newest = Some(pts);
        Some((pts, jpeg))
    }
}

impl Press {
    /// Writes the session. Blocks until that is done.
    pub fn run(mut self) -> Ended {
        let config = |index: &Option<Index>| index.as_ref().map(|index| index.config.clone());
        let video = config(&self.contents.pictures).and_then(|config| match config {
            Config::Video(config) => Some(config),
            Config::Audio(_) => None,
        });
        let audio = config(&self.contents.sound).and_then(|config| match config {
            Config::Audio(config) => Some(config),
            Config::Video(_) => None,
        });
        let tracks = FilmTracks { pictures: video.map(|config| (config, self.frame_rate())), sound: audio };
        let zero = self.began - BEGIN.to_duration();
        let session = self.session.session().to_owned();
        let mut packager = FilmPackager::new(session, tracks, self.show.longest, zero);
        let mut recorder = match self.archive.recorder(self.session.stream(), packager.window()) {
            Ok(recorder) => recorder,
            Err(error) => return Ended::Failed(error.to_string()),
        };
        let ended = self.write(&mut packager, &mut recorder, zero);
        // Also of what is given up: only what is closed can be swept.
        match (recorder.end(), ended) {
            (_, Err(ended)) => ended,
            (true, Ok(())) => Ended::Whole,
            // The timeline has it, and the next start would not.
            (false, Ok(())) => Ended::Failed("the disk did not take all of it".into()),
        }
    }

    fn write(&mut self, packager: &mut FilmPackager, recorder: &mut Recorder, zero: SystemTime) -> Result<(), Ended> {
        let all = std::mem::take(&mut self.show.cuts);
        let shift = BEGIN - all.first().map_or(MediaTime::ZERO, |cut| cut.span.start);
        let mut easel = self.pictures.take().map(|(painter, every)| Easel { painter, every, newest: None });
        let mut heard = 0;
        for (number, cut) in all.iter().enumerate() {
            if self.stop.is_cancelled() {
                return Err(Ended::Stopped);
            }
            let (pictures, sound) = self.read(cut, &mut heard, shift)?;
            let painted = easel.as_mut().zip(pictures.first()).and_then(|(easel, key_frame)| easel.paint(key_frame));
            packager.add(cut.span.start + shift..cut.span.end + shift, &pictures, sound);
            self.wait(|| recorder.take())?;
            packager.forget();
            if let Some((pts, jpeg)) = painted {
                // A millisecond into its segment, whose own date is rounded up.
                let wall_ms = millis(zero + pts.to_duration()) + 1;
                if let Err(error) = self.archive.add_picture(&self.session, wall_ms, &jpeg) {
                    tracing::debug!(%error, "a picture of an import was not kept");
                }
            }
            let percent = (number + 1) * 100 / all.len();
            self.progress.store(u8::try_from(percent).unwrap_or(100), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks the recorder until it has everything.
    fn wait(&self, mut take: impl FnMut() -> Taken) -> Result<(), Ended> {
        let since = Instant::now();
        loop {
            match take() {
                Taken::All => return Ok(()),
                Taken::Lost => return Err(Ended::Failed("the disk lost a part of it".into())),
                Taken::Paused(Pause::DiskError) if since.elapsed() > FAILING_MAX => {
                    return Err(Ended::Failed("the disk fails".into()));
                }
                // A full disk is waited for: what was uploaded is safe meanwhile.
                Taken::Paused(_) => {}
            }
            if self.stop.is_cancelled() {
                return Err(Ended::Stopped);
            }
            std::thread::sleep(PATIENCE);
        }
    }

    /// The units of a segment, on the session's timeline. `heard` counts the frames of sound that were given.
    fn read(
        &self,
        cut: &Cut,
        heard: &mut usize,
        shift: MediaTime,
    ) -> Result<(Vec<AccessUnit>, Vec<AccessUnit>), Ended> {
        let pictures = match &self.contents.pictures {
            Some(index) => self.units(index, &index.samples[cut.pictures.clone()], shift)?,
            None => Vec::new(),
        };
        let sound = match &self.contents.sound {
            Some(index) => {
                let rest = index.samples.get(*heard..).unwrap_or_default();
                let count = rest.iter().position(|sample| sample.pts >= cut.span.end).unwrap_or(rest.len());
                *heard += count;
                self.units(index, &rest[..count], shift)?
            }
            None => Vec::new(),
        };
        Ok((pictures, sound))
    }

    fn units(&self, index: &Index, samples: &[Sample], shift: MediaTime) -> Result<Vec<AccessUnit>, Ended> {
        let bytes: u64 = samples.iter().map(|sample| u64::from(sample.bytes)).sum();
        if bytes > SEGMENT_BYTES_MAX {
            return Err(Ended::Refused(
                "More than 64 MiB lie between two key frames; write the file anew with ffmpeg -i IN -c:v libx264 -g 60 -c:a copy OUT.mp4.".into(),
            ));
        }
        let read = || -> io::Result<Vec<AccessUnit>> {
            let mut buffer = BytesMut::zeroed(bytes as usize);
            let mut at = 0;
            for sample in samples {
                let end = at + sample.bytes as usize;
                self.disk.read_at(sample.at, &mut buffer[at..end])?;
                at = end;
            }
            let mut data = buffer.freeze();
            let unit = |sample: &Sample| {
                let pts = sample.pts + shift;
                let data = data.split_to(sample.bytes as usize);
                AccessUnit { config: index.config.clone(), dts: pts, pts, sync: sample.sync, data }
            };
            Ok(samples.iter().map(unit).collect())
        };
        read().map_err(Ended::Unread)
    }

    /// About how many pictures there are a second.
    fn frame_rate(&self) -> FrameRate {
        let Some(pictures) = &self.contents.pictures else { return USUAL_RATE };
        let seconds = (pictures.end - self.show.start()).as_secs_f64();
        FrameRate::nearest(pictures.samples.len() as f64 / seconds).unwrap_or(USUAL_RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{AudioCodec, AudioConfig};

    /// What is in it does not matter to who asks for the picture.
    fn key_frame(pts: MediaTime) -> AccessUnit {
        let (codec, record) = (AudioCodec::Aac, Bytes::new());
        let config =
            AudioConfig { codec, record, sample_rate: 48_000, channels: 2, object_type: 2, frame_samples: 1_024 };
        AccessUnit { config: Config::Audio(Arc::new(config)), dts: pts, pts, sync: true, data: Bytes::new() }
    }

    #[test]
    fn a_picture_that_was_lost_is_tried_again_with_the_next_segment() {
        let (painter, mut canvases) = mpsc::channel::<(AccessUnit, oneshot::Sender<Bytes>)>(1);
        let worker = std::thread::spawn(move || {
            let mut asked = Vec::new();
            while let Some((unit, answer)) = canvases.blocking_recv() {
                asked.push(unit.pts);
                // The first one is lost.
                if asked.len() > 1 {
                    let _nobody_waits = answer.send(Bytes::from_static(b"jpeg"));
                }
            }
            asked
        });
        let mut easel = Easel { painter, every: MediaTime::from_millis(10_000), newest: None };
        let unit = |seconds: i64| key_frame(MediaTime::from_millis(seconds * 1_000));
        let made: Vec<bool> = [0, 2, 4, 12].into_iter().map(|at| easel.paint(&unit(at)).is_some()).collect();
        assert_eq!(made, [false, true, false, true]);
        drop(easel);
        let asked = worker.join().expect("the worker");
        assert_eq!(asked, [0, 2_000, 12_000].map(MediaTime::from_millis));
    }
}
