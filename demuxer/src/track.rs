//! What a track's boxes say of its times: its clock, and which piece of it is shown when (ISO/IEC 14496-12, 8.3, 8.4 and 8.6.6).

use crate::boxes::{Fields, child, children, descend};
use crate::index::{Index, Sample};
use crate::{Error, SECONDS_MAX};
use media::MediaTime;

const DAMAGED: Error = Error::Damaged { what: "the head of a track can't be read" };
/// A rate of 1 in 16.16 bits.
const NORMAL_SPEED: u32 = 1 << 16;
/// Pieces of an edit list that may differ from each other by so much and still be one.
const TOUCHING: i64 = 1;

/// A track's head.
#[derive(Debug, Clone)]
pub struct Header {
    pub id: u32,
    pub is_enabled: bool,
    /// `vide`, `soun`, …
    pub handler: [u8; 4],
    timescale: u32,
    edit: Edit,
    /// Pictures are to be turned.
    pub is_turned: bool,
}

/// The one piece of a track that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Edit {
    /// When it begins.
    starts: MediaTime,
    /// Where it begins in the track, in its own units.
    from: i64,
    /// Where it ends, if anywhere.
    until: Option<i64>,
}

impl Header {
    /// Reads the head of a `trak`; `movie_timescale` is that of edit lists.
    pub fn read(trak: &[u8], movie_timescale: u32) -> Result<Self, Error> {
        let mut tkhd = Fields(child(trak, b"tkhd").ok_or(DAMAGED)?);
        let (version, flags) = tkhd.version().ok_or(DAMAGED)?;
        tkhd.skip(if version == 1 { 16 } else { 8 }).ok_or(DAMAGED)?;
        let id = tkhd.word().ok_or(DAMAGED)?;
        tkhd.skip(4 + if version == 1 { 8 } else { 4 } + 8 + 8).ok_or(DAMAGED)?;
        let matrix: [u32; 9] = {
            let mut matrix = [0; 9];
            for value in &mut matrix {
                *value = tkhd.word().ok_or(DAMAGED)?;
            }
            matrix
        };
        // Right and upright, whatever the scale: nothing crosses over, and neither axis is mirrored.
        let is_turned = matrix[1] != 0 || matrix[3] != 0 || (matrix[0] as i32) < 0 || (matrix[4] as i32) < 0;
        let mut mdhd = Fields(descend(trak, &[b"mdia", b"mdhd"]).ok_or(DAMAGED)?);
        let (version, _) = mdhd.version().ok_or(DAMAGED)?;
        mdhd.skip(if version == 1 { 16 } else { 8 }).ok_or(DAMAGED)?;
        let timescale = mdhd.word().filter(|scale| *scale > 0).ok_or(DAMAGED)?;
        let handler = descend(trak, &[b"mdia", b"hdlr"]).and_then(|hdlr| hdlr.get(8..)).ok_or(DAMAGED)?;
        let handler = Fields(handler).kind().ok_or(DAMAGED)?;
        let edit = match descend(trak, &[b"edts", b"elst"]) {
            Some(elst) => Edit::read(elst, movie_timescale, timescale)?,
            None => Edit::default(),
        };
        Ok(Self { id, is_enabled: flags & 1 == 1, handler, timescale, edit, is_turned })
    }

    /// Adds a sample whose times are in the track's own units.
    pub fn add(
        &self,
        index: &mut Index,
        mut sample: Sample,
        decode_time: i64,
        offset: i64,
        delta: u32,
    ) -> Result<(), Error> {
        let limit = SECONDS_MAX * i64::from(self.timescale);
        let at = decode_time.saturating_add(offset);
        if !(-limit..=limit).contains(&at) || i64::from(delta) > limit {
            return Err(Error::TooLong { what: "says that it lasts longer than two days" });
        }
        let place = |time: i64| self.edit.starts + MediaTime::from_units(time - self.edit.from, self.timescale);
        sample.pts = place(at);
        sample.is_shown = self.edit.until.is_none_or(|until| at < until);
        index.end = index.end.max(place(at + i64::from(delta)));
        index.samples.push(sample);
        Ok(())
    }
}

