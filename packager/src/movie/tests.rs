use super::*;
use crate::cmaf::fragment::{self, Sample};
use crate::cmaf::{boxes, init};
use media::{ColorInfo, Config, Track, VideoCodec, VideoConfig, aac};
use mp4_atom::{Any, Codec, Decode, Moov, StszSamples, Trak};
use proptest::prelude::*;
use std::sync::Arc;

/// 1/30 s at 90 kHz.
const FRAME: i64 = 3000;
/// Samples in an audio frame.
const AAC: i64 = 1024;
/// Ten seconds, where a session's timeline begins, for pictures and for sound at 48 kHz.
const PICTURES: i64 = 900_000;
const SOUND: i64 = 480_000;
const HOUR: i64 = 3600 * 90_000;

fn video_init() -> Bytes {
    init::write(&Config::Video(Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(&[1, 0x64, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 31, 1, 0, 2, 0x68, 0xeb]),
        nal_length_size: 4,
        width: 1280,
        height: 720,
        sample_aspect: (4, 3),
        codecs: "avc1.64001f".into(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    })))
}

fn audio_init() -> Bytes {
    let config = aac::parse_config(&Bytes::from_static(&[0x11, 0x90])).unwrap();
    init::write(&Config::Audio(Arc::new(config)))
}

/// A recording of one track for each init section: what a caller keeps.
struct Recording {
    tracks: Vec<MovieTrack>,
    payloads: Vec<Vec<Bytes>>,
    written: u8,
}

impl Recording {
    fn new(inits: &[Bytes]) -> Self {
        let tracks: Vec<_> = inits.iter().map(|init| MovieTrack::new(init).unwrap()).collect();
        Self { payloads: vec![vec![]; tracks.len()], tracks, written: 0 }
    }

    fn push(&mut self, track: usize, at: i64, samples: &[Sample]) -> Result<(), MovieError> {
        let (moof, payload) = split(self.tracks[track].init.track, at, samples);
        let result = self.tracks[track].push(&moof, payload.len() as u64);
        self.payloads[track].push(payload);
        result
    }

    /// Pictures from a tick on, shown so many frames after they are decoded; the first is a key frame.
    fn pictures(&mut self, track: usize, at: i64, offsets: &[i64]) {
        let sample = |(n, offset)| self.sample(FRAME, FRAME * offset, n == 0, 20 + n);
        let samples: Vec<Sample> = offsets.iter().enumerate().map(sample).collect();
        self.push(track, at, &samples).unwrap();
    }

    /// So many audio frames from a sample on.
    fn frames(&mut self, track: usize, at: i64, count: usize) {
        let samples: Vec<Sample> = (0..count).map(|n| self.sample(AAC, 0, true, 7 + n % 3)).collect();
        self.push(track, at, &samples).unwrap();
    }

    /// A sample unlike its neighbours.
    fn sample(&mut self, duration: i64, offset: i64, sync: bool, size: usize) -> Sample {
        self.written = self.written.wrapping_add(1);
        let data = Bytes::from(vec![self.written; size]);
        Sample { data, duration: duration as u32, offset: offset as i32, sync }
    }

    fn laid_out(&self) -> Result<Movie, MovieError> {
        Movie::new(self.tracks.clone(), "", SystemTime::UNIX_EPOCH)
    }

    fn movie(&self) -> Movie {
        self.laid_out().unwrap()
    }

    /// The bytes a client gets that asks for `range`.
    fn served(&self, movie: &Movie, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        for slice in movie.slices(range) {
            assert!(slice.size_bytes() > 0);
            match slice {
                MovieSlice::Bytes(bytes) => out.extend(bytes),
                MovieSlice::Payload { track, fragment, range } => {
                    out.extend(&self.payloads[track][fragment][range.start as usize..range.end as usize]);
                }
            }
        }
        out
    }

    fn file(&self) -> Vec<u8> {
        let movie = self.movie();
        let file = self.served(&movie, 0..u64::MAX);
        assert_eq!(file.len() as u64, movie.size_bytes());
        file
    }
}

