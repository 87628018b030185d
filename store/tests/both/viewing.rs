//! Who may watch a stream, and what comes of that for its recordings.

use super::bed::Bed;
use super::{NOW_MS, add, perform};
use std::time::Duration;
use store::{
    Act, Actor, Error, NewRecording, RecordingAct, RecordingDetails, RecordingPatch, Store, StreamPatch, Visibility,
    new_recording_id,
};
use tokio_util::sync::CancellationToken;

on_both!(
    who_may_watch_is_known_with_the_change_and_to_other_processes_soon,
    a_recording_lets_no_more_people_in_than_its_stream_when_it_begins,
    a_stream_that_is_closed_closes_what_is_being_recorded,
    a_recording_that_goes_on_is_closed_as_its_stream_was_meanwhile,
);

async fn set(store: &Store, visibility: Visibility) {
    let patch = StreamPatch { visibility: Some(visibility), ..StreamPatch::default() };
    let after = perform(store, Act::SetStream { name: "stage".into(), patch }).await.unwrap();
    assert_eq!(after.stream.settings.visibility, visibility);
}

async fn record(store: &Store, session: &str, visibility: Visibility) -> String {
    let new = NewRecording {
        id: new_recording_id(),
        stream: "stage".into(),
        session: session.into(),
        from_msn: 10,
        renditions: vec!["source".into()],
        details: RecordingDetails { visibility, ..RecordingDetails::default() },
        started_ms: NOW_MS,
    };
    store.start_recording(&new, NOW_MS).await.unwrap().id
}

async fn shown(store: &Store, id: &str) -> Visibility {
    store.recording(id).await.unwrap().unwrap().details.visibility
}

async fn who_may_watch_is_known_with_the_change_and_to_other_processes_soon(bed: Bed) {
    let store = bed.open().await;
    assert_eq!(store.visibility("stage"), None);
    add(&store, "stage").await;
    assert_eq!(store.visibility("stage"), Some(Visibility::Public));
    set(&store, Visibility::Private).await;
    assert_eq!(store.visibility("stage"), Some(Visibility::Private), "at once, without a look at the database");

    let other = bed.open().await;
    assert_eq!(other.visibility("stage"), Some(Visibility::Private), "after a restart");
    let stop = CancellationToken::new();
    let following = tokio::spawn({
        let (other, stop) = (other.clone(), stop.clone());
        async move { other.follow(stop).await }
    });
    let mut changes = other.changes();
    for (visibility, known) in [(Some(Visibility::Unlisted), Some(Visibility::Unlisted)), (None, None)] {
        changes.borrow_and_update();
        match visibility {
            Some(visibility) => set(&store, visibility).await,
            None => _ = perform(&store, Act::RemoveStream { name: "stage".into() }).await.unwrap(),
        }
        tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.unwrap().unwrap();
        assert_eq!((other.visibility("stage"), store.visibility("stage")), (known, known));
    }
    stop.cancel();
    following.await.unwrap();
}

async fn a_recording_lets_no_more_people_in_than_its_stream_when_it_begins(bed: Bed) {
    use Visibility::{Private, Public, Unlisted};
    let store = bed.open().await;
    add(&store, "stage").await;
    for (stream, wanted, got) in [
        (Public, Public, Public),
        (Public, Private, Private),
        (Unlisted, Public, Unlisted),
        (Private, Public, Private),
        (Private, Unlisted, Private),
    ] {
        set(&store, stream).await;
        let session = format!("{}-{}", stream.as_str(), wanted.as_str());
        let id = record(&store, &session, wanted).await;
        assert_eq!(shown(&store, &id).await, got, "{wanted:?} of a stream that is {stream:?}");
    }
}

async fn a_stream_that_is_closed_closes_what_is_being_recorded(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    let (ended, running) = (record(&store, "s-1", Visibility::Public).await, "s-2");
    store.end_recording(&ended, 20, NOW_MS, NOW_MS).await.unwrap();
    let running = record(&store, running, Visibility::Public).await;
    set(&store, Visibility::Private).await;
    assert_eq!((shown(&store, &running).await, shown(&store, &ended).await), (Visibility::Private, Visibility::Public));
    let row = store.audit(0, 100).await.unwrap().pop().unwrap();
    assert!(row.detail.contains(&running) && !row.detail.contains(&ended), "{}", row.detail);

    let patch = RecordingPatch { visibility: Some(Visibility::Public), ..RecordingPatch::default() };
    let open = RecordingAct::Edit { id: running.clone(), patch };
    let refused = store.perform_on_recording(&Actor::Cli, &open, NOW_MS).await.unwrap_err();
    assert!(matches!(refused, Error::NotNow { .. }), "{refused}");
    set(&store, Visibility::Public).await;
    assert_eq!(shown(&store, &running).await, Visibility::Private, "opening the stream publishes no recording");
    store.perform_on_recording(&Actor::Cli, &open, NOW_MS).await.unwrap();
    assert_eq!(shown(&store, &running).await, Visibility::Public);
}

async fn a_recording_that_goes_on_is_closed_as_its_stream_was_meanwhile(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    let id = record(&store, "s-1", Visibility::Public).await;
    store.end_recording(&id, 20, NOW_MS, NOW_MS).await.unwrap();
    set(&store, Visibility::Unlisted).await;
    let reopened = store.reopen_recording("stage", "s-1", NOW_MS).await.unwrap().unwrap();
    assert_eq!(reopened.details.visibility, Visibility::Unlisted);
}
