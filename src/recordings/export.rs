//! [`export`]: a recording as files that any program opens, in a folder that is there as a whole or not at all.

use super::movies::{Movies, Wanted, is_file};
use super::remote::Remote;
use super::shelf::file_name;
use super::verdict::{keeps, unlisted_bytes};
use super::warehouse::media_key;
use crate::data_dir::free_bytes;
use anyhow::{Context as _, bail};
use archive::{Inspection, Kind, SessionName, Timeline};
use futures_util::StreamExt as _;
use origin::Stored;
use packager::Index;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use store::{Recording, RecordingStatus};
use tokio::io::AsyncWriteExt as _;
use vault::Vault;

/// In a folder that is not finished; who finds it there may remove the folder.
const MARK: &str = ".weir-export";
/// What the name of a folder ends with that is not finished.
const UNFINISHED: &str = ".partial";
/// Left free on the disk beside what is written.
const ROOM_BYTES: u64 = 64 << 20;

/// What a recording is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A folder with playlists, init sections and segments, as they were served.
    Hls,
    /// One MP4 file for each rendition and each stretch of unchanged codec configuration.
    Mp4,
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hls" => Ok(Self::Hls),
            "mp4" => Ok(Self::Mp4),
            _ => Err(format!("{text:?} is neither hls nor mp4")),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Where.
    pub folder: PathBuf,
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// One file to be written, by its path in the folder.
type Item = (PathBuf, Stored);

/// Writes a recording that has ended into the folder `to`, which must not be there or be empty. `begins` is told how many bytes
/// it will be and how many are free. Until all is written and synced the folder is called `TO.partial`; who breaks off leaves
/// that, and the next export to the same place begins it anew. What is in the vault alone is read from there.
///
/// # Errors
/// One sentence: it has not ended, the folder holds something, the disk has no room, or something of the recording is not there.
pub async fn export(
    (root, vault): (&Path, Option<&Vault>),
    recording: &Recording,
    form: Form,
    to: &Path,
    begins: impl FnOnce(u64, u64),
) -> anyhow::Result<Exported> {
    let until_msn = ended(recording)?;
    let session = SessionName::new(&recording.stream, &recording.session)?;
    let target = Target::new(to)?;
    let folder = root.to_owned();
    let inspection = tokio::task::spawn_blocking(move || Inspection::of(&folder, &session)).await??;
    let span = recording.from_msn..until_msn;
    let lost = inspection.lost(span.clone());
    let timeline = inspection.timeline();
    if let Some(first) = lost.first() {
        bail!(
            "segments {} to {} are not in the archive; weir recording verify {} tells what is there",
            first.start,
            first.end - 1,
            recording.id
        );
    }
    let unlisted = unlisted_bytes(&timeline, recording);
    if unlisted > 0 {
        bail!(
            "{unlisted} bytes of it are not in the archive; weir recording verify {} tells what is there",
            recording.id
        );
    }
    let items = match form {
        Form::Hls => hls(&timeline, recording, &span, vault)?,
        Form::Mp4 => mp4(&timeline, recording, &span).await?,
    };
    let bytes: u64 = items.iter().map(|(_, stored)| stored.size_bytes()).sum();
    let free = free_bytes(&target.above)?;
    begins(bytes, free);
    if bytes.saturating_add(ROOM_BYTES) > free {
        bail!(
            "{} has {} MiB free, and {} MiB are needed",
            target.above.display(),
            free >> 20,
            (bytes + ROOM_BYTES).div_ceil(1 << 20)
        );
    }
    let files = items.len();
    let draft = target.begin(&recording.id)?;
    for (path, stored) in items {
        write(&draft.folder.join(&path), stored)
            .await
            .with_context(|| format!("{} can't be written", path.display()))?;
    }
    let folder = tokio::task::spawn_blocking(move || draft.finish()).await??;
    Ok(Exported { folder, files, bytes })
}

