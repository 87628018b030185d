//! Recordings that are made of an uploaded file: its pictures and its sound, as they are, go into the archive as those of a live
//! session do, but as fast as the disk takes them.
//!
//! An import has a session of its own and writes it alone. One that is cut off is made anew in another session; the sweep removes
//! what no row names. The file goes when all of it is on the disk.

mod press;

use super::Recordings;
use super::measure::{Extent, SOUND};
use archive::SessionName;
use demuxer::{Contents, Disk};
use media::{MediaTime, VideoConfig};
use press::{Ended, Press, Show};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::now_ms;
use tokio::sync::{mpsc, oneshot};
use transcoder::{Output, Transcoder, TranscoderConfig};

/// How often the row of an import is told how far it is.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// A worker makes a picture in less.
const PICTURE_WITHIN: Duration = Duration::from_secs(10);
/// The first one, on a machine that does a lot besides: it starts a process and loads its libraries.
const FIRST_WITHIN: Duration = Duration::from_secs(30);
/// So many pictures in a row that nobody could make end it.
const BLIND_MAX: u32 = 3;

/// A file that is to become a recording whose row is there.
#[derive(Debug, Clone)]
pub struct Import {
    /// The recording's id.
    pub id: String,
    /// The stream's name in the row.
    pub stream: String,
    /// The file.
    pub file: PathBuf,
    /// The number of this start of the server.
    pub epoch: u64,
}

/// What makes an import's pictures for lists and seek bars.
#[derive(Debug, Clone)]
pub struct Studio {
    /// Time between pictures; `None` for none.
    pub every: Option<Duration>,
    /// The most a worker may hold resident, bytes.
    pub memory_max: u64,
}

/// How an import ended.
#[derive(Debug)]
pub enum Imported {
    /// All of the file is in the archive, and synced.
    Whole,
    /// Nothing can be made of it, for this reason, which stands in the row.
    Refused(String),
    /// The recording was deleted meanwhile.
    Unwanted,
    /// It failed by the file or a fault of the server's own, which may come again each time.
    Faulty(String),
    /// It is to be tried again: the server stops, or the disk or the database failed.
    Again(String),
}

const BROKEN: &str = "It broke off; this is a fault of the server";

/// The uploaded file can't be read. A disk that is away is waited for; a file that is not as it was is not.
fn unread(error: &io::Error) -> Imported {
    let reason = format!("The uploaded file can't be read: {error}");
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Imported::Faulty(reason),
        _ => Imported::Again(reason),
    }
}

impl Recordings {
    /// Makes a recording of a file. It takes as long as the disk does, and never ends the server's live sessions.
    pub async fn import(self: &Arc<Self>, import: Import, studio: &Studio) -> Imported {
        let done = self.make(&import, studio).await.unwrap_or_else(|error| Imported::Again(error.to_string()));
        self.imports().remove(&import.id);
        if let Imported::Refused(reason) = &done
            && let Err(error) = self.store.fail_import(&import.id, reason, now_ms()).await
        {
            return Imported::Again(error.to_string());
        }
        self.work.notify_one();
        done
    }

