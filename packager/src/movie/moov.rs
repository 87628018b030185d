//! The head of a file: `ftyp`, `moov` and the header of `mdat` (ISO/IEC 14496-12, 8.2 to 8.7; ISO/IEC 14496-14).

use super::MovieTrack;
use crate::cmaf::{UNITY_MATRIX, put_box, put_full_box, put_halves, put_words};
use media::{MediaTime, Track};

/// The movie's own timescale is the session's, so that edits are exact for pictures, and for sound to 11 µs.
const MOVIE_TIMESCALE: u32 = MediaTime::HZ as u32;
/// An edit's media time that stands for no media (8.6.6).
const EMPTY_EDIT: i64 = -1;

/// All that stands in the head.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// None is empty.
    pub tracks: Vec<Laid<'a>>,
    /// Empty when there is none.
    pub title: &'a str,
    /// Seconds since 1904.
    pub created_s: u64,
    /// What follows the head.
    pub payload_bytes: u64,
}

/// A track and where its samples lie.
#[derive(Debug)]
pub(super) struct Laid<'a> {
    pub track: &'a MovieTrack,
    /// How much later than the movie it begins.
    pub late: MediaTime,
    pub chunks: Vec<Chunk>,
}

/// Consecutive samples of one track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    /// From the end of the head.
    pub at: u64,
    pub samples: u32,
}

impl Head<'_> {
    /// Its bytes.
    pub fn write(&self) -> Vec<u8> {
        // Where chunks lie depends on how long the head is, and that on how many bits say where they lie: so it is measured first.
        let narrow = self.write_at(0, false, 0).len();
        let is_wide = narrow as u64 + self.payload_bytes > u64::from(u32::MAX);
        let size = if is_wide { self.write_at(0, true, narrow).len() } else { narrow };
        self.write_at(size as u64, is_wide, size)
    }

    /// Writes it for a payload that begins at `first`.
    fn write_at(&self, first: u64, is_wide: bool, size_hint: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(size_hint);
        put_box(&mut out, b"ftyp", |out| {
            out.extend(b"isom");
            out.extend(0x200u32.to_be_bytes());
            out.extend(b"isomiso2mp42");
        });
        put_box(&mut out, b"moov", |out| {
            self.put_mvhd(out);
            for (laid, id) in self.tracks.iter().zip(1..) {
                put_box(out, b"trak", |out| laid.put_trak(out, id, self.created_s, first, is_wide));
            }
            if !self.title.is_empty() {
                put_box(out, b"udta", |out| put_title(out, self.title));
            }
        });
        match u32::try_from(self.payload_bytes + 8) {
            Ok(size) => {
                put_words(&mut out, &[size]);
                out.extend(b"mdat");
            }
            Err(_) => {
                put_words(&mut out, &[1]);
                out.extend(b"mdat");
                out.extend((self.payload_bytes + 16).to_be_bytes());
            }
        }
        out
    }

    fn put_mvhd(&self, out: &mut Vec<u8>) {
        let duration = self.tracks.iter().map(Laid::duration).max().unwrap_or_default();
        put_timed_box(out, b"mvhd", 0, self.created_s, &[MOVIE_TIMESCALE], duration, |out| {
            // Usual rate and volume, and reserved words.
            put_words(out, &[0x1_0000, 0x0100_0000, 0, 0]);
            put_words(out, &UNITY_MATRIX);
            put_words(out, &[0; 6]);
            put_words(out, &[self.tracks.len() as u32 + 1]);
        });
    }
}

