//! One CMAF chunk: `moof` and `mdat` with the samples of one track (ISO/IEC 14496-12, 8.8).

use bytes::Bytes;
use media::Track;

/// The id of the one track in every init section and chunk.
pub(crate) const TRACK_ID: u32 = 1;

const SYNC: u32 = 0x0200_0000;
/// Depends on others, and is not a sync sample.
const NON_SYNC: u32 = 0x0101_0000;

pub(super) const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
pub(super) const TRUN_AUDIO: u32 = 0x1 | 0x100 | 0x200;
pub(super) const TRUN_VIDEO: u32 = TRUN_AUDIO | 0x400 | 0x800;

/// Where things stand in a chunk of ours; [`read`] depends on it.
const TFDT_TIME: usize = 8 + 16 + 8 + 16 + 12;
const TRUN: usize = TFDT_TIME + 8;
const ENTRIES: usize = TRUN + 20;

/// A sample to write.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// The access unit as it stands in the file.
    pub data: Bytes,
    /// In the track's timescale.
    pub duration: u32,
    /// Presentation minus decode time, in the track's timescale; may be negative.
    pub offset: i32,
    /// An IDR, or audio.
    pub sync: bool,
}

/// Writes a chunk into one buffer. `decode_time` is the first sample's, in the track's timescale.
pub(crate) fn write(track: Track, sequence: u32, decode_time: u64, samples: &[Sample]) -> Bytes {
    let (flags, entry) = match track {
        Track::Video => (TRUN_VIDEO, 16),
        Track::Audio => (TRUN_AUDIO, 8),
    };
    let payload: usize = samples.iter().map(|s| s.data.len()).sum();
    let head = ENTRIES + entry * samples.len();
    let mut out = Vec::with_capacity(head + 8 + payload);
    super::put_box(&mut out, b"moof", |out| {
        super::put_full_box(out, b"mfhd", 0, 0, |out| out.extend(sequence.to_be_bytes()));
        super::put_box(out, b"traf", |out| {
            super::put_full_box(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF, |out| out.extend(TRACK_ID.to_be_bytes()));
            super::put_full_box(out, b"tfdt", 1, 0, |out| out.extend(decode_time.to_be_bytes()));
            super::put_full_box(out, b"trun", 1, flags, |out| {
                out.extend((samples.len() as u32).to_be_bytes());
                out.extend((head as u32 + 8).to_be_bytes());
                for sample in samples {
                    out.extend(sample.duration.to_be_bytes());
                    out.extend((sample.data.len() as u32).to_be_bytes());
                    if track == Track::Video {
                        out.extend(if sample.sync { SYNC } else { NON_SYNC }.to_be_bytes());
                        out.extend(sample.offset.to_be_bytes());
                    }
                }
            });
        });
    });
    debug_assert_eq!(out.len(), head);
    let size = u32::try_from(payload + 8).expect("a part holds less than 4 GiB");
    out.extend(size.to_be_bytes());
    out.extend(b"mdat");
    for sample in samples {
        out.extend_from_slice(&sample.data);
    }
    out.into()
}

/// A sample of a chunk we wrote, with its times in the track's timescale.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub decode_time: i64,
    pub presentation_time: i64,
    pub sync: bool,
    pub data: Bytes,
}

/// The samples of a chunk made by [`write`], sharing its bytes. Not a reader for other people's files.
pub(crate) fn read(track: Track, chunk: &Bytes) -> Vec<Placed> {
    let word = |at: usize| chunk.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let count = word(TRUN + 12) as usize;
    let mut data_at = word(TRUN + 16) as usize;
    let mut decode_time = i64::from(word(TFDT_TIME)) << 32 | i64::from(word(TFDT_TIME + 4));
    let entry = if track == Track::Video { 16 } else { 8 };
    let mut out = Vec::with_capacity(count);
    for at in (0..count).map(|n| ENTRIES + n * entry) {
        let size = word(at + 4) as usize;
        if data_at + size > chunk.len() {
            break;
        }
        let (sync, offset) =
            if track == Track::Video { (word(at + 8) == SYNC, word(at + 12) as i32) } else { (true, 0) };
        out.push(Placed {
            decode_time,
            presentation_time: decode_time + i64::from(offset),
            sync,
            data: chunk.slice(data_at..data_at + size),
        });
        data_at += size;
        decode_time += i64::from(word(at));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Any, Decode};

    fn samples() -> Vec<Sample> {
        let sample = |n: u8, offset, sync| Sample {
            data: Bytes::from(vec![n; usize::from(n) + 3]),
            duration: 3000 + u32::from(n),
            offset,
            sync,
        };
        vec![sample(0, 0, true), sample(1, 9000, false), sample(2, -3000, false)]
    }

    #[test]
    fn a_foreign_reader_finds_the_same_samples() {
        let chunk = write(Track::Video, 7, 1 << 33, &samples());
        let mut rest = chunk.as_ref();
        let Any::Moof(moof) = Any::decode(&mut rest).expect("moof") else { panic!("not a moof") };
        assert_eq!(moof.mfhd.sequence_number, 7);
        let traf = &moof.traf[0];
        assert_eq!(traf.tfdt.as_ref().map(|t| t.base_media_decode_time), Some(1 << 33));
        let trun = &traf.trun[0];
        let offset = trun.data_offset.expect("a data offset") as usize;
        let got: Vec<_> = trun.samples.iter().map(|e| (e.duration, e.size, e.cts, e.flags)).collect();
        assert_eq!(got[0], (Some(3000), Some(3), Some(0), Some(SYNC)));
        assert_eq!(got[2], (Some(3002), Some(5), Some(-3000), Some(NON_SYNC)));
        assert_eq!(&chunk[offset..offset + 3], &[0; 3]);
        let Any::Mdat(mdat) = Any::decode(&mut rest).expect("mdat") else { panic!("not an mdat") };
        assert_eq!(mdat.data.len(), 3 + 4 + 5);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for track in [Track::Video, Track::Audio] {
            let placed = read(track, &write(track, 1, 90_000, &samples()));
            assert_eq!(placed.len(), 3);
            assert_eq!(placed[1].decode_time, 93_000);
            assert_eq!(placed[2].data, samples()[2].data);
            assert_eq!(placed[1].presentation_time, if track == Track::Video { 102_000 } else { 93_000 });
        }
    }
}
