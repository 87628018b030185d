use super::*;
use crate::kit::{Stage, read_range, rung, served};
use crate::lab::Lab;
use std::fs;
use std::time::Instant;

#[test]
fn what_is_recorded_is_what_was_served() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..20 {
        stage.play(1);
        recorder.step(Instant::now());
    }
    let timeline = recorder.timeline();
    assert_eq!(timeline.span(), 7..16, "the tenth segment is in progress");
    for (rendition, msn) in ["source", "audio"].into_iter().flat_map(|id| (7..16).map(move |msn| (id, msn))) {
        let place = timeline.place(rendition, msn).unwrap();
        assert_eq!(read_range(&place.path, &place.range), served(&stage.window, rendition, msn).unwrap());
        let (segment, live) = (timeline.segment(rendition, msn).unwrap(), stage.window.rendition(rendition).unwrap());
        let published = live.segment(msn).unwrap();
        assert_eq!((segment.start, segment.duration()), (published.start, published.duration));
        assert_eq!(crate::segment::millis(published.wall), segment.wall_ms);
        let init = timeline.init(rendition, segment.init().unwrap()).unwrap();
        assert_eq!(Some(init.data), live.init(published.init.unwrap()));
    }
}

#[test]
fn a_reel_ends_with_the_first_segment_after_a_minute() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    for _ in 0..130 {
        stage.play(1);
        recorder.step(Instant::now());
    }
    let names: Vec<_> = lab.reels().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["7-0", "37-1", "67-2"]);
    lab.archive.flush();
    let facts = lab.archive.reels(&Lab::session());
    assert_eq!(facts.iter().map(|reel| reel.until_msn).collect::<Vec<_>>(), [37, 67], "the third is being written");
    let count = |id| recorder.timeline().segments(id, 0..u64::MAX).len();
    assert_eq!((count("source"), count("audio")), (64, 64));
}

#[test]
fn a_rendition_that_lags_goes_on_in_the_reel_before() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|plan| plan.rungs = vec![rung("360p")]));
    let mut recorder = lab.recorder(&stage);
    for second in 0..80 {
        stage.play(1);
        if second >= 5 {
            stage.encode("360p", second - 5..second - 4);
        }
        recorder.step(Instant::now());
    }
    lab.archive.flush();
    let timeline = recorder.timeline();
    let place = |msn| timeline.place("360p", msn).unwrap();
    assert_eq!((place(36).reel.first_msn, place(37).reel.first_msn), (7, 37));
    assert_eq!(read_range(&place(38).path, &place(38).range), served(&stage.window, "360p", 38).unwrap());
    let facts = lab.archive.reels(&Lab::session());
    assert_eq!(facts.iter().map(|reel| reel.until_msn).collect::<Vec<_>>(), [37], "it was sealed behind the last");
    assert_eq!(timeline.span().end, 44, "what all have: the rung is five seconds late");
}

#[test]
fn an_init_section_keeps_its_name_and_another_gets_a_new_one() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(64);
    stage.config = crate::kit::video_config(1);
    stage.packager.break_();
    stage.play(10);
    recorder.step(Instant::now());
    let timeline = recorder.timeline();
    let names = |id: &str| {
        let mut names: Vec<_> = timeline.segments(id, 0..u64::MAX).iter().filter_map(|s| s.init()).collect();
        names.dedup();
        names
    };
    let first = timeline.span().start;
    assert_eq!(names("audio"), [first], "one for both reels");
    assert_eq!(names("source").len(), 2);
    let changed = names("source")[1];
    assert!(timeline.segment("source", changed).unwrap().discontinuity);
    assert_eq!(
        timeline.init("source", changed).unwrap().data,
        stage.window.rendition("source").unwrap().init(1).unwrap()
    );
}

#[test]
fn a_disk_that_takes_half_a_batch_costs_nothing_that_was_written_before() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    recorder.step(Instant::now());
    lab.disk.room.store(3000, std::sync::atomic::Ordering::Relaxed);
    stage.play(4);
    recorder.step(Instant::now());
    assert_eq!(*recorder.state().borrow(), crate::State::Paused(Pause::DiskFull));
    let timeline = recorder.timeline();
    assert_eq!(timeline.span(), 7..12, "the fifth with the parts it had");
    for msn in 7..12 {
        let place = timeline.place("source", msn).unwrap();
        let bytes = read_range(&place.path, &place.range);
        assert!(served(&stage.window, "source", msn).unwrap().starts_with(&bytes), "{msn}");
    }
    let facts = lab.archive.reels(&Lab::session());
    assert_eq!(facts.len(), 1, "the reel is sealed, as its bytes are known");
    let size = |file: &crate::ReelFile| fs::metadata(facts[0].folder.join(&file.name)).unwrap().len() == file.bytes;
    assert!(facts[0].files.iter().all(size));
    assert_eq!(lab.archive.usage().bytes, facts[0].files.iter().map(|file| file.bytes).sum::<u64>());
}
