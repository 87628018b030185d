//! How many of the process's file descriptors the doors may use, so that strangers and viewers can never take the last.

use rustix::process::{Resource, getrlimit};

/// Kept for what must go on whoever comes: publishers, workers, the database, certificates, logs. Half of a limit that is
/// less than twice this.
const KEPT: u64 = 256;

/// Lowers the two bounds until both fit beside what is kept, and warns when that was needed: connections without a key get a
/// quarter at most, viewers the rest.
pub fn fit(ingest: &mut ingest::Limits, web: &mut origin::Limits) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let (strangers, viewers) = shares(limit, ingest.unauthenticated_total.into(), web.connections_max as u64);
    if (strangers, viewers) != (ingest.unauthenticated_total.into(), web.connections_max as u64) {
        tracing::warn!(
            limit,
            unauthenticated_max = strangers,
            connections_max = viewers,
            "fewer files may be open than the configured connections need; both bounds were lowered (raise ulimit -n or LimitNOFILE)"
        );
    }
    ingest.unauthenticated_total = u32::try_from(strangers).unwrap_or(u32::MAX);
    web.connections_max = usize::try_from(viewers).unwrap_or(usize::MAX);
}

fn shares(limit: u64, strangers: u64, viewers: u64) -> (u64, u64) {
    let free = limit - KEPT.min(limit / 2);
    let strangers = strangers.min(free / 4);
    (strangers, viewers.min(free - strangers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_roomy_limit_changes_nothing_and_a_narrow_one_is_shared_out() {
        assert_eq!(shares(65_536, 1_024, 10_000), (1_024, 10_000));
        assert_eq!(shares(1_024, 1_024, 10_000), (192, 576));
        assert_eq!(shares(160, 1_024, 10_000), (20, 60));
    }

    proptest! {
        #[test]
        fn some_are_always_left(limit in 16u64..2_000_000, strangers in 1u64..100_000, viewers in 16u64..1_000_000) {
            let (a, b) = shares(limit, strangers, viewers);
            prop_assert!(a <= strangers && b <= viewers && a + b + KEPT.min(limit / 2) <= limit);
        }
    }
}
