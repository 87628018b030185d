//! Looking at media with ffmpeg's and ffprobe's eyes.
//!
//! Everything here takes a file or a URL and blocks until the other program has read it.

use crate::clip::{CELLS, read_cells};
use crate::process::{run, run_ok, tool};
use serde_json::Value;

/// A decoded picture and the marks found in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picture {
    /// Presentation time in seconds, as stamped.
    pub at: f64,
    /// The clip's mark and the picture's number; `None` when the cells cannot be read.
    pub marks: Option<(u8, u32)>,
    /// Mean brightness of the lower half, 0 to 255.
    pub lower_half: u8,
}

/// A coded packet as it is stamped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Packet {
    /// Presentation time in units of the track's time base.
    pub pts: i64,
    /// Decode time in the same units.
    pub dts: i64,
    /// Whether it is marked as a key frame.
    pub key: bool,
    /// Bytes.
    pub size: u64,
}

/// The tracks that ffprobe sees, one JSON object each.
#[track_caller]
pub fn tracks(input: &str) -> Vec<Value> {
    let said = run_ok(tool("ffprobe"), ["-v", "error", "-show_streams", "-of", "json", input]);
    let all: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("ffprobe wrote no JSON ({e}):\n{said}"));
    all["streams"].as_array().cloned().unwrap_or_default()
}

/// The first track of that kind (`video` or `audio`).
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn track(input: &str, kind: &str) -> Value {
    let all = tracks(input);
    let found = all.iter().find(|track| track["codec_type"] == kind).cloned();
    found.unwrap_or_else(|| panic!("{input} has no {kind} track: {all:?}"))
}

/// The packets of the first track of that kind (`v` or `a`) of a file.
#[track_caller]
pub fn packets(file: &str, kind: &str) -> Vec<Packet> {
    let said = run_ok(
        tool("ffprobe"),
        ["-v", "error", "-select_streams", &format!("{kind}:0"), "-show_packets", "-of", "json", file],
    );
    let all: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("ffprobe wrote no JSON ({e}):\n{said}"));
    let number = |packet: &Value, name: &str| packet[name].as_i64().unwrap_or(i64::MIN);
    let packet = |p: &Value| Packet {
        pts: number(p, "pts"),
        dts: number(p, "dts"),
        key: p["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
        size: p["size"].as_str().and_then(|size| size.parse().ok()).unwrap_or(0),
    };
    all["packets"].as_array().map(|list| list.iter().map(packet).collect()).unwrap_or_default()
}

/// Presentation times of the IDRs of a file's video track, in its time base.
#[track_caller]
pub fn idr_times(file: &str) -> Vec<i64> {
    packets(file, "v").iter().filter(|packet| packet.key).map(|packet| packet.pts).collect()
}

/// Decodes a file or stream whole and gives what the decoder complained about; empty is good.
#[track_caller]
pub fn complaints(input: &str) -> String {
    // The track's own time base: in ffmpeg's default one, two close pictures of a live camera fall together.
    let head = ["-nostdin", "-v", "error", "-xerror", "-i", input, "-fps_mode", "passthrough"];
    let said = run(tool("ffmpeg"), head.iter().chain(&["-enc_time_base:v", "-1", "-f", "null", "-"]));
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    if said.status.success() || !complaint.is_empty() { complaint } else { format!("ended with {}", said.status) }
}

/// How many decoded pictures of a file there are, and how many of them carry closed captions (ATSC A/53).
#[track_caller]
pub fn captioned(file: &str) -> (usize, usize) {
    let words = ["-v", "error", "-select_streams", "v:0", "-show_frames", "-of", "json", file];
    let said = run_ok(tool("ffprobe"), words);
    let all: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("ffprobe wrote no JSON ({e}):\n{said}"));
    let frames = all["frames"].as_array().cloned().unwrap_or_default();
    let has = |frame: &&Value| frame["side_data_list"].to_string().contains("Closed Captions");
    (frames.len(), frames.iter().filter(has).count())
}

/// Rows a picture is shrunk to before its marks are read: a whole number of them lies inside the row of cells.
const ROWS: usize = 48;

/// Decodes all pictures of a file and reads their marks.
///
/// # Panics
/// When nothing can be decoded.
#[track_caller]
pub fn pictures(input: &str) -> Vec<Picture> {
    let shrink = format!("scale={CELLS}:{ROWS}:flags=area,format=gray,showinfo=checksum=0");
    let head = ["-nostdin", "-v", "info", "-nostats", "-copyts", "-i", input, "-map", "0:v:0"];
    let tail = ["-vf", &shrink, "-fps_mode", "passthrough", "-f", "rawvideo", "-"];
    let out = run(tool("ffmpeg"), head.iter().chain(&tail));
    let said = String::from_utf8_lossy(&out.stderr);
    let times: Vec<f64> = said
        .lines()
        .filter(|line| line.contains("showinfo"))
        .filter_map(|line| line.split("pts_time:").nth(1)?.split_whitespace().next()?.parse().ok())
        .collect();
    let all: Vec<Picture> =
        out.stdout.chunks_exact(CELLS * ROWS).zip(times).map(|(p, at)| read_picture(p, at)).collect();
    assert!(!all.is_empty(), "no picture could be decoded from {input}:\n{said}");
    all
}

