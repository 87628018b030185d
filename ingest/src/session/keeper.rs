use super::{Begun, Caller, Decision, Departure, PublisherId, Reason, Rules, State, Takeover, WINDOW_MAX};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A publisher that has sent no media for longer is no match for a newcomer (RELIABILITY A4).
const SILENT: Duration = Duration::from_secs(2);
/// No media for longer is a stall (RELIABILITY A3); shorter pauses are the network's.
const STALLED: Duration = Duration::from_secs(6);
/// So many takeovers from a healthy publisher in [`FIGHT_SPAN`]; the next one is a fight (RELIABILITY A5).
const TAKEOVERS_MAX: usize = 3;
const FIGHT_SPAN: Duration = Duration::from_secs(60);
/// How long a fight freezes the stream to the publisher it has, at most.
const FREEZE: Duration = Duration::from_secs(60);

/// One stream's keeper: at most one publisher, at most one session, and a reason for everyone else. See the module.
#[derive(Debug, Default)]
pub struct Keeper {
    rules: Rules,
    publisher: Option<Publisher>,
    session: Option<Phase>,
    /// When a healthy publisher was replaced; at most [`TAKEOVERS_MAX`], oldest first.
    takeovers: VecDeque<Instant>,
    frozen_until: Option<Instant>,
    held_until: Option<Instant>,
    has_ended: bool,
}

#[derive(Debug)]
struct Publisher {
    caller: Caller,
    /// When its media came last; when it was admitted, before the first.
    heard: Instant,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    Stalled,
    Away { until: Instant },
}

