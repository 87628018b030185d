//! The promises every playlist keeps, whatever the publisher and the network do.

use crate::roof::{AHEAD, NOON};
use crate::script::{Fault, Parting, Trouble, Turn};
use crate::{Roof, Script, Story};
use ingest::Tally;
use std::collections::BTreeMap;

/// How far the date of a segment's end may be before the moment it is listed: what the network held back, and what a
/// worker and the rule for late renditions add.
const DATE_LATE_MS: i64 = 30_000;
/// How far after: media may be two seconds ahead of real time before it is held back, and dates follow slowly.
const DATE_AHEAD_MS: i64 = 4_000;
/// The most of a backlog that is caught up with: so much later than it was made its first picture came, from which dates run.
const BACKLOG_MAX_MS: i64 = 10_000;
/// A backlog is given a quarter faster than real time.
const CAUGHT_UP: i64 = 4;
/// A segment is dated where the one before ended: within two audio frames, a slewed and a rounded date, and a picture.
const DATE_APART_S: f64 = 0.12;
/// A rendition may be so many segments behind the newest when the server dies, and numbers go on behind those noted.
const BEHIND_MAX: u64 = 10;
/// Segments that a probe, a worker and the end of a show may cost.
const SEGMENTS_LESS: u64 = 3;
/// The same when nothing goes wrong: a segment, a part, a worker and the network's delay.
const HEALTHY_LATE_MS: i64 = 6_000;
/// A segment begins where the one before ended, if that is within a frame of the plan; this and a frame.
const START_APART_S: f64 = 0.45;

/// What a segment was when it was first listed.
#[derive(Debug, Clone, PartialEq)]
struct Listed {
    duration: f64,
    discontinuity: bool,
    gap: bool,
    /// Seconds since midnight.
    date: f64,
}

/// Reads all media playlists as they change.
pub struct Judge {
    script: Script,
    is_healthy: bool,
    apart_max: f64,
    date_apart_max: f64,
    ahead_max_ms: i64,
    /// By rendition, then media sequence number.
    seen: BTreeMap<String, BTreeMap<u64, Listed>>,
    first: BTreeMap<String, u64>,
    closed: BTreeMap<String, u64>,
    /// Renditions that a new start of the server has not listed yet, and the newest number before it.
    resumed: BTreeMap<String, u64>,
    is_closing: bool,
}

impl Judge {
    /// A judge who has seen nothing.
    pub fn new(script: &Script) -> Self {
        let frame = script.video.map_or(0.0, |v| f64::from(v.fps.1) / f64::from(v.fps.0));
        let (apart_max, date_apart_max) = (START_APART_S + frame, DATE_APART_S + frame);
        let (seen, first, closed, resumed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        // Stamps that are wrong may be given faster than real time too, until they are mended.
        let ahead_ms = if script.faults.is_empty() { script.backlog_ms.min(BACKLOG_MAX_MS) } else { BACKLOG_MAX_MS };
        // Who comes back begins a picture behind what was shown, at the soonest; with reordering that is one ahead itself.
        let pictures_ms = (frame * 2000.0) as i64 * script.turns.len() as i64;
        let ahead_max_ms = DATE_AHEAD_MS + ahead_ms + pictures_ms;
        let script = script.clone();
        Self {
            is_healthy: script.is_healthy(),
            script,
            apart_max,
            date_apart_max,
            ahead_max_ms,
            seen,
            first,
            closed,
            resumed,
            is_closing: false,
        }
    }

    /// The server was killed and is up again.
    pub fn restarted(&mut self) {
        let newest = |all: &BTreeMap<u64, Listed>| all.last_key_value().map(|(msn, _)| *msn);
        self.resumed = self.seen.iter().filter_map(|(id, all)| Some((id.clone(), newest(all)?))).collect();
        self.closed.clear();
    }

    /// Reads what has changed since the last look.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn look(&mut self, roof: &Roof, now_ms: u64) -> Result<(), String> {
        let Some(window) = roof.window() else { return Ok(()) };
        for rendition in window.renditions() {
            let playlist = rendition.playlist().borrow().clone();
            let newest = playlist.last_segment;
            if newest.is_none() || self.closed.get(rendition.id()).copied() == newest {
                continue;
            }
            self.closed.insert(rendition.id().to_owned(), newest.unwrap_or_default());
            let text = String::from_utf8_lossy(playlist.full.text()).into_owned();
            self.playlist(rendition.id(), &text, now_ms)
                .map_err(|what| format!("{}: {what}\n{text}", rendition.id()))?;
        }
        Ok(())
    }