fn read_picture(gray: &[u8], at: f64) -> Picture {
    // The cells fill the top twelfth, four of 48 rows; the outer two touch other content.
    let mut cells = [0u8; CELLS];
    for (x, cell) in cells.iter_mut().enumerate() {
        *cell = ((u32::from(gray[CELLS + x]) + u32::from(gray[2 * CELLS + x])) / 2) as u8;
    }
    let lower = &gray[CELLS * (ROWS / 2 + 2)..CELLS * (ROWS - 2)];
    let sum: u32 = lower.iter().map(|&v| u32::from(v)).sum();
    Picture { at, marks: read_cells(&cells), lower_half: (sum / lower.len() as u32) as u8 }
}

/// Decoded sound: the time of its first sample in seconds, its rate, and mono samples from -1 to 1.
#[derive(Debug, Clone)]
pub struct Sound {
    /// Presentation time of the first sample in seconds.
    pub start: f64,
    /// Samples a second.
    pub rate: u32,
    /// All channels mixed to one.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Loudness of everything as RMS in decibels under full scale.
    pub fn rms_db(&self) -> f64 {
        let sum: f64 = self.samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
        10.0 * (sum / self.samples.len().max(1) as f64).max(1e-12).log10()
    }

    /// When each beep begins, in seconds: the first loud sample after at least half a second without one.
    pub fn beeps(&self) -> Vec<f64> {
        let rate = f64::from(self.rate);
        let mut last_loud = None;
        let mut found = Vec::new();
        for (index, sample) in self.samples.iter().enumerate() {
            if sample.abs() < 0.2 {
                continue;
            }
            let at = self.start + index as f64 / rate;
            // A beep that was cut by the start of the reading is none.
            if last_loud.map_or(at - self.start > 0.5, |last| at - last > 0.5) {
                found.push(at);
            }
            last_loud = Some(at);
        }
        found
    }
}

/// Decodes all sound of a file.
///
/// # Panics
/// When nothing can be decoded.
#[track_caller]
pub fn sound(input: &str) -> Sound {
    let head = ["-nostdin", "-v", "info", "-nostats", "-copyts", "-i", input, "-map", "0:a:0"];
    let tail = ["-af", "aformat=sample_fmts=flt:channel_layouts=mono,ashowinfo", "-f", "f32le", "-"];
    let out = run(tool("ffmpeg"), head.iter().chain(&tail));
    let said = String::from_utf8_lossy(&out.stderr);
    let first = said.lines().find(|line| line.contains("ashowinfo") && line.contains("pts_time:"));
    let field =
        |name: &str| first.and_then(|line| line.split(name).nth(1)?.split_whitespace().next()?.parse::<f64>().ok());
    let (Some(start), Some(rate)) = (field("pts_time:"), field("rate:")) else {
        panic!("no sound could be decoded from {input}:\n{said}");
    };
    let samples = out.stdout.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Sound { start, rate: rate as u32, samples }
}

/// For each beep the offset to its flash in milliseconds, positive when the sound is late. The flash is found by the
/// number in the picture: pictures whose number is a multiple of `fps` begin one.
pub fn sync_offsets_ms(pictures: &[Picture], sound: &Sound, fps: u32) -> Vec<f64> {
    let flashes: Vec<f64> =
        pictures.iter().filter(|p| p.marks.is_some_and(|(_, number)| number % fps == 0)).map(|p| p.at).collect();
    let nearest =
        |beep: f64| flashes.iter().map(|flash| (beep - flash) * 1_000.0).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    sound.beeps().into_iter().filter_map(nearest).filter(|offset| offset.abs() < 500.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clip;

    #[test]
    fn marks_drawn_into_a_clip_are_read_back() {
        let clip = Clip { seconds: 3, mark: 0x5a, ..Clip::default() };
        let file = clip.file();
        let pictures = pictures(&file.display().to_string());
        let marks: Vec<_> = pictures.iter().map(|p| p.marks).collect();
        let expected: Vec<_> = (0..90).map(|number| Some((0x5a, number))).collect();
        assert_eq!(marks, expected);
    }

    #[test]
    fn beep_and_flash_of_a_clip_begin_together() {
        let clip = Clip { seconds: 3, mark: 0x5a, ..Clip::default() };
        let file = clip.file().display().to_string();
        let offsets = sync_offsets_ms(&pictures(&file), &sound(&file), 30);
        assert!(offsets.len() >= 2 && offsets.iter().all(|o| o.abs() < 25.0), "{offsets:?}");
    }
}