/// How many frames later than they are decoded pictures are shown when decode times are regular.
const REORDERED: [i64; 15] = [0, 3, 0, -2, -1, 3, 0, -2, -1, 0, 0, 2, -1, -1, 0];

/// Half a second of pictures and sound, three times: a usual recording.
fn usual() -> Recording {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    for turn in 0..3 {
        recording.pictures(0, PICTURES + turn * 15 * FRAME, &REORDERED);
        recording.frames(1, SOUND + turn * 24 * AAC, 24);
    }
    recording
}

/// A chunk as an archive keeps it: `moof`, and the payload of `mdat`.
fn split(track: Track, at: i64, samples: &[Sample]) -> (Bytes, Bytes) {
    let chunk = fragment::write(track, 1, at as u64, samples);
    let size = boxes::word(&chunk, 0).unwrap() as usize;
    (chunk.slice(..size), chunk.slice(size + 8..))
}

/// A sample as mp4-atom finds it; it is shown so long after the track's first.
#[derive(Debug, PartialEq)]
struct Found {
    decode_time: i64,
    presentation_time: i64,
    sync: bool,
    data: Vec<u8>,
}

fn moov(mut file: &[u8]) -> Moov {
    let Any::Ftyp(ftyp) = Any::decode(&mut file).unwrap() else { panic!("no ftyp") };
    assert!(ftyp.compatible_brands.contains(&b"mp42".into()));
    let Any::Moov(moov) = Any::decode(&mut file).unwrap() else { panic!("no moov") };
    moov
}

/// The samples of a track, by its tables.
fn samples(trak: &Trak, file: &[u8]) -> Vec<Found> {
    let stbl = &trak.mdia.minf.stbl;
    let StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("one size for all") };
    let many = |value: i64, count: u32| std::iter::repeat_n(value, count as usize);
    let durations = stbl.stts.entries.iter().flat_map(|e| many(e.sample_delta.into(), e.sample_count));
    let durations: Vec<i64> = durations.collect();
    assert_eq!(durations.len(), sizes.len());
    assert_eq!(durations.iter().sum::<i64>() as u64, trak.mdia.mdhd.duration);
    let offsets: Vec<i64> = match &stbl.ctts {
        Some(ctts) => ctts.entries.iter().flat_map(|e| many(e.sample_offset, e.sample_count)).collect(),
        None => vec![0; sizes.len()],
    };
    assert_eq!(offsets.len(), sizes.len());
    let begin = edits(trak).iter().find_map(|(_, from)| *from).unwrap_or_default() as i64;
    let places = &stbl.stco.as_ref().unwrap().entries;
    let (mut out, mut decode_time) = (Vec::new(), 0);
    for (number, place) in (1..).zip(places) {
        let entry = stbl.stsc.entries.iter().rfind(|e| e.first_chunk <= number).unwrap();
        let mut at = *place as usize;
        for _ in 0..entry.samples_per_chunk {
            let index = out.len();
            let end = at + sizes[index] as usize;
            out.push(Found {
                decode_time,
                presentation_time: decode_time + offsets[index] - begin,
                sync: stbl.stss.as_ref().is_none_or(|stss| stss.entries.contains(&(index as u32 + 1))),
                data: file[at..end].to_vec(),
            });
            decode_time += durations[index];
            at = end;
        }
    }
    assert_eq!(out.len(), sizes.len());
    out
}

/// The edits of a track: length in 90 kHz, and where in the media.
fn edits(trak: &Trak) -> Vec<(u64, Option<u64>)> {
    let elst = trak.edts.as_ref().and_then(|edts| edts.elst.as_ref());
    elst.map_or(vec![], |elst| elst.entries.iter().map(|e| (e.segment_duration, e.media_time)).collect())
}

