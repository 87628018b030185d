//! What a session does over its life, one behaviour at a time.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use kit::stage::{RATE, START, Stage, frame, picture, video_config};
use kit::{decode_runs, judge, read_playlist, rung};
use media::{Announced, FeedItem, MediaTime, VideoCodec, VideoConfig};
use packager::{Cue, Index, Prober};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_part_is_listed_as_soon_as_its_last_picture_came() {
    let mut stage = Stage::new(|_| {});
    stage.send(60 + 6, 60, true);
    assert_eq!(stage.listed("source").open.parts.len(), 1, "six pictures are a part of a fifth of a second");
    stage.send(5, 60, true);
    assert_eq!(stage.listed("source").open.parts.len(), 1);
    stage.send(1, 60, true);
    assert_eq!(stage.listed("source").open.parts.len(), 2);
}

#[test]
fn without_low_latency_whole_segments_are_listed_as_soon_as_they_are_whole() {
    let mut stage = Stage::new(|plan| plan.low_latency = false);
    stage.send(121, 60, true);
    let shown = stage.rendition("source").playlist();
    let before = shown.borrow().clone();
    assert_eq!((before.last, before.next_part), (before.last_segment.map(|msn| (msn, 0)), None));
    stage.send(59, 60, true);
    assert!(!shown.has_changed().unwrap(), "no part wakes anybody");
    stage.send(1, 60, true);
    let after = shown.borrow().clone();
    assert!(after.last_segment > before.last_segment);
    let text = String::from_utf8(after.full.text().to_vec()).unwrap();
    assert!(!text.contains("PART") && !text.contains("PRELOAD") && text.contains("HOLD-BACK=6.00000"), "{text}");
    assert!(text.trim_end().ends_with(".m4s"), "a whole segment is the last thing listed: {text}");
}

#[test]
fn a_configuration_that_comes_again_gets_the_init_section_it_had() {
    let mut stage = Stage::new(|_| {});
    for round in 0..8 {
        stage.config = video_config(if round % 2 == 0 { 0 } else { 7 }, VideoCodec::H264);
        stage.send(60, 60, true);
    }
    let needed: Vec<_> = stage.listed("source").segments.iter().filter_map(|segment| segment.init.clone()).collect();
    assert!(
        needed.len() >= 6 && needed[2..].iter().zip(&needed).all(|(later, earlier)| later == earlier),
        "{needed:?}"
    );
    assert!(stage.rendition("source").init(1).is_some());
    assert!(stage.rendition("source").init(2).is_none(), "a session that changes for ever takes no more memory");
}

#[test]
fn a_segment_as_long_as_the_one_before_has_parts_as_equal_as_can_be() {
    let mut stage = Stage::new(|_| {});
    // 53 pictures: eight parts of six and one of five.
    stage.send(53 * 6 + 1, 53, true);
    for id in ["source", "audio"] {
        let segments = stage.listed(id).segments;
        let with_parts: Vec<_> = segments[1..].iter().filter(|s| !s.parts.is_empty()).collect();
        assert!(with_parts.len() >= 2, "{id} {segments:?}");
        for segment in with_parts {
            assert_eq!(segment.parts.len(), 9, "{id} {segment:?}");
            assert!(segment.parts.iter().all(|p| p.duration > 0.14), "{id} {segment:?}");
        }
    }
}

#[test]
fn the_hinted_part_is_the_next_one_listed() {
    let mut stage = Stage::new(|_| {});
    stage.send(120, 60, true);
    let mut hint: Option<(u64, u32)> = None;
    for _ in 0..600 {
        stage.send(1, 60, true);
        for id in ["source", "audio"] {
            let playlist = stage.rendition(id).playlist().borrow().clone();
            if id == "source" && hint.is_some() && playlist.next_part != hint {
                assert_eq!(playlist.last, hint, "the part that was promised came");
            }
            if id == "source" {
                hint = playlist.next_part;
            }
            let (msn, part) = playlist.last.unwrap();
            assert!(stage.rendition(id).part(msn, part).is_some());
        }
    }
}

#[test]
fn key_frames_sooner_than_a_second_do_not_cut() {
    let mut stage = Stage::new(|_| {});
    stage.send(300, 20, true);
    let times: Vec<_> = stage.boundaries().iter().map(|b| (b.1 - START).as_millis()).collect();
    assert_eq!(times, [0, 1333, 2666, 4000, 5333, 6666, 8000, 9333]);
}

