//! A connection from client to server: bytes in order, late, in pieces of any size.

use crate::script::{Fault, Trouble};
use crate::{Random, Script};
use bytes::Bytes;
use std::collections::VecDeque;

pub(crate) struct Link {
    random: Random,
    delay_ms: u64,
    jitter_ms: u64,
    faults: Vec<Fault>,
    /// What is on the way and when it arrives; times do not fall.
    on_the_way: VecDeque<(u64, Bytes)>,
    sent: u64,
}

impl Link {
    pub fn new(script: &Script, random: Random) -> Self {
        let faults = script
            .faults
            .iter()
            .filter(|f| matches!(f.kind, Trouble::Stall | Trouble::Congestion(_) | Trouble::Garbage));
        let (delay_ms, jitter_ms) = (script.delay_ms, script.jitter_ms);
        Self { random, delay_ms, jitter_ms, faults: faults.copied().collect(), on_the_way: VecDeque::new(), sent: 0 }
    }

    pub fn send(&mut self, bytes: &[u8], now_ms: u64) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match self.random.range(0, 20) {
                0 => 1,
                1 => self.random.range(1, 100),
                _ => 1_448,
            };
            let (piece, after) = rest.split_at((size as usize).min(rest.len()));
            rest = after;
            let mut piece = piece.to_vec();
            let is_bad = |f: &&Fault| f.kind == Trouble::Garbage && (f.at_ms..f.at_ms + f.lasts_ms).contains(&now_ms);
            if self.sent > 10_000 && self.faults.iter().any(|f| is_bad(&f)) && self.random.percent(2) {
                let at = self.random.range(0, piece.len() as i64) as usize;
                piece[at] ^= self.random.bits() as u8;
            }
            self.sent += piece.len() as u64;
            let mut due = now_ms + self.delay_ms + self.random.range(0, self.jitter_ms as i64 + 1) as u64;
            for fault in &self.faults {
                let is_active = (fault.at_ms..fault.at_ms + fault.lasts_ms).contains(&due);
                if let (Trouble::Congestion(percent), true) = (fault.kind, is_active) {
                    due = fault.at_ms + (due - fault.at_ms) * 100 / percent;
                }
            }
            for fault in self.faults.iter().filter(|f| f.kind == Trouble::Stall) {
                // A network that stalls for longer than a minute is a broken connection.
                let until = fault.at_ms + fault.lasts_ms.min(12_000);
                if (fault.at_ms..until).contains(&due) {
                    due = until;
                }
            }
            let before = self.on_the_way.back().map_or(0, |(due, _)| *due);
            self.on_the_way.push_back((due.max(before), piece.into()));
        }
    }

    /// What is on the way never arrives.
    pub fn reset(&mut self) {
        self.on_the_way.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.on_the_way.is_empty()
    }

    pub fn deliver(&mut self, now_ms: u64) -> Vec<Bytes> {
        let count = self.on_the_way.iter().take_while(|(due, _)| *due <= now_ms).count();
        self.on_the_way.drain(..count).map(|(_, bytes)| bytes).collect()
    }
}
