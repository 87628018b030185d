//! The keys of playback tokens over restarts and rotations.

use super::NOW_MS;
use super::bed::Bed;
use store::{Actor, ApiToken, PlaybackRefusal, PlaybackScope};

on_both!(playback_tokens_outlive_a_restart_and_one_rotation, a_rotation_is_seen_by_others_and_audited);

const SCOPE: PlaybackScope<'_> = PlaybackScope::Live("stage");

async fn playback_tokens_outlive_a_restart_and_one_rotation(bed: Bed) {
    let api = ApiToken::generate().unwrap();
    let token = {
        let store = bed.open().await;
        let token = store.playback_keys(&api).await.unwrap().sign(SCOPE, NOW_MS + 1);
        store.close().await;
        token
    };
    let store = bed.open().await;
    let rotate = async || store.rotate_playback_keys(&Actor::Cli, &api, NOW_MS).await.unwrap();
    assert_eq!(store.playback_keys(&api).await.unwrap().verify(&token, SCOPE, NOW_MS), Ok(()));
    let second = rotate().await;
    assert_eq!(second.verify(&token, SCOPE, NOW_MS), Ok(()), "a player has time to get another");
    assert_eq!(second.verify(&second.sign(SCOPE, NOW_MS + 1), SCOPE, NOW_MS), Ok(()));
    assert_eq!(rotate().await.verify(&token, SCOPE, NOW_MS), Err(PlaybackRefusal::UnknownKey));
}

async fn a_rotation_is_seen_by_others_and_audited(bed: Bed) {
    let (store, api) = (bed.open().await, ApiToken::generate().unwrap());
    let mut changes = store.changes();
    changes.borrow_and_update();
    let rotated = store.rotate_playback_keys(&Actor::Cli, &api, NOW_MS).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let read = bed.open().await.playback_keys(&api).await.unwrap();
    assert_eq!(read.verify(&rotated.sign(SCOPE, NOW_MS + 1), SCOPE, NOW_MS), Ok(()));
    let row = store.audit(0, 10).await.unwrap().remove(0);
    assert_eq!((row.act.as_str(), row.detail.as_str()), ("playback.rotate", r#"{"key":2}"#));
    assert_eq!(store.check_audit().await.unwrap().broken_at, None);
}
