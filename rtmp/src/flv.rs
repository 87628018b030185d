//! What a video or audio message holds: classic FLV tags (Adobe, "Video File Format 10.1", annex E) and Enhanced RTMP
//! (Veovera, v1 and v2: `ExVideoTagHeader`, `ExAudioTagHeader`, ModEx, multitrack).
//!
//! Payloads are sliced, never copied. Only track 0 is read when several come; multitrack is not offered in `connect`.
//! Empty and stub tags are [`VideoPacket::Ignored`]; a codec we do not take is an error with a sentence for the encoder.

use bytes::Bytes;
use media::{AudioCodec, VideoCodec};

/// What a video message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoPacket {
    /// A decoder configuration record (`avcC`, `hvcC`), whole.
    Config {
        /// The codec.
        codec: VideoCodec,
        /// The record.
        record: Bytes,
    },
    /// One coded picture.
    Frame {
        /// The codec.
        codec: VideoCodec,
        /// Presentation minus decode time, milliseconds, signed 24 bits.
        composition_ms: i32,
        /// NAL units behind length fields, at least one byte.
        data: Bytes,
    },
    /// End of sequence.
    End,
    /// Nothing to decode: an empty tag, a command, metadata, another track.
    Ignored,
}

/// What an audio message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioPacket {
    /// AudioSpecificConfig or OpusHead, whole; may be empty for Opus.
    Config {
        /// The codec.
        codec: AudioCodec,
        /// The record.
        record: Bytes,
    },
    /// One raw AAC frame or Opus packet, at least one byte.
    Frame {
        /// The codec.
        codec: AudioCodec,
        /// The frame.
        data: Bytes,
    },
    /// End of sequence.
    End,
    /// Nothing to decode.
    Ignored,
}

/// Why a tag can't be taken; the publisher's fault. The sentences are for the encoder's screen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    /// A video codec we do not take.
    #[error("{0} video is not supported here; set the encoder to H.264 (or to HEVC, if it speaks Enhanced RTMP)")]
    Video(String),
    /// An audio codec we do not take.
    #[error("{0} audio is not supported here; set the encoder to AAC (or to Opus, if it speaks Enhanced RTMP)")]
    Audio(String),
    /// The tag ends inside its header.
    #[error("{0} tag is cut short")]
    Truncated(&'static str),
}

/// Reads the payload of a video message.
///
/// # Errors
/// On a codec we do not take, and on a truncated Enhanced RTMP header.
pub fn parse_video(payload: &Bytes) -> Result<VideoPacket, FlvError> {
    let Some(&first) = payload.first() else { return Ok(VideoPacket::Ignored) };
    if first & 0x80 != 0 {
        return parse_enhanced_video(payload);
    }
    // Frame type 5 is a command to the player, without a picture.
    if first >> 4 == 5 {
        return Ok(VideoPacket::Ignored);
    }
    let codec = match first & 0x0f {
        7 => VideoCodec::H264,
        // Not in the specification, but what encoders and CDNs in Asia sent before Enhanced RTMP.
        12 => VideoCodec::Hevc,
        other => {
            let name = match other {
                2 => "Sorenson H.263",
                3 | 6 => "Screen",
                4 | 5 => "VP6",
                13 => "AV1",
                _ => return Err(FlvError::Video(format!("Codec {other}"))),
            };
            return Err(FlvError::Video(name.to_owned()));
        }
    };
    let Some(header) = payload.get(1..5) else { return Ok(VideoPacket::Ignored) };
    let data = payload.slice(5..);
    Ok(match header[0] {
        0 if !data.is_empty() => VideoPacket::Config { codec, record: data },
        1 if !data.is_empty() => {
            VideoPacket::Frame { codec, composition_ms: signed_24(header[1..4].try_into().unwrap_or_default()), data }
        }
        2 => VideoPacket::End,
        _ => VideoPacket::Ignored,
    })
}

/// Reads the payload of an audio message.
///
/// # Errors
/// As [`parse_video`].
pub fn parse_audio(payload: &Bytes) -> Result<AudioPacket, FlvError> {
    let Some(&first) = payload.first() else { return Ok(AudioPacket::Ignored) };
    match first >> 4 {
        10 => {}
        9 => return parse_enhanced_audio(payload),
        other => {
            let name = match other {
                0 | 3 => "PCM",
                1 => "ADPCM",
                2 | 14 => "MP3",
                4..=6 => "Nellymoser",
                7 | 8 => "G.711",
                11 => "Speex",
                _ => return Err(FlvError::Audio(format!("Codec {other}"))),
            };
            // An empty tag of any codec says nothing.
            return if payload.len() > 1 { Err(FlvError::Audio(name.to_owned())) } else { Ok(AudioPacket::Ignored) };
        }
    }
    let Some(&step) = payload.get(1) else { return Ok(AudioPacket::Ignored) };
    let data = payload.slice(2..);
    Ok(match step {
        0 if !data.is_empty() => AudioPacket::Config { codec: AudioCodec::Aac, record: data },
        1 if !data.is_empty() => AudioPacket::Frame { codec: AudioCodec::Aac, data },
        _ => AudioPacket::Ignored,
    })
}

