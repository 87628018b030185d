//! Segments of ours turned back into access units: what a replay is made of.
//!
//! The bytes come from a disk or a store, so nothing in them is believed: what is not exactly as [`crate::Packager`] writes it is
//! refused, and never panics. It is not a reader of other people's MP4. Payload is shared with the segment, not copied.

use crate::MovieError;
use crate::cmaf::boxes;
use crate::cmaf::moof::{Entry, Moof};
use crate::movie::init::InitSection;
use bytes::Bytes;
use media::{AccessUnit, Config, MediaTime, Track};

/// Units in one segment: 100 s of pictures at 160 a second.
const UNITS_MAX: usize = 16_384;
/// Many times the length of a part. A chunk that says more of itself, or of how late a picture is shown, is damaged.
const CHUNK_MAX: MediaTime = MediaTime::from_millis(10_000);
/// Seconds of a session's timeline: 136 years.
const TIME_MAX_S: i64 = 1 << 32;
/// The most that presentation may be behind decoding, as far as it is made here: 16 pictures at 8 a second.
const REORDER_MAX: MediaTime = MediaTime::from_millis(2_000);
const BOX_HEADER: usize = 8;

/// Reads the segments of one rendition that need the same init section.
///
/// ```
/// # fn read(init: &bytes::Bytes, segment: &bytes::Bytes) -> Result<(), packager::MovieError> {
/// use packager::{Respacer, Unpacker};
/// let mut units = Unpacker::new(init)?.units(segment)?;
/// Respacer::default().respace(&mut units); // pictures only
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Unpacker {
    track: Track,
    timescale: u32,
    config: Config,
}

impl Unpacker {
    /// Of the init section as [`crate::Rendition::init`] gives it.
    ///
    /// # Errors
    /// [`MovieError::Init`].
    pub fn new(init: &Bytes) -> Result<Self, MovieError> {
        let section = InitSection::read(init)?;
        let config = section.config().ok_or(MovieError::Init { what: "its codec configuration is not ours" })?;
        Ok(Self { track: section.track, timescale: section.timescale, config })
    }

    /// What its units must be decoded with; they all share it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The units of a segment in decode order, with the times they have on their session's timeline. Decode times of pictures are
    /// those of the chunks, squeezed behind the key frame; see [`Respacer`].
    ///
    /// # Errors
    /// When any byte of it is not as it was written: [`MovieError::Damaged`]; [`MovieError::NoKeyFrame`] when pictures begin without
    /// one.
    pub fn units(&self, segment: &Bytes) -> Result<Vec<AccessUnit>, MovieError> {
        let mut units: Vec<AccessUnit> = Vec::new();
        let mut rest: &[u8] = segment;
        for fragment in 0.. {
            if rest.is_empty() {
                break;
            }
            let damaged = |what| MovieError::Damaged { track: self.track, fragment, what };
            let (head, behind) = boxes::split(rest).ok_or(damaged("it is cut short"))?;
            let moof = Moof::read(self.track, head).map_err(damaged)?;
            let payload = boxes::split(behind).filter(|(body, _)| body[4..BOX_HEADER] == *b"mdat");
            let (body, behind) = payload.ok_or(damaged("it has no whole mdat"))?;
            let mut data = segment.slice_ref(&body[BOX_HEADER..]);
            self.check(&moof, data.len()).map_err(damaged)?;
            if units.len() + moof.samples().len() > UNITS_MAX {
                return Err(damaged("it has more samples than any segment"));
            }
            let mut time = moof.decode_time;
            for Entry { duration, size, offset, sync } in moof.samples() {
                units.push(AccessUnit {
                    config: self.config.clone(),
                    dts: MediaTime::from_units(time, self.timescale),
                    pts: MediaTime::from_units(time + i64::from(offset), self.timescale),
                    sync,
                    data: data.split_to(size as usize),
                });
                time += i64::from(duration);
            }
            rest = behind;
        }
        match units.first() {
            Some(first) if !first.sync => Err(MovieError::NoKeyFrame { fragment: 0 }),
            _ => Ok(units),
        }
    }

    fn check(&self, moof: &Moof<'_>, payload_bytes: usize) -> Result<(), &'static str> {
        if moof.samples().any(|sample| sample.size == 0) {
            return Err("it has an empty sample");
        }
        if moof.samples().map(|sample| u64::from(sample.size)).sum::<u64>() != payload_bytes as u64 {
            return Err("its samples do not fill its payload");
        }
        let longest = CHUNK_MAX.ticks() * i64::from(self.timescale) / MediaTime::HZ;
        let length: i64 = moof.samples().map(|sample| i64::from(sample.duration)).sum();
        if length > longest || moof.samples().any(|sample| i64::from(sample.offset).abs() > longest) {
            return Err("it lasts longer than any part");
        }
        if moof.decode_time > TIME_MAX_S * i64::from(self.timescale) {
            return Err("it is later than any session");
        }
        Ok(())
    }
}

/// Gives pictures the decode times an encoder would have given them: evenly, as many frame times before their presentation as the
/// stream reorders. The chunks' own are squeezed (see the packager's video lane), which a prober takes for irregular frame times.
#[derive(Debug, Default)]
pub struct Respacer {
    /// Presentation minus decode time of key frames; it only grows.
    reorder: MediaTime,
    newest: Option<MediaTime>,
}

impl Respacer {
    /// Sets the decode times of whole groups of pictures, in decode order, that follow those given before. None is after its
    /// presentation time, and they rise, unless presentation times go back.
    pub fn respace(&mut self, pictures: &mut [AccessUnit]) {
        let mut times: Vec<MediaTime> = pictures.iter().map(|picture| picture.pts).collect();
        times.sort_unstable();
        let needed = times.iter().zip(&*pictures).map(|(time, picture)| *time - picture.pts).max();
        self.reorder = self.reorder.max(needed.unwrap_or_default()).min(REORDER_MAX);
        for (time, picture) in times.into_iter().zip(pictures) {
            let at = time - self.reorder;
            let behind = self.newest.map_or(at, |newest| at.max(newest + MediaTime::from_ticks(1)));
            picture.dts = behind.min(picture.pts);
            self.newest = Some(picture.dts);
        }
    }
}

#[cfg(test)]
mod tests;
