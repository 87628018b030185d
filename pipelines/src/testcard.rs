//! The worker that makes the test card: colour bars, a moving block, a clock, and each full second a flash and a beep
//! that begin at the same instant. In real time; what it sends is what a publisher would.

mod font;
mod paint;

use crate::audio::{self, AudioEncoder, RATE};
use crate::counters::Counters;
use crate::encode::{Encoded, Encoder, Recipe, Stamp, raw_info};
use crate::{Error, link, plugins, sandbox};
use bytes::Bytes;
use gstreamer as gst;
use media::wire::{FromWorker, ToWorker, VERSION};
use media::{ColorInfo, FrameRate, MediaTime, Rung};
use paint::Card;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FPS: i64 = 30;
const RATE_OF_FRAMES: FrameRate = FrameRate { num: FPS as u32, den: 1 };
/// Pictures from keyframe to keyframe: 2 s.
const KEYFRAME_EVERY: i64 = 2 * FPS;
const BITRATE_BPS: u32 = 1_500_000;
const AUDIO_BITRATE_BPS: u32 = 128_000;
/// Samples in a picture's time.
const SAMPLES: i64 = RATE as i64 / FPS;
/// The beep: 1 kHz for 100 ms at a quarter of full scale.
const BEEP_HZ: f32 = 1000.0;
const BEEP_SAMPLES: i64 = RATE as i64 / 10;
const BEEP_LEVEL: f32 = 0.25;
/// The flash lasts this many pictures.
const FLASH_FRAMES: i64 = 2;
/// Pictures that may be late before some are left out.
const LATE_MAX: i64 = 2 * FPS;
const BT709: ColorInfo = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false };

/// Runs until the server closes the link.
pub(crate) fn run(sandbox: &sandbox::Status, plugin_folder: &Path) -> Result<(), Error> {
    let counters = Arc::new(Counters::default());
    let beat = Arc::clone(&counters);
    let (mut inbox, outbox, _postman) = link::open(move || beat.stats())?;
    let Some(ToWorker::Setup(setup)) = inbox.next()? else { return Err(Error::NoSetup) };
    plugins::load(plugin_folder, false)?;
    outbox.give(FromWorker::Ready { version: VERSION, sandbox: sandbox.to_string() });
    let rung = Rung {
        name: "testcard".to_owned(),
        width: WIDTH,
        height: HEIGHT,
        frame_rate: RATE_OF_FRAMES,
        bitrate_bps: BITRATE_BPS,
    };
    let info = raw_info(&rung, RATE_OF_FRAMES, BT709, HEIGHT)?;
    let failed = Arc::new(AtomicBool::new(false));
    let (pictures, broke) = (outbox.clone(), Arc::clone(&failed));
    let recipe = if plugins::has("x264enc") {
        Recipe { graph: include_str!("../launch/encode-testcard.launch"), element: "x264enc".to_owned() }
    } else {
        Recipe::of("openh264enc")
    };
    let encoder = Encoder::start(&recipe, &rung, &info, move |encoded| match encoded {
        Encoded::Config(record) => pictures.give(FromWorker::RungConfig { rung: 0, record }),
        Encoded::Unit { pts, dts, sync, data } => pictures.give(FromWorker::Picture { rung: 0, dts, pts, sync, data }),
        Encoded::Failed(detail) => {
            broke.store(true, Ordering::Relaxed);
            pictures.notice(&detail);
        }
    })?;
    outbox.give(FromWorker::AudioConfig { record: Bytes::from_static(&audio::CONFIG) });
    let frames = outbox.clone();
    let sound = AudioEncoder::start(AUDIO_BITRATE_BPS, move |pts, data| {
        if pts >= MediaTime::ZERO {
            frames.give(FromWorker::Frame { pts, data });
        }
    })?;
    let mut card = Card::new(WIDTH as usize, HEIGHT as usize, &setup.title);
    // The first picture is that of a full second, so flash, beep and clock agree with every clock on the wall.
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let to_second = Duration::from_secs(1) - Duration::from_nanos(u64::from(wall.subsec_nanos()));
    let first_second = wall.as_secs() + 1;
    let start = Instant::now() + to_second;
    let mut n: i64 = 0;
    loop {
        let due = start + RATE_OF_FRAMES.time_of(n).to_duration();
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        } else if now - due > RATE_OF_FRAMES.time_of(LATE_MAX).to_duration() {
            // The server did not read for long; go on at the wall's time, with a keyframe.
            let behind = RATE_OF_FRAMES.frames_in(MediaTime::from(now - due));
            n += (behind / KEYFRAME_EVERY + 1) * KEYFRAME_EVERY;
            continue;
        }
        if failed.load(Ordering::Relaxed) {
            return Err(Error::Element { element: "a working H.264 encoder".to_owned() });
        }
        let in_second = n % FPS;
        card.draw(n, in_second < FLASH_FRAMES, first_second + (n / FPS).unsigned_abs());
        let stamp = Stamp {
            pts: RATE_OF_FRAMES.time_of(n),
            frame_time: RATE_OF_FRAMES.time_of(1),
            idr: n % KEYFRAME_EVERY == 0,
        };
        let mut buffer = gst::Buffer::from_mut_slice(card.pixels().to_vec());
        stamp.write(buffer.make_mut());
        if !encoder.push(buffer) || !sound.push(MediaTime::from_units(n * SAMPLES, RATE), &beep(in_second * SAMPLES)) {
            return Err(Error::Element { element: "a working encoder".to_owned() });
        }
        n += 1;
    }
}

/// The sound of one picture's time, from this sample of the second on: interleaved stereo `f32`.
fn beep(from: i64) -> Vec<u8> {
    let mut pcm = Vec::with_capacity(SAMPLES as usize * 8);
    for sample in from..from + SAMPLES {
        let phase = sample as f32 * BEEP_HZ / RATE as f32;
        let level =
            if sample < BEEP_SAMPLES { (phase.fract() * std::f32::consts::TAU).sin() * BEEP_LEVEL } else { 0.0 };
        pcm.extend_from_slice(&level.to_le_bytes());
        pcm.extend_from_slice(&level.to_le_bytes());
    }
    pcm
}
