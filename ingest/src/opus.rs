//! What we read of Opus: channels in the identification header (RFC 7845, 5.1), and how long a packet lasts, from its
//! first two bytes (RFC 6716, 3.1 and 3.2).

use bytes::Bytes;
use media::{AudioCodec, AudioConfig};

/// A configuration from an identification header. Without a readable one it is stereo, as encoders send it.
pub(crate) fn config(record: Bytes) -> AudioConfig {
    let channels =
        record.strip_prefix(b"OpusHead").and_then(|head| head.get(1)).copied().filter(|n| (1..=8).contains(n));
    AudioConfig {
        codec: AudioCodec::Opus,
        record,
        sample_rate: 48_000,
        channels: channels.unwrap_or(2),
        object_type: 0,
        frame_samples: 0,
    }
}

/// Samples at 48 kHz, 120 to 5,760; `None` for an empty or impossible packet.
pub(crate) fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::samples;

    #[test]
    fn durations_follow_the_table_of_contents() {
        assert_eq!(samples(&[0xfc]), Some(960)); // CELT, 20 ms, one frame
        assert_eq!(samples(&[0x18]), Some(2880)); // SILK, 60 ms
        assert_eq!(samples(&[0xe1]), Some(240)); // CELT, 2.5 ms, two frames
        assert_eq!(samples(&[0xfb, 3]), Some(2880)); // three of 20 ms
        assert_eq!(samples(&[0xfb, 0]), None);
        assert_eq!(samples(&[0xfb, 63]), None);
        assert_eq!(samples(&[]), None);
    }
}
