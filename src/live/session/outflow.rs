//! What leaves a session as its publisher sent it: to players over RTMP, and in copies to other servers. Both wait while the publisher
//! is away, and neither is ever waited for.

use crate::copies::Tap;
use media::{AccessUnit, Announced};
use playout::Broadcast;

/// See the module.
#[derive(Default)]
pub struct Outflow {
    /// For players; `None` when RTMP is not played, and for a rehearsal.
    pub broadcast: Option<Broadcast>,
    /// For other servers; a test card and a rehearsal are not copied.
    pub tap: Option<Tap>,
}

impl Outflow {
    /// The publisher's next unit.
    pub fn unit(&self, unit: &AccessUnit) {
        self.broadcast.iter().for_each(|broadcast| broadcast.push(unit));
        self.tap.iter().for_each(|tap| tap.unit(unit));
    }

    /// What the publisher says of itself.
    pub fn announced(&self, announced: &Announced) {
        self.broadcast.iter().for_each(|broadcast| broadcast.announce(announced));
        self.tap.iter().for_each(|tap| tap.announced(announced));
    }

    /// Something is missing before the next unit.
    pub fn cut(&self) {
        self.tap.iter().for_each(Tap::cut);
    }
}
