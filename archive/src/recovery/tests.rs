use super::*;
use crate::kit::{Stage, served};
use crate::lab::{Lab, LabDisk};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

/// A reel as a killed server leaves it, and what was served meanwhile.
struct Wreck {
    files: Vec<(String, Vec<u8>)>,
    served: HashMap<(String, u64), Vec<u8>>,
}

static WRECK: LazyLock<Wreck> = LazyLock::new(|| {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..5 {
        stage.play(1);
        recorder.step(Instant::now());
    }
    let folder = lab.reels().remove(0);
    let read = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    let files = fs::read_dir(folder).unwrap().flatten().map(read).collect();
    stage.play(3);
    let renditions = ["source", "audio"].into_iter().flat_map(|id| (7..10).map(move |msn| (id.to_owned(), msn)));
    let served = renditions.map(|(id, msn)| ((id.clone(), msn), served(&stage.window, &id, msn).unwrap())).collect();
    Wreck { files, served }
});

impl Wreck {
    /// A copy of the reel with one file changed.
    fn with(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("7-0");
        fs::create_dir(&folder).unwrap();
        let mut change = Some(change);
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if let Some(change) = change.take_if(|_| name == file) {
                change(&mut bytes);
            }
            fs::write(folder.join(name), bytes).unwrap();
        }
        (root, folder)
    }

    fn size(&self, file: &str) -> usize {
        self.files.iter().find(|(name, _)| name == file).unwrap().1.len()
    }

    /// Recovers a reel; gives how many bytes of media are left, all of which must be what was served.
    fn check(&self, folder: &Path) -> Option<usize> {
        let disk = LabDisk::new();
        let journal = recover(&*disk, folder).ok()??;
        let mut left = 0;
        for line in &journal.lines {
            let file = fs::read(folder.join(media_file(&line.id))).unwrap();
            assert_eq!(file.len(), line.bytes as usize, "what is beyond the journal is cut off");
            for segment in &line.segments {
                let bytes = &file[segment.offset as usize..][..segment.length as usize];
                assert!(self.served[&(line.id.clone(), segment.msn)].starts_with(bytes), "{} {segment:?}", line.id);
            }
            left += file.len();
        }
        assert_eq!(Journal::read(read_journal(folder).unwrap()).unwrap(), journal, "a reader finds what was recovered");
        assert_eq!(recover(&*disk, folder).unwrap(), Some(journal), "doing it again changes nothing");
        Some(left)
    }
}

#[test]
fn a_reel_that_was_only_cut_off_keeps_every_part() {
    let (_root, folder) = WRECK.with("", |_| {});
    let left = WRECK.check(&folder);
    assert_eq!(left, Some(WRECK.size("source.m4s") + WRECK.size("audio.m4s")));
}

#[test]
fn a_journal_cut_anywhere_keeps_every_part_before_it() {
    let mut most = 0;
    for cut in 0..WRECK.size(JOURNAL) {
        let (_root, folder) = WRECK.with(JOURNAL, |bytes| bytes.truncate(cut));
        let left = WRECK.check(&folder).unwrap_or(0);
        assert!(left >= most, "cut at {cut}: {left} bytes where a shorter journal had {most}");
        most = left;
    }
    assert!(most > WRECK.size("source.m4s") / 2);
}

#[test]
fn media_cut_anywhere_keeps_every_whole_part() {
    for cut in (0..WRECK.size("source.m4s")).step_by(37) {
        let (_root, folder) = WRECK.with("source.m4s", |bytes| bytes.truncate(cut));
        WRECK.check(&folder);
    }
}

#[test]
fn media_that_is_missing_leaves_the_other_rendition_up_to_there() {
    let (_root, folder) = WRECK.with("audio.m4s", |_| {});
    fs::remove_file(folder.join("audio.m4s")).unwrap();
    let journal = recover(&*LabDisk::new(), &folder).unwrap();
    // In the first batch sound comes behind the pictures.
    let lines = journal.unwrap().lines;
    assert!(!lines[0].segments.is_empty() && lines[1].segments.is_empty(), "{lines:?}");
}

#[test]
fn a_journal_of_another_version_is_not_touched() {
    let (_root, folder) = WRECK.with(JOURNAL, |bytes| bytes[7] = 9);
    let before = fs::read(folder.join(JOURNAL)).unwrap();
    let refused = recover(&*LabDisk::new(), &folder).unwrap_err();
    assert!(matches!(refused, Error::Unreadable { source: Unreadable::Version(9), .. }), "{refused}");
    assert_eq!(fs::read(folder.join(JOURNAL)).unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_bit_anywhere_costs_only_what_is_behind_it(
        file in prop::sample::select(vec!["source.m4s", "audio.m4s", JOURNAL]),
        bit in any::<prop::sample::Index>(),
    ) {
        let (_root, folder) = WRECK.with(file, |bytes| {
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        WRECK.check(&folder);
    }

    #[test]
    fn any_journal_is_recovered_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (_root, folder) = WRECK.with(JOURNAL, |bytes| bytes.extend(tail));
        prop_assert!(WRECK.check(&folder).is_some());
    }
}