/// `VideoPacketType` and `AudioPacketType` values; 0, 1, 2, 5 and 7 mean the same in both but for multitrack.
mod packet {
    pub const SEQUENCE_START: u8 = 0;
    pub const CODED_FRAMES: u8 = 1;
    pub const SEQUENCE_END: u8 = 2;
    pub const VIDEO_CODED_FRAMES_X: u8 = 3;
    pub const VIDEO_METADATA: u8 = 4;
    pub const AUDIO_MULTITRACK: u8 = 5;
    pub const VIDEO_MULTITRACK: u8 = 6;
    pub const MOD_EX: u8 = 7;
}

/// Where the fields of an Enhanced RTMP tag are read; the body is what is left.
struct Cursor<'a> {
    payload: &'a Bytes,
    at: usize,
    what: &'static str,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FlvError> {
        let bytes = self
            .payload
            .get(self.at..self.at + N)
            .and_then(|b| b.try_into().ok())
            .ok_or(FlvError::Truncated(self.what))?;
        self.at += N;
        Ok(bytes)
    }

    fn skip(&mut self, count: usize) -> Result<(), FlvError> {
        self.at =
            self.at.checked_add(count).filter(|at| *at <= self.payload.len()).ok_or(FlvError::Truncated(self.what))?;
        Ok(())
    }

    fn rest(&self) -> Bytes {
        self.payload.slice(self.at..)
    }

    /// Passes over ModEx prefixes (we use none of them) and gives the packet type behind them.
    fn after_mod_ex(&mut self, mut kind: u8) -> Result<u8, FlvError> {
        while kind == packet::MOD_EX {
            let [size] = self.take()?;
            let mut size = usize::from(size) + 1;
            if size == 256 {
                size = usize::from(u16::from_be_bytes(self.take()?)) + 1;
            }
            self.skip(size)?;
            let [next] = self.take::<1>()?;
            kind = next & 0x0f;
        }
        Ok(kind)
    }

    /// The header of a multitrack tag: packet type, FourCC and body of track 0, or `None` when it is not in it.
    fn track_zero(&mut self) -> Result<Option<(u8, [u8; 4], Bytes)>, FlvError> {
        let [byte] = self.take()?;
        let (arrangement, kind) = (byte >> 4, byte & 0x0f);
        let many_codecs = arrangement == 2;
        let mut four_cc = if many_codecs { [0; 4] } else { self.take()? };
        while self.at < self.payload.len() {
            if many_codecs {
                four_cc = self.take()?;
            }
            let [track] = self.take()?;
            let start;
            if arrangement == 0 {
                start = self.at;
                self.at = self.payload.len();
            } else {
                let [a, b, c] = self.take()?;
                start = self.at;
                self.skip(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))?;
            }
            if track == 0 {
                return Ok(Some((kind, four_cc, self.payload.slice(start..self.at))));
            }
        }
        Ok(None)
    }
}

fn parse_enhanced_video(payload: &Bytes) -> Result<VideoPacket, FlvError> {
    let mut cursor = Cursor { payload, at: 1, what: "an Enhanced RTMP video" };
    let kind = cursor.after_mod_ex(payload[0] & 0x0f)?;
    // A command frame has one byte instead of a FourCC.
    if payload[0] >> 4 & 7 == 5 && kind != packet::VIDEO_METADATA {
        return Ok(VideoPacket::Ignored);
    }
    let (kind, four_cc, body) = if kind == packet::VIDEO_MULTITRACK {
        let Some(track) = cursor.track_zero()? else { return Ok(VideoPacket::Ignored) };
        track
    } else {
        let four_cc = cursor.take()?;
        (kind, four_cc, cursor.rest())
    };
    if kind == packet::VIDEO_METADATA {
        return Ok(VideoPacket::Ignored);
    }
    let codec = match &four_cc {
        b"avc1" => VideoCodec::H264,
        b"hvc1" => VideoCodec::Hevc,
        b"av01" => return Err(FlvError::Video("AV1".to_owned())),
        b"vp08" => return Err(FlvError::Video("VP8".to_owned())),
        b"vp09" => return Err(FlvError::Video("VP9".to_owned())),
        b"vvc1" => return Err(FlvError::Video("VVC".to_owned())),
        other => return Err(FlvError::Video(printable(other))),
    };
    Ok(match kind {
        packet::SEQUENCE_START if !body.is_empty() => VideoPacket::Config { codec, record: body },
        packet::CODED_FRAMES if body.len() > 3 => {
            VideoPacket::Frame { codec, composition_ms: signed_24([body[0], body[1], body[2]]), data: body.slice(3..) }
        }
        packet::VIDEO_CODED_FRAMES_X if !body.is_empty() => VideoPacket::Frame { codec, composition_ms: 0, data: body },
        packet::SEQUENCE_END => VideoPacket::End,
        _ => VideoPacket::Ignored,
    })
}

