use super::*;
use crate::kit::{Stage, read_range, served};
use crate::lab::Lab;
use crate::{Policy, SessionName};
use std::sync::atomic::Ordering;

/// Every segment of both renditions in the span is what was served, as far as that is in the window.
fn is_as_served(timeline: &Timeline, stage: &Stage, span: std::ops::Range<u64>) {
    for (rendition, msn) in ["source", "audio"].into_iter().flat_map(|id| span.clone().map(move |msn| (id, msn))) {
        let place = timeline.place(rendition, msn).unwrap_or_else(|| panic!("{rendition} {msn} is not there"));
        let served = served(&stage.window, rendition, msn).unwrap();
        assert_eq!(read_range(&place.path, &place.range), served, "{rendition} {msn}");
    }
}

fn step(recorder: &mut Recorder, stage: &Stage) {
    recorder.step(stage.now());
}

#[test]
fn a_full_disk_pauses_the_recording_and_costs_nothing_within_the_window() {
    let (lab, mut stage) = (Lab::new(|s| s.reserve_bytes = 1000), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(10);
    step(&mut recorder, &stage);
    lab.disk.free.store(999, Ordering::Relaxed);
    lab.archive.flush();
    for _ in 0..20 {
        stage.play(1);
        step(&mut recorder, &stage);
    }
    assert_eq!(*recorder.state().borrow(), State::Paused(Pause::DiskFull));
    assert_eq!(recorder.timeline().span(), 7..11);
    lab.disk.free.store(u64::MAX, Ordering::Relaxed);
    lab.archive.flush();
    stage.play(1);
    step(&mut recorder, &stage);
    assert_eq!(*recorder.state().borrow(), State::Recording);
    assert_eq!(recorder.timeline().span(), 7..22);
    is_as_served(&recorder.timeline(), &stage, 7..22);
    assert_eq!(lab.reels().len(), 1, "the reel goes on");
}

#[test]
fn what_leaves_the_window_while_the_disk_is_full_is_a_hole_at_the_same_numbers() {
    let (lab, mut stage) = (Lab::new(|s| s.quota_bytes = Some(60_000)), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..200 {
        stage.play(1);
        step(&mut recorder, &stage);
    }
    assert_eq!(*recorder.state().borrow(), State::Paused(Pause::Quota));
    let before = recorder.timeline().span();
    assert!(lab.archive.usage().bytes < 70_000);
    lab.archive.shared.volume.resize(0, 30_000);
    stage.play(2);
    step(&mut recorder, &stage);
    let timeline = recorder.timeline();
    let numbers = |id: &str| timeline.segments(id, 0..u64::MAX).iter().map(|s| s.msn).collect::<Vec<_>>();
    let hole = numbers("source").windows(2).find(|pair| pair[1] != pair[0] + 1).map(|pair| (pair[0], pair[1])).unwrap();
    assert_eq!(hole.0, before.end, "the one in progress ends with the parts it has");
    assert!(hole.1 > hole.0 + 30, "{hole:?}");
    assert_eq!(numbers("source"), numbers("audio"));
    is_as_served(&timeline, &stage, hole.1..timeline.span().end);
}

#[test]
fn what_a_failed_sync_makes_doubtful_is_written_again_elsewhere() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(11);
    step(&mut recorder, &stage);
    lab.archive.flush();
    stage.play(4);
    step(&mut recorder, &stage);
    lab.disk.fails.store(true, Ordering::Relaxed);
    lab.archive.flush();
    lab.disk.fails.store(false, Ordering::Relaxed);
    stage.play(1);
    step(&mut recorder, &stage);
    assert_eq!(*recorder.state().borrow(), State::Paused(Pause::DiskError));
    stage.play(3);
    step(&mut recorder, &stage);
    assert_eq!(*recorder.state().borrow(), State::Recording);
    let timeline = recorder.timeline();
    assert_eq!(timeline.span(), 7..16);
    is_as_served(&timeline, &stage, 7..16);
    let reel = |msn| timeline.place("audio", msn).unwrap().reel;
    assert_eq!((reel(11).serial, reel(12).serial), (0, 1), "12 was in progress when the good sync began");
    lab.archive.flush();
    let again = lab.without_power();
    let found = again.timeline();
    assert_eq!(found.span(), 7..17, "the one in progress ends with the parts it has");
    is_as_served(&found, &stage, 12..16);
    assert!(!found.state().breaks_before(12), "nothing is missing");
}

#[test]
fn two_faults_in_a_row_are_made_good_from_the_lower_one_on() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(11);
    step(&mut recorder, &stage);
    recorder.deck.finish();
    for from in [9, 11] {
        let fault = Fault { pause: Pause::DiskError, error: io::ErrorKind::Other.into(), from };
        recorder.fail(fault, stage.now());
    }
    assert_eq!(recorder.from, 9);
    stage.play(2);
    step(&mut recorder, &stage);
    recorder.fail(Fault { pause: Pause::DiskError, error: io::ErrorKind::Other.into(), from: 13 }, stage.now());
    assert_eq!(recorder.from, 13, "the others were made good");
}

