use super::*;
use media::{AudioCodec, ColorInfo, VideoCodec};
use proptest::prelude::*;
use rtmp::chunk::{ChunkReader, ChunkWriter, Message, kind};
use std::time::Duration;

/// Somebody plays the stream.
const WATCHED: bool = true;

fn video(record: &'static [u8]) -> Arc<VideoConfig> {
    Arc::new(VideoConfig {
        codec: VideoCodec::H264,
        record: Bytes::from_static(record),
        nal_length_size: 4,
        width: 16,
        height: 16,
        sample_aspect: (1, 1),
        codecs: String::new(),
        bit_depth: 8,
        is_420: true,
        is_interlaced: false,
        frame_rate: None,
        color: ColorInfo::UNSPECIFIED,
    })
}

fn audio() -> Arc<AudioConfig> {
    Arc::new(AudioConfig {
        codec: AudioCodec::Aac,
        record: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
        object_type: 2,
        frame_samples: 1024,
    })
}

fn unit(config: Config, ms: i64, sync: bool, bytes: usize) -> AccessUnit {
    let at = MediaTime::from_millis(ms);
    AccessUnit { config, dts: at, pts: at, sync, data: vec![1; bytes].into() }
}

fn picture(config: &Arc<VideoConfig>, ms: i64, sync: bool) -> AccessUnit {
    unit(Config::Video(Arc::clone(config)), ms, sync, 100)
}

fn sound(config: &Arc<AudioConfig>, ms: i64) -> AccessUnit {
    unit(Config::Audio(Arc::clone(config)), ms, true, 10)
}

/// A player that takes what it is given at once.
struct Player {
    place: Place,
    reader: ChunkReader,
    lost: u64,
}

impl Player {
    fn new() -> Self {
        let mut reader = ChunkReader::new();
        let mut out = BytesMut::new();
        ChunkWriter::new().set_chunk_size(&mut out, rtmp::packer::CHUNK_SIZE);
        reader.trust();
        assert_eq!(reader.read(&mut &out[..]), Ok(None));
        Self { place: Place::new(), reader, lost: 0 }
    }

    /// One batch, as messages.
    fn take(&mut self, ring: &Ring) -> Vec<Message> {
        let mut batch = Batch::default();
        self.lost += ring.read(&mut self.place, &mut batch);
        let mut slices = Batch::no_slices();
        let mut messages = Vec::new();
        while !batch.is_empty() {
            let count = batch.slices(&mut slices);
            let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect();
            slices = Batch::no_slices();
            batch.advance(bytes.len());
            let mut bytes = &bytes[..];
            while let Some(message) = self.reader.read(&mut bytes).expect("legal chunks") {
                messages.push(message);
            }
        }
        messages
    }

    /// Everything that is there.
    fn take_all(&mut self, ring: &Ring) -> Vec<Message> {
        std::iter::repeat_with(|| self.take(ring)).take_while(|batch| !batch.is_empty()).flatten().collect()
    }
}

/// What a message is: `M`etadata, a `V`ideo or `A`udio configuration, a `K`eyframe, a `p`icture, `s`ound; and its stamp.
fn shown(messages: &[Message]) -> Vec<(char, u32)> {
    let name = |message: &Message| match (message.kind, &message.payload[..2]) {
        (kind::DATA, _) => 'M',
        (kind::VIDEO, [0x17, 0]) => 'V',
        (kind::VIDEO, [0x17, 1]) => 'K',
        (kind::VIDEO, _) => 'p',
        (_, [_, 0]) => 'A',
        _ => 's',
    };
    messages.iter().map(|message| (name(message), message.timestamp)).collect()
}

fn ring(span_ms: u64, bytes: usize) -> Ring {
    Ring::new(&Limits { span: Duration::from_millis(span_ms), bytes, ..Limits::default() })
}

#[test]
fn a_player_begins_at_the_newest_keyframe_with_all_it_needs_before() {
    let (mut ring, video, audio) = (ring(10_000, 1 << 20), video(&[1]), audio());
    let mut early = Player::new();
    assert!(early.take(&ring).is_empty());
    for n in 0..9 {
        ring.push(&picture(&video, 1000 + n * 40, n % 4 == 0), WATCHED);
        ring.push(&sound(&audio, 1000 + n * 40), WATCHED);
    }
    let mut late = Player::new();
    let got = shown(&late.take(&ring));
    // The sound behind the newest picture waits for the next one.
    assert_eq!(got, [('M', 0), ('V', 320), ('A', 320), ('K', 320)]);
    ring.push(&picture(&video, 1360, false), WATCHED);
    assert_eq!(shown(&late.take(&ring)), [('s', 320), ('p', 360)]);
    assert_eq!((late.lost, shown(&early.take_all(&ring))[0]), (0, ('M', 0)));
}

#[test]
fn sound_leaves_with_the_next_picture_or_three_at_a_time() {
    let (mut ring, video, audio) = (ring(10_000, 1 << 20), video(&[1]), audio());
    assert!(ring.push(&sound(&audio, 0), WATCHED), "no picture has come");
    assert!(ring.push(&picture(&video, 0, true), WATCHED));
    let woken: Vec<bool> = (1..7).map(|n| ring.push(&sound(&audio, 21 * n), WATCHED)).collect();
    assert_eq!(woken, [false, false, true, false, false, true]);
    assert!(!ring.push(&sound(&audio, 160), WATCHED) && ring.push(&picture(&video, 160, false), WATCHED));
    ring.push(&sound(&audio, 180), WATCHED);
    let mut player = Player::new();
    assert_eq!(player.take_all(&ring).last().map(|message| message.timestamp), Some(160));
    ring.finish();
    assert!(!ring.is_over(&player.place));
    assert_eq!(shown(&player.take_all(&ring)), [('s', 180)]);
    assert!(ring.is_over(&player.place));
}

