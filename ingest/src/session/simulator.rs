//! Random lives of a stream, played against the keeper with a virtual clock: encoders that come, fall silent, fight,
//! vanish and say goodbye, operators that stop and allow, notices that arrive late. Each life has a seed, which a failure
//! names; `WEIR_SIM_SEEDS=10000` plays more of them, `WEIR_SIM_SEED=N` that one alone.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

const SEEDS: u64 = 500;
const STEPS: u32 = 600;
/// How late whoever holds the keeper may look at the clock.
const TICK: Duration = Duration::from_millis(100);

/// splitmix64 (Steele, Lea, Flood 2014): small, and every seed is good.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}

/// An encoder's connection as the world sees it.
struct Encoder {
    sends: bool,
    has_begun: bool,
    gives_way: bool,
}

/// What the world knows to be true, kept apart from the keeper.
struct World {
    keeper: Keeper,
    dice: Dice,
    now: Instant,
    rules: Rules,
    next_id: u64,
    connected: BTreeMap<PublisherId, Encoder>,
    /// Admitted, then sent away with a reason; their connection may last a little longer.
    dismissed: BTreeSet<PublisherId>,
    winner: Option<PublisherId>,
    has_session: bool,
    away_since: Option<(Instant, Duration)>,
    frozen_since: Option<Instant>,
    held_until: Option<Instant>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let window = [0, 1, 5, 60, 300][dice.below(5) as usize];
        let takeover = if dice.below(2) == 0 { Takeover::Newest } else { Takeover::Reject };
        Self {
            keeper: Keeper::new(),
            rules: Rules { window: Duration::from_secs(window), goodbye: Duration::from_secs(3), takeover },
            dice,
            now: Instant::now(),
            next_id: 1,
            connected: BTreeMap::new(),
            dismissed: BTreeSet::new(),
            winner: None,
            has_session: false,
            away_since: None,
            frozen_since: None,
            held_until: None,
        }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..=17 => self.connect(),
            18..=24 => self.disconnect(),
            25..=32 => self.pause_or_go_on(),
            33 => self.stop(),
            34..=35 => self.allow(),
            36 => self.revoke(),
            37 => self.change_of_codec(),
            38..=42 => {
                let long = Duration::from_secs(self.dice.below(90));
                self.pass(long);
            }
            _ => {
                let short = Duration::from_millis(self.dice.below(3_000));
                self.pass(short);
            }
        }
        self.check();
    }

    fn connect(&mut self) {
        let id = PublisherId(self.next_id);
        self.next_id += 1;
        let gives_way = self.dice.below(12) == 0;
        let peer = [10, 0, 0, self.dice.below(3) as u8].into();
        let encoder = [None, Some("OBS".to_owned()), Some("ffmpeg".to_owned())][self.dice.below(3) as usize].clone();
        let answer = self.keeper.knock(Caller { id, peer, encoder, gives_way }, self.rules, self.now);
        let held = self.held_until.is_some_and(|until| until > self.now);
        assert!(!held || matches!(answer, Err(Reason::Stopped { .. })), "a stop holds: {answer:?}");
        match answer {
            Ok(decisions) => {
                let before = self.winner.take();
                self.obey(decisions);
                if let Some(before) = before {
                    assert!(self.dismissed.contains(&before), "{before:?} lost the stream and was not told why");
                    let gave_way = self.connected.get(&before).is_some_and(|e| e.gives_way);
                    if self.has_session && self.away_since.is_none() && !gave_way {
                        self.away_since = Some((self.now, self.rules.window));
                    }
                }
                self.winner = Some(id);
                self.connected.insert(id, Encoder { sends: self.dice.below(8) > 0, has_begun: false, gives_way });
            }
            // Every refusal carries a sentence; a frozen stream has someone it is frozen for.
            Err(reason) => {
                assert!(!reason.refusal().text.is_empty());
                assert!(!matches!(reason, Reason::Frozen { .. } | Reason::Busy) || self.winner.is_some());
            }
        }
    }

    /// Some connection ends, of the winner or of one that was sent away.
    fn disconnect(&mut self) {
        let ids: Vec<_> = self.connected.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.dice.below(ids.len() as u64) as usize];
        let encoder = self.connected.remove(&id).expect("it was listed");
        let how = if self.dice.below(3) == 0 { Departure::Goodbye } else { Departure::Lost };
        let decisions = self.keeper.left(id, how, self.now);
        if self.winner == Some(id) {
            self.winner = None;
            if self.has_session {
                let goodbye = self.rules.goodbye.min(self.rules.window);
                let window = match how {
                    _ if encoder.gives_way => Duration::ZERO,
                    Departure::Goodbye => goodbye,
                    _ => self.rules.window,
                };
                self.away_since.get_or_insert((self.now, window));
            }
        } else {
            assert_eq!(decisions, [], "who lost the stream before changes nothing by leaving");
        }
        self.obey(decisions);
    }

    fn pause_or_go_on(&mut self) {
        if let Some(encoder) = self.winner.and_then(|id| self.connected.get_mut(&id)) {
            encoder.sends = !encoder.sends;
        }
    }

    fn stop(&mut self) {
        let hold = Duration::from_secs(60);
        let decisions = self.keeper.stop(hold, self.now);
        self.held_until = Some(self.now + hold);
        self.all_gone(decisions);
    }

    fn allow(&mut self) {
        self.keeper.allow();
        self.held_until = None;
    }

    fn revoke(&mut self) {
        let decisions = self.keeper.close(Reason::KeyEnded);
        self.all_gone(decisions);
    }

    fn all_gone(&mut self, decisions: Vec<Decision>) {
        let winner = self.winner.take();
        self.obey(decisions);
        assert!(winner.is_none_or(|id| self.dismissed.contains(&id)), "{winner:?} was closed and not told why");
        assert!(!self.has_session, "nothing goes on");
    }

    fn change_of_codec(&mut self) {
        // It shows in media, so only of one whose media has come.
        let Some(id) = self.winner.filter(|id| self.connected.get(id).is_some_and(|e| e.has_begun)) else { return };
        // One session ends and the next begins in the same moment.
        assert_eq!(self.keeper.renew(id), self.has_session);
        assert!(!self.has_session || self.keeper.state() == State::Live, "{:?}", self.keeper.state());
    }

    /// Time passes as it does in the server: media is reported and the clock looked at several times a second.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            self.now += TICK;
            self.media();
            let decisions = self.keeper.tick(self.now);
            self.obey(decisions);
            self.check();
        }
    }

    fn media(&mut self) {
        let ids: Vec<_> = self.connected.iter().filter(|(_, e)| e.sends).map(|(id, _)| *id).collect();
        for id in ids {
            let has_begun = self.connected.get_mut(&id).is_some_and(|e| std::mem::replace(&mut e.has_begun, true));
            if has_begun {
                self.keeper.heard(id, self.now);
                continue;
            }
            match self.keeper.begin(id, self.now) {
                Begun::New => {
                    assert!(!self.has_session, "two sessions of one stream are live");
                    assert_eq!(self.winner, Some(id));
                    self.has_session = true;
                }
                Begun::Joined => {
                    assert!(self.has_session, "it joined a session that is over");
                    assert_eq!(self.winner, Some(id));
                }
                Begun::Late => assert_ne!(self.winner, Some(id)),
            }
            if self.winner == Some(id) {
                self.away_since = None;
            }
        }
    }

    fn obey(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            match decision {
                Decision::Dismiss(id, reason) => {
                    assert!(!reason.refusal().text.is_empty());
                    assert!(self.dismissed.insert(id), "{id:?} was sent away twice");
                }
                Decision::End => {
                    assert!(self.has_session, "a session ended that was not there");
                    self.has_session = false;
                    self.away_since = None;
                }
            }
        }
    }

    fn check(&mut self) {
        assert_eq!(self.keeper.publisher(), self.winner, "exactly one winner");
        let is_running = matches!(self.keeper.state(), State::Live | State::Stalled | State::Reconnecting);
        assert_eq!(is_running, self.has_session);
        if let Some((since, window)) = self.away_since {
            let late = self.now.saturating_duration_since(since);
            assert!(late <= window + TICK, "away for {late:?} with a window of {window:?}");
        }
        let frozen = self.keeper.frozen_until().is_some_and(|until| until > self.now);
        self.frozen_since = if frozen { self.frozen_since.or(Some(self.now)) } else { None };
        let span = self.frozen_since.map(|since| self.now.saturating_duration_since(since));
        assert!(span.is_none_or(|span| span <= Duration::from_secs(60)), "frozen for {span:?}");
        assert!(!frozen || self.winner.is_some(), "frozen for nobody");
        if self.dismissed.len() > 64 {
            self.dismissed.clear();
            self.connected.retain(|id, _| Some(*id) == self.winner);
        }
    }
}

#[test]
fn random_lives_of_a_stream_keep_its_promises() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("WEIR_SIM_SEED") {
        Some(only) => only..only + 1,
        None => 0..number("WEIR_SIM_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let life = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..STEPS {
                world.step();
            }
        });
        assert!(life.is_ok(), "the life of seed {seed} went wrong; see above, and play it with WEIR_SIM_SEED={seed}");
    }
}
