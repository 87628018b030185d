//! Writing and reading single fields of messages.

use super::{RECORD_MAX, RUNGS_MAX, RungSetup, WireError};
use crate::{AudioCodec, AudioConfig, ColorInfo, FrameRate, MediaTime, Rung, VideoCodec, VideoConfig};
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Stamps beyond this many ticks (about 12,700 years) are nonsense, and near it sums could saturate.
const TICKS_MAX: i64 = 1 << 55;

/// Appends one message; the length field is filled in by [`Writer::close`].
pub(super) struct Writer<'a> {
    out: &'a mut BytesMut,
    start: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut BytesMut) -> Self {
        let start = out.len();
        out.put_u32_le(0);
        Self { out, start }
    }

    pub(super) fn kind(&mut self, kind: u8) {
        self.out.put_u8(kind);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.put_u8(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.out.put_u16_le(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.out.put_u32_le(value);
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.out.put_u64_le(value);
    }

    pub(super) fn time(&mut self, value: MediaTime) {
        self.out.put_i64_le(value.ticks());
    }

    pub(super) fn optional_time(&mut self, value: Option<MediaTime>) {
        self.u8(u8::from(value.is_some()));
        self.time(value.unwrap_or_default());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.out.put_slice(bytes);
    }

    /// The last field: fills the message.
    pub(super) fn rest(&mut self, bytes: &[u8]) {
        self.out.put_slice(bytes);
    }

    pub(super) fn frame_rate(&mut self, rate: FrameRate) {
        self.u32(rate.num);
        self.u32(rate.den);
    }

    pub(super) fn rung(&mut self, setup: &RungSetup) {
        let Rung { name, width, height, frame_rate, bitrate_bps } = &setup.rung;
        self.text(name);
        self.u32(*width);
        self.u32(*height);
        self.frame_rate(*frame_rate);
        self.u32(*bitrate_bps);
        self.optional_time(setup.from);
    }

    pub(super) fn video(&mut self, config: &VideoConfig) {
        self.u8(u8::from(config.codec == VideoCodec::Hevc));
        self.u8(config.nal_length_size);
        self.u32(config.width);
        self.u32(config.height);
        self.u16(config.sample_aspect.0);
        self.u16(config.sample_aspect.1);
        self.text(&config.codecs);
        self.u8(config.bit_depth);
        self.u8(u8::from(config.is_420));
        self.u8(u8::from(config.is_interlaced));
        self.u64(config.frame_rate.unwrap_or(0.0).to_bits());
        self.out.put_slice(&[
            config.color.primaries,
            config.color.transfer,
            config.color.matrix,
            u8::from(config.color.full_range),
        ]);
        self.bytes(&config.record);
    }

    pub(super) fn audio(&mut self, config: &AudioConfig) {
        self.u8(u8::from(config.codec == AudioCodec::Opus));
        self.u32(config.sample_rate);
        self.u8(config.channels);
        self.u8(config.object_type);
        self.u32(config.frame_samples);
        self.bytes(&config.record);
    }

    pub(super) fn close(self) {
        let length = u32::try_from(self.out.len() - self.start - 4).unwrap_or(u32::MAX);
        self.out[self.start..self.start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Takes one message apart; byte fields share its memory.
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(message: Bytes) -> Self {
        Self { rest: message }
    }

    fn need(&self, count: usize, field: &'static str) -> Result<(), WireError> {
        if self.rest.len() < count { Err(WireError::Field { field }) } else { Ok(()) }
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.need(1, field)?;
        Ok(self.rest.get_u8())
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.need(2, field)?;
        Ok(self.rest.get_u16_le())
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.need(4, field)?;
        Ok(self.rest.get_u32_le())
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.need(8, field)?;
        Ok(self.rest.get_u64_le())
    }

    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, WireError> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Field { field }),
        }
    }

    pub(super) fn at_most<T>(
        &mut self,
        max: u64,
        field: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, WireError>,
    ) -> Result<T, WireError>
    where
        T: Copy + Into<u64>,
    {
        let value = read(self, field)?;
        if value.into() <= max { Ok(value) } else { Err(WireError::Field { field }) }
    }

    pub(super) fn time(&mut self, field: &'static str) -> Result<MediaTime, WireError> {
        self.need(8, field)?;
        let ticks = self.rest.get_i64_le();
        if (-TICKS_MAX..=TICKS_MAX).contains(&ticks) {
            Ok(MediaTime::from_ticks(ticks))
        } else {
            Err(WireError::Field { field })
        }
    }

    pub(super) fn optional_time(&mut self, field: &'static str) -> Result<Option<MediaTime>, WireError> {
        let is_some = self.flag(field)?;
        let time = self.time(field)?;
        Ok(is_some.then_some(time))
    }

    pub(super) fn bytes(&mut self, field: &'static str, max: usize) -> Result<Bytes, WireError> {
        let length = usize::try_from(self.u32(field)?).unwrap_or(usize::MAX);
        if length > max {
            return Err(WireError::Field { field });
        }
        self.need(length, field)?;
        Ok(self.rest.split_to(length))
    }

    /// Text without control characters, so that it can go into a log line as it is.
    pub(super) fn text(&mut self, field: &'static str, max: usize) -> Result<String, WireError> {
        let bytes = self.bytes(field, max)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| WireError::Field { field })?;
        if text.chars().any(char::is_control) { Err(WireError::Field { field }) } else { Ok(text.to_owned()) }
    }

    pub(super) fn rest(&mut self, field: &'static str, min: usize, max: usize) -> Result<Bytes, WireError> {
        let bytes = std::mem::take(&mut self.rest);
        if (min..=max).contains(&bytes.len()) { Ok(bytes) } else { Err(WireError::Field { field }) }
    }

    pub(super) fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Field { field: "end" }) }
    }

    pub(super) fn rung_index(&mut self) -> Result<u8, WireError> {
        let index = self.u8("rung index")?;
        if usize::from(index) < RUNGS_MAX { Ok(index) } else { Err(WireError::Field { field: "rung index" }) }
    }

    pub(super) fn frame_rate(&mut self) -> Result<FrameRate, WireError> {
        let (num, den) = (self.u32("frame rate")?, self.u32("frame rate")?);
        let rate = FrameRate { num, den };
        if num > 0 && den > 0 && (0.5..=250.0).contains(&rate.as_f64()) {
            Ok(rate)
        } else {
            Err(WireError::Field { field: "frame rate" })
        }
    }

    pub(super) fn rung(&mut self) -> Result<RungSetup, WireError> {
        let name = self.text("rung name", 32)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            return Err(WireError::Field { field: "rung name" });
        }
        let mut size = |field| match self.u32(field)? {
            size @ 16..=16_384 if size % 2 == 0 => Ok(size),
            _ => Err(WireError::Field { field }),
        };
        let (width, height) = (size("rung width")?, size("rung height")?);
        let frame_rate = self.frame_rate()?;
        let bitrate_bps = self.u32("rung bit rate")?;
        if !(10_000..=200_000_000).contains(&bitrate_bps) {
            return Err(WireError::Field { field: "rung bit rate" });
        }
        let from = self.optional_time("rung start")?;
        Ok(RungSetup { rung: Rung { name, width, height, frame_rate, bitrate_bps }, from })
    }

    pub(super) fn video(&mut self) -> Result<VideoConfig, WireError> {
        let codec = if self.flag("codec")? { VideoCodec::Hevc } else { VideoCodec::H264 };
        let nal_length_size = match self.u8("NAL length size")? {
            size @ (1 | 2 | 4) => size,
            _ => return Err(WireError::Field { field: "NAL length size" }),
        };
        let mut size = |field| match self.u32(field)? {
            size @ 1..=16_384 => Ok(size),
            _ => Err(WireError::Field { field }),
        };
        let (width, height) = (size("width")?, size("height")?);
        let sample_aspect = (self.u16("sample aspect")?.max(1), self.u16("sample aspect")?.max(1));
        let codecs = self.text("codec name", 64)?;
        let bit_depth = self.u8("bit depth")?;
        let is_420 = self.flag("chroma format")?;
        let is_interlaced = self.flag("interlacing")?;
        let frame_rate = Some(f64::from_bits(self.u64("frame rate")?)).filter(|rate| rate.is_finite() && *rate > 0.0);
        let color = ColorInfo {
            primaries: self.u8("colour")?,
            transfer: self.u8("colour")?,
            matrix: self.u8("colour")?,
            full_range: self.flag("colour range")?,
        };
        let record = self.bytes("record", RECORD_MAX)?;
        Ok(VideoConfig {
            codec,
            record,
            nal_length_size,
            width,
            height,
            sample_aspect,
            codecs,
            bit_depth,
            is_420,
            is_interlaced,
            frame_rate,
            color,
        })
    }

    pub(super) fn audio(&mut self) -> Result<AudioConfig, WireError> {
        let codec = if self.flag("codec")? { AudioCodec::Opus } else { AudioCodec::Aac };
        let sample_rate = self.u32("sample rate")?;
        let channels = self.u8("channels")?;
        let object_type = self.u8("object type")?;
        let frame_samples = self.u32("frame samples")?;
        if !(7_350..=192_000).contains(&sample_rate) || !(1..=8).contains(&channels) || frame_samples > 8192 {
            return Err(WireError::Field { field: "audio configuration" });
        }
        let record = self.bytes("record", RECORD_MAX)?;
        Ok(AudioConfig { codec, record, sample_rate, channels, object_type, frame_samples })
    }
}