fn parse_enhanced_audio(payload: &Bytes) -> Result<AudioPacket, FlvError> {
    let mut cursor = Cursor { payload, at: 1, what: "an Enhanced RTMP audio" };
    let kind = cursor.after_mod_ex(payload[0] & 0x0f)?;
    let (kind, four_cc, body) = if kind == packet::AUDIO_MULTITRACK {
        let Some(track) = cursor.track_zero()? else { return Ok(AudioPacket::Ignored) };
        track
    } else {
        let four_cc = cursor.take()?;
        (kind, four_cc, cursor.rest())
    };
    let codec = match &four_cc {
        b"mp4a" => AudioCodec::Aac,
        b"Opus" => AudioCodec::Opus,
        b".mp3" => return Err(FlvError::Audio("MP3".to_owned())),
        b"fLaC" => return Err(FlvError::Audio("FLAC".to_owned())),
        b"ac-3" => return Err(FlvError::Audio("AC-3".to_owned())),
        b"ec-3" => return Err(FlvError::Audio("E-AC-3".to_owned())),
        other => return Err(FlvError::Audio(printable(other))),
    };
    Ok(match kind {
        packet::SEQUENCE_START if codec == AudioCodec::Opus || !body.is_empty() => {
            AudioPacket::Config { codec, record: body }
        }
        packet::CODED_FRAMES if !body.is_empty() => AudioPacket::Frame { codec, data: body },
        packet::SEQUENCE_END => AudioPacket::End,
        _ => AudioPacket::Ignored,
    })
}

fn signed_24(b: [u8; 3]) -> i32 {
    i32::from_be_bytes([b[0], b[1], b[2], 0]) >> 8
}

