//! When a session shows a slate, and when its publisher's media ends it. What is decided here reads no clock.
//!
//! A slate is one more source of units beside the publisher: it begins right behind the last unit that came, and ends at the
//! first keyframe of the publisher's that is later than its own newest picture. Both are discontinuities, at one number in
//! every rendition, as any change of source is (DESIGN 8.6).

use super::super::Context;
use bytes::Bytes;
use media::{AccessUnit, AudioConfig, MediaTime, Track, silence};
use packager::SourceFacts;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Slate as Wanted;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;
use transcoder::slate::{Clip, Frame, Group, Reel, Shown, Start};

/// What is shown of a session whose pictures died with the server: nothing else is known of them.
const BLACK: &[u8] = include_bytes!("black.png");
/// A publisher that is gone is covered after so long.
pub(super) const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// A slate that is being made is waited for until so much is missing; then time goes on in gaps. Shaka and VLC end at a gap.
pub(super) const WAITED_FOR_MAX: Duration = Duration::from_secs(6);
/// A session that waits for its publisher for less than this shows no slate: it would hardly be seen.
pub(super) const WINDOW_MIN: Duration = Duration::from_secs(3);
/// While a publisher that came back is looked at for less than this, a slate that is not shown yet waits for it.
const LOOKED_AT_MAX: Duration = Duration::from_secs(1);
/// A publisher that takes over is there after so long; until then no worker is started.
const TAKEOVER: Duration = Duration::from_millis(250);
/// What the database has to say about a stream's slate must come this soon, else what was known before counts.
const ASKED_MAX: Duration = Duration::from_millis(500);
/// A publisher from which nothing has come for longer says nothing.
pub(super) const SILENT: Duration = Duration::from_secs(1);
/// Sound that has not come for so long is silence while a slate is shown.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// A silence longer than this is not made up for: there are gaps in its place already.
const SILENCE_MAX: MediaTime = MediaTime::from_millis(5_000);

/// What does not come any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The publisher itself.
    Publisher,
    /// All media of a publisher that is connected.
    Media,
    /// Pictures, while sound goes on.
    Pictures,
}

impl Missing {
    /// After how long a slate is made, and after how long it is shown, both since what is missing came last.
    ///
    /// A publisher that is gone: a takeover within a second, or an encoder that reconnects at once, shows no slate. Players
    /// that hold back three parts (0.6 s) stand still for a moment then, on the very picture the slate begins with; the others
    /// hold back three target durations and notice nothing. One that is silent: a network that stalls for up to four
    /// seconds delivers late, and nothing may take its place before; then time would go on in gaps. Pictures: the
    /// packager waits two seconds for them.
    fn patience(self) -> (Duration, Duration) {
        let ms = Duration::from_millis;
        match self {
            Self::Publisher => (ms(0), SHOWN_AFTER),
            Self::Media => (ms(2_000), ms(3_900)),
            Self::Pictures => (ms(1_200), ms(1_800)),
        }
    }
}

/// One session's slate.
#[derive(Debug)]
pub(super) struct Slate {
    stage: Stage,
    /// What the stream wanted when it was last asked.
    pub wanted: Wanted,
    group: Group,
    /// Nothing was published since the server died.
    resumes: bool,
    /// The sound given last and where it ends.
    sound: Option<(Arc<AudioConfig>, MediaTime)>,
    pictures_heard: Instant,
    /// When media came again after none had come for a while. Before that no pictures were missing beside sound.
    back: Instant,
    sound_heard: Instant,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is missing, or not for long.
    Idle,
    Making {
        made: oneshot::Receiver<Option<Made>>,
        _task: AbortOnDropHandle<()>,
    },
    Ready(Option<Clip>),
    Showing(Box<Reel>),
    /// Not this time: time goes on in gaps.
    Without,
}

/// What came of making a slate.
#[derive(Debug)]
struct Made {
    wanted: Wanted,
    /// `None` for one without pictures.
    clip: Option<Clip>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Wait,
    /// Make one: [`Slate::make`].
    Make,
    /// Show it: [`Slate::show`].
    Show,
    /// There will be none; gaps may begin.
    GoWithout,
}

impl Slate {
    /// The slate of a session that begins now.
    pub fn new(wanted: Wanted, now: Instant) -> Self {
        let (group, sound) = (Group::default(), None);
        Self {
            stage: Stage::Idle,
            wanted,
            group,
            resumes: false,
            sound,
            pictures_heard: now,
            back: now,
            sound_heard: now,
        }
    }

    /// The session is one of a server that died, and all is missing from `at` on. The slate comes before anything else.
    pub fn resume(&mut self, usual: Option<&Arc<AudioConfig>>, at: MediaTime) {
        self.resumes = true;
        self.sound = usual.map(|config| (Arc::clone(config), at));
    }

