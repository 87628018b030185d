//! The worker of one session: decodes the source once and encodes its rungs, its audio if need be, and its thumbnail.
//!
//! Threads: this one reads the link and feeds the decoders; a decoder's thread hands pictures to the stage; the stage
//! scales and feeds the encoders; an encoder's thread hands units to the postman. Every hand-over is a bounded queue that
//! waits when it is full, so a slow encoder ends in this thread not reading, and the server decides what to drop.

use crate::audio::{self, AudioEncoder, AudioTranscoder};
use crate::counters::Counters;
use crate::decode::{Decoded, Decoder};
use crate::encode::{self, Recipe};
use crate::link::{self, Inbox, Outbox};
use crate::stage::{Item, Stage};
use crate::{Error, plugins, sandbox};
use bytes::Bytes;
use media::wire::{EncoderChoice, FromWorker, Setup, ToWorker, VERSION};
use media::{AudioConfig, MediaTime, Track, VideoConfig, captions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// Pictures and cues between decoder and stage. Pictures are large, so few.
const STAGE_QUEUE: usize = 6;
/// The stage empties its encoders in this time or the rest is given up.
const FLUSH_WAIT: Duration = Duration::from_secs(8);

/// Runs until the server says finish or closes the link.
pub(crate) fn run(sandbox: &sandbox::Status, plugin_folder: &Path) -> Result<(), Error> {
    let counters = Arc::new(Counters::default());
    let beat = Arc::clone(&counters);
    let (mut inbox, outbox, postman) = link::open(move || beat.stats())?;
    let Some(ToWorker::Setup(setup)) = inbox.next()? else { return Err(Error::NoSetup) };
    let hardware = matches!(setup.encoder, EncoderChoice::Auto | EncoderChoice::Element(_));
    plugins::load(plugin_folder, hardware)?;
    outbox.give(FromWorker::Ready { version: VERSION, sandbox: sandbox.to_string() });
    let recipes = if setup.rungs.is_empty() { Vec::new() } else { working(&setup.encoder, &outbox) };
    if recipes.is_empty() && !setup.rungs.is_empty() {
        let text = "no H.264 encoder works: install gstreamer1.0-plugins-ugly, which has x264enc".to_owned();
        outbox.give(FromWorker::Unable { text });
        outbox.give(FromWorker::Finished);
        postman.wait();
        return Ok(());
    }
    let (items, queue) = sync_channel(STAGE_QUEUE);
    let stage = Stage {
        rate: setup.frame_rate,
        rungs: setup.rungs.clone(),
        thumb_every: setup.thumb_every,
        recipes,
        outbox: outbox.clone(),
        counters: Arc::clone(&counters),
    };
    let spawned = std::thread::Builder::new().name("stage".to_owned()).spawn(move || {
        if let Err(e) = stage.run(&queue) {
            // Without the stage nothing comes out any more; the server starts another worker.
            eprintln!("the stage stopped: {e}");
            std::process::exit(1);
        }
    });
    spawned.map_err(|source| Error::Link { source })?;
    let mut worker = Ladder {
        setup,
        items,
        outbox: outbox.clone(),
        counters,
        video: None,
        decoder: None,
        decoder_failed: Arc::default(),
        stills: None,
        audio: None,
    };
    let finished = worker.serve(&mut inbox)?;
    if finished {
        worker.flush();
        outbox.give(FromWorker::Finished);
        postman.wait();
    }
    Ok(())
}

/// The recipes that work, best first. x264 is taken as it is; others prove themselves.
fn working(choice: &EncoderChoice, outbox: &Outbox) -> Vec<Recipe> {
    let mut working = Vec::new();
    for recipe in Recipe::candidates(choice) {
        let first = working.is_empty();
        // Fallbacks are tried when they are needed.
        let tried = if first && recipe.element != "x264enc" { encode::trial(&recipe) } else { Ok(()) };
        match tried {
            Ok(()) => working.push(recipe),
            Err(e) => outbox.notice(&e.to_string()),
        }
    }
    working
}

struct Ladder {
    setup: Setup,
    items: SyncSender<Item>,
    outbox: Outbox,
    counters: Arc<Counters>,
    video: Option<VideoConfig>,
    decoder: Option<Decoder>,
    decoder_failed: Arc<AtomicBool>,
    /// Stamp of the last picture decoded for the thumbnail alone.
    stills: Option<MediaTime>,
    audio: Option<Audio>,
}

struct Audio {
    config: AudioConfig,
    transcoder: AudioTranscoder,
}

impl Ladder {
    /// `true` when the server said finish, `false` when it went away.
    fn serve(&mut self, inbox: &mut Inbox) -> Result<bool, Error> {
        while let Some(message) = inbox.next()? {
            match message {
                ToWorker::Setup(_) => return Err(Error::NoSetup),
                ToWorker::Still { .. } | ToWorker::Reader(_) => {}
                ToWorker::Video(config) => {
                    if let Some(decoder) = self.decoder.take() {
                        decoder.drain();
                    }
                    self.send(Item::Source(Box::new(config.clone())));
                    self.video = Some(config);
                }
                ToWorker::Audio(config) => self.configure_audio(config)?,
                ToWorker::Unit { track: Track::Video, dts, pts, sync, data } if self.setup.rungs.is_empty() => {
                    self.still(pts, dts, sync, data)?
                }
                ToWorker::Unit { track: Track::Video, dts, pts, sync, data } => self.picture(pts, dts, sync, data)?,
                ToWorker::Unit { track: Track::Audio, pts, data, .. } => self.sound(pts, data),
                ToWorker::Boundary { at, .. } => self.send(Item::Boundary(at)),
                ToWorker::AddRung(rung) => self.send(Item::AddRung(rung)),
                ToWorker::Rung { rung, from } => self.send(Item::Rung { rung, from }),
                ToWorker::Finish => return Ok(true),
            }
        }
        Ok(false)
    }

    fn send(&self, item: Item) {
        // The stage ends the process when it stops, so there is always somebody who takes it.
        let _stopping = self.items.send(item);
    }

    fn picture(&mut self, pts: MediaTime, dts: MediaTime, sync: bool, data: Bytes) -> Result<(), Error> {
        let Some(config) = &self.video else { return Ok(()) };
        self.counters.came_in(pts);
        if self.decoder_failed.swap(false, Ordering::Relaxed) {
            self.decoder = None;
        }
        if self.decoder.is_none() {
            if !sync {
                self.counters.add_damaged();
                return Ok(());
            }
            self.decoder = Some(Decoder::start(config, self.taker())?);
        }
        let captions = captions::extract(&data, config.codec, config.nal_length_size);
        self.send(Item::Seen { pts, captions });
        if self.decoder.as_ref().is_some_and(|decoder| !decoder.push(pts, dts, sync, data)) {
            self.counters.add_damaged();
            self.decoder = None;
        }
        Ok(())
    }

    fn taker(&self) -> impl Fn(Decoded) + Send + Sync + Clone + 'static {
        let (items, counters, outbox, failed) =
            (self.items.clone(), Arc::clone(&self.counters), self.outbox.clone(), Arc::clone(&self.decoder_failed));
        move |decoded| match decoded {
            Decoded::Picture { pts, damaged, picture } => {
                counters.decoded.fetch_add(1, Ordering::Relaxed);
                if damaged {
                    counters.add_damaged();
                }
                let _stopping = items.send(Item::Picture { pts, picture });
            }
            Decoded::Failed(detail) => {
                failed.store(true, Ordering::Relaxed);
                outbox.notice(&format!("the decoder stopped and goes on at the next keyframe: {detail}"));
            }
        }
    }

    /// Without rungs only a keyframe now and then is decoded, for the thumbnail.
    fn still(&mut self, pts: MediaTime, dts: MediaTime, sync: bool, data: Bytes) -> Result<(), Error> {
        let due = self.stills.is_none_or(|last| pts - last >= self.setup.thumb_every);
        let Some(config) = self.video.as_ref().filter(|_| sync && due && self.setup.thumb_every > MediaTime::ZERO)
        else {
            return Ok(());
        };
        self.stills = Some(pts);
        let items = self.items.clone();
        let decoder = Decoder::start(config, move |decoded| {
            if let Decoded::Picture { picture, .. } = decoded {
                let _stopping = items.send(Item::Still(picture));
            }
        })?;
        decoder.push(pts, dts, sync, data);
        decoder.drain();
        Ok(())
    }

    fn configure_audio(&mut self, config: AudioConfig) -> Result<(), Error> {
        if self.setup.audio_bitrate_bps == 0 {
            return Ok(());
        }
        let encoder = match self.audio.take() {
            Some(audio) => audio.transcoder.drain(),
            None => {
                self.outbox.give(FromWorker::AudioConfig { record: Bytes::from_static(&audio::CONFIG) });
                let (outbox, counters, from) = (self.outbox.clone(), Arc::clone(&self.counters), self.setup.audio_from);
                Arc::new(AudioEncoder::start(self.setup.audio_bitrate_bps, move |pts, data| {
                    if from.is_none_or(|from| pts >= from) {
                        counters.frames_out.fetch_add(1, Ordering::Relaxed);
                        outbox.give(FromWorker::Frame { pts, data });
                    }
                })?)
            }
        };
        let transcoder = AudioTranscoder::start(&config, encoder, Arc::clone(&self.counters))?;
        self.audio = Some(Audio { config, transcoder });
        Ok(())
    }

    fn sound(&mut self, pts: MediaTime, data: Bytes) {
        let Some(audio) = &mut self.audio else { return };
        self.counters.frames_in.fetch_add(1, Ordering::Relaxed);
        if audio.transcoder.push(pts, data) {
            return;
        }
        self.counters.add_damaged();
        // The decoder gave up on what came; another one may take what comes.
        let config = audio.config.clone();
        if let Err(e) = self.configure_audio(config) {
            self.outbox.notice(&e.to_string());
        }
    }

    fn flush(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            decoder.drain();
        }
        let (done, flushed) = sync_channel(1);
        self.send(Item::Flush(done));
        let _late = flushed.recv_timeout(FLUSH_WAIT);
        if let Some(encoder) = self.audio.take().map(|audio| audio.transcoder.drain()).and_then(Arc::into_inner) {
            encoder.drain();
        }
    }
}