/// A FourCC for a sentence: what is not a visible ASCII character becomes `?`.
fn printable(four_cc: &[u8; 4]) -> String {
    let visible = |b: &u8| if b.is_ascii_graphic() { char::from(*b) } else { '?' };
    format!("\"{}\"", four_cc.iter().map(visible).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn video(bytes: &[u8]) -> Result<VideoPacket, FlvError> {
        parse_video(&Bytes::copy_from_slice(bytes))
    }

    fn audio(bytes: &[u8]) -> Result<AudioPacket, FlvError> {
        parse_audio(&Bytes::copy_from_slice(bytes))
    }

    fn bytes(b: &'static [u8]) -> Bytes {
        Bytes::from_static(b)
    }

    #[test]
    fn classic_tags() {
        assert_eq!(
            video(&[0x17, 0, 0, 0, 0, 1, 2]),
            Ok(VideoPacket::Config { codec: VideoCodec::H264, record: bytes(&[1, 2]) })
        );
        let frame = VideoPacket::Frame { codec: VideoCodec::H264, composition_ms: -40, data: bytes(&[9]) };
        assert_eq!(video(&[0x27, 1, 0xff, 0xff, 0xd8, 9]), Ok(frame));
        assert_eq!(video(&[0x17, 2, 0, 0, 0]), Ok(VideoPacket::End));
        assert_eq!(
            audio(&[0xaf, 0, 0x11, 0x90]),
            Ok(AudioPacket::Config { codec: AudioCodec::Aac, record: bytes(&[0x11, 0x90]) })
        );
        assert_eq!(audio(&[0xaf, 1, 7]), Ok(AudioPacket::Frame { codec: AudioCodec::Aac, data: bytes(&[7]) }));
    }

    #[test]
    fn empty_and_stub_tags_are_ignored() {
        for stub in [
            &[][..],
            &[0x17],
            &[0x17, 1],
            &[0x17, 1, 0, 0],
            &[0x17, 1, 0, 0, 0],
            &[0x17, 0, 0, 0, 0],
            &[0x57, 0],
            &[0xd1, 0],
        ] {
            assert_eq!(video(stub), Ok(VideoPacket::Ignored), "{stub:?}");
        }
        for stub in [&[][..], &[0xaf], &[0xaf, 1], &[0x2f]] {
            assert_eq!(audio(stub), Ok(AudioPacket::Ignored), "{stub:?}");
        }
    }

    #[test]
    fn enhanced_video() {
        assert_eq!(video(b"\x90hvc1\x01"), Ok(VideoPacket::Config { codec: VideoCodec::Hevc, record: bytes(&[1]) }));
        let frame = |composition_ms| VideoPacket::Frame { codec: VideoCodec::Hevc, composition_ms, data: bytes(&[5]) };
        assert_eq!(video(b"\x91hvc1\x00\x00\x21\x05"), Ok(frame(33)));
        assert_eq!(video(b"\xa3hvc1\x05"), Ok(frame(0)));
        assert_eq!(video(b"\x92hvc1"), Ok(VideoPacket::End));
        assert_eq!(video(b"\x94hvc1\x02"), Ok(VideoPacket::Ignored));
        assert_eq!(video(b"\x90avc1\x01"), Ok(VideoPacket::Config { codec: VideoCodec::H264, record: bytes(&[1]) }));
    }

    #[test]
    fn enhanced_audio() {
        assert_eq!(
            audio(b"\x90OpusOpusHead"),
            Ok(AudioPacket::Config { codec: AudioCodec::Opus, record: bytes(b"OpusHead") })
        );
        assert_eq!(audio(b"\x91Opus\x01"), Ok(AudioPacket::Frame { codec: AudioCodec::Opus, data: bytes(&[1]) }));
        assert_eq!(audio(b"\x91mp4a\x01"), Ok(AudioPacket::Frame { codec: AudioCodec::Aac, data: bytes(&[1]) }));
    }

    #[test]
    fn mod_ex_is_passed_over() {
        // Three bytes of nanosecond offset, then CodedFramesX.
        assert_eq!(
            video(b"\x97\x02\x00\x00\x01\x03hvc1\x05"),
            Ok(VideoPacket::Frame { codec: VideoCodec::Hevc, composition_ms: 0, data: bytes(&[5]) })
        );
        let mut long = b"\x97\xff\x00\xff".to_vec();
        long.extend([0; 256]);
        long.extend(b"\x03hvc1\x05");
        assert!(matches!(video(&long), Ok(VideoPacket::Frame { .. })));
    }

    #[test]
    fn only_track_zero_of_several_is_read() {
        // ManyTracks, CodedFramesX, hvc1: track 1 of two bytes, track 0 of one.
        assert_eq!(
            video(b"\x96\x13hvc1\x01\x00\x00\x02\x08\x09\x00\x00\x00\x01\x05"),
            Ok(VideoPacket::Frame { codec: VideoCodec::Hevc, composition_ms: 0, data: bytes(&[5]) })
        );
        assert_eq!(video(b"\x96\x03hvc1\x01\x05"), Ok(VideoPacket::Ignored));
        assert_eq!(
            audio(b"\x95\x01Opus\x00\x07"),
            Ok(AudioPacket::Frame { codec: AudioCodec::Opus, data: bytes(&[7]) })
        );
        // ManyTracksManyCodecs: an AV1 track 1 does not matter.
        assert!(matches!(
            video(b"\x96\x23av01\x01\x00\x00\x01\x08avc1\x00\x00\x00\x01\x05"),
            Ok(VideoPacket::Frame { codec: VideoCodec::H264, .. })
        ));
    }

    #[test]
    fn what_we_do_not_take_is_named() {
        assert!(video(b"\x90av01\x01").unwrap_err().to_string().starts_with("AV1 video is not supported here; set"));
        assert!(video(&[0x22, 0]).unwrap_err().to_string().contains("H.263"));
        assert!(audio(&[0x2f, 0]).unwrap_err().to_string().starts_with("MP3 audio is not supported here; set"));
        assert!(video(b"\x90a\x00c1").unwrap_err().to_string().contains("\"a?c1\""));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(body in proptest::collection::vec(any::<u8>(), 0..64), first in any::<u8>(), enhanced in any::<bool>()) {
            let mut payload = vec![if enhanced { first | 0x80 } else { first }];
            payload.extend(&body);
            let _answers = (video(&payload), audio(&payload));
        }
    }
}
