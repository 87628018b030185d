use super::listed;
use crate::Segment;
use crate::kit::{Stage, read_playlist, rung};
use crate::lab::Lab;
use media::MediaTime;
use packager::Index;
use packager::vod::Kind;
use std::time::{Duration, Instant};

fn all() -> std::ops::Range<u64> {
    0..u64::MAX
}

#[test]
fn a_recording_is_listed_whole_and_the_same_in_all_renditions() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    stage.packager.finish();
    recorder.step(Instant::now());
    recorder.finish();
    let timeline = lab.timeline();
    let list = |id: &str| read_playlist(&timeline.media_playlist(id, all(), Kind::Vod).unwrap());
    let video = list("source");
    assert_eq!((video.kind.as_deref(), video.ended, video.target, video.sequence), (Some("VOD"), true, 2, 7));
    let uris: Vec<_> = video.entries.iter().map(|entry| entry.uri.as_str()).collect();
    assert_eq!(uris, ["source/7.m4s", "source/8.m4s", "source/9.m4s", "source/10.m4s", "source/11.m4s"]);
    assert!(video.entries.iter().all(|entry| entry.init.as_deref() == Some("source/init-7.mp4")));
    let total: f64 = video.entries.iter().map(|entry| entry.duration).sum();
    assert!((total - 9.0).abs() < 0.005, "{total}");
    assert_eq!(list("audio").entries.len(), 5);
    assert_eq!(timeline.media_playlist("nothing", all(), Kind::Vod), None);
    assert_eq!(timeline.media_playlist("source", 12..20, Kind::Vod), None);
}

#[test]
fn all_renditions_of_a_recording_are_equally_long_to_the_last_digit() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(21);
    recorder.step(Instant::now());
    recorder.finish();
    let timeline = lab.timeline();
    let sum = |id: &str, span| -> i64 {
        let list = read_playlist(&timeline.media_playlist(id, span, Kind::Vod).unwrap());
        list.entries.iter().map(|entry| (entry.duration * 1e5).round() as i64).sum()
    };
    for first in 7..16 {
        for until in first + 1..17 {
            assert_eq!(sum("audio", first..until), sum("source", first..until), "{first}..{until}");
        }
    }
    // Frames of sound have no common measure with pictures, so this is no matter of course.
    let own = |msn| timeline.segment("audio", msn).unwrap().duration();
    assert!((7..16).any(|msn| own(msn) != timeline.segment("source", msn).unwrap().duration()));
}

#[test]
fn a_span_begins_and_ends_with_its_segments() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(21);
    recorder.step(Instant::now());
    let timeline = recorder.timeline();
    let event = read_playlist(&timeline.media_playlist("audio", 9..12, Kind::Event).unwrap());
    assert_eq!((event.kind.as_deref(), event.ended, event.sequence), (Some("EVENT"), false, 9));
    assert_eq!(
        event.entries.iter().map(|e| e.uri.as_str()).collect::<Vec<_>>(),
        ["audio/9.m4s", "audio/10.m4s", "audio/11.m4s"]
    );
    let rewind = read_playlist(&timeline.media_playlist("audio", all(), Kind::Rewind).unwrap());
    assert_eq!((rewind.kind, rewind.ended, rewind.entries.len()), (None, false, 10));
}

#[test]
fn a_number_only_some_renditions_have_is_a_gap_in_the_others() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|plan| plan.rungs = vec![rung("360p")]));
    let mut recorder = lab.recorder(&stage);
    // The rung has nothing for its second and third segment, and lists gaps once it is eight seconds behind.
    stage.play(2);
    stage.encode("360p", 0..2);
    stage.play(18);
    recorder.step(Instant::now());
    recorder.finish();
    let timeline = lab.timeline();
    let list = |id: &str| read_playlist(&timeline.media_playlist(id, all(), Kind::Vod).unwrap());
    let (source, rung) = (list("source"), list("360p"));
    assert_eq!(source.entries.len(), rung.entries.len());
    let gaps: Vec<bool> = rung.entries.iter().map(|entry| entry.gap).collect();
    assert!(!gaps[0] && gaps[1..].iter().all(|gap| *gap), "{gaps:?}");
    assert!(source.entries.iter().all(|entry| !entry.gap));
    for (own, other) in rung.entries.iter().zip(&source.entries) {
        assert!((own.duration - other.duration).abs() < 0.1, "{own:?} {other:?}");
    }
}

