use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io::IoSlice;

/// What a player is to be sent next, as pieces of what all share. Held for one player, so it is small: the rest stays in the
/// ring.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

/// Pieces of one write; Linux takes 1,024.
const SLICES: usize = 64;
/// No more is added to a batch that has so many bytes (DESIGN section 7: 256 KiB are held for a slow viewer).
const FULL_BYTES: usize = 256 << 10;

impl Batch {
    /// Adds bytes to be sent behind the others.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push_back(bytes);
        }
    }

    /// Whether another message is to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= FULL_BYTES || self.pieces.len() >= SLICES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The front of it, for one vectored write.
    pub(crate) fn slices<'a>(&'a self, into: &mut [IoSlice<'a>; SLICES]) -> usize {
        let count = self.pieces.len().min(SLICES);
        for (slice, piece) in into.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(piece);
        }
        count
    }

    /// No slices, to be filled by [`Batch::slices`].
    pub(crate) fn no_slices<'a>() -> [IoSlice<'a>; SLICES] {
        [IoSlice::new(&[]); SLICES]
    }

    /// Takes off what was written.
    pub(crate) fn advance(&mut self, mut written: usize) {
        self.bytes -= written.min(self.bytes);
        while let Some(front) = self.pieces.front_mut() {
            if written < front.len() {
                return front.advance(written);
            }
            written -= front.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_in_any_steps_is_what_was_added(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..100),
            steps in proptest::collection::vec(1usize..200, 1..50),
        ) {
            let mut batch = Batch::default();
            pieces.iter().for_each(|piece| batch.push(Bytes::copy_from_slice(piece)));
            let (mut written, mut steps) = (Vec::<u8>::new(), steps.into_iter().cycle());
            while !batch.is_empty() {
                let mut slices = Batch::no_slices();
                let count = batch.slices(&mut slices);
                let offered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
                let taken = steps.next().unwrap().min(offered.len());
                written.extend_from_slice(&offered[..taken]);
                batch.advance(taken);
            }
            prop_assert_eq!(written, pieces.concat());
            prop_assert_eq!(batch.bytes, 0);
        }
    }
}