/// The number behind the last segment of a recording that can be exported.
fn ended(recording: &Recording) -> anyhow::Result<u64> {
    match (recording.status, recording.until_msn) {
        (RecordingStatus::Available, Some(until_msn)) => Ok(until_msn),
        (RecordingStatus::Recording, _) => bail!("the recording still runs; end it first"),
        (RecordingStatus::Failed, _) => bail!("nothing of the recording can be played: {}", recording.reason),
        (RecordingStatus::Deleted, _) => bail!("the recording is deleted"),
        _ => bail!("the recording is being made ready; try again in a moment"),
    }
}

/// The files of an HLS folder: names are relative, so it plays wherever it is put.
fn hls(
    timeline: &Arc<Timeline>,
    recording: &Recording,
    span: &Range<u64>,
    vault: Option<&Vault>,
) -> anyhow::Result<Vec<Item>> {
    let list = |index| timeline.multivariant("", index, span.clone(), |id| keeps(recording, id));
    let (h264, hevc) = (list(Index::H264), list(Index::Hevc));
    let index = h264.or_else(|| hevc.clone()).context("nothing of the recording can be played")?;
    let text = |name: &str, text: String| (PathBuf::from(name), Stored::bytes(text.into()));
    let mut items = vec![text("index.m3u8", index)];
    items.extend(hevc.map(|hevc| text("hevc.m3u8", hevc)));
    for (id, _) in timeline.renditions().into_iter().filter(|(id, _)| keeps(recording, id)) {
        let Some(playlist) = timeline.media_playlist(&id, span.clone(), Kind::Vod) else { continue };
        items.push(text(&format!("{id}.m3u8"), playlist));
        let mut generation = None;
        for segment in timeline.segments(&id, span.clone()).into_iter().filter(|segment| !segment.gap) {
            if let Some(init) = segment.init().filter(|init| Some(*init) != generation) {
                generation = Some(init);
                let name = PathBuf::from(format!("{id}/init-{init}.mp4"));
                let data = timeline.init(&id, init).context("a journal has no init section for a segment")?.data;
                if items.iter().all(|(known, _)| *known != name) {
                    items.push((name, Stored::bytes(data)));
                }
            }
            let name = PathBuf::from(format!("{id}/{}.m4s", segment.msn));
            let Some(place) = timeline.place(&id, segment.msn) else { continue };
            let stored = if place.path.exists() {
                Stored::file(place.path.into(), place.range)
            } else {
                let vault = vault
                    .context("some of it is not on this disk; if it is in a vault, set [vault] as the server has it")?;
                let key = media_key(timeline.session(), place.reel, &id)?;
                Stored::new(Arc::new(Remote::new(vault.clone(), key, place.range)))
            };
            items.push((name, stored));
        }
    }
    Ok(items)
}

/// The MP4 files, as they are downloaded.
async fn mp4(timeline: &Arc<Timeline>, recording: &Recording, span: &Range<u64>) -> anyhow::Result<Vec<Item>> {
    let movies = Movies::new(None);
    let mut items = Vec::new();
    for rendition in recording.renditions.iter().filter(|id| is_file(timeline, id)) {
        let wanted = Wanted {
            recording: recording.id.clone(),
            rendition: rendition.clone(),
            span: span.clone(),
            remote_reels: 0,
            title: recording.details.title.clone(),
            created: archive::date(recording.started_ms),
        };
        let files = movies.get(Arc::clone(timeline), wanted).await;
        let files = files.context("no MP4 file can be made of what is not on this disk as a whole; --as hls can")?;
        for (file, number) in files.iter().zip(1..) {
            let name = file_name(recording, rendition, (number, files.len()));
            items.push((PathBuf::from(name), Arc::clone(file).stored()));
        }
    }
    if items.is_empty() {
        bail!("nothing of the recording can be played");
    }
    Ok(items)
}

async fn write(path: &Path, stored: Stored) -> io::Result<()> {
    if let Some(above) = path.parent() {
        tokio::fs::create_dir_all(above).await?;
    }
    let mut file = tokio::fs::File::create(path).await?;
    let size_bytes = stored.size_bytes();
    let mut pieces = stored.read(0..size_bytes);
    let mut written = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        file.write_all(&piece).await?;
        written += piece.len() as u64;
    }
    file.flush().await?;
    if written == size_bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Where an export goes.
struct Target {
    folder: PathBuf,
    /// The folder it stands in.
    above: PathBuf,
    name: OsString,
}

