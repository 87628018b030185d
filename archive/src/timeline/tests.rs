use super::*;
use crate::Head;
use crate::journal::tests::head;
use crate::record::{Chunk, Record};

/// A reel with the segments `from..until` of one second in one rendition, each of ten bytes.
fn reel(change: impl FnOnce(&mut Head), range: Range<u64>, breaks: &[u64]) -> Journal {
    let mut head = head(0, range.start);
    change(&mut head);
    let mut journal = Journal::new(head);
    let mut apply = |record: Record| assert!(journal.apply(&record), "{record:?}");
    apply(Record::Rendition { id: "source".into(), track: Track::Video });
    for (at, msn) in (0..).zip(range) {
        let (start, wall_ms) = (MediaTime::from_millis(msn as i64 * 1000), msn as i64 * 1000);
        let discontinuity = breaks.contains(&msn);
        apply(Record::Begin { rendition: 0, msn, start, wall_ms, discontinuity, init: None });
        let (chunk, duration) = (Chunk { offset: at * 10, length: 10, crc: 0 }, MediaTime::from_millis(1000));
        apply(Record::Part { rendition: 0, index: 0, chunk, duration, independent: true, gap: false });
        apply(Record::End { rendition: 0, gap: false });
    }
    journal
}

fn timeline(reels: &[Journal]) -> Timeline {
    let timeline = Timeline::new(SessionName::new("show", "s").unwrap(), Path::new("/srv"));
    reels.iter().for_each(|reel| timeline.extend(reel, &mut [0]));
    timeline
}

fn numbers(timeline: &Timeline) -> Vec<u64> {
    timeline.segments("source", 0..u64::MAX).iter().map(|segment| segment.msn).collect()
}

#[test]
fn a_segment_is_found_in_its_reel() {
    let timeline = timeline(&[reel(|_| {}, 10..13, &[]), reel(|h| h.serial = 1, 13..15, &[])]);
    assert_eq!((timeline.span(), timeline.next_msn()), (10..15, 15));
    let place = timeline.place("source", 14).unwrap();
    assert_eq!(place.path, Path::new("/srv/show/s/13-1/source.m4s"));
    assert_eq!((place.range, place.is_local), (10..20, true));
    assert_eq!(timeline.place("source", 15), None);
    assert_eq!(timeline.place("audio", 14), None);
}

#[test]
fn a_date_is_covered_by_its_segment() {
    let timeline = timeline(&[reel(|_| {}, 10..13, &[]), reel(|h| h.serial = 1, 20..22, &[])]);
    let at = |millis| timeline.at(crate::segment::date(millis));
    assert_eq!((at(0), at(10_000), at(11_999), at(12_000)), (Some(10), Some(10), Some(11), Some(12)));
    assert_eq!((at(15_000), at(21_999), at(22_000)), (Some(20), Some(21), None));
}

#[test]
fn a_reel_has_what_it_has_instead_of_earlier_ones() {
    let timeline = timeline(&[
        reel(|_| {}, 10..13, &[]),
        reel(|h| h.serial = 1, 13..16, &[14]),
        reel(|h| h.serial = 2, 12..14, &[]),
    ]);
    assert_eq!(numbers(&timeline), [10, 11, 12, 13]);
    assert_eq!(timeline.place("source", 12).unwrap().reel.serial, 2);
    assert!(!timeline.state().breaks_before(14));
}

#[test]
fn what_is_given_twice_counts_once() {
    let (whole, timeline) = (reel(|_| {}, 10..13, &[]), timeline(&[]));
    let mut given = [0];
    timeline.extend(&reel(|_| {}, 10..12, &[]), &mut given);
    timeline.extend(&whole, &mut given);
    timeline.extend(&whole, &mut given);
    assert_eq!(numbers(&timeline), [10, 11, 12]);
}

#[test]
fn the_places_go_on_over_holes_and_discontinuities_are_counted() {
    let first = reel(|_| {}, 10..13, &[11]);
    assert_eq!(timeline(&[]).numbering(10), (10, 0, false));
    let timeline = timeline(std::slice::from_ref(&first));
    assert_eq!(timeline.numbering(13), (13, 1, false));
    assert_eq!(timeline.numbering(20), (13, 1, true), "seven numbers are left out");
    assert_eq!(timeline.numbering(11), (11, 0, false), "11 is written again");
    let hole = |h: &mut Head| {
        (h.serial, h.sequence, h.discontinuities, h.has_hole) = (1, 13, 1, true);
    };
    timeline.extend(&reel(hole, 20..23, &[20, 22]), &mut [0]);
    assert_eq!(timeline.numbering(23), (16, 3, false));
    timeline.forget(0, None);
    assert_eq!(timeline.numbering(23), (16, 3, false), "what is swept changes no number");
}

#[test]
fn what_is_forgotten_leaves_the_rest() {
    let timeline = timeline(&[reel(|_| {}, 10..13, &[]), reel(|h| h.serial = 1, 13..15, &[])]);
    timeline.set_remote(1);
    timeline.forget(0, None);
    assert_eq!((numbers(&timeline), timeline.span()), (vec![13, 14], 13..15));
    assert!(!timeline.place("source", 13).unwrap().is_local);
    timeline.forget(1, Some("source"));
    assert!(numbers(&timeline).is_empty());
}

#[test]
fn while_it_grows_the_span_is_what_all_renditions_have() {
    let timeline = timeline(&[]);
    timeline.set_live(Some(&[("source".to_owned(), Track::Video), ("audio".to_owned(), Track::Audio)]));
    timeline.extend(&reel(|_| {}, 10..13, &[]), &mut [0]);
    assert_eq!(timeline.span(), 10..10, "there is no sound yet");
    let mut both = reel(|_| {}, 10..13, &[]);
    both.lines[0].id = "audio".into();
    both.lines[0].segments.pop();
    timeline.extend(&both, &mut [0]);
    assert_eq!(timeline.span(), 10..12);
    timeline.set_live(None);
    assert_eq!(timeline.span(), 10..13);
}
