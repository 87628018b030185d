//! [`Verdict`]: whether all that is kept of a recording is what was written, here and in the vault. It reads the disk itself and
//! needs no server, so it may be asked beside one.

use super::measure::{Extent, SOUND};
use super::warehouse::{journal_key, media_key};
use anyhow::Context as _;
use archive::{Condition, Inspected, Inspection, Line, ReelName, SessionName, Timeline};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use store::{Recording, RecordingStatus};
use vault::{Digest, Key, Vault};

/// What was found of a recording.
#[derive(Debug)]
pub struct Verdict {
    /// The reels that hold some of it, in the order they were made.
    pub reels: Vec<ReelVerdict>,
    /// Numbers of segments that were recorded, and whose reels are not here.
    pub lost: Vec<Range<u64>>,
    /// Bytes of it that the database knows of, and no journal.
    pub unlisted_bytes: u64,
}

/// What was found of one reel.
#[derive(Debug)]
pub struct ReelVerdict {
    /// The reel.
    pub name: ReelName,
    /// The number behind its last segment.
    pub until_msn: u64,
    /// Renditions that are in the vault, as its server noted.
    pub stored: Vec<String>,
    /// Why its journal can't be believed.
    pub journal: Option<String>,
    /// How the journal's copy in the vault is.
    pub journal_copy: Copied,
    /// The renditions of it that the recording keeps.
    pub media: Vec<MediaVerdict>,
}

/// What was found of one rendition in one reel.
#[derive(Debug)]
pub struct MediaVerdict {
    /// Its name.
    pub rendition: String,
    /// Bytes of it in the whole reel.
    pub bytes: u64,
    /// On this disk.
    pub here: Here,
    /// In the vault.
    pub copy: Copied,
}

/// How media on this disk is.
#[derive(Debug, PartialEq, Eq)]
pub enum Here {
    /// Every byte of it that belongs to the recording is what was written.
    Whole,
    /// It is not here.
    Missing,
    /// These segments have bytes that are not what was written, or miss some.
    Damaged(Vec<u64>),
    /// The disk did not give it.
    Unreadable(String),
}

/// How the copy in the vault is.
#[derive(Debug, PartialEq, Eq)]
pub enum Copied {
    /// There need not be one yet, or nobody was asked: no vault is set.
    No,
    /// It has the right size and checksum.
    Whole,
    /// It has not, or is not there.
    Wrong(String),
    /// The vault could not be asked.
    Unknown(String),
}

impl Verdict {
    /// Everything can be played, and every copy is what it should be.
    pub fn is_good(&self) -> bool {
        self.lost.is_empty() && self.unlisted_bytes == 0 && self.reels.iter().all(ReelVerdict::is_good)
    }
}

impl ReelVerdict {
    /// All of it can be played, and its copies are what they should be.
    pub fn is_good(&self) -> bool {
        self.journal.is_none() && self.journal_copy.is_good() && self.media.iter().all(MediaVerdict::is_good)
    }
}

impl MediaVerdict {
    /// It can be played, and its copy is what it should be.
    pub fn is_good(&self) -> bool {
        match self.here {
            Here::Whole => self.copy.is_good(),
            Here::Missing => self.copy == Copied::Whole,
            Here::Damaged(_) | Here::Unreadable(_) => false,
        }
    }
}

impl Copied {
    fn is_good(&self) -> bool {
        matches!(self, Self::No | Self::Whole)
    }
}

