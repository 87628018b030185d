use super::MovieError;
use crate::cmaf::boxes;
use bytes::Bytes;
use media::{Config, Track, aac, h264, hevc, silence};
use std::sync::Arc;

/// AAC's highest rate, above the 90,000 of pictures. In its ticks the longest gap fits 32 bits.
const TIMESCALE_MAX: u32 = 96_000;
/// The end of `tkhd`, from the reserved words behind the duration on: layer, group, volume, matrix and size.
const TKHD_TAIL: usize = 60;
/// Sample entries before their boxes (ISO/IEC 14496-12, 12.2.3), with the header.
const AUDIO_ENTRY: usize = 36;
/// The same for pictures (12.1.3).
const VIDEO_ENTRY: usize = 86;
/// `stsd` before its entries.
const STSD_HEADER: usize = 16;

/// What a file takes over from a rendition's init section, byte by byte.
#[derive(Debug, Clone)]
pub(crate) struct InitSection {
    pub track: Track,
    pub timescale: u32,
    /// The last 60 bytes of `tkhd`.
    pub tkhd_tail: Bytes,
    /// The last 4 bytes of `mdhd`.
    pub language: Bytes,
    /// Whole boxes from here on.
    pub hdlr: Bytes,
    /// `vmhd` or `smhd`.
    pub media_header: Bytes,
    pub dinf: Bytes,
    /// With the decoder configuration as the encoder sent it.
    pub stsd: Bytes,
    /// What stands where sound is missing; `None` for video.
    pub silence: Option<Silence>,
}

/// Silence in a track's codec.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    /// Bytes of one frame.
    pub frame_bytes: u32,
    /// How many samples of sound each frame of the track is, at least 1.
    pub frame_samples: u32,
    /// Half a second of frames.
    pub bytes: Bytes,
}

impl InitSection {
    /// Reads an init section of ours: one track, all its boxes in version 0.
    pub fn read(init: &Bytes) -> Result<Self, MovieError> {
        let fault = |what| move || MovieError::Init { what };
        let trak = boxes::body(init, b"moov").and_then(|moov| boxes::body(moov, b"trak"));
        let trak = trak.ok_or_else(fault("it has no whole track"))?;
        let tkhd = boxes::full_body(trak, b"tkhd", 0, 3).ok_or_else(fault("its tkhd is not ours"))?;
        let tkhd_tail = tail(tkhd, TKHD_TAIL).ok_or_else(fault("its tkhd is cut short"))?;
        let mdia = boxes::body(trak, b"mdia").ok_or_else(fault("it has no whole mdia"))?;
        let mdhd = boxes::full_body(mdia, b"mdhd", 0, 0).ok_or_else(fault("its mdhd is not ours"))?;
        let timescale = boxes::word(mdhd, 8).filter(|scale| (1..=TIMESCALE_MAX).contains(scale));
        let timescale = timescale.ok_or_else(fault("its timescale is out of range"))?;
        let language = tail(mdhd, 4).ok_or_else(fault("its mdhd is cut short"))?;
        let hdlr = boxes::find(mdia, b"hdlr").ok_or_else(fault("it has no whole hdlr"))?;
        let (track, header) = match hdlr.get(16..20) {
            Some(b"vide") => (Track::Video, b"vmhd"),
            Some(b"soun") => (Track::Audio, b"smhd"),
            _ => return Err(fault("it is neither picture nor sound")()),
        };
        let minf = boxes::body(mdia, b"minf").ok_or_else(fault("it has no whole minf"))?;
        let media_header = boxes::find(minf, header).ok_or_else(fault("it has no whole media header"))?;
        let dinf = boxes::find(minf, b"dinf").ok_or_else(fault("it has no whole dinf"))?;
        let stsd = boxes::body(minf, b"stbl").and_then(|stbl| boxes::find(stbl, b"stsd"));
        let stsd = stsd.ok_or_else(fault("it has no whole sample description"))?;
        let silence = match track {
            Track::Video => None,
            Track::Audio => Some(Silence::of(init, stsd, timescale).ok_or_else(fault("its sound is not AAC of ours"))?),
        };
        let own = |bytes| init.slice_ref(bytes);
        Ok(Self {
            track,
            timescale,
            tkhd_tail: own(tkhd_tail),
            language: own(language),
            hdlr: own(hdlr),
            media_header: own(media_header),
            dinf: own(dinf),
            stsd: own(stsd),
            silence,
        })
    }

    /// What a decoder of the track must know; `None` when it can't be read, or is of a codec we never write.
    pub fn config(&self) -> Option<Config> {
        if self.track == Track::Audio {
            let audio = aac::parse_config(&self.stsd.slice_ref(aac_record(&self.stsd)?)).ok()?;
            return Some(Config::Audio(Arc::new(audio)));
        }
        let entries = self.stsd.get(STSD_HEADER..)?;
        let record = |entry: &[u8; 4], kind: &[u8; 4]| {
            let record = boxes::body(boxes::find(entries, entry)?.get(VIDEO_ENTRY..)?, kind)?;
            Some(self.stsd.slice_ref(record))
        };
        let video = match record(b"avc1", b"avcC") {
            Some(record) => h264::parse_config(&record),
            None => hevc::parse_config(&record(b"hvc1", b"hvcC")?),
        };
        Some(Config::Video(Arc::new(video.ok()?)))
    }
}

impl Silence {
    /// The silence of the AAC that `stsd`, a part of `init`, describes.
    fn of(init: &Bytes, stsd: &[u8], timescale: u32) -> Option<Self> {
        let config = aac::parse_config(&init.slice_ref(aac_record(stsd)?)).ok()?;
        let (frame, frame_samples) = silence::frame(&config).filter(|_| config.sample_rate == timescale)?;
        let frames = (timescale / 2 / frame_samples).max(1);
        Some(Self { frame_bytes: frame.len() as u32, frame_samples, bytes: frame.repeat(frames as usize).into() })
    }
}

/// The AudioSpecificConfig in `esds` (ISO/IEC 14496-1, 7.2.6), as [`crate::cmaf::init`] writes it.
fn aac_record(stsd: &[u8]) -> Option<&[u8]> {
    let entry = boxes::find(stsd.get(STSD_HEADER..)?, b"mp4a")?;
    let esds = boxes::full_body(entry.get(AUDIO_ENTRY..)?, b"esds", 0, 0)?;
    let stream = descriptor(esds, 3)?;
    let decoder = descriptor(stream.get(3..)?, 4)?;
    descriptor(decoder.get(13..)?, 5)
}

/// The content of the descriptor that `data` begins with. Its length takes one byte, as it is always below 128.
fn descriptor(data: &[u8], tag: u8) -> Option<&[u8]> {
    match data {
        [found, length @ 0..128, rest @ ..] if *found == tag => rest.get(..usize::from(*length)),
        _ => None,
    }
}

fn tail(data: &[u8], size: usize) -> Option<&[u8]> {
    data.get(data.len().checked_sub(size)?..)
}
