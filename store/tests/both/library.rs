//! What is found of the recordings, in which order, and page by page.

use super::NOW_MS;
use super::bed::Bed;
use super::recordings::{act, available, new};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use store::{
    Error, Fault, Measured, NewClip, NewRecording, Order, RecordingAct, RecordingDetails, RecordingPatch,
    RecordingStatus, Search, Sort, Store, Visibility, new_recording_id,
};

on_both!(
    a_text_is_found_wherever_it_stands_and_nothing_else_is,
    a_tag_is_found_as_a_whole_alone,
    an_edit_is_found_by_what_it_says,
    recordings_are_told_apart_by_their_facts,
    each_order_lists_all_both_ways,
    pages_show_each_row_once_while_rows_come_and_go,
    a_page_has_one_to_a_hundred_rows,
    what_nothing_can_be_searched_by_is_refused,
);

/// Values of a strategy, the same in each run: property tests cannot wait for a database.
fn samples<S: Strategy>(count: usize, strategy: S) -> Vec<S::Value> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

async fn titled(store: &Store, title: &str, started_ms: i64) -> String {
    let details = RecordingDetails { title: title.into(), ..RecordingDetails::default() };
    let new = NewRecording { session: new_recording_id(), details, started_ms, ..new("stage") };
    available(store, &new).await.id
}

async fn found(store: &Store, search: &Search) -> BTreeSet<String> {
    let page = store.recordings(search, Order::default(), None, 100).await.unwrap();
    assert_eq!(store.count_recordings(search).await.unwrap(), page.recordings.len() as u64, "{search:?}");
    page.recordings.into_iter().map(|recording| recording.details.title).collect()
}

fn text(text: &str) -> Search {
    Search { text: text.into(), ..Search::default() }
}

async fn a_text_is_found_wherever_it_stands_and_nothing_else_is(bed: Bed) {
    const LETTERS: &str = "[aAéÉßΣςİ%_!'\\\\*? ]";
    let store = bed.open().await;
    let titles: BTreeSet<String> =
        samples(40, format!("{LETTERS}{{1,12}}").as_str()).into_iter().map(|title| title.trim().to_owned()).collect();
    for title in &titles {
        titled(&store, title, NOW_MS).await;
    }
    let lower = |text: &str| text.trim().chars().flat_map(char::to_lowercase).collect::<String>();
    for needle in samples(60, format!("{LETTERS}{{1,3}}").as_str()) {
        let wanted: BTreeSet<String> =
            titles.iter().filter(|title| lower(title).contains(&lower(&needle))).cloned().collect();
        assert_eq!(found(&store, &text(&needle)).await, wanted, "{needle:?}");
    }
}

async fn a_tag_is_found_as_a_whole_alone(bed: Bed) {
    let store = bed.open().await;
    let tagged = [("one", vec!["Jazz", "90 %"]), ("two", vec!["jazz club"]), ("three", vec![])];
    for (title, tags) in tagged {
        let tags = tags.into_iter().map(str::to_owned).collect();
        let details = RecordingDetails { title: title.into(), description: "jazz".into(), tags, ..Default::default() };
        available(&store, &NewRecording { session: title.into(), details, ..new("stage") }).await;
    }
    let titles = |titles: &[&str]| titles.iter().map(|title| (*title).to_owned()).collect::<BTreeSet<_>>();
    for (tag, wanted) in [
        ("JAZZ", titles(&["one"])),
        (" jazz club ", titles(&["two"])),
        ("90 %", titles(&["one"])),
        ("j%", titles(&[])),
        ("", titles(&[])),
    ] {
        assert_eq!(found(&store, &Search { tag: Some(tag.into()), ..Search::default() }).await, wanted, "{tag:?}");
    }
    assert_eq!(found(&store, &text("jazz c")).await, titles(&["two"]), "a text is found in tags too");
    assert_eq!(found(&store, &text("jazz")).await, titles(&["one", "two", "three"]), "and in descriptions");
}

async fn an_edit_is_found_by_what_it_says(bed: Bed) {
    let store = bed.open().await;
    let id = titled(&store, "Evening", NOW_MS).await;
    let patch = RecordingPatch { title: Some("Night".into()), ..RecordingPatch::default() };
    act(&store, RecordingAct::Edit { id, patch }).await.unwrap();
    assert_eq!((found(&store, &text("evening")).await.len(), found(&store, &text("night")).await.len()), (0, 1));
}