impl Laid<'_> {
    fn put_trak(&self, out: &mut Vec<u8>, id: u32, created_s: u64, first: u64, is_wide: bool) {
        let init = &self.track.init;
        // Enabled, in the movie.
        put_timed_box(out, b"tkhd", 3, created_s, &[id, 0], self.duration(), |out| out.extend(&init.tkhd_tail));
        self.put_edts(out);
        put_box(out, b"mdia", |out| {
            let length = self.track.length();
            put_timed_box(out, b"mdhd", 0, created_s, &[init.timescale], length, |out| out.extend(&init.language));
            out.extend(&init.hdlr);
            put_box(out, b"minf", |out| {
                out.extend(&init.media_header);
                out.extend(&init.dinf);
                put_box(out, b"stbl", |out| {
                    out.extend(&init.stsd);
                    self.put_times(out);
                    self.put_places(out, first, is_wide);
                });
            });
        });
    }

    /// In the movie's timescale, with the time before it begins.
    fn duration(&self) -> u64 {
        self.late.ticks() as u64 + self.presented()
    }

    /// How long it is presented, in the movie's timescale, rounded up: players leave out what begins at the end of an edit.
    fn presented(&self) -> u64 {
        let (units, scale) = (u128::from(self.track.length()), u128::from(self.track.init.timescale));
        (units * u128::from(MOVIE_TIMESCALE)).div_ceil(scale) as u64
    }

    /// Nothing when it begins with the movie, and no offset was lifted.
    fn put_edts(&self, out: &mut Vec<u8>) {
        let (late, lift) = (self.late.ticks(), i64::from(self.track.lift()));
        let mut edits = Vec::new();
        if late > 0 {
            edits.push((late as u64, EMPTY_EDIT));
        }
        if late > 0 || lift > 0 {
            edits.push((self.presented(), lift));
        }
        if edits.is_empty() {
            return;
        }
        let is_long =
            edits.iter().any(|(length, from)| u32::try_from(*length).is_err() || i32::try_from(*from).is_err());
        put_box(out, b"edts", |out| {
            put_full_box(out, b"elst", is_long.into(), 0, |out| {
                put_words(out, &[edits.len() as u32]);
                for (length, from) in &edits {
                    put_number(out, is_long, *length);
                    put_number(out, is_long, *from as u64);
                    put_halves(out, &[1, 0]);
                }
            });
        });
    }

    fn put_times(&self, out: &mut Vec<u8>) {
        let (durations, offsets) = (self.track.durations.runs(), self.track.offsets.runs());
        put_full_box(out, b"stts", 0, 0, |out| {
            put_words(out, &[durations.len() as u32]);
            durations.iter().for_each(|(count, duration)| put_words(out, &[*count, *duration]));
        });
        if offsets.iter().any(|(_, offset)| *offset != 0) {
            let lift = self.track.lift();
            put_full_box(out, b"ctts", 0, 0, |out| {
                put_words(out, &[offsets.len() as u32]);
                offsets
                    .iter()
                    .for_each(|(count, offset)| put_words(out, &[*count, lift.saturating_add_signed(*offset)]));
            });
        }
        if self.track.init.track == Track::Video {
            put_full_box(out, b"stss", 0, 0, |out| {
                put_words(out, &[self.track.syncs.len() as u32]);
                put_words(out, &self.track.syncs);
            });
        }
    }

    fn put_places(&self, out: &mut Vec<u8>, first: u64, is_wide: bool) {
        let mut counts: Vec<(u32, u32)> = Vec::new();
        for (chunk, number) in self.chunks.iter().zip(1..) {
            if counts.last().is_none_or(|(_, samples)| *samples != chunk.samples) {
                counts.push((number, chunk.samples));
            }
        }
        put_full_box(out, b"stsc", 0, 0, |out| {
            put_words(out, &[counts.len() as u32]);
            counts.iter().for_each(|(first_chunk, samples)| put_words(out, &[*first_chunk, *samples, 1]));
        });
        put_full_box(out, b"stsz", 0, 0, |out| {
            // No common size.
            put_words(out, &[0, self.track.sizes.len() as u32]);
            put_words(out, &self.track.sizes);
        });
        put_full_box(out, if is_wide { b"co64" } else { b"stco" }, 0, 0, |out| {
            put_words(out, &[self.chunks.len() as u32]);
            self.chunks.iter().for_each(|chunk| put_number(out, is_wide, first + chunk.at));
        });
    }
}

/// A full box that holds when something was made, `between`, how long it is, and what `rest` appends; in version 1 when a
/// number needs 64 bits. All ones in 32 would say that it is not known.
fn put_timed_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    flags: u32,
    created_s: u64,
    between: &[u32],
    duration: u64,
    rest: impl FnOnce(&mut Vec<u8>),
) {
    let is_long = created_s.max(duration) >= u64::from(u32::MAX);
    put_full_box(out, kind, is_long.into(), flags, |out| {
        // Made, and changed.
        put_number(out, is_long, created_s);
        put_number(out, is_long, created_s);
        put_words(out, between);
        put_number(out, is_long, duration);
        rest(out);
    });
}

/// 64 bits, or the lower 32.
fn put_number(out: &mut Vec<u8>, is_long: bool, number: u64) {
    if is_long {
        out.extend(number.to_be_bytes());
    } else {
        out.extend((number as u32).to_be_bytes());
    }
}

/// The title as iTunes writes it and players read it: an item `©nam` of UTF-8.
fn put_title(out: &mut Vec<u8>, title: &str) {
    put_full_box(out, b"meta", 0, 0, |out| {
        put_full_box(out, b"hdlr", 0, 0, |out| {
            put_words(out, &[0]);
            out.extend(b"mdirappl");
            put_words(out, &[0, 0]);
            out.push(0);
        });
        put_box(out, b"ilst", |out| {
            put_box(out, b"\xa9nam", |out| {
                put_box(out, b"data", |out| {
                    // UTF-8, of no language.
                    put_words(out, &[1, 0]);
                    out.extend(title.as_bytes());
                });
            });
        });
    });
}
