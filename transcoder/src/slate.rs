//! Slates: what viewers see while a publisher is away. A worker of its own encodes the last picture, or an image, once; the
//! [`Clip`] it makes is then played over and over by a [`Reel`], which is just another source of access units. So a slate
//! costs some tenths of a second of processor time when it begins and no encoder while it lasts.

mod clip;
mod group;
mod reel;

pub use clip::Clip;
pub use group::Group;
pub use reel::{Reel, Start};

use bytes::{Bytes, BytesMut};
use clip::Builder;
use media::wire::{self, EncoderChoice, FromWorker, RungSetup, Setup, ToWorker};
use media::{FrameRate, MediaTime, Rung, VideoConfig};
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Waiting for others to be made: after that the reconnect window is mostly over.
const TURN_MAX: Duration = Duration::from_secs(20);
/// Starting the worker, decoding a group of pictures and encoding one takes some tenths of a second, on a machine under load
/// some seconds.
const MAKE_MAX: Duration = Duration::from_secs(10);
/// What the kernel lets its worker hold, bytes: some pictures of the largest size we take, decoded.
const MEMORY_MAX: u64 = 1 << 30;
/// Slates made at once for each core: each keeps one busy.
const PER_CORE: f64 = 0.5;
/// A slate's bit rate is the source's, within these, bits per second.
const BITRATE_MIN: u32 = 800_000;
const BITRATE_MAX: u32 = 12_000_000;

/// Why there is no slate. Never the end of a session: time goes on in gaps then.
#[derive(Debug, thiserror::Error)]
pub enum SlateError {
    /// Too many others are being made: every publisher of this server vanished at once, perhaps.
    #[error("too many slates are being made at once")]
    Crowded,
    /// Starting or hearing the worker.
    #[error("its worker: {0}")]
    Worker(String),
    /// The worker had nothing it could decode, or no encoder.
    #[error("{0}")]
    Unable(String),
    /// The worker did not come to an end.
    #[error("its worker took too long")]
    Late,
}

impl SlateError {
    /// For the metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::Worker(_) => "worker",
            Self::Unable(_) => "unable",
            Self::Late => "late",
        }
    }
}

/// What a slate shows.
#[derive(Debug, Clone)]
pub enum Shown {
    /// The last picture of these units.
    Last(Group),
    /// This image, a JPEG or PNG of at most [`wire::STILL_MAX`] bytes.
    Image(Bytes),
}

/// What a slate has to look like to stand in for a source.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Size, shape of samples and colours of the source.
    pub video: Arc<VideoConfig>,
    /// Its constant frame rate.
    pub rate: FrameRate,
    /// About its bit rate, bits per second; a slate stays below it.
    pub bitrate_bps: u32,
}

/// Makes the slates of one server, so many at a time as the machine has cores for. Clones share the count.
#[derive(Debug, Clone)]
pub struct Slates {
    exe: PathBuf,
    places: Arc<Semaphore>,
}

impl Slates {
    /// For a machine with so many cores; workers are this process's own executable.
    pub fn new(cores: usize) -> Self {
        let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"));
        Self::with_exe(exe, cores)
    }

    /// The same with another executable that understands `worker slate`.
    pub fn with_exe(exe: PathBuf, cores: usize) -> Self {
        let places = ((cores as f64 * PER_CORE) as usize).max(1);
        Self { exe, places: Arc::new(Semaphore::new(places)) }
    }

