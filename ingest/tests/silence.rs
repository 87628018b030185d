//! Silence made by us, by ffmpeg's ears.

use media::aac;
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn silent_frames_decode_to_silence_of_their_length_in_every_layout() {
    for (rate, index) in [(48_000, 3u8), (44_100, 4), (22_050, 7)] {
        for layout in 1..=7u8 {
            let record = [2 << 3 | index >> 1, index << 7 | layout << 3];
            let config = aac::parse_config(&record.to_vec().into()).expect("a configuration");
            assert_eq!(config.sample_rate, rate);
            let frame = aac::silent_frame(config.channels).expect("a frame");
            let header = aac::adts_header(&config, frame.len()).expect("a header");
            let file: Vec<u8> = (0..20).flat_map(|_| [&header[..], &frame].concat()).collect();
            let pcm = decode(file);
            assert_eq!(pcm.len(), 20 * 1024 * 2 * usize::from(config.channels), "layout {layout} at {rate}");
            assert!(pcm.iter().all(|sample| *sample == 0), "layout {layout} at {rate}");
        }
    }
}

/// An ADTS file as 16-bit samples; panics when ffmpeg complains.
fn decode(file: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-f", "aac", "-i", "-", "-f", "s16le", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffmpeg is installed");
    let mut input = child.stdin.take().expect("piped");
    // The file fits a pipe's buffer, so writing can't wait for the reader below.
    input.write_all(&file).expect("ffmpeg reads");
    drop(input);
    let out = child.wait_with_output().expect("ffmpeg ends");
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}
