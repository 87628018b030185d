//! What is known of an upload, beside its bytes: one small file each, so that a server that was killed goes on with it.

use super::Wish;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use store::Visibility;

/// Longer ones are none of ours.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its id, which becomes the recording's.
    pub id: String,
    /// How long the whole file is, bytes.
    pub size: u64,
    /// What the recording is to be called.
    pub title: String,
    /// The stream it is to belong to.
    pub stream: String,
    /// `public`, `unlisted` or `private`, when that was asked for.
    visibility: Option<String>,
    /// The same as the stream had it when the file was announced, if there was one; older notes have none.
    #[serde(default)]
    announced: Option<String>,
    /// When it was announced, milliseconds since 1970.
    pub created_ms: i64,
    /// Who announced it, for the audit.
    pub actor: String,
    /// What was said of it, as it was said; older notes have none.
    #[serde(default)]
    pub metadata: String,
    /// The recording's row was made.
    pub has_row: bool,
    /// How many bytes were acknowledged: these outlive a loss of power. Older notes don't say.
    #[serde(default)]
    pub acknowledged: Option<u64>,
    /// The machine's start in which that was; what was written behind them is there until it ends.
    #[serde(default)]
    pub boot: String,
}

impl Note {
    pub fn new(id: String, wish: Wish) -> Self {
        let Wish { size, title, stream, visibility, actor, metadata } = wish;
        let visibility = visibility.map(|visibility| visibility.as_str().to_owned());
        let (created_ms, boot) = (store::now_ms(), boot());
        let (announced, has_row, acknowledged) = (None, false, Some(0));
        Self {
            id,
            size,
            title,
            stream,
            visibility,
            announced,
            created_ms,
            actor,
            metadata,
            has_row,
            acknowledged,
            boot,
        }
    }

    /// The same for a stream whose recordings only so many may see.
    pub fn announced(self, visibility: Option<Visibility>) -> Self {
        Self { announced: visibility.map(|visibility| visibility.as_str().to_owned()), ..self }
    }

    /// Who may see the recording, when that was asked for.
    pub fn visibility(&self) -> Option<Visibility> {
        self.visibility.as_ref().map(|word| word.parse().unwrap_or(Visibility::Private))
    }

    /// Who at most may see it unless that was asked for, when its stream has this visibility now. Of one that is gone nobody knows
    /// what it was in the end.
    pub fn closed_to(&self, stream: Option<Visibility>) -> Visibility {
        let announced = self.announced.as_ref().map(|word| word.parse().unwrap_or(Visibility::Private));
        match (announced, stream) {
            (Some(_), None) => Visibility::Private,
            (announced, stream) => announced.max(stream).unwrap_or_default(),
        }
    }

    /// The same with so many bytes acknowledged now.
    pub fn acknowledging(&self, bytes: u64) -> Self {
        Self { acknowledged: Some(bytes), boot: boot(), ..self.clone() }
    }

    /// What was written behind what is acknowledged is so from now on, as soon as it is on the disk; what can't be brought there is not
    /// counted.
    fn settled(self, folder: &Path, received: u64) -> (Self, u64) {
        let acknowledged = self.acknowledged.unwrap_or(0);
        if received <= acknowledged {
            return (self, received);
        }
        let sync = File::options().write(true).open(Self::media(folder, &self.id)).and_then(|file| file.sync_all());
        let settled = self.acknowledging(received);
        match sync.and_then(|()| settled.write(folder)) {
            Ok(()) => (settled, received),
            Err(error) => {
                tracing::warn!(%error, upload = self.id, "what came last of an upload can't be kept; it is to be sent again");
                (self, acknowledged)
            }
        }
    }

    /// How much of a file of this length is sure to be what was sent. After a loss of power it may be longer than what the disk got.
    fn sure(&self, length: u64) -> u64 {
        let acknowledged = self.acknowledged.filter(|_| self.boot.is_empty() || self.boot != boot());
        acknowledged.map_or(length, |acknowledged| acknowledged.min(length))
    }

    /// Where it is noted.
    fn path(folder: &Path, id: &str) -> PathBuf {
        folder.join(format!("{id}.json"))
    }

    /// Where the bytes are.
    pub fn media(folder: &Path, id: &str) -> PathBuf {
        folder.join(format!("{id}.part"))
    }

    /// Writes it, whole or not at all. Blocks on the disk.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let (path, fresh) = (Self::path(folder, &self.id), folder.join(format!("{}.new", self.id)));
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(fresh, path)?;
        File::open(folder)?.sync_all()
    }

    /// Removes the bytes and then the note. What is not there is no fault. Blocks on the disk.
    pub fn remove(folder: &Path, id: &str) -> io::Result<()> {
        for path in [Self::media(folder, id), Self::path(folder, id)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// All that are in a folder, which is made when it is not there, each with how many bytes have come, and when the last of
    /// them did in milliseconds since 1970, which is not later than now. What is no upload is left alone, and bytes without a note are removed.
    /// Blocks on the disk.
    pub fn all(folder: &Path) -> io::Result<Vec<(Self, u64, i64)>> {
        fs::create_dir_all(folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let Some(id) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
            let ending = path.extension().and_then(|ending| ending.to_str());
            match ending {
                Some("json") => {
                    let is_small = fs::metadata(&path)?.len() <= NOTE_BYTES_MAX;
                    let text = if is_small { fs::read(&path)? } else { Vec::new() };
                    match serde_json::from_slice::<Self>(&text) {
                        Ok(note) if note.id == id => {
                            let media = fs::metadata(Self::media(folder, &id)).ok();
                            let received = media.as_ref().map_or(0, |media| note.sure(media.len()).min(note.size));
                            let (note, received) = note.settled(folder, received);
                            let touched = media.and_then(|media| media.modified().ok());
                            let touched_ms = touched.map_or(note.created_ms, archive::millis).min(store::now_ms());
                            found.push((note, received, touched_ms));
                        }
                        _ => tracing::warn!(file = %path.display(), "an upload's note can't be read; it is left alone"),
                    }
                }
                Some("new") => fs::remove_file(&path)?,
                Some("part") if !Self::path(folder, &id).exists() => fs::remove_file(&path)?,
                _ => {}
            }
        }
        found.sort_by(|(a, ..), (b, ..)| a.id.cmp(&b.id));
        Ok(found)
    }
}

/// Which start of the machine this is; empty where it does not say.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_loss_of_power_only_what_was_acknowledged_counts() {
        let wish = Wish {
            size: 100,
            title: String::new(),
            stream: "show".into(),
            visibility: None,
            actor: "api".into(),
            metadata: String::new(),
        };
        let note = Note::new("a".into(), wish).acknowledging(40);
        assert_eq!((note.sure(70), note.sure(30)), (70, 30), "the server was killed");
        let before = Note { boot: "another".into(), ..note.clone() };
        assert_eq!((before.sure(70), before.sure(30)), (40, 30), "the machine was");
        let silent = Note { boot: String::new(), ..note.clone() };
        assert_eq!(silent.sure(70), 40, "nobody knows");
        let old = Note { acknowledged: None, boot: String::new(), ..note };
        assert_eq!(old.sure(70), 70, "of before it was noted");
    }
}
