//! Waiting for what will be true, instead of sleeping and hoping.

use std::time::{Duration, Instant};

/// How long [`eventually`] waits: far more than any journey needs on two loaded cores, far less than a stuck run.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks. Short against every promise that journeys measure.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks again and again until `question` gives an answer, and returns it.
///
/// # Panics
/// After 30 s, naming `what` was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, question: impl FnMut() -> Option<T>) -> T {
    eventually_within(what, PATIENCE, question)
}

/// [`eventually`] with its own patience.
///
/// # Panics
/// After `patience`, naming `what` was waited for.
#[track_caller]
pub fn eventually_within<T>(what: &str, patience: Duration, mut question: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question() {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Watches that `claim` stays true for `span`. The opposite of [`eventually`].
///
/// # Panics
/// At the first look at which `claim` is false.
#[track_caller]
pub fn holds_for(what: &str, span: Duration, mut claim: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(claim(), "did not hold after {:?}: {what}", start.elapsed());
        std::thread::sleep(PAUSE);
    }
}
