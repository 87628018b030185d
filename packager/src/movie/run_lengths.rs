/// A list in which the same value often stands many times in a row, as `stts` and `ctts` write it.
#[derive(Debug, Clone, Default)]
pub(super) struct RunLengths<T> {
    runs: Vec<(u32, T)>,
}

impl<T: Copy + PartialEq> RunLengths<T> {
    /// Appends a value.
    pub fn push(&mut self, value: T) {
        match self.runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => self.runs.push((1, value)),
        }
    }

    /// Values that differ from their neighbours, each with how often it stands there.
    pub fn runs(&self) -> &[(u32, T)] {
        &self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_hold_what_a_plain_list_holds(plain in prop::collection::vec(0u8..3, 0..40)) {
            let mut runs = RunLengths::default();
            plain.iter().for_each(|value| runs.push(*value));
            let unrolled: Vec<u8> = runs.runs().iter().flat_map(|(n, v)| std::iter::repeat_n(*v, *n as usize)).collect();
            prop_assert_eq!(unrolled, plain);
            prop_assert!(runs.runs().windows(2).all(|w| w[0].1 != w[1].1), "neighbours differ");
        }
    }
}
