//! A recording's life: it starts, goes on, ends, is changed by people, is cut into clips, and goes.
//! What keeps its segments meanwhile is tested in `keeping.rs`, how it is found in `library.rs`.

use super::bed::Bed;
use super::{NOW_MS, add, perform};
use store::{
    Act, Actor, Chapter, Due, Error, Fault, Measured, NewClip, NewRecording, Record, Recording, RecordingAct,
    RecordingDetails, RecordingPatch, RecordingRules, RecordingRulesPatch, RecordingStatus, Retention, Store,
    StreamPatch, Visibility, new_recording_id,
};

on_both!(
    a_streams_rules_for_recordings_change_one_by_one,
    a_recording_is_started_once_however_often_it_is_asked_for,
    a_session_has_one_running_recording_at_most,
    an_ended_recording_is_made_ready_and_can_be_watched,
    a_recording_that_cannot_be_watched_says_why,
    a_session_that_goes_on_goes_on_with_its_recording,
    a_recording_somebody_stopped_is_not_gone_on_with,
    what_a_dead_server_left_unfinished_is_found,
    people_record_only_what_may_be_recorded,
    what_is_said_of_a_recording_changes_one_by_one,
    the_trash_gives_back_what_was_not_deleted,
    what_runs_is_neither_trashed_nor_deleted,
    a_deleted_recording_is_gone_for_people_and_its_row_goes_last,
    a_clip_lies_inside_what_it_was_cut_from,
    every_act_on_a_recording_leaves_its_audit_row,
    what_can_be_watched_without_a_ticket_may_be_replayed,
    a_malformed_id_is_no_recording,
);

const MEASURED: Measured = Measured { duration_ms: 60_000, size_bytes: 1_000 };

/// A recording to be started, of the session `s1`, from segment 10 on.
pub fn new(stream: &str) -> NewRecording {
    NewRecording {
        id: new_recording_id(),
        stream: stream.into(),
        session: "s1".into(),
        from_msn: 10,
        renditions: vec!["source".into(), "720p".into()],
        details: RecordingDetails { title: "Evening".into(), ..RecordingDetails::default() },
        started_ms: NOW_MS,
    }
}

/// Runs a recording from its start to where it can be watched; 10 segments.
pub async fn available(store: &Store, new: &NewRecording) -> Recording {
    store.start_recording(new, NOW_MS).await.unwrap();
    store.end_recording(&new.id, new.from_msn + 10, new.started_ms + 60_000, NOW_MS).await.unwrap();
    store.finish_recording(&new.id, MEASURED, Some(1_000), NOW_MS).await.unwrap();
    store.recording(&new.id).await.unwrap().unwrap()
}

pub async fn act(store: &Store, act: RecordingAct) -> Result<Recording, Error> {
    store.perform_on_recording(&Actor::Cli, &act, NOW_MS).await
}

pub async fn set_rules(store: &Store, name: &str, recording: RecordingRulesPatch) -> RecordingRules {
    let patch = StreamPatch { recording, ..StreamPatch::default() };
    perform(store, Act::SetStream { name: name.into(), patch }).await.unwrap().stream.settings.recording
}

pub async fn status(store: &Store, id: &str) -> Option<RecordingStatus> {
    store.recording(id).await.unwrap().map(|recording| recording.status)
}

pub fn clip(of: &Recording, from_msn: u64, until_msn: u64) -> NewClip {
    NewClip {
        id: new_recording_id(),
        of: of.id.clone(),
        from_msn,
        until_msn,
        started_ms: NOW_MS,
        duration_ms: 4_000,
        size_bytes: 10,
        details: RecordingDetails { title: "Goal".into(), ..RecordingDetails::default() },
    }
}

