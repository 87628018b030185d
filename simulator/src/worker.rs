//! A made-up transcoding worker: every rung gets an IDR at each boundary and a picture in each slot behind it, late.

use bytes::Bytes;
use media::{AccessUnit, ColorInfo, Config, FrameRate, MediaTime, Rung, VideoCodec, VideoConfig};
use packager::Cue;
use std::sync::Arc;

/// Inside a worker media waits about this long.
const DELAY: MediaTime = MediaTime::from_millis(450);

pub(crate) struct Worker {
    rungs: Vec<Encoding>,
    boundaries: Vec<MediaTime>,
    /// The newest picture of the source.
    head: MediaTime,
}

struct Encoding {
    name: String,
    rate: FrameRate,
    config: Arc<VideoConfig>,
    /// The boundary it works on, and the next slot behind that.
    boundary: usize,
    slot: i64,
}

impl Worker {
    pub fn new(rungs: &[Rung]) -> Self {
        let mut worker = Self { rungs: Vec::new(), boundaries: Vec::new(), head: MediaTime::ZERO };
        rungs.iter().for_each(|rung| worker.add(&rung.name, rung.frame_rate));
        worker
    }

    /// One more rung, from the newest boundary on.
    pub fn add(&mut self, name: &str, rate: FrameRate) {
        let config = VideoConfig {
            codec: VideoCodec::H264,
            record: Bytes::from_static(&[1, 0x64, 0, 0x1e, 0xff, 0xe0, 0]),
            nal_length_size: 4,
            width: 640,
            height: 360,
            sample_aspect: (1, 1),
            codecs: "avc1.64001e".into(),
            bit_depth: 8,
            is_420: true,
            is_interlaced: false,
            frame_rate: None,
            color: ColorInfo::UNSPECIFIED,
        };
        let boundary = self.boundaries.len();
        self.rungs.push(Encoding { name: name.to_owned(), rate, config: Arc::new(config), boundary, slot: 0 });
    }

    /// What it encodes, the source first.
    pub fn rungs(&self) -> Vec<Rung> {
        let rung = |encoding: &Encoding| Rung {
            name: encoding.name.clone(),
            width: 640,
            height: 360,
            frame_rate: encoding.rate,
            bitrate_bps: 500_000,
        };
        let mut rungs: Vec<_> = self.rungs.iter().map(rung).collect();
        rungs.sort_by_key(|rung| rung.name != "source");
        rungs
    }

    pub fn cue(&mut self, cue: &Cue) {
        if let Cue::Boundary { at, .. } = cue {
            self.boundaries.push(*at);
        }
    }

    pub fn source(&mut self, unit: &AccessUnit) {
        self.head = self.head.max(unit.pts);
    }

    /// What has come out by now; `rest` with everything that is still inside.
    pub fn output(&mut self, rest: bool) -> Vec<(String, AccessUnit)> {
        let until = if rest { self.head } else { self.head - DELAY };
        let mut out = Vec::new();
        for rung in &mut self.rungs {
            while let Some(start) = self.boundaries.get(rung.boundary) {
                let at = *start + rung.rate.time_of(rung.slot);
                let next = self.boundaries.get(rung.boundary + 1);
                let half = MediaTime::from_ticks(rung.rate.time_of(1).ticks() / 2);
                if next.is_some_and(|next| at + half >= *next) {
                    (rung.boundary, rung.slot) = (rung.boundary + 1, 0);
                    continue;
                }
                if at > until {
                    break;
                }
                let sync = rung.slot == 0;
                rung.slot += 1;
                let config = Config::Video(Arc::clone(&rung.config));
                let data = Bytes::from_static(&[0, 0, 0, 1, 0x41]);
                out.push((rung.name.clone(), AccessUnit { config, dts: at, pts: at, sync, data }));
            }
        }
        out
    }
}
