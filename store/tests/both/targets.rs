//! Where copies go: rows, limits, keys and their trace.

use super::bed::Bed;
use super::{NOW_MS, add};
use store::{Act, Actor, Error, Fault, MasterKey, NewTarget, Store, Target, TargetAct, new_target_id};

on_both!(
    a_target_is_kept_with_its_key_sealed,
    a_target_is_started_stopped_given_another_key_and_removed,
    targets_go_with_their_stream,
    a_stream_has_twenty_targets_at_most,
    a_target_sealed_with_another_master_key_is_not_mixed_in,
    all_keys_are_sealed_anew_or_none,
);

const SECRET: &str = "live_1234_abcd";

fn new(stream: &str, key: &MasterKey) -> NewTarget {
    let id = new_target_id();
    NewTarget {
        key: key.seal(&id, SECRET).unwrap(),
        id,
        stream: stream.into(),
        name: "Twitch, 'mine'".into(),
        service: "twitch".into(),
        url: "rtmps://fra02.contribute.live-video.net/app".into(),
        rendition: "720p".into(),
        silence: true,
        hevc: false,
        allow_private: false,
        wanted: true,
    }
}

async fn perform(store: &Store, act: TargetAct) -> Result<Target, Error> {
    store.perform_on_target(&Actor::Cli, &act, NOW_MS).await
}

async fn a_target_is_kept_with_its_key_sealed(bed: Bed) {
    let (store, key) = (bed.open().await, MasterKey::generate().unwrap());
    add(&store, "show").await;
    let mut changes = store.changes();
    changes.borrow_and_update();
    let added = perform(&store, TargetAct::Add(new("show", &key))).await.unwrap();
    assert!(changes.has_changed().unwrap());
    store.close().await;
    let store = bed.open().await;
    let kept = store.targets().await.unwrap().remove(0);
    assert_eq!(kept, added);
    assert_eq!((kept.stream.as_str(), kept.silence, kept.wanted, kept.created_ms), ("show", true, true, NOW_MS));
    assert_eq!(key.open(&kept.id, &kept.key).unwrap(), SECRET);
    let rows = store.audit(0, 10).await.unwrap();
    let row = rows.last().unwrap();
    assert_eq!((row.act.as_str(), row.target.as_str()), ("target.add", "show"));
    assert!(row.detail.contains("fra02") && rows.iter().all(|row| !row.detail.contains(SECRET)), "{row:?}");
    assert!(!format!("{kept:?}").contains(SECRET));
    assert_eq!(store.check_audit().await.unwrap().broken_at, None);
}

async fn a_target_is_started_stopped_given_another_key_and_removed(bed: Bed) {
    let (store, key) = (bed.open().await, MasterKey::generate().unwrap());
    add(&store, "show").await;
    let id = perform(&store, TargetAct::Add(new("show", &key))).await.unwrap().id;
    assert!(!perform(&store, TargetAct::Stop { id: id.clone() }).await.unwrap().wanted);
    assert!(perform(&store, TargetAct::Start { id: id.clone() }).await.unwrap().wanted);
    let sealed = key.seal(&id, "another").unwrap();
    let changed = perform(&store, TargetAct::SetKey { id: id.clone(), key: sealed }).await.unwrap();
    assert_eq!(key.open(&id, &changed.key).unwrap(), "another");
    assert_eq!(store.target(&id).await.unwrap(), changed);
    perform(&store, TargetAct::Remove { id: id.clone() }).await.unwrap();
    assert!(store.targets().await.unwrap().is_empty());
    for act in [TargetAct::Start { id: id.clone() }, TargetAct::Remove { id: id.clone() }] {
        let refused = perform(&store, act).await.unwrap_err();
        assert!(matches!(refused, Error::NoSuchTarget { .. }) && refused.fault() == Fault::Caller, "{refused}");
    }
    assert!(matches!(store.target(&id).await, Err(Error::NoSuchTarget { .. })));
    let acts: Vec<String> = store.audit(0, 20).await.unwrap().into_iter().map(|row| row.act).collect();
    assert_eq!(acts[1..], ["target.add", "target.stop", "target.start", "target.key", "target.remove"]);
}

