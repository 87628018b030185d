//! What a playback token costs: one is checked with each request for something private.

use divan::{Bencher, black_box};
use store::{ApiToken, PlaybackKeys, PlaybackScope};

const SCOPE: PlaybackScope<'_> = PlaybackScope::Vod("0198c0de-0000-7000-8000-000000000000");
const NOW_MS: i64 = 1_800_000_000_000;

fn main() {
    divan::main();
}

fn keys() -> PlaybackKeys {
    PlaybackKeys::of(&ApiToken::generate().expect("the system has randomness"), 2)
}

#[divan::bench]
fn sign(bencher: Bencher<'_, '_>) {
    let keys = keys();
    bencher.bench_local(|| keys.sign(black_box(SCOPE), NOW_MS + 1));
}

#[divan::bench]
fn verify(bencher: Bencher<'_, '_>) {
    let keys = keys();
    let token = keys.sign(SCOPE, NOW_MS + 1);
    bencher.bench_local(|| keys.verify(black_box(&token), SCOPE, NOW_MS).is_ok());
}