#[test]
fn a_segment_is_listed_as_whole_with_the_first_part_of_the_next() {
    let mut stage = Stage::new(|_| {});
    stage.send(61, 60, true);
    let playlist = stage.rendition("source").playlist().borrow().clone();
    let listed = judge(playlist.full.text());
    assert_eq!((listed.segments.len(), listed.open.parts.len()), (0, 10), "all of it is there, part by part");
    assert_eq!((playlist.last, playlist.last_segment, playlist.next_part), (Some((0, 9)), None, Some((1, 0))));
    assert!(stage.rendition("source").segment(0).is_some(), "who asks for it gets it");
    stage.send(10, 60, true);
    let playlist = stage.rendition("source").playlist().borrow().clone();
    let listed = judge(playlist.full.text());
    assert_eq!((listed.segments.len(), listed.open.parts.len()), (1, 1));
    assert_eq!((playlist.last, playlist.last_segment, playlist.next_part), (Some((1, 0)), Some(0), Some((1, 1))));
}

#[test]
fn pictures_an_encoder_left_out_are_stood_in_for_by_the_one_before() {
    // Three pictures of a part of six are there: they stand in for one or two parts behind it.
    for missing in 1..=20 {
        let mut stage = Stage::new(|_| {});
        stage.send(63, 60, true);
        stage.frame += missing;
        stage.send(100, 60, true);
        let parts: Vec<_> = stage.listed("source").segments.into_iter().flat_map(|segment| segment.parts).collect();
        assert!(parts.len() > 15 && parts.iter().all(|part| !part.gap), "{missing} missing: {parts:?}");
    }
}

#[test]
fn a_rest_shorter_than_a_picture_gets_no_part_of_its_own() {
    let mut stage = Stage::new(|_| {});
    // A looped file begins again up to a frame late: 48 pictures with B-frames, eight parts of a fifth of a second.
    let mut start = START;
    for rest in (0..33).chain([30; 10]) {
        for n in 0..48 {
            let shown = [n, n + 1, n - 1][if n == 0 || n == 47 { 0 } else { 2 - (n % 2) as usize }];
            let mut unit = picture(&stage.config, start + RATE.time_of(shown + 1), n == 0);
            unit.dts = start + RATE.time_of(n);
            let now = stage.clock.at(unit.dts);
            stage.cues.extend(stage.packager.source(&unit, now));
        }
        start += RATE.time_of(48) + MediaTime::from_millis(rest);
        let listed = stage.listed("source");
        let parts: Vec<_> = listed.segments.into_iter().flat_map(|segment| segment.parts).collect();
        let shelved =
            (0..).map_while(|msn| stage.rendition("source").segment(msn)).flat_map(|segment| segment.parts.to_vec());
        let runs: Vec<_> = shelved.flat_map(|part| decode_runs(&part.data)).collect();
        assert!(runs.windows(2).all(|pair| pair[0].1 == pair[1].0), "{rest} ms: {runs:?}");
        for (part, (from, until)) in parts.iter().zip(runs) {
            let off = part.duration - (until - from) as f64 / 90_000.0;
            assert!(!part.gap && off.abs() <= 0.034, "{rest} ms: {part:?} is {off} s off its media");
        }
    }
}

#[test]
fn a_long_gop_withdraws_passthrough_with_one_discontinuity_everywhere() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(225, 250, true);
    let reasons = stage
        .cues
        .iter()
        .filter(|c| matches!(c, Cue::Withdraw { reason, .. } if reason.contains("keyframe interval")))
        .count();
    assert_eq!(reasons, 1);
    let boundaries = stage.boundaries();
    let times: Vec<_> = boundaries.iter().map(|b| (b.1 - START).as_millis()).collect();
    assert_eq!(times, [0, 2400, 4400, 6400], "forced at 2.4 s, then every 2 s");
    assert_eq!(boundaries.iter().map(|b| b.2).collect::<Vec<_>>(), [false, true, false, false]);
    let encoded = video_config(9, VideoCodec::H264);
    for pair in boundaries.windows(2) {
        if pair[0].0 > 0 {
            stage.encode("source", &encoded.clone(), pair[0].1, pair[1].1);
        }
        stage.encode("180p", &encoded.clone(), pair[0].1, pair[1].1);
    }
    for id in ["source", "180p", "audio"] {
        let listed = stage.listed(id);
        assert_eq!(listed.segments.len(), 3, "{id}");
        assert_eq!(listed.segments.iter().map(|s| s.discontinuity).collect::<Vec<_>>(), [false, true, false], "{id}");
        assert!(listed.segments.iter().all(|s| !s.gap), "{id}");
    }
    assert!(stage.rendition("source").init(1).is_some(), "the encoder's configuration is a new init section");
    assert!(
        stage.rendition("source").segment(0).unwrap().init == Some(0)
            && stage.rendition("source").segment(1).unwrap().init == Some(1)
    );
    assert!(stage.packager.keyframe_interval().unwrap() > Duration::from_secs(7));
}

