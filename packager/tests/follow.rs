//! A reader that follows a rendition part by part gets what was published, once and in order.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use bytes::Bytes;
use kit::stage::*;
use packager::{Coding, Cursor, Rendition, Step};

/// What a follower has of one segment.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    msn: u64,
    parts: Vec<Bytes>,
    is_whole: bool,
}

/// Adds steps to what was heard; gives the numbers of `Lost`.
fn hear(heard: &mut Vec<Heard>, steps: Vec<Step>) -> Vec<u64> {
    let mut lost = Vec::new();
    for step in steps {
        match step {
            Step::Lost { until } => lost.push(until),
            Step::Begin { msn, .. } => {
                assert!(heard.last().is_none_or(|last| last.is_whole && last.msn < msn));
                heard.push(Heard { msn, ..Heard::default() });
            }
            Step::Part(part) => heard.last_mut().filter(|last| !last.is_whole).unwrap().parts.push(part.data),
            Step::End { .. } => heard.last_mut().unwrap().is_whole = true,
        }
    }
    lost
}

/// What the window holds.
fn held(rendition: &Rendition, msn: u64) -> Vec<Bytes> {
    rendition.segment(msn).unwrap().parts.iter().map(|part| part.data.clone()).collect()
}

#[test]
fn every_part_comes_once_however_often_it_is_asked_for() {
    for pause in [1, 7, 60, 200] {
        let mut stage = Stage::new(|plan| plan.first_msn = 5);
        let rendition = stage.rendition("source");
        let (mut heard, mut cursor) = (Vec::new(), Cursor::at(rendition.oldest()));
        assert_eq!(cursor, Cursor::at(5));
        for _ in 0..600 / pause {
            stage.send(pause, 60, true);
            assert!(hear(&mut heard, rendition.follow(&mut cursor)).is_empty());
            assert!(rendition.follow(&mut cursor).is_empty(), "nothing comes twice");
        }
        assert!(heard.len() >= 9, "{}", heard.len());
        for segment in heard.iter().filter(|segment| segment.is_whole) {
            assert_eq!(segment.parts, held(&rendition, segment.msn));
        }
        assert!(heard.iter().map(|segment| segment.msn).eq(5..5 + heard.len() as u64));
    }
}

#[test]
fn what_it_says_of_a_segment_is_what_the_segment_says() {
    let mut stage = Stage::new(|_| {});
    stage.send(200, 60, true);
    let rendition = stage.rendition("audio");
    for step in rendition.follow(&mut Cursor::at(0)) {
        let Step::Begin { msn, start, wall, discontinuity, init } = step else { continue };
        let Some(segment) = rendition.segment(msn) else { continue };
        assert_eq!((start, wall, discontinuity), (segment.start, segment.wall, segment.discontinuity));
        assert_eq!(init, segment.init);
        assert!(matches!(rendition.coding(init.unwrap()), Some(Coding::Audio(audio)) if audio.sample_rate == 48_000));
    }
    // The date in the playlist, at most a millisecond off for its rounding.
    let since = rendition.segment(0).unwrap().wall.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(since.as_secs() == 1_700_000_000 && stage.text("audio").contains("2023-11-14T22:13:20.000Z"));
}

#[test]
fn who_is_later_than_the_window_hears_where_it_goes_on() {
    let mut stage = Stage::new(|_| {});
    let rendition = stage.rendition("source");
    let (mut heard, mut cursor) = (Vec::new(), Cursor::at(0));
    stage.send(45, 60, true);
    assert!(hear(&mut heard, rendition.follow(&mut cursor)).is_empty());
    stage.send(3600, 60, true);
    let oldest = rendition.oldest();
    assert!(oldest > 0);
    heard.clear();
    assert_eq!(hear(&mut heard, rendition.follow(&mut cursor)), [oldest]);
    assert_eq!(heard[0].parts, held(&rendition, oldest));
}

#[test]
fn a_cursor_in_the_future_waits_for_its_segment() {
    let mut stage = Stage::new(|_| {});
    let rendition = stage.rendition("source");
    let mut cursor = Cursor::at(2);
    stage.send(120, 60, true);
    assert!(rendition.follow(&mut cursor).is_empty());
    stage.send(60, 60, true);
    assert!(matches!(rendition.follow(&mut cursor)[0], Step::Begin { msn: 2, .. }));
}

#[test]
fn a_change_of_any_rendition_wakes() {
    let mut stage = Stage::new(|_| {});
    let mut changes = stage.window.changes();
    assert!(!changes.has_changed().unwrap());
    stage.send(60, 60, true);
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    stage.packager.finish();
    assert!(changes.has_changed().unwrap());
    let rendition = stage.rendition("source");
    let steps = rendition.follow(&mut Cursor::at(0));
    assert!(matches!(steps.last(), Some(Step::End { gap: false })), "the last segment is whole");
}
