//! [`Dice`]: what is left to chance.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers nobody outside can foretell, for spreading pauses and naming files; not for secrets.
#[derive(Debug, Default)]
pub(crate) struct Dice {
    state: RandomState,
    rolls: AtomicU64,
}

impl Dice {
    pub fn roll(&self) -> u64 {
        self.state.hash_one(self.rolls.fetch_add(1, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_differ() {
        let (one, other) = (Dice::default(), Dice::default());
        assert!(one.roll() != one.roll() && one.roll() != other.roll());
    }
}