async fn recordings_are_told_apart_by_their_facts(bed: Bed) {
    let store = bed.open().await;
    let details = |title: &str, visibility| RecordingDetails { title: title.into(), visibility, ..Default::default() };
    let running = NewRecording { details: details("running", Visibility::Private), ..new("alley") };
    store.start_recording(&running, NOW_MS).await.unwrap();
    let old = NewRecording { details: details("old", Visibility::Public), started_ms: NOW_MS - 1_000, ..new("stage") };
    let old = available(&store, &old).await;
    let clip = NewClip {
        id: new_recording_id(),
        of: old.id.clone(),
        from_msn: 11,
        until_msn: 12,
        started_ms: NOW_MS - 500,
        duration_ms: 1,
        size_bytes: 1,
        details: details("clip", Visibility::Unlisted),
    };
    act(&store, RecordingAct::Clip(clip)).await.unwrap();
    for (title, to_trash) in [("trashed", true), ("deleted", false)] {
        let id = titled(&store, title, NOW_MS).await;
        let go = if to_trash { RecordingAct::Trash { id } } else { RecordingAct::Delete { id, due: None } };
        act(&store, go).await.unwrap();
    }
    let check = async |search: Search, wanted: &[&str]| {
        let wanted: BTreeSet<String> = wanted.iter().map(|title| (*title).to_owned()).collect();
        assert_eq!(found(&store, &search).await, wanted, "{search:?}");
    };
    let any = Search::default;
    check(any(), &["running", "old", "clip"]).await;
    check(Search { trashed: true, ..any() }, &["trashed"]).await;
    check(Search { stream: Some("stage".into()), ..any() }, &["old", "clip"]).await;
    check(Search { status: Some(RecordingStatus::Recording), ..any() }, &["running"]).await;
    check(Search { status: Some(RecordingStatus::Deleted), ..any() }, &[]).await;
    check(Search { visibility: Some(Visibility::Unlisted), ..any() }, &["clip"]).await;
    check(Search { clip: Some(true), ..any() }, &["clip"]).await;
    check(Search { clip: Some(false), ..any() }, &["running", "old"]).await;
    check(Search { from_ms: Some(NOW_MS - 500), ..any() }, &["running", "clip"]).await;
    check(Search { until_ms: Some(NOW_MS - 500), ..any() }, &["old"]).await;
    check(Search { from_ms: Some(NOW_MS - 1_000), until_ms: Some(NOW_MS), ..any() }, &["old", "clip"]).await;
}

const SORTS: [Sort; 4] = [Sort::Started, Sort::Title, Sort::Duration, Sort::Size];

/// A recording with a key of its own in each order, many of them equal; gives its id.
async fn varied(store: &Store, n: i64) -> String {
    let titles = ["", "alpha", "Beta", "beta", "delta"];
    let details = RecordingDetails { title: titles[n as usize % titles.len()].into(), ..RecordingDetails::default() };
    let new = NewRecording { session: format!("n{n}"), details, started_ms: NOW_MS + n % 3, ..new("stage") };
    store.start_recording(&new, NOW_MS).await.unwrap();
    store.end_recording(&new.id, 20, NOW_MS, NOW_MS).await.unwrap();
    let became = Measured { duration_ms: (n % 4) as u64, size_bytes: (n % 2) as u64 };
    store.finish_recording(&new.id, became, None, NOW_MS).await.unwrap();
    new.id
}

/// All ids in this order, over pages of `limit`; between two pages `meanwhile` happens.
async fn listed(store: &Store, order: Order, limit: u32, mut meanwhile: impl AsyncFnMut()) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.recordings(&Search::default(), order, cursor.as_deref(), limit).await.unwrap();
        assert!(page.recordings.len() <= limit as usize);
        ids.extend(page.recordings.into_iter().map(|recording| recording.id));
        cursor = page.next;
        if cursor.is_none() {
            return ids;
        }
        assert!(ids.len() < 1_000, "the list has an end");
        meanwhile().await;
    }
}