    /// A publisher has to wait until the slate has begun.
    pub fn comes_first(&self) -> bool {
        self.resumes && self.is_made()
    }

    /// A unit of the publisher's is published at `now`.
    pub fn look(&mut self, unit: &AccessUnit, now: Instant) {
        if now.saturating_duration_since(self.pictures_heard.max(self.sound_heard)) > SILENT {
            self.back = now;
        }
        match unit.track() {
            Track::Video => self.pictures_heard = now,
            Track::Audio => self.sound_heard = now,
        }
        self.group.push(unit);
        self.follow(unit);
    }

    fn follow(&mut self, unit: &AccessUnit) {
        let Some(config) = unit.audio() else { return };
        let samples = match config.frame_samples {
            0 => silence::frame(config).map_or(960, |(_, samples)| samples),
            samples => samples,
        };
        let end = unit.pts + MediaTime::from_units(i64::from(samples), config.sample_rate.max(1));
        self.sound = Some((Arc::clone(config), end));
    }

    /// How long pictures have not come although sound did; `None` where there are none to be shown.
    pub fn without_pictures(&self, now: Instant) -> Option<Duration> {
        (!self.group.is_empty()).then(|| now.saturating_duration_since(self.pictures_heard.max(self.back)))
    }

    /// The reel that is shown.
    pub fn reel(&self) -> Option<&Reel> {
        match &self.stage {
            Stage::Showing(reel) => Some(reel),
            _ => None,
        }
    }

    /// A slate is on its way: no gap needs to be listed yet.
    pub fn is_coming(&self) -> bool {
        matches!(self.stage, Stage::Idle) || self.is_made()
    }

    /// One is being made, or is ready to be shown.
    pub fn is_made(&self) -> bool {
        matches!(self.stage, Stage::Making { .. } | Stage::Ready(_))
    }

    /// There is none this time.
    pub fn go_without(&mut self) {
        if self.reel().is_none() {
            self.stage = Stage::Without;
        }
    }

    /// Media goes on without one that is shown.
    pub fn rest(&mut self) {
        if self.reel().is_none() {
            self.stage = Stage::Idle;
        }
    }

    /// Looks at the time: `missing` for so long, while a publisher that came back has been looked at for `looked_at`.
    pub fn tick(&mut self, missing: Missing, lasted: Duration, looked_at: Option<Duration>) -> Step {
        let (make, show) = missing.patience();
        let is_due = lasted >= show && looked_at.is_none_or(|time| time >= LOOKED_AT_MAX);
        match &mut self.stage {
            Stage::Idle if lasted >= make => Step::Make,
            Stage::Making { made, .. } => match made.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => Step::Wait,
                Ok(Some(Made { wanted, clip })) if wanted != Wanted::Off => {
                    self.wanted = wanted;
                    self.stage = Stage::Ready(clip);
                    Step::Wait
                }
                other => {
                    if let Ok(Some(Made { wanted, .. })) = other {
                        self.wanted = wanted;
                    }
                    self.stage = Stage::Without;
                    Step::GoWithout
                }
            },
            Stage::Ready(_) if is_due || self.resumes => Step::Show,
            Stage::Idle | Stage::Ready(_) | Stage::Showing(_) | Stage::Without => Step::Wait,
        }
    }

    /// Begins to make one for `missing`, for a session of this source.
    pub fn make(&mut self, context: &Arc<Context>, stream: &str, facts: &SourceFacts, missing: Missing) {
        let (tell, made) = oneshot::channel();
        let (group, known) = (self.group.clone(), self.wanted);
        let (context, stream, facts) = (Arc::clone(context), stream.to_owned(), facts.clone());
        let task = tokio::spawn(async move {
            let _nobody_waits = tell.send(prepare(&context, &stream, &facts, group, known, missing).await);
        });
        self.stage = Stage::Making { made, _task: AbortOnDropHandle::new(task) };
    }

    /// Shows what was made, from `at` on, when the session's time is `time`.
    pub fn show(&mut self, (at, time): (MediaTime, MediaTime), now: Instant) {
        if let Stage::Ready(clip) = &mut self.stage {
            let reel = Reel::new(clip.take(), Start { at, clock: (now, time), now });
            self.stage = Stage::Showing(Box::new(reel));
            self.resumes = false;
        }
    }

    /// When its next unit is due, if it is shown. `attended`: a publisher is there.
    pub fn due(&self, attended: bool) -> Option<Instant> {
        self.reel()?.due(attended)
    }

    /// Its next unit that is due. Sound that does not come is silence, in the configuration of the sound before.
    pub fn next(&mut self, attended: bool, now: Instant) -> Option<AccessUnit> {
        self.give(|reel| {
            reel.due(attended).filter(|due| *due <= now)?;
            reel.pop(now)
        })
    }

    /// Its next unit before what came of the publisher's at `until`, which ends it.
    pub fn next_before(&mut self, until: MediaTime, now: Instant) -> Option<AccessUnit> {
        self.give(|reel| reel.pop_before(until, now))
    }

    /// Its next silent frame before the publisher's sound at `until`.
    pub fn next_silence_before(&mut self, until: MediaTime) -> Option<AccessUnit> {
        self.give(|reel| reel.pop_silence_before(until))
    }

    fn give(&mut self, pop: impl FnOnce(&mut Reel) -> Option<AccessUnit>) -> Option<AccessUnit> {
        let Stage::Showing(reel) = &mut self.stage else { return None };
        let unit = pop(reel)?;
        self.follow(&unit);
        Some(unit)
    }

    /// Falls silent where sound does not come; `usual` is the session's, if it has any.
    pub fn fall_silent(&mut self, usual: Option<&Arc<AudioConfig>>, now: Instant) {
        let Stage::Showing(reel) = &mut self.stage else { return };
        if reel.is_silent() || now.saturating_duration_since(self.sound_heard) < SILENT_AFTER {
            return;
        }
        let (config, end) = match (&self.sound, usual) {
            (Some((config, end)), _) => (config, *end),
            (None, Some(config)) => (config, reel.head()),
            (None, None) => return,
        };
        let head = reel.head();
        reel.fall_silent(config, if head - end > SILENCE_MAX { head } else { end });
    }

    /// What becomes of a unit of the publisher's while the slate is shown.
    pub fn meet(&self, unit: &AccessUnit, has_video: bool) -> Meeting {
        let Stage::Showing(reel) = &self.stage else { return Meeting::Pass };
        match (unit.track(), has_video) {
            (Track::Video, _) | (Track::Audio, false) if unit.pts > reel.head() && unit.sync => Meeting::End,
            (Track::Video, _) | (Track::Audio, false) => Meeting::Drop,
            (Track::Audio, true) if reel.is_silent() => Meeting::Sound,
            (Track::Audio, true) => Meeting::Pass,
        }
    }

    /// The publisher's pictures, or its sound where it has no pictures, are back.
    pub fn end(&mut self) {
        self.stage = Stage::Idle;
    }

    /// The publisher's sound is back beside the slate's pictures.
    pub fn sound_again(&mut self) {
        if let Stage::Showing(reel) = &mut self.stage {
            reel.sound_again();
        }
    }
}

