//! How a worker is replaced while it works: another one is started beside it and given everything from a keyframe on; from
//! the first boundary both can make, what they give is held here, until each rung has shown that the other one goes on there.
//! Then the other one's pictures are published from that boundary on, or, when it fails, the first one's. Pure.

use crate::gate::Refusal;
use crate::memory::Step;
use crate::transcoder::{Output, State};
use bytes::Bytes;
use media::wire::FromWorker;
use media::{AccessUnit, AudioConfig, Config, MediaTime, aac};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From its start to the boundary; keyframes of encoders as they ship are 8.3 s apart.
const BEGIN_MAX: Duration = Duration::from_secs(30);
/// From that boundary to every rung's picture of it. Rungs are late for so long when it fails; they list gaps after eight seconds.
const TAKE_OVER_MAX: Duration = Duration::from_secs(4);
/// Messages of either worker that are held: seconds of a large ladder. More than time allows for.
const HELD_MAX: usize = 4_096;
const HELD_BYTES_MAX: usize = 64 << 20;
/// An AAC frame that begins less than half a frame after the one before would lie over it.
const HALF_FRAME: MediaTime = MediaTime::from_millis(11);

/// A worker that is to take over, and what is held back for it.
#[derive(Debug)]
pub(crate) struct Succession {
    /// Number of the worker that is to take over.
    pub heir: u32,
    pub pid: Option<u32>,
    begun: Instant,
    /// The boundary it takes over at, and since when that is known.
    at: Option<(MediaTime, Instant)>,
    /// From the boundary on, of the worker at work.
    kept: Held,
    /// From the boundary on, of the one that is to take over, and its parameter sets.
    held: Held,
}

#[derive(Debug, Default)]
struct Held {
    messages: Vec<FromWorker>,
    bytes: usize,
    rungs: BTreeSet<u8>,
    has_sound: bool,
}

impl Held {
    fn add(&mut self, message: FromWorker) {
        match &message {
            FromWorker::Picture { rung, data, .. } => {
                self.bytes += data.len();
                self.rungs.insert(*rung);
            }
            FromWorker::Frame { data, .. } => {
                self.bytes += data.len();
                self.has_sound = true;
            }
            _ => {}
        }
        self.messages.push(message);
    }

    fn is_full(&self) -> bool {
        self.messages.len() > HELD_MAX || self.bytes > HELD_BYTES_MAX
    }
}

/// Encoded sound over all workers.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    config: Option<Arc<AudioConfig>>,
    /// Frames before it are not wanted.
    pub from: Option<MediaTime>,
    newest: Option<MediaTime>,
}

impl Sound {
    /// Another worker begins, whose frames are wanted from here on.
    pub fn restart(&mut self, from: Option<MediaTime>) {
        (self.from, self.newest) = (from, None);
    }

    fn configure(&mut self, record: &Bytes) -> Result<(), String> {
        let config = aac::parse_config(record).ok().filter(AudioConfig::is_passthrough);
        let config = config.ok_or("it sent an impossible audio configuration")?;
        if self.config.as_deref() != Some(&config) {
            self.config = Some(Arc::new(config));
        }
        Ok(())
    }
}

impl State {
    /// A worker of this number is to take over from the one at work.
    pub fn begin_succession(&mut self, heir: u32, now: Instant) {
        let (kept, held) = (Held::default(), Held::default());
        self.succession = Some(Succession { heir, pid: None, begun: now, at: None, kept, held });
    }

    /// A worker's process has started.
    pub fn started(&mut self, number: u32, pid: u32) {
        match &mut self.succession {
            Some(succession) if succession.heir == number => succession.pid = Some(pid),
            _ => self.pid = Some(pid),
        }
    }

    /// Looks at the memory of a worker that holds `resident` bytes. One without rungs shows nothing, so another one need not
    /// take over: it is killed at the limit.
    pub fn look_at_memory(&mut self, number: u32, resident: u64, now: Instant) -> Option<Step> {
        if number != self.at_work {
            return (resident > self.memory.max()).then_some(Step::Kill);
        }
        let is_replaceable = self.succession.is_none() && !self.rungs.is_empty() && !self.finish;
        self.memory.look(resident, is_replaceable, now)
    }