impl Target {
    fn new(to: &Path) -> anyhow::Result<Self> {
        // Without a slash at its end, or a name could not be made longer.
        let folder: PathBuf = to.components().collect();
        let (Some(Component::Normal(name)), Some(above)) = (folder.components().next_back(), folder.parent()) else {
            bail!("{} can't be written anew; name a folder that is not there yet", to.display());
        };
        let above = if above.as_os_str().is_empty() { PathBuf::from(".") } else { above.to_owned() };
        if !above.is_dir() {
            bail!("there is no folder {}", above.display());
        }
        match fs::read_dir(&folder).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => bail!("{} is not empty; name a folder that is not there yet", folder.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("{} is no folder to write", folder.display())),
        }
        let name = name.to_owned();
        Ok(Self { folder, above, name })
    }

    /// Makes the folder that is not finished, in place of one that another export left.
    fn begin(self, recording: &str) -> anyhow::Result<Draft> {
        let mut name = self.name.clone();
        name.push(UNFINISHED);
        let folder = self.above.join(name);
        let mark = folder.join(MARK);
        match File::open(&mark) {
            Ok(found) => {
                match found.try_lock() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => bail!("another export writes {} now", folder.display()),
                    Err(TryLockError::Error(error)) => {
                        return Err(error).context("the unfinished export can't be locked");
                    }
                }
                fs::remove_dir_all(&folder).with_context(|| format!("{} can't be removed", folder.display()))?;
            }
            Err(_) if folder.exists() => bail!("{} is in the way; move it away first", folder.display()),
            Err(_) => {}
        }
        let make = || -> io::Result<File> {
            fs::create_dir(&folder)?;
            fs::write(&mark, recording)?;
            let file = File::open(&mark)?;
            file.try_lock()?;
            Ok(file)
        };
        let lock = make().with_context(|| format!("{} can't be made", folder.display()))?;
        Ok(Draft { folder, target: self, lock })
    }
}

/// An export that is being written.
struct Draft {
    folder: PathBuf,
    target: Target,
    /// Held as long as it is written.
    lock: File,
}

impl Draft {
    /// Syncs it and gives it its name. Blocks for as long as the disk takes.
    fn finish(self) -> anyhow::Result<PathBuf> {
        let finish = || -> io::Result<()> {
            fs::remove_file(self.folder.join(MARK))?;
            rustix::fs::syncfs(&self.lock)?;
            fs::rename(&self.folder, &self.target.folder)?;
            File::open(&self.target.above)?.sync_all()
        };
        finish().with_context(|| format!("{} can't be finished", self.folder.display()))?;
        Ok(self.target.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(to: &Path) -> anyhow::Result<Draft> {
        Target::new(to)?.begin("r")
    }

    #[test]
    fn a_folder_is_there_as_a_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("show/");
        let draft = begin(&to).unwrap();
        fs::write(draft.folder.join("index.m3u8"), "x").unwrap();
        assert!(!dir.path().join("show").exists());
        assert!(begin(&to).err().unwrap().to_string().contains("another export"), "one writes it at a time");
        drop(draft);
        let again = begin(&to).unwrap();
        assert!(!again.folder.join("index.m3u8").exists(), "it is begun anew");
        fs::create_dir(&to).unwrap();
        assert_eq!(again.finish().unwrap(), dir.path().join("show"), "an empty folder may be there");
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0, "the mark is gone");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_somebody_elses_is_never_touched() {
        let dir = tempfile::tempdir().unwrap();
        let full = dir.path().join("full");
        fs::create_dir_all(full.join("a")).unwrap();
        fs::create_dir_all(dir.path().join("new.partial")).unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        for (to, why) in [
            (full.as_path(), "not empty"),
            (&dir.path().join("new"), "in the way"),
            (&dir.path().join("file"), "no folder to write"),
            (&dir.path().join("none/new"), "there is no folder"),
            (Path::new("/"), "not there yet"),
            (Path::new(".."), "not there yet"),
        ] {
            let refused = begin(to).err().unwrap();
            assert!(refused.to_string().contains(why), "{}: {refused}", to.display());
        }
        assert!(full.join("a").exists() && dir.path().join("new.partial").exists());
    }
}