async fn a_streams_rules_for_recordings_change_one_by_one(bed: Bed) {
    let store = bed.open().await;
    let (stage, _) = add(&store, "stage").await;
    assert_eq!(stage.settings.recording, RecordingRules::default());
    assert_eq!(stage.settings.recording.record, Record::Never);
    let none = RecordingRulesPatch::default;
    let rules = set_rules(&store, "stage", RecordingRulesPatch { record: Some(Record::Request), ..none() }).await;
    assert_eq!(rules, RecordingRules { record: Record::Request, ..RecordingRules::default() });
    let renditions = Some(vec!["480p".into()]);
    let patch = RecordingRulesPatch { renditions, visibility: Some(Visibility::Private), ..none() };
    set_rules(&store, "stage", patch).await;
    let limits = RecordingRulesPatch {
        days_max: Some(Some(30)),
        bytes_max: Some(Some(1 << 40)),
        count_max: Some(Some(5)),
        ..none()
    };
    set_rules(&store, "stage", limits).await;
    let rules = set_rules(&store, "stage", RecordingRulesPatch { count_max: Some(None), ..none() }).await;
    let retention = Retention { days_max: Some(30), bytes_max: Some(1 << 40), count_max: None };
    let wanted = RecordingRules {
        record: Record::Request,
        renditions: vec!["480p".into()],
        visibility: Visibility::Private,
        retention,
    };
    assert_eq!(rules, wanted);
    assert_eq!(store.streams().await.unwrap()[0].settings.recording, wanted);
    let patch =
        StreamPatch { recording: RecordingRulesPatch { renditions: Some(vec![]), ..none() }, ..StreamPatch::default() };
    let refused = perform(&store, Act::SetStream { name: "stage".into(), patch }).await.unwrap_err();
    assert!(matches!(refused, Error::BadSetting { setting: "renditions", .. }), "{refused}");
}

async fn a_recording_is_started_once_however_often_it_is_asked_for(bed: Bed) {
    let store = bed.open().await;
    let details = RecordingDetails {
        title: " Grüße, 'world' ".into(),
        description: "one\ntwo".into(),
        tags: vec!["Jazz".into(), "90 %".into()],
        visibility: Visibility::Unlisted,
        embed_parents: vec!["https://example.com".into(), "http://localhost:3000".into()],
        thumbnail_ms: Some(5),
        chapters: vec![Chapter { at_ms: 0, title: "Doors".into() }, Chapter { at_ms: 1_500, title: "Song".into() }],
    };
    let new = NewRecording { details: details.clone(), ..new("stage") };
    let started = store.start_recording(&new, NOW_MS).await.unwrap();
    assert_eq!(started.details, RecordingDetails { title: "Grüße, 'world'".into(), ..details });
    assert_eq!((started.status, started.until_msn, started.ended_ms), (RecordingStatus::Recording, None, None));
    assert_eq!(store.start_recording(&new, NOW_MS + 1).await.unwrap(), started);
    assert_eq!(bed.open().await.recording(&new.id).await.unwrap(), Some(started));
    for malformed in [
        NewRecording { id: "1".into(), ..new.clone() },
        NewRecording { stream: "../etc".into(), ..new.clone() },
        NewRecording { session: "a/b".into(), ..new.clone() },
        NewRecording { renditions: vec![], ..new.clone() },
    ] {
        assert_eq!(
            store.start_recording(&malformed, NOW_MS).await.unwrap_err().fault(),
            Fault::Caller,
            "{malformed:?}"
        );
    }
}

async fn a_session_has_one_running_recording_at_most(bed: Bed) {
    let store = bed.open().await;
    let first = new("stage");
    store.start_recording(&first, NOW_MS).await.unwrap();
    let refused = store.start_recording(&new("stage"), NOW_MS).await.unwrap_err();
    assert!(matches!(refused, Error::RecordedAlready { .. }), "{refused}");
    store.start_recording(&new("alley"), NOW_MS).await.unwrap();
    store.end_recording(&first.id, 20, NOW_MS, NOW_MS).await.unwrap();
    store.start_recording(&NewRecording { from_msn: 30, ..new("stage") }, NOW_MS).await.unwrap();
}