    /// Makes a slate. Dropping the future kills the worker. Waits for its turn at most 20 s, and takes at most 10 s.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn make(&self, frame: &Frame, shown: Shown) -> Result<Clip, SlateError> {
        let VideoConfig { width, height, .. } = *frame.video;
        let rung = Rung {
            name: "slate".to_owned(),
            // Cropped sources may be odd by a sample.
            width: width.next_multiple_of(2).max(16),
            height: height.next_multiple_of(2).max(16),
            frame_rate: frame.rate,
            bitrate_bps: frame.bitrate_bps.clamp(BITRATE_MIN, BITRATE_MAX),
        };
        let size = (rung.width, rung.height);
        let rungs = vec![RungSetup { rung, from: None }];
        let answers = self.work(frame.rate, rungs, Some(&frame.video), shown).await?;
        let mut builder = Builder::new(frame.rate, size);
        for answer in answers {
            builder.take(answer)?;
        }
        builder.finish()
    }

    /// Makes a picture of our own, a JPEG of at most 1 MiB and 1,920 samples on its longer side, of an image a stranger
    /// sent. Nothing else of it should be kept.
    ///
    /// # Errors
    /// When it can't be decoded.
    pub async fn raster(&self, image: Bytes) -> Result<Bytes, SlateError> {
        let rate = FrameRate { num: 1, den: 1 };
        let answers = self.work(rate, Vec::new(), None, Shown::Image(image)).await?;
        let jpeg = answers.into_iter().find_map(|answer| match answer {
            FromWorker::Thumb { data } if data.starts_with(&[0xff, 0xd8]) => Some(data),
            _ => None,
        });
        jpeg.ok_or_else(|| SlateError::Worker("it gave no JPEG".to_owned()))
    }

    /// Runs one worker to its end; what it said.
    async fn work(
        &self,
        frame_rate: FrameRate,
        rungs: Vec<RungSetup>,
        video: Option<&Arc<VideoConfig>>,
        shown: Shown,
    ) -> Result<Vec<FromWorker>, SlateError> {
        let turn = timeout(TURN_MAX, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(_place)) = turn else { return Err(SlateError::Crowded) };
        let mut orders = BytesMut::new();
        let setup = Setup {
            frame_rate,
            encoder: EncoderChoice::X264,
            rungs,
            thumb_every: MediaTime::ZERO,
            audio_bitrate_bps: 0,
            audio_from: None,
            title: String::new(),
        };
        ToWorker::Setup(setup).encode(&mut orders);
        if let Some(config) = video {
            ToWorker::Video((**config).clone()).encode(&mut orders);
        }
        match shown {
            Shown::Last(group) => group.tell(&mut orders),
            Shown::Image(data) if data.len() > wire::STILL_MAX => {
                return Err(SlateError::Unable(format!("the image is larger than {} MiB", wire::STILL_MAX >> 20)));
            }
            Shown::Image(data) => ToWorker::Still { data }.encode(&mut orders),
        }
        ToWorker::Finish.encode(&mut orders);
        timeout(MAKE_MAX, converse(self.exe.clone(), orders)).await.unwrap_or(Err(SlateError::Late))
    }
}

/// Kills and reaps the worker whatever happens.
struct Leash(Child);

impl Drop for Leash {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        // SIGKILL ends it at once, so this does not wait noticeably.
        let _reaped = self.0.wait();
    }
}

/// Tells a worker everything and hears it to the end. It answers nothing before it was told all, so neither waits for the other.
async fn converse(exe: PathBuf, orders: BytesMut) -> Result<Vec<FromWorker>, SlateError> {
    let broken = |what: String| SlateError::Worker(what);
    // On its leash at once: whoever gives up meanwhile leaves no process behind.
    let start = move || {
        let worker = pipelines::spawn(&exe, "slate", MEMORY_MAX)?;
        Ok::<_, std::io::Error>((Leash(worker.child), worker.link))
    };
    let spawned = tokio::task::spawn_blocking(start).await.map_err(|e| broken(e.to_string()))?;
    let (_leash, link) = spawned.map_err(|e| broken(e.to_string()))?;
    link.set_nonblocking(true).map_err(|e| broken(e.to_string()))?;
    let mut link = UnixStream::from_std(link).map_err(|e| broken(e.to_string()))?;
    link.write_all(&orders).await.map_err(|e| broken(e.to_string()))?;
    drop(orders);
    let mut link = BufReader::with_capacity(64 << 10, link);
    let mut answers = Vec::new();
    loop {
        let mut header = [0; 4];
        link.read_exact(&mut header).await.map_err(|e| broken(e.to_string()))?;
        let mut message = vec![0; wire::message_length(header).map_err(|e| broken(e.to_string()))?];
        link.read_exact(&mut message).await.map_err(|e| broken(e.to_string()))?;
        match FromWorker::decode(Bytes::from(message)).map_err(|e| broken(e.to_string()))? {
            FromWorker::Finished => return Ok(answers),
            FromWorker::Unable { text } => return Err(SlateError::Unable(text)),
            FromWorker::Ready { version, .. } if version != wire::VERSION => {
                return Err(broken("it is of another version".to_owned()));
            }
            FromWorker::Notice { text } => tracing::warn!(text, "the slate's worker says"),
            FromWorker::Ready { .. } | FromWorker::Stats(_) => {}
            _ if answers.len() >= clip::ANSWERS_MAX => return Err(broken("it says too much".to_owned())),
            answer => answers.push(answer),
        }
    }
}
