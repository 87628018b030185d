//! A made-up encoder: RTMP messages with the stamps and the content a script asks for.

use crate::script::{Fault, Trouble, Video};
use crate::{Random, Script, message};
use bytes::{BufMut, Bytes, BytesMut};
use media::{FrameRate, MediaTime};
use rtmp::amf0::{self, Value};

/// 640x360 at 25 fps, constrained baseline, made by x264.
const AVCC: [u8; 41] = [
    0x01, 0x42, 0xc0, 0x1e, 0xff, 0xe1, 0x00, 0x19, 0x67, 0x42, 0xc0, 0x1e, 0xd8, 0x90, 0x28, 0x0b, 0xfe, 0x5c, 0x04,
    0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x8b, 0x89, 0x80, 0x01, 0x00, 0x05, 0x68, 0xc8,
    0x88, 0xcb, 0x20,
];
/// Indices of sample rates in an AudioSpecificConfig.
const RATES: [(u32, u8); 4] = [(48_000, 3), (44_100, 4), (32_000, 5), (22_050, 7)];
const AUDIO: (u8, u8) = (8, 4);
const VIDEO: (u8, u8) = (9, 6);
const DATA: (u8, u8) = (18, 4);

pub(crate) struct Encoder {
    random: Random,
    video: Option<Video>,
    audio_hz: Option<u32>,
    announces_both: bool,
    first_stamp: u32,
    mask: u32,
    backlog_ms: i64,
    faults: Vec<Fault>,
    /// When publishing began, in virtual milliseconds.
    began_ms: Option<u64>,
    pictures: i64,
    /// Pictures since the last key frame that was made.
    since_key: u32,
    frames: i64,
    generation: u8,
    /// What the stamps were when they froze.
    frozen: Option<u32>,
    /// How far a clock that drifted has come away from time.
    drifted_ms: f64,
    at_ms: i64,
}

impl Encoder {
    pub fn new(script: &Script) -> Self {
        Self {
            random: Random::new(u64::from(script.first_stamp) ^ script.lasts_ms << 32),
            video: script.video,
            audio_hz: script.audio_hz,
            announces_both: script.announces_both,
            first_stamp: script.first_stamp,
            mask: if script.is_24_bit { 0xff_ffff } else { u32::MAX },
            backlog_ms: script.backlog_ms,
            faults: script.faults.clone(),
            began_ms: None,
            pictures: 0,
            since_key: 0,
            frames: 0,
            generation: 0,
            frozen: None,
            drifted_ms: 0.0,
            at_ms: 0,
        }
    }

    /// The encoder of a publisher that comes later: nothing waits in it.
    pub fn next(script: &Script, turn: usize, generation: u8) -> Self {
        let first_stamp = script.first_stamp.wrapping_add(turn as u32 * 12_345);
        Self { backlog_ms: 0, generation, first_stamp, ..Self::new(script) }
    }

    /// How often its configuration has changed.
    pub fn generation(&self) -> u8 {
        self.generation
    }

    /// What it sends by `now_ms`; it may not be asked before it may publish.
    pub fn emit(&mut self, now_ms: u64) -> Bytes {
        let mut out = BytesMut::new();
        let began = *self.began_ms.get_or_insert_with(|| {
            // What changed before it was there is not its own.
            self.faults.retain(|f| !(f.at_ms < now_ms && matches!(f.kind, Trouble::NewConfig | Trouble::SameConfig)));
            let generation = self.video.map(|_| self.generation);
            out.put_slice(&headers(generation, self.audio_hz, self.announces_both));
            now_ms
        });
        self.change_config(now_ms, &mut out);
        // Media time since its first unit: ahead of the wall by what was waiting before the connection was there.
        let until = (now_ms - began) as i64 + self.backlog_ms;
        for fault in self.active(now_ms) {
            if let Trouble::Drift(per_mille) = fault.kind {
                self.drifted_ms += (until - self.at_ms) as f64 * (per_mille - 1000) as f64 / 1000.0;
            }
        }
        self.at_ms = until;
        loop {
            let video = self.video.map(|v| rate(v).time_of(self.pictures).as_millis()).filter(|at| *at <= until);
            let audio = self.audio_hz.map(|hz| MediaTime::from_units(self.frames * 1024, hz).as_millis());
            let audio = audio.filter(|at| *at <= until);
            match (video, audio) {
                (None, None) => break,
                (Some(video), audio) if audio.is_none_or(|audio| video <= audio) => {
                    self.picture(video, now_ms, &mut out)
                }
                (_, audio) => self.sound(audio.unwrap_or_default(), now_ms, &mut out),
            }
        }
        out.freeze()
    }

    fn active(&self, now_ms: u64) -> Vec<Fault> {
        let is_active = |f: &&Fault| (f.at_ms..f.at_ms + f.lasts_ms).contains(&now_ms);
        self.faults.iter().filter(is_active).copied().collect()
    }

    fn change_config(&mut self, now_ms: u64, out: &mut BytesMut) {
        let before = self.faults.len();
        let mut is_new = false;
        self.faults.retain(|f| {
            let is_due = f.at_ms <= now_ms && matches!(f.kind, Trouble::NewConfig | Trouble::SameConfig);
            is_new |= is_due && f.kind == Trouble::NewConfig;
            !is_due
        });
        if self.faults.len() < before && self.video.is_some() {
            self.generation += u8::from(is_new);
            // A new configuration comes with a key frame.
            self.since_key = if is_new { 0 } else { self.since_key };
            out.put_slice(&message(VIDEO.0, VIDEO.1, 0, avcc(self.generation)));
        }
    }

