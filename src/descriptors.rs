//! How many of the process's file descriptors the doors may use, so that strangers and viewers can never take the last.

use rustix::process::{Resource, getrlimit};

/// Kept for what must go on whoever comes: publishers, workers, the database, certificates, logs. Half of a limit that is
/// less than twice this.
const KEPT: u64 = 256;

/// A reader over RTSPS has a connection to the worker beside its own.
const FILES_OF_A_READER: u64 = 2;

/// What each door wants, or gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wants {
    /// Connections that publish and have shown no key yet.
    strangers: u64,
    /// Players over RTMP.
    players: u64,
    /// Connections over RTSP that were let in nowhere yet.
    rtsp_strangers: u64,
    /// Readers over RTSP.
    readers: u64,
    /// Everybody over HTTP.
    viewers: u64,
}

/// Lowers the bounds until all fit beside what is kept, and warns when that was needed: connections without a key, players over RTMP
/// and all that comes over RTSP get a quarter each at most, viewers the rest.
pub fn fit(
    ingest: &mut ingest::Limits,
    playout: Option<&mut playout::Limits>,
    rtsp: Option<&mut rtspout::Limits>,
    web: &mut origin::Limits,
) {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return };
    let count = |limit: usize| limit as u64;
    let wanted = Wants {
        strangers: ingest.unauthenticated_total.into(),
        players: playout.as_ref().map_or(0, |playout| count(playout.players)),
        rtsp_strangers: rtsp.as_ref().map_or(0, |rtsp| count(rtsp.strangers)),
        readers: rtsp.as_ref().map_or(0, |rtsp| count(rtsp.readers)),
        viewers: count(web.connections_max),
    };
    let got = wanted.within(limit);
    if got != wanted {
        tracing::warn!(
            limit,
            unauthenticated_max = got.strangers,
            players_max = got.players,
            rtsp_strangers_max = got.rtsp_strangers,
            readers_max = got.readers,
            connections_max = got.viewers,
            "fewer files may be open than the configured connections need; their bounds were lowered (raise ulimit -n or LimitNOFILE)"
        );
    }
    let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    ingest.unauthenticated_total = u32::try_from(got.strangers).unwrap_or(u32::MAX);
    if let Some(playout) = playout {
        playout.players = count(got.players);
    }
    if let Some(rtsp) = rtsp {
        (rtsp.strangers, rtsp.readers) = (count(got.rtsp_strangers), count(got.readers));
    }
    web.connections_max = count(got.viewers);
}

impl Wants {
    /// What fits beside what is kept of this limit.
    fn within(self, limit: u64) -> Self {
        let free = limit - KEPT.min(limit / 2);
        let quarter = free / 4;
        let (strangers, players) = (self.strangers.min(quarter), self.players.min(quarter));
        let rtsp_strangers = self.rtsp_strangers.min(quarter / 4);
        let readers = self.readers.min((quarter - rtsp_strangers) / FILES_OF_A_READER);
        let taken = strangers + players + rtsp_strangers + FILES_OF_A_READER * readers;
        Self { strangers, players, rtsp_strangers, readers, viewers: self.viewers.min(free - taken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wants([strangers, players, rtsp_strangers, readers, viewers]: [u64; 5]) -> Wants {
        Wants { strangers, players, rtsp_strangers, readers, viewers }
    }

    #[test]
    fn a_roomy_limit_changes_nothing_and_a_narrow_one_is_shared_out() {
        let check = |limit, wanted, got| assert_eq!(wants(wanted).within(limit), wants(got), "{limit}");
        check(65_536, [1_024, 1_000, 256, 200, 10_000], [1_024, 1_000, 256, 200, 10_000]);
        check(1_024, [1_024, 1_000, 0, 0, 10_000], [192, 192, 0, 0, 384]);
        check(1_024, [1_024, 1_000, 256, 200, 10_000], [192, 192, 48, 72, 192]);
        check(1_024, [1_024, 0, 0, 0, 10_000], [192, 0, 0, 0, 576]);
        check(160, [1_024, 1_000, 256, 200, 10_000], [20, 20, 5, 7, 21]);
    }

    proptest! {
        #[test]
        fn some_are_always_left(
            limit in 16u64..2_000_000,
            publishing in (1u64..100_000, 0u64..100_000),
            rtsp in (0u64..1_000, 0u64..1_000),
            viewers in 16u64..1_000_000,
        ) {
            let wanted = [publishing.0, publishing.1, rtsp.0, rtsp.1, viewers];
            let Wants { strangers, players, rtsp_strangers, readers, viewers } = wants(wanted).within(limit);
            let got = [strangers, players, rtsp_strangers, readers, viewers];
            prop_assert!(got.iter().zip(wanted).all(|(got, wanted)| *got <= wanted));
            prop_assert!(got.iter().sum::<u64>() + readers + KEPT.min(limit / 2) <= limit);
        }
    }
}
