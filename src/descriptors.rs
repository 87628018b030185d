//! How many of the process's file descriptors the doors may use, so that strangers and viewers can never take the last.

use rustix::process::{Resource, getrlimit};

/// Kept for what must go on whoever comes: publishers, workers, the database, certificates, logs. Half of a limit that is
/// less than twice this.
const KEPT: u64 = 256;

/// Lowers the bounds until all fit beside what is kept, and warns when that was needed: connections without a key and players
/// over RTMP get a quarter each at most, viewers the rest.
pub fn fit(ingest: &mut ingest::Limits, playout: Option<&mut playout::Limits>, web: &mut origin::Limits) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let players = playout.as_ref().map_or(0, |playout| playout.players as u64);
    let wanted = [ingest.unauthenticated_total.into(), players, web.connections_max as u64];
    let [strangers, players, viewers] = shares(limit, wanted);
    if [strangers, players, viewers] != wanted {
        tracing::warn!(
            limit,
            unauthenticated_max = strangers,
            players_max = players,
            connections_max = viewers,
            "fewer files may be open than the configured connections need; their bounds were lowered (raise ulimit -n or LimitNOFILE)"
        );
    }
    ingest.unauthenticated_total = u32::try_from(strangers).unwrap_or(u32::MAX);
    if let Some(playout) = playout {
        playout.players = usize::try_from(players).unwrap_or(usize::MAX);
    }
    web.connections_max = usize::try_from(viewers).unwrap_or(usize::MAX);
}

/// Strangers, players, viewers.
fn shares(limit: u64, [strangers, players, viewers]: [u64; 3]) -> [u64; 3] {
    let free = limit - KEPT.min(limit / 2);
    let (strangers, players) = (strangers.min(free / 4), players.min(free / 4));
    [strangers, players, viewers.min(free - strangers - players)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_roomy_limit_changes_nothing_and_a_narrow_one_is_shared_out() {
        assert_eq!(shares(65_536, [1_024, 1_000, 10_000]), [1_024, 1_000, 10_000]);
        assert_eq!(shares(1_024, [1_024, 1_000, 10_000]), [192, 192, 384]);
        assert_eq!(shares(1_024, [1_024, 0, 10_000]), [192, 0, 576]);
        assert_eq!(shares(160, [1_024, 1_000, 10_000]), [20, 20, 40]);
    }

    proptest! {
        #[test]
        fn some_are_always_left(limit in 16u64..2_000_000, strangers in 1u64..100_000, players in 0u64..100_000, viewers in 16u64..1_000_000) {
            let [a, b, c] = shares(limit, [strangers, players, viewers]);
            prop_assert!(a <= strangers && b <= players && c <= viewers && a + b + c + KEPT.min(limit / 2) <= limit);
        }
    }
}