    fn stamp(&mut self, at_ms: i64, now_ms: u64, is_audio: bool) -> u32 {
        let mut stamp = i64::from(self.first_stamp) + at_ms + self.drifted_ms as i64;
        for fault in self.faults.iter().filter(|f| f.at_ms <= now_ms) {
            match fault.kind {
                Trouble::Jump(by) => stamp += by,
                Trouble::Skew(by) if is_audio => stamp += by,
                _ => {}
            }
        }
        let stamp = stamp as u32 & self.mask;
        if self.active(now_ms).iter().any(|f| f.kind == Trouble::Freeze) {
            return *self.frozen.get_or_insert(stamp);
        }
        self.frozen = None;
        stamp
    }

    fn picture(&mut self, at_ms: i64, now_ms: u64, out: &mut BytesMut) {
        let Some(video) = self.video else { return };
        let active = self.active(now_ms);
        let has = |kind: Trouble| active.iter().any(|f| f.kind == kind);
        let is_key = self.since_key.is_multiple_of(video.gop.max(1)) && !has(Trouble::NoKeyframes);
        let n = self.since_key % video.gop.max(1);
        self.pictures += 1;
        self.since_key = if is_key { 1 } else { self.since_key + 1 };
        let loss = active.iter().find_map(|f| if let Trouble::Loss(percent) = f.kind { Some(percent) } else { None });
        let is_lost = loss.is_some_and(|percent| self.random.percent(percent));
        if is_lost || has(Trouble::NoVideo) || has(Trouble::Pause) {
            return;
        }
        let frame_ms = rate(video).time_of(1).as_millis() as i32;
        let composition = match (video.reorders, is_key, n % 2) {
            (false, ..) => 0,
            (true, true, _) => frame_ms,
            // Nothing is shown behind the next key frame.
            (true, false, 1) if n + 1 == video.gop => frame_ms,
            (true, false, 1) => 2 * frame_ms,
            (true, false, _) => 0,
        };
        let composition = if has(Trouble::OddComposition) { self.random.bits() as i32 >> 8 } else { composition };
        let mut payload = vec![if is_key { 0x17 } else { 0x27 }, 1];
        payload.extend(&composition.to_be_bytes()[1..]);
        let size = self.random.range(2, if is_key { 3_000 } else { 300 }) as usize;
        payload.extend((size as u32).to_be_bytes());
        payload.push(if is_key { 0x65 } else { 0x41 });
        payload.resize(payload.len() + size - 1, 0x5a);
        self.damage(&mut payload, &active);
        let stamp = self.stamp(at_ms, now_ms, false);
        out.put_slice(&message(VIDEO.0, VIDEO.1, stamp, payload));
    }

    fn sound(&mut self, at_ms: i64, now_ms: u64, out: &mut BytesMut) {
        self.frames += 1;
        let active = self.active(now_ms);
        if active.iter().any(|f| matches!(f.kind, Trouble::NoAudio | Trouble::Pause)) {
            return;
        }
        let mut payload = vec![0xaf, 1];
        payload.resize(self.random.range(3, 60) as usize, 0x21);
        self.damage(&mut payload, &active);
        let stamp = self.stamp(at_ms, now_ms, true);
        out.put_slice(&message(AUDIO.0, AUDIO.1, stamp, payload));
    }

    fn damage(&mut self, payload: &mut Vec<u8>, active: &[Fault]) {
        if active.iter().any(|f| f.kind == Trouble::Damage) && self.random.percent(20) {
            let at = self.random.range(1, payload.len() as i64) as usize;
            payload[at] ^= self.random.bits() as u8;
            if self.random.percent(20) {
                payload.truncate(at);
            }
        }
    }
}

fn rate(video: Video) -> FrameRate {
    FrameRate { num: video.fps.0, den: video.fps.1 }
}

fn avcc(generation: u8) -> Vec<u8> {
    let mut record = AVCC;
    record[3] += generation;
    [&[0x17, 0, 0, 0, 0], &record[..]].concat()
}

/// Metadata and configurations.
fn headers(generation: Option<u8>, audio_hz: Option<u32>, announces_both: bool) -> Bytes {
    let mut entries: Vec<(String, Value)> = Vec::new();
    if generation.is_some() || announces_both {
        entries.push(("width".into(), 640.0.into()));
    }
    if audio_hz.is_some() || announces_both {
        entries.push(("audiocodecid".into(), 10.0.into()));
    }
    let mut data = BytesMut::new();
    for value in ["@setDataFrame".into(), "onMetaData".into(), Value::Object(entries)] {
        amf0::write(&mut data, &value);
    }
    let mut out = BytesMut::from(&message(DATA.0, DATA.1, 0, data.to_vec())[..]);
    if let Some(generation) = generation {
        out.put_slice(&message(VIDEO.0, VIDEO.1, 0, avcc(generation)));
    }
    if let Some((_, index)) = audio_hz.and_then(|hz| RATES.iter().find(|(rate, _)| *rate == hz)) {
        let record = [2 << 3 | index >> 1, index << 7 | 2 << 3];
        out.put_slice(&message(AUDIO.0, AUDIO.1, 0, [&[0xaf, 0], &record[..]].concat()));
    }
    out.freeze()
}
