//! What the API is told of copies.

use super::{Copies, described};
use crate::api::{Outlets, TargetFault, TargetStatus};
use futures_util::future::BoxFuture;
use restream::{Checked, Fault, State, Status, TargetUrl, inside};
use std::net::IpAddr;
use std::time::Instant;
use store::{MasterKey, Target, now_ms};

impl Outlets for Copies {
    fn status(&self, target: &Target) -> TargetStatus {
        let table = self.table();
        let status = table.outlets.get(&target.id).map(|running| {
            let mut status = running.status.borrow().clone();
            // Also when its task ended by a fault of ours, which told nobody.
            if running.done.is_cancelled() {
                (status.state, status.next_try, status.bitrate_bps, status.round_trip) = (State::Idle, None, 0, None);
            }
            status
        });
        let broken = table.broken.get(&target.id).cloned();
        drop(table);
        let mut told = status.map_or_else(|| nothing_yet(target), |status| told(&status));
        if !target.wanted {
            (told.state, told.since_ms, told.next_try_ms) = (State::Paused.as_str(), target.updated_ms, None);
            (told.bitrate_bps, told.round_trip_ms) = (0, None);
        }
        if let Some(message) = broken {
            told.state = State::Refused.as_str();
            told.fault = Some(TargetFault { code: "broken", message, at_ms: target.updated_ms });
        }
        told
    }

    fn check<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Checked, (&'static str, String)>> {
        Box::pin(async move {
            let described = described(target, self.table().keyring.key());
            let target = described.map_err(|reason| ("broken", reason))?;
            let checked = restream::check(&target, &self.settings).await;
            checked.map_err(|fault| (fault.code(), fault.to_string()))
        })
    }

    fn inside<'a>(&'a self, url: &'a TargetUrl) -> BoxFuture<'a, Option<(IpAddr, &'static str)>> {
        Box::pin(async move { if self.settings.allow_private { None } else { inside(url, &self.settings).await } })
    }

    fn master_key(&self) -> Result<MasterKey, String> {
        self.table().keyring.key().cloned().map_err(str::to_owned)
    }
}

fn nothing_yet(target: &Target) -> TargetStatus {
    TargetStatus { since_ms: target.updated_ms, ..told(&Status::new(State::Idle, Instant::now())) }
}

fn told(status: &Status) -> TargetStatus {
    let (now, now_ms) = (Instant::now(), now_ms());
    let ago = |at: Instant| now_ms - i64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(0);
    let ahead = |at: Instant| now_ms + i64::try_from(at.saturating_duration_since(now).as_millis()).unwrap_or(0);
    let fault = |(fault, at): &(Fault, Instant)| TargetFault {
        code: fault.code(),
        message: fault.to_string(),
        at_ms: ago(*at),
    };
    TargetStatus {
        state: status.state.as_str(),
        since_ms: ago(status.since),
        next_try_ms: status.next_try.map(ahead),
        bitrate_bps: status.bitrate_bps,
        sent_bytes: status.sent_bytes,
        dropped_units: status.dropped_units,
        drops: status.drops,
        connects: status.connects,
        round_trip_ms: status.round_trip.map(|taken| taken.as_secs_f64() * 1_000.0),
        fault: status.fault.as_ref().map(fault),
        advice: status.advice.iter().map(|advice| (advice.code(), advice.to_string())).collect(),
    }
}
