//! One publisher's connection, both ends of it: the encoder with its RTMP client, the network, and the server's session.

use crate::encoder::Encoder;
use crate::link::Link;
use crate::{Random, Script};
use ingest::{Intake, Limits, Tally};
use media::FeedItem;
use rtmp::client::{Publisher, Target};
use rtmp::{Event, ServerSession};
use std::time::{Duration, Instant};

/// A publisher that sends nothing for so long is dropped.
const MUTE_MAX: Duration = Duration::from_secs(15);

pub(crate) struct Line {
    client: Publisher,
    encoder: Encoder,
    link: Link,
    server: Server,
    /// It neither sends nor reads any more; the server may not know.
    is_silent: bool,
    /// The connection is gone.
    is_cut: bool,
    heard: Instant,
}

/// The server's side: what `ingest`'s run loop does, without its sockets.
struct Server {
    session: ServerSession,
    intake: Intake,
    closed: Option<String>,
}

impl Line {
    /// A publisher that connects at `now`: the first one (`turn` 0) or one that comes later.
    pub fn new(script: &Script, seed: u64, turn: usize, generation: u8, now: Instant) -> Result<Self, String> {
        let target = Target { app: "live".into(), tc_url: "rtmp://virtual/live".into(), name: "KEY".into() };
        let random = Random::new(seed ^ 0x6c69_6e6b ^ (turn as u64) << 40);
        let encoder = match turn {
            0 => Encoder::new(script),
            turn => Encoder::next(script, turn, generation),
        };
        let intake = Intake::new(&Limits::default(), now);
        Ok(Self {
            client: Publisher::new(target).map_err(|e| e.to_string())?,
            encoder,
            link: Link::new(script, random),
            server: Server { session: ServerSession::new(), intake, closed: None },
            is_silent: false,
            is_cut: false,
            heard: now,
        })
    }

    /// Lets a moment pass; what the server reads goes to `sink`.
    pub fn step(&mut self, now: Instant, now_ms: u64, sink: &mut impl FnMut(FeedItem)) -> Result<(), String> {
        if !self.is_silent {
            self.link.send(&self.client.take_output(), now_ms);
            if self.client.is_publishing() {
                self.link.send(&self.encoder.emit(now_ms), now_ms);
            }
        }
        for bytes in self.link.deliver(now_ms) {
            self.heard = now;
            self.server.input(&bytes, now, sink);
        }
        self.server.intake.release(now, &mut *sink);
        let said = self.server.session.take_output();
        if self.is_silent {
            return Ok(());
        }
        self.client.input(&said).map_err(|e| format!("the client could not read: {e}"))
    }

    /// The publisher sends nothing any more.
    pub fn fall_silent(&mut self) {
        self.is_silent = true;
    }

    /// The connection ends behind what is on the way, or before it.
    pub fn hang_up(&mut self, is_reset: bool) {
        (self.is_silent, self.is_cut) = (true, true);
        if is_reset {
            self.link.reset();
        }
    }

    /// The server has closed it, with its reason.
    pub fn closed(&self) -> Option<&str> {
        self.server.closed.as_deref()
    }

    /// Nothing comes from it any more, not even what was held back.
    pub fn is_over(&self, now: Instant) -> bool {
        let is_dropped = now.saturating_duration_since(self.heard) > MUTE_MAX;
        (self.is_cut && self.link.is_empty() || is_dropped || self.closed().is_some())
            && self.server.intake.due(now).is_none()
    }

    /// Something is held back in the server.
    pub fn is_ahead(&self, now: Instant) -> bool {
        self.server.intake.due(now).is_some()
    }

    /// Plays what is held back, without the network.
    pub fn release(&mut self, now: Instant, sink: &mut impl FnMut(FeedItem)) {
        self.server.intake.release(now, sink);
    }

    pub fn tally(&self) -> &Tally {
        self.server.intake.tally()
    }

    pub fn generation(&self) -> u8 {
        self.encoder.generation()
    }
}

impl Server {
    fn input(&mut self, bytes: &[u8], now: Instant, sink: &mut impl FnMut(FeedItem)) {
        let read = self.session.input(bytes);
        while let Some(event) = self.session.next_event() {
            match event {
                Event::PublishRequested(_) => {
                    if let Err(error) = self.session.accept_publish() {
                        self.closed.get_or_insert(error.to_string());
                    }
                }
                Event::Unpublished => {
                    self.closed.get_or_insert("goodbye".to_owned());
                }
                media => {
                    if let Err(fault) = self.intake.take(media, now, &mut *sink) {
                        self.closed.get_or_insert(fault.to_string());
                    }
                }
            }
        }
        if let Err(error) = read {
            self.closed.get_or_insert(error.to_string());
        }
    }
}
