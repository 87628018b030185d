//! Sample descriptions: which codec, and what its decoder must know (ISO/IEC 14496-12, 8.5.2; 14496-14, 5.6; 14496-15, 5.4 and 8.4;
//! QuickTime File Format, "Sound Sample Descriptions").

use crate::Error;
use crate::boxes::{Fields, Kind, children, descend};
use bytes::Bytes;
use media::{Config, VideoCodec, aac, h264, hevc};
use std::sync::Arc;

/// A visual sample entry before its boxes (ISO/IEC 14496-12, 12.1.3), without its header.
const VISUAL_ENTRY: usize = 78;
/// An audio sample entry before its boxes (12.2.3), without its header.
const SOUND_ENTRY: usize = 28;
/// What QuickTime's versions 1 and 2 of it have more.
const SOUND_ENTRY_1: usize = 16;
const SOUND_ENTRY_2: usize = 36;
/// Descriptor tags (ISO/IEC 14496-1, 7.2.2.1).
const ES: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC_INFO: u8 = 5;
/// Audio ISO/IEC 14496-3 (object type indications, 7.2.6.6).
const MPEG4_AUDIO: u8 = 0x40;

/// Reads the first entry of a picture track's `stsd`.
pub fn pictures(stsd: &[u8]) -> Result<Config, Error> {
    let (kind, body) = first(stsd)?;
    let record = |kind: &Kind| {
        let found = body.get(VISUAL_ENTRY..).and_then(|boxes| descend(boxes, &[kind]));
        found.map(Bytes::copy_from_slice).ok_or(Error::Damaged { what: "the decoder configuration is missing" })
    };
    const UNREADABLE: Error = Error::Damaged { what: "the decoder configuration can't be read" };
    let config = match &kind {
        b"avc1" | b"avc3" => h264::parse_config(&record(b"avcC")?).map_err(|_| UNREADABLE)?,
        b"hvc1" | b"hev1" => hevc::parse_config(&record(b"hvcC")?).map_err(|_| UNREADABLE)?,
        b"encv" => return Err(Error::Encrypted),
        kind => return Err(Error::Pictures { codec: name(kind) }),
    };
    if !config.is_420 {
        return Err(Error::Format { what: "not 4:2:0" });
    }
    match config.codec {
        VideoCodec::H264 if config.bit_depth != 8 => Err(Error::Format { what: "H.264 with more than 8 bits" }),
        VideoCodec::Hevc if config.bit_depth > 10 => Err(Error::Format { what: "HEVC with more than 10 bits" }),
        VideoCodec::H264 if config.is_interlaced => Err(Error::Format { what: "interlaced" }),
        _ => Ok(Config::Video(Arc::new(config))),
    }
}

/// Reads the first entry of a sound track's `stsd`.
pub fn sound(stsd: &[u8]) -> Result<Config, Error> {
    let (kind, body) = first(stsd)?;
    match &kind {
        b"mp4a" => {}
        b"enca" => return Err(Error::Encrypted),
        kind => return Err(Error::Sound { codec: name(kind) }),
    }
    let damaged = || Error::Damaged { what: "the configuration of the sound is missing" };
    let esds = esds(body).ok_or_else(damaged)?;
    let (object_type, record) = decoder(esds).ok_or_else(damaged)?;
    if object_type != MPEG4_AUDIO {
        let codec = match object_type {
            0x66..=0x68 => "MPEG-2 AAC",
            0x69 | 0x6b => "MP3",
            0xa5 => "AC-3",
            0xa6 => "E-AC-3",
            0xa9 => "DTS",
            0xad => "Opus",
            _ => "of an unknown codec",
        };
        return Err(Error::Sound { codec: codec.to_owned() });
    }
    let config = aac::parse_config(&Bytes::copy_from_slice(record))
        .map_err(|_| Error::Damaged { what: "the configuration of the sound can't be read" })?;
    let codec = match config.object_type {
        2 if config.frame_samples != 1024 => "AAC-LC with short frames",
        2 if config.sample_rate > 48_000 => "AAC-LC with more than 48 kHz",
        2 => return Ok(Config::Audio(Arc::new(config))),
        5 | 29 => "HE-AAC",
        42 => "xHE-AAC",
        _ => "another kind of AAC",
    };
    Err(Error::Sound { codec: codec.to_owned() })
}

/// Kind and content of the first entry.
fn first(stsd: &[u8]) -> Result<(Kind, &[u8]), Error> {
    let entries = stsd.get(8..).and_then(|entries| children(entries).next());
    entries.ok_or(Error::Damaged { what: "a track has no sample description" })
}