#[test]
fn a_foreign_reader_finds_every_sample_with_its_times() {
    let recording = usual();
    let file = recording.file();
    let moov = moov(&file);
    let found = samples(&moov.trak[0], &file);
    assert_eq!(found.iter().flat_map(|f| f.data.clone()).collect::<Vec<_>>(), recording.payloads[0].concat());
    for (n, picture) in (0..).zip(&found) {
        assert_eq!(picture.decode_time, n * FRAME);
        assert_eq!(picture.presentation_time, (n + REORDERED[n as usize % 15]) * FRAME);
        assert_eq!(picture.sync, n % 15 == 0);
    }
    let found = samples(&moov.trak[1], &file);
    assert_eq!(found.iter().flat_map(|f| f.data.clone()).collect::<Vec<_>>(), recording.payloads[1].concat());
    assert!((0..).zip(&found).all(|(n, frame)| frame.presentation_time == n * AAC && frame.sync));
}

#[test]
fn configurations_and_timescales_are_those_of_the_init_sections() {
    let file = usual().file();
    for init in [video_init(), audio_init()] {
        let at = init.windows(4).position(|w| w == b"stsd").unwrap() - 4;
        let stsd = boxes::find(&init[at..], b"stsd").unwrap();
        assert!(file.windows(stsd.len()).any(|w| w == stsd), "the sample description stands there byte by byte");
    }
    let moov = moov(&file);
    assert!(moov.mvex.is_none());
    let Codec::Avc1(picture) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("not avc1") };
    assert_eq!((picture.visual.width, picture.visual.height), (1280, 720));
    assert_eq!(moov.trak[0].tkhd.width.integer(), 1706, "the width with square pixels");
    assert_eq!(moov.trak[0].mdia.mdhd.timescale, 90_000);
    let Codec::Mp4a(_) = &moov.trak[1].mdia.minf.stbl.stsd.codecs[0] else { panic!("not mp4a") };
    assert_eq!(moov.trak[1].mdia.mdhd.timescale, 48_000);
    assert_eq!((moov.trak[0].tkhd.track_id, moov.trak[1].tkhd.track_id), (1, 2));
}

#[test]
fn tracks_that_begin_together_without_reordering_need_no_edit() {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    recording.pictures(0, PICTURES, &[0; 45]);
    recording.frames(1, SOUND, 72);
    let moov = moov(&recording.file());
    assert!(moov.trak.iter().all(|trak| trak.edts.is_none()));
    assert_eq!(moov.mvhd.duration, moov.trak[1].tkhd.duration);
    assert_eq!(moov.trak[0].tkhd.duration, 45 * FRAME as u64);
    assert_eq!(moov.trak[1].tkhd.duration, 72 * 1920);
}

#[test]
fn a_track_that_begins_later_gets_an_empty_edit() {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    recording.pictures(0, PICTURES, &[0; 30]);
    recording.frames(1, SOUND + 4800, 24);
    let moov = moov(&recording.file());
    assert!(edits(&moov.trak[0]).is_empty());
    assert_eq!(edits(&moov.trak[1]), [(9000, None), (24 * 1920, Some(0))]);
    assert_eq!(moov.trak[1].tkhd.duration, 9000 + 24 * 1920);
}

#[test]
fn offsets_are_above_zero_and_an_edit_takes_back_what_lifts_them() {
    let moov = moov(&usual().file());
    assert_eq!(edits(&moov.trak[0]), [(45 * FRAME as u64, Some(2 * FRAME as u64))]);
    let ctts = moov.trak[0].mdia.minf.stbl.ctts.as_ref().unwrap();
    assert_eq!(ctts.entries.iter().map(|e| e.sample_offset).min(), Some(0));
    assert_eq!(moov.trak[0].tkhd.duration, 45 * FRAME as u64);
}