#[test]
fn a_disk_that_goes_on_failing_is_asked_ever_more_rarely() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    lab.disk.room.store(0, Ordering::Relaxed);
    let mut tries = Vec::new();
    for second in 0..100 {
        stage.play(1);
        let before = recorder.faults;
        step(&mut recorder, &stage);
        if recorder.faults != before || second == 0 {
            tries.push(second);
        }
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
    assert!(lab.reels().is_empty(), "no reel is left that holds nothing");
    lab.disk.room.store(u64::MAX, Ordering::Relaxed);
    stage.play(22);
    step(&mut recorder, &stage);
    assert_eq!(*recorder.state().borrow(), State::Recording);
}

#[test]
fn a_killed_server_keeps_all_but_the_batch_in_flight() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..75 {
        stage.play(1);
        step(&mut recorder, &stage);
    }
    let edge = recorder.timeline().span().end;
    let again = lab.killed();
    let found = again.timeline();
    assert_eq!(found.span(), 7..edge + 1, "the one in progress ends with the parts it has");
    is_as_served(&found, &stage, 37..edge);
    let last = found.segment("source", edge).unwrap();
    assert!(last.duration().as_millis() >= 700, "{last:?}");
    assert_eq!(again.archive.reels(&Lab::session()).len(), 2, "both are sealed");
    assert_eq!(again.archive.usage().bytes, size(&again));
}

#[test]
fn a_loss_of_power_keeps_what_was_synced() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..38 {
        stage.play(2);
        step(&mut recorder, &stage);
        lab.archive.flush();
    }
    let synced = recorder.timeline().span();
    stage.play(4);
    step(&mut recorder, &stage);
    let again = lab.without_power();
    let found = again.timeline();
    assert!(found.span().end >= synced.end, "{:?} of {synced:?}", found.span());
    is_as_served(&found, &stage, 37..synced.end);
}

#[test]
fn a_session_goes_on_after_a_restart_in_another_reel_with_a_discontinuity() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    step(&mut recorder, &stage);
    let again = lab.killed();
    let first = again.timeline();
    assert_eq!((first.span(), first.next_msn()), (7..12, 12));
    let init = first.segment("source", 7).unwrap().init();
    let mut stage = Stage::new(|plan| (plan.run, plan.first_msn) = (Some(2), 13));
    let mut recorder = again.recorder(&stage);
    stage.play(9);
    step(&mut recorder, &stage);
    let timeline = again.timeline();
    assert_eq!(timeline.span(), 7..17);
    assert_eq!(again.reels().len(), 2);
    let state = timeline.state();
    assert!(state.breaks_before(13) && !state.breaks_before(12));
    let reel = state.reel_of(13).unwrap();
    assert_eq!((state.sequence(reel, 13), state.discontinuities(reel, 14)), (12, 1), "one number was skipped");
    drop(state);
    assert_eq!(timeline.segment("source", 13).unwrap().init(), init, "the same bytes keep their name");
}

