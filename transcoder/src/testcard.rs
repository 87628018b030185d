//! [`TestCard`]: a live picture with clock, flash and beep, for a server that nobody publishes to yet.

use crate::Error;
use bytes::{Bytes, BytesMut};
use media::wire::{self, EncoderChoice, FromWorker, Setup, ToWorker};
use media::{AccessUnit, AudioConfig, Config, FrameRate, MediaTime, VideoConfig, aac, h264, nal};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Units that wait for the receiver: about a second.
const UNITS_MAX: usize = 96;
/// One track waits at most this long for the other before its units go out alone.
const MERGE_MAX: MediaTime = MediaTime::from_millis(400);
/// What the worker may hold: it takes a tenth of that.
const MEMORY_MAX: u64 = 1 << 30;

/// What the card shows: 1280x720 at 30 fps, H.264 with an IDR each 2 s and no B-frames (about 1.5 Mb/s), AAC-LC stereo at 48 kHz.
#[derive(Debug, Clone)]
pub struct TestCardConfig {
    /// The executable that understands `worker testcard`; this process's own by default.
    pub exe: PathBuf,
    /// Words in the picture, at most 24 characters of A-Z, 0-9 and simple punctuation; others show as blanks.
    pub title: String,
}

impl TestCardConfig {
    /// A card with this title, made by this process's executable.
    pub fn new(title: &str) -> Self {
        Self {
            exe: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
            title: title.to_owned(),
        }
    }
}

/// A running test card. Dropping it kills its worker.
#[derive(Debug)]
pub struct TestCard {
    child: Child,
}

impl TestCard {
    /// Starts the worker; must be called inside a tokio runtime, blocks for some milliseconds. Units come in real time and in
    /// decode order, video and audio merged by dts, the first near zero; the configurations ride on the units
    /// (`unit.config`). The channel ends when the worker does; start another card then. While the receiver isn't read,
    /// the worker waits, and then goes on at the present with a keyframe.
    ///
    /// # Errors
    /// When the process can't be started.
    pub fn spawn(config: TestCardConfig) -> Result<(Self, mpsc::Receiver<AccessUnit>), Error> {
        let spawn = |source| Error::Spawn { exe: config.exe.display().to_string(), source };
        let worker = pipelines::spawn(&config.exe, "testcard", MEMORY_MAX).map_err(spawn)?;
        let card = Self { child: worker.child };
        worker.link.set_nonblocking(true).map_err(spawn)?;
        let link = UnixStream::from_std(worker.link).map_err(spawn)?;
        let (output, receiver) = mpsc::channel(UNITS_MAX);
        let title: String = config.title.chars().filter(|c| !c.is_control()).take(24).collect();
        tokio::spawn(async move {
            if let Err(reason) = relay(link, title, output).await {
                tracing::warn!(reason, "test card stopped");
            }
        });
        Ok((card, receiver))
    }

    /// Process id of the worker.
    pub fn worker_pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for TestCard {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        // SIGKILL ends it at once, so this does not wait noticeably.
        let _reaped = self.child.wait();
    }
}

/// Passes units on until the worker or the receiver goes away.
async fn relay(mut link: UnixStream, title: String, output: mpsc::Sender<AccessUnit>) -> Result<(), String> {
    let mut bytes = BytesMut::new();
    ToWorker::Setup(Setup {
        frame_rate: FrameRate { num: 30, den: 1 },
        encoder: EncoderChoice::X264,
        rungs: Vec::new(),
        thumb_every: MediaTime::ZERO,
        audio_bitrate_bps: 0,
        audio_from: None,
        title,
    })
    .encode(&mut bytes);
    link.write_all(&bytes).await.map_err(|e| e.to_string())?;
    let mut link = BufReader::with_capacity(64 << 10, link);
    let mut merge = Merge::default();
    loop {
        let mut header = [0; 4];
        let read = tokio::select! {
            read = link.read_exact(&mut header) => read,
            () = output.closed() => return Ok(()),
        };
        read.map_err(|e| e.to_string())?;
        let mut message = vec![0; wire::message_length(header).map_err(|e| e.to_string())?];
        link.read_exact(&mut message).await.map_err(|e| e.to_string())?;
        merge.take(FromWorker::decode(Bytes::from(message)).map_err(|e| e.to_string())?)?;
        while let Some(unit) = merge.next() {
            if output.send(unit).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Checks what the worker says and puts its two tracks into one order.
#[derive(Debug, Default)]
struct Merge {
    video_config: Option<Arc<VideoConfig>>,
    audio_config: Option<Arc<AudioConfig>>,
    video: VecDeque<AccessUnit>,
    audio: VecDeque<AccessUnit>,
}

impl Merge {
    fn take(&mut self, message: FromWorker) -> Result<(), String> {
        match message {
            FromWorker::RungConfig { record, .. } => {
                self.video_config = Some(Arc::new(h264::parse_config(&record).map_err(|e| e.to_string())?))
            }
            FromWorker::AudioConfig { record } => {
                self.audio_config = Some(Arc::new(aac::parse_config(&record).map_err(|e| e.to_string())?))
            }
            FromWorker::Picture { dts, pts, sync, data, .. } => {
                let config = self.video_config.clone().ok_or("a picture before its configuration")?;
                let whole =
                    nal::units(&data, 4).all(|unit| unit.is_ok()) && sync == h264::is_idr(&data, 4) && dts <= pts;
                if !whole {
                    return Err("a picture that is none".to_owned());
                }
                self.video.push_back(AccessUnit { config: Config::Video(config), dts, pts, sync, data });
            }
            FromWorker::Frame { pts, data } => {
                let config = self.audio_config.clone().ok_or("audio before its configuration")?;
                self.audio.push_back(AccessUnit { config: Config::Audio(config), dts: pts, pts, sync: true, data });
            }
            FromWorker::Notice { text } | FromWorker::Unable { text } => tracing::warn!(text, "test card says"),
            _ => {}
        }
        Ok(())
    }

    /// The earlier of both heads, or the only one when the other track is too late.
    fn next(&mut self) -> Option<AccessUnit> {
        let spans = |queue: &VecDeque<AccessUnit>| {
            queue.front().zip(queue.back()).is_some_and(|(first, last)| last.dts - first.dts > MERGE_MAX)
        };
        match (self.video.front(), self.audio.front()) {
            (Some(video), Some(audio)) if video.dts <= audio.dts => self.video.pop_front(),
            (Some(_), Some(_)) => self.audio.pop_front(),
            (Some(_), None) if spans(&self.video) => self.video.pop_front(),
            (None, Some(_)) if spans(&self.audio) => self.audio.pop_front(),
            _ => None,
        }
    }
}