    /// The worker of this number has anything to do here.
    pub fn employs(&self, number: u32) -> bool {
        number == self.at_work || self.is_heir(number)
    }

    /// It is the one that is to take over.
    pub fn is_heir(&self, number: u32) -> bool {
        self.succession.as_ref().is_some_and(|succession| succession.heir == number)
    }

    /// A worker has started and can work.
    pub fn ready(&mut self, number: u32) {
        if self.is_heir(number) {
            self.intake.invite_heir();
        }
    }

    /// Ends a succession that is under way; the worker at work goes on. `false` when none is.
    pub fn abandon_succession(&mut self) -> bool {
        let Some(succession) = self.succession.take() else { return false };
        self.intake.dismiss_heir();
        self.released.extend(succession.kept.messages);
        metrics::counter!("weir_transcoder_successions_total", "result" => "abandoned").increment(1);
        true
    }

    /// The succession has taken too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.succession.as_ref().is_some_and(|succession| {
            let (since, most) =
                succession.at.map_or((succession.begun, BEGIN_MAX), |(_, known)| (known, TAKE_OVER_MAX));
            now.saturating_duration_since(since) > most
        })
    }

    /// Takes media of a worker: what is to be published now, in order.
    ///
    /// # Errors
    /// Why the worker broke its promises and must end.
    pub fn hear(&mut self, number: u32, message: FromWorker, now: Instant) -> Result<Vec<Output>, String> {
        let takes_over = self.intake.heir_takes_over();
        let Some(succession) = &mut self.succession else {
            let mut outputs = Vec::new();
            // What was held back for one that failed comes first.
            for message in std::mem::take(&mut self.released).into_iter().chain([message]) {
                outputs.extend(self.accept(message)?);
            }
            return Ok(outputs);
        };
        if succession.at.is_none() {
            succession.at = takes_over.map(|at| (at, now));
        }
        let at = succession.at.map(|(at, _)| at);
        let is_from = |pts: MediaTime| at.is_some_and(|at| pts >= at);
        if number == succession.heir {
            let is_wanted = match &message {
                FromWorker::RungConfig { .. } | FromWorker::AudioConfig { .. } => true,
                FromWorker::Picture { pts, .. } => is_from(*pts),
                // The first may be needed that begins before the boundary.
                FromWorker::Frame { pts, .. } => is_from(*pts + HALF_FRAME + HALF_FRAME),
                _ => false,
            };
            if is_wanted {
                succession.held.add(message);
            }
        } else {
            let is_later = match &message {
                FromWorker::RungConfig { .. } | FromWorker::AudioConfig { .. } => at.is_some(),
                FromWorker::Picture { pts, .. } | FromWorker::Frame { pts, .. } => is_from(*pts),
                _ => false,
            };
            if !is_later {
                return Ok(self.accept(message)?.into_iter().collect());
            }
            succession.kept.add(message);
        }
        if succession.held.is_full() || succession.kept.is_full() {
            self.abandon_succession();
            return Ok(Vec::new());
        }
        // Only what the heir says completes it, so that one task alone gives out what it made, in order.
        match at.filter(|_| number == succession.heir) {
            Some(at) if self.is_complete() => self.succeed(at),
            _ => Ok(Vec::new()),
        }
    }

    /// Every rung at work, and the sound, has come from both workers.
    fn is_complete(&self) -> bool {
        let Some(Succession { kept, held, .. }) = &self.succession else { return false };
        let has = |rung: u8| kept.rungs.contains(&rung) && held.rungs.contains(&rung);
        (0u8..).zip(&self.rungs).all(|(rung, lane)| lane.rests || has(rung))
            && (!self.encodes_audio || kept.has_sound && held.has_sound)
    }

    fn succeed(&mut self, at: MediaTime) -> Result<Vec<Output>, String> {
        let Some(succession) = self.succession.take() else { return Ok(Vec::new()) };
        self.intake.succeed();
        (self.at_work, self.pid) = (succession.heir, succession.pid);
        for lane in self.rungs.iter_mut().filter(|lane| !lane.rests) {
            lane.from = lane.from.max(Some(at));
            lane.gate.restart(lane.from);
        }
        let sound_from = self.sound.newest.map(|newest| newest + HALF_FRAME);
        self.sound.restart(sound_from);
        metrics::counter!("weir_transcoder_successions_total", "result" => "done").increment(1);
        tracing::info!(pid = self.pid, ?at, "another worker has taken over");
        let mut outputs = Vec::new();
        for message in succession.held.messages {
            outputs.extend(self.accept(message)?);
        }
        Ok(outputs)
    }

    /// Believes nothing of what the worker at work says.
    fn accept(&mut self, message: FromWorker) -> Result<Option<Output>, String> {
        match message {
            FromWorker::RungConfig { rung, record } => {
                let known = self.rungs.get_mut(usize::from(rung)).is_some_and(|lane| lane.gate.configure(&record));
                if known { Ok(None) } else { Err("it sent parameter sets that don't fit its rung".to_owned()) }
            }
            FromWorker::Picture { rung, dts, pts, sync, data } => {
                let lane = self.rungs.get_mut(usize::from(rung)).ok_or("it sent a picture of a rung that is none")?;
                if lane.rests {
                    // On its way when the rung was shed.
                    return Ok(None);
                }
                match lane.gate.pass(self.intake.plan().rev(), dts, pts, sync, data) {
                    Ok(unit) => {
                        lane.newest = lane.newest.max(Some(pts));
                        Ok(Some(Output::Unit { rendition: Arc::clone(&lane.name), unit }))
                    }
                    Err(Refusal::Unwanted) => Ok(None),
                    Err(refusal) => {
                        let why = refusal.as_str();
                        metrics::counter!("weir_transcoder_pictures_refused_total", "why" => why).increment(1);
                        tracing::warn!(rung = %lane.name, ?pts, why, "encoded picture held back");
                        Ok(None)
                    }
                }
            }
            FromWorker::AudioConfig { record } => self.sound.configure(&record).map(|()| None),
            FromWorker::Frame { pts, data } => {
                let sound = &mut self.sound;
                let config = sound.config.as_ref().ok_or("it sent audio before its configuration")?;
                let wanted = sound.from.is_none_or(|from| pts >= from) && sound.newest.is_none_or(|last| pts > last);
                sound.newest = sound.newest.max(Some(pts));
                let unit = AccessUnit { config: Config::Audio(Arc::clone(config)), dts: pts, pts, sync: true, data };
                Ok(wanted.then(|| Output::Unit { rendition: "audio".into(), unit }))
            }
            FromWorker::Thumb { data } if data.starts_with(&[0xff, 0xd8]) => Ok(Some(Output::Thumb(data))),
            FromWorker::Thumb { .. } => Err("it sent a thumbnail that is no JPEG".to_owned()),
            other => Err(format!("it sent {other:?}, which is no media")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::Boundary;
    use crate::transcoder::TranscoderConfig;
    use media::{FrameRate, Rung, h264};

    const RATE: FrameRate = FrameRate { num: 30, den: 1 };
    /// 640x360 High, written by x264.
    const RECORD: &[u8] = &[
        1, 100, 0, 30, 255, 225, 0, 26, 103, 100, 0, 30, 172, 217, 64, 160, 47, 249, 112, 17, 0, 0, 3, 0, 1, 0, 0, 3,
        0, 60, 15, 22, 45, 150, 1, 0, 6, 104, 235, 227, 203, 34, 192, 253, 248, 248, 0,
    ];

    /// The time of a picture; every sixtieth begins a segment.
    fn at(slot: i64) -> MediaTime {
        MediaTime::from_millis(10_000) + RATE.time_of(slot)
    }

    /// A keyframe of the source, and the boundary it begins.
    fn keyframe(state: &mut State, slot: i64) {
        let config = Arc::new(h264::parse_config(&Bytes::from_static(RECORD)).expect("a record"));
        state.intake.boundary(Boundary { msn: 0, at: at(slot), discontinuity: false });
        let (dts, pts) = (at(slot), at(slot));
        state.intake.unit(
            AccessUnit { config: Config::Video(config), dts, pts, sync: true, data: Bytes::new() },
            MediaTime::ZERO,
        );
    }

    fn picture(slot: i64) -> FromWorker {
        let sync = slot % 60 == 0;
        let data = Bytes::copy_from_slice(&[0, 0, 0, 2, if sync { 0x65 } else { 0x41 }, 0x88]);
        FromWorker::Picture { rung: 0, dts: at(slot), pts: at(slot), sync, data }
    }

    fn parameters() -> FromWorker {
        FromWorker::RungConfig { rung: 0, record: Bytes::from_static(RECORD) }
    }

    /// Slots of the pictures that are published when a worker says this.
    fn hear(state: &mut State, number: u32, message: FromWorker, now: Instant) -> Vec<i64> {
        let outputs = state.hear(number, message, now).expect("honest workers");
        let slot = |output: Output| match output {
            Output::Unit { unit, .. } => RATE.frames_in(unit.pts - at(0)),
            other => panic!("{other:?}"),
        };
        outputs.into_iter().map(slot).collect()
    }

    /// Worker 0 has given one segment, and worker 1 is to take over at the next.
    fn during(now: Instant) -> State {
        let rung = Rung { name: "360p".to_owned(), width: 640, height: 360, frame_rate: RATE, bitrate_bps: 600_000 };
        let mut state = State::new(&TranscoderConfig { rungs: vec![rung], ..TranscoderConfig::new("test") });
        keyframe(&mut state, 0);
        hear(&mut state, 0, parameters(), now);
        for slot in 0..59 {
            assert_eq!(hear(&mut state, 0, picture(slot), now), [slot]);
        }
        state.begin_succession(1, now);
        state.ready(1);
        keyframe(&mut state, 60);
        state
    }

    #[test]
    fn a_successor_is_published_once_every_rung_has_come_from_both() {
        let now = Instant::now();
        let mut state = during(now);
        assert!(hear(&mut state, 1, parameters(), now).is_empty());
        assert!(hear(&mut state, 1, picture(60), now).is_empty(), "it may be faster");
        assert_eq!(hear(&mut state, 0, picture(59), now), [59], "what comes before the boundary is the first one's");
        assert!(hear(&mut state, 0, picture(60), now).is_empty());
        assert!(state.employs(0) && state.employs(1));
        assert_eq!(hear(&mut state, 1, picture(61), now), [60, 61]);
        assert!(!state.employs(0) && state.employs(1) && !state.is_heir(1));
        assert_eq!(hear(&mut state, 1, picture(62), now), [62]);
    }

    #[test]
    fn a_successor_that_fails_costs_a_moments_delay_and_nothing_else() {
        let now = Instant::now();
        let mut state = during(now);
        assert_eq!(hear(&mut state, 0, picture(59), now), [59]);
        assert!(hear(&mut state, 0, picture(60), now).is_empty());
        assert!(!state.is_overdue(now + TAKE_OVER_MAX));
        assert!(state.is_overdue(now + TAKE_OVER_MAX + Duration::from_millis(1)));
        assert!(state.abandon_succession() && !state.abandon_succession());
        assert_eq!(hear(&mut state, 0, picture(61), now), [60, 61]);
        assert!(state.employs(0) && !state.employs(1));
    }

    #[test]
    fn a_worker_without_rungs_or_with_a_successor_gets_none() {
        let now = Instant::now();
        let mut idle = State::new(&TranscoderConfig { memory_max: 100, ..TranscoderConfig::new("test") });
        assert_eq!(idle.look_at_memory(0, 90, now), None);
        assert_eq!(idle.look_at_memory(0, 101, now), Some(Step::Kill));
        let mut state = during(now);
        let most = state.memory.max();
        assert_eq!(state.look_at_memory(0, most / 10 * 9, now), None, "one is on its way");
        assert_eq!(state.look_at_memory(1, most + 1, now), Some(Step::Kill));
        state.abandon_succession();
        assert_eq!(state.look_at_memory(0, most / 10 * 9, now), Some(Step::Replace));
    }
}