/// What becomes of a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It is published.
    Pass,
    /// It is published, and the slate's silence is over.
    Sound,
    /// It is published, and the slate is over.
    End,
    /// It can't be: nothing can be decoded from it, or its time was given to the slate.
    Drop,
}

/// Asks what the stream wants and makes it. `None` when there is nothing to show or it could not be made.
async fn prepare(
    context: &Context,
    stream: &str,
    facts: &SourceFacts,
    group: Group,
    known: Wanted,
    missing: Missing,
) -> Option<Made> {
    let asked = async {
        let found = context.store.stream(stream).await?;
        let wanted = found.map_or(Wanted::Off, |stream| stream.settings.slate);
        let image = if wanted == Wanted::Image { context.store.slate_image(stream).await? } else { None };
        Ok::<_, store::Error>((wanted, image))
    };
    let (wanted, image) = match tokio::time::timeout(ASKED_MAX, asked).await {
        Ok(Ok(found)) => found,
        // The database is away: the image with it, so the last picture has to do.
        Ok(Err(_)) | Err(_) => (known, None),
    };
    if wanted == Wanted::Off {
        return Some(Made { wanted, clip: None });
    }
    if missing == Missing::Publisher && !group.is_empty() {
        tokio::time::sleep(TAKEOVER).await;
    }
    let Some(video) = &facts.video else { return Some(Made { wanted, clip: None }) };
    // The size it has now, which may be another one than at the session's start.
    let newest = Arc::clone(group.video().unwrap_or(&video.config));
    let frame = Frame { video: newest, rate: video.frame_rate, bitrate_bps: video.bitrate_bps };
    let shown = match image {
        Some(image) => Shown::Image(image.into()),
        None if group.is_empty() => Shown::Image(Bytes::from_static(BLACK)),
        None => Shown::Last(group),
    };
    match context.settings.slates.make(&frame, shown).await {
        Ok(clip) => Some(Made { wanted, clip: Some(clip) }),
        Err(error) => {
            metrics::counter!("weir_slates_failed_total", "reason" => error.label()).increment(1);
            tracing::warn!(error = &error as &dyn std::error::Error, "there is no slate; gaps are listed instead");
            None
        }
    }
}