    async fn make(self: &Arc<Self>, import: &Import, studio: &Studio) -> Result<Imported, store::Error> {
        let progress: Arc<AtomicU8> = Arc::default();
        self.imports().insert(import.id.clone(), Arc::clone(&progress));
        let file = import.file.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let disk = Disk::new(File::open(file)?)?;
            let contents = demuxer::open(&disk)?;
            Ok((disk, contents))
        });
        let (disk, contents) = match opened.await {
            Ok(Ok(opened)) => opened,
            Ok(Err(demuxer::Error::Read(error))) => return Ok(unread(&error)),
            Ok(Err(error)) => return Ok(Imported::Refused(error.to_string())),
            Err(_) => return Ok(Imported::Refused("The file can't be read; this is a fault of the server.".into())),
        };
        let show = match Show::of(&contents) {
            Ok(show) => show,
            Err(reason) => return Ok(Imported::Refused(reason)),
        };
        // It ends now, so that no date of it lies in the future, and rules about age count from today. In whole milliseconds, as dates are
        // kept: its first picture must not be dated before its first segment.
        let started_ms = (now_ms() - show.duration().as_millis()).max(0);
        let began = UNIX_EPOCH + Duration::from_millis(started_ms.unsigned_abs());
        let session = format!("i{:x}-{}", now_ms(), import.epoch);
        let renditions = vec![if contents.pictures.is_some() { "source" } else { SOUND }.to_owned()];
        if !self.store.restart_import(&import.id, &session, &renditions, started_ms, now_ms()).await? {
            return Ok(Imported::Unwanted);
        }
        let Ok(name) = SessionName::new(&import.stream, &session) else {
            return Ok(Imported::Refused("The name of its stream is no name.".into()));
        };
        let segments = show.cuts.len() as u64;
        let ended = self
            .press(import, studio, (name.clone(), renditions.clone()), (disk, contents, show), (began, progress))
            .await?;
        let until_msn = match ended {
            Ended::Whole => segments,
            Ended::Refused(reason) => return Ok(Imported::Refused(reason)),
            Ended::Unread(error) => return Ok(unread(&error)),
            Ended::Broken => return Ok(Imported::Faulty(BROKEN.into())),
            Ended::Failed(reason) => return Ok(Imported::Again(reason)),
            Ended::Stopped if self.stop.is_cancelled() => return Ok(Imported::Again("the server stops".into())),
            Ended::Stopped => return Ok(Imported::Unwanted),
        };
        let Some(timeline) = self.timeline(name.stream(), name.session()).await else {
            return Ok(Imported::Again("nothing of it is in the archive".into()));
        };
        if timeline.span() != (0..until_msn) {
            return Ok(Imported::Again("a part of it is missing in the archive".into()));
        }
        let extent = Extent::of(&timeline, 0..until_msn, &renditions);
        let ended_ms = extent.ended_ms.unwrap_or_else(now_ms);
        if !self.store.end_import(&import.id, until_msn, ended_ms, now_ms()).await? {
            return Ok(Imported::Unwanted);
        }
        self.store.finish_recording(&import.id, extent.measured(), None, now_ms()).await?;
        tracing::info!(recording = import.id, stream = import.stream, segments, "an uploaded file can be watched");
        Ok(Imported::Whole)
    }

    /// Writes the session on a thread of its own, and tells the row how it goes.
    async fn press(
        self: &Arc<Self>,
        import: &Import,
        studio: &Studio,
        (name, renditions): (SessionName, Vec<String>),
        (disk, contents, show): (Disk, Contents, Show),
        (began, progress): (SystemTime, Arc<AtomicU8>),
    ) -> Result<Ended, store::Error> {
        let stop = self.stop.child_token();
        let (painter, canvases) = mpsc::channel(1);
        let video = contents.pictures.as_ref().and_then(|pictures| match &pictures.config {
            media::Config::Video(config) => Some(Arc::clone(config)),
            media::Config::Audio(_) => None,
        });
        let every = studio.every.filter(|_| video.is_some());
        let painting = paint(import.stream.clone(), studio.clone(), video, canvases);
        let press = Press {
            archive: self.archive.clone(),
            session: name.clone(),
            disk,
            contents,
            show,
            began,
            pictures: every.map(|every| (painter, MediaTime::from(every))),
            progress,
            stop: stop.clone(),
        };
        // Dropped with this future, it ends the thread.
        let _leash = stop.clone().drop_guard();
        let pressing = tokio::task::spawn_blocking(move || press.run());
        let noting = async {
            loop {
                tokio::time::sleep(NOTE_EVERY).await;
                let Some(timeline) = self.timeline(name.stream(), name.session()).await else { continue };
                let so_far = Extent::of(&timeline, 0..u64::MAX, &renditions).measured();
                // A database that is away says nothing about what is wanted.
                if let Ok(false) = self.store.note_import(&import.id, so_far, now_ms()).await {
                    stop.cancel();
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::pin!(pressing);
        tokio::select! {
            done = &mut pressing => Ok(done.unwrap_or(Ended::Broken)),
            () = noting => unreachable!("it goes on for ever"),
            () = painting => Ok(pressing.await.unwrap_or(Ended::Broken)),
        }
    }

    /// A panic can't leave these short sections half done, so poison is ignored.
    pub(super) fn imports(&self) -> MutexGuard<'_, HashMap<String, Arc<AtomicU8>>> {
        self.imports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a JPEG of each key frame that is sent, in a worker of its own, until nobody sends any more; then, and when no picture can be
/// made, it waits for ever.
async fn paint(
    stream: String,
    studio: Studio,
    video: Option<Arc<VideoConfig>>,
    mut canvases: mpsc::Receiver<(media::AccessUnit, oneshot::Sender<bytes::Bytes>)>,
) {
    let mut worker: Option<(Transcoder, mpsc::Receiver<Output>)> = None;
    let mut blind = 0;
    while let Some((unit, answer)) = canvases.recv().await {
        if blind >= BLIND_MAX {
            continue;
        }
        let within = if worker.is_some() { PICTURE_WITHIN } else { FIRST_WITHIN };
        let (transcoder, outputs) = worker.get_or_insert_with(|| {
            let config = TranscoderConfig {
                video: video.clone(),
                // Each that is sent is wanted.
                thumb_every: Some(Duration::from_millis(1)),
                memory_max: studio.memory_max,
                ..TranscoderConfig::new(&stream)
            };
            Transcoder::spawn(config, |_| None)
        });
        transcoder.unit(unit);
        let made = tokio::time::timeout(within, async {
            loop {
                match outputs.recv().await {
                    Some(Output::Thumb(jpeg)) => return Some(jpeg),
                    None | Some(Output::Failed { .. } | Output::Ended) => return None,
                    Some(_) => {}
                }
            }
        });
        match made.await.ok().flatten() {
            Some(jpeg) => {
                blind = 0;
                let _nobody_waits = answer.send(jpeg);
            }
            None => {
                blind += 1;
                worker = None;
                metrics::counter!("weir_import_pictures_missing_total").increment(1);
            }
        }
    }
    drop(worker);
    std::future::pending().await
}
