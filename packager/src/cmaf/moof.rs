//! [`Moof`]: what the head of one of our chunks says of its samples, read back from a disk.

use super::boxes;
use super::fragment::{DEFAULT_BASE_IS_MOOF, TRACK_ID, TRUN_AUDIO, TRUN_VIDEO};
use media::Track;

/// Later than any session, and far from where sums overflow.
const DECODE_TIME_MAX: u64 = 1 << 60;
/// In a sample's flags (ISO/IEC 14496-12, 8.8.3.1).
const IS_NON_SYNC: u32 = 0x1_0000;

/// A `moof` as [`super::fragment::write`] makes it. Unlike [`super::fragment::read`] it does not trust a byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moof<'a> {
    /// The first sample's, in the track's timescale; never negative.
    pub decode_time: i64,
    track: Track,
    /// The numbers of all samples.
    words: &'a [[u8; 4]],
}

/// One sample without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// In the track's timescale.
    pub duration: u32,
    /// Bytes.
    pub size: u32,
    /// Presentation minus decode time, in the track's timescale.
    pub offset: i32,
    /// An IDR, or audio.
    pub sync: bool,
}

impl<'a> Moof<'a> {
    /// Reads a whole `moof` whose `mdat` follows at once; the error says what is wrong with it.
    pub fn read(track: Track, data: &'a [u8]) -> Result<Self, &'static str> {
        let moof = boxes::find(data, b"moof").filter(|moof| moof.len() == data.len()).ok_or("it is no whole moof")?;
        let traf = boxes::body(&moof[8..], b"traf").ok_or("it has no whole traf")?;
        let tfhd = boxes::full_body(traf, b"tfhd", 0, DEFAULT_BASE_IS_MOOF);
        tfhd.filter(|id| **id == TRACK_ID.to_be_bytes()).ok_or("its tfhd is not ours")?;
        let tfdt = boxes::full_body(traf, b"tfdt", 1, 0).and_then(|time| time.try_into().ok()).map(u64::from_be_bytes);
        let decode_time = tfdt.filter(|time| *time <= DECODE_TIME_MAX).ok_or("its tfdt is not ours")? as i64;
        let flags = if track == Track::Video { TRUN_VIDEO } else { TRUN_AUDIO };
        let trun = boxes::full_body(traf, b"trun", 1, flags).ok_or("its trun is not ours")?;
        let (count, at) = boxes::word(trun, 0).zip(boxes::word(trun, 4)).ok_or("its trun is cut short")?;
        if at as usize != data.len() + 8 {
            return Err("its samples are not where its payload is");
        }
        let (words, rest) = trun[8..].as_chunks::<4>();
        let moof = Self { decode_time, track, words };
        if !rest.is_empty() || words.len() != count as usize * moof.words_each() {
            return Err("its trun has another length than it says");
        }
        Ok(moof)
    }

    /// Its samples in decode order.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Entry> + use<'a> {
        let is_video = self.track == Track::Video;
        self.words.chunks_exact(self.words_each()).map(move |words| {
            let word = |at: usize| u32::from_be_bytes(words[at]);
            let (sync, offset) = if is_video { (word(2) & IS_NON_SYNC == 0, word(3) as i32) } else { (true, 0) };
            Entry { duration: word(0), size: word(1), offset, sync }
        })
    }

    fn words_each(&self) -> usize {
        if self.track == Track::Video { 4 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmaf::fragment::{Sample, write};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn samples(count: usize) -> Vec<Sample> {
        let sample = |n: usize| Sample {
            data: Bytes::from(vec![7; n + 1]),
            duration: 3000,
            offset: 100 - n as i32,
            sync: n.is_multiple_of(4),
        };
        (0..count).map(sample).collect()
    }

    /// A chunk's `moof` alone.
    fn head(track: Track, count: usize) -> Vec<u8> {
        let chunk = write(track, 9, 1 << 40, &samples(count));
        chunk[..boxes::word(&chunk, 0).unwrap() as usize].to_vec()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for track in [Track::Video, Track::Audio] {
            let head = head(track, 5);
            let moof = Moof::read(track, &head).unwrap();
            assert_eq!(moof.decode_time, 1 << 40);
            let entry = |s: &Sample| Entry {
                duration: s.duration,
                size: s.data.len() as u32,
                offset: if track == Track::Video { s.offset } else { 0 },
                sync: s.sync || track == Track::Audio,
            };
            assert!(moof.samples().eq(samples(5).iter().map(entry)));
        }
    }

    #[test]
    fn a_chunk_of_the_other_track_is_refused() {
        assert!(Moof::read(Track::Audio, &head(Track::Video, 5)).is_err());
        assert!(Moof::read(Track::Video, &head(Track::Audio, 5)).is_err());
    }

    proptest! {
        #[test]
        fn a_part_of_a_moof_is_refused(count in 0usize..9, cut: prop::sample::Index) {
            let head = head(Track::Video, count);
            prop_assert!(Moof::read(Track::Video, &head[..cut.index(head.len())]).is_err());
        }

        #[test]
        fn flipped_bits_never_change_how_many_samples_are_read(count in 0usize..9, at: prop::sample::Index, bit in 0u8..8) {
            let mut head = head(Track::Video, count);
            let at = at.index(head.len());
            head[at] ^= 1 << bit;
            if let Ok(moof) = Moof::read(Track::Video, &head) {
                prop_assert_eq!(moof.samples().len(), count);
            }
        }

        #[test]
        fn random_bytes_are_refused(data: Vec<u8>) {
            prop_assert!(Moof::read(Track::Video, &data).is_err());
        }
    }
}