#[test]
fn a_rung_off_the_grid_is_not_published_until_it_is_on_it_again() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(211, 60, true);
    let (config, boundaries) = (video_config(9, VideoCodec::H264), stage.boundaries());
    for (index, pair) in boundaries.windows(2).enumerate() {
        let late = MediaTime::from_ticks(if index == 1 { 3000 } else { 0 });
        stage.encode("180p", &config, pair[0].1 + late, pair[1].1);
    }
    let gaps: Vec<_> = stage.listed("180p").segments.iter().map(|s| s.gap).collect();
    assert_eq!(gaps, [false, true, false]);
    assert!(stage.rendition("180p").segment(1).is_none());
}

#[test]
fn a_rung_that_lags_gets_gaps_up_to_the_plan() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(240, 60, true);
    assert!(stage.listed("180p").segments.is_empty(), "eight seconds are waited for");
    stage.send(151, 60, true);
    let listed = stage.listed("180p");
    assert_eq!(listed.segments.len(), 6, "then they come as steadily as the source's segments");
    assert!(listed.segments.iter().all(|s| s.gap && s.parts.iter().all(|p| p.gap)));
}

#[test]
fn a_rung_that_rests_is_listed_as_gaps_and_comes_back_at_a_boundary() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    let is_offered = |stage: &Stage| stage.index(Index::H264).is_some_and(|index| index.contains("/180p.m3u8"));
    let config = video_config(9, VideoCodec::H264);
    stage.send(61, 60, true);
    stage.encode("180p", &config, START, START + RATE.time_of(60));
    stage.send(120, 60, true);
    assert_eq!(stage.listed("180p").segments.len(), 1, "it is only a little late");
    stage.packager.rest("180p");
    let gaps = |stage: &Stage| stage.listed("180p").segments.iter().map(|s| s.gap).collect::<Vec<bool>>();
    assert_eq!(gaps(&stage), [false, true, true], "what is missing so far");
    assert!(!is_offered(&stage), "who comes now would wait for it");
    stage.send(180, 60, true);
    let gaps = gaps(&stage);
    assert!(gaps.len() > 3 && !gaps[0] && gaps[1..].iter().all(|gap| *gap), "{gaps:?}");
    assert!(!is_offered(&stage), "nor is who comes later");
    stage.encode("180p", &config, START + RATE.time_of(360), START + RATE.time_of(420));
    stage.send(61, 60, true);
    stage.encode("180p", &config, START + RATE.time_of(420), START + RATE.time_of(421));
    assert!(is_offered(&stage), "there is media again");
    let segments = stage.listed("180p").segments;
    assert!(segments.iter().all(|s| !s.discontinuity), "{segments:?}");
    assert!(segments.last().is_some_and(|s| !s.gap), "{segments:?}");
    assert_eq!(segments.len(), stage.listed("source").segments.len());
}

#[test]
fn a_restarted_worker_goes_on_at_the_frontier_without_a_discontinuity() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(121, 60, true);
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(27));
    let frontier = stage.packager.frontier("180p").unwrap();
    assert_eq!(frontier, START + RATE.time_of(27), "what is held will be published");
    for slot in 27..60 {
        stage.packager.encoded("180p", picture(&config, START + RATE.time_of(slot), slot == 27));
    }
    let listed = stage.listed("180p");
    assert_eq!(listed.segments.len(), 1);
    assert!(!listed.segments[0].gap && listed.segments[0].parts.len() == 10);
}

#[test]
fn a_new_configuration_is_a_new_init_section_with_a_discontinuity_everywhere() {
    let mut stage = Stage::new(|_| {});
    stage.send(90, 30, true);
    stage.config = video_config(7, VideoCodec::H264);
    stage.send(91, 30, true);
    for id in ["source", "audio"] {
        let disc: Vec<_> = stage.listed(id).segments.iter().map(|s| s.discontinuity).collect();
        assert_eq!(disc, [false, false, false, true, false, false], "{id}");
    }
    let playlist = stage.rendition("source").playlist().borrow().clone();
    let text = std::str::from_utf8(playlist.full.text()).unwrap().to_owned();
    assert_eq!(text.matches("EXT-X-MAP").count(), 2, "{text}");
}

