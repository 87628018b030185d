//! What packaging costs per minute of stream: 1,800 pictures of 12.5 KB (3 Mb/s at 30 frames per second) and their sound,
//! with all playlists rendered.

use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, VideoCodec, VideoConfig};
use packager::{AudioFacts, Packager, SessionPlan, SourceFacts, VideoFacts, Window};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const RATE: FrameRate = FrameRate { num: 30, den: 1 };
const MINUTE: i64 = 1800;

fn main() {
    divan::main();
}

fn plan(units: &[AccessUnit]) -> SessionPlan {
    let video = units.iter().find_map(|u| u.video().cloned());
    let audio = units.iter().find_map(|u| u.audio().cloned());
    let facts = SourceFacts {
        video: video.map(|config| VideoFacts { config, frame_rate: RATE, bitrate_bps: 3_000_000, passthrough: Ok(()) }),
        audio: audio.map(|config| AudioFacts { config, passthrough: true }),
    };
    let (stream, session) = ("bench".to_owned(), "bench-1".to_owned());
    SessionPlan {
        stream,
        session,
        run: None,
        first_msn: 0,
        discontinuities: 0,
        target_s: 2,
        low_latency: true,
        facts,
        passthrough: true,
        rungs: vec![],
        audio_encoded: false,
        wall_start: SystemTime::now(),
    }
}

fn minute() -> Vec<AccessUnit> {
    let video = Config::Video(Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1, 0x64, 0, 31, 0xff, 0xe0, 0]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        codecs: "avc1.64001f".into(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    }));
    let audio = Config::Audio(Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    }));
    let start = MediaTime::from_millis(10_000);
    let picture = Bytes::from([&[0, 0, 0x30, 0xd4][..], &vec![0x41; 12_500]].concat());
    let (sound, mut out, mut sounds) = (Bytes::from(vec![7; 340]), Vec::new(), 0);
    for n in 0..MINUTE {
        let at = start + RATE.time_of(n);
        while start + MediaTime::from_units(sounds * 1024, 48_000) <= at {
            let pts = start + MediaTime::from_units(sounds * 1024, 48_000);
            sounds += 1;
            out.push(AccessUnit { config: audio.clone(), dts: pts, pts, sync: true, data: sound.clone() });
        }
        out.push(AccessUnit { config: video.clone(), dts: at, pts: at, sync: n % 60 == 0, data: picture.clone() });
    }
    out
}

fn package(units: &[AccessUnit]) -> Arc<Window> {
    let (mut packager, window) = Packager::new(plan(units));
    let begin = Instant::now();
    for unit in units {
        let now = begin + Duration::from_millis((unit.dts.as_millis() - 10_000) as u64);
        divan::black_box(packager.source(unit, now));
    }
    window
}

#[divan::bench(sample_count = 20)]
fn passthrough_minute(bencher: divan::Bencher) {
    bencher.with_inputs(minute).bench_refs(|units| package(units));
}

#[divan::bench(sample_count = 20)]
fn mpeg_ts_segment_of_two_seconds(bencher: divan::Bencher) {
    // A segment keeps its muxed form, so each run needs a window of its own.
    let units = minute();
    let first: Vec<_> = units.into_iter().take(600).collect();
    bencher
        .with_inputs(|| package(&first))
        .bench_refs(|window| window.rendition("source").and_then(|r| r.ts_segment(1)));
}

#[divan::bench(sample_count = 20)]
fn playlist_in_gzip(bencher: divan::Bencher) {
    let units = minute();
    bencher
        .with_inputs(|| package(&units))
        .bench_refs(|window| window.rendition("source").map(|r| r.playlist().borrow().full.gzip()));
}
