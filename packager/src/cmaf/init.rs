//! The init section: `ftyp` and a `moov` without samples (ISO/IEC 14496-12, ISO/IEC 14496-15, ISO/IEC 23000-19, 7.3).

use super::fragment::TRACK_ID;
use super::{UNITY_MATRIX, put_box, put_full_box, put_halves, put_words};
use bytes::Bytes;
use media::{AudioConfig, ColorInfo, Config, MediaTime, VideoCodec, VideoConfig};

/// The movie's own timescale; nothing is timed in it, as there is no edit list.
const MOVIE_TIMESCALE: u32 = 1000;
/// "und" in three five-bit letters.
const LANGUAGE_UND: u16 = 0x55c4;

/// Ticks per second of the media in a track: 90 kHz for video, the sample rate for audio.
pub(crate) fn timescale(config: &Config) -> u32 {
    match config {
        Config::Video(_) => MediaTime::HZ as u32,
        Config::Audio(audio) => audio.sample_rate,
    }
}

/// Writes the init section of a configuration.
pub(crate) fn write(config: &Config) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    put_box(&mut out, b"ftyp", |out| {
        out.extend(b"iso6");
        out.extend(1u32.to_be_bytes());
        out.extend(b"iso6cmfccmf2mp41");
    });
    put_box(&mut out, b"moov", |out| {
        put_full_box(out, b"mvhd", 0, 0, |out| {
            put_words(out, &[0, 0, MOVIE_TIMESCALE, 0, 0x1_0000, 0x0100_0000, 0, 0]);
            put_words(out, &UNITY_MATRIX);
            put_words(out, &[0; 6]);
            put_words(out, &[TRACK_ID + 1]);
        });
        put_box(out, b"trak", |out| track(out, config));
        put_box(out, b"mvex", |out| {
            // All but video's flags are said per sample; every audio frame is a sync sample.
            put_full_box(out, b"trex", 0, 0, |out| put_words(out, &[TRACK_ID, 1, 0, 0, 0x0200_0000]));
        });
    });
    out.into()
}

fn track(out: &mut Vec<u8>, config: &Config) {
    let (handler, name, volume): (&[u8; 4], &[u8], u16) = match config {
        Config::Video(_) => (b"vide", b"Video\0", 0),
        Config::Audio(_) => (b"soun", b"Audio\0", 0x100),
    };
    // Enabled, in the movie.
    put_full_box(out, b"tkhd", 0, 3, |out| {
        put_words(out, &[0, 0, TRACK_ID, 0, 0, 0, 0]);
        put_halves(out, &[0, 0, volume, 0]);
        put_words(out, &UNITY_MATRIX);
        match config {
            Config::Video(video) => put_words(out, &[display_width(video) << 16, video.height << 16]),
            Config::Audio(_) => put_words(out, &[0, 0]),
        }
    });
    put_box(out, b"mdia", |out| {
        put_full_box(out, b"mdhd", 0, 0, |out| {
            put_words(out, &[0, 0, timescale(config), 0]);
            put_halves(out, &[LANGUAGE_UND, 0]);
        });
        put_full_box(out, b"hdlr", 0, 0, |out| {
            put_words(out, &[0]);
            out.extend(handler);
            put_words(out, &[0; 3]);
            out.extend(name);
        });
        put_box(out, b"minf", |out| {
            match config {
                Config::Video(_) => put_full_box(out, b"vmhd", 0, 1, |out| put_halves(out, &[0; 4])),
                Config::Audio(_) => put_full_box(out, b"smhd", 0, 0, |out| put_halves(out, &[0; 2])),
            }
            put_box(out, b"dinf", |out| {
                put_full_box(out, b"dref", 0, 0, |out| {
                    put_words(out, &[1]);
                    put_full_box(out, b"url ", 0, 1, |_| {});
                });
            });
            put_box(out, b"stbl", |out| {
                put_full_box(out, b"stsd", 0, 0, |out| {
                    put_words(out, &[1]);
                    match config {
                        Config::Video(video) => video_entry(out, video),
                        Config::Audio(audio) => audio_entry(out, audio),
                    }
                });
                put_full_box(out, b"stts", 0, 0, |out| put_words(out, &[0]));
                put_full_box(out, b"stsc", 0, 0, |out| put_words(out, &[0]));
                put_full_box(out, b"stsz", 0, 0, |out| put_words(out, &[0, 0]));
                put_full_box(out, b"stco", 0, 0, |out| put_words(out, &[0]));
            });
        });
    });
}

/// The width after the sample aspect ratio is applied, as `tkhd` wants it.
fn display_width(video: &VideoConfig) -> u32 {
    let (across, down) = video.sample_aspect;
    (u64::from(video.width) * u64::from(across) / u64::from(down.max(1))).clamp(1, 0xffff) as u32
}