/// Reads every byte of a recording in the archive below `root`, and asks the vault, if there is one, for size and checksum of what
/// should be there. It takes as long as the disk takes to read the recording; nothing is changed.
///
/// # Errors
/// When the session's folder can't be read at all.
pub async fn verify(root: &Path, vault: Option<&Vault>, recording: &Recording) -> anyhow::Result<Verdict> {
    let session = SessionName::new(&recording.stream, &recording.session)?;
    let (folder, name) = (root.to_owned(), session.clone());
    let inspection = tokio::task::spawn_blocking(move || Inspection::of(&folder, &name)).await??;
    let span = recording.from_msn..recording.until_msn.unwrap_or(u64::MAX);
    let lost = inspection.lost(span.clone());
    let unlisted_bytes = unlisted_bytes(&inspection.timeline(), recording);
    let mut reels = Vec::new();
    for reel in inspection.reels.into_iter().filter(|reel| reel.touches(&span)) {
        let reel = Arc::new(reel);
        let mut verdict = ReelVerdict {
            name: reel.name,
            until_msn: reel.until_msn(),
            stored: reel.stored.clone(),
            journal: distrust(&reel),
            journal_copy: Copied::No,
            media: Vec::new(),
        };
        let lines = reel.journal.as_ref().map(|shelved| shelved.journal.lines.as_slice()).unwrap_or_default();
        for line in lines.iter().filter(|line| keeps(recording, &line.id) && line.bytes > 0) {
            let digest = Digest { size_bytes: line.bytes.into(), crc32: line.crc32 };
            let asked = vault.filter(|_| reel.stored.contains(&line.id));
            let copy = copied(asked, media_key(&session, reel.name, &line.id), digest).await;
            let here = here(&reel, line, &span).await?;
            verdict.media.push(MediaVerdict { rendition: line.id.clone(), bytes: line.bytes.into(), here, copy });
        }
        let asked = vault.filter(|_| !reel.stored.is_empty());
        if asked.is_some() {
            let journal = tokio::fs::read(reel.folder.join("journal")).await.context("a journal can't be read")?;
            verdict.journal_copy = copied(asked, journal_key(&session, reel.name), Digest::of(&journal)).await;
        }
        reels.push(verdict);
    }
    Ok(Verdict { reels, lost, unlisted_bytes })
}

/// Bytes of a recording that were counted when it was made ready, and are in no journal now.
pub(super) fn unlisted_bytes(timeline: &Timeline, recording: &Recording) -> u64 {
    let span = recording.from_msn..recording.until_msn.unwrap_or(u64::MAX);
    let listed_bytes = Extent::of(timeline, span, &recording.renditions).measured().size_bytes;
    let is_counted = recording.status == RecordingStatus::Available;
    if is_counted { recording.size_bytes.saturating_sub(listed_bytes) } else { 0 }
}

/// Whether a rendition is kept; the sound belongs to every recording.
pub(super) fn keeps(recording: &Recording, rendition: &str) -> bool {
    rendition == SOUND || recording.renditions.iter().any(|id| id == rendition)
}

fn distrust(reel: &Inspected) -> Option<String> {
    match &reel.journal {
        Ok(shelved) if shelved.is_damaged => {
            Some(format!("it is damaged behind segment {}", shelved.journal.until_msn()))
        }
        Ok(_) => None,
        Err(error) => Some(with_cause(error)),
    }
}

async fn here(reel: &Arc<Inspected>, line: &Line, span: &Range<u64>) -> anyhow::Result<Here> {
    let (reel, line, span) = (Arc::clone(reel), line.clone(), span.clone());
    let checked = tokio::task::spawn_blocking(move || reel.check(&line, &span)).await?;
    Ok(match checked {
        Ok(Condition::Whole) => Here::Whole,
        Ok(Condition::Missing) => Here::Missing,
        Ok(Condition::Damaged(segments)) => Here::Damaged(segments),
        Err(error) => Here::Unreadable(with_cause(&error)),
    })
}

async fn copied(vault: Option<&Vault>, key: Result<Key, vault::Error>, digest: Digest) -> Copied {
    let Some(vault) = vault else { return Copied::No };
    let asked = match key {
        Ok(key) => vault.verify(&key, digest).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(_) => Copied::Whole,
        Err(error @ (vault::Error::NotFound { .. } | vault::Error::Mismatch { .. })) => {
            Copied::Wrong(error.to_string())
        }
        Err(error) => Copied::Unknown(with_cause(&error)),
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
