//! Properties of the cutter and the packager over any sequence of units: random key frames, B-frames, losses, breaks, jumps,
//! tracks that stop, rungs that lag or miss their boundaries.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod kit;

use bytes::Bytes;
use kit::{Clock, Listed, decode_runs, judge_parts, plan, rung};
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, VideoCodec, VideoConfig};
use packager::{AudioFacts, Cue, Packager, SourceFacts, VideoFacts, Window};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const RATES: [(u32, u32); 5] = [(30, 1), (25, 1), (24_000, 1001), (60, 1), (15, 1)];

/// What a made-up source does, one step per group of pictures.
#[derive(Debug, Clone)]
struct Gop {
    frames: usize,
    /// Leave out so many pictures after the fifth.
    missing: usize,
    event: Event,
    /// The rung's share: it is late by so many source units, or misses its IDR.
    rung_misses: bool,
    audio: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Nothing,
    Break,
    /// The timeline jumps forward by milliseconds, with a break.
    Jump(i64),
    NewConfig,
    /// The publisher is gone for so many milliseconds.
    Away(i64),
}

fn gops() -> impl Strategy<Value = Vec<Gop>> {
    let event = prop_oneof![
        20 => Just(Event::Nothing),
        1 => Just(Event::Break),
        1 => (1i64..30_000).prop_map(Event::Jump),
        1 => Just(Event::NewConfig),
        1 => (100i64..15_000).prop_map(Event::Away),
    ];
    let gop = (
        1usize..150,
        prop_oneof![8 => Just(0usize), 1 => 1usize..60],
        event,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
    );
    let gop =
        gop.prop_map(|(frames, missing, event, rung_misses, audio)| Gop { frames, missing, event, rung_misses, audio });
    prop::collection::vec(gop, 1..25)
}

fn video_config(n: u8) -> Arc<VideoConfig> {
    Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from(vec![1, 0x64, 0, n, 0xff, 0xe0, 0]),
        nal_length_size: 4,
        width: 320,
        height: 180,
        sample_aspect: (1, 1),
        codecs: "avc1.64001f".into(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    })
}

fn audio_config(rate: u32) -> Arc<AudioConfig> {
    Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: rate,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    })
}

/// A packager under test, with everything any of its playlists ever said.
struct Bench {
    packager: Packager,
    window: Arc<Window>,
    seen: BTreeMap<(String, u64), (kit::ListedSegment, u64)>,
    headers: BTreeMap<String, Listed>,
    boundaries: Vec<(u64, MediaTime, bool)>,
    rung: FrameRate,
    rung_slot: i64,
}

impl Bench {
    fn cues(&mut self, cues: &[Cue]) {
        for cue in cues {
            if let Cue::Boundary { msn, at, discontinuity } = cue {
                if let Some((last, before, _)) = self.boundaries.last() {
                    assert_eq!(*msn, last + 1, "numbers go on and never repeat");
                    assert!(at > before, "boundaries go forward");
                }
                self.boundaries.push((*msn, *at, *discontinuity));
            }
        }
    }

    /// Feeds the rung up to `until` from the newest boundary on.
    fn encode(&mut self, from: usize, until: MediaTime, misses: bool) {
        for (index, (_, at, _)) in self.boundaries.clone().iter().enumerate().skip(from) {
            let end = self.boundaries.get(index + 1).map_or(until, |b| b.1);
            let first = if index == from { self.rung_slot } else { 0 };
            let count = self.rung.frames_in(end - *at).max(1);
            for slot in first..count {
                let late = MediaTime::from_ticks(if misses && slot == 0 { 7 } else { 0 });
                let pts = *at + self.rung.time_of(slot) + late;
                let unit = AccessUnit {
                    config: Config::Video(video_config(99)),
                    dts: pts,
                    pts,
                    sync: slot == 0,
                    data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
                };
                self.packager.encoded("180p", unit);
            }
            self.rung_slot = count.max(first);
        }
    }

