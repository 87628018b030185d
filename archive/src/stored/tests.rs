use super::*;
use crate::lab::Lab;

fn kept(range: std::ops::Range<u64>, renditions: &[&str]) -> Kept {
    let renditions = Some(renditions.iter().map(|id| (*id).to_owned()).collect());
    Kept { session: Lab::session(), from_msn: range.start, until_msn: Some(range.end), renditions }
}

/// What is still to be copied, as `reel: renditions`, and up to where nothing is.
#[track_caller]
fn check(lab: &Lab, kept: &[&Kept], due: &[&str], until_msn: u64) {
    let session = Lab::session();
    let open = lab.archive.unstored(&session, kept);
    let open: Vec<_> = open.iter().map(|due| format!("{}: {}", due.reel.name, due.renditions.join(" "))).collect();
    assert_eq!((open.as_slice(), lab.archive.stored_until(&session, kept)), (owned(due).as_slice(), until_msn));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn what_somebody_wants_and_is_only_here_is_due() {
    let (lab, _) = Lab::recorded(|_| {});
    let reels = lab.archive.reels(&Lab::session());
    let mark = |n: usize, ids: &[&str]| lab.archive.mark_stored(&Lab::session(), reels[n].name, &owned(ids));
    let (sound, both) = (kept(7..60, &["audio"]), kept(40..70, &["source", "audio"]));
    check(&lab, &[], &[], 0);
    check(&lab, &[&sound], &["7-0: audio", "37-1: audio"], 0);
    check(&lab, &[&sound, &both], &["7-0: audio", "37-1: audio source", "67-2: audio source"], 0);
    mark(0, &["audio"]).unwrap();
    mark(1, &["audio"]).unwrap();
    check(&lab, &[&sound], &[], reels[1].until_msn);
    check(&lab, &[&sound, &both], &["37-1: source", "67-2: audio source"], reels[0].until_msn);
    mark(1, &["source"]).unwrap();
    check(&lab, &[&sound, &both], &["67-2: audio source"], reels[1].until_msn);
    check(&lab.killed(), &[&sound, &both], &["67-2: audio source"], reels[1].until_msn);
}

#[test]
fn what_is_removed_elsewhere_is_due_again() {
    let (lab, _) = Lab::recorded(|_| {});
    let (session, reel) = (Lab::session(), lab.archive.reels(&Lab::session())[0].name);
    let all = kept(7..8, &["source", "audio"]);
    lab.archive.mark_stored(&session, reel, &owned(&["audio", "source"])).unwrap();
    check(&lab, &[&all], &[], 37);
    assert!(lab.archive.unmark_stored(&session, reel));
    check(&lab, &[&all], &["7-0: audio source"], 0);
    check(&lab.killed(), &[&all], &["7-0: audio source"], 0);
    assert!(!lab.archive.unmark_stored(&session, ReelName { first_msn: 1, serial: 9 }));
}

#[test]
fn a_note_cut_short_is_not_read() {
    let (lab, _) = Lab::recorded(|_| {});
    let folder = lab.reels().remove(0);
    fs::write(folder.join(STORED_NEW), "audio\nsour").unwrap();
    assert_eq!(lab.killed().archive.reels(&Lab::session())[0].stored, Vec::<String>::new());
}