#[test]
fn numbers_that_are_recorded_are_not_recorded_again() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    step(&mut recorder, &stage);
    let again = lab.killed();
    let mut stage = Stage::new(|plan| (plan.run, plan.first_msn) = (Some(2), 9));
    let mut recorder = again.recorder(&stage);
    stage.play(11);
    step(&mut recorder, &stage);
    let timeline = again.timeline();
    assert_eq!(timeline.span(), 7..14);
    assert_eq!(timeline.place("source", 11).unwrap().reel.serial, 0);
    is_as_served(&timeline, &stage, 12..14);
}

#[test]
fn a_session_has_one_recorder() {
    let (lab, stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let recorder = lab.recorder(&stage);
    assert!(recorder.timeline().is_live());
    assert!(lab.archive.recorder("show", stage.window.clone()).is_err());
    assert!(lab.archive.recorder("../show", stage.window.clone()).is_err());
    recorder.finish();
    assert!(lab.archive.sessions().is_empty(), "nothing was recorded");
    assert!(lab.archive.recorder("show", stage.window.clone()).is_ok());
}

#[test]
fn a_recording_begins_with_the_oldest_that_is_held() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    stage.play(100);
    let mut recorder = lab.recorder(&stage);
    step(&mut recorder, &stage);
    let span = recorder.timeline().span();
    assert!(span.start > 7 && span.end - span.start >= 15, "{span:?}");
    is_as_served(&recorder.timeline(), &stage, span);
}

#[tokio::test]
async fn it_runs_until_the_session_ends_and_everything_is_sealed() {
    let (lab, mut stage) = (Lab::new(|s| s.policy = Policy::Warn), Stage::new(|_| {}));
    let recorder = lab.recorder(&stage);
    let (timeline, mut state) = (recorder.timeline(), recorder.state());
    let stop = CancellationToken::new();
    let archive = tokio::spawn(lab.archive.clone().run(stop.clone()));
    let running = tokio::spawn(recorder.run(CancellationToken::new()));
    stage.play(9);
    stage.packager.finish();
    running.await.unwrap();
    assert_eq!(*state.borrow_and_update(), State::Ended);
    assert_eq!(timeline.span(), 7..12);
    is_as_served(&timeline, &stage, 7..12);
    stop.cancel();
    archive.await.unwrap();
    assert_eq!(lab.archive.reels(&Lab::session()).len(), 1);
    assert_eq!(lab.archive.usage().bytes, size(&lab));
}

#[tokio::test]
async fn a_stop_writes_what_is_published_and_ends_the_segment_in_progress() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let recorder = lab.recorder(&stage);
    let timeline = recorder.timeline();
    stage.play(5);
    let stop = CancellationToken::new();
    stop.cancel();
    recorder.run(stop).await;
    assert_eq!(timeline.span(), 7..10);
    assert!(timeline.segment("audio", 9).unwrap().duration() >= media::MediaTime::from_millis(700));
}

/// Bytes of all files.
/// Takes twelve segments, and syncs at the end on a disk that `change` was made to before and after a round of the archive's own.
fn ends_safely(before: bool, after: bool) -> (bool, Lab) {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(12);
    assert_eq!(recorder.take(), Taken::All);
    lab.disk.fails.store(before, Ordering::Relaxed);
    lab.archive.flush();
    lab.disk.fails.store(after, Ordering::Relaxed);
    let is_safe = recorder.end();
    (is_safe, lab)
}

#[test]
fn what_could_not_be_synced_at_the_end_is_told() {
    let (is_safe, lab) = ends_safely(false, false);
    assert!(is_safe);
    assert_eq!(lab.without_power().timeline().span(), lab.timeline().span(), "all of it survives");
    assert!(!ends_safely(false, true).0, "the last sync failed");
    assert!(!ends_safely(true, false).0, "one behind the last batch failed, and is never made again");
}

fn size(lab: &Lab) -> u64 {
    fn walk(folder: &std::path::Path) -> u64 {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        entries.map(|e| if e.path().is_dir() { walk(&e.path()) } else { e.metadata().unwrap().len() }).sum()
    }
    assert_eq!(*lab.timeline().session(), SessionName::new("show", "18c-1").unwrap());
    walk(&lab.root())
}
