//! How long segments are kept: what references them, what a vault holds, which recordings are due.

use super::bed::Bed;
use super::recordings::{act, available, clip, new, set_rules, status};
use super::{DAY_MS, NOW_MS, add, perform};
use std::time::Duration;
use store::{Act, Actor, Due, Error, NewRecording, RecordingAct, RecordingRulesPatch, RecordingStatus};

on_both!(
    segments_are_kept_until_the_last_recording_of_them_is_deleted,
    what_a_vault_holds_never_goes_back,
    what_is_due_follows_the_rules_of_its_stream,
    what_was_taken_from_the_trash_in_time_is_not_deleted,
    a_removed_stream_leaves_its_recordings,
    a_walk_over_many_pages_counts_all_that_are_newer,
);

async fn segments_are_kept_until_the_last_recording_of_them_is_deleted(bed: Bed) {
    let store = bed.open().await;
    let whole = available(&store, &new("stage")).await;
    let made = act(&store, RecordingAct::Clip(clip(&whole, 12, 14))).await.unwrap();
    let other = store.start_recording(&NewRecording { session: "s2".into(), ..new("stage") }, NOW_MS).await.unwrap();
    let kept = async || {
        let spans = store.kept_spans("stage", "s1").await.unwrap();
        spans.into_iter().map(|span| (span.recording, span.from_msn, span.until_msn)).collect::<Vec<_>>()
    };
    let (of_whole, of_clip) = ((whole.id.clone(), 10, Some(20)), (made.id.clone(), 12, Some(14)));
    assert_eq!(kept().await, [of_whole.clone(), of_clip.clone()]);
    let all = store.all_kept_spans().await.unwrap();
    assert_eq!(all.iter().map(|span| span.session.as_str()).collect::<Vec<_>>(), ["s1", "s1", "s2"]);
    assert_eq!((all[2].recording.as_str(), all[2].until_msn), (other.id.as_str(), None));
    assert_eq!(all[2].renditions, ["source", "720p"]);
    act(&store, RecordingAct::Trash { id: whole.id.clone() }).await.unwrap();
    assert_eq!(kept().await, [of_whole, of_clip.clone()], "the trash keeps them");
    act(&store, RecordingAct::Delete { id: whole.id, due: None }).await.unwrap();
    assert_eq!(kept().await, [of_clip]);
    act(&store, RecordingAct::Delete { id: made.id, due: None }).await.unwrap();
    assert_eq!(kept().await, []);
}

async fn what_a_vault_holds_never_goes_back(bed: Bed) {
    let store = bed.open().await;
    let whole = available(&store, &new("stage")).await;
    let other = available(&store, &NewRecording { session: "s2".into(), ..new("stage") }).await;
    assert_eq!((whole.vault, whole.stored_msn), (None, 10));
    let stored = async |vault: &str, msn| {
        store.note_stored("stage", "s1", vault, msn, NOW_MS).await.unwrap();
        let now = store.recording(&whole.id).await.unwrap().unwrap();
        (now.vault.unwrap(), now.stored_msn)
    };
    assert_eq!(stored("bucket", 15).await, ("bucket".into(), 15));
    assert_eq!(stored("bucket", 12).await, ("bucket".into(), 15));
    let whole = store.recording(&whole.id).await.unwrap().unwrap();
    let made = act(&store, RecordingAct::Clip(clip(&whole, 12, 18))).await.unwrap();
    assert_eq!((made.vault.as_deref(), made.stored_msn), (Some("bucket"), 15));
    assert_eq!(stored("bucket", 20).await, ("bucket".into(), 20));
    assert_eq!(store.recording(&made.id).await.unwrap().unwrap().stored_msn, 20, "a clip's segments are the same");
    assert_eq!(stored("attic", 11).await, ("attic".into(), 11), "another vault begins anew");
    assert_eq!(store.recording(&other.id).await.unwrap().unwrap().vault, None);
}