impl Keeper {
    /// The keeper of a stream that nobody publishes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Someone with a good key wants to publish under `rules`. With `Ok` it is the stream's publisher from now on.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn knock(&mut self, caller: Caller, rules: Rules, now: Instant) -> Result<Vec<Decision>, Reason> {
        if let Some(until) = self.held_until.filter(|until| *until > now) {
            return Err(Reason::Stopped { seconds: seconds_to(until, now) });
        }
        let mut decisions = self.tick(now);
        if caller.gives_way && (self.publisher.is_some() || self.session.is_some()) {
            return Err(Reason::StandsBack);
        }
        if let Some(current) = &self.publisher {
            if current.caller.gives_way {
                self.frozen_until = None;
            } else if now.saturating_duration_since(current.heard) <= SILENT {
                self.contest(&caller, rules.takeover, now)?;
            }
        }
        self.rules = Rules { window: rules.window.min(WINDOW_MAX), ..rules };
        if let Some(old) = self.publisher.take() {
            let reason = if old.caller.gives_way { Reason::StandsBack } else { Reason::TakenOver };
            decisions.push(Decision::Dismiss(old.caller.id, reason));
            decisions.extend(self.part(if old.caller.gives_way { Duration::ZERO } else { self.rules.window }, now));
        }
        self.publisher = Some(Publisher { caller, heard: now });
        self.has_ended = false;
        Ok(decisions)
    }

    /// Whether `caller` may take the stream from a publisher that is well.
    fn contest(&mut self, caller: &Caller, takeover: Takeover, now: Instant) -> Result<(), Reason> {
        if let Some(until) = self.frozen_until {
            return Err(Reason::Frozen { seconds: seconds_to(until, now) });
        }
        let is_twin = self.publisher.as_ref().is_some_and(|p| {
            p.caller.peer == caller.peer && p.caller.encoder.is_some() && p.caller.encoder == caller.encoder
        });
        if takeover == Takeover::Reject && !is_twin {
            return Err(Reason::Busy);
        }
        while self.takeovers.front().is_some_and(|at| now.saturating_duration_since(*at) > FIGHT_SPAN) {
            self.takeovers.pop_front();
        }
        if self.takeovers.len() >= TAKEOVERS_MAX {
            self.takeovers.clear();
            self.frozen_until = Some(now + FREEZE);
            return Err(Reason::Frozen { seconds: FREEZE.as_secs() });
        }
        self.takeovers.push_back(now);
        Ok(())
    }

    /// The first media of a publisher came.
    pub fn begin(&mut self, id: PublisherId, now: Instant) -> Begun {
        let Some(publisher) = self.publisher.as_mut().filter(|p| p.caller.id == id) else { return Begun::Late };
        publisher.heard = now;
        match self.session.replace(Phase::Live) {
            None => Begun::New,
            Some(_) => Begun::Joined,
        }
    }

    /// The publisher's media came last at `at`. Tell it several times a second; another's is ignored.
    pub fn heard(&mut self, id: PublisherId, at: Instant) {
        let Some(publisher) = self.publisher.as_mut().filter(|p| p.caller.id == id) else { return };
        if at > publisher.heard {
            publisher.heard = at;
            if self.session == Some(Phase::Stalled) {
                self.session = Some(Phase::Live);
            }
        }
    }

    /// A connection is over, whoever ended it. One that lost the stream before changes nothing.
    pub fn left(&mut self, id: PublisherId, how: Departure, now: Instant) -> Vec<Decision> {
        let Some(gone) = self.publisher.take_if(|p| p.caller.id == id) else { return Vec::new() };
        self.frozen_until = None;
        let window = match how {
            _ if gone.caller.gives_way => Duration::ZERO,
            Departure::Lost => self.rules.window,
            Departure::Goodbye => self.rules.goodbye.min(self.rules.window),
            Departure::Closing => Duration::ZERO,
        };
        Vec::from_iter(self.part(window, now))
    }

    /// The session's media belongs to this publisher and can't go on in it (another codec, another set of tracks): it ends
    /// and the next one begins at once. `false` when the publisher lost the stream meanwhile; then nothing changes.
    pub fn renew(&mut self, id: PublisherId) -> bool {
        let is_live = self.session.is_some() && self.publisher.as_ref().is_some_and(|p| p.caller.id == id);
        if is_live {
            self.session = Some(Phase::Live);
        }
        is_live
    }

    /// An operator stops the stream: its publisher goes, its session ends, and nobody is admitted for `hold` or until
    /// [`Keeper::allow`].
    pub fn stop(&mut self, hold: Duration, now: Instant) -> Vec<Decision> {
        let until = now + hold;
        self.held_until = Some(until);
        self.close(Reason::Stopped { seconds: seconds_to(until, now) })
    }

    /// Publishers are welcome again.
    pub fn allow(&mut self) {
        self.held_until = None;
    }

    /// Publisher and session end now for a reason found elsewhere; the next publisher is welcome.
    pub fn close(&mut self, reason: Reason) -> Vec<Decision> {
        self.frozen_until = None;
        let dismissed = self.publisher.take().map(|p| Decision::Dismiss(p.caller.id, reason));
        dismissed.into_iter().chain(self.end()).collect()
    }

    /// After a restart of the server: a session that was live goes on, if its publisher returns before `until`.
    pub fn restore(&mut self, rules: Rules, until: Instant) {
        self.rules = rules;
        self.session = Some(Phase::Away { until });
    }

    /// Time passes. Call it about ten times a second while there is a session.
    pub fn tick(&mut self, now: Instant) -> Vec<Decision> {
        self.frozen_until.take_if(|until| *until <= now);
        self.held_until.take_if(|until| *until <= now);
        match (self.session, &self.publisher) {
            (Some(Phase::Away { until }), _) if until <= now => Vec::from_iter(self.end()),
            (Some(Phase::Live), Some(p)) if now.saturating_duration_since(p.heard) > STALLED => {
                self.session = Some(Phase::Stalled);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Where the session stands, as of the last call.
    pub fn state(&self) -> State {
        match self.session {
            Some(Phase::Live) => State::Live,
            Some(Phase::Stalled) => State::Stalled,
            Some(Phase::Away { .. }) => State::Reconnecting,
            None if self.has_ended => State::Ended,
            None => State::Waiting,
        }
    }

    /// The stream's publisher, if one is connected.
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher.as_ref().map(|p| p.caller.id)
    }

    /// Nobody may take the stream from its publisher before this time.
    pub fn frozen_until(&self) -> Option<Instant> {
        self.frozen_until
    }

    /// An operator's stop holds until then.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// The session is without media from now on, and waits for `window`. One that waits already waits no longer for it.
    fn part(&mut self, window: Duration, now: Instant) -> Option<Decision> {
        let until = match self.session? {
            Phase::Away { until } => until.min(now + window),
            Phase::Live | Phase::Stalled => now + window,
        };
        self.session = Some(Phase::Away { until });
        if until <= now { self.end() } else { None }
    }

    fn end(&mut self) -> Option<Decision> {
        self.session.take()?;
        self.has_ended = true;
        Some(Decision::End)
    }
}

/// Rounded up, so that waiting as long as was said is long enough.
fn seconds_to(until: Instant, now: Instant) -> u64 {
    let left = until.saturating_duration_since(now);
    (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1)
}