#[test]
fn a_break_puts_one_discontinuity_at_the_next_key_frame() {
    let mut stage = Stage::new(|_| {});
    stage.send(75, 60, true);
    stage.packager.break_();
    stage.send(106, 60, true);
    let disc: Vec<_> = stage.listed("audio").segments.iter().map(|s| s.discontinuity).collect();
    assert_eq!(disc, [false, false, true]);
}

#[test]
fn sound_goes_on_while_the_video_is_away_and_comes_back() {
    let mut stage = Stage::new(|_| {});
    stage.send(90, 30, true);
    let until = START + RATE.time_of(90) + MediaTime::from_millis(9_000);
    stage.sound_until(until, true);
    let (video, audio) = (stage.listed("source"), stage.listed("audio"));
    assert!(audio.segments.len() >= 6 && audio.segments.iter().all(|s| !s.gap), "{audio:?}");
    let gaps = video.segments.iter().filter(|s| s.gap).count();
    assert!((3..=4).contains(&gaps) && !video.segments[2].gap, "{video:?}");
    stage.frame = 90 + 9 * 30;
    stage.send(31, 30, true);
    assert_eq!(stage.cues.iter().filter(|c| matches!(c, Cue::Boundary { discontinuity: true, .. })).count(), 1);
    assert!(!stage.listed("source").segments.last().unwrap().gap);
}

#[test]
fn missing_sound_is_listed_as_gaps() {
    let mut stage = Stage::new(|_| {});
    stage.send(60, 60, true);
    stage.send(300, 60, false);
    stage.send(121, 60, true);
    let gaps: Vec<_> = stage.listed("audio").segments.iter().map(|s| s.gap).collect();
    assert_eq!(gaps[..5], [false, true, true, true, true]);
    assert!(!gaps[6]);
    assert_eq!(stage.listed("source").segments.len(), 8);
}

#[test]
fn the_end_is_said_in_every_playlist_and_answers_every_waiter() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(100, 60, true);
    let mut waiter = stage.rendition("180p").playlist();
    waiter.mark_unchanged();
    stage.packager.finish();
    assert!(waiter.has_changed().unwrap() && waiter.borrow().ended);
    for rendition in stage.window.renditions() {
        assert!(judge(rendition.playlist().borrow().full.text()).ended);
        assert!(rendition.playlist().borrow().next_part.is_none());
    }
    let listed = stage.listed("source");
    let sum: f64 = listed.segments.iter().map(|s| s.duration).sum();
    assert!((sum - 100.0 / 30.0).abs() < 0.01, "{sum}");
}

#[test]
fn the_multivariant_waits_for_all_renditions_but_not_for_ever() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(60, 60, true);
    assert!(stage.index(Index::H264).is_none(), "the rung has nothing yet");
    stage.send(20, 60, true);
    let text = stage.index(Index::H264).unwrap();
    assert!(text.contains("source.m3u8") && text.contains("audio.m3u8") && !text.contains("180p"), "{text}");
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(60));
    assert!(stage.index(Index::H264).unwrap().contains("180p"));
}

#[test]
fn the_multivariant_says_what_the_media_are() {
    let mut stage = Stage::new(|_| {});
    stage.packager.captions(true);
    stage.send(301, 60, true);
    let text = stage.index(Index::H264).unwrap();
    let list = m3u8_rs::parse_master_playlist_res(text.as_bytes()).unwrap();
    let variant = &list.variants[0];
    assert_eq!(variant.codecs.as_deref(), Some("avc1.64001f,mp4a.40.2"));
    assert_eq!(variant.frame_rate, Some(30.0));
    assert!(variant.average_bandwidth.unwrap() <= variant.bandwidth);
    assert!(
        list.independent_segments
            && text.contains("TYPE=CLOSED-CAPTIONS")
            && text.contains("VIDEO-RANGE=SDR")
            && text.contains("LANGUAGE=\"und\""),
        "{text}"
    );
    let ts = stage.index(Index::Ts).unwrap();
    assert!(ts.contains("source.ts.m3u8") && !ts.contains("TYPE=AUDIO"), "{ts}");
}

