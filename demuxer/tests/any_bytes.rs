//! Any bytes give an answer, and what is given lies in the file.

use media::MediaTime;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

fn written(name: &str, flags: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let words = "-v error -y -f lavfi -i testsrc2=size=64x48:rate=25:duration=1 -f lavfi -i sine=duration=1 -c:v libx264 -bf 2 -c:a aac";
    let made = Command::new("ffmpeg").args(words.split_whitespace()).args(["-movflags", flags]).arg(&path).status();
    assert!(made.expect("ffmpeg").success());
    std::fs::read(Path::new(&path)).expect("the film")
}

static FILMS: LazyLock<[Vec<u8>; 2]> =
    LazyLock::new(|| [written("plain.mp4", "+faststart"), written("cut.mp4", "frag_keyframe+empty_moov")]);

fn check(bytes: &[u8]) {
    let Ok(contents) = demuxer::open(bytes) else { return };
    for index in [contents.pictures, contents.sound].into_iter().flatten() {
        assert!(!index.samples.is_empty());
        let limit = MediaTime::from_millis(2 * demuxer::SECONDS_MAX * 1_000 * 2);
        for sample in &index.samples {
            assert!(sample.bytes > 0 && sample.at + u64::from(sample.bytes) <= bytes.len() as u64);
            assert!(sample.pts.abs() <= limit, "{sample:?}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_give_an_answer(data: Vec<u8>) {
        check(&data);
    }

    #[test]
    fn a_film_with_any_bytes_changed_gives_an_answer(
        which in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut film = FILMS[which].clone();
        // The index is small beside the media, so most changes go there.
        for (number, (at, byte)) in changes.iter().enumerate() {
            let end = if number % 4 == 3 { film.len() } else { film.len().min(4_096) };
            film[at.index(end)] = *byte;
        }
        check(&film);
    }
}