#[test]
fn squeezed_decode_times_become_regular() {
    let mut recording = Recording::new(&[video_init()]);
    // The lane's: two frames of reordering are squeezed into the first one.
    let (shown, decoded) = ([0, 4, 2, 1, 3, 5], [0, 1000, 2000, 3000, 6000, 9000, 12_000]);
    for group in 0..2 {
        let times = decoded.windows(2).zip(shown);
        let sample =
            |(time, shown): (&[i64], i64)| recording.sample(time[1] - time[0], shown * FRAME - time[0], shown == 0, 9);
        let samples: Vec<Sample> = times.map(sample).collect();
        recording.push(0, PICTURES + group * 6 * FRAME, &samples).unwrap();
    }
    let file = recording.file();
    let moov = moov(&file);
    assert_eq!(moov.trak[0].mdia.minf.stbl.stts.entries.len(), 1, "one duration for all");
    let found: Vec<i64> = samples(&moov.trak[0], &file).iter().map(|f| f.presentation_time / FRAME).collect();
    assert_eq!(found, [0, 4, 2, 1, 3, 5, 6, 10, 8, 7, 9, 11]);
}

#[test]
fn the_picture_before_a_hole_lasts_until_the_next_one() {
    let mut recording = Recording::new(&[video_init()]);
    recording.pictures(0, PICTURES, &[0; 3]);
    recording.pictures(0, PICTURES + 103 * FRAME, &[0; 3]);
    let file = recording.file();
    let times: Vec<i64> = samples(&moov(&file).trak[0], &file).iter().map(|f| f.decode_time / FRAME).collect();
    assert_eq!(times, [0, 1, 2, 103, 104, 105]);
}

#[test]
fn chunks_that_overlap_by_little_keep_their_presentation_times() {
    let mut recording = Recording::new(&[video_init()]);
    recording.pictures(0, PICTURES, &[0; 3]);
    recording.pictures(0, PICTURES + 2 * FRAME - 10, &[0; 3]);
    let file = recording.file();
    let found = samples(&moov(&file).trak[0], &file);
    assert_eq!(found[3].decode_time, found[2].decode_time + 1);
    assert_eq!(found[3].presentation_time, 2 * FRAME - 10);
    assert_eq!(found[4].decode_time, 3 * FRAME - 10);
}

#[test]
fn a_file_that_ends_amid_a_group_shows_its_last_picture_as_long_as_others() {
    let mut recording = Recording::new(&[video_init()]);
    let shown = [0, 9000, 3000, 6000];
    let samples: Vec<Sample> =
        (0..).zip(shown).map(|(n, shown)| recording.sample(1000, shown - 1000 * n, n == 0, 9)).collect();
    recording.push(0, PICTURES, &samples).unwrap();
    assert_eq!(moov(&recording.file()).trak[0].mdia.mdhd.duration, 12_000);
}

#[test]
fn missing_sound_is_silence_on_the_grid_of_its_frames() {
    let mut recording = Recording::new(&[audio_init()]);
    recording.frames(0, SOUND, 10);
    // Forty frames and a third later, and another one whose second frame is stretched by two.
    recording.frames(0, SOUND + 50 * AAC + AAC / 3, 10);
    let stretched: Vec<_> = (0..3).map(|n| recording.sample(if n == 0 { 3 * AAC } else { AAC }, 0, true, 9)).collect();
    recording.push(0, SOUND + 60 * AAC, &stretched).unwrap();
    let file = recording.file();
    let moov = moov(&file);
    assert_eq!(moov.trak[0].mdia.minf.stbl.stts.entries.len(), 1, "every frame is as long as any other");
    let silent = aac::silent_frame(2).unwrap();
    let found = samples(&moov.trak[0], &file);
    let silences: Vec<usize> = (0..found.len()).filter(|n| found[*n].data == silent).collect();
    assert_eq!(silences, (10..50).chain(61..63).collect::<Vec<_>>());
    assert_eq!(found.len(), 65);
}

#[test]
fn small_steps_of_the_sound_add_up_to_a_silent_frame_and_no_more() {
    let mut recording = Recording::new(&[audio_init()]);
    for n in 0..40 {
        recording.frames(0, SOUND + n * (10 * AAC + 100), 10);
    }
    let file = recording.file();
    // 39 steps of 100 samples are 3.8 frames.
    assert_eq!(samples(&moov(&file).trak[0], &file).len(), 404);
}

