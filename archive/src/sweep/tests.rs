use super::*;
use crate::Settings;
use crate::kit::Stage;
use crate::lab::Lab;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn kept(range: std::ops::Range<u64>, renditions: Option<&[&str]>) -> Kept {
    let renditions = renditions.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    Kept { session: Lab::session(), from_msn: range.start, until_msn: Some(range.end), renditions }
}

fn names(lab: &Lab) -> Vec<String> {
    lab.reels().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_outside_the_rewind_window_goes() {
    let (lab, stage) = Lab::recorded(|s| s.rewind = Duration::from_secs(60));
    let live = lab.recorder(&stage);
    assert_eq!(lab.archive.sweep(stage.wall() - Duration::from_secs(11), &[]), Swept::default());
    let before = lab.archive.usage().bytes;
    let swept = lab.archive.sweep(stage.wall(), &[]);
    assert_eq!(swept.reels.iter().map(|(_, reel)| reel.to_string()).collect::<Vec<_>>(), ["7-0"]);
    assert_eq!(lab.archive.usage().bytes, before - swept.bytes);
    assert_eq!((names(&lab), lab.timeline().span().start), (vec!["37-1".to_owned(), "67-2".to_owned()], 37));
    assert_eq!(lab.archive.sweep(stage.wall(), &[]), Swept::default());
    // Nobody rewinds in a session that is over.
    live.finish();
    let swept = lab.archive.sweep(stage.wall(), &[]);
    assert_eq!((swept.reels.len(), lab.archive.usage().bytes), (2, 0));
    assert!(lab.archive.sessions().is_empty() && !lab.root().join("show").exists());
}

#[test]
fn what_is_kept_stays_and_nothing_else() {
    let (lab, stage) = Lab::recorded(|s| s.rewind = Duration::ZERO);
    lab.archive.sweep(stage.wall() + Duration::from_secs(1), &[kept(36..37, None), kept(67..68, Some(&["audio"]))]);
    assert_eq!(names(&lab), ["7-0", "67-2"]);
    let timeline = lab.timeline();
    assert!(timeline.place("source", 7).is_some() && timeline.place("audio", 37).is_none());
    assert!(timeline.place("source", 67).is_none() && timeline.place("audio", 67).is_some());
    assert!(!lab.reels()[1].join("source.m4s").exists());
    let again = lab.killed();
    assert!(again.timeline().place("source", 67).is_none() && again.timeline().place("audio", 67).is_some());
    let open = Kept { until_msn: None, ..kept(70..71, None) };
    assert_eq!(lab.archive.sweep(stage.wall() + Duration::from_secs(1), &[open]).reels.len(), 1);
    assert_eq!(names(&lab), ["67-2"]);
}

#[test]
fn what_another_session_keeps_is_not_this_ones() {
    let (lab, stage) = Lab::recorded(|s| s.rewind = Duration::ZERO);
    let other = Kept { session: SessionName::new("show", "18c-2").unwrap(), ..kept(7..100, None) };
    assert_eq!(lab.archive.sweep(stage.wall() + Duration::from_secs(1), &[other]).reels.len(), 3);
}

#[test]
fn a_reel_that_is_written_stays() {
    let (lab, mut stage) = (Lab::new(|s| s.rewind = Duration::ZERO), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(5);
    recorder.step(Instant::now());
    lab.archive.flush();
    assert_eq!(lab.archive.sweep(stage.wall() + Duration::from_secs(1000), &[]), Swept::default());
    assert_eq!(recorder.timeline().span(), 7..9);
    // It is over, and only its seal is awaited.
    recorder.finish();
    let early = Swept { is_early: true, ..Swept::default() };
    assert_eq!(lab.archive.sweep(stage.wall(), &[]), early);
    lab.archive.flush();
    let swept = lab.archive.sweep(stage.wall(), &[]);
    assert_eq!((swept.reels.len(), swept.is_early), (1, false));
}

#[test]
fn what_could_not_be_synced_is_not_waited_for() {
    let (lab, mut stage) = (Lab::new(|s| s.rewind = Duration::ZERO), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(5);
    recorder.step(Instant::now());
    recorder.finish();
    lab.disk.fails.store(true, Ordering::Relaxed);
    lab.archive.flush();
    assert_eq!(lab.archive.sweep(stage.wall(), &[]), Swept::default());
}

#[test]
fn a_removal_cut_short_is_finished_at_the_next_start() {
    let (lab, _) = Lab::recorded(|_| {});
    fs::rename(lab.root().join("show/18c-1/7-0"), lab.root().join("show/18c-1/7-0.dead")).unwrap();
    let again = lab.killed();
    assert_eq!((names(&again), again.timeline().span().start), (vec!["37-1".to_owned(), "67-2".to_owned()], 37));
}

#[test]
fn without_room_the_oldest_that_is_elsewhere_goes_and_is_still_found() {
    let (lab, _) = Lab::recorded(|s| s.policy = Policy::DeleteOldest);
    let reels = lab.archive.reels(&Lab::session());
    for reel in &reels[..2] {
        lab.archive.mark_stored(&Lab::session(), reel.name, &both()).unwrap();
    }
    let quota = lab.archive.usage().bytes - 100;
    let lab = Lab {
        archive: Archive::open(&lab.root(), Settings { quota_bytes: Some(quota), ..settings() }).unwrap(),
        ..lab
    };
    let before = lab.timeline().span();
    assert_eq!(lab.archive.reels(&Lab::session())[1].stored, both(), "the mark survives a restart");
    lab.archive.flush();
    assert!(lab.archive.usage().bytes < quota);
    let check = |lab: &Lab| {
        let timeline = lab.timeline();
        let local = |msn| timeline.place("source", msn).unwrap().is_local;
        assert_eq!((timeline.span(), local(7), local(37), local(67)), (before.clone(), false, true, true));
    };
    check(&lab);
    check(&lab.killed());
    let unknown = ReelName { first_msn: 1, serial: 9 };
    assert!(lab.archive.mark_stored(&Lab::session(), unknown, &both()).is_err());
}

fn both() -> Vec<String> {
    ["audio", "source"].map(str::to_owned).into()
}

#[test]
fn what_is_elsewhere_in_part_stays_for_the_other_part() {
    let (lab, _) = Lab::recorded(|s| (s.policy, s.quota_bytes) = (Policy::DeleteOldest, Some(1)));
    for reel in lab.archive.reels(&Lab::session()) {
        lab.archive.mark_stored(&Lab::session(), reel.name, &both()[..1]).unwrap();
    }
    lab.archive.flush();
    assert!(lab.archive.reels(&Lab::session()).iter().all(|reel| reel.files.len() == 3), "the picture is only here");
    for reel in lab.archive.reels(&Lab::session()) {
        lab.archive.mark_stored(&Lab::session(), reel.name, &both()[1..]).unwrap();
    }
    lab.archive.flush();
    assert!(lab.archive.reels(&Lab::session()).iter().all(|reel| reel.files.len() == 1 && reel.stored == both()));
}

#[test]
fn what_is_swept_of_a_stored_reel_is_not_looked_for_elsewhere() {
    let (lab, stage) = Lab::recorded(|s| s.rewind = Duration::ZERO);
    let name = lab.archive.reels(&Lab::session())[0].name;
    lab.archive.mark_stored(&Lab::session(), name, &both()).unwrap();
    lab.archive.sweep(stage.wall() + Duration::from_secs(1), &[kept(7..37, Some(&["source"]))]);
    for lab in [&lab, &lab.killed()] {
        assert_eq!(lab.archive.reels(&Lab::session())[0].stored, ["source"]);
        assert!(lab.timeline().place("source", 7).unwrap().is_local && lab.timeline().place("audio", 7).is_none());
    }
}

fn settings() -> Settings {
    Settings { policy: Policy::DeleteOldest, reserve_bytes: 0, ..Settings::default() }
}

#[test]
fn what_is_nowhere_else_never_goes_for_room() {
    let (lab, _) = Lab::recorded(|s| (s.policy, s.quota_bytes) = (Policy::DeleteOldest, Some(5_000_000)));
    lab.archive.shared.volume.resize(6_000_000, 0);
    lab.archive.flush();
    assert!(lab.archive.reels(&Lab::session()).iter().all(|reel| reel.files.len() == 3));
    assert_eq!(lab.archive.usage().shortage, Some(crate::Pause::Quota));
}
