//! Which pictures a player can begin with. What a file marks is only a candidate: some writers mark pictures behind which others
//! follow that need what was before.

use crate::index::Index;
use crate::{Error, Source};
use media::{Config, MediaTime, VideoCodec, h264, hevc};

/// NAL units looked at before the first slice: parameter sets and messages.
const UNITS_MAX: usize = 64;

/// Leaves the mark to those pictures alone that are an IDR by their bytes, and drops those before the one to begin with: the last that
/// is shown no later than zero, where the file's edit list begins, so that of what that hides at most one group stays; else the first.
pub fn verify(source: &(impl Source + ?Sized), pictures: &mut Index) -> Result<(), Error> {
    let Config::Video(config) = &pictures.config else { return Ok(()) };
    let (codec, length_size) = (config.codec, usize::from(config.nal_length_size));
    for sample in pictures.samples.iter_mut().filter(|sample| sample.sync) {
        sample.sync = is_idr(source, sample.at, sample.bytes, codec, length_size)?;
    }
    let samples = &pictures.samples;
    let hidden = samples.iter().rposition(|sample| sample.sync && sample.pts <= MediaTime::ZERO);
    let first = hidden.or_else(|| samples.iter().position(|sample| sample.sync)).ok_or(Error::NoKeyFrame)?;
    pictures.samples.drain(..first);
    Ok(())
}

fn is_idr(
    source: &(impl Source + ?Sized),
    at: u64,
    bytes: u32,
    codec: VideoCodec,
    length_size: usize,
) -> Result<bool, Error> {
    let end = at + u64::from(bytes);
    let mut at = at;
    for _ in 0..UNITS_MAX {
        let mut head = [0; 5];
        let head = &mut head[..length_size + 1];
        if at + head.len() as u64 > end {
            return Ok(false);
        }
        source.read_at(at, head)?;
        let (length, unit) = head.split_at(length_size);
        let length = length.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
        match codec {
            VideoCodec::H264 => match h264::nal_type(unit) {
                h264::NAL_IDR if length > 0 => return Ok(true),
                1..h264::NAL_IDR if length > 0 => return Ok(false),
                _ => {}
            },
            VideoCodec::Hevc => match hevc::nal_type(unit) {
                19 | 20 if length > 0 => return Ok(true),
                0..32 if length > 0 => return Ok(false),
                _ => {}
            },
        }
        at += length_size as u64 + length;
    }
    Ok(false)
}
