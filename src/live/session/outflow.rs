//! What leaves a session: for players over RTMP, as its publisher sent it; for readers over RTSP and in copies to other servers, as sent or
//! as encoded. What the publisher sent waits while it is away, and nobody is ever waited for.

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
    /// For readers; `None` when RTSP is off, and for a rehearsal.
    pub rtsp: Option<rtspout::Broadcast>,
    /// Rungs have sound of their own, not the publisher's.
    pub has_encoded_sound: bool,
}

impl Outflow {
    /// The publisher's next unit.
    pub fn unit(&self, unit: &AccessUnit) {
        self.broadcast.iter().for_each(|broadcast| broadcast.push(unit));
        self.tap.iter().for_each(|tap| tap.unit(unit));
        self.rtsp.iter().for_each(|rtsp| rtsp.unit(unit));
    }

    /// The next unit of what is the source now, the publisher or a slate.
    pub fn published(&self, unit: &AccessUnit) {
        self.tap.iter().for_each(|tap| tap.published(unit));
        if unit.audio().is_some() && !self.has_encoded_sound {
            self.rtsp.iter().for_each(|rtsp| rtsp.sound(unit));
        }
    }

    /// The next unit of a rendition's that is encoded here.
    pub fn encoded(&self, rendition: &str, unit: &AccessUnit) {
        self.tap.iter().for_each(|tap| tap.encoded(rendition, unit));
        match &self.rtsp {
            Some(rtsp) if unit.audio().is_some() => rtsp.sound(unit),
            Some(rtsp) => rtsp.picture(rendition, unit),
            None => {}
        }
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