    /// Judges every playlist, and that nothing listed before has changed.
    fn look(&mut self) {
        for rendition in self.window.renditions() {
            let playlist = rendition.playlist().borrow().clone();
            let least = if rendition.id() == "audio" { 0.7 } else { 0.85 };
            let listed = judge_parts(playlist.full.text(), least);
            let mut discontinuities = listed.discontinuity_sequence;
            for (index, segment) in listed.segments.iter().enumerate() {
                discontinuities += u64::from(segment.discontinuity);
                let key = (rendition.id().to_owned(), listed.first_msn + index as u64);
                let mut bare = segment.clone();
                bare.parts.clear();
                let before = self.seen.entry(key).or_insert_with(|| (bare.clone(), discontinuities));
                assert_eq!(*before, (bare, discontinuities), "a segment never changes once listed");
                if !segment.gap {
                    let msn = listed.first_msn + index as u64;
                    assert!(rendition.segment(msn).is_some(), "{} {msn} is listed and not there", rendition.id());
                }
            }
            if let Some(old) = self.headers.get(rendition.id()) {
                assert_eq!((old.target, old.part_target), (listed.target, listed.part_target));
                assert!(
                    old.first_msn <= listed.first_msn && old.discontinuity_sequence <= listed.discontinuity_sequence
                );
                assert!(old.first_msn + old.segments.len() as u64 <= listed.first_msn + listed.segments.len() as u64);
                if listed.first_msn > old.first_msn {
                    assert!(listed.segments.len() >= 6, "six segments stay");
                }
            }
            if let Some(delta) = &playlist.delta {
                let short = judge_parts(delta.text(), least);
                assert!(short.skipped > 0);
                assert_eq!(
                    short.segments,
                    listed.segments[short.skipped as usize..],
                    "a delta goes on with the same segments"
                );
                assert_eq!(
                    (short.first_msn, short.discontinuity_sequence, &short.hint),
                    (listed.first_msn, listed.discontinuity_sequence, &listed.hint)
                );
                let kept: f64 = short.segments.iter().map(|s| s.duration).sum();
                assert!(kept >= 6.0 * listed.target as f64 - 0.001, "{kept} s kept");
            }
            self.headers.insert(rendition.id().to_owned(), listed);
        }
    }
}

fn drive(gops: &[Gop], rate: (u32, u32), reorder: i64, audio_rate: u32, target_s: u8) {
    let rate = FrameRate { num: rate.0, den: rate.1 };
    let mut config = video_config(31);
    let sound = audio_config(audio_rate);
    let facts = SourceFacts {
        video: Some(VideoFacts { config: Arc::clone(&config), frame_rate: rate, bitrate_bps: 0, passthrough: Ok(()) }),
        audio: Some(AudioFacts { config: Arc::clone(&sound), passthrough: true }),
    };
    let mut plan = plan(facts);
    plan.target_s = target_s;
    plan.rungs = vec![rung("180p", rate)];
    let (packager, window) = Packager::new(plan);
    let mut bench = Bench {
        packager,
        window,
        seen: BTreeMap::new(),
        headers: BTreeMap::new(),
        boundaries: vec![],
        rung: rate,
        rung_slot: 0,
    };
    let mut clock = Clock::new();
    let mut start = MediaTime::from_millis(10_000);
    let mut spoken = 0i64;
    let mut sound_from = start;
    for (number, gop) in gops.iter().enumerate() {
        match gop.event {
            Event::Nothing => {}
            Event::Break => bench.packager.break_(),
            Event::Jump(ms) => {
                bench.packager.break_();
                start += MediaTime::from_millis(ms);
            }
            Event::NewConfig => config = video_config(32 + number as u8),
            Event::Away(ms) => {
                bench.packager.away();
                for step in 0..ms / 100 {
                    let now = clock.at(start) + Duration::from_millis(step as u64 * 100);
                    let cues = bench.packager.tick(now);
                    bench.cues(&cues);
                }
                start = bench.packager.resume_at(clock.at(start) + Duration::from_millis(ms as u64));
                bench.packager.break_();
            }
        }
        if start > sound_from + MediaTime::from_units(spoken * 1024, audio_rate) + MediaTime::from_millis(50) {
            (sound_from, spoken) = (start, 0);
        }
        for n in 0..gop.frames as i64 {
            if gop.missing > 0 && n > 5 && n <= 5 + gop.missing as i64 {
                continue;
            }
            // A plain group with one B-frame before each P-frame, in decode order, when there is reordering.
            let shown = if reorder == 0 || n == 0 {
                n
            } else if n % 2 == 1 && n + 1 < gop.frames as i64 {
                n + 1
            } else if n % 2 == 0 {
                n - 1
            } else {
                n
            };
            let millis = |t: MediaTime| MediaTime::from_millis((t.ticks() + 45) / 90);
            let pts = millis(start + rate.time_of(shown + reorder));
            let dts = millis(start + rate.time_of(n)).min(pts);
            let unit = AccessUnit {
                config: Config::Video(Arc::clone(&config)),
                dts,
                pts,
                sync: n == 0,
                data: Bytes::from_static(&[0, 0, 0, 1, 0x41]),
            };
            let from = bench.boundaries.len().saturating_sub(1);
            let cues = bench.packager.source(&unit, clock.at(dts));
            bench.cues(&cues);
            if bench.boundaries.len() > from + 1 {
                bench.encode(from, MediaTime::ZERO, gop.rung_misses);
            }
            while gop.audio && sound_from + MediaTime::from_units(spoken * 1024, audio_rate) <= dts {
                let pts = sound_from + MediaTime::from_units(spoken * 1024, audio_rate);
                spoken += 1;
                let unit = AccessUnit {
                    config: Config::Audio(Arc::clone(&sound)),
                    dts: pts,
                    pts,
                    sync: true,
                    data: Bytes::from_static(&[1, 2, 3]),
                };
                let cues = bench.packager.source(&unit, clock.at(dts));
                bench.cues(&cues);
            }
            if !gop.audio {
                spoken = ((dts - sound_from).ticks() * i64::from(audio_rate) / (MediaTime::HZ * 1024)).max(spoken);
            }
        }
        start += rate.time_of(gop.frames as i64);
        bench.look();
    }
    bench.packager.finish();
    bench.look();
    same_grid(&bench);
}