async fn what_is_due_follows_the_rules_of_its_stream(bed: Bed) {
    let store = bed.open().await;
    for name in ["alley", "square", "stage"] {
        add(&store, name).await;
    }
    set_rules(
        &store,
        "stage",
        RecordingRulesPatch { days_max: Some(Some(2)), count_max: Some(Some(2)), ..Default::default() },
    )
    .await;
    set_rules(&store, "alley", RecordingRulesPatch { bytes_max: Some(Some(1_500)), ..Default::default() }).await;
    // Three of each stream: they ended today, yesterday and the day before.
    let mut made = std::collections::HashMap::new();
    for (at, name) in ["alley", "square", "stage"].into_iter().flat_map(|name| (0..3).map(move |at| (at, name))) {
        let begins = NewRecording { session: format!("s{at}"), started_ms: NOW_MS - at * DAY_MS, ..new(name) };
        made.insert(available(&store, &begins).await.id, format!("{name} {at}"));
    }
    act(
        &store,
        RecordingAct::Clip(clip(
            &available(&store, &NewRecording { session: "c".into(), ..new("alley") }).await,
            11,
            12,
        )),
    )
    .await
    .unwrap();
    let due = async |now_ms| {
        let due = store.due_recordings(Duration::from_secs(7 * 86_400), now_ms).await.unwrap();
        let named = due.into_iter().map(|due| (made.get(&due.id).cloned().unwrap_or_default(), due.due));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        named
    };
    let by_bytes = |at: i64| (format!("alley {at}"), Due::Bytes);
    // The newest of the alley is the one that was cut; it alone fits.
    assert_eq!(due(NOW_MS).await, [by_bytes(0), by_bytes(1), by_bytes(2), ("stage 2".into(), Due::Count)]);
    let later = due(NOW_MS + DAY_MS + 60_000).await;
    assert_eq!(later[3..], [("stage 1".into(), Due::Age), ("stage 2".into(), Due::Age)]);

    let square = made.iter().find(|(_, name)| *name == "square 0").unwrap().0.clone();
    act(&store, RecordingAct::Trash { id: square.clone() }).await.unwrap();
    assert!(due(NOW_MS + 7 * DAY_MS - 1).await.iter().all(|(_, due)| *due != Due::Trash));
    assert!(due(NOW_MS + 7 * DAY_MS).await.contains(&("square 0".into(), Due::Trash)));
    for due in store.due_recordings(Duration::from_secs(7 * 86_400), NOW_MS + 7 * DAY_MS).await.unwrap() {
        let delete = RecordingAct::Delete { id: due.id, due: Some(due.due) };
        store.perform_on_recording(&Actor::Server, &delete, NOW_MS).await.unwrap();
    }
    assert_eq!(due(NOW_MS + 7 * DAY_MS).await, []);
    assert_eq!(status(&store, &square).await, None);
}

async fn what_was_taken_from_the_trash_in_time_is_not_deleted(bed: Bed) {
    let store = bed.open().await;
    let id = available(&store, &new("stage")).await.id;
    let refused = act(&store, RecordingAct::Delete { id: id.clone(), due: Some(Due::Trash) }).await.unwrap_err();
    assert!(matches!(refused, Error::NotNow { .. }), "{refused}");
    assert_eq!(status(&store, &id).await, Some(RecordingStatus::Available));
}

async fn a_removed_stream_leaves_its_recordings(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    set_rules(&store, "stage", RecordingRulesPatch { count_max: Some(Some(1)), ..Default::default() }).await;
    for session in ["s1", "s2"] {
        available(&store, &NewRecording { session: session.into(), ..new("stage") }).await;
    }
    let due = async || store.due_recordings(Duration::ZERO, NOW_MS).await.unwrap().len();
    assert_eq!(due().await, 1);
    perform(&store, Act::RemoveStream { name: "stage".into() }).await.unwrap();
    assert_eq!((due().await, store.all_kept_spans().await.unwrap().len()), (0, 2));
}

async fn a_walk_over_many_pages_counts_all_that_are_newer(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    bed.tamper(
        "insert into recordings (id, stream, session, from_msn, until_msn, renditions, title, title_key, description, \
        tags, search, visibility, embed_parents, status, reason, stopped, started_ms, ended_ms, duration_ms, size_bytes, \
        stored_msn, created_ms, updated_ms) with recursive ages (age) as \
        (select 0 union all select age + 1 from ages where age < 1099) \
        select 'r' || age, 'stage', 's', 0, 1, 'source', '', '', '', '', '', 'public', '', 'available', '', 0, \
        1100 - age, 1100 - age, 0, 1, 0, 0, 0 from ages",
    )
    .await;
    let due = async |limits| {
        set_rules(&store, "stage", limits).await;
        let due = store.due_recordings(Duration::ZERO, NOW_MS).await.unwrap();
        due.into_iter().map(|due| due.id).collect::<Vec<_>>()
    };
    let by_count = due(RecordingRulesPatch { count_max: Some(Some(600)), ..Default::default() }).await;
    assert_eq!(by_count, (600..1_100).map(|age| format!("r{age}")).collect::<Vec<_>>());
    let by_bytes =
        due(RecordingRulesPatch { bytes_max: Some(Some(1_090)), count_max: Some(None), ..Default::default() }).await;
    assert_eq!(by_bytes, (1_090..1_100).map(|age| format!("r{age}")).collect::<Vec<_>>());
    let by_age = due(RecordingRulesPatch { days_max: Some(Some(1)), ..Default::default() }).await;
    assert_eq!(by_age, (0..1_000).map(|age| format!("r{age}")).collect::<Vec<_>>(), "a thousand at a time");
}
