//! The [`Group`]: what must be decoded to see a source's last picture.

use bytes::BytesMut;
use media::wire::{ToWorker, UNIT_MAX};
use media::{AccessUnit, Track, VideoConfig};
use std::sync::Arc;

/// Bytes kept of a group of pictures; of a longer one the beginning is kept, whose last picture is some seconds old.
const BYTES_MAX: usize = 8 << 20;
/// Pictures kept: eight seconds at 60 fps; stock encoders send groups of that length.
const PICTURES_MAX: usize = 500;

/// The pictures of a source since its last keyframe, whose bytes it shares.
#[derive(Debug, Clone, Default)]
pub struct Group {
    units: Vec<AccessUnit>,
    bytes: usize,
    is_full: bool,
}

impl Group {
    /// Takes the next unit of the source, in decode order; sound is not kept.
    pub fn push(&mut self, unit: &AccessUnit) {
        if unit.track() != Track::Video {
            return;
        }
        if unit.sync {
            *self = Self::default();
        } else if self.units.is_empty() {
            return;
        }
        // What follows a picture that is missing can't be decoded.
        self.is_full |= self.units.len() >= PICTURES_MAX || self.bytes + unit.data.len() > BYTES_MAX;
        if !self.is_full && unit.data.len() <= UNIT_MAX {
            self.bytes += unit.data.len();
            self.units.push(unit.clone());
        }
    }

    /// There is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// The configuration of its pictures.
    pub fn video(&self) -> Option<&Arc<VideoConfig>> {
        self.units.first().and_then(AccessUnit::video)
    }

    /// Appends the messages that give it to a worker.
    pub(super) fn tell(self, orders: &mut BytesMut) {
        if let Some(config) = self.video() {
            ToWorker::Video((**config).clone()).encode(orders);
        }
        for unit in self.units {
            let AccessUnit { dts, pts, sync, data, .. } = unit;
            ToWorker::Unit { track: Track::Video, dts, pts, sync, data }.encode(orders);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slate::clip::tests::clip;
    use media::{Config, MediaTime};

    fn unit(n: i64, sync: bool, bytes: usize) -> AccessUnit {
        let at = MediaTime::from_millis(n);
        AccessUnit { config: Config::Video(clip(2).config), dts: at, pts: at, sync, data: vec![0; bytes].into() }
    }

    #[test]
    fn it_is_what_follows_the_last_keyframe() {
        let mut group = Group::default();
        group.push(&unit(0, false, 9));
        assert!(group.is_empty(), "nothing can be decoded before a keyframe");
        (1..40).for_each(|n| group.push(&unit(n, n % 15 == 0 || n == 1, 9)));
        let kept: Vec<i64> = group.units.iter().map(|u| u.pts.as_millis()).collect();
        assert_eq!(kept, (30..40).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_or_large_one_is_kept_from_its_beginning() {
        let mut group = Group::default();
        (0..2_000).for_each(|n| group.push(&unit(n, n == 0, 9)));
        assert_eq!(group.units.len(), PICTURES_MAX);
        (0..20).for_each(|n| group.push(&unit(n, n == 0, 1 << 20)));
        assert_eq!(group.units.len(), 8);
        group.push(&unit(21, false, 1));
        assert_eq!(group.units.len(), 8, "the one before it is missing");
    }
}