#[test]
fn players_never_read_a_second_of_one_track_before_the_other() {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    for part in 0..60 {
        recording.pictures(0, PICTURES + part * 6 * FRAME, &[0; 6]);
        recording.frames(1, SOUND + part * 9600 / AAC * AAC, 9);
    }
    let movie = recording.movie();
    let (mut of, mut longest, mut length) = (usize::MAX, 0, 0);
    for slice in movie.slices(movie.head().len() as u64..movie.size_bytes()) {
        let MovieSlice::Payload { track, .. } = slice else { continue };
        length = if of == track { length + 1 } else { 1 };
        (of, longest) = (track, longest.max(length));
    }
    assert_eq!(longest, 3, "two or three parts of a fifth of a second");
    let file = recording.file();
    let stbl = &moov(&file).trak[0].mdia.minf.stbl;
    assert_eq!(stbl.stco.as_ref().unwrap().entries.len(), 24, "one chunk of the file each half second");
}

#[test]
fn long_recordings_are_said_in_64_bits() {
    let mut recording = Recording::new(&[video_init()]);
    recording.pictures(0, PICTURES, &[0; 3]);
    recording.pictures(0, PICTURES + 11 * HOUR, &[0; 3]);
    recording.pictures(0, PICTURES + 22 * HOUR, &[0; 3]);
    let file = recording.file();
    let moov = moov(&file);
    let length = (22 * HOUR + 3 * FRAME) as u64;
    assert_eq!(moov.mvhd.duration, length);
    assert_eq!((moov.trak[0].tkhd.duration, moov.trak[0].mdia.mdhd.duration), (length, length));
    assert_eq!(samples(&moov.trak[0], &file)[6].decode_time, 22 * HOUR);
}

#[test]
fn files_beyond_4_gib_have_64_bit_places() {
    let mut track = MovieTrack::new(&video_init()).unwrap();
    let sample = Sample { data: Bytes::new(), duration: FRAME as u32, offset: 0, sync: true };
    for n in 0..5i64 {
        let mut moof = split(Track::Video, PICTURES + n * 30 * FRAME, std::slice::from_ref(&sample)).0.to_vec();
        let at = moof.len() - 12;
        moof[at..at + 4].copy_from_slice(&(1u32 << 30).to_be_bytes());
        track.push(&moof, 1 << 30).unwrap();
    }
    let movie = Movie::new(vec![track], "", SystemTime::UNIX_EPOCH).unwrap();
    let head = movie.head();
    assert_eq!(movie.size_bytes(), head.len() as u64 + (5 << 30));
    let places = moov(head).trak[0].mdia.minf.stbl.co64.clone().unwrap().entries;
    assert_eq!(places, (0..5).map(|n| head.len() as u64 + (n << 30)).collect::<Vec<_>>());
    let mdat = &head[head.len() - 16..];
    assert_eq!(mdat, [&[0, 0, 0, 1][..], b"mdat", &((5u64 << 30) + 16).to_be_bytes()].concat());
    let last = movie.slices(movie.size_bytes() - 1..movie.size_bytes()).collect::<Vec<_>>();
    assert_eq!(last, [MovieSlice::Payload { track: 0, fragment: 4, range: (1 << 30) - 1..1 << 30 }]);
}

#[test]
fn title_and_time_are_those_given() {
    let recording = usual();
    let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_239_944);
    let movie = Movie::new(recording.tracks.clone(), "Weir für alle", created).unwrap();
    let moov = moov(movie.head());
    assert_eq!(moov.mvhd.creation_time, 1_795_239_944 + 2_082_844_800);
    assert_eq!(moov.trak[1].mdia.mdhd.creation_time, moov.mvhd.creation_time);
    let item = [&b"data\0\0\0\x01\0\0\0\0"[..], "Weir für alle".as_bytes()].concat();
    assert!(movie.head().windows(item.len()).any(|w| w == item));
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let movie = Movie::new(recording.tracks.clone(), "", later).unwrap();
    assert_eq!(self::moov(movie.head()).mvhd.creation_time, 4_000_000_000 + 2_082_844_800);
    assert!(self::moov(movie.head()).udta.is_none());
}