#[test]
fn who_is_left_behind_goes_on_at_the_newest_keyframe_and_is_counted() {
    let (mut ring, video) = (ring(400, 1 << 20), video(&[1]));
    ring.push(&picture(&video, 0, true), WATCHED);
    let mut player = Player::new();
    player.take_all(&ring);
    (1..40).for_each(|n| _ = ring.push(&picture(&video, n * 40, n % 10 == 0), WATCHED));
    let got = shown(&player.take_all(&ring));
    assert_eq!(got[..3], [('M', 0), ('V', 1200), ('K', 1200)]);
    assert_eq!((got.len(), player.lost), (2 + 10, 29));
}

#[test]
fn without_a_keyframe_in_the_ring_a_player_waits_for_the_next() {
    let (mut ring, video) = (ring(200, 1 << 20), video(&[1]));
    (0..30).for_each(|n| _ = ring.push(&picture(&video, n * 40, n == 0), WATCHED));
    let mut player = Player::new();
    assert!(player.take(&ring).is_empty());
    ring.push(&picture(&video, 1200, true), WATCHED);
    assert_eq!(shown(&player.take(&ring)), [('M', 0), ('V', 1200), ('K', 1200)]);
}

#[test]
fn a_new_configuration_is_told_once_to_who_watches_and_to_who_comes() {
    let (mut ring, first, second) = (ring(10_000, 1 << 20), video(&[1]), video(&[2]));
    ring.push(&picture(&first, 0, true), WATCHED);
    let mut player = Player::new();
    player.take_all(&ring);
    ring.push(&picture(&second, 40, true), WATCHED);
    ring.push(&picture(&video(&[2]), 80, false), WATCHED);
    assert_eq!(shown(&player.take_all(&ring)), [('M', 0), ('V', 40), ('K', 40), ('p', 80)]);
    assert_eq!(shown(&Player::new().take_all(&ring)), [('M', 0), ('V', 40), ('K', 40), ('p', 80)]);
}

#[test]
fn sound_alone_is_entered_about_anywhere() {
    let (mut ring, audio) = (ring(10_000, 1 << 20), audio());
    (0..200).for_each(|n| assert!(ring.push(&sound(&audio, n * 20), WATCHED)));
    let got = shown(&Player::new().take_all(&ring));
    assert_eq!(got[..3], [('M', 0), ('A', 3000), ('s', 3000)]);
    assert_eq!(got.len(), 2 + 50);
}

proptest! {
    /// Whatever comes and however slowly it is taken: the ring stays in its bounds, a player never gets a message twice or out of
    /// order, nothing is missing but what is counted, and behind a loss comes a keyframe.
    #[test]
    fn players_lose_whole_groups_and_nothing_uncounted(
        pushes in proptest::collection::vec((any::<bool>(), 0u8..10, 1usize..20_000), 1..400),
        takes in proptest::collection::vec(0usize..40, 1..20),
        watched in any::<bool>(),
    ) {
        let (video, audio) = (video(&[1]), audio());
        let mut ring = ring(500, 200_000);
        let (mut player, mut takes) = (Player::new(), takes.into_iter().cycle());
        let (mut left, mut got, mut sent) = (0, Vec::new(), 0u64);
        for (n, (is_video, sync, bytes)) in pushes.into_iter().enumerate() {
            let config = if is_video { Config::Video(Arc::clone(&video)) } else { Config::Audio(Arc::clone(&audio)) };
            let mut unit = unit(config, n as i64 * 20, !is_video || sync == 0, bytes);
            let mut data = (n as u32).to_be_bytes().to_vec();
            data.resize(bytes + 4, 0);
            unit.data = data.into();
            ring.push(&unit, watched);
            sent += 1;
            prop_assert!(ring.bytes <= 200_000 && ring.bytes == ring.held.iter().map(|held| held.bytes).sum::<usize>());
            prop_assert!(ring.entries.iter().all(|entry| entry.number >= ring.first));
            if left == 0 {
                left = takes.next().unwrap();
                let before = player.lost;
                let batch = player.take(&ring);
                if player.lost > before {
                    prop_assert_eq!(batch[0].kind, kind::DATA);
                }
                got.extend(batch);
            }
            left = left.saturating_sub(1);
        }
        ring.finish();
        got.extend(player.take_all(&ring));
        let number = |message: &Message| {
            let header = if message.kind == kind::VIDEO { 5 } else { 2 };
            let number = message.payload.get(header..header + 4)?;
            (message.kind != kind::DATA && message.payload[1] == 1).then(|| u32::from_be_bytes(number.try_into().unwrap()))
        };
        let numbers: Vec<u32> = got.iter().filter_map(number).collect();
        prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        let missing: u64 = numbers.windows(2).map(|pair| u64::from(pair[1] - pair[0] - 1)).sum();
        // Configurations that were missed count as well: three messages with their metadata at most.
        prop_assert!(player.lost >= missing && player.lost <= sent + 6, "{} of {missing}", player.lost);
        prop_assert!(ring.is_over(&player.place));
    }
}