async fn an_ended_recording_is_made_ready_and_can_be_watched(bed: Bed) {
    let store = bed.open().await;
    let new = new("stage");
    store.start_recording(&new, NOW_MS).await.unwrap();
    store.note_recording(&new.id, Measured { duration_ms: 4_000, size_bytes: 7 }, NOW_MS + 1).await.unwrap();
    let running = store.recording(&new.id).await.unwrap().unwrap();
    assert_eq!((running.duration_ms, running.size_bytes, running.updated_ms), (4_000, 7, NOW_MS + 1));
    store.finish_recording(&new.id, MEASURED, None, NOW_MS).await.unwrap();
    assert_eq!(status(&store, &new.id).await, Some(RecordingStatus::Recording), "what runs is not finished");
    let early = store.end_recording(&new.id, 9, NOW_MS, NOW_MS).await.unwrap_err();
    assert_eq!(early.fault(), Fault::Caller, "{early}");

    for _ in 0..2 {
        store.end_recording(&new.id, 20, NOW_MS + 60_000, NOW_MS + 2).await.unwrap();
    }
    let ended = store.recording(&new.id).await.unwrap().unwrap();
    assert_eq!(
        (ended.status, ended.until_msn, ended.ended_ms, ended.stopped),
        (RecordingStatus::Processing, Some(20), Some(NOW_MS + 60_000), false)
    );
    store.note_recording(&new.id, Measured { duration_ms: 1, size_bytes: 1 }, NOW_MS).await.unwrap();
    for _ in 0..2 {
        store.finish_recording(&new.id, MEASURED, Some(1_000), NOW_MS + 3).await.unwrap();
    }
    let ready = store.recording(&new.id).await.unwrap().unwrap();
    assert_eq!((ready.status, ready.duration_ms, ready.size_bytes), (RecordingStatus::Available, 60_000, 1_000));
    assert_eq!(ready.details.thumbnail_ms, Some(1_000));
}

async fn a_recording_that_cannot_be_watched_says_why(bed: Bed) {
    let store = bed.open().await;
    let new = new("stage");
    store.start_recording(&new, NOW_MS).await.unwrap();
    store.end_recording(&new.id, 20, NOW_MS, NOW_MS).await.unwrap();
    store.fail_recording(&new.id, "its journal is\ngone", NOW_MS).await.unwrap();
    let failed = store.recording(&new.id).await.unwrap().unwrap();
    assert_eq!((failed.status, failed.reason.as_str()), (RecordingStatus::Failed, "its journal is gone"));
}

async fn a_session_that_goes_on_goes_on_with_its_recording(bed: Bed) {
    let store = bed.open().await;
    assert_eq!(store.reopen_recording("stage", "s1", NOW_MS).await.unwrap(), None);
    let earlier = available(&store, &new("stage")).await;
    let newest = available(&store, &NewRecording { from_msn: 30, ..new("stage") }).await;
    act(&store, RecordingAct::Clip(clip(&newest, 35, 36))).await.unwrap();
    let again = store.reopen_recording("stage", "s1", NOW_MS + 5).await.unwrap().unwrap();
    let wanted = Recording {
        status: RecordingStatus::Recording,
        until_msn: None,
        ended_ms: None,
        updated_ms: NOW_MS + 5,
        ..newest.clone()
    };
    assert_eq!(again, wanted);
    assert_eq!(store.reopen_recording("stage", "s1", NOW_MS + 5).await.unwrap(), Some(again), "once is enough");
    assert_eq!(status(&store, &earlier.id).await, Some(RecordingStatus::Available));
    assert_eq!(store.reopen_recording("stage", "s2", NOW_MS).await.unwrap(), None);
}

async fn a_recording_somebody_stopped_is_not_gone_on_with(bed: Bed) {
    let store = bed.open().await;
    let new = new("stage");
    store.start_recording(&new, NOW_MS).await.unwrap();
    let stop = RecordingAct::Stop { id: new.id.clone(), until_msn: 15 };
    let stopped = act(&store, stop.clone()).await.unwrap();
    assert_eq!((stopped.status, stopped.until_msn, stopped.stopped), (RecordingStatus::Processing, Some(15), true));
    assert_eq!(act(&store, stop).await.unwrap_err().fault(), Fault::Caller, "once is enough");
    assert_eq!(store.reopen_recording("stage", "s1", NOW_MS).await.unwrap(), Some(stopped));
}