/// Waits until `due`, for ever when nothing is. Cancel safe.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use media::{AudioCodec, Config};

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn ms_of(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    /// A slate whose making is known to have come out like this; `None` for a failure.
    fn made(wanted: Option<Wanted>) -> Slate {
        let (tell, made) = oneshot::channel();
        tell.send(wanted.map(|wanted| Made { wanted, clip: None })).expect("somebody waits");
        let task = AbortOnDropHandle::new(tokio::spawn(async {}));
        Slate { stage: Stage::Making { made, _task: task }, ..Slate::new(Wanted::Last, Instant::now()) }
    }

    fn sound(at: MediaTime) -> AccessUnit {
        let config = AudioConfig {
            codec: AudioCodec::Aac,
            record: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            object_type: 2,
            frame_samples: 1024,
        };
        AccessUnit { config: Config::Audio(Arc::new(config)), dts: at, pts: at, sync: true, data: Bytes::new() }
    }

    #[tokio::test]
    async fn a_publisher_that_is_gone_is_covered_after_a_second() {
        let mut slate = made(Some(Wanted::Last));
        assert_eq!(slate.tick(Missing::Publisher, ms(300), None), Step::Wait);
        assert!(slate.is_coming(), "no gap is listed yet");
        assert_eq!(slate.tick(Missing::Publisher, ms(990), None), Step::Wait);
        assert_eq!(slate.tick(Missing::Publisher, ms(1_000), None), Step::Show);
    }

    #[tokio::test]
    async fn one_that_is_back_within_the_second_is_looked_at_first() {
        let mut slate = made(Some(Wanted::Image));
        slate.tick(Missing::Publisher, ms(300), None);
        assert_eq!(slate.tick(Missing::Publisher, ms(1_200), Some(ms(250))), Step::Wait);
        assert_eq!(slate.tick(Missing::Publisher, ms(1_950), Some(ms(1_000))), Step::Show, "but not for ever");
        slate.rest();
        assert_eq!(slate.tick(Missing::Media, ms(1_900), None), Step::Wait, "a network that stalls");
        assert_eq!(slate.tick(Missing::Media, ms(2_000), None), Step::Make);
    }

    #[tokio::test]
    async fn a_session_that_goes_on_after_a_restart_shows_its_slate_before_anything_else() {
        let mut slate = made(Some(Wanted::Last));
        slate.resume(None, ms_of(20_000));
        assert!(slate.comes_first());
        assert_eq!(slate.tick(Missing::Publisher, ms(10), Some(ms(0))), Step::Wait);
        assert_eq!(slate.tick(Missing::Publisher, ms(20), Some(ms(10))), Step::Show, "though a publisher waits");
        slate.show((ms_of(20_000), ms_of(23_000)), Instant::now());
        assert!(!slate.comes_first());
    }

    #[tokio::test]
    async fn gaps_begin_where_there_is_none() {
        for outcome in [None, Some(Wanted::Off)] {
            let mut slate = made(outcome);
            assert_eq!(slate.tick(Missing::Publisher, ms(300), None), Step::GoWithout);
            assert!(!slate.is_coming());
            assert_eq!(slate.tick(Missing::Publisher, ms(5_000), None), Step::Wait, "it is not tried twice");
            assert_eq!(slate.wanted, outcome.unwrap_or_default());
        }
    }

    #[tokio::test]
    async fn the_first_unit_behind_the_newest_shown_ends_it() {
        let (mut slate, now) = (made(Some(Wanted::Last)), Instant::now());
        let at = MediaTime::from_millis(20_000);
        slate.look(&sound(at - MediaTime::from_millis(21)), now);
        slate.tick(Missing::Publisher, ms(300), None);
        slate.show((at, at), now);
        let later = now + ms(1_500);
        slate.fall_silent(None, later);
        let mut end = at;
        while let Some(unit) = slate.next(false, later) {
            assert!((unit.pts - end).abs() < MediaTime::from_millis(1), "sound has no hole");
            end = unit.pts + MediaTime::from_units(1024, 48_000);
        }
        assert!((end - at - MediaTime::from_millis(1_500)).abs() < MediaTime::from_millis(22), "{end:?}");
        assert_eq!(slate.meet(&sound(end), true), Meeting::Sound, "beside a picture sound goes on by itself");
        assert_eq!(slate.meet(&sound(at), false), Meeting::Drop);
        let back = end + ms_of(450);
        assert_eq!(slate.meet(&sound(back), false), Meeting::End);
        while let Some(unit) = slate.next_before(back, later) {
            end = unit.pts + MediaTime::from_units(1024, 48_000);
        }
        assert!((end - back).abs() <= ms_of(11), "it is played out up to what ends it: {end:?} {back:?}");
        slate.end();
        assert_eq!(slate.meet(&sound(at), false), Meeting::Pass, "it is over");
    }
}