#[test]
fn the_same_recording_gives_the_same_bytes() {
    assert_eq!(usual().file(), usual().file());
}

#[test]
fn a_rendition_without_media_is_left_out() {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    assert_eq!(recording.laid_out().unwrap_err(), MovieError::Empty);
    recording.frames(1, SOUND, 10);
    let file = recording.file();
    let moov = moov(&file);
    assert_eq!(moov.trak.len(), 1);
    assert_eq!(samples(&moov.trak[0], &file).len(), 10);
}

#[test]
fn a_damaged_chunk_is_named_and_its_time_becomes_a_gap() {
    let mut recording = usual();
    let (moof, payload) = split(Track::Video, PICTURES + 45 * FRAME, &[recording.sample(FRAME, 0, true, 5)]);
    let damaged = recording.tracks[0].push(&moof[..moof.len() - 1], payload.len() as u64).unwrap_err();
    assert!(matches!(damaged, MovieError::Damaged { track: Track::Video, fragment: 3, .. }), "{damaged}");
    let longer = recording.tracks[0].push(&moof, payload.len() as u64 + 1).unwrap_err();
    assert!(longer.to_string().starts_with("chunk 4 of the video can't be read"), "{longer}");
    recording.payloads[0].extend([Bytes::new(), Bytes::new()]);
    recording.pictures(0, PICTURES + 60 * FRAME, &[0; 3]);
    let file = recording.file();
    let found = samples(&moov(&file).trak[0], &file);
    assert_eq!(found.len(), 48);
    assert_eq!(found[45].decode_time, 60 * FRAME);
    assert_eq!(found[45].data, recording.payloads[0][5][..20]);
}

#[test]
fn time_that_does_not_go_on_needs_another_file() {
    let mut recording = usual();
    let sample = [recording.sample(FRAME, 0, true, 5)];
    for at in [PICTURES, PICTURES + 45 * FRAME - 9001, PICTURES + 13 * HOUR] {
        let error = recording.push(0, at, &sample).unwrap_err();
        assert!(matches!(error, MovieError::Jump { .. }), "{error}");
    }
    recording.push(0, PICTURES + 45 * FRAME, &sample).unwrap();
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    recording.pictures(0, PICTURES, &[0; 3]);
    recording.frames(1, SOUND + 13 * 3600 * 48_000, 3);
    assert_eq!(recording.laid_out().unwrap_err(), MovieError::Apart);
}

#[test]
fn a_file_begins_with_a_key_frame() {
    let mut recording = Recording::new(&[video_init()]);
    let sample = [recording.sample(FRAME, 0, false, 5)];
    assert_eq!(recording.push(0, PICTURES, &sample).unwrap_err(), MovieError::NoKeyFrame { fragment: 0 });
}

#[test]
fn what_says_more_of_itself_than_a_part_can_is_damaged() {
    let mut recording = Recording::new(&[video_init(), audio_init()]);
    for (track, duration, offset) in [(0, 20 * 90_000, 0), (0, FRAME, -20 * 90_000), (1, 20 * 48_000, 0)] {
        let sample = [recording.sample(duration, offset, true, 5)];
        let error = recording.push(track, PICTURES, &sample).unwrap_err();
        assert!(matches!(error, MovieError::Damaged { .. }), "{error}");
    }
    assert!(matches!(recording.push(0, PICTURES, &[]).unwrap_err(), MovieError::Damaged { .. }));
}