async fn what_a_dead_server_left_unfinished_is_found(bed: Bed) {
    let store = bed.open().await;
    let (running, ended) = (new("stage"), NewRecording { started_ms: NOW_MS - 1, ..new("alley") });
    store.start_recording(&running, NOW_MS).await.unwrap();
    store.start_recording(&ended, NOW_MS).await.unwrap();
    store.end_recording(&ended.id, 20, NOW_MS, NOW_MS).await.unwrap();
    available(&store, &new("square")).await;
    store.close().await;
    let left = bed.open().await.unfinished_recordings().await.unwrap();
    assert_eq!(left.iter().map(|r| &r.id).collect::<Vec<_>>(), [&ended.id, &running.id]);
}

async fn people_record_only_what_may_be_recorded(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    let refused = act(&store, RecordingAct::Start(new("stage"))).await.unwrap_err();
    assert!(matches!(&refused, Error::BadSetting { setting: "record", why } if why.contains("request")), "{refused}");
    let missing = act(&store, RecordingAct::Start(new("nobody"))).await.unwrap_err();
    assert!(matches!(missing, Error::NoSuchStream { .. }), "{missing}");
    set_rules(&store, "stage", RecordingRulesPatch { record: Some(Record::Request), ..Default::default() }).await;
    let started = act(&store, RecordingAct::Start(new("stage"))).await.unwrap();
    assert_eq!(started.status, RecordingStatus::Recording);
}

async fn what_is_said_of_a_recording_changes_one_by_one(bed: Bed) {
    let store = bed.open().await;
    let before = available(&store, &new("stage")).await;
    let edit = async |patch| act(&store, RecordingAct::Edit { id: before.id.clone(), patch }).await;
    let none = RecordingPatch::default;
    let tags = Some(vec!["Jazz".into(), " jazz".into()]);
    edit(RecordingPatch { tags, visibility: Some(Visibility::Private), ..none() }).await.unwrap();
    let chapters = vec![Chapter { at_ms: 59_999, title: "End".into() }];
    edit(RecordingPatch { chapters: Some(chapters.clone()), ..none() }).await.unwrap();
    let parents = Some(vec!["https://Example.com".into()]);
    let after = edit(RecordingPatch { embed_parents: parents, description: Some("Two\nlines".into()), ..none() }).await;
    let wanted = RecordingDetails {
        title: "Evening".into(),
        description: "Two\nlines".into(),
        tags: vec!["Jazz".into()],
        visibility: Visibility::Private,
        embed_parents: vec!["https://example.com".into()],
        thumbnail_ms: Some(1_000),
        chapters,
    };
    assert_eq!(after.unwrap().details, wanted);
    for bad in [
        RecordingPatch { title: Some("x".repeat(201)), ..none() },
        RecordingPatch { tags: Some(vec!["a\nb".into()]), ..none() },
        RecordingPatch { embed_parents: Some(vec!["example.com".into()]), ..none() },
        RecordingPatch { thumbnail_ms: Some(60_001), ..none() },
        RecordingPatch { chapters: Some(vec![Chapter { at_ms: 60_000, title: "Behind".into() }]), ..none() },
        RecordingPatch { chapters: Some(vec![Chapter { at_ms: 0, title: " ".into() }]), ..none() },
    ] {
        assert_eq!(edit(bad.clone()).await.unwrap_err().fault(), Fault::Caller, "{bad:?}");
    }
    assert_eq!(store.recording(&before.id).await.unwrap(), Some(Recording { details: wanted, ..before }));
}

async fn the_trash_gives_back_what_was_not_deleted(bed: Bed) {
    let store = bed.open().await;
    let before = available(&store, &new("stage")).await;
    let id = &before.id;
    let restore = RecordingAct::Restore { id: id.clone() };
    assert_eq!(act(&store, restore.clone()).await.unwrap_err().fault(), Fault::Caller, "it is not in the trash");
    let trashed = act(&store, RecordingAct::Trash { id: id.clone() }).await.unwrap();
    assert_eq!(trashed.trashed_ms, Some(NOW_MS));
    assert!(matches!(act(&store, RecordingAct::Trash { id: id.clone() }).await, Err(Error::NotNow { .. })));
    assert_eq!(store.reopen_recording("stage", "s1", NOW_MS).await.unwrap(), Some(trashed));
    assert_eq!(act(&store, restore).await.unwrap(), before);
}

