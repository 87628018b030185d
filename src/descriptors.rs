//! How many of the process's file descriptors the doors may use, so that strangers and viewers can never take the last.

use rustix::process::{Resource, getrlimit};

/// Kept for what must go on whoever comes: publishers, workers, the database, certificates, logs. Half of a limit that is
/// less than twice this.
const KEPT: u64 = 256;

/// A reader over RTSPS has a connection to the worker beside its own.
const FILES_OF_A_READER: u64 = 2;

/// Lowers the bounds until all fit beside what is kept, and warns when that was needed: connections without a key, players over RTMP
/// and readers over RTSP get a quarter each at most, viewers the rest.
pub fn fit(
    ingest: &mut ingest::Limits,
    playout: Option<&mut playout::Limits>,
    rtsp: Option<&mut rtspout::Limits>,
    web: &mut origin::Limits,
) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let players = playout.as_ref().map_or(0, |playout| playout.players as u64);
    let readers = rtsp.as_ref().map_or(0, |rtsp| rtsp.readers as u64);
    let wanted = [ingest.unauthenticated_total.into(), players, readers, web.connections_max as u64];
    let [strangers, players, readers, viewers] = shares(limit, wanted);
    if [strangers, players, readers, viewers] != wanted {
        tracing::warn!(
            limit,
            unauthenticated_max = strangers,
            players_max = players,
            readers_max = readers,
            connections_max = viewers,
            "fewer files may be open than the configured connections need; their bounds were lowered (raise ulimit -n or LimitNOFILE)"
        );
    }
    if let Some(rtsp) = rtsp {
        rtsp.readers = usize::try_from(readers).unwrap_or(usize::MAX);
    }
    ingest.unauthenticated_total = u32::try_from(strangers).unwrap_or(u32::MAX);
    if let Some(playout) = playout {
        playout.players = usize::try_from(players).unwrap_or(usize::MAX);
    }
    web.connections_max = usize::try_from(viewers).unwrap_or(usize::MAX);
}

/// Strangers, players, readers, viewers.
fn shares(limit: u64, [strangers, players, readers, viewers]: [u64; 4]) -> [u64; 4] {
    let free = limit - KEPT.min(limit / 2);
    let (strangers, players) = (strangers.min(free / 4), players.min(free / 4));
    let readers = readers.min(free / 4 / FILES_OF_A_READER);
    [strangers, players, readers, viewers.min(free - strangers - players - FILES_OF_A_READER * readers)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_roomy_limit_changes_nothing_and_a_narrow_one_is_shared_out() {
        assert_eq!(shares(65_536, [1_024, 1_000, 200, 10_000]), [1_024, 1_000, 200, 10_000]);
        assert_eq!(shares(1_024, [1_024, 1_000, 0, 10_000]), [192, 192, 0, 384]);
        assert_eq!(shares(1_024, [1_024, 1_000, 200, 10_000]), [192, 192, 96, 192]);
        assert_eq!(shares(1_024, [1_024, 0, 0, 10_000]), [192, 0, 0, 576]);
        assert_eq!(shares(160, [1_024, 1_000, 0, 10_000]), [20, 20, 0, 40]);
    }

    proptest! {
        #[test]
        fn some_are_always_left(limit in 16u64..2_000_000, wanted in (1u64..100_000, 0u64..100_000, 0u64..1_000, 16u64..1_000_000)) {
            let wanted: [u64; 4] = wanted.into();
            let got = shares(limit, wanted);
            prop_assert!(got.iter().zip(wanted).all(|(got, wanted)| *got <= wanted));
            prop_assert!(got.iter().sum::<u64>() + got[2] + KEPT.min(limit / 2) <= limit);
        }
    }
}
