//! The index of a file: its tracks, and each sample of the two that are taken.

use crate::boxes::{Kind, Placed, child, children, descend, placed};
use crate::fragment::{Defaults, Fragments};
use crate::track::{self, Header};
use crate::{Error, Source, codec, table};
use media::{Config, MediaTime};

/// Boxes of the file itself: a day of fragments of half a second, and then some.
const BOXES_MAX: usize = 1 << 20;
/// An index of 18 hours has 150 MB.
const MOOV_MAX: u64 = 256 << 20;

/// One coded picture or frame of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Where its bytes begin in the file.
    pub at: u64,
    /// When it is shown, as the file's edit list has it; what stands before zero is there for decoders alone.
    pub pts: MediaTime,
    /// How many bytes there are, at least one.
    pub bytes: u32,
    /// A picture that everything behind it can be decoded from; every frame of sound.
    pub sync: bool,
    pub(crate) is_shown: bool,
}

/// One track.
#[derive(Debug, Clone)]
pub struct Index {
    /// What its decoder must know.
    pub config: Config,
    /// In decode order.
    pub samples: Vec<Sample>,
    /// When its last sample ends.
    pub end: MediaTime,
}

/// What of a file is taken: at least one of the two.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The pictures.
    pub pictures: Option<Index>,
    /// The sound.
    pub sound: Option<Index>,
}

/// Reads the index of a file.
pub fn read(source: &(impl Source + ?Sized)) -> Result<Contents, Error> {
    let size = source.size();
    let (mut at, mut moov, mut moofs) = (0, None, Vec::new());
    let mut has_media = false;
    for number in 0.. {
        let Some(found) = placed(source, at)? else {
            match number {
                0 => return Err(Error::NotMp4),
                _ if at < size => return Err(Error::Damaged { what: "something that is no box stands in it" }),
                _ => break,
            }
        };
        if number == 0 && !is_first(&found.kind) {
            return Err(Error::NotMp4);
        }
        if number >= BOXES_MAX {
            return Err(Error::TooLong { what: "has more than a million boxes" });
        }
        if found.body.end > size {
            return Err(Error::CutShort { what: "it ends before its last box does" });
        }
        match &found.kind {
            b"moov" if moov.is_none() => moov = Some(whole(source, &found, MOOV_MAX)?),
            b"moof" => moofs.push(found.clone()),
            b"mdat" => has_media = true,
            _ => {}
        }
        at = found.body.end;
    }
    let Some(moov) = moov else {
        return Err(match has_media {
            true => Error::CutShort { what: "its index, the moov box, is missing" },
            false => Error::Damaged { what: "it has no index" },
        });
    };
    contents(source, &moov, &moofs)
}

/// The sample descriptions of a `trak`.
fn stsd(trak: &[u8]) -> &[u8] {
    descend(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]).unwrap_or_default()
}

/// What MP4 and QuickTime files begin with.
fn is_first(kind: &Kind) -> bool {
    matches!(kind, b"ftyp" | b"styp" | b"moov" | b"mdat" | b"free" | b"skip" | b"wide" | b"pnot" | b"uuid")
}

/// All bytes of a box's content.
pub fn whole(source: &(impl Source + ?Sized), found: &Placed, most: u64) -> Result<Vec<u8>, Error> {
    let length = found.body.end - found.body.start;
    if length > most {
        return Err(Error::TooLong { what: "has an index larger than any film's" });
    }
    let mut bytes = vec![0; length as usize];
    source.read_at(found.body.start, &mut bytes)?;
    Ok(bytes)
}

fn contents(source: &(impl Source + ?Sized), moov: &[u8], moofs: &[Placed]) -> Result<Contents, Error> {
    let traks = track::all(moov)?;
    let pictures = choose(&traks, b"vide", |trak| codec::pictures(stsd(trak)))?;
    let sound = choose(&traks, b"soun", |trak| codec::sound(stsd(trak)))?;
    let defaults = child(moov, b"mvex").map(Defaults::all).unwrap_or_default();
    let size = source.size();
    let mut taken = Vec::new();
    for (header, trak, config) in [pictures, sound].into_iter().flatten() {
        if header.is_turned && matches!(config, Config::Video(_)) {
            return Err(Error::Turned);
        }
        let mut index = Index { config, samples: Vec::new(), end: MediaTime::ZERO };
        let stbl = descend(trak, &[b"mdia", b"minf", b"stbl"]).unwrap_or_default();
        table::read(stbl, header, size, &mut index)?;
        taken.push((header, index));
    }
    Fragments::new(source, &defaults).read(moofs, &mut taken)?;
    let mut contents = Contents::default();
    for (_, index) in taken {
        let index = index.finished();
        match index.config {
            _ if index.samples.is_empty() => {}
            Config::Video(_) => contents.pictures = Some(index),
            Config::Audio(_) => contents.sound = Some(index),
        }
    }
    let taken = [&contents.pictures, &contents.sound].into_iter().flatten();
    let bytes: u64 = taken.flat_map(|index| &index.samples).map(|sample| u64::from(sample.bytes)).sum();
    if bytes > size {
        // What is written of it would be any number of times as large as the file, and room was asked for by its size.
        return Err(Error::Damaged { what: "its index lists the same bytes many times" });
    }
    match (&contents.pictures, &contents.sound) {
        (None, None) => Err(Error::Empty),
        _ => Ok(contents),
    }
}

/// The first track of a kind that can be taken, those first that are switched on. When there are some and none can, the reason of
/// the first.
#[allow(clippy::type_complexity)]
fn choose<'a>(
    traks: &'a [(Header, &'a [u8])],
    handler: &Kind,
    read: impl Fn(&[u8]) -> Result<Config, Error>,
) -> Result<Option<(&'a Header, &'a [u8], Config)>, Error> {
    let mut own: Vec<_> = traks.iter().filter(|(header, _)| header.handler == *handler).collect();
    own.sort_by_key(|(header, _)| !header.is_enabled);
    let mut refused = None;
    for (header, trak) in own {
        match read(trak) {
            Ok(config) => return Ok(Some((header, trak, config))),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or(Ok(None), Err)
}

impl Index {
    /// Without what is not shown at the end, which nothing that is shown needs, and without samples that have no byte.
    fn finished(mut self) -> Self {
        while self.samples.pop_if(|last| !last.is_shown).is_some() {
            self.end = MediaTime::ZERO;
        }
        if self.end == MediaTime::ZERO {
            // As long as its neighbours.
            let mut newest: Vec<MediaTime> = self.samples.iter().rev().take(32).map(|sample| sample.pts).collect();
            newest.sort_unstable();
            let step = newest.windows(2).last().map_or(MediaTime::ZERO, |pair| pair[1] - pair[0]);
            self.end = newest.last().map_or(MediaTime::ZERO, |last| *last + step);
        }
        self.samples.retain(|sample| sample.bytes > 0);
        if matches!(self.config, Config::Audio(_)) {
            self.samples.iter_mut().for_each(|sample| sample.sync = true);
        }
        self
    }
}

/// The boxes of a kind within one.
pub fn every<'a>(data: &'a [u8], kind: &'static Kind) -> impl Iterator<Item = &'a [u8]> {
    children(data).filter(move |(found, _)| found == kind).map(|(_, body)| body)
}