async fn what_runs_is_neither_trashed_nor_deleted(bed: Bed) {
    let store = bed.open().await;
    let id = store.start_recording(&new("stage"), NOW_MS).await.unwrap().id;
    for refused in [RecordingAct::Trash { id: id.clone() }, RecordingAct::Delete { id: id.clone(), due: None }] {
        let error = act(&store, refused).await.unwrap_err().to_string();
        assert!(error.contains("stop it first"), "{error}");
    }
    assert_eq!(status(&store, &id).await, Some(RecordingStatus::Recording));
}

async fn a_deleted_recording_is_gone_for_people_and_its_row_goes_last(bed: Bed) {
    let store = bed.open().await;
    let id = available(&store, &new("stage")).await.id;
    store.remove_recording(&id).await.unwrap();
    assert!(store.recording(&id).await.unwrap().is_some(), "what is not deleted for good stays");
    let delete = RecordingAct::Delete { id: id.clone(), due: None };
    let deleted = act(&store, delete.clone()).await.unwrap();
    assert_eq!(deleted.status, RecordingStatus::Deleted);
    assert_eq!(store.recording(&id).await.unwrap(), None);
    for gone in [
        delete,
        RecordingAct::Restore { id: id.clone() },
        RecordingAct::Edit { id: id.clone(), patch: RecordingPatch::default() },
        RecordingAct::Clip(clip(&deleted, 11, 12)),
    ] {
        assert!(matches!(act(&store, gone).await, Err(Error::NoSuchRecording { .. })));
    }
    assert_eq!(store.reopen_recording("stage", "s1", NOW_MS).await.unwrap(), Some(deleted.clone()));
    assert_eq!(bed.open().await.deleted_recordings().await.unwrap(), [deleted]);
    for _ in 0..2 {
        store.remove_recording(&id).await.unwrap();
    }
    assert_eq!(store.deleted_recordings().await.unwrap(), []);
}

async fn a_clip_lies_inside_what_it_was_cut_from(bed: Bed) {
    let store = bed.open().await;
    let whole = available(&store, &new("stage")).await;
    for (from_msn, until_msn) in [(9, 12), (12, 21), (12, 12), (14, 12)] {
        let refused = act(&store, RecordingAct::Clip(clip(&whole, from_msn, until_msn))).await.unwrap_err();
        assert!(matches!(refused, Error::BadSetting { setting: "clip", .. }), "{from_msn}..{until_msn}: {refused}");
    }
    let new = clip(&whole, 10, 20);
    let made = act(&store, RecordingAct::Clip(new.clone())).await.unwrap();
    assert_eq!((made.from_msn, made.until_msn, made.status), (10, Some(20), RecordingStatus::Available));
    assert_eq!((made.clip_of.as_deref(), made.details.title.as_str()), (Some(whole.id.as_str()), "Goal"));
    assert_eq!((made.started_ms, made.ended_ms), (NOW_MS, Some(NOW_MS + 4_000)));
    assert_eq!(store.recording(&made.id).await.unwrap(), Some(made));
    assert!(act(&store, RecordingAct::Clip(new)).await.is_err(), "its id is taken");

    let running =
        store.start_recording(&NewRecording { session: "s2".into(), ..self::new("stage") }, NOW_MS).await.unwrap();
    act(&store, RecordingAct::Clip(clip(&running, 100, 101))).await.unwrap();
    act(&store, RecordingAct::Trash { id: whole.id.clone() }).await.unwrap();
    let refused = act(&store, RecordingAct::Clip(clip(&whole, 10, 20))).await.unwrap_err().to_string();
    assert!(refused.contains("trash"), "{refused}");
}