impl Edit {
    fn read(elst: &[u8], movie_timescale: u32, timescale: u32) -> Result<Self, Error> {
        let mut fields = Fields(elst);
        let (version, _) = fields.version().ok_or(DAMAGED)?;
        let count = fields.word().ok_or(DAMAGED)?;
        let mut edit: Option<Self> = None;
        let mut empty = 0_u64;
        for _ in 0..count {
            // The bytes end sooner than any count that is too large.
            let length = fields.word_or_long(version == 1).ok_or(DAMAGED)?;
            let from = if version == 1 {
                fields.long().ok_or(DAMAGED)? as i64
            } else {
                i64::from(fields.word().ok_or(DAMAGED)? as i32)
            };
            let speed = fields.word().ok_or(DAMAGED)?;
            let limit = SECONDS_MAX as u64 * u64::from(movie_timescale.max(1));
            if length > limit || from > SECONDS_MAX * i64::from(timescale) {
                return Err(Error::TooLong { what: "says that it lasts longer than two days" });
            }
            let units = length as i128 * i128::from(timescale) / i128::from(movie_timescale.max(1));
            let units = i64::try_from(units).map_err(|_| DAMAGED)?;
            match (from, &mut edit) {
                (-1, None) => empty = (empty + length).min(limit),
                // Nothing behind what is shown.
                (-1, Some(_)) => {}
                (..0, _) => return Err(DAMAGED),
                _ if speed != NORMAL_SPEED => return Err(Error::Edited),
                (from, None) => {
                    let starts = MediaTime::from_units(empty as i64, movie_timescale.max(1));
                    // A length of zero stands for all of a file that was still being written.
                    let until = (length > 0).then_some(from.saturating_add(units));
                    edit = Some(Self { starts, from, until });
                }
                (from, Some(Self { until: Some(until), .. })) if (from - *until).abs() <= TOUCHING => {
                    *until = from.saturating_add(units);
                }
                _ => return Err(Error::Edited),
            }
        }
        Ok(edit.unwrap_or_default())
    }
}

/// The `trak`s of a `moov` with their heads.
pub fn all(moov: &[u8]) -> Result<Vec<(Header, &[u8])>, Error> {
    let mut mvhd = Fields(child(moov, b"mvhd").ok_or(Error::Damaged { what: "the index has no head" })?);
    let scale = mvhd.version().and_then(|(version, _)| {
        mvhd.skip(if version == 1 { 16 } else { 8 })?;
        mvhd.word()
    });
    let scale = scale.filter(|scale| *scale > 0).ok_or(Error::Damaged { what: "the index has no head" })?;
    let traks = children(moov).filter(|(kind, _)| kind == b"trak").take(TRACKS_MAX);
    traks.map(|(_, trak)| Header::read(trak, scale).map(|header| (header, trak))).collect()
}

/// Tracks looked at; films in many languages have some dozens.
const TRACKS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn elst(entries: &[(u32, i32, u32)]) -> Vec<u8> {
        let mut out = vec![0, 0, 0, 0];
        out.extend((entries.len() as u32).to_be_bytes());
        for (length, from, speed) in entries {
            out.extend([length.to_be_bytes(), from.to_be_bytes(), speed.to_be_bytes()].concat());
        }
        out
    }

    fn edit(entries: &[(u32, i32, u32)]) -> Result<Edit, Error> {
        Edit::read(&elst(entries), 1_000, 48_000)
    }

    #[test]
    fn an_empty_piece_delays_and_a_media_time_leaves_out() {
        let found = edit(&[(500, -1, NORMAL_SPEED), (2_000, 1_024, NORMAL_SPEED)]).unwrap();
        let expected = Edit { starts: MediaTime::from_millis(500), from: 1_024, until: Some(97_024) };
        assert_eq!(found, expected);
        assert_eq!(edit(&[(0, 1_024, NORMAL_SPEED)]).unwrap().until, None, "of unknown length");
        assert_eq!(edit(&[]).unwrap(), Edit::default());
    }

    #[test]
    fn pieces_that_touch_are_one_and_others_are_a_cut() {
        let touching = edit(&[(1_000, 0, NORMAL_SPEED), (1_000, 48_000, NORMAL_SPEED)]).unwrap();
        assert_eq!(touching.until, Some(96_000));
        assert!(matches!(edit(&[(1_000, 0, NORMAL_SPEED), (1_000, 96_000, NORMAL_SPEED)]), Err(Error::Edited)));
        assert!(matches!(edit(&[(1_000, 0, NORMAL_SPEED / 2)]), Err(Error::Edited)), "slow motion");
    }

    #[test]
    fn counts_are_not_believed() {
        let mut short = elst(&[(1_000, 0, NORMAL_SPEED)]);
        short[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(Edit::read(&short, 1_000, 48_000), Err(Error::Damaged { .. })));
    }
}