#[test]
fn after_a_restart_the_places_have_no_hole_and_slide_without_a_jump() {
    let (lab, mut stage) = (Lab::new(|s| s.rewind = Duration::from_secs(5)), Stage::new(|_| {}));
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    recorder.step(Instant::now());
    let lab = lab.killed();
    let mut stage = Stage::new(|plan| {
        (plan.run, plan.first_msn) = (Some(2), 14);
        plan.wall_start += Duration::from_secs(20);
    });
    let mut recorder = lab.recorder(&stage);
    stage.play(9);
    stage.packager.finish();
    recorder.step(Instant::now());
    let timeline = recorder.timeline();
    let whole = read_playlist(&timeline.media_playlist("source", all(), Kind::Rewind).unwrap());
    assert_eq!((whole.sequence, whole.discontinuity_sequence, whole.entries.len()), (7, 0, 10));
    let breaks: Vec<_> = whole.entries.iter().filter(|entry| entry.discontinuity).map(|e| e.uri.as_str()).collect();
    assert_eq!(breaks, ["source/14.m4s"]);
    assert!(whole.entries.iter().all(|entry| entry.init.as_deref() == Some("source/init-7.mp4")));
    // Later the beginning is gone; what is left has the place it had, also in a server that never knew the beginning.
    lab.archive.flush();
    assert_eq!(lab.archive.sweep(stage.wall() + Duration::from_secs(20), &[]).reels.len(), 1);
    for timeline in [lab.timeline(), lab.killed().timeline()] {
        let rest = read_playlist(&timeline.media_playlist("source", all(), Kind::Rewind).unwrap());
        assert_eq!((rest.sequence, rest.discontinuity_sequence), (12, 0));
        assert_eq!(rest.entries, whole.entries[5..]);
        let later = read_playlist(&timeline.media_playlist("source", 15..u64::MAX, Kind::Rewind).unwrap());
        assert_eq!((later.sequence, later.discontinuity_sequence), (13, 1));
    }
}

#[test]
fn the_multivariant_says_what_was_measured() {
    let (lab, mut stage) = (Lab::new(|_| {}), Stage::new(|_| {}));
    stage.picture_bytes = 2000;
    let mut recorder = lab.recorder(&stage);
    stage.play(10);
    stage.picture_bytes = 4000;
    stage.play(2);
    stage.packager.finish();
    recorder.step(Instant::now());
    let timeline = recorder.timeline();
    let text = timeline.multivariant("", Index::H264, all(), |_| true).unwrap();
    let bytes = |id: &str| timeline.segments(id, all()).iter().map(|s| u64::from(s.length)).collect::<Vec<_>>();
    let bps = |bytes: u64, seconds: f64| bytes as f64 * 8.0 / seconds;
    let attribute = |name: &str| {
        let line = text.lines().find(|line| line.starts_with("#EXT-X-STREAM-INF:")).unwrap();
        let value = line.split([':', ',']).find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
    };
    let near = |name: &str, wanted: f64| {
        let found: f64 = attribute(name).parse().unwrap();
        assert!((found / wanted - 1.0).abs() < 0.02, "{name} is {found}, not {wanted} in {text}");
    };
    let peak = |id: &str| bytes(id).iter().max().copied().unwrap();
    near("BANDWIDTH", bps(peak("source") + peak("audio"), 2.0));
    let total = |id: &str| bytes(id).iter().sum::<u64>();
    near("AVERAGE-BANDWIDTH", bps(total("source") + total("audio"), 12.0));
    assert_eq!((attribute("RESOLUTION"), attribute("FRAME-RATE")), ("1280x720".into(), "30".into()));
    assert!(text.contains("CODECS=\"avc1.64001f,mp4a.40.2\"") && text.contains("\nsource.m3u8\n"), "{text}");
    assert!(text.contains("URI=\"audio.m3u8\"") && !text.contains("CLOSED-CAPTIONS"), "{text}");
    assert_eq!(timeline.multivariant("", Index::Hevc, all(), |_| true), None);
}

#[test]
fn mpeg_ts_has_the_same_entries_and_the_sound_in_its_pictures() {
    let (lab, stage) = Lab::recorded(|_| {});
    let timeline = lab.timeline();
    let lengths =
        |text: &str| text.lines().filter(|line| line.starts_with("#EXTINF")).map(str::to_owned).collect::<Vec<_>>();
    let cmaf = timeline.media_playlist("source", all(), Kind::Vod).unwrap();
    let ts = timeline.ts_playlist("source", all(), Kind::Vod).unwrap();
    assert_eq!(lengths(&ts), lengths(&cmaf));
    assert!(ts.contains("source/7.ts\n") && !ts.contains("EXT-X-MAP"), "{ts}");
    assert_eq!(timeline.ts_playlist("audio", all(), Kind::Vod), None);
    drop(stage);
}

#[test]
fn an_entry_lasts_until_the_next_one_begins_unless_something_is_missing() {
    let segment = |msn, start_ms, ms| {
        let mut segment = Segment::new(msn, MediaTime::from_millis(start_ms), 0, false, None);
        assert!(segment.grow(1, MediaTime::from_millis(ms)));
        segment
    };
    let listed = |next: Option<Segment>| listed(&segment(5, 10_000, 2_016), next.as_ref()).as_millis();
    assert_eq!(listed(Some(segment(6, 12_000, 2_000))), 2_000, "the next one begins in it");
    assert_eq!(listed(Some(segment(6, 12_020, 2_000))), 2_020);
    for elsewhere in
        [None, Some(segment(7, 12_000, 2_000)), Some(segment(6, 15_000, 2_000)), Some(segment(6, 9_000, 2_000))]
    {
        assert_eq!(listed(elsewhere), 2_016, "{elsewhere:?}");
    }
}