#[test]
fn hevc_has_its_own_multivariant() {
    let hevc = video_config(0, VideoCodec::Hevc);
    let mut stage = Stage::new(|plan| {
        plan.rungs = vec![rung("180p", RATE)];
        plan.facts.video.as_mut().unwrap().config = video_config(0, VideoCodec::Hevc);
    });
    stage.config = hevc;
    stage.send(121, 60, true);
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(60));
    let (index, other) = (stage.index(Index::H264).unwrap(), stage.index(Index::Hevc).unwrap());
    assert!(index.contains("180p") && !index.contains("source"), "{index}");
    assert!(other.contains("source") && other.contains("hvc1") && !other.contains("180p"), "{other}");
    assert!(!stage.index(Index::Ts).unwrap().contains("source"));
}

#[test]
fn hevc_that_is_withdrawn_leaves_its_multivariant_and_the_rung_goes_on() {
    let mut stage = Stage::new(|plan| {
        plan.rungs = vec![rung("180p", RATE)];
        plan.facts.video.as_mut().unwrap().config = video_config(0, VideoCodec::Hevc);
    });
    stage.config = video_config(0, VideoCodec::Hevc);
    stage.send(121, 60, true);
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(120));
    assert!(stage.index(Index::Hevc).is_some());
    stage.send(400, 1_000, true);
    let boundaries = stage.boundaries();
    for pair in boundaries[2..].windows(2) {
        stage.encode("180p", &config, pair[0].1, pair[1].1);
    }
    assert_eq!(stage.index(Index::Hevc), None);
    assert!(stage.index(Index::H264).unwrap().contains("180p.m3u8"));
    assert!(stage.listed("180p").first_msn + stage.listed("180p").segments.len() as u64 > 3, "the rung goes on");
}

#[test]
fn sound_alone_is_a_variant_of_its_own() {
    let mut stage = Stage::new(|plan| plan.facts.video = None);
    stage.sound_until(START + MediaTime::from_millis(16_100), true);
    let listed = stage.listed("audio");
    assert!(listed.segments.len() == 8 || listed.segments.len() == 7, "{listed:?}");
    let text = stage.index(Index::H264).unwrap();
    assert!(text.contains("audio.m3u8") && !text.contains("EXT-X-MEDIA:"), "{text}");
    assert!(stage.index(Index::Ts).unwrap().contains("audio.ts.m3u8"));
    assert!(stage.rendition("audio").ts_segment(1).unwrap().len().is_multiple_of(188));
}

#[test]
fn what_left_the_playlist_stays_for_its_length_and_is_then_forgotten() {
    let mut stage = Stage::new(|_| {});
    stage.send(30 * 100, 60, true);
    let (rendition, listed) = (stage.rendition("source"), stage.listed("source"));
    assert!(listed.first_msn > 20 && listed.segments.len() >= 15);
    let gone = listed.first_msn - 1;
    assert!(
        rendition.segment(gone).is_some() && rendition.part(gone, 0).is_some() && rendition.ts_segment(gone).is_some()
    );
    assert!(rendition.segment(listed.first_msn - 15).is_some(), "thirty seconds later still");
    assert!(rendition.segment(0).is_none(), "memory is bounded");
}

#[test]
fn every_playlist_reports_the_others() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(121, 60, true);
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(60));
    stage.send(20, 60, true);
    let text = stage.text("source");
    assert_eq!(read_playlist(text.as_bytes()).reports, 2);
    assert!(text.contains("RENDITION-REPORT:URI=\"180p.m3u8\",LAST-MSN=0,LAST-PART=9"), "{text}");
}

#[test]
fn a_report_is_never_old_over_the_start_of_a_segment() {
    let mut stage = Stage::new(|plan| plan.rungs = vec![rung("180p", RATE)]);
    stage.send(61, 60, true);
    let config = video_config(9, VideoCodec::H264);
    stage.encode("180p", &config, START, START + RATE.time_of(30));
    // The rung says nothing more while the source begins its next segment.
    stage.send(20, 60, true);
    let text = stage.text("180p");
    assert!(text.contains("RENDITION-REPORT:URI=\"source.m3u8\",LAST-MSN=1,LAST-PART=0"), "{text}");
}