#[test]
fn a_track_holds_so_many_samples_and_no_more() {
    let mut track = MovieTrack::new(&audio_init()).unwrap();
    let sample = Sample { data: Bytes::from_static(&[1]), duration: AAC as u32, offset: 0, sync: true };
    // Silence counts, and twelve hours of it are two million frames.
    let step = 12 * 3600 * 48_000;
    let errors = (0..5).map(|n| track.push(&split(Track::Audio, SOUND + n * step, std::slice::from_ref(&sample)).0, 1));
    let results: Vec<_> = errors.collect();
    assert!(results[..4].iter().all(Result::is_ok), "{results:?}");
    assert_eq!(results[4], Err(MovieError::Full { track: Track::Audio, fragment: 4 }));
}

proptest! {
    #[test]
    fn a_range_is_what_it_cuts_out_of_the_file(
        from in 0u64..3000,
        length in 0u64..3000,
        parts in 1i64..6,
        hole in 0i64..3,
    ) {
        let mut recording = Recording::new(&[video_init(), audio_init()]);
        for part in 0..parts {
            recording.pictures(0, PICTURES + (part + hole) * 6 * FRAME, &[0, 2, 1, 0, 0, 0]);
            recording.frames(1, SOUND + part * (9 + hole) * AAC, 9);
        }
        let (movie, file) = (recording.movie(), recording.file());
        // Ranges begin a little before the end of the head, whose inside is one slice.
        let from = (movie.head().len() as u64).saturating_sub(1000) + from;
        let clamp = |at: u64| at.min(file.len() as u64) as usize;
        prop_assert_eq!(recording.served(&movie, from..from + length), &file[clamp(from)..clamp(from + length)]);
    }

    #[test]
    fn any_times_and_sizes_give_a_file_that_reads_well(
        chunks in prop::collection::vec(
            (-100i64..20_000, prop::collection::vec((0i64..9000, -9000i64..9000, 0usize..5), 1..5)),
            1..9,
        ),
    ) {
        let mut recording = Recording::new(&[video_init(), audio_init()]);
        let (mut times, mut taken) = ([PICTURES, SOUND], [0, 0]);
        for (gap, chunk) in &chunks {
            for track in 0..2 {
                let each = chunk.iter().map(|(length, offset, size)| recording.sample(*length, *offset, true, *size));
                let each: Vec<Sample> = each.collect();
                let at = times[track] + gap;
                times[track] = at + each.iter().map(|sample| i64::from(sample.duration)).sum::<i64>();
                if recording.push(track, at, &each).is_ok() {
                    taken[track] += each.len();
                }
            }
        }
        let file = recording.file();
        let moov = moov(&file);
        let pictures = samples(&moov.trak[0], &file);
        prop_assert_eq!(pictures.len(), taken[0]);
        prop_assert!(pictures.windows(2).all(|w| w[0].decode_time < w[1].decode_time));
        prop_assert!(samples(&moov.trak[1], &file).len() >= taken[1]);
    }

    #[test]
    fn a_damaged_head_of_a_chunk_is_refused_or_harmless(
        cut: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..4),
    ) {
        let mut recording = usual();
        let pair = [recording.sample(FRAME, 0, true, 5), recording.sample(FRAME, 0, false, 7)];
        let (moof, payload) = split(Track::Video, PICTURES + 45 * FRAME, &pair);
        let mut moof = moof[..=cut.index(moof.len())].to_vec();
        for (at, bit) in flips {
            let at = at.index(moof.len());
            moof[at] ^= 1 << bit;
        }
        let taken = recording.tracks[0].push(&moof, payload.len() as u64).is_ok();
        recording.payloads[0].push(payload);
        let file = recording.file();
        prop_assert_eq!(samples(&moov(&file).trak[0], &file).len(), if taken { 47 } else { 45 });
    }

    #[test]
    fn a_damaged_init_section_is_refused_or_harmless(
        cut: prop::sample::Index,
        at: prop::sample::Index,
        bit in 0u8..8,
        sound: bool,
    ) {
        let init = if sound { audio_init() } else { video_init() };
        prop_assert!(MovieTrack::new(&init.slice(..cut.index(init.len()))).is_err());
        let mut flipped = init.to_vec();
        flipped[at.index(init.len())] ^= 1 << bit;
        let _ = MovieTrack::new(&flipped.into());
    }
}
