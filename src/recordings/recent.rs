//! [`Recent`]: things that take a while to make, kept while they are asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was asked for last, up to a weight. Who asks for what somebody else is having made waits for that one.
pub struct Recent<K, V> {
    /// The newest first. Held for a look or a change.
    known: Mutex<VecDeque<(K, V)>>,
    /// What is being made, and whose turn it is. Held for a look or a change.
    turns: Mutex<Vec<(K, Turn)>>,
    weight_max: usize,
    weigh: fn(&V) -> usize,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

impl<K: PartialEq + Clone, V: Clone> Recent<K, V> {
    /// Keeps things that weigh `weight_max` together, and the newest in any case.
    pub fn new(weight_max: usize, weigh: fn(&V) -> usize) -> Self {
        Self { known: Mutex::default(), turns: Mutex::default(), weight_max, weigh }
    }

    /// The thing, which is made if it is not known.
    ///
    /// # Errors
    /// What making it says; the next one who asks tries again.
    pub async fn get<E>(&self, key: K, make: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        let turn = self.turn(&key);
        let _turn = turn.lock().await;
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        let made = make.await?;
        let mut known = self.known();
        known.push_front((key, made.clone()));
        let mut weight = 0;
        let fits = known.iter().take_while(|(_, thing)| {
            weight += (self.weigh)(thing);
            weight <= self.weight_max
        });
        let fits = fits.count().max(1);
        known.truncate(fits);
        Ok(made)
    }

    /// Whose turn it is to make something. Those that nobody has any more go.
    fn turn(&self, key: &K) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|(_, turn)| Arc::strong_count(turn) > 1);
        if let Some((_, turn)) = turns.iter().find(|(known, _)| known == key) {
            return Arc::clone(turn);
        }
        let turn = Turn::default();
        turns.push((key.clone(), Arc::clone(&turn)));
        turn
    }

    fn find(&self, key: &K) -> Option<V> {
        let mut known = self.known();
        let at = known.iter().position(|(known, _)| known == key)?;
        let found = known.remove(at)?;
        let thing = found.1.clone();
        known.push_front(found);
        Some(thing)
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(K, V)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn what_was_not_asked_for_longest_goes() {
        let (recent, made) = (Recent::new(5, |weight: &usize| *weight), Cell::new(0));
        let get = async |weight: usize| {
            let make = async {
                made.set(made.get() + 1);
                Ok::<_, ()>(weight)
            };
            recent.get(weight, make).await.map(|_| made.get())
        };
        assert_eq!([get(2).await, get(3).await, get(2).await], [Ok(1), Ok(2), Ok(2)]);
        assert_eq!(
            [get(1).await, get(2).await, get(3).await],
            [Ok(3), Ok(3), Ok(4)],
            "three was not asked for longest"
        );
        assert_eq!([get(9).await, get(9).await], [Ok(5), Ok(5)], "the newest stays, however heavy");
        assert_eq!(recent.get(7, async { Err("no") }).await, Err("no"));
        assert_eq!(recent.get(7, async { Ok::<_, &str>(7) }).await, Ok(7));
    }
}
