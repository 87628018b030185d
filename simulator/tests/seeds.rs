//! Some hundred seeds in every test run; `make sim` plays as many as one likes.

const SEEDS: u64 = 300;

#[test]
fn some_hundred_seeds_keep_all_promises() {
    for seed in 0..SEEDS {
        if let Err(failure) = simulator::run(seed) {
            panic!("{failure}");
        }
    }
}

#[test]
fn a_seed_is_the_same_every_time() {
    for seed in [3, 14, 159] {
        assert_eq!(simulator::run(seed).map_err(|f| f.what), simulator::run(seed).map_err(|f| f.what));
    }
}