#[test]
fn irregular_frame_times_end_passthrough_but_one_does_not() {
    let mut stage = Stage::new(|_| {});
    stage.send(65, 60, true);
    stage.frame += 3;
    stage.send(100, 60, true);
    assert!(!stage.cues.iter().any(|c| matches!(c, Cue::Withdraw { .. })));
    for _ in 0..3 {
        stage.frame += 3;
        stage.send(17, 60, true);
    }
    stage.send(120, 60, true);
    assert!(stage.cues.iter().any(|c| matches!(c, Cue::Withdraw { reason, .. } if reason.contains("CFR"))));
}

#[test]
fn the_prober_knows_a_source_in_half_a_second_and_keeps_every_unit() {
    let (mut prober, now) = (Prober::new(), Instant::now());
    let config = video_config(0, VideoCodec::H264);
    let mut facts = None;
    let mut pushed = 0;
    for n in 0..60 {
        let at = MediaTime::from_millis((n * 1000 + 15) / 30);
        for unit in [frame(at), picture(&config, at, n == 0)] {
            pushed += 1;
            facts = prober.push(FeedItem::Unit(unit), now + Duration::from_millis(n as u64 * 33));
            if facts.is_some() {
                break;
            }
        }
        if facts.is_some() {
            break;
        }
    }
    let video = facts.unwrap().video.unwrap();
    assert_eq!(video.frame_rate, RATE);
    assert!(video.passthrough.is_ok());
    assert!(pushed <= 16, "{pushed}");
    assert_eq!(prober.into_items().len(), pushed);
}

#[test]
fn the_prober_does_not_wait_for_a_track_that_never_comes() {
    let (mut prober, now) = (Prober::new(), Instant::now());
    assert!(prober.push(FeedItem::Unit(frame(START)), now).is_none());
    assert!(prober.tick(now + Duration::from_millis(1900)).is_none());
    let facts = prober.tick(now + Duration::from_millis(2000)).unwrap();
    assert!(facts.video.is_none() && facts.audio.is_some());
}

#[test]
fn a_patient_prober_waits_for_pictures_that_were_announced() {
    let sound = FeedItem::Unit(frame(START));
    let announced = || FeedItem::Announced(Announced { video: Some(true), ..Announced::default() });
    for (mut prober, waits) in [(Prober::patient(), true), (Prober::new(), false)] {
        let now = Instant::now();
        prober.push(announced(), now);
        prober.push(sound.clone(), now);
        let known = prober.tick(now + Duration::from_secs(3));
        assert_eq!(known.is_none(), waits);
        if waits {
            let late = now + Duration::from_secs(8);
            let picture = picture(&video_config(7, VideoCodec::H264), START, true);
            assert!(prober.push(FeedItem::Unit(picture), late).is_none(), "its rate is not known yet");
            let facts = prober.tick(late + Duration::from_secs(2)).expect("the time is up");
            assert!(facts.video.is_some() && facts.audio.is_some());
        }
    }
}

#[test]
fn the_prober_says_how_to_cure_a_source_that_can_not_be_passed_through() {
    let (mut prober, now) = (Prober::new(), Instant::now());
    let mut config = VideoConfig::clone(&video_config(0, VideoCodec::H264));
    config.is_interlaced = true;
    let config = Arc::new(config);
    let facts = (0..20).find_map(|n| {
        prober.push(FeedItem::Unit(frame(RATE.time_of(n))), now);
        prober.push(FeedItem::Unit(picture(&config, RATE.time_of(n), n == 0)), now)
    });
    let reason = facts.unwrap().video.unwrap().passthrough.unwrap_err();
    assert!(reason.contains("interlaced") && reason.contains("progressive"), "{reason}");
}

#[test]
fn a_mean_rate_far_below_the_usual_one_means_pictures_are_left_out() {
    let reason = |announced: f64| {
        let (mut prober, now) = (Prober::new(), Instant::now());
        let announced = Announced { frame_rate: Some(announced), ..Announced::default() };
        prober.push(FeedItem::Announced(announced), now);
        let config = video_config(0, VideoCodec::H264);
        let facts = (0..60).find_map(|n| {
            prober.push(FeedItem::Unit(frame(RATE.time_of(n))), now);
            prober.push(FeedItem::Unit(picture(&config, RATE.time_of(n), n == 0)), now)
        });
        facts.unwrap().video.unwrap().passthrough
    };
    assert!(reason(17.3).unwrap_err().contains("constant frame rate"));
    assert_eq!(reason(25.0), Ok(()), "a rounded or slightly lower mean is no sign");
    assert_eq!(reason(0.0), Ok(()), "a rate that is not known is no sign");
}
