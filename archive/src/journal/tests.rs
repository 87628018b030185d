use super::*;
use crate::record::put;
use media::MediaTime;
use packager::AudioCoding;
use proptest::prelude::*;

const SECOND: MediaTime = MediaTime::from_millis(1000);

pub(crate) fn head(serial: u32, first_msn: u64) -> Head {
    Head {
        stream: "show".into(),
        session: "s".into(),
        serial,
        first_msn,
        sequence: first_msn,
        discontinuities: 0,
        has_hole: false,
        target: MediaTime::from_millis(2000),
    }
}

fn begin(msn: u64, init: Option<u64>) -> Record {
    let start = MediaTime::from_millis(msn as i64 * 1000);
    Record::Begin { rendition: 0, msn, start, wall_ms: msn as i64 * 1000, discontinuity: false, init }
}

fn part(index: u32, offset: u32, length: u32) -> Record {
    let chunk = Chunk { offset, length, crc: 0 };
    Record::Part { rendition: 0, index, chunk, duration: SECOND, independent: true, gap: length == 0 }
}

fn end() -> Record {
    Record::End { rendition: 0, gap: false }
}

/// A sound journal with two segments, of three parts and of a gap.
fn records() -> Vec<Record> {
    let coding = Coding::Audio(AudioCoding { codecs: "mp4a.40.2".into(), channels: 2, sample_rate: 48_000 });
    let init = Record::Init { rendition: 0, generation: 5, coding, data: Bytes::from_static(b"init") };
    vec![
        Record::Rendition { id: "audio".into(), track: Track::Audio },
        init,
        begin(5, Some(5)),
        part(0, 0, 10),
        part(1, 10, 20),
        part(2, 30, 0),
        end(),
        begin(6, None),
        part(0, 30, 0),
        end(),
        Record::Sealed(Seal { until_msn: 7, until_wall_ms: 8000 }),
    ]
}

fn bytes(records: &[Record]) -> Bytes {
    let mut out = MAGIC.to_vec();
    put(&mut out, &Record::Reel(head(0, 5)));
    records.iter().for_each(|record| put(&mut out, record));
    out.into()
}

#[test]
fn a_journal_says_where_each_segment_lies() {
    let journal = Journal::read(bytes(&records())).unwrap();
    assert!(journal.is_sealed());
    let line = &journal.lines[0];
    let of = |s: &Segment| (s.msn, s.duration().as_millis(), s.offset, s.length, s.gap, s.init());
    let found: Vec<_> = line.segments.iter().map(of).collect();
    assert_eq!(found, [(5, 3000, 0, 30, false, Some(5)), (6, 1000, 30, 0, true, None)]);
    assert_eq!((line.bytes, journal.until_msn(), journal.seal().until_wall_ms), (30, 7, 8000));
}

#[test]
fn records_out_of_order_end_the_journal() {
    let check = |change: fn(&mut Vec<Record>), segments: usize| {
        let mut changed = records();
        change(&mut changed);
        let journal = Journal::read(bytes(&changed)).unwrap();
        let found = journal.lines.first().map_or(0, |line| line.segments.len());
        assert_eq!((found, journal.is_sealed()), (segments, false), "{changed:?}");
    };
    check(|r| r[0] = begin(5, None), 0);
    check(|r| drop(r.remove(1)), 0);
    check(|r| r[3] = part(1, 0, 10), 0);
    check(|r| r[4] = part(1, 11, 20), 0);
    check(|r| r[6] = Record::End { rendition: 9, gap: false }, 0);
    check(|r| drop(r.remove(6)), 0);
    check(|r| r[7] = begin(8, None), 1);
    check(|r| r[7] = begin(5, None), 1);
    check(|r| drop(r.remove(9)), 1);
    check(|r| r.insert(10, Record::Reel(head(0, 5))), 2);
}

#[test]
fn nothing_counts_behind_a_seal() {
    let mut longer = records();
    longer.push(begin(7, None));
    let (journal, good) = Journal::replay(bytes(&longer), |_, _| true).unwrap();
    assert!(journal.is_sealed());
    assert_eq!(good, bytes(&records()).len());
}

#[test]
fn media_that_is_not_sound_ends_the_journal() {
    let (journal, _) = Journal::replay(bytes(&records()), |id, chunk| id == "audio" && chunk.offset < 10).unwrap();
    assert_eq!((journal.lines[0].bytes, journal.endings().len()), (10, 1));
}

#[test]
fn what_is_no_journal_is_told_apart() {
    let whole = bytes(&records());
    assert_eq!(Journal::read(Bytes::new()), Err(Unreadable::Empty));
    assert_eq!(Journal::read(Bytes::from_static(&[0; 4096])), Err(Unreadable::Empty));
    assert_eq!(Journal::read(whole.slice(..20)), Err(Unreadable::Empty));
    assert_eq!(Journal::read(Bytes::from_static(b"WEIRREL\x02 and what comes")), Err(Unreadable::Version(2)));
    assert_eq!(Journal::read(Bytes::from_static(b"#EXTM3U\n#EXT")), Err(Unreadable::Foreign));
    let mut damaged = whole.to_vec();
    damaged[20] ^= 1;
    assert_eq!(Journal::read(damaged.into()), Err(Unreadable::Foreign));
}

#[test]
fn a_cut_anywhere_leaves_what_is_before_it() {
    let (whole, all) = (bytes(&records()), Journal::read(bytes(&records())).unwrap());
    for cut in 0..whole.len() {
        if let Ok((journal, good)) = Journal::replay(whole.slice(..cut), |_, _| true) {
            assert!(good <= cut && !journal.is_sealed());
            for (line, whole) in journal.lines.iter().zip(&all.lines) {
                assert!(whole.segments.starts_with(&line.segments), "cut at {cut}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_records_are_taken_or_refused(records in proptest::collection::vec(crate::record::tests::record(), 0..12)) {
        let mut journal = Journal::new(head(0, 0));
        for record in &records {
            let before = journal.clone();
            if !journal.apply(record) {
                prop_assert_eq!(&journal, &before, "{:?}", record);
            }
        }
        for ending in journal.endings() {
            prop_assert!(journal.apply(&ending));
        }
        prop_assert!(journal.endings().is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _answer = Journal::read([&bytes(&records()[..4])[..], &tail].concat().into());
        let _answer = Journal::read(tail.into());
    }
}
