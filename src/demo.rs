//! The built-in test card: a publisher like any other, that comes through the RTMP door.
//!
//! While nobody publishes to the stream `demo`, [`run`] keeps the card live there; `weir demo` pushes it anywhere by hand.

use crate::live::{Context, stop_left};
use anyhow::{Context as _, bail};
use media::{AccessUnit, Announced, Config};
use rtmp::client::{Publisher, PublisherEvent, Target};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transcoder::{TestCard, TestCardConfig};

/// The stream the card is shown on.
pub use crate::first_start::DEMO_STREAM as STREAM;
/// The card comes back this long after a publisher's end, so that an encoder that only reconnects is not in its way.
const RETURN_AFTER: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_BYTES: usize = 16 << 10;

/// Shows the card whenever the stream is without a publisher and without a session that waits for one, and other streams
/// leave room for it, until the server stops.
pub async fn run(context: Arc<Context>, rtmp: SocketAddr) {
    let Some(pass) = &context.test_card else { return };
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        if context.hub.idle(STREAM).is_none_or(|idle| idle < RETURN_AFTER)
            || !context.hub.has_room(STREAM, context.settings.streams_max)
        {
            continue;
        }
        match context.store.stream(STREAM).await {
            Ok(Some(stream)) if stop_left(stream.stopped_until_ms).is_none() => {}
            Ok(_) | Err(_) => continue,
        }
        let target = Target {
            app: "live".to_owned(),
            tc_url: format!("rtmp://{rtmp}/live"),
            name: format!("{STREAM}?key={}", pass.key().reveal()),
        };
        match push(rtmp, target, STREAM, context.stop.clone()).await {
            Ok(()) => tracing::debug!("the test card made room"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the test card stopped");
                tokio::select! {
                    () = context.stop.cancelled() => return,
                    () = tokio::time::sleep(RETRY_AFTER) => {}
                }
            }
        }
    }
}

/// Publishes the card to `address` until the server there ends it (`Ok` when it does so in a friendly way) or `stop`.
///
/// # Errors
/// When the server can't be reached or refuses, in its words, or the card can't be made.
pub async fn push(address: SocketAddr, target: Target, title: &str, stop: CancellationToken) -> anyhow::Result<()> {
    let socket = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
        .await
        .map_err(|_| anyhow::anyhow!("{address} does not answer"))?
        .with_context(|| format!("can't connect to {address}"))?;
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    let mut push = Push { publisher: Publisher::new(target)?, reader, writer, read: vec![0; READ_BYTES] };
    tokio::time::timeout(CONNECT_TIMEOUT, push.until_publishing())
        .await
        .map_err(|_| anyhow::anyhow!("{address} does not let the publish begin"))??;
    let (card, units) = TestCard::spawn(TestCardConfig::new(title))?;
    let ended = push.send_all(units, &stop).await;
    drop(card);
    ended
}

struct Push {
    publisher: Publisher,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    read: Vec<u8>,
}

impl Push {
    async fn until_publishing(&mut self) -> anyhow::Result<()> {
        loop {
            self.flush().await?;
            if self.publisher.is_publishing() {
                return Ok(());
            }
            let count = self.reader.read(&mut self.read).await?;
            if count == 0 {
                bail!("the server closed the connection before the publish began");
            }
            self.publisher.input(&self.read[..count])?;
        }
    }

    async fn send_all(
        &mut self,
        mut units: mpsc::Receiver<AccessUnit>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let announced = Announced {
            video: Some(true),
            audio: Some(true),
            frame_rate: Some(30.0),
            audio_bps: Some(128_000.0),
            encoder: Some(concat!("weir test card ", env!("CARGO_PKG_VERSION")).to_owned()),
        };
        let mut sent = Sent::default();
        let mut early = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    self.publisher.finish();
                    return self.flush().await;
                }
                count = self.reader.read(&mut self.read) => {
                    let count = count?;
                    if count == 0 {
                        return Ok(());
                    }
                    match self.publisher.input(&self.read[..count]) {
                        Err(rtmp::Error::Refused { .. }) => return Ok(()),
                        other => other?,
                    }
                    while let Some(event) = self.publisher.next_event() {
                        if matches!(event, PublisherEvent::Ended { .. }) {
                            return Ok(());
                        }
                    }
                }
                unit = units.recv() => {
                    let Some(unit) = unit else { bail!("the test card's worker ended; see the log above for its reason") };
                    // Metadata and both configurations go first, so the tracks must be known before any media does.
                    sent.note(&unit.config);
                    early.push(unit);
                    if let (Some(video), Some(audio)) = (&sent.video, &sent.audio) {
                        if !sent.header {
                            sent.header = true;
                            let first = early.first().map_or(media::MediaTime::ZERO, |u| u.dts);
                            self.publisher.send_metadata(Some(video), Some(audio), &announced)?;
                            self.publisher.send_video_config(video, first)?;
                            self.publisher.send_audio_config(audio, first)?;
                        }
                        for unit in early.drain(..) {
                            self.publisher.send_unit(&unit)?;
                        }
                    } else if early.len() > EARLY_UNITS_MAX {
                        bail!("the test card's worker sends one track only");
                    }
                }
            }
            self.flush().await?;
        }
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        if self.publisher.output_len() > 0 {
            self.writer.write_all(&self.publisher.take_output()).await?;
        }
        Ok(())
    }
}

/// Two seconds of both tracks.
const EARLY_UNITS_MAX: usize = 160;

#[derive(Default)]
struct Sent {
    video: Option<Arc<media::VideoConfig>>,
    audio: Option<Arc<media::AudioConfig>>,
    header: bool,
}

impl Sent {
    fn note(&mut self, config: &Config) {
        match config {
            Config::Video(config) => _ = self.video.get_or_insert_with(|| Arc::clone(config)),
            Config::Audio(config) => _ = self.audio.get_or_insert_with(|| Arc::clone(config)),
        }
    }
}