/// Every rendition lists the same numbers with the same breaks, and begins each segment within a frame of the plan.
fn same_grid(bench: &Bench) {
    let planned: BTreeMap<u64, (MediaTime, bool)> =
        bench.boundaries.iter().map(|(msn, at, disc)| (*msn, (*at, *disc))).collect();
    for rendition in bench.window.renditions() {
        let Some(last) = rendition.playlist().borrow().last_segment else { continue };
        let mut before: Option<packager::Segment> = None;
        let mut decoded: Option<u64> = None;
        for msn in 0..=last {
            let Some((listed, _)) = bench.seen.get(&(rendition.id().to_owned(), msn)) else { continue };
            assert_eq!(listed.discontinuity, planned[&msn].1, "{} {msn}", rendition.id());
            let Some(segment) = rendition.segment(msn) else {
                (before, decoded) = (None, None);
                continue;
            };
            decoded = decoded.filter(|_| !segment.discontinuity);
            let off = (segment.start - planned[&msn].0).abs();
            assert!(off <= MediaTime::from_millis(400), "{} {msn} begins {off:?} off the plan", rendition.id());
            if let Some(before) = before.filter(|b| !b.gap && !segment.gap && !segment.discontinuity) {
                assert!((segment.start - before.end()).abs() <= MediaTime::from_millis(70), "{} {msn}", rendition.id());
            }
            let mut end = segment.start;
            for part in segment.parts.iter() {
                assert_eq!(part.start, end, "parts touch");
                end += part.duration;
                for (from, until) in decode_runs(&part.data) {
                    let goes_on = rendition.id() == "audio" || decoded.is_none_or(|before| before == from);
                    assert!(goes_on, "{} {msn}: decoded from {from}, before it until {decoded:?}", rendition.id());
                    decoded = Some(until);
                }
                decoded = decoded.filter(|_| !part.gap);
            }
            assert_eq!(end, segment.end());
            before = Some(segment);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn any_source_gives_valid_playlists_on_one_grid(
        gops in gops(), rate in prop::sample::select(RATES.to_vec()), reorder in 0i64..2, audio_rate in prop::sample::select(vec![48_000u32, 44_100, 22_050]), target_s in prop::sample::select(vec![2u8, 4])
    ) {
        drive(&gops, rate, reorder, audio_rate, target_s);
    }
}