    /// Looks for the last time, when all has ended, and compares the renditions.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn close(
        &mut self,
        roof: &Roof,
        tally: Option<&Tally>,
        closed: Option<&str>,
        now_ms: u64,
    ) -> Result<(), String> {
        self.is_closing = true;
        self.look(roof, now_ms)?;
        if let Some(tally) = tally.filter(|_| self.is_healthy) {
            self.untouched(roof, tally, closed)?;
        }
        self.as_few_breaks_as_turns(roof)?;
        // Sound proves that a congested publisher's stamps are true.
        let has_sound = self.script.audio_hz.is_some();
        let is_stalled = |fault: &Fault| match fault.kind {
            Trouble::Stall => true,
            Trouble::Congestion(_) => has_sound,
            _ => false,
        };
        if let Some(tally) = tally
            && self.script.backlog_ms <= BACKLOG_MAX_MS
            && self.script.faults.iter().all(is_stalled)
        {
            ensure(tally.breaks == 0 && tally.dropped() == 0, || format!("the network broke a clock: {tally:?}"))?;
        }
        let Some((one, of_one)) = self.seen.iter().next() else { return Ok(()) };
        for (other, of_other) in self.seen.iter().skip(1) {
            for (msn, a) in of_one {
                let Some(b) = of_other.get(msn) else { continue };
                if a.discontinuity != b.discontinuity {
                    return Err(format!("segment {msn} breaks in only one of {one} and {other}: {a:?} {b:?}"));
                }
                if (a.date - b.date).abs() > self.apart_max {
                    return Err(format!("segment {msn} begins at two times in {one} and {other}: {a:?} {b:?}"));
                }
            }
            let ends = [of_one, of_other].map(|all| all.last_key_value().map_or(0, |(msn, _)| *msn));
            // Numbers jump at a restart, and what nobody has listed since ends before the jump.
            let is_whole = self.resumed.keys().all(|id| id != one && id != other);
            if is_whole && ends[0].abs_diff(ends[1]) > 1 {
                return Err(format!("{one} ends with segment {}, {other} with {}\n{}", ends[0], ends[1], texts(roof)));
            }
        }
        Ok(())
    }

    /// A healthy publisher's show is whole: nothing broken, dropped or invented.
    fn untouched(&self, roof: &Roof, tally: &Tally, closed: Option<&str>) -> Result<(), String> {
        ensure(closed.is_none(), || format!("a healthy publisher was closed: {closed:?}"))?;
        let has_sound = self.script.audio_hz.is_some();
        let is_whole = tally.dropped() == 0 && tally.breaks == 0 && (tally.silent_units == 0 || !has_sound);
        ensure(is_whole, || format!("a healthy publisher's media was touched: {tally:?}"))?;
        let mut most = 0;
        for (id, of_one) in &self.seen {
            let breaks = of_one.values().filter(|listed| listed.discontinuity).count();
            // A source that can't be passed on as it is gets encoded behind a discontinuity; the end may lack a track.
            let is_torn = breaks > 0 && self.script.is_plain();
            // Sound that is announced and never comes is silence after a second, which may be too late for the first segment.
            let is_announced_only = id == "audio" && !has_sound;
            let gap = of_one.iter().rev().skip(1).find(|(_, listed)| listed.gap && !is_announced_only);
            ensure(gap.is_none() && !is_torn, || {
                format!("{id}: a healthy publisher has {breaks} discontinuities, gap {gap:?}\n{}", texts(roof))
            })?;
            most = most.max(of_one.len() as u64);
        }
        let least = (self.script.lasts_ms / 1000 / u64::from(self.script.target_s)).saturating_sub(SEGMENTS_LESS);
        ensure(most >= least, || format!("{most} segments, {least} were expected\n{}", texts(roof)))
    }

    /// Without a slate, a publisher that comes back as it was, or takes over so, needs no discontinuity. One that was mute may
    /// leave a hole; that, another encoding and another start of the server are one each.
    fn as_few_breaks_as_turns(&self, roof: &Roof) -> Result<(), String> {
        if !(self.script.is_untroubled() && self.script.is_plain()) {
            return Ok(());
        }
        // Without pictures, or with few in a second, a return may come too late for the segment that is open: a hole.
        let is_fluent = self.script.video.is_some_and(|v| v.fps.0 >= 5 * v.fps.1);
        let breaks_once =
            |turn: &&Turn| !is_fluent || turn.is_other || matches!(turn.parting, Parting::Mute | Parting::Restart);
        let most = self.script.turns.iter().filter(breaks_once).count();
        for (id, of_one) in &self.seen {
            let breaks = of_one.values().filter(|listed| listed.discontinuity).count();
            ensure(breaks <= most, || {
                format!("{id}: {breaks} discontinuities, {most} were expected at most\n{}", texts(roof))
            })?;
        }
        Ok(())
    }

    /// What was seen.
    pub fn story(&self) -> Story {
        let all = || self.seen.values().flat_map(BTreeMap::values);
        let discontinuities = all().filter(|s| s.discontinuity).count() as u64;
        Story { segments: all().count() as u64, discontinuities, closed: None }
    }

    fn playlist(&mut self, id: &str, text: &str, now_ms: u64) -> Result<(), String> {
        let seen = self.seen.entry(id.to_owned()).or_default();
        let (mut msn, mut target, mut part_target) = (0, 0.0, 0.0);
        let (mut date, mut discontinuity, mut gap, mut duration) = (None, false, false, None);
        let mut parts: Vec<f64> = Vec::new();
        for line in text.lines() {
            let (tag, value) = line.split_once(':').unwrap_or((line, ""));
            match tag {
                "#EXT-X-TARGETDURATION" => target = number(value)?,
                "#EXT-X-PART-INF" => part_target = attribute(value, "PART-TARGET=")?,
                "#EXT-X-MEDIA-SEQUENCE" => {
                    msn = number(value)? as u64;
                    let before = self.first.insert(id.to_owned(), msn).unwrap_or(msn);
                    ensure(msn >= before, || format!("the first number fell from {before} to {msn}"))?;
                }
                "#EXT-X-PROGRAM-DATE-TIME" => date = Some(of_day(value)?),
                "#EXT-X-DISCONTINUITY" => discontinuity = true,
                "#EXT-X-GAP" => gap = true,
                "#EXT-X-PART" => parts.push(attribute(value, "DURATION=")?),
                "#EXTINF" => duration = Some(number(value.trim_end_matches(','))?),
                _ if line.starts_with('#') || line.is_empty() => {}
                _ => {
                    let duration: f64 = duration.take().ok_or("a segment without a duration")?;
                    let date = date.take().ok_or("a segment without a date")?;
                    let listed = Listed { duration, discontinuity, gap, date };
                    ensure(duration > 0.0 && duration <= 1.5 * target, || format!("a duration of {duration}"))?;
                    ensure(duration.round() <= target, || format!("{duration} rounds to more than {target}"))?;
                    let sum: f64 = parts.iter().sum();
                    ensure(parts.is_empty() || (sum - duration).abs() < 0.001, || {
                        format!("parts of {sum} in {duration}")
                    })?;
                    ensure(parts.iter().all(|p| *p <= part_target + 1e-6), || format!("a part over {part_target}"))?;
                    match seen.get(&msn) {
                        Some(before) => {
                            ensure(*before == listed, || format!("segment {msn} was {before:?} and is {listed:?}"))?;
                        }
                        None => {
                            let next = seen.last_key_value().map_or(msn, |(last, _)| last + 1);
                            let is_next = match self.resumed.remove(id) {
                                Some(before) => msn > before && msn <= before + BEHIND_MAX + AHEAD,
                                None => msn == next,
                            };
                            ensure(is_next, || format!("segment {msn} is listed where {next} was expected"))?;
                            // A show that ends while its publisher is away may leave the end of the sound's last segment out.
                            let is_end = self.is_closing && listed.gap;
                            if let Some((last, before)) = seen.last_key_value()
                                && msn == last + 1
                                && !listed.discontinuity
                                && !is_end
                            {
                                let apart = listed.date - before.date - before.duration;
                                ensure(apart.abs() < self.date_apart_max, || {
                                    format!(
                                        "segment {msn} begins {apart} s from the end of the one before: {listed:?} {before:?}"
                                    )
                                })?;
                            }
                            let noon = NOON.as_secs() % 86_400;
                            let end_ms = ((listed.date + duration - noon as f64) * 1000.0) as i64;
                            let late = now_ms as i64 - end_ms;
                            let late_max = if self.is_healthy { HEALTHY_LATE_MS } else { DATE_LATE_MS };
                            let backlog_ms = self.script.backlog_ms;
                            let caught_up = CAUGHT_UP * backlog_ms + HEALTHY_LATE_MS;
                            let is_near = late + backlog_ms <= HEALTHY_LATE_MS;
                            if self.script.faults.is_empty()
                                && self.script.turns.is_empty()
                                && backlog_ms <= BACKLOG_MAX_MS
                            {
                                ensure(is_near || (now_ms as i64) < caught_up, || {
                                    format!("segment {msn} is listed {} ms after it was made", late + backlog_ms)
                                })?;
                            }
                            ensure((-self.ahead_max_ms..=late_max).contains(&late), || {
                                format!("segment {msn} is dated {late} ms before it was listed")
                            })?;
                            seen.insert(msn, listed);
                        }
                    }
                    (discontinuity, gap) = (false, false);
                    parts.clear();
                    msn += 1;
                }
            }
        }
        Ok(())
    }
}

/// All playlists, one after another.
fn texts(roof: &Roof) -> String {
    let renditions = roof.window().map(|window| window.renditions()).unwrap_or_default();
    let text = |playlist: &packager::Playlist| String::from_utf8_lossy(playlist.full.text()).into_owned();
    renditions.iter().map(|r| format!("{}:\n{}", r.id(), text(&r.playlist().borrow()))).collect()
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn attribute(list: &str, name: &str) -> Result<f64, String> {
    let value =
        list.split(',').find_map(|pair| pair.strip_prefix(name)).ok_or_else(|| format!("no {name} in {list}"))?;
    number(value)
}

/// Seconds since midnight of an ISO 8601 date.
fn of_day(date: &str) -> Result<f64, String> {
    let time = date.split_once('T').map_or("", |(_, time)| time).trim_end_matches('Z');
    let mut fields = time.split(':').map(number);
    let mut next = || fields.next().unwrap_or_else(|| Err(format!("{date} is no date")));
    Ok(next()? * 3600.0 + next()? * 60.0 + next()?)
}