async fn every_act_on_a_recording_leaves_its_audit_row(bed: Bed) {
    let store = bed.open().await;
    add(&store, "stage").await;
    set_rules(&store, "stage", RecordingRulesPatch { record: Some(Record::Request), ..Default::default() }).await;
    let mut changes = store.changes();
    changes.borrow_and_update();
    let new = new("stage");
    let id = &new.id;
    let whole = act(&store, RecordingAct::Start(new.clone())).await.unwrap();
    for next in [
        RecordingAct::Stop { id: id.clone(), until_msn: 20 },
        RecordingAct::Edit {
            id: id.clone(),
            patch: RecordingPatch { title: Some("Night".into()), ..Default::default() },
        },
        RecordingAct::Clip(clip(&whole, 12, 14)),
        RecordingAct::Trash { id: id.clone() },
        RecordingAct::Restore { id: id.clone() },
        RecordingAct::Delete { id: id.clone(), due: Some(Due::Age) },
    ] {
        act(&store, next).await.unwrap();
    }
    assert!(changes.has_changed().unwrap());
    store.remove_recording(id).await.unwrap();
    let rows = store.audit(2, 100).await.unwrap();
    let words: Vec<&str> = rows.iter().map(|row| row.act.as_str()).collect();
    assert_eq!(
        words,
        [
            "recording.start",
            "recording.stop",
            "recording.edit",
            "recording.clip",
            "recording.trash",
            "recording.restore",
            "recording.delete"
        ]
    );
    assert!(rows.iter().all(|row| row.target == "stage"));
    assert!(rows[2].detail.contains("Evening") && rows[2].detail.contains("Night"), "{}", rows[2].detail);
    assert!(rows[6].detail.contains(r#""due":"age""#), "{}", rows[6].detail);
    assert_eq!(store.check_audit().await.unwrap().broken_at, None);
}

async fn what_can_be_watched_without_a_ticket_may_be_replayed(bed: Bed) {
    let store = bed.open().await;
    for name in ["stage", "again"] {
        add(&store, name).await;
    }
    let replay = |id: &str, to: &str| RecordingAct::Replay { id: id.into(), to: to.into(), loops: true };
    let running = new("stage");
    store.start_recording(&running, NOW_MS).await.unwrap();
    let refused = act(&store, replay(&running.id, "again")).await.unwrap_err().to_string();
    assert!(refused.contains("still runs"), "{refused}");
    store.end_recording(&running.id, 20, NOW_MS, NOW_MS).await.unwrap();
    store.finish_recording(&running.id, MEASURED, None, NOW_MS).await.unwrap();
    act(&store, replay(&running.id, "again")).await.unwrap();
    let rows = store.audit(0, 100).await.unwrap();
    let row = rows.iter().find(|row| row.act == "recording.replay").expect("an audit row");
    assert_eq!(row.target, "stage");
    assert!(row.detail.contains(r#""to":"again""#) && row.detail.contains(r#""loop":true"#), "{}", row.detail);

    assert!(matches!(act(&store, replay(&running.id, "nowhere")).await, Err(Error::NoSuchStream { .. })));
    assert!(matches!(act(&store, replay(&new_recording_id(), "again")).await, Err(Error::NoSuchRecording { .. })));
    let patch = RecordingPatch { visibility: Some(Visibility::Private), ..Default::default() };
    act(&store, RecordingAct::Edit { id: running.id.clone(), patch }).await.unwrap();
    let refused = act(&store, replay(&running.id, "again")).await.unwrap_err().to_string();
    assert!(refused.contains("private"), "{refused}");
    let patch = StreamPatch { visibility: Some(Visibility::Private), ..Default::default() };
    perform(&store, Act::SetStream { name: "again".into(), patch }).await.unwrap();
    act(&store, replay(&running.id, "again")).await.unwrap();
    act(&store, RecordingAct::Trash { id: running.id.clone() }).await.unwrap();
    let refused = act(&store, replay(&running.id, "again")).await.unwrap_err().to_string();
    assert!(refused.contains("trash"), "{refused}");
}

async fn a_malformed_id_is_no_recording(bed: Bed) {
    let store = bed.open().await;
    let id = available(&store, &new("stage")).await.id;
    for bad in ["", "1", "a\0b", "' or 1=1 --", &id.to_uppercase(), &id.replace('-', "")] {
        assert_eq!(store.recording(bad).await.unwrap(), None, "{bad:?}");
        let refused = act(&store, RecordingAct::Trash { id: bad.into() }).await.unwrap_err();
        assert!(matches!(refused, Error::NoSuchRecording { .. }), "{bad:?}: {refused}");
        store.remove_recording(bad).await.unwrap();
        store.finish_recording(bad, MEASURED, None, NOW_MS).await.unwrap();
    }
}