async fn targets_go_with_their_stream(bed: Bed) {
    let (store, key) = (bed.open().await, MasterKey::generate().unwrap());
    add(&store, "show").await;
    add(&store, "other").await;
    perform(&store, TargetAct::Add(new("show", &key))).await.unwrap();
    perform(&store, TargetAct::Add(new("other", &key))).await.unwrap();
    store.perform(&Actor::Cli, &Act::RemoveStream { name: "show".into() }, NOW_MS).await.unwrap();
    let left: Vec<String> = store.targets().await.unwrap().into_iter().map(|target| target.stream).collect();
    assert_eq!(left, ["other"]);
    let refused = perform(&store, TargetAct::Add(new("show", &key))).await.unwrap_err();
    assert!(matches!(refused, Error::NoSuchStream { .. }), "{refused}");
}

async fn a_stream_has_twenty_targets_at_most(bed: Bed) {
    let (store, key) = (bed.open().await, MasterKey::generate().unwrap());
    add(&store, "show").await;
    for _ in 0..20 {
        perform(&store, TargetAct::Add(new("show", &key))).await.unwrap();
    }
    let refused = perform(&store, TargetAct::Add(new("show", &key))).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Caller, "{refused}");
    for rendition in ["720P", "a b", &"x".repeat(33)] {
        let asked = NewTarget { rendition: rendition.into(), ..new("show", &key) };
        let refused = perform(&store, TargetAct::Add(asked)).await.unwrap_err();
        assert!(refused.to_string().contains("rendition"), "{refused}");
    }
    for name in ["", "two\nlines", &"x".repeat(61)] {
        let named = NewTarget { name: name.into(), ..new("show", &key) };
        assert_eq!(perform(&store, TargetAct::Add(named)).await.unwrap_err().fault(), Fault::Caller);
    }
    assert_eq!(store.targets().await.unwrap().len(), 20);
}

async fn a_target_sealed_with_another_master_key_is_not_mixed_in(bed: Bed) {
    let (store, key, other) = (bed.open().await, MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
    add(&store, "show").await;
    let id = perform(&store, TargetAct::Add(new("show", &key))).await.unwrap().id;
    let refused = perform(&store, TargetAct::Add(new("show", &other))).await.unwrap_err();
    assert!(matches!(&refused, Error::OtherMasterKey { key_id } if key_id == key.id()), "{refused}");
    // The only one there is may get a key that is sealed anew.
    let sealed = other.seal(&id, "another").unwrap();
    perform(&store, TargetAct::SetKey { id, key: sealed }).await.unwrap();
}

async fn all_keys_are_sealed_anew_or_none(bed: Bed) {
    let store = bed.open().await;
    let [old, new_key, stranger] = [(); 3].map(|()| MasterKey::generate().unwrap());
    assert_eq!(store.master_key_in_use().await.unwrap(), None);
    add(&store, "show").await;
    for _ in 0..3 {
        perform(&store, TargetAct::Add(new("show", &old))).await.unwrap();
    }
    let before = store.targets().await.unwrap();
    let refused = store.reseal(&Actor::Cli, &stranger, &new_key, NOW_MS + 1).await.unwrap_err();
    assert!(matches!(&refused, Error::OtherMasterKey { .. }), "{refused}");
    assert_eq!(store.targets().await.unwrap(), before, "nothing was changed");
    assert_eq!(store.reseal(&Actor::Cli, &old, &new_key, NOW_MS + 1).await.unwrap(), 3);
    assert_eq!(store.master_key_in_use().await.unwrap().as_deref(), Some(new_key.id()));
    for (target, was) in store.targets().await.unwrap().iter().zip(&before) {
        assert_eq!(new_key.open(&target.id, &target.key).unwrap(), SECRET);
        assert_eq!(target.updated_ms, was.updated_ms, "a copy that runs goes on");
    }
    assert_eq!(store.audit(0, 20).await.unwrap().last().unwrap().act, "secrets.rotate");
    assert_eq!(store.check_audit().await.unwrap().broken_at, None);
}