/// The `esds` of a sound entry, which QuickTime puts into a `wave`.
fn esds(entry: &[u8]) -> Option<&[u8]> {
    let version = Fields(entry.get(8..)?).half()?;
    let extra = match version {
        1 => SOUND_ENTRY_1,
        2 => SOUND_ENTRY_2,
        _ => 0,
    };
    // Some writers say version 1 and leave out what belongs to it.
    let found = |at: usize| {
        let boxes = entry.get(at..)?;
        descend(boxes, &[b"esds"]).or_else(|| descend(boxes, &[b"wave", b"esds"]))
    };
    found(SOUND_ENTRY + extra).or_else(|| found(SOUND_ENTRY))
}

/// The object type indication and the decoder specific info of an `esds`.
fn decoder(esds: &[u8]) -> Option<(u8, &[u8])> {
    let stream = descriptor(esds.get(4..)?, ES)?;
    let mut fields = Fields(stream);
    fields.half()?;
    let flags = fields.byte()?;
    if flags & 0x80 != 0 {
        fields.half()?;
    }
    if flags & 0x40 != 0 {
        let url = fields.byte()?;
        fields.skip(usize::from(url))?;
    }
    if flags & 0x20 != 0 {
        fields.half()?;
    }
    let config = descriptor(fields.0, DECODER_CONFIG)?;
    Some((*config.first()?, descriptor(config.get(13..)?, DECODER_SPECIFIC_INFO)?))
}

/// The content of the first descriptor with a tag; its length has seven bits in each of up to four bytes.
fn descriptor(data: &[u8], tag: u8) -> Option<&[u8]> {
    let mut fields = Fields(data);
    loop {
        let found = fields.byte()?;
        let mut length = 0;
        for _ in 0..4 {
            let byte = fields.byte()?;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        if found == tag {
            return fields.0.get(..length);
        }
        fields.skip(length)?;
    }
}

/// What people call a codec.
fn name(kind: &Kind) -> String {
    let name = match kind {
        b"av01" => "AV1",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"vvc1" | b"vvi1" => "VVC",
        b"dvh1" | b"dvhe" => "Dolby Vision",
        b"mp4v" => "MPEG-4 Part 2",
        b"s263" | b"h263" => "H.263",
        b"jpeg" | b"mjpa" | b"mjpb" => "Motion JPEG",
        b"apcn" | b"apch" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "ProRes",
        b"lpcm" | b"sowt" | b"twos" | b"raw " | b"in24" | b"in32" | b"fl32" | b"fl64" | b"ipcm" | b"fpcm" => "PCM",
        b"ulaw" | b"alaw" => "G.711",
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        b"ac-4" => "AC-4",
        b"Opus" => "Opus",
        b"fLaC" => "FLAC",
        b"alac" => "Apple Lossless",
        b".mp3" => "MP3",
        b"samr" | b"sawb" => "AMR",
        b"mha1" | b"mhm1" => "MPEG-H",
        kind => {
            let text: String =
                kind.iter().map(|&byte| if byte.is_ascii_graphic() { byte as char } else { '.' }).collect();
            return format!("of the unknown codec {text}");
        }
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn boxed(kind: &Kind, body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn stsd(entry: Vec<u8>) -> Vec<u8> {
        [vec![0; 7], vec![1], entry].concat()
    }

    #[test]
    fn what_is_not_taken_is_named() {
        let pcm = sound(&stsd(boxed(b"sowt", &[0; SOUND_ENTRY]))).unwrap_err();
        assert!(matches!(&pcm, Error::Sound { codec } if codec == "PCM"), "{pcm}");
        let av1 = pictures(&stsd(boxed(b"av01", &[0; VISUAL_ENTRY]))).unwrap_err();
        assert!(av1.to_string().starts_with("The pictures are AV1, and only H.264 and HEVC can be taken;"), "{av1}");
        assert!(matches!(pictures(&stsd(boxed(b"encv", &[0; VISUAL_ENTRY]))), Err(Error::Encrypted)));
    }

    #[test]
    fn sound_is_read_where_quicktime_puts_it_too() {
        let info = [DECODER_SPECIFIC_INFO, 0x80, 0x80, 0x80, 2, 0x11, 0x90];
        let config = [&[DECODER_CONFIG, 20, MPEG4_AUDIO][..], &[0; 12], &info].concat();
        let body = [&[0, 0, 0, 0, ES, 25, 0, 1, 0][..], &config].concat();
        let plain = [vec![0; SOUND_ENTRY], boxed(b"esds", &body)].concat();
        let mut quicktime = vec![0; SOUND_ENTRY + SOUND_ENTRY_1];
        quicktime[9] = 1;
        quicktime.extend(boxed(b"wave", &boxed(b"esds", &body)));
        for entry in [plain, quicktime] {
            let Ok(Config::Audio(audio)) = sound(&stsd(boxed(b"mp4a", &entry))) else { panic!("AAC was not read") };
            assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(data: Vec<u8>) {
            let _ = (pictures(&data), sound(&data));
            let _ = sound(&stsd(boxed(b"mp4a", &data)));
            let _ = pictures(&stsd(boxed(b"avc1", &data)));
        }
    }
}
