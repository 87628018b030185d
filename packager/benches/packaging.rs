//! What packaging costs per minute of stream: 1,800 pictures of 12.5 KB (3 Mb/s at 30 frames per second) and their sound,
//! with all playlists rendered. And what it costs to lay out four hours as an MP4 file.

use bytes::Bytes;
use media::{AccessUnit, AudioCodec, AudioConfig, ColorInfo, Config, FrameRate, MediaTime, VideoCodec, VideoConfig};
use packager::{AudioFacts, Movie, MovieTrack, Packager, SessionPlan, SourceFacts, VideoFacts, Window};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const RATE: FrameRate = FrameRate { num: 30, den: 1 };
const DOUBLE_RATE: FrameRate = FrameRate { num: 60, den: 1 };

fn main() {
    divan::main();
}

fn plan(units: &[AccessUnit], frame_rate: FrameRate) -> SessionPlan {
    let video = units.iter().find_map(|u| u.video().cloned());
    let audio = units.iter().find_map(|u| u.audio().cloned());
    let facts = SourceFacts {
        video: video.map(|config| VideoFacts { config, frame_rate, bitrate_bps: 3_000_000, passthrough: Ok(()) }),
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
    source(RATE, 60)
}

/// A key frame every two seconds.
fn source(rate: FrameRate, seconds: i64) -> Vec<AccessUnit> {
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
    for n in 0..rate.frames_in(MediaTime::from_millis(1000 * seconds)) {
        let at = start + rate.time_of(n);
        while start + MediaTime::from_units(sounds * 1024, 48_000) <= at {
            let pts = start + MediaTime::from_units(sounds * 1024, 48_000);
            sounds += 1;
            out.push(AccessUnit { config: audio.clone(), dts: pts, pts, sync: true, data: sound.clone() });
        }
        out.push(AccessUnit {
            config: video.clone(),
            dts: at,
            pts: at,
            sync: n % i64::from(2 * rate.num) == 0,
            data: picture.clone(),
        });
    }
    out
}

fn package(units: &[AccessUnit], rate: FrameRate) -> Arc<Window> {
    let (mut packager, window) = Packager::new(plan(units, rate));
    let begin = Instant::now();
    for unit in units {
        let now = begin + Duration::from_millis((unit.dts.as_millis() - 10_000) as u64);
        divan::black_box(packager.source(unit, now));
    }
    window
}

#[divan::bench(sample_count = 20)]
fn passthrough_minute(bencher: divan::Bencher) {
    bencher.with_inputs(minute).bench_refs(|units| package(units, RATE));
}

#[divan::bench(sample_count = 20)]
fn mpeg_ts_segment_of_two_seconds(bencher: divan::Bencher) {
    // A segment keeps its muxed form, so each run needs a window of its own.
    let units = minute();
    let first: Vec<_> = units.into_iter().take(600).collect();
    bencher
        .with_inputs(|| package(&first, RATE))
        .bench_refs(|window| window.rendition("source").and_then(|r| r.ts_segment(1)));
}

#[divan::bench(sample_count = 20)]
fn playlist_in_gzip(bencher: divan::Bencher) {
    let units = minute();
    bencher
        .with_inputs(|| package(&units, RATE))
        .bench_refs(|window| window.rendition("source").map(|r| r.playlist().borrow().full.gzip()));
}

/// One chunk without its payload: `moof`, and how long the payload is.
type Head = (Vec<u8>, u64);

/// The heads of four hours of a rendition's chunks: those of eight seconds, in which both grids meet, again and again.
fn four_hours(window: &Window, id: &str, timescale: u64) -> Vec<Head> {
    let rendition = window.rendition(id).expect("it was packaged");
    let parts = (0..4).filter_map(|msn| rendition.segment(msn)).flat_map(|segment| segment.parts.to_vec());
    let heads: Vec<Head> = parts
        .map(|part| {
            let size = u32::from_be_bytes(part.data[..4].try_into().expect("a size")) as usize;
            (part.data[..size].to_vec(), (part.data.len() - size - 8) as u64)
        })
        .collect();
    let later = |(moof, payload_bytes): &Head, turn: u64| {
        let mut moof = moof.clone();
        let at = moof.windows(4).position(|w| w == b"tfdt").expect("it has a time") + 8;
        let time = u64::from_be_bytes(moof[at..at + 8].try_into().expect("64 bits")) + turn * 8 * timescale;
        moof[at..at + 8].copy_from_slice(&time.to_be_bytes());
        (moof, *payload_bytes)
    };
    (0..4 * 3600 / 8).flat_map(|turn| heads.iter().map(move |head| later(head, turn))).collect()
}

#[divan::bench(sample_count = 20)]
fn mp4_of_four_hours_at_60_pictures(bencher: divan::Bencher) {
    let window = package(&source(DOUBLE_RATE, 12), DOUBLE_RATE);
    let renditions = [("source", 90_000), ("audio", 48_000)];
    let recorded = renditions.map(|(id, timescale)| {
        let init = window.rendition(id).and_then(|rendition| rendition.init(0)).expect("it was packaged");
        (init, four_hours(&window, id, timescale))
    });
    bencher.bench(|| {
        let tracks = recorded.iter().map(|(init, heads)| {
            let mut track = MovieTrack::new(init).expect("an init section of ours");
            heads.iter().for_each(|(moof, bytes)| track.push(moof, *bytes).expect("a chunk of ours"));
            track
        });
        let movie = Movie::new(tracks.collect(), "Four hours", SystemTime::UNIX_EPOCH).expect("a file");
        assert!(movie.size_bytes() > 4 << 30);
        movie
    });
}