fn video_entry(out: &mut Vec<u8>, video: &VideoConfig) {
    let (entry, record): (&[u8; 4], &[u8; 4]) = match video.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::Hevc => (b"hvc1", b"hvcC"),
    };
    put_box(out, entry, |out| {
        put_halves(out, &[0, 0, 0, 1]);
        put_words(out, &[0; 4]);
        put_halves(out, &[video.width as u16, video.height as u16]);
        // 72 dpi twice, reserved, one frame per sample, no compressor name, depth 24, pre-defined -1.
        put_words(out, &[0x48_0000, 0x48_0000, 0]);
        put_halves(out, &[1]);
        put_words(out, &[0; 8]);
        put_halves(out, &[0x18, 0xffff]);
        put_box(out, record, |out| out.extend_from_slice(&video.record));
        let color = video.color;
        if color != ColorInfo::UNSPECIFIED {
            put_box(out, b"colr", |out| {
                out.extend(b"nclx");
                put_halves(out, &[color.primaries.into(), color.transfer.into(), color.matrix.into()]);
                out.push(if color.full_range { 0x80 } else { 0 });
            });
        }
        let (across, down) = video.sample_aspect;
        put_box(out, b"pasp", |out| put_words(out, &[across.into(), down.into()]));
    });
}

fn audio_entry(out: &mut Vec<u8>, audio: &AudioConfig) {
    put_box(out, b"mp4a", |out| {
        put_halves(out, &[0, 0, 0, 1]);
        put_words(out, &[0, 0]);
        put_halves(out, &[audio.channels.into(), 16, 0, 0]);
        put_words(out, &[audio.sample_rate << 16]);
        put_full_box(out, b"esds", 0, 0, |out| {
            // ISO/IEC 14496-1, 7.2.6: ES_Descriptor, DecoderConfigDescriptor (MPEG-4 audio, audio stream),
            // DecoderSpecificInfo, SLConfigDescriptor (MP4). The record is below 64 bytes, so one length byte each is enough.
            let record = &audio.record[..audio.record.len().min(64)];
            let info = record.len() as u8;
            out.extend([3, 3 + 15 + 2 + info + 3, 0, TRACK_ID as u8, 0]);
            out.extend([4, 13 + 2 + info, 0x40, 0x15, 0, 0, 0]);
            put_words(out, &[0, 0]);
            out.extend([5, info]);
            out.extend(record);
            out.extend([6, 1, 2]);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Any, Codec, Decode, Moov};
    use std::sync::Arc;

    fn moov(config: &Config) -> Moov {
        let whole = write(config);
        let mut data = whole.as_ref();
        let Any::Ftyp(_) = Any::decode(&mut data).expect("ftyp") else { panic!("not an ftyp") };
        match Any::decode(&mut data).expect("moov") {
            Any::Moov(moov) => moov,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_foreign_reader_finds_the_audio_configuration() {
        let audio = media::aac::parse_config(&Bytes::from_static(&[0x12, 0x10])).expect("44.1 kHz stereo");
        let moov = moov(&Config::Audio(Arc::new(audio)));
        let mdia = &moov.trak[0].mdia;
        assert_eq!(mdia.mdhd.timescale, 44_100);
        let Codec::Mp4a(entry) = &mdia.minf.stbl.stsd.codecs[0] else { panic!("not mp4a") };
        assert_eq!(entry.audio.channel_count, 2);
        assert_eq!(entry.esds.es_desc.dec_config.object_type_indication, 0x40);
    }

    #[test]
    fn a_foreign_reader_finds_the_picture_size_and_colour() {
        let record = Bytes::from_static(&[
            1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26, 0x67, 0x64, 0, 0x1f, 0xac, 0xd9, 0x40, 0x50, 5, 0xbb, 1, 0x10, 0, 0,
            3, 0, 0x10, 0, 0, 3, 3, 0xc0, 0xf1, 0x83, 0x19, 0x60, 1, 0, 6, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd,
            0xf8, 0xf8, 0,
        ]);
        let video = VideoConfig {
            codec: VideoCodec::H264,
            record: record.clone(),
            nal_length_size: 4,
            width: 1280,
            height: 720,
            sample_aspect: (4, 3),
            codecs: "avc1.64001f".into(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false },
        };
        let config = Config::Video(Arc::new(video));
        assert!(write(&config).windows(record.len()).any(|w| w == record), "the record stands there byte by byte");
        let moov = moov(&config);
        let Codec::Avc1(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("not avc1") };
        assert_eq!((entry.visual.width, entry.visual.height), (1280, 720));
        assert_eq!(entry.pasp.as_ref().map(|p| (p.h_spacing, p.v_spacing)), Some((4, 3)));
        assert!(entry.colr.is_some());
        assert!(moov.mvex.is_some());
    }
}