async fn each_order_lists_all_both_ways(bed: Bed) {
    let store = bed.open().await;
    let mut made = Vec::new();
    for n in 0..13 {
        made.push(varied(&store, n).await);
    }
    for by in SORTS {
        let up = listed(&store, Order { by, descending: false }, 5, async || {}).await;
        let mut down = listed(&store, Order { by, descending: true }, 4, async || {}).await;
        down.reverse();
        assert_eq!(up, down, "{by:?}");
        assert_eq!(up.iter().collect::<BTreeSet<_>>(), made.iter().collect(), "{by:?}");
        let page = store.recordings(&Search::default(), Order { by, descending: false }, None, 100).await.unwrap();
        let sorted = page.recordings.is_sorted_by(|a, b| match by {
            Sort::Started => a.started_ms <= b.started_ms,
            Sort::Title => a.details.title.to_lowercase() <= b.details.title.to_lowercase(),
            Sort::Duration => a.duration_ms <= b.duration_ms,
            Sort::Size => a.size_bytes <= b.size_bytes,
        });
        assert!(sorted, "{by:?}");
    }
}

async fn pages_show_each_row_once_while_rows_come_and_go(bed: Bed) {
    let store = bed.open().await;
    let plan = (prop::sample::select(SORTS.to_vec()), any::<bool>(), 1..4u32, prop::collection::vec(0..60i64, 2..6));
    let mut made = Vec::new();
    for n in 0..9 {
        made.push(varied(&store, n).await);
    }
    for (round, (by, descending, limit, comings)) in samples(12, plan).into_iter().enumerate() {
        let mut added: Vec<String> = Vec::new();
        let mut comings = comings.into_iter();
        let ids = listed(&store, Order { by, descending }, limit, async || {
            // Something comes, and something that came before goes.
            if let Some(n) = comings.next() {
                if let Some(id) = added.pop() {
                    act(&store, RecordingAct::Delete { id, due: None }).await.unwrap();
                }
                added.push(varied(&store, 1_000 * (round as i64 + 1) + n).await);
            }
        })
        .await;
        let seen: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(seen.len(), ids.len(), "nothing twice: {by:?} {descending} {limit}");
        assert!(made.iter().all(|id| seen.contains(id)), "nothing left out: {by:?} {descending} {limit}");
        for id in added {
            act(&store, RecordingAct::Delete { id, due: None }).await.unwrap();
        }
    }
}

async fn a_page_has_one_to_a_hundred_rows(bed: Bed) {
    let store = bed.open().await;
    for n in 0..101 {
        varied(&store, n).await;
    }
    for (limit, rows) in [(0, 1), (1, 1), (100, 100), (u32::MAX, 100)] {
        let page = store.recordings(&Search::default(), Order::default(), None, limit).await.unwrap();
        assert_eq!((page.recordings.len(), page.next.is_some()), (rows, true), "{limit}");
    }
    assert_eq!(store.count_recordings(&Search::default()).await.unwrap(), 101);
}

async fn what_nothing_can_be_searched_by_is_refused(bed: Bed) {
    let store = bed.open().await;
    for _ in 0..2 {
        titled(&store, "Evening", NOW_MS).await;
    }
    for bad in [
        text("a\0b"),
        text(&"x".repeat(201)),
        Search { tag: Some("a\u{1e}b".into()), ..Search::default() },
        Search { stream: Some("a\0b".into()), ..Search::default() },
    ] {
        let refused = store.recordings(&bad, Order::default(), None, 10).await.unwrap_err();
        assert_eq!((refused.fault(), store.count_recordings(&bad).await.is_err()), (Fault::Caller, true), "{bad:?}");
    }
    let next = store.recordings(&Search::default(), Order::default(), None, 1).await.unwrap().next.unwrap();
    let by_title = Order { by: Sort::Title, descending: true };
    for (cursor, order) in [(next.as_str(), by_title), ("", Order::default()), ("' or 1=1 --", Order::default())] {
        let refused = store.recordings(&Search::default(), order, Some(cursor), 1).await.unwrap_err();
        assert!(matches!(refused, Error::BadCursor), "{cursor:?}: {refused}");
    }
    assert!(store.recordings(&Search::default(), Order::default(), Some(&next), 1).await.unwrap().next.is_none());
}
