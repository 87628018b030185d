//! What encoding costs on this machine: measured once, by encoding a made-up picture and looking at the processor time.

use crate::counters::processor_time;
use crate::encode::{Encoder, Recipe, Stamp, raw_info};
use crate::plugins;
use gstreamer as gst;
use media::{ColorInfo, FrameRate, MediaTime, Rung};

/// Luma samples a second that x264 veryfast encodes on one core of the machine this was written on: 1280x720 at 30 fps takes
/// half of one (10.4 CPU-s per 20 s of film). What a machine is taken for until it is measured.
pub const USUAL_SPEED: f64 = 53e6;
/// A rung that would take more than this share of the machine is encoded superfast: a full HD source that can't be passed
/// through must not bring down the ladder of a small machine.
const SHARE_MAX: f64 = 1.0 / 3.0;
/// What superfast costs of veryfast.
const SUPERFAST_COST: f64 = 0.6;
/// Decoding a sample of H.264 takes this share of encoding one (0.19 CPU-s a second at 1080p30).
const DECODE_COST: f64 = 0.16;
/// Pictures of the measurement: 0.2 s of processor time on the machine above.
const PICTURES: i64 = 45;
const RATE: FrameRate = FrameRate { num: 30, den: 1 };

/// Cores this process may use, at least 1.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Luma samples a second of a picture size and rate.
fn samples(width: u32, height: u32, rate: FrameRate) -> f64 {
    f64::from(width) * f64::from(height) * rate.as_f64()
}

/// Cores that encoding a rung takes on a machine of `cores` that encodes `speed` luma samples a core and second.
pub fn of_encoding(rung: &Rung, speed: f64, cores: usize) -> f64 {
    let samples = samples(rung.width, rung.height, rung.frame_rate);
    let preset = if is_large(samples, cores) { SUPERFAST_COST } else { 1.0 };
    samples / speed * preset
}

/// Cores that decoding a source takes.
pub fn of_decoding(width: u32, height: u32, rate: FrameRate, speed: f64) -> f64 {
    samples(width, height, rate) / speed * DECODE_COST
}

/// Whether so many luma samples a second are too many for this machine at veryfast.
pub(crate) fn is_large(samples: f64, cores: usize) -> bool {
    samples > USUAL_SPEED * cores as f64 * SHARE_MAX
}

/// Luma samples that x264 veryfast encodes per second of processor time here; `None` when there is no x264. Takes some
/// tenths of a second.
pub(crate) fn measure() -> Option<f64> {
    let recipe = Recipe::of("x264enc");
    if !plugins::has(&recipe.element) {
        return None;
    }
    let rung = Rung { name: "cost".to_owned(), width: 640, height: 360, frame_rate: RATE, bitrate_bps: 600_000 };
    let info = raw_info(&rung, RATE, ColorInfo::UNSPECIFIED, rung.height).ok()?;
    let encoder = Encoder::start(&recipe, &rung, &info, |_| {}).ok()?;
    let mut noise = 1u32;
    let mut texture: Vec<u8> = (0..info.size() * 2)
        .map(|n| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (96 + n / 640 % 64 + (noise >> 29) as usize) as u8
        })
        .collect();
    let before = processor_time();
    for k in 0..PICTURES {
        // A textured picture that moves by three columns and a row, as a pan of a camera does.
        texture.rotate_left(643);
        let picture = gst::Buffer::from_mut_slice(texture.get(..info.size())?.to_vec());
        let stamp =
            Stamp { pts: MediaTime::from_millis(10_000) + RATE.time_of(k), frame_time: RATE.time_of(1), idr: k == 0 };
        if !encoder.push(stamp.on(&picture)) {
            return None;
        }
    }
    encoder.drain();
    let spent = (processor_time() - before).as_secs_f64();
    Some(PICTURES as f64 * f64::from(rung.width * rung.height) / spent.max(0.001))
}
